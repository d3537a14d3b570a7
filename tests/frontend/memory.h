/* SPDX-License-Identifier: MIT */
/*
 * memory - the guest's memory: memfd regions of any layout
 *
 * Stands for what a VM's RAM is to a front-end. Regions lie anywhere in the
 * guest's address space; each is a memfd of its own (or a part of another's)
 * that is mapped here with an inaccessible page on either side. Addresses for
 * rings and buffers are handed out by a simple allocator that never takes
 * back. The memory outlives sessions: a front-end that reconnects shows the
 * same one again.
 *
 * "user" addresses are the front-end's own, as vhost-user wants them for
 * rings: by default where the region is mapped, but any number will do.
 *
 * Functions return 0 or -errno. Owner: one thread, save that the contents are
 * memory like any other.
 */
#ifndef FRONTEND_MEMORY_H
#define FRONTEND_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/frontend/message.h"

#define FE_MAX_REGIONS 512

struct fe_region {
	struct fe_wire_region wire; /* what the back-end is told */
	int fd;
	uint8_t *host;		/* wire.guest_addr is here */
	size_t allocated_bytes; /* from the region's beginning */
	void *reserved;		/* the mapping with its guard pages */
	size_t reserved_bytes;
};

struct fe_memory {
	unsigned int nr_regions;
	struct fe_region regions[FE_MAX_REGIONS];
};

void fe_memory_init(struct fe_memory *memory);
void fe_memory_deinit(struct fe_memory *memory);

/*
 * Add a region of size_bytes at guest_addr, both multiples of the page size.
 * Returns its number, or -errno.
 */
int fe_memory_add(struct fe_memory *memory, uint64_t guest_addr,
		  uint64_t size_bytes);

/*
 * Add a region that shows fd, of which the memory keeps a duplicate, from
 * offset on. Returns its number, or -errno.
 */
int fe_memory_add_file(struct fe_memory *memory, uint64_t guest_addr,
		       uint64_t size_bytes, int fd, uint64_t offset);

/* Forget the last region. */
void fe_memory_remove_last(struct fe_memory *memory);

/*
 * Put other pages behind a region, with the old contents; its addresses stay.
 * The old fd is closed; a back-end that mapped it keeps the old pages.
 */
int fe_memory_replace(struct fe_memory *memory, unsigned int region);

/* Where bytes from guest_addr on are; NULL unless all lie in one region. */
void *fe_memory_pointer(const struct fe_memory *memory, uint64_t guest_addr,
			uint64_t bytes);

/* The user address of a guest address that lies in a region, else 0. */
uint64_t fe_memory_user_addr(const struct fe_memory *memory,
			     uint64_t guest_addr);

/*
 * Bytes of a region that nobody else has, zeroed; align: a power of two.
 * Returns 0 with *guest_addr set, or -ENOMEM.
 */
int fe_memory_alloc(struct fe_memory *memory, unsigned int region,
		    uint64_t bytes, uint64_t align, uint64_t *guest_addr);

#endif

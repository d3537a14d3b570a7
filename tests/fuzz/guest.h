/* SPDX-License-Identifier: MIT */
/*
 * guest - guest memory in which every byte is watched
 *
 * Three regions of one file: the second begins where the first one ends, and
 * none but the first fills its pages. What lies between them in the file is
 * nobody's: the device must not write there, nor, where the address sanitizer
 * looks, read.
 *
 * The guest's own view is another mapping of the same file, of which a copy is
 * kept. guest_close() and guest_check() stand around what the device does: a
 * byte that has changed in between is one that the device was given to write,
 * by guest_open(). With a migration log each such byte's page is marked in it.
 */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dirty.h"
#include "lib/memory.h"
#include "tests/fuzz/fuzz.h"

/* From the guest's addresses to the front-end's */
#define GUEST_TO_FRONTEND  UINT64_C(0x7e0000000000)

#define GUEST_BASE	   UINT64_C(0x10000)
#define GUEST_FIRST_BYTES  0x4000
#define GUEST_SECOND	   (GUEST_BASE + GUEST_FIRST_BYTES)
#define GUEST_SECOND_BYTES 0x1800
#define GUEST_THIRD	   UINT64_C(0x40200)
#define GUEST_THIRD_BYTES  0x900
#define GUEST_FILE_BYTES   0xa000

#define GUEST_MAX_OPENED   16384

struct fuzz_guest {
	int fd;
	uint8_t *view; /* the guest's own, of all of the file */
	struct rh_map *map;
	struct rh_dirty_log log;
	uint8_t *log_view;
	bool logs;	 /* every write is to be found in the log */
	uint8_t *before; /* the view, but for what the device wrote */
	uint8_t *open;	 /* 1 for each byte that the device may write */
	unsigned int nr_opened;
	struct {
		uint32_t at;
		uint32_t bytes;
	} opened[GUEST_MAX_OPENED];
};

void guest_create(struct fuzz_guest *guest);

/* Zeros, canaries, an empty log; nothing may be written. */
void guest_reset(struct fuzz_guest *guest, bool logs);

/* The log ends before the third region, or does not. */
void guest_cut_log(struct fuzz_guest *guest, bool is_cut);

/* The guest's view of these bytes; NULL if they are not all in one region. */
void *guest_at(const struct fuzz_guest *guest, uint64_t addr, uint64_t bytes);

/* The guest address of what the library has there; 0: none. */
uint64_t guest_addr_of(const struct fuzz_guest *guest, const void *host);

/* The guest writes, with what is left out that it does not have. */
void guest_write(struct fuzz_guest *guest, uint64_t addr, const void *data,
		 size_t bytes);

/* bytes at a place that the input chooses */
void guest_scribble(struct fuzz_guest *guest, struct fuzz_input *in);

/* All of it becomes what it was. memory: GUEST_FILE_BYTES */
void guest_restore(struct fuzz_guest *guest, const uint8_t *memory);

/* The device may write nothing from now on. */
void guest_close(struct fuzz_guest *guest);

/* But these; they are all in guest memory. */
void guest_open(struct fuzz_guest *guest, uint64_t addr, uint64_t bytes);
bool guest_is_open(const struct fuzz_guest *guest, uint64_t addr,
		   uint64_t bytes);

void guest_check(struct fuzz_guest *guest);

#endif

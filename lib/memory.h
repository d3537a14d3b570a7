/* SPDX-License-Identifier: MIT */
/*
 * memory - guest memory, mapped from the front-end's fds
 *
 * The only room that maps a peer's fd. A map is immutable: adding or removing
 * a region makes a new map, which shares the regions that stay. A region is
 * unmapped when the last map that holds it is put.
 *
 * A map is never looked at while it changes, so a running queue translates
 * without a lock. Counts are plain: they change only in the control thread,
 * which gets a map for a queue before starting it and puts it after the queue
 * has stopped, that is, after its last request.
 */
#ifndef LIB_MEMORY_H
#define LIB_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "lib/wire.h"

/* An address as the guest's descriptors hold it. */
struct guest_addr {
	uint64_t value;
};

/* An address in the front-end's own address space: where its rings are. */
struct frontend_addr {
	uint64_t value;
};

/* The document's 8, or as many as CONFIGURE_MEM_SLOTS offers. */
#define RH_MAX_MEM_SLOTS 509

struct rh_mapping; /* one mmap, counted */

struct rh_region {
	uint64_t guest_start;
	uint64_t guest_end; /* one past the last byte */
	uint64_t frontend_start;
	uint8_t *host;
	struct rh_mapping *mapping; /* a reference */
};

struct rh_map {
	unsigned int nr_refs;
	int wake_fd; /* signalled when a region is lost; -1: none; not owned */
	bool keeps_files; /* so that rh_region_file() has something to tell */
	unsigned int nr_regions;
	struct rh_region regions[]; /* by guest_start, apart from each other */
};

/*
 * An empty map, with one reference, without a wake_fd, which keeps no files;
 * maps that are made from it inherit what is set then. Returns 0 or -ENOMEM.
 */
int rh_map_create(struct rh_map **ret);

struct rh_map *rh_map_get(struct rh_map *map);

/* NULL is accepted. */
void rh_map_put(struct rh_map *map);

/* True if the front-end has taken back part of a region (guard.h). */
bool rh_map_lost(const struct rh_map *map);

/* Take all memory back from whoever uses it: rh_guard_revoke(). */
void rh_map_revoke(const struct rh_map *map);

/* What was mapped for a region: the whole pages around it. */
void *rh_region_pages(const struct rh_region *region, size_t *size_bytes);

/*
 * The file that a region was mapped from, with *offset set to where it begins
 * there. Still the map's; -1 if it was not kept.
 */
int rh_region_file(const struct rh_region *region, uint64_t *offset);

/*
 * A new map: map and one region more, mapped from fd (which stays the
 * caller's). Returns 0 with *ret set, or -errno: -EINVAL for a region that
 * wraps, is empty or exceeds its file, -EEXIST for one that overlaps another,
 * -ENOSPC beyond RH_MAX_MEM_SLOTS, else what mmap(2) said.
 */
int rh_map_add(const struct rh_map *map, const struct vhost_user_region *wire,
	       int fd, struct rh_map **ret);

/*
 * A new map: map without the region of this guest address, user address and
 * size. Returns 0 with *ret set, -ENOENT or -ENOMEM.
 */
int rh_map_remove(const struct rh_map *map,
		  const struct vhost_user_region *wire, struct rh_map **ret);

/* The region that addr lies in, or NULL. */
static inline const struct rh_region *rh_map_region(const struct rh_map *map,
						    struct guest_addr addr)
{
	unsigned int low = 0;
	unsigned int high = map->nr_regions;

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		const struct rh_region *region = &map->regions[middle];

		if (addr.value >= region->guest_end)
			low = middle + 1;
		else if (addr.value < region->guest_start)
			high = middle;
		else
			return region;
	}
	return NULL;
}

/*
 * Where bytes from addr on lie in this process.
 *
 * bytes: above 0. Returns NULL if addr is in no region; else *contiguous is
 * set to how many of the bytes, 1 at least, lie in one piece from there.
 */
static inline uint8_t *rh_map_guest(const struct rh_map *map,
				    struct guest_addr addr, uint64_t bytes,
				    uint64_t *contiguous)
{
	const struct rh_region *region = rh_map_region(map, addr);

	if (!region)
		return NULL;
	*contiguous = MIN(bytes, region->guest_end - addr.value);
	return region->host + (addr.value - region->guest_start);
}

/* The region that addr lies in, or NULL. */
const struct rh_region *rh_map_frontend_region(const struct rh_map *map,
					       struct frontend_addr addr);

/* Where the bytes from addr on lie, all of them in one region; else NULL. */
uint8_t *rh_map_frontend(const struct rh_map *map, struct frontend_addr addr,
			 uint64_t bytes);

#endif

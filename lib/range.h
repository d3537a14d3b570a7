/* SPDX-License-Identifier: MIT */
/*
 * range - a part of a peer's file that is no guest memory: a log, a record
 *
 * The code is in memory.c, the only room that maps a peer's fd. Control
 * thread, but for rh_range_lost(), which any may ask.
 */
#ifndef LIB_RANGE_H
#define LIB_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct rh_map;
struct rh_mapping;

/* All zero: nothing is mapped. */
struct rh_range {
	uint8_t *address; /* the first byte that was asked for */
	uint64_t bytes;
	struct rh_mapping *mapping; /* owned */
};

/*
 * Map bytes from offset on, for reading and writing; fd stays the caller's.
 * like: as regions of this map it wakes somebody when it is lost, and keeps its
 * file or not; NULL: neither. Returns 0 with *ret set, or -errno: -EINVAL for a range that is
 * empty, wraps, exceeds its file or does not begin on a page, else what mmap(2)
 * said.
 */
int rh_range_map(int fd, uint64_t offset, uint64_t bytes,
		 const struct rh_map *like, struct rh_range *ret);

/* As rh_region_file(); -1 when nothing is mapped, too. */
int rh_range_file(const struct rh_range *range, uint64_t *offset);

/* Harmless when nothing is mapped. */
void rh_range_unmap(struct rh_range *range);

/* True if its owner has taken part of it back (guard.h). */
bool rh_range_lost(const struct rh_range *range);

#endif

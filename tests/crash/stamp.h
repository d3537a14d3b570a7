/* SPDX-License-Identifier: MIT */
/*
 * stamp - 512 bytes that say who wrote them
 *
 * Each sector that a test writes names the write, its writer and the sector
 * for which it was meant, and every other byte follows from these. So a sector
 * found on a disk is of exactly one write, or it is nobody's: part of one and
 * part of another do not make a stamp.
 *
 * A driver whose request has completed stamps the buffer once more, as spent.
 * Where such a stamp gets to the disk, a request was executed after it had
 * completed.
 *
 * Any thread.
 */
#ifndef CRASH_STAMP_H
#define CRASH_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_BYTES 512u

struct stamp {
	uint64_t sequence; /* of the write, counted over all writers */
	uint64_t sector;
	uint64_t writer; /* stamp_writer() */
	bool is_spent;
};

enum stamp_kind {
	STAMP_ZEROES, /* 512 of them */
	STAMP_WHOLE,
	STAMP_BROKEN, /* anything else */
};

static inline uint64_t stamp_writer(unsigned int queue, unsigned int slot)
{
	return (uint64_t)queue << 32 | slot;
}

void stamp_write(const struct stamp *stamp, void *sector);

/* The same write, one sector after the other from stamp->sector on. */
void stamp_write_run(const struct stamp *stamp, void *data,
		     uint32_t nr_sectors);

/* *ret is set for a whole stamp, and where the first bytes are those of one. */
enum stamp_kind stamp_read(const void *sector, struct stamp *ret);

#endif

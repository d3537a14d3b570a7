/* SPDX-License-Identifier: MIT */
/*
 * scribble - a guest's second CPU, which rewrites what the first has written
 *
 * A request is a chain of four descriptors (header, two buffers, status), in
 * the ring or in a table of its own. scribble_request() makes a good one; each
 * scribble_once() overwrites one field of anything: ring, table, header,
 * segment, event word, used ring, in-flight record.
 *
 * Most values are such that a chain goes on making sense. The others are far
 * off; but whatever address a descriptor is read with and whatever length, it
 * either reaches past the end of guest memory, or lies between base and
 * base + SCRIBBLE_REACH: so nothing behind that may ever change.
 *
 * Any thread; the fields are those of the guest, who has to look after none.
 */
#ifndef TESTS_RACE_SCRIBBLE_H
#define TESTS_RACE_SCRIBBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIBBLE_DESCS	 4     /* of a chain */
#define SCRIBBLE_DATA	 32768 /* from base: rings and the rest lie before */
#define SCRIBBLE_REACH	 (SCRIBBLE_DATA + 80 * 4096)
#define SCRIBBLE_HEADERS 24576 /* from base: header, status of each chain */
#define SCRIBBLE_TABLES	 16384 /* 64 bytes for each chain */
#define SCRIBBLE_SECTORS 256   /* of the disk, at least */

struct scribble {
	bool is_packed;
	bool is_indirect;
	uint16_t size;		/* of the ring, a multiple of SCRIBBLE_DESCS */
	unsigned int nr_chains; /* the fewer, the more each is overwritten */
	unsigned int rarity;	/* of what breaks a ring; 1: often */
	uint64_t base;		/* guest address of: */
	uint8_t *memory;
	uint8_t *desc; /* the three parts of the ring, in this memory */
	uint8_t *driver;
	uint8_t *device;
	uint8_t *inflight; /* NULL: none */
	size_t inflight_bytes;
};

/* A step of a generator of numbers; *state: not 0. */
uint64_t scribble_random(uint64_t *state);

/*
 * A good request for chain i of nr_chains, which all fit into the ring:
 * header, table, status.
 * In a split ring it has the descriptors from i * SCRIBBLE_DESCS on.
 */
void scribble_split_request(const struct scribble *scribble, unsigned int i,
			    uint64_t *state);

/*
 * The same in a packed ring, from entry at on, available in the round of this
 * wrap counter, the first one last. Returns how many entries it took; none of
 * them is beyond the ring's end, around which it goes.
 */
unsigned int scribble_packed_request(const struct scribble *scribble,
				     unsigned int i, uint16_t at, bool wrap,
				     uint64_t *state);

/* Overwrite one field, or a few. */
void scribble_once(const struct scribble *scribble, uint64_t *state);

#endif

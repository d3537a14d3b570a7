/* SPDX-License-Identifier: MIT */
/*
 * guest - a driver that gives its disk the same requests again and again
 *
 * Rounds of GUEST_DEPTH requests, all of one shape, in memory that is the
 * last of three regions, as that of a guest of more than 4 GiB is. The next
 * round comes when the answers to the last one are there, each of which is
 * checked. The guest wants to be notified of each round, and kicks only where
 * it is asked to.
 *
 * What fails in here ends the program. Thread: that of the worker, or any
 * other one that kicks after each round, asked or not.
 */
#ifndef TESTS_COUNT_GUEST_H
#define TESTS_COUNT_GUEST_H

#include "tests/unit/packed-memory.h"

#define GUEST_DEPTH	    32
#define GUEST_SEGMENT_BYTES 4096

struct guest_shape {
	bool is_packed;
	bool is_indirect;
	bool writes;
	bool flushes;		  /* in place of reads, without segments */
	unsigned int nr_segments; /* of GUEST_SEGMENT_BYTES */
};

#define GUEST_MAX_SEGMENTS 32

struct guest {
	struct guest_shape shape;
	struct packed_memory memory; /* memory.ring alone if it is not packed */
	uint64_t request[GUEST_DEPTH]; /* header and status */
	uint64_t data[GUEST_DEPTH];
};

void guest_init(struct guest *guest, struct guest_shape shape);
void guest_deinit(struct guest *guest);

/* The features that the shape needs, EVENT_IDX among them. */
uint64_t guest_features(const struct guest *guest);

/* True if the last round, or none, was answered as a whole. */
bool guest_is_answered(struct guest *guest);

/* Make a round available; true if the device wants a kick. */
bool guest_ask(struct guest *guest);

#endif

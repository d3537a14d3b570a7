/* SPDX-License-Identifier: MIT */
/*
 * pace - whether storage works at the speed of memory, by what it did
 *
 * An operation carried out in the worker's own thread is the cheapest one as
 * long as it does not wait for a device; one that does wait keeps every other
 * queue of the worker waiting, too. Nobody can tell beforehand: the page cache
 * takes writes at the speed of memory until it has too many. So each batch is
 * timed. One that was slow closes the way for a while, which doubles with each
 * such batch up to a second, and halves again after as long without one.
 *
 * Arithmetic only; times are of any steady clock. Owner: the worker's thread.
 */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_MIN_PENALTY_NSEC UINT64_C(1000000)
#define PACE_MAX_PENALTY_NSEC UINT64_C(1000000000)

/* All zero: open. */
struct pace {
	bool closed;
	uint64_t reopens_nsec;
	uint64_t penalty_nsec; /* what the last slow batch cost; 0: none */
};

/* True if the next batch may run in the worker's thread. */
bool pace_allows(struct pace *pace, uint64_t now_nsec);

/* nr operations that moved bytes in all have run from start to end. */
struct pace_batch {
	unsigned int nr;
	uint64_t bytes;
	uint64_t start_nsec;
	uint64_t end_nsec;
};

void pace_note(struct pace *pace, const struct pace_batch *batch);

#endif

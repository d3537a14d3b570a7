/* SPDX-License-Identifier: MIT */
/*
 * lane - one queue at work: filled, published, reaped, counted
 *
 * A turn takes all that the device has used, asks as much anew, publishes it
 * at once and decides about one kick. A lane that waits asks for a call with
 * the next used entry between the two, as a driver with interrupts does, which
 * leaves its handler before it sends the next request; one that does not wants
 * no calls. Latency runs from the moment before the
 * publication (with a rate, from when the request was due) to the moment at
 * which it was seen used. The clock is read twice a turn.
 *
 * Owner: the thread that drives it, but for its last members, which anybody
 * may read.
 */
#ifndef BENCH_LANE_H
#define BENCH_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/job.h"
#include "bench/ledger.h"
#include "bench/pattern.h"
#include "bench/tally.h"
#include "bench/vq.h"

enum lane_mode {
	LANE_ASKS,    /* goes on with its job, and measures it */
	LANE_GOES_ON, /* the same, not measured */
	LANE_CHECKS,  /* reads once what it wrote, when it verifies */
	LANE_ENDS,    /* asks nothing more */
};

struct lane_slot {
	uint64_t since_nsec;
	uint64_t block;
	uint32_t
		sequence; /* what a write wrote, and a read must find; 0: none */
	bool writes;
};

struct lane {
	struct vq vq;
	struct job job;
	bool has_pace;
	struct pace pace;
	struct ledger ledger; /* entries: NULL without --verify */
	uint64_t run;	      /* of its pattern_stamps */
	uint32_t last_sequence;
	uint64_t block_bytes;
	struct lane_slot *slots;
	uint32_t *free; /* a stack of slots */
	uint32_t *batch;
	uint32_t nr_free;
	bool waits;
	bool armed;		 /* a call will come with the next used entry */
	uint32_t nr_since_quiet; /* answers since calls were suppressed */

	struct tally reads;
	struct tally writes;
	uint64_t nr_kicks;
	uint64_t nr_checked;	/* reads of what this run wrote */
	uint64_t nr_mismatches; /* those that found something else */

	_Atomic int error; /* -errno: the device broke the queue */
	_Atomic uint64_t nr_answered;
	_Atomic uint32_t nr_under_way;
};

struct lane_setup {
	struct vq_shape shape;
	struct job_range range;
	struct job job;
	uint64_t rate; /* 0: none */
	uint64_t block_bytes;
	uint64_t run;
	bool verify;
	bool waits;
};

/* Returns 0 or -errno; deinit is harmless after failure and for zeroes. */
int lane_init(struct lane *lane, struct fe_memory *memory,
	      const struct lane_setup *setup);
void lane_deinit(struct lane *lane);

/* Before its first turn; the clock of a lane with a rate begins. */
void lane_start(struct lane *lane, uint64_t rate);

/* Forget all that was counted. */
void lane_clear(struct lane *lane);

/*
 * Take, ask, publish. Returns how many requests moved; lane->error is set, and
 * nothing moves, once the device broke the queue.
 */
uint32_t lane_turn(struct lane *lane, enum lane_mode mode);

/* True when no request is under way. */
static inline bool lane_is_idle(const struct lane *lane)
{
	return lane->nr_free == lane->vq.nr_slots;
}

/* When it wants to ask next, in nsec; UINT64_MAX: after an answer. */
uint64_t lane_due_nsec(const struct lane *lane, enum lane_mode mode);

/*
 * For a lane that waits, when its thread has slept: what comes now needs no
 * call, until the next turn.
 */
void lane_wake(struct lane *lane);

#endif

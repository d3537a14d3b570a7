/* SPDX-License-Identifier: MIT */
/*
 * turn_clock - the time of a worker's turn, looked up when it is first asked
 *
 * Reading the clock takes longer than much of what a request needs, so all
 * that a turn begins and ends shares one time: that of the first question
 * since the worker went to sleep or might have. A turn that asks nothing reads
 * nothing.
 *
 * Owner: a worker's thread.
 */
#ifndef SERVER_TURN_CLOCK_H
#define SERVER_TURN_CLOCK_H

#include "common/base.h"
#include "common/nsec.h"

struct turn_clock {
	uint64_t now_nsec; /* 0: not known */
};

/* Look again: time has passed that matters. Never 0. */
static inline uint64_t turn_clock_read(struct turn_clock *clock)
{
	clock->now_nsec = nsec_now();
	return clock->now_nsec;
}

static inline uint64_t turn_clock_now(struct turn_clock *clock)
{
	if (unlikely(!clock->now_nsec))
		return turn_clock_read(clock);
	return clock->now_nsec;
}

/* The worker may be about to sleep. */
static inline void turn_clock_forget(struct turn_clock *clock)
{
	clock->now_nsec = 0;
}

#endif

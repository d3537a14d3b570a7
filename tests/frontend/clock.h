/* SPDX-License-Identifier: MIT */
/*
 * clock - deadlines on the monotonic clock
 *
 * Everything in this library that waits takes a time-out in milliseconds and
 * turns it into a deadline once, so that no sequence of small waits adds up
 * to more. Any thread.
 */
#ifndef FRONTEND_CLOCK_H
#define FRONTEND_CLOCK_H

#include <stdint.h>
#include <time.h>

/*
 * How long to wait for what has to come: no claim about how fast anybody is,
 * but the end of a test that hangs. A machine with much else to do lets a
 * thread stand still for seconds, and has been seen to do so for a minute.
 */
#define FE_PATIENCE_MSEC 180000

static inline uint64_t fe_now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t fe_deadline(int timeout_msec)
{
	return fe_now_usec() + (uint64_t)timeout_msec * 1000;
}

/* Milliseconds left, rounded up, for poll(2); 0 when it has passed. */
static inline int fe_remaining_msec(uint64_t deadline_usec)
{
	uint64_t now = fe_now_usec();

	if (now >= deadline_usec)
		return 0;
	return (int)((deadline_usec - now + 999) / 1000);
}

#endif

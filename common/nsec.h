/* SPDX-License-Identifier: MIT */
/*
 * nsec - the monotonic clock in nanoseconds
 *
 * Any thread. Costs some 20 ns, so it is read once for a batch.
 */
#ifndef COMMON_NSEC_H
#define COMMON_NSEC_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)

static inline uint64_t nsec_of(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static inline uint64_t nsec_now(void)
{
	return nsec_of(CLOCK_MONOTONIC);
}

#endif

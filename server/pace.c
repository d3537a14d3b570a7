/* SPDX-License-Identifier: MIT */
/*
 * pace - whether storage works at the speed of memory, by what it did
 *
 * What a batch may take is far more than memory needs, and far less than a
 * wait for a device or for writeback: a thread that lost its CPU for a moment
 * is no slow disk.
 */
#include "common/base.h"
#include "server/pace.h"

#define BATCH_NSEC   UINT64_C(250000)
#define REQUEST_NSEC UINT64_C(30000)
#define NSEC_PER_KIB UINT64_C(1000)

static bool was_slow(const struct pace_batch *batch)
{
	uint64_t allowed_nsec = BATCH_NSEC + batch->nr * REQUEST_NSEC +
				(batch->bytes >> 10) * NSEC_PER_KIB;

	return batch->end_nsec - batch->start_nsec > allowed_nsec;
}

bool pace_allows(struct pace *pace, uint64_t now_nsec)
{
	if (pace->closed && now_nsec >= pace->reopens_nsec)
		pace->closed = false;
	return !pace->closed;
}

void pace_note(struct pace *pace, const struct pace_batch *batch)
{
	uint64_t now_nsec = batch->end_nsec;

	if (unlikely(was_slow(batch))) {
		pace->penalty_nsec =
			MAX(pace->penalty_nsec * 2, PACE_MIN_PENALTY_NSEC);
		pace->penalty_nsec =
			MIN(pace->penalty_nsec, PACE_MAX_PENALTY_NSEC);
		pace->reopens_nsec = now_nsec + pace->penalty_nsec;
		pace->closed = true;
	} else if (unlikely(pace->penalty_nsec) &&
		   now_nsec >= pace->reopens_nsec + pace->penalty_nsec) {
		pace->penalty_nsec /= 2;
		if (pace->penalty_nsec < PACE_MIN_PENALTY_NSEC)
			pace->penalty_nsec = 0;
		pace->reopens_nsec = now_nsec;
	}
}

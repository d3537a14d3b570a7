/* SPDX-License-Identifier: MIT */
/*
 * job - what to ask next: which block, read or write, and when
 *
 * A job is one queue's share of the work. Blocks are counted from the start of
 * the disk in units of the request's size. Random jobs take any block of their
 * range with the same probability, sequential ones go round theirs. The same
 * seed gives the same steps.
 *
 * Owner: one thread.
 */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include <stdbool.h>
#include <stdint.h>

struct job_range {
	uint64_t first; /* block */
	uint64_t nr;	/* not 0 */
};

struct job_step {
	uint64_t block;
	bool writes;
};

struct job {
	struct job_range range;
	uint64_t next;	/* of a sequential job, from the range's start */
	uint64_t state; /* of the random numbers */
	uint32_t read_percent;
	bool random;
};

/* read_percent: 0 to 100 */
void job_init(struct job *job, struct job_range range, bool random,
	      uint32_t read_percent, uint64_t seed);

/* The share of queue i when a range of at least nr blocks is divided by nr. */
struct job_range job_share(struct job_range range, uint32_t i, uint32_t nr);

struct job_step job_next(struct job *job);

/*
 * A pace: requests are due at equal distances from a start on. Who is late
 * may catch up, and the time at which a request was due stays what it was.
 */
struct pace {
	double interval_nsec;
	uint64_t start_nsec;
	uint64_t nr; /* requests that have been made */
};

/* rate: a second, not 0 */
void pace_init(struct pace *pace, uint64_t rate, uint64_t start_nsec);

/* When the next request is due. */
static inline uint64_t pace_due_nsec(const struct pace *pace)
{
	return pace->start_nsec +
	       (uint64_t)((double)pace->nr * pace->interval_nsec);
}

static inline void pace_step(struct pace *pace)
{
	pace->nr++;
}

#endif

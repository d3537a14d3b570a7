/* SPDX-License-Identifier: MIT */
/*
 * job - what to ask next: which block, read or write, and when
 *
 * The random numbers come from a counter that is stirred well, so that two
 * queues whose seeds differ by one have nothing in common.
 */
#include "bench/job.h"

#include "common/nsec.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* A bijection in which each bit of the result depends on each of value. */
static uint64_t stir(uint64_t value)
{
	value = (value ^ (value >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	value = (value ^ (value >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return value ^ (value >> 32);
}

static uint64_t next_random(struct job *job)
{
	job->state += GOLDEN;
	return stir(job->state);
}

/* A number below limit. */
static uint64_t scale(uint64_t random, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)random * limit) >> 64);
}

void job_init(struct job *job, struct job_range range, bool random,
	      uint32_t read_percent, uint64_t seed)
{
	*job = (struct job){
		.range = range,
		.state = stir(seed),
		.read_percent = read_percent,
		.random = random,
	};
}

struct job_range job_share(struct job_range range, uint32_t i, uint32_t nr)
{
	uint64_t each = range.nr / nr;

	return (struct job_range){ range.first + each * i, each };
}

struct job_step job_next(struct job *job)
{
	struct job_step step = { .block = job->range.first };

	if (job->random) {
		step.block += scale(next_random(job), job->range.nr);
	} else {
		step.block += job->next;
		job->next = job->next + 1 < job->range.nr ? job->next + 1 : 0;
	}
	if (job->read_percent == 0)
		step.writes = true;
	else if (job->read_percent < 100)
		step.writes = scale(next_random(job), 100) >= job->read_percent;
	return step;
}

void pace_init(struct pace *pace, uint64_t rate, uint64_t start_nsec)
{
	*pace = (struct pace){
		.interval_nsec = (double)NSEC_PER_SEC / (double)rate,
		.start_nsec = start_nsec,
	};
}

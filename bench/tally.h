/* SPDX-License-Identifier: MIT */
/*
 * tally - how many requests of a kind were answered, how well, and how fast
 *
 * Owner: one thread; merging needs both.
 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stdint.h>

#include "bench/histogram.h"

struct tally {
	uint64_t nr_errors;	  /* also outside of the time measured */
	struct histogram latency; /* in nanoseconds */
};

static inline void tally_clear(struct tally *tally)
{
	tally->nr_errors = 0;
	histogram_clear(&tally->latency);
}

static inline void tally_merge(struct tally *to, const struct tally *from)
{
	to->nr_errors += from->nr_errors;
	histogram_merge(&to->latency, &from->latency);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * histogram - how often each latency was seen, with less than 1 % error
 *
 * Up to 64 nanoseconds each value has a bucket of its own; from there on each
 * power of two is cut into 64 equal buckets, up to 2^40 nanoseconds, which is
 * 18 minutes; what is longer counts as that. Adding is a few instructions, and
 * the buckets in use are few, so they stay in the cache.
 *
 * Owner: one thread; merging needs both.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#include "common/loglinear.h"

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_MAX	   ((UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1)
#define HISTOGRAM_NR_BUCKETS                                                   \
	LOGLINEAR_NR_BUCKETS(HISTOGRAM_MAX_BITS, HISTOGRAM_SUB_BITS)

/* All zero but min is empty: histogram_clear(). */
struct histogram {
	uint64_t nr;
	uint64_t sum;
	uint64_t min; /* exact, as is max */
	uint64_t max;
	uint64_t buckets[HISTOGRAM_NR_BUCKETS];
};

static inline unsigned int histogram_index(uint64_t value)
{
	if (value > HISTOGRAM_MAX)
		value = HISTOGRAM_MAX;
	return loglinear_index(value, HISTOGRAM_SUB_BITS);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->nr++;
	histogram->sum += value;
	if (value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->buckets[histogram_index(value)]++;
}

void histogram_clear(struct histogram *histogram);
void histogram_merge(struct histogram *to, const struct histogram *from);

/*
 * The value that this share of all, above 0 and up to 1, does not exceed; 0
 * when it is empty.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);

#endif

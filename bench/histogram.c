/* SPDX-License-Identifier: MIT */
/*
 * histogram - how often each latency was seen, with less than 1 % error
 *
 * A bucket stands for the value in its middle, and a bucket is at most a 64th
 * of its lowest value wide.
 */
#include "bench/histogram.h"

#include <math.h>
#include <string.h>

#include "common/base.h"

void histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
	histogram->min = UINT64_MAX;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	to->nr += from->nr;
	to->sum += from->sum;
	to->min = MIN(to->min, from->min);
	to->max = MAX(to->max, from->max);
	for (unsigned int i = 0; i < HISTOGRAM_NR_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t rank = (uint64_t)ceil(share * (double)histogram->nr);
	uint64_t nr = 0;
	unsigned int i;

	if (!histogram->nr)
		return 0;
	rank = MIN(MAX(rank, UINT64_C(1)), histogram->nr);
	for (i = 0; i < HISTOGRAM_NR_BUCKETS - 1; i++) {
		nr += histogram->buckets[i];
		if (nr >= rank)
			break;
	}
	return MIN(MAX(loglinear_middle(i, HISTOGRAM_SUB_BITS), histogram->min),
		   histogram->max);
}

double histogram_mean(const struct histogram *histogram)
{
	if (!histogram->nr)
		return 0;
	return (double)histogram->sum / (double)histogram->nr;
}

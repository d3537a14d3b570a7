/* SPDX-License-Identifier: MIT */
/*
 * blk_stats - what a queue has done: how much, how often, how long it took
 *
 * There is one writer, so a number is read, added to and stored: no locked
 * instruction. A reader takes the number of requests from the buckets, so that
 * a histogram is never at odds with its own count.
 */
#include "server/blk_stats.h"

#include "common/base.h"

static uint64_t get(const atomic_uint_fast64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

static void set(atomic_uint_fast64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static void add(atomic_uint_fast64_t *number, uint64_t value)
{
	set(number, get(number) + value);
}

void blk_stats_add(struct blk_stats *stats, enum blk_kind kind,
		   const struct blk_batch *batch, uint64_t now_nsec)
{
	struct blk_kind_stats *of_kind = &stats->kinds[kind];
	uint64_t nsec = now_nsec - batch->start_nsec;
	uint64_t longest_nsec = (UINT64_C(1) << BLK_LATENCY_MAX_BITS) - 1;
	unsigned int i =
		loglinear_index(MIN(nsec, longest_nsec), BLK_LATENCY_SUB_BITS);

	add(&of_kind->nr, batch->nr);
	add(&of_kind->bytes, batch->bytes);
	add(&of_kind->sum_nsec, batch->nr * nsec);
	if (nsec > get(&of_kind->max_nsec))
		set(&of_kind->max_nsec, nsec);
	add(&of_kind->buckets[i], batch->nr);
	set(&stats->last_nsec, now_nsec);
}

void blk_stats_add_failure(struct blk_stats *stats, enum blk_kind kind)
{
	add(&stats->kinds[kind].nr_failed, 1);
}

void blk_stats_add_invalid(struct blk_stats *stats, enum blk_kind kind)
{
	add(&stats->kinds[kind].nr_invalid, 1);
}

void blk_stats_sum(const struct blk_stats *stats, enum blk_kind kind,
		   struct blk_kind_sum *sum)
{
	const struct blk_kind_stats *of_kind = &stats->kinds[kind];

	sum->nr_failed += get(&of_kind->nr_failed);
	sum->nr_invalid += get(&of_kind->nr_invalid);
	if (!get(&of_kind->nr))
		return; /* which leaves the pages of its buckets alone */
	sum->bytes += get(&of_kind->bytes);
	sum->sum_nsec += get(&of_kind->sum_nsec);
	sum->max_nsec = MAX(sum->max_nsec, get(&of_kind->max_nsec));
	for (unsigned int i = 0; i < BLK_LATENCY_NR_BUCKETS; i++) {
		uint64_t nr = get(&of_kind->buckets[i]);

		sum->buckets[i] += nr;
		sum->nr += nr;
	}
}

uint64_t blk_kind_sum_quantile(const struct blk_kind_sum *sum,
			       unsigned int per_mille)
{
	uint64_t rank = sum->nr - sum->nr / 1000 * (1000 - per_mille) -
			sum->nr % 1000 * (1000 - per_mille) / 1000;
	uint64_t nr = 0;
	unsigned int i;

	if (!sum->nr)
		return 0;
	for (i = 0; i < BLK_LATENCY_NR_BUCKETS - 1; i++) {
		nr += sum->buckets[i];
		if (nr >= MAX(rank, UINT64_C(1)))
			break;
	}
	return MIN(loglinear_middle(i, BLK_LATENCY_SUB_BITS), sum->max_nsec);
}

uint64_t blk_kind_sum_below(const struct blk_kind_sum *sum, unsigned int bits)
{
	unsigned int end =
		loglinear_index(UINT64_C(1) << bits, BLK_LATENCY_SUB_BITS);
	uint64_t nr = 0;

	for (unsigned int i = 0; i < end; i++)
		nr += sum->buckets[i];
	return nr;
}

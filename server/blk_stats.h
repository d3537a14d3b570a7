/* SPDX-License-Identifier: MIT */
/*
 * blk_stats - what a queue has done: how much, how often, how long it took
 *
 * One struct blk_stats for each queue of a disk, which lives as long as that,
 * whoever connects. Its numbers only grow, and are written by the queue's
 * owner alone, without a lock; anybody may read them meanwhile, and sees each
 * number as it was a moment ago.
 *
 * A latency is the time from when a request was taken out of the ring to when
 * it was given back, kept in buckets that are at most a 16th of their lowest
 * value wide.
 */
#ifndef SERVER_BLK_STATS_H
#define SERVER_BLK_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/loglinear.h"

#define BLK_LATENCY_SUB_BITS 4
#define BLK_LATENCY_MAX_BITS 40 /* of nanoseconds: what is longer counts so */
#define BLK_LATENCY_NR_BUCKETS                                                 \
	LOGLINEAR_NR_BUCKETS(BLK_LATENCY_MAX_BITS, BLK_LATENCY_SUB_BITS)

enum blk_kind {
	BLK_KIND_READ,
	BLK_KIND_WRITE,
	BLK_KIND_FLUSH,
	BLK_KIND_DISCARD,
	BLK_KIND_WRITE_ZEROES,
	BLK_KIND_OTHER, /* an ID was asked for, or something unknown */
	BLK_NR_KINDS,
};

/* Few cache lines for each kind in use: this one, and those of its times. */
struct blk_kind_stats {
	_Alignas(64) atomic_uint_fast64_t nr;
	atomic_uint_fast64_t nr_failed;
	atomic_uint_fast64_t nr_invalid;
	atomic_uint_fast64_t bytes;
	atomic_uint_fast64_t sum_nsec;
	atomic_uint_fast64_t max_nsec;
	_Alignas(64) atomic_uint_fast64_t buckets[BLK_LATENCY_NR_BUCKETS];
};

struct blk_stats {
	atomic_uint_fast64_t nr_under_way; /* at the end of a turn */
	atomic_uint_fast64_t last_nsec;	   /* when a request ended; 0: never */
	struct blk_kind_stats kinds[BLK_NR_KINDS];
};

/* Requests of a kind that took as long as each other. */
struct blk_batch {
	uint64_t nr;
	uint64_t bytes; /* that were moved, of all together */
	uint64_t start_nsec;
};

/* Owner: all of batch has ended now. */
void blk_stats_add(struct blk_stats *stats, enum blk_kind kind,
		   const struct blk_batch *batch, uint64_t now_nsec);

/* Owner: one of those that are added had no success. */
void blk_stats_add_failure(struct blk_stats *stats, enum blk_kind kind);

/* Owner: one of those without success was refused for what it asked. */
void blk_stats_add_invalid(struct blk_stats *stats, enum blk_kind kind);

static inline void blk_stats_set_under_way(struct blk_stats *stats,
					   unsigned int nr)
{
	atomic_store_explicit(&stats->nr_under_way, nr, memory_order_relaxed);
}

/* The same for whoever reads, of one queue or of several together. */
struct blk_kind_sum {
	uint64_t nr; /* as many as there are in buckets */
	uint64_t nr_failed;
	uint64_t nr_invalid; /* of those that failed */
	uint64_t bytes;
	uint64_t sum_nsec;
	uint64_t max_nsec;
	uint64_t buckets[BLK_LATENCY_NR_BUCKETS];
};

/* Any thread: add what is in stats to sum. */
void blk_stats_sum(const struct blk_stats *stats, enum blk_kind kind,
		   struct blk_kind_sum *sum);

/* The time that so many of a thousand did not exceed; 0 if there are none. */
uint64_t blk_kind_sum_quantile(const struct blk_kind_sum *sum,
			       unsigned int per_mille);

/*
 * How many took less than 2^bits nanoseconds, exactly. bits: from
 * BLK_LATENCY_SUB_BITS to BLK_LATENCY_MAX_BITS.
 */
uint64_t blk_kind_sum_below(const struct blk_kind_sum *sum, unsigned int bits);

#endif

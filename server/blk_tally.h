/* SPDX-License-Identifier: MIT */
/*
 * blk_tally - the requests that end in a turn, counted for a queue's statistics
 *
 * Requests that were taken in one turn bear its time, so those of a kind that
 * end in one turn, too, took equally long and make a batch. What nearly each
 * request costs is an addition in the batch of its kind; a batch goes into the
 * statistics when one with another beginning comes along, or at the end of a
 * turn.
 *
 * Owner: the queue's.
 */
#ifndef SERVER_BLK_TALLY_H
#define SERVER_BLK_TALLY_H

#include <stdbool.h>

#include "common/base.h"
#include "server/blk_stats.h"
#include "server/turn_clock.h"

struct blk_tally {
	struct blk_stats *stats; /* not owned, as the clock */
	struct turn_clock *clock;
	unsigned int open; /* kinds that have a batch, a bit for each */
	struct blk_batch batches[BLK_NR_KINDS];
};

/* All else of it is zero. */
static inline void blk_tally_init(struct blk_tally *tally,
				  struct blk_stats *stats,
				  struct turn_clock *clock)
{
	tally->stats = stats;
	tally->clock = clock;
}

/* A request of this kind has ended that was taken then, by the clock. */
void blk_tally_add(struct blk_tally *tally, enum blk_kind kind,
		   uint64_t start_nsec, uint64_t bytes);

/* The same where that takes no call; else it changes nothing: returns false. */
static inline bool blk_tally_join(struct blk_tally *tally, enum blk_kind kind,
				  uint64_t start_nsec, uint64_t bytes)
{
	struct blk_batch *batch = &tally->batches[kind];

	if (unlikely(batch->start_nsec != start_nsec))
		return false;
	batch->nr++;
	batch->bytes += bytes;
	return true;
}

/* For blk_tally_flush(): there is something to be done. */
void blk_tally_settle(struct blk_tally *tally);

/* The end of a turn, in which so many requests are left under way. */
static inline void blk_tally_flush(struct blk_tally *tally,
				   unsigned int nr_under_way)
{
	if (tally->open)
		blk_tally_settle(tally);
	blk_stats_set_under_way(tally->stats, nr_under_way);
}

#endif

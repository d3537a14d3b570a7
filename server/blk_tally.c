/* SPDX-License-Identifier: MIT */
/*
 * blk_tally - the requests that end in a turn, counted for a queue's statistics
 *
 * What began in the turn in which it ended is the one case in which the time
 * of the turn does not do: it would have taken no time at all.
 */
#include "server/blk_tally.h"

static void close_batch(struct blk_tally *tally, unsigned int kind,
			uint64_t now_nsec)
{
	struct blk_batch *batch = &tally->batches[kind];

	blk_stats_add(tally->stats, kind, batch, now_nsec);
	batch->start_nsec = 0; /* no request's */
	tally->open &= ~(1u << kind);
}

static void open_batch(struct blk_tally *tally, enum blk_kind kind,
		       uint64_t start_nsec)
{
	if (tally->open & 1u << kind)
		close_batch(tally, kind, turn_clock_now(tally->clock));
	tally->open |= 1u << kind;
	tally->batches[kind] = (struct blk_batch){ .start_nsec = start_nsec };
}

void blk_tally_add(struct blk_tally *tally, enum blk_kind kind,
		   uint64_t start_nsec, uint64_t bytes)
{
	if (tally->batches[kind].start_nsec != start_nsec)
		open_batch(tally, kind, start_nsec);
	blk_tally_join(tally, kind, start_nsec, bytes);
}

void blk_tally_settle(struct blk_tally *tally)
{
	uint64_t now_nsec = turn_clock_now(tally->clock);

	for (unsigned int left = tally->open; left; left &= left - 1) {
		if (tally->batches[__builtin_ctz(left)].start_nsec == now_nsec)
			now_nsec = turn_clock_read(tally->clock);
	}
	while (tally->open)
		close_batch(tally, (unsigned int)__builtin_ctz(tally->open),
			    now_nsec);
}

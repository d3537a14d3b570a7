/* SPDX-License-Identifier: MIT */
/*
 * ledger - which blocks of a range this run wrote, and which are in use
 *
 * For --verify: a block is asked for once at a time, so that it is certain
 * what a read must find. Owner: the thread of its queue.
 */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/job.h"

#define LEDGER_MAX_BLOCKS (UINT64_C(1) << 28)

struct ledger {
	struct job_range range;
	uint32_t *entries; /* NULL: there is none */
	uint64_t cursor;   /* of ledger_next_written() */
};

/* Returns 0 or -ENOMEM. deinit is harmless after failure and for zeroes. */
int ledger_init(struct ledger *ledger, struct job_range range);
void ledger_deinit(struct ledger *ledger);

/*
 * Take this block, or the next one that nobody has; the caller has it until
 * ledger_put(). Returns false when all are taken.
 */
bool ledger_get(struct ledger *ledger, uint64_t *block);

/* sequence: of what is on the disk now, 31 bits; 0: that is not known. */
void ledger_put(struct ledger *ledger, uint64_t block, uint32_t sequence);

/* Of the write that the block holds; 0: of none, or it is not known. */
uint32_t ledger_sequence(const struct ledger *ledger, uint64_t block);

/*
 * Take the next block that was written, each once. Nothing else is under way
 * in the range that is not a read of such a block. Returns false at the end.
 */
bool ledger_next_written(struct ledger *ledger, uint64_t *block);

#endif

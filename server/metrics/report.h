/* SPDX-License-Identifier: MIT */
/*
 * report - what is known of exports, as metrics
 *
 * The names and what they mean are in ringhost-metrics(7). Whoever has the
 * exports collects what stands here; all is borrowed.
 */
#ifndef SERVER_METRICS_REPORT_H
#define SERVER_METRICS_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/blk_stats.h"

/* Buckets of a histogram end at 2^13 nanoseconds, 2^14, ..., 2^33. */
#define REPORT_FIRST_BITS 13
#define REPORT_LAST_BITS  33
#define REPORT_NR_BUCKETS (REPORT_LAST_BITS - REPORT_FIRST_BITS + 1)

/* Kinds of request that have one: reads, writes and flushes. */
#define REPORT_NR_HISTOGRAMS (BLK_KIND_FLUSH + 1)

struct report_histogram {
	uint64_t below[REPORT_NR_BUCKETS]; /* cumulative */
	uint64_t nr;
	uint64_t sum_nsec;
};

struct report_kind {
	uint64_t nr;
	uint64_t nr_failed;
	uint64_t bytes;
};

struct report_queue {
	const char *iothread; /* NULL: none has it */
	uint64_t nr_under_way;
	struct report_kind kinds[BLK_NR_KINDS];
};

struct report_export {
	const char *id;
	const char *node;
	bool connected;
	uint64_t nr_sessions_ended;
	uint64_t size_bytes;
	unsigned int nr_queues;
	struct report_queue *queues;
	struct report_histogram latencies[REPORT_NR_HISTOGRAMS];
};

/* Of the process; -1: not known. */
struct report_process {
	int64_t cpu_nsec;
	int64_t start_sec; /* since 1970 */
	int64_t resident_bytes;
	int64_t nr_fds;
	int64_t max_fds;
};

/* Add what a queue has done to that of its export. */
void report_add_queue(struct report_export *export, struct report_queue *queue,
		      const struct blk_stats *stats);

/* Returns 0 with *text, which the caller frees; or -ENOMEM. */
int report_write(const struct report_export *exports, unsigned int nr_exports,
		 const struct report_process *process, char **text,
		 size_t *nr_bytes);

#endif

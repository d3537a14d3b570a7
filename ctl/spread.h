/* SPDX-License-Identifier: MIT */
/*
 * spread - how many of a number of requests took how long
 *
 * Made of a daemon's buckets, each with the longest time that it stands for
 * and how many requests fell into it, whatever its buckets are. Those of
 * several queues are added up; an earlier one taken off a later one is what
 * happened in between.
 *
 * Owner: the caller; one thread.
 */
#ifndef CTL_SPREAD_H
#define CTL_SPREAD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define SPREAD_MAX_BUCKETS 8192

struct spread_bucket {
	uint64_t upper_nsec;
	uint64_t nr;
};

/* Zeroes are an empty one. */
struct spread {
	struct spread_bucket *buckets; /* in the order of their times */
	size_t nr_buckets;
};

void spread_deinit(struct spread *spread);

/*
 * Adds an array of [upper_ns, count]; what is none is passed over. Returns 0
 * or -ENOMEM, also for more buckets than a daemon has.
 */
int spread_add_json(struct spread *spread, const json_t *buckets);

/* Adds another one. Returns 0 or -ENOMEM. */
int spread_add(struct spread *spread, const struct spread *more);

/* Takes an earlier one off; what that has more of counts as none. */
void spread_take_off(struct spread *spread, const struct spread *earlier);

uint64_t spread_nr(const struct spread *spread);

/*
 * The time that this share of all, above 0 and up to 1, did not exceed; 0:
 * there are none.
 */
uint64_t spread_quantile(const struct spread *spread, double share);

#endif

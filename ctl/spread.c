/* SPDX-License-Identifier: MIT */
/*
 * spread - how many of a number of requests took how long
 */
#include "ctl/spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"

void spread_deinit(struct spread *spread)
{
	free(spread->buckets);
	*spread = (struct spread){ 0 };
}

/* Where a bucket of this time is, or is to be. */
static size_t find(const struct spread *spread, uint64_t upper_nsec)
{
	size_t low = 0;
	size_t high = spread->nr_buckets;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spread->buckets[middle].upper_nsec < upper_nsec)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_there(const struct spread *spread, size_t i, uint64_t upper_nsec)
{
	return i < spread->nr_buckets &&
	       spread->buckets[i].upper_nsec == upper_nsec;
}

static int add_bucket(struct spread *spread, struct spread_bucket bucket)
{
	size_t i = find(spread, bucket.upper_nsec);
	struct spread_bucket *buckets;

	if (is_there(spread, i, bucket.upper_nsec)) {
		/* a sum of lies is not to wrap */
		if (add_overflows(spread->buckets[i].nr, bucket.nr,
				  &spread->buckets[i].nr))
			spread->buckets[i].nr = UINT64_MAX;
		return 0;
	}
	if (spread->nr_buckets == SPREAD_MAX_BUCKETS)
		return -ENOMEM;
	buckets = reallocarray(spread->buckets, spread->nr_buckets + 1,
			       sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	memmove(buckets + i + 1, buckets + i,
		(spread->nr_buckets - i) * sizeof(*buckets));
	buckets[i] = bucket;
	spread->buckets = buckets;
	spread->nr_buckets++;
	return 0;
}

int spread_add_json(struct spread *spread, const json_t *buckets)
{
	int error = 0;

	for (size_t i = 0; !error && i < json_array_size(buckets); i++) {
		const json_t *pair = json_array_get(buckets, i);
		json_int_t upper = json_integer_value(json_array_get(pair, 0));
		json_int_t nr = json_integer_value(json_array_get(pair, 1));

		if (upper >= 0 && nr > 0)
			error = add_bucket(
				spread, (struct spread_bucket){ (uint64_t)upper,
								(uint64_t)nr });
	}
	return error;
}

int spread_add(struct spread *spread, const struct spread *more)
{
	int error = 0;

	for (size_t i = 0; !error && i < more->nr_buckets; i++)
		error = add_bucket(spread, more->buckets[i]);
	return error;
}

void spread_take_off(struct spread *spread, const struct spread *earlier)
{
	for (size_t i = 0; i < earlier->nr_buckets; i++) {
		const struct spread_bucket *bucket = &earlier->buckets[i];
		size_t at = find(spread, bucket->upper_nsec);

		if (is_there(spread, at, bucket->upper_nsec))
			spread->buckets[at].nr -=
				MIN(bucket->nr, spread->buckets[at].nr);
	}
}

uint64_t spread_nr(const struct spread *spread)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < spread->nr_buckets; i++) {
		if (add_overflows(nr, spread->buckets[i].nr, &nr))
			return UINT64_MAX;
	}
	return nr;
}

uint64_t spread_quantile(const struct spread *spread, double share)
{
	uint64_t last_nsec = 0;
	double wanted = 0;
	double nr = 0;

	for (size_t i = 0; i < spread->nr_buckets; i++)
		wanted += (double)spread->buckets[i].nr;
	wanted *= share;
	for (size_t i = 0; i < spread->nr_buckets; i++) {
		if (!spread->buckets[i].nr)
			continue;
		nr += (double)spread->buckets[i].nr;
		last_nsec = spread->buckets[i].upper_nsec;
		if (nr >= wanted)
			break;
	}
	return last_nsec;
}

/* SPDX-License-Identifier: MIT */
/*
 * throttle_limits - how much a disk, or a group of disks, may do
 *
 * The numbers as an operator gives them, under the names that QEMU has for
 * them: "iops-total", "iops-total-max", "iops-total-max-length" and so on, and
 * "iops-size".
 */
#ifndef SERVER_THROTTLE_LIMITS_H
#define SERVER_THROTTLE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

enum throttle_kind {
	THROTTLE_IOPS_TOTAL,
	THROTTLE_IOPS_READ,
	THROTTLE_IOPS_WRITE,
	THROTTLE_BPS_TOTAL,
	THROTTLE_BPS_READ,
	THROTTLE_BPS_WRITE,
	THROTTLE_NR_KINDS,
};

#define THROTTLE_MAX_VALUE UINT64_C(1000000000000000)
#define THROTTLE_WHY_BYTES 160

/* Of one kind; in requests or bytes for each second. */
struct throttle_rate {
	uint64_t avg;	     /* 0: no limit */
	uint64_t max;	     /* in a burst; 0: no bursts but for a moment */
	uint64_t max_length; /* of a burst at that rate, in seconds */
};

struct throttle_limits {
	struct throttle_rate rates[THROTTLE_NR_KINDS];
	/*
	 * A request of more bytes counts as so many requests as it has times
	 * this, fractions and all; 0: each counts as one.
	 */
	uint64_t iops_size;
};

/* No limit at all. */
#define THROTTLE_NO_LIMITS                                                     \
	((struct throttle_limits){                                             \
		.rates = { [0 ... THROTTLE_NR_KINDS - 1] = { 0, 0, 1 } } })

/* The numbers of an object of limits, each with its name. */
#define THROTTLE_NR_FIELDS (3 * THROTTLE_NR_KINDS + 1)

/* flat: as an object's own, which begin with "x-". */
const char *throttle_field_name(unsigned int field, bool flat);
uint64_t *throttle_field(struct throttle_limits *limits, unsigned int field);

/* Returns 0, or -EINVAL with a sentence in why. */
int throttle_limits_check(const struct throttle_limits *limits,
			  char why[THROTTLE_WHY_BYTES]);

/* True if anything is limited. */
bool throttle_limits_any(const struct throttle_limits *limits);

#endif

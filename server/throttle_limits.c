/* SPDX-License-Identifier: MIT */
/*
 * throttle_limits - how much a disk, or a group of disks, may do
 *
 * What is refused is what QEMU refuses, but for a total beside a limit of reads
 * or writes: both hold then.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base.h"
#include "server/throttle_limits.h"

static const char *const kind_names[THROTTLE_NR_KINDS] = {
	[THROTTLE_IOPS_TOTAL] = "iops-total",
	[THROTTLE_IOPS_READ] = "iops-read",
	[THROTTLE_IOPS_WRITE] = "iops-write",
	[THROTTLE_BPS_TOTAL] = "bps-total",
	[THROTTLE_BPS_READ] = "bps-read",
	[THROTTLE_BPS_WRITE] = "bps-write",
};

#define RATE_NAMES(name) name, name "-max", name "-max-length"
#define FIELD_NAMES(prefix)                                                    \
	{                                                                      \
		RATE_NAMES(prefix "iops-total"),                               \
			RATE_NAMES(prefix "iops-read"),                        \
			RATE_NAMES(prefix "iops-write"),                       \
			RATE_NAMES(prefix "bps-total"),                        \
			RATE_NAMES(prefix "bps-read"),                         \
			RATE_NAMES(prefix "bps-write"), prefix "iops-size",    \
	}

const char *throttle_field_name(unsigned int field, bool flat)
{
	static const char *const names[2][THROTTLE_NR_FIELDS] = {
		FIELD_NAMES(""), FIELD_NAMES("x-")
	};

	return names[flat][field];
}

uint64_t *throttle_field(struct throttle_limits *limits, unsigned int field)
{
	struct throttle_rate *rate = &limits->rates[field / 3];

	if (field == THROTTLE_NR_FIELDS - 1)
		return &limits->iops_size;
	if (field % 3 == 0)
		return &rate->avg;
	return field % 3 == 1 ? &rate->max : &rate->max_length;
}

PRINTF_LIKE(2, 3)
static int refuse(char why[THROTTLE_WHY_BYTES], const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(why, THROTTLE_WHY_BYTES, format, list);
	va_end(list);
	return -EINVAL;
}

static int check_rate(const struct throttle_rate *rate, const char *name,
		      char why[THROTTLE_WHY_BYTES])
{
	if (rate->avg > THROTTLE_MAX_VALUE || rate->max > THROTTLE_MAX_VALUE)
		return refuse(why, "%s and %s-max take a number from 0 to %llu",
			      name, name,
			      (unsigned long long)THROTTLE_MAX_VALUE);
	if (rate->max && !rate->avg)
		return refuse(why, "%s-max needs %s as well", name, name);
	if (rate->max && rate->max < rate->avg)
		return refuse(why, "%s-max cannot be lower than %s", name,
			      name);
	if (!rate->max_length)
		return refuse(why, "%s-max-length cannot be 0", name);
	if (rate->max_length > 1 && !rate->max)
		return refuse(why, "%s-max-length needs %s-max as well", name,
			      name);
	if (rate->max && rate->max_length > THROTTLE_MAX_VALUE / rate->max)
		return refuse(why, "%s-max-length is too high for this %s-max",
			      name, name);
	return 0;
}

int throttle_limits_check(const struct throttle_limits *limits,
			  char why[THROTTLE_WHY_BYTES])
{
	int error = 0;

	for (unsigned int i = 0; !error && i < THROTTLE_NR_KINDS; i++)
		error = check_rate(&limits->rates[i], kind_names[i], why);
	if (error || !limits->iops_size)
		return error;
	if (limits->iops_size > THROTTLE_MAX_VALUE)
		return refuse(why, "iops-size takes a number from 0 to %llu",
			      (unsigned long long)THROTTLE_MAX_VALUE);
	for (unsigned int i = THROTTLE_IOPS_TOTAL; i <= THROTTLE_IOPS_WRITE;
	     i++)
		if (limits->rates[i].avg)
			return 0;
	return refuse(why, "iops-size needs a limit of requests, such as "
			   "iops-total");
}

bool throttle_limits_any(const struct throttle_limits *limits)
{
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++) {
		if (limits->rates[i].avg)
			return true;
	}
	return false;
}

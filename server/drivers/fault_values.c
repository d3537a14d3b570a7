/* SPDX-License-Identifier: MIT */
/*
 * fault_values - the words of a rule, one at a time
 *
 * Numbers, times, percentages, places and names; every refusal has the word
 * and what would be right.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/nsec.h"
#include "server/drivers/fault_values.h"
#include "server/sizes.h"

#define MAX_TIME_SEC UINT64_C(1000000000)
#define HOLD_NSEC    NSEC_PER_SEC
#define MAX_PERCENT  100
#define PPM_DIGITS   4 /* behind the point of a percentage */

int fault_refuse(const struct fault_reader *reader, const char *format, ...)
{
	char why[FAULT_MAX_RULE_BYTES + 256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	rh_log(RH_LOG_ERROR, FAULT_TAG, "--fault=%s is refused: %s",
	       reader->text, why);
	return -EINVAL;
}

static int refuse_value(const struct fault_reader *reader, const char *takes)
{
	return fault_refuse(reader, "%s=%s takes %s", reader->name,
			    reader->value, takes);
}

/* Digits only, and something else behind them. */
static int read_number(const char *text, const char **end, uint64_t *ret)
{
	char *stop;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &stop, 10);
	*end = stop;
	return errno ? -EINVAL : 0;
}

static int read_count(const struct fault_reader *reader, uint64_t *ret)
{
	const char *end;

	if (read_number(reader->value, &end, ret) < 0 || *end || !*ret)
		return refuse_value(reader, "a number from 1 on");
	return 0;
}

static int read_time(const char *text, const char **end, uint64_t *ret)
{
	static const struct {
		const char *unit;
		uint64_t nsec;
	} units[] = {
		{ "us", 1000 },
		{ "ms", NSEC_PER_MSEC },
		{ "s", NSEC_PER_SEC },
		{ "m", 60 * NSEC_PER_SEC },
	};
	uint64_t number;
	size_t length;

	if (read_number(text, end, &number) < 0 || number > MAX_TIME_SEC)
		return -EINVAL;
	length = strspn(*end, "mus");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strlen(units[i].unit) != length ||
		    strncmp(*end, units[i].unit, length))
			continue;
		*end += length;
		*ret = number * units[i].nsec;
		return *ret > MAX_TIME_SEC * NSEC_PER_SEC ? -EINVAL : 0;
	}
	return -EINVAL;
}

#define TAKES_TIME "a time such as 500us, 20ms, 5s or 2m"

/* A time and nothing else, and not 0. */
static int read_some_time(const struct fault_reader *reader, uint64_t *ret)
{
	const char *end;

	if (read_time(reader->value, &end, ret) < 0 || *end || !*ret)
		return refuse_value(reader, TAKES_TIME);
	return 0;
}

int fault_take_after(struct fault_reader *reader)
{
	return read_count(reader, &reader->rule->after);
}

int fault_take_first(struct fault_reader *reader)
{
	return read_count(reader, &reader->rule->first);
}

int fault_take_nth(struct fault_reader *reader)
{
	return read_count(reader, &reader->rule->nth);
}

int fault_take_every(struct fault_reader *reader)
{
	return read_count(reader, &reader->rule->every);
}

int fault_take_up(struct fault_reader *reader)
{
	return read_some_time(reader, &reader->rule->up_nsec);
}

int fault_take_down(struct fault_reader *reader)
{
	return read_some_time(reader, &reader->rule->down_nsec);
}

/* A percentage with up to four digits behind the point, as parts of 10^6 */
int fault_take_chance(struct fault_reader *reader)
{
	const char *end = reader->value;
	uint64_t scale = 10000;
	uint64_t whole = 0;
	uint64_t ppm;

	if (read_number(end, &end, &whole) < 0 || whole > MAX_PERCENT)
		return refuse_value(reader, "a percentage such as 5% or 0.1%");
	ppm = whole * scale;
	if (*end == '.') {
		end++;
		for (int i = 0; i < PPM_DIGITS && isdigit((unsigned char)*end);
		     i++) {
			scale /= 10;
			ppm += (uint64_t)(*end++ - '0') * scale;
		}
	}
	if (strcmp(end, "%") || !ppm || ppm > (uint64_t)MAX_PERCENT * 10000)
		return refuse_value(reader,
				    "a percentage such as 5% or 0.1%, from "
				    "0.0001% to 100%");
	reader->rule->chance_ppm = ppm;
	return 0;
}

/* text: cut out of the value; empty for the default */
static int read_place(const char *text, struct fault_place *ret)
{
	const char *end;

	if (!*text)
		return 0;
	if (!read_number(text, &end, &ret->number) && !strcmp(end, "%")) {
		ret->is_percent = true;
		return ret->number > MAX_PERCENT ? -EINVAL : 0;
	}
	ret->is_percent = false;
	return sizes_parse(text, &ret->number);
}

int fault_take_offset(struct fault_reader *reader)
{
	static const char takes[] =
		"two places with - between them, such as 1M-2M, 80%- or -64k";
	struct fault_rule *rule = reader->rule;
	char copy[FAULT_MAX_RULE_BYTES];
	char *dash;

	snprintf(copy, sizeof(copy), "%s", reader->value);
	dash = strchr(copy, '-');
	rule->end = (struct fault_place){ .number = UINT64_MAX };
	if (!dash)
		return refuse_value(reader, takes);
	*dash = '\0';
	if (read_place(copy, &rule->start) < 0 ||
	    read_place(dash + 1, &rule->end) < 0)
		return refuse_value(reader, takes);
	if (rule->start.is_percent == rule->end.is_percent &&
	    rule->start.number >= rule->end.number)
		return refuse_value(reader, "a start below its end");
	rule->has_offset = true;
	return 0;
}

int fault_take_error(struct fault_reader *reader)
{
	/* What a disk may say; each is what errno(3) calls it. */
	static const struct {
		const char *name;
		int number;
	} errors[] = {
		{ "EIO", EIO },
		{ "ENOSPC", ENOSPC },
		{ "EROFS", EROFS },
		{ "EDQUOT", EDQUOT },
		{ "ENOMEM", ENOMEM },
		{ "ETIMEDOUT", ETIMEDOUT },
		{ "EBADF", EBADF },
		{ "EBUSY", EBUSY },
		{ "EFBIG", EFBIG },
		{ "EILSEQ", EILSEQ },
		{ "EINVAL", EINVAL },
		{ "ENODEV", ENODEV },
		{ "ENOLINK", ENOLINK },
		{ "ENXIO", ENXIO },
		{ "EOPNOTSUPP", EOPNOTSUPP },
		{ "EPERM", EPERM },
		{ "EREMOTEIO", EREMOTEIO },
		{ "ESTALE", ESTALE },
		{ "EAGAIN", EAGAIN },
		{ "EINTR", EINTR },
	};

	reader->rule->effect = FAULT_ERROR;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strcmp(reader->value, errors[i].name))
			continue;
		reader->rule->error = -errors[i].number;
		return 0;
	}
	return refuse_value(reader, "the name of an error, such as EIO, ENOSPC "
				    "or EROFS (docs/fault-injection.md)");
}

int fault_take_delay(struct fault_reader *reader)
{
	static const char takes[] =
		"a time such as 20ms, or a range such as 1ms-10ms";
	struct fault_rule *rule = reader->rule;
	const char *end;

	rule->effect = FAULT_DELAY;
	if (read_time(reader->value, &end, &rule->min_nsec) < 0)
		return refuse_value(reader, takes);
	rule->max_nsec = rule->min_nsec;
	if (*end == '-' && read_time(end + 1, &end, &rule->max_nsec) < 0)
		return refuse_value(reader, takes);
	if (*end || rule->max_nsec < rule->min_nsec)
		return refuse_value(reader, takes);
	return 0;
}

int fault_take_hold(struct fault_reader *reader)
{
	static const char takes[] =
		"a number of requests, such as 3, or with a time, 3/100ms";
	struct fault_rule *rule = reader->rule;
	const char *end;

	rule->effect = FAULT_HOLD;
	rule->max_nsec = HOLD_NSEC;
	if (read_number(reader->value, &end, &rule->count) < 0 || !rule->count)
		return refuse_value(reader, takes);
	if (*end == '/' && read_time(end + 1, &end, &rule->max_nsec) < 0)
		return refuse_value(reader, takes);
	return *end || !rule->max_nsec ? refuse_value(reader, takes) : 0;
}

int fault_take_hang(struct fault_reader *reader)
{
	reader->rule->effect = FAULT_HANG;
	if (!reader->value)
		return 0;
	return read_some_time(reader, &reader->rule->max_nsec);
}

int fault_take_flip(struct fault_reader *reader)
{
	reader->rule->effect = FAULT_FLIP;
	return 0;
}

int fault_take_short(struct fault_reader *reader)
{
	struct fault_rule *rule = reader->rule;

	rule->effect = FAULT_SHORT;
	rule->has_bytes = reader->value;
	if (reader->value && sizes_parse(reader->value, &rule->bytes) < 0)
		return refuse_value(reader, "a size such as 512 or 4k");
	return 0;
}

int fault_take_power_cut(struct fault_reader *reader)
{
	struct fault_rule *rule = reader->rule;
	const char *end;

	rule->effect = FAULT_POWER_CUT;
	if (!strcmp(reader->value, "none"))
		rule->keep = FAULT_KEEP_NONE;
	else if (!strcmp(reader->value, "all"))
		rule->keep = FAULT_KEEP_ALL;
	else if (!strcmp(reader->value, "random"))
		rule->keep = FAULT_KEEP_RANDOM;
	else if (!read_number(reader->value, &end, &rule->count) && !*end)
		rule->keep = FAULT_KEEP_FIRST;
	else
		return refuse_value(reader, "none, all, random, or how many "
					    "writes to keep");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * fault_rule - what is to go wrong, and when: one --fault=RULE
 *
 * A rule is cut at its commas. The first word names operations; each further
 * one is looked up in a table, whose function checks its value; at the end
 * the words are checked against each other. Every refusal is a sentence that
 * has the rule, the word, and what would be right.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "common/nsec.h"
#include "server/drivers/fault_rule.h"
#include "server/sizes.h"

#define TAG	     "ringhost"
#define MAX_TIME_SEC UINT64_C(1000000000)
#define HOLD_NSEC    NSEC_PER_SEC
#define MAX_PERCENT  100
#define PPM_DIGITS   4 /* behind the point of a percentage */

#define BIT(op)	     (1u << (op))
#define GUEST_OPS    (BIT(FAULT_HOST_READ) - 1)
#define HOST_OPS     (BIT(FAULT_SIGNAL) - 1 - GUEST_OPS)

struct reader {
	const char *text; /* the whole rule */
	const char *name; /* of the word at hand */
	const char *value;
	struct fault_rule *rule;
};

static int PRINTF_LIKE(2, 3)
	refuse(const struct reader *reader, const char *format, ...)
{
	char why[FAULT_MAX_RULE_BYTES + 256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	rh_log(RH_LOG_ERROR, TAG, "--fault=%s is refused: %s", reader->text,
	       why);
	return -EINVAL;
}

static int refuse_value(const struct reader *reader, const char *takes)
{
	return refuse(reader, "%s=%s takes %s", reader->name, reader->value,
		      takes);
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

static int read_count(const struct reader *reader, uint64_t *ret)
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
static int read_some_time(const struct reader *reader, uint64_t *ret)
{
	const char *end;

	if (read_time(reader->value, &end, ret) < 0 || *end || !*ret)
		return refuse_value(reader, TAKES_TIME);
	return 0;
}

static int take_after(struct reader *reader)
{
	return read_count(reader, &reader->rule->after);
}

static int take_first(struct reader *reader)
{
	return read_count(reader, &reader->rule->first);
}

static int take_nth(struct reader *reader)
{
	return read_count(reader, &reader->rule->nth);
}

static int take_every(struct reader *reader)
{
	return read_count(reader, &reader->rule->every);
}

static int take_up(struct reader *reader)
{
	return read_some_time(reader, &reader->rule->up_nsec);
}

static int take_down(struct reader *reader)
{
	return read_some_time(reader, &reader->rule->down_nsec);
}

/* A percentage with up to four digits behind the point, as parts of 10^6 */
static int take_chance(struct reader *reader)
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
	if (strcmp(end, "%") || !ppm || ppm > MAX_PERCENT * 10000)
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

static int take_offset(struct reader *reader)
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

static int take_error(struct reader *reader)
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

static int take_delay(struct reader *reader)
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

static int take_hold(struct reader *reader)
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

static int take_hang(struct reader *reader)
{
	reader->rule->effect = FAULT_HANG;
	if (!reader->value)
		return 0;
	return read_some_time(reader, &reader->rule->max_nsec);
}

static int take_flip(struct reader *reader)
{
	reader->rule->effect = FAULT_FLIP;
	return 0;
}

static int take_short(struct reader *reader)
{
	struct fault_rule *rule = reader->rule;

	rule->effect = FAULT_SHORT;
	rule->has_bytes = reader->value;
	if (reader->value && sizes_parse(reader->value, &rule->bytes) < 0)
		return refuse_value(reader, "a size such as 512 or 4k");
	return 0;
}

static int take_power_cut(struct reader *reader)
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

enum value {
	VALUE_NEEDED,
	VALUE_NONE,
	VALUE_MAY_BE,
};

static const struct word {
	const char *name;
	int (*take)(struct reader *reader);
	enum value value;
	bool is_effect;
} words[] = {
	{ "after", take_after, VALUE_NEEDED, false },
	{ "chance", take_chance, VALUE_NEEDED, false },
	{ "down", take_down, VALUE_NEEDED, false },
	{ "every", take_every, VALUE_NEEDED, false },
	{ "first", take_first, VALUE_NEEDED, false },
	{ "nth", take_nth, VALUE_NEEDED, false },
	{ "offset", take_offset, VALUE_NEEDED, false },
	{ "up", take_up, VALUE_NEEDED, false },
	{ "delay", take_delay, VALUE_NEEDED, true },
	{ "error", take_error, VALUE_NEEDED, true },
	{ "flip", take_flip, VALUE_NONE, true },
	{ "hang", take_hang, VALUE_MAY_BE, true },
	{ "hold", take_hold, VALUE_NEEDED, true },
	{ "power-cut", take_power_cut, VALUE_NEEDED, true },
	{ "short", take_short, VALUE_MAY_BE, true },
};

static int read_ops(struct reader *reader, char *names)
{
	static const struct {
		const char *name;
		unsigned int ops;
	} ops[] = {
		{ "read", BIT(FAULT_READ) },
		{ "write", BIT(FAULT_WRITE) },
		{ "flush", BIT(FAULT_FLUSH) },
		{ "discard", BIT(FAULT_DISCARD) },
		{ "write-zeroes", BIT(FAULT_WRITE_ZEROES) },
		{ "any", GUEST_OPS },
		{ "host-read", BIT(FAULT_HOST_READ) },
		{ "host-write", BIT(FAULT_HOST_WRITE) },
		{ "host-sync", BIT(FAULT_HOST_SYNC) },
		{ "host-zero", BIT(FAULT_HOST_ZERO) },
		{ "host-any", HOST_OPS },
		{ "signal", BIT(FAULT_SIGNAL) },
	};
	const char *name;

	while ((name = strsep(&names, "+"))) {
		size_t i = 0;

		while (i < ARRAY_SIZE(ops) && strcmp(ops[i].name, name))
			i++;
		if (i == ARRAY_SIZE(ops))
			return refuse(reader,
				      "it begins with an operation, and '%s' "
				      "is none: read, write, flush, discard, "
				      "write-zeroes, any, host-read, "
				      "host-write, host-sync, host-zero, "
				      "host-any or signal",
				      name);
		reader->rule->ops |= ops[i].ops;
	}
	return 0;
}

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i].name, name))
			return &words[i];
	}
	return NULL;
}

static int read_word(struct reader *reader, char *text, unsigned int *given)
{
	const struct word *word;
	char *equals = strchr(text, '=');
	unsigned int bit;

	if (equals)
		*equals = '\0';
	reader->name = text;
	reader->value = equals ? equals + 1 : NULL;
	word = find_word(text);
	if (!word)
		return refuse(reader,
			      "'%s' is neither a condition (after, chance, "
			      "down, every, first, nth, offset, up) nor an "
			      "effect (delay, error, flip, hang, hold, "
			      "power-cut, short)",
			      text);
	bit = 1u << (word - words);
	if (*given & bit)
		return refuse(reader, "%s is there twice", text);
	if (word->is_effect && reader->rule->effect != FAULT_NOTHING)
		return refuse(reader, "it has two effects: make two rules");
	*given |= bit;
	if (word->value == VALUE_NEEDED && !reader->value)
		return refuse(reader, "%s needs a value: %s=...", text, text);
	if (word->value == VALUE_NONE && reader->value)
		return refuse(reader, "%s takes no value", text);
	return word->take(reader);
}

static int check_effect(const struct reader *reader)
{
	const struct fault_rule *rule = reader->rule;
	const unsigned int movers =
		BIT(FAULT_HOST_READ) | BIT(FAULT_HOST_WRITE);

	if (rule->effect == FAULT_NOTHING)
		return refuse(reader, "it says when, but not what is to go "
				      "wrong: add error=EIO, delay=20ms or "
				      "another effect");
	if (rule->effect == FAULT_SHORT && rule->ops & ~movers)
		return refuse(reader, "short is for host-read and host-write");
	if (rule->effect == FAULT_FLIP && rule->ops != BIT(FAULT_READ))
		return refuse(reader, "flip is for read");
	if (rule->ops & HOST_OPS && rule->effect != FAULT_ERROR &&
	    rule->effect != FAULT_SHORT)
		return refuse(reader, "host-... operations take error and "
				      "short only");
	if (rule->ops & BIT(FAULT_SIGNAL) && rule->effect != FAULT_POWER_CUT)
		return refuse(reader, "signal is for power-cut only");
	return 0;
}

static int check_conditions(const struct reader *reader)
{
	const struct fault_rule *rule = reader->rule;
	const unsigned int placeless =
		BIT(FAULT_FLUSH) | BIT(FAULT_HOST_SYNC) | BIT(FAULT_SIGNAL);

	if (!rule->down_nsec != !rule->up_nsec)
		return refuse(reader, "up and down go together: how long it "
				      "is well, and how long it is not");
	if (rule->nth && (rule->every || rule->first))
		return refuse(reader,
			      "nth=%llu is a single one: leave every "
			      "and first out",
			      (unsigned long long)rule->nth);
	if (rule->has_offset && !(rule->ops & ~placeless))
		return refuse(reader, "it could never apply, since that has "
				      "no offset");
	return 0;
}

int fault_rule_parse(const char *text, struct fault_rule *ret)
{
	struct fault_rule rule = { 0 };
	struct reader reader = { .text = text, .rule = &rule };
	char copy[FAULT_MAX_RULE_BYTES];
	unsigned int given = 0;
	char *next = copy;
	char *word;
	int error;

	if (strlen(text) >= sizeof(copy)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--fault=%.40s... is refused: it has %zu characters, "
		       "and %zu are the most",
		       text, strlen(text), sizeof(copy) - 1);
		return -EINVAL;
	}
	strcpy(copy, text);
	error = read_ops(&reader, strsep(&next, ","));
	while (!error && (word = strsep(&next, ",")))
		error = read_word(&reader, word, &given);
	if (!error)
		error = check_effect(&reader);
	if (!error)
		error = check_conditions(&reader);
	if (!error)
		*ret = rule;
	return error;
}

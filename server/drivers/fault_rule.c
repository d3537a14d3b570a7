/* SPDX-License-Identifier: MIT */
/*
 * fault_rule - what is to go wrong, and when: one --fault=RULE
 *
 * A rule is cut at its commas. The first word names operations; each further
 * one is looked up in a table, whose function checks its value; at the end
 * the words are checked against each other.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "server/drivers/fault_values.h"

#define BIT(op)	  (1u << (op))
#define GUEST_OPS (BIT(FAULT_HOST_READ) - 1)
#define HOST_OPS  (BIT(FAULT_SIGNAL) - 1 - GUEST_OPS)

enum value {
	VALUE_NEEDED,
	VALUE_NONE,
	VALUE_MAY_BE,
};

static const struct word {
	const char *name;
	int (*take)(struct fault_reader *reader);
	enum value value;
	bool is_effect;
} words[] = {
	{ "after", fault_take_after, VALUE_NEEDED, false },
	{ "chance", fault_take_chance, VALUE_NEEDED, false },
	{ "down", fault_take_down, VALUE_NEEDED, false },
	{ "every", fault_take_every, VALUE_NEEDED, false },
	{ "first", fault_take_first, VALUE_NEEDED, false },
	{ "nth", fault_take_nth, VALUE_NEEDED, false },
	{ "offset", fault_take_offset, VALUE_NEEDED, false },
	{ "up", fault_take_up, VALUE_NEEDED, false },
	{ "delay", fault_take_delay, VALUE_NEEDED, true },
	{ "error", fault_take_error, VALUE_NEEDED, true },
	{ "flip", fault_take_flip, VALUE_NONE, true },
	{ "hang", fault_take_hang, VALUE_MAY_BE, true },
	{ "hold", fault_take_hold, VALUE_NEEDED, true },
	{ "power-cut", fault_take_power_cut, VALUE_NEEDED, true },
	{ "short", fault_take_short, VALUE_MAY_BE, true },
};

static int read_ops(struct fault_reader *reader, char *names)
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
			return fault_refuse(
				reader,
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

static int read_word(struct fault_reader *reader, char *text,
		     unsigned int *given)
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
		return fault_refuse(
			reader,
			"'%s' is neither a condition (after, chance, "
			"down, every, first, nth, offset, up) nor an "
			"effect (delay, error, flip, hang, hold, "
			"power-cut, short)",
			text);
	bit = 1u << (word - words);
	if (*given & bit)
		return fault_refuse(reader, "%s is there twice", text);
	if (word->is_effect && reader->rule->effect != FAULT_NOTHING)
		return fault_refuse(reader,
				    "it has two effects: make two rules");
	*given |= bit;
	if (word->value == VALUE_NEEDED && !reader->value)
		return fault_refuse(reader, "%s needs a value: %s=...", text,
				    text);
	if (word->value == VALUE_NONE && reader->value)
		return fault_refuse(reader, "%s takes no value", text);
	return word->take(reader);
}

static int check_effect(const struct fault_reader *reader)
{
	const struct fault_rule *rule = reader->rule;
	const unsigned int movers =
		BIT(FAULT_HOST_READ) | BIT(FAULT_HOST_WRITE);

	if (rule->effect == FAULT_NOTHING)
		return fault_refuse(reader,
				    "it says when, but not what is to go "
				    "wrong: add error=EIO, delay=20ms or "
				    "another effect");
	if (rule->effect == FAULT_SHORT && rule->ops & ~movers)
		return fault_refuse(reader,
				    "short is for host-read and host-write");
	if (rule->effect == FAULT_FLIP && rule->ops != BIT(FAULT_READ))
		return fault_refuse(reader, "flip is for read");
	if (rule->ops & HOST_OPS && rule->effect != FAULT_ERROR &&
	    rule->effect != FAULT_SHORT)
		return fault_refuse(reader,
				    "host-... operations take error and "
				    "short only");
	if (rule->ops & BIT(FAULT_SIGNAL) && rule->effect != FAULT_POWER_CUT)
		return fault_refuse(reader, "signal is for power-cut only");
	return 0;
}

static int check_conditions(const struct fault_reader *reader)
{
	const struct fault_rule *rule = reader->rule;
	const unsigned int placeless =
		BIT(FAULT_FLUSH) | BIT(FAULT_HOST_SYNC) | BIT(FAULT_SIGNAL);

	if (!rule->down_nsec != !rule->up_nsec)
		return fault_refuse(reader,
				    "up and down go together: how long it "
				    "is well, and how long it is not");
	if (rule->nth && (rule->every || rule->first))
		return fault_refuse(reader,
				    "nth=%llu is a single one: leave every "
				    "and first out",
				    (unsigned long long)rule->nth);
	if (rule->has_offset && !(rule->ops & ~placeless))
		return fault_refuse(reader,
				    "it could never apply, since that has "
				    "no offset");
	return 0;
}

int fault_rule_parse(const char *text, struct fault_rule *ret)
{
	struct fault_rule rule = { 0 };
	struct fault_reader reader = { .text = text, .rule = &rule };
	char copy[FAULT_MAX_RULE_BYTES];
	unsigned int given = 0;
	char *next = copy;
	char *word;
	int error;

	if (strlen(text) >= sizeof(copy)) {
		rh_log(RH_LOG_ERROR, FAULT_TAG,
		       "--fault=%.40s... is refused: it has %zu characters, "
		       "and %zu are the most",
		       text, strlen(text), sizeof(copy) - 1);
		return -EINVAL;
	}
	memcpy(copy, text, strlen(text) + 1);
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

/* SPDX-License-Identifier: MIT */
/* fault-rule - what --fault=RULE says, may not say, and applies to */
#include <inttypes.h>

#include "tests/unit/command-line.h"

#include "common/base.h"
#include "common/nsec.h"
#include "server/drivers/fault_rule.h"

#define MIB (UINT64_C(1) << 20)

static struct fault_rule accepted(const char *text)
{
	struct command_line *command = command_line("");
	struct fault_rule rule;

	command_line_accepted(command, text, fault_rule_parse(text, &rule));
	return rule;
}

/* The sentence has the whole rule, and this. */
static void assert_refused(const char *text, const char *part)
{
	struct command_line *command = command_line("");
	struct fault_rule rule = { .count = 77 };
	char whole[COMMAND_LINE_BYTES];

	command_line_refused(command, text, fault_rule_parse(text, &rule),
			     part);
	snprintf(whole, sizeof(whole), "--fault=%s is refused: ", text);
	assert_non_null(strstr(command->logged, whole));
	assert_int_equal(rule.count, 77);
}

static struct fault_armed armed(const char *text)
{
	struct fault_rule rule = accepted(text);
	struct fault_armed armed;

	fault_rule_arm(&rule, 1, 0, &armed);
	fault_rule_place(&armed, 100 * MIB);
	return armed;
}

/* What becomes of the next ones, as a text: x for each it applies to. */
static const char *fates(struct fault_armed *armed, enum fault_op op,
			 unsigned int nr)
{
	static char fate[65];
	const struct fault_event event = { .op = op, .bytes = 512 };

	assert_in_range(nr, 1, sizeof(fate) - 1);
	for (unsigned int i = 0; i < nr; i++)
		fate[i] = fault_rule_applies(armed, &event) ? 'x' : '-';
	fate[nr] = '\0';
	return fate;
}

static bool applies_at(const char *text, uint64_t offset_bytes, uint64_t bytes)
{
	struct fault_armed rule = armed(text);
	const struct fault_event event = {
		.op = FAULT_WRITE,
		.offset_bytes = offset_bytes,
		.bytes = bytes,
	};

	return fault_rule_applies(&rule, &event);
}

static void a_rule_names_operations_and_an_effect(void **state)
{
	(void)state;
	assert_int_equal(accepted("read,error=EIO").ops, 1u << FAULT_READ);
	assert_int_equal(accepted("write+flush,error=ENOSPC").ops,
			 1u << FAULT_WRITE | 1u << FAULT_FLUSH);
	assert_int_equal(accepted("any,error=EROFS").ops, 0x1f);
	assert_int_equal(accepted("host-any,error=EIO").ops, 0x1e0);
	assert_int_equal(accepted("read,error=ENOSPC").error, -ENOSPC);
	assert_int_equal(accepted("read,error=EIO").effect, FAULT_ERROR);
	assert_int_equal(accepted("read,flip").effect, FAULT_FLIP);
}

static void times_have_units(void **state)
{
	(void)state;
	assert_int_equal(accepted("any,delay=7us").min_nsec, 7000);
	assert_int_equal(accepted("any,delay=20ms").max_nsec,
			 20 * NSEC_PER_MSEC);
	assert_int_equal(accepted("any,hang=3s").max_nsec, 3 * NSEC_PER_SEC);
	assert_int_equal(accepted("any,hang").max_nsec, 0);
	assert_int_equal(accepted("any,hold=2/1m").max_nsec, 60 * NSEC_PER_SEC);
	assert_int_equal(accepted("any,hold=2").max_nsec, NSEC_PER_SEC);
	assert_int_equal(accepted("any,delay=1ms-2s").max_nsec,
			 2 * NSEC_PER_SEC);
}

static void a_power_cut_says_what_is_kept(void **state)
{
	(void)state;
	assert_int_equal(accepted("write,power-cut=none").keep,
			 FAULT_KEEP_NONE);
	assert_int_equal(accepted("signal,power-cut=all").keep, FAULT_KEEP_ALL);
	assert_int_equal(accepted("any,power-cut=random").keep,
			 FAULT_KEEP_RANDOM);
	assert_int_equal(accepted("any,power-cut=12").keep, FAULT_KEEP_FIRST);
	assert_int_equal(accepted("any,power-cut=12").count, 12);
}

static void a_mistake_gets_a_sentence(void **state)
{
	static const char *const mistakes[][2] = {
		{ "", "it begins with an operation, and '' is none" },
		{ "error=EIO", "'error=EIO' is none: read, write, flush" },
		{ "write+scrub,error=EIO", "'scrub' is none" },
		{ "write", "not what is to go wrong" },
		{ "write,nth=3", "not what is to go wrong" },
		{ "write,error=EIO,", "'' is neither a condition" },
		{ "write,frobnicate", "'frobnicate' is neither" },
		{ "write,error", "error needs a value" },
		{ "write,error=", "error= takes the name of an error" },
		{ "write,error=EOOPS", "error=EOOPS takes the name" },
		{ "write,error=5", "error=5 takes the name" },
		{ "write,error=EIO,delay=1s", "two effects: make two rules" },
		{ "write,nth=1,nth=2,error=EIO", "nth is there twice" },
		{ "write,nth=0,error=EIO", "nth=0 takes a number from 1" },
		{ "write,nth=-1,error=EIO", "nth=-1 takes a number" },
		{ "write,nth=1x,error=EIO", "nth=1x takes a number" },
		{ "write,nth=99999999999999999999,error=EIO", "nth=9999" },
		{ "write,nth=2,every=3,error=EIO", "leave every and first" },
		{ "write,chance=5,error=EIO", "chance=5 takes a percentage" },
		{ "write,chance=0%,error=EIO", "from 0.0001% to 100%" },
		{ "write,chance=101%,error=EIO", "chance=101% takes" },
		{ "write,chance=100.1%,error=EIO", "from 0.0001% to 100%" },
		{ "write,chance=.5%,error=EIO", "chance=.5% takes" },
		{ "write,chance=0.00001%,error=EIO", "from 0.0001%" },
		{ "write,offset=1M,error=EIO", "two places with - between" },
		{ "write,offset=1M-x,error=EIO", "offset=1M-x takes" },
		{ "write,offset=2M-1M,error=EIO", "a start below its end" },
		{ "write,offset=5%-5%,error=EIO", "a start below its end" },
		{ "write,offset=101%-,error=EIO", "offset=101%- takes" },
		{ "flush,offset=1M-,error=EIO", "has no offset" },
		{ "any,up=1s,error=EIO", "up and down go together" },
		{ "any,down=1s,error=EIO", "up and down go together" },
		{ "any,up=1s,down=0s,error=EIO", "down=0s takes a time" },
		{ "any,delay=20", "delay=20 takes a time such as 20ms" },
		{ "any,delay=20sm", "delay=20sm takes a time" },
		{ "any,delay=2ms-1ms", "delay=2ms-1ms takes" },
		{ "any,delay=9999999999s", "delay=9999999999s takes" },
		{ "any,hang=0s", "hang=0s takes a time" },
		{ "any,hold=0", "hold=0 takes a number of requests" },
		{ "any,hold=1/5", "hold=1/5 takes a number of requests" },
		{ "read,flip=1", "flip takes no value" },
		{ "write,flip", "flip is for read" },
		{ "write,short", "short is for host-read and host-write" },
		{ "host-sync,short", "short is for host-read and host-write" },
		{ "host-write,short=x", "short=x takes a size" },
		{ "host-write,delay=1s", "take error and short only" },
		{ "signal,error=EIO", "signal is for power-cut only" },
		{ "write,power-cut=some", "power-cut=some takes none, all" },
		{ "write,power-cut", "power-cut needs a value" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++)
		assert_refused(mistakes[i][0], mistakes[i][1]);
}

static void a_rule_has_at_most_255_characters(void **state)
{
	struct command_line *command = command_line("");
	char text[FAULT_MAX_RULE_BYTES + 1];
	struct fault_rule rule;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	command_line_refused(command, text, fault_rule_parse(text, &rule),
			     "xxx... is refused: it has 256 characters, and "
			     "255 are the most");
}

static void counts_say_which_ones(void **state)
{
	struct fault_armed rule = armed("write,nth=3,error=EIO");

	(void)state;
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "--x-----");
	rule = armed("write,first=2,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "xx------");
	rule = armed("write,after=3,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "---xxxxx");
	rule = armed("write,every=3,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "--x--x--");
	rule = armed("write,after=2,first=3,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "--xxx---");
	rule = armed("write,after=1,every=2,first=4,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 8), "--x-x---");
	assert_int_equal(rule.nr_seen, 8);
	assert_int_equal(rule.nr_applied, 2);
}

static void what_does_not_concern_it_is_not_counted(void **state)
{
	struct fault_armed rule = armed("write,nth=2,error=EIO");

	(void)state;
	assert_string_equal(fates(&rule, FAULT_WRITE, 1), "-");
	assert_string_equal(fates(&rule, FAULT_READ, 3), "---");
	assert_string_equal(fates(&rule, FAULT_WRITE, 2), "x-");
	assert_int_equal(rule.nr_seen, 3);
}

static void an_offset_is_a_range_that_is_touched(void **state)
{
	static const char range[] = "write,offset=1M-2M,error=EIO";

	(void)state;
	assert_false(applies_at(range, MIB - 512, 512));
	assert_true(applies_at(range, MIB - 512, 1024));
	assert_true(applies_at(range, MIB, 512));
	assert_true(applies_at(range, 0, 100 * MIB));
	assert_true(applies_at(range, 2 * MIB - 512, 512));
	assert_false(applies_at(range, 2 * MIB, 512));
	assert_true(applies_at("write,offset=-1k,error=EIO", 512, 512));
	assert_false(applies_at("write,offset=-1k,error=EIO", 1024, 512));
	assert_false(
		applies_at("write,offset=80%-,error=EIO", 80 * MIB - 512, 512));
	assert_true(applies_at("write,offset=80%-,error=EIO", 80 * MIB, 512));
	assert_false(
		applies_at("write,offset=10%-20%,error=EIO", 20 * MIB, 512));
}

static void a_flush_has_no_place(void **state)
{
	struct fault_armed rule = armed("any,offset=0-,error=EIO");

	(void)state;
	assert_string_equal(fates(&rule, FAULT_FLUSH, 2), "--");
	assert_string_equal(fates(&rule, FAULT_READ, 1), "x");
}

static void chance_is_as_often_as_it_says_and_can_be_repeated(void **state)
{
	struct fault_armed rule = armed("write,chance=25%,error=EIO");
	struct fault_armed same = rule;
	struct fault_armed other;
	char fate[65];

	(void)state;
	strcpy(fate, fates(&rule, FAULT_WRITE, 64));
	assert_string_equal(fates(&same, FAULT_WRITE, 64), fate);
	fault_rule_arm(&rule.rule, 2, 0, &other);
	assert_string_not_equal(fates(&other, FAULT_WRITE, 64), fate);
	fault_rule_arm(&rule.rule, 1, 1, &other);
	assert_string_not_equal(fates(&other, FAULT_WRITE, 64), fate);
	for (int i = 0; i < 999; i++)
		fates(&rule, FAULT_WRITE, 64);
	assert_in_range(rule.nr_applied, 64000 / 4 - 1000, 64000 / 4 + 1000);
	rule = armed("write,chance=0.01%,error=EIO");
	for (int i = 0; i < 10000; i++)
		fates(&rule, FAULT_WRITE, 64);
	assert_in_range(rule.nr_applied, 20, 120);
	rule = armed("write,chance=100%,error=EIO");
	assert_string_equal(fates(&rule, FAULT_WRITE, 4), "xxxx");
}

static void it_is_up_first_and_then_down(void **state)
{
	struct fault_armed rule = armed("any,up=60s,down=5s,error=EIO");
	struct fault_event event = { .op = FAULT_READ, .bytes = 512 };
	static const struct {
		uint64_t second;
		bool down;
	} moments[] = {
		{ 0, false },  { 59, false },  { 60, true },  { 64, true },
		{ 65, false }, { 124, false }, { 125, true }, { 130, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		event.age_nsec = moments[i].second * NSEC_PER_SEC;
		assert_int_equal(fault_rule_applies(&rule, &event),
				 moments[i].down);
	}
}

static void a_delay_lies_in_its_range(void **state)
{
	struct fault_armed rule = armed("any,delay=1ms-3ms");
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t delay;

		fates(&rule, FAULT_READ, 1);
		delay = fault_rule_delay(&rule);
		assert_in_range(delay, NSEC_PER_MSEC, 3 * NSEC_PER_MSEC);
		least = MIN(least, delay);
		most = MAX(most, delay);
	}
	assert_true(most - least > NSEC_PER_MSEC);
	rule = armed("any,delay=5ms");
	assert_int_equal(fault_rule_delay(&rule), 5 * NSEC_PER_MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_names_operations_and_an_effect),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(a_power_cut_says_what_is_kept),
		cmocka_unit_test(a_mistake_gets_a_sentence),
		cmocka_unit_test(a_rule_has_at_most_255_characters),
		cmocka_unit_test(counts_say_which_ones),
		cmocka_unit_test(what_does_not_concern_it_is_not_counted),
		cmocka_unit_test(an_offset_is_a_range_that_is_touched),
		cmocka_unit_test(a_flush_has_no_place),
		cmocka_unit_test(
			chance_is_as_often_as_it_says_and_can_be_repeated),
		cmocka_unit_test(it_is_up_first_and_then_down),
		cmocka_unit_test(a_delay_lies_in_its_range),
	};

	return cmocka_run_group_tests_name("fault-rule", tests, NULL, NULL);
}

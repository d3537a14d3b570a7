/* SPDX-License-Identifier: MIT */
/* utf8 - a character has its bytes, and what is none has none */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/utf8.h"

static void characters_have_one_to_four_bytes(void **state)
{
	(void)state;
	assert_int_equal(rh_utf8_length("a"), 1);
	assert_int_equal(rh_utf8_length("\n"), 1);
	assert_int_equal(rh_utf8_length("\u00e4b"), 2);
	assert_int_equal(rh_utf8_length("\u20acb"), 3);
	assert_int_equal(rh_utf8_length("\U0001f600b"), 4);
}

static void the_first_and_last_of_each_length_are_characters(void **state)
{
	static const struct {
		const char *text;
		size_t nr;
	} rows[] = {
		{ "\xc2\x80", 2 },	   { "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },	   { "\xed\x9f\xbf", 3 },
		{ "\xee\x80\x80", 3 },	   { "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 }, { "\xf4\x8f\xbf\xbf", 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(rh_utf8_length(rows[i].text), rows[i].nr);
}

static void what_is_no_character_has_no_length(void **state)
{
	static const char *const texts[] = {
		"\x80", /* begins in the middle */
		"\xbf",
		"\xc0\x80", /* longer than needed */
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", /* half of a pair */
		"\xed\xbf\xbf",
		"\xf4\x90\x80\x80", /* beyond the last */
		"\xf5\x80\x80\x80",
		"\xfe",
		"\xff",
		"\xc3", /* the end comes too early */
		"\xe2\x82",
		"\xf0\x9f\x98",
		"\xc3(",
		"\xe2(\xac",
		"\xe2\x82(",
		"\xf0\x9f\x98(",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(rh_utf8_length(texts[i]), 0);
}

/* The NUL at the end is the last byte that is looked at. */
static void nothing_behind_the_end_is_looked_at(void **state)
{
	char text[] = { '\xf0', '\0', '\x98', '\x80' };

	(void)state;
	assert_int_equal(rh_utf8_length(text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_have_one_to_four_bytes),
		cmocka_unit_test(
			the_first_and_last_of_each_length_are_characters),
		cmocka_unit_test(what_is_no_character_has_no_length),
		cmocka_unit_test(nothing_behind_the_end_is_looked_at),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}

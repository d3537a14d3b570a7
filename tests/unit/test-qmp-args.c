/* SPDX-License-Identifier: MIT */
/* args - a command takes its arguments, and asks once whether all was right */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/qmp/args.h"

static json_t *object;

static struct args begin(const char *text, bool typed)
{
	struct args args;

	object = json_loads(text, 0, NULL);
	assert_non_null(object);
	args_begin(&args, object, typed);
	return args;
}

static void end(struct args *args, const char *why)
{
	assert_int_equal(args_end(args), why ? -EINVAL : 0);
	assert_string_equal(args->why, why ? why : "");
	json_decref(object);
}

static void each_type_is_taken_from_json(void **state)
{
	static const char *const words[] = { "safe", "hard", NULL };
	struct args args = begin("{\"id\": \"e0\", \"on\": true, \"nr\": 5, "
				 "\"mode\": \"hard\"}",
				 true);

	(void)state;
	assert_string_equal(args_text(&args, "id", ARGS_NEEDED), "e0");
	assert_true(args_flag(&args, "on", false));
	assert_int_equal(args_number(&args, "nr", 1, 5, 2), 5);
	assert_int_equal(args_word(&args, "mode", words, 0), 1);
	end(&args, NULL);
}

static void and_from_the_strings_of_a_command_line(void **state)
{
	struct args args = begin("{\"on\": \"on\", \"off\": \"off\", "
				 "\"nr\": \"5\", \"size\": \"4k\"}",
				 false);

	(void)state;
	assert_true(args_flag(&args, "on", false));
	assert_false(args_flag(&args, "off", true));
	assert_int_equal(args_number(&args, "nr", 1, 5, 2), 5);
	assert_int_equal(args_size(&args, "size", 0, 1 << 20, 0), 4096);
	end(&args, NULL);
}

static void what_is_not_there_has_its_default(void **state)
{
	static const char *const words[] = { "safe", "hard", NULL };
	struct args args;

	(void)state;
	args_begin(&args, NULL, true);
	assert_null(args_text(&args, "id", ARGS_OPTIONAL));
	assert_true(args_flag(&args, "on", true));
	assert_int_equal(args_number(&args, "nr", 1, 5, 77), 77);
	assert_int_equal(args_word(&args, "mode", words, 1), 1);
	assert_int_equal(args_end(&args), 0);
}

static void the_first_error_is_told(void **state)
{
	struct args args = begin("{\"nr\": 6}", true);

	(void)state;
	assert_int_equal(args_number(&args, "nr", 1, 5, 2), 2);
	args_text(&args, "id", ARGS_NEEDED);
	end(&args, "Parameter 'nr' takes a number from 1 to 5");

	args = begin("{}", true);
	args_text(&args, "id", ARGS_NEEDED);
	end(&args, "Parameter 'id' is missing");
}

static void types_are_not_mixed_up(void **state)
{
	struct args args = begin("{\"nr\": \"5\"}", true);

	(void)state;
	args_number(&args, "nr", 1, 5, 2);
	end(&args, "Parameter 'nr' takes a number from 1 to 5");
	args = begin("{\"on\": \"on\"}", true);
	args_flag(&args, "on", false);
	end(&args, "Parameter 'on' takes true or false");
	args = begin("{\"on\": \"maybe\"}", false);
	args_flag(&args, "on", false);
	end(&args, "Parameter 'on' takes on or off");
	args = begin("{\"id\": 3}", true);
	args_text(&args, "id", ARGS_NEEDED);
	end(&args, "Parameter 'id' takes a string");
	args = begin("{\"nr\": -1}", true);
	args_number(&args, "nr", 0, UINT64_MAX, 0);
	end(&args, "Parameter 'nr' takes a number from 0 to "
		   "18446744073709551615");
}

static void what_nobody_takes_is_an_error(void **state)
{
	struct args args = begin("{\"id\": \"e0\", \"idd\": \"e1\"}", true);

	(void)state;
	args_text(&args, "id", ARGS_NEEDED);
	end(&args, "Parameter 'idd' is unexpected");
}

static void what_is_inside_is_checked_as_well(void **state)
{
	struct args args =
		begin("{\"addr\": {\"path\": \"x\", \"y\": 1}}", true);
	struct args inner;

	(void)state;
	assert_true(args_enter(&args, "addr", "addr.", &inner));
	assert_string_equal(args_text(&inner, "path", ARGS_NEEDED), "x");
	args_leave(&args, &inner);
	end(&args, "Parameter 'addr.y' is unexpected");

	args = begin("{\"addr\": 5}", true);
	assert_false(args_enter(&args, "addr", "addr.", &inner));
	end(&args, "Parameter 'addr' takes an object");
}

static void a_word_that_is_none_is_told_what_there_is(void **state)
{
	static const char *const words[] = { "safe", "hard", NULL };
	struct args args = begin("{\"mode\": \"soft\"}", true);

	(void)state;
	args_word(&args, "mode", words, 0);
	end(&args, "Parameter 'mode' takes one of safe hard");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_is_taken_from_json),
		cmocka_unit_test(and_from_the_strings_of_a_command_line),
		cmocka_unit_test(what_is_not_there_has_its_default),
		cmocka_unit_test(the_first_error_is_told),
		cmocka_unit_test(types_are_not_mixed_up),
		cmocka_unit_test(what_nobody_takes_is_an_error),
		cmocka_unit_test(what_is_inside_is_checked_as_well),
		cmocka_unit_test(a_word_that_is_none_is_told_what_there_is),
	};

	return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* keyval - options of a command line become the object of a command */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/qmp/keyval.h"

static void expect_json(const char *text, const char *implied,
			const char *expected)
{
	char why[KEYVAL_WHY_BYTES];
	bool typed;
	json_t *object = keyval_parse(text, implied, &typed, why);
	json_t *wanted = json_loads(expected, 0, NULL);

	if (!object)
		fail_msg("'%s' is refused: %s", text, why);
	assert_non_null(wanted);
	if (!json_equal(object, wanted))
		fail_msg("'%s' becomes %s", text, json_dumps(object, 0));
	assert_int_equal(typed, text[0] == '{');
	json_decref(object);
	json_decref(wanted);
}

static void expect_refused(const char *text, const char *why_part)
{
	char why[KEYVAL_WHY_BYTES] = "";
	bool typed;

	assert_null(keyval_parse(text, NULL, &typed, why));
	if (!strstr(why, why_part))
		fail_msg("'%s' is refused with: %s", text, why);
}

static void names_and_values_become_members(void **state)
{
	(void)state;
	expect_json("driver=file,node-name=d0", NULL,
		    "{\"driver\": \"file\", \"node-name\": \"d0\"}");
	expect_json("", NULL, "{}");
	expect_json("a=", NULL, "{\"a\": \"\"}");
	expect_json("a=1=2", NULL, "{\"a\": \"1=2\"}");
	expect_json("a=1,", NULL, "{\"a\": \"1\"}");
}

static void the_first_name_may_be_left_out(void **state)
{
	(void)state;
	expect_json("file,filename=x", "driver",
		    "{\"driver\": \"file\", \"filename\": \"x\"}");
	expect_json("driver=file", "driver", "{\"driver\": \"file\"}");
}

static void two_commas_are_one_in_a_value(void **state)
{
	(void)state;
	expect_json("filename=a,,b,node-name=n", NULL,
		    "{\"filename\": \"a,b\", \"node-name\": \"n\"}");
	expect_json("filename=a,,", NULL, "{\"filename\": \"a,\"}");
}

static void dots_make_objects_and_numbers_arrays(void **state)
{
	(void)state;
	expect_json("cache.direct=on,cache.no-flush=off,a.b.c=1", NULL,
		    "{\"cache\": {\"direct\": \"on\", \"no-flush\": \"off\"}, "
		    "\"a\": {\"b\": {\"c\": \"1\"}}}");
	expect_json("iothread.1=b,iothread.0=a", NULL,
		    "{\"iothread\": [\"a\", \"b\"]}");
	expect_json("x.0=a,x.2=b", NULL,
		    "{\"x\": {\"0\": \"a\", \"2\": \"b\"}}");
}

static void the_last_of_two_values_counts(void **state)
{
	(void)state;
	expect_json("a=1,a=2", NULL, "{\"a\": \"2\"}");
}

static void json_is_taken_as_it_is(void **state)
{
	(void)state;
	expect_json("{\"size\": 5, \"on\": true}", "driver",
		    "{\"size\": 5, \"on\": true}");
	expect_refused("{\"size\": 5", "this is no JSON");
	expect_refused("{\"a\": 1, \"a\": 2}", "duplicate");
}

static void what_has_no_name_is_refused(void **state)
{
	(void)state;
	expect_refused("file", "'='");
	expect_refused("=x", "no name");
	expect_refused("a b=x", "no name");
	expect_refused("a=1,b", "'='");
}

static void names_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	expect_refused("a=1,a.b=2", "does not fit");
	expect_refused("a.b=2,a=1", "does not fit");
	expect_refused(".a=1", "does not fit");
	expect_refused("a.=1", "does not fit");
	expect_refused("a..b=1", "does not fit");
	expect_refused("a.b.c.d.e.f.g.h.i.j=1", "does not fit");
	expect_refused("a=\xff", "no UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_values_become_members),
		cmocka_unit_test(the_first_name_may_be_left_out),
		cmocka_unit_test(two_commas_are_one_in_a_value),
		cmocka_unit_test(dots_make_objects_and_numbers_arrays),
		cmocka_unit_test(the_last_of_two_values_counts),
		cmocka_unit_test(json_is_taken_as_it_is),
		cmocka_unit_test(what_has_no_name_is_refused),
		cmocka_unit_test(names_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests_name("keyval", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* log - lines reach the hook with level and tag, and are rate limited */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"

struct seen {
	unsigned int nr_lines;
	enum rh_log_level level;
	char tag[32];
	char line[1024];
};

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	struct seen *seen = opaque;

	seen->nr_lines++;
	seen->level = level;
	strncpy(seen->tag, tag, sizeof(seen->tag) - 1);
	strncpy(seen->line, line, sizeof(seen->line) - 1);
}

static void the_hook_gets_level_tag_and_line(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	rh_log_set(remember, &seen, RH_LOG_INFO);
	rh_log(RH_LOG_WARNING, "disk0", "queue %d", 3);
	assert_int_equal(seen.nr_lines, 1);
	assert_int_equal(seen.level, RH_LOG_WARNING);
	assert_string_equal(seen.tag, "disk0");
	assert_string_equal(seen.line, "queue 3");
}

static void less_important_lines_are_left_out(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	rh_log_set(remember, &seen, RH_LOG_WARNING);
	rh_log(RH_LOG_INFO, "disk0", "detail");
	assert_int_equal(seen.nr_lines, 0);
	assert_false(rh_log_wanted(RH_LOG_INFO));
	assert_true(rh_log_wanted(RH_LOG_ERROR));
}

static void an_overlong_line_is_cut(void **state)
{
	struct seen seen = { 0 };
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	rh_log_set(remember, &seen, RH_LOG_INFO);
	rh_log(RH_LOG_INFO, "disk0", "%s", text);
	assert_int_equal(seen.nr_lines, 1);
	assert_in_range(strlen(seen.line), 100, sizeof(text) - 2);
}

static void a_flood_is_limited_and_counted(void **state)
{
	struct seen seen = { 0 };
	struct log_limit limit = { 0 };

	(void)state;
	rh_log_set(remember, &seen, RH_LOG_INFO);
	for (int i = 0; i < 100; i++)
		rh_log_limited(&limit, RH_LOG_INFO, "disk0", "line %d", i);
	assert_int_equal(seen.nr_lines, LOG_LIMIT_BURST);
	assert_int_equal(limit.nr_suppressed, 100 - LOG_LIMIT_BURST);

	/* the interval passes */
	limit.interval_start_usec -= LOG_LIMIT_INTERVAL_USEC;
	rh_log_limited(&limit, RH_LOG_INFO, "disk0", "after");
	assert_int_equal(seen.nr_lines, LOG_LIMIT_BURST + 2);
	assert_string_equal(seen.line, "after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hook_gets_level_tag_and_line),
		cmocka_unit_test(less_important_lines_are_left_out),
		cmocka_unit_test(an_overlong_line_is_cut),
		cmocka_unit_test(a_flood_is_limited_and_counted),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

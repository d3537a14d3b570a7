/* SPDX-License-Identifier: MIT */
/* check-options - the command line of `ringhost check`, and its patterns */
#include "check/groups.h"
#include "check/options.h"
#include "check/select.h"
#include "tests/unit/command-line.h"

static struct check_options accepted(const char *words)
{
	struct command_line *command = command_line(words);
	struct check_options options;
	int result =
		check_options_parse(command->argc, command->argv, &options);

	command_line_accepted(command, words, result);
	return options;
}

static void refused(const char *words, const char *sentence)
{
	struct command_line *command = command_line(words);
	struct check_options options;
	int result =
		check_options_parse(command->argc, command->argv, &options);

	command_line_refused(command, words, result, sentence);
}

static void a_socket_is_enough(void **state)
{
	struct check_options options = accepted("check /run/x.sock");

	(void)state;
	assert_string_equal(options.socket, "/run/x.sock");
	assert_null(options.only);
	assert_null(options.restart_command);
	assert_int_equal(options.format, CHECK_FORMAT_TEXT);
	assert_int_equal(options.pid, 0);
	assert_int_equal(options.timeout_sec, CHECK_DEFAULT_TIMEOUT_SEC);
	assert_false(options.hostile);
	assert_false(options.no_write);
}

static void options_may_stand_before_and_behind_the_socket(void **state)
{
	struct check_options options =
		accepted("check --hostile --only=a*,b x.sock --format=junit "
			 "--pid=12 --timeout=7 --no-write --restart-cmd=true");

	(void)state;
	assert_string_equal(options.socket, "x.sock");
	assert_string_equal(options.only, "a*,b");
	assert_string_equal(options.restart_command, "true");
	assert_int_equal(options.format, CHECK_FORMAT_JUNIT);
	assert_int_equal(options.pid, 12);
	assert_int_equal(options.timeout_sec, 7);
	assert_true(options.hostile);
	assert_true(options.no_write);
}

static void list_and_help_need_no_socket(void **state)
{
	(void)state;
	assert_true(accepted("check --list").list);
	assert_true(accepted("check --help").help);
	assert_true(accepted("check -h").help);
}

static void each_format_has_its_name(void **state)
{
	(void)state;
	assert_int_equal(accepted("check x --format=text").format,
			 CHECK_FORMAT_TEXT);
	assert_int_equal(accepted("check x --format=tap").format,
			 CHECK_FORMAT_TAP);
	refused("check x --format=xml", "text, tap or junit");
}

static void no_process_is_minus_one(void **state)
{
	(void)state;
	assert_int_equal(accepted("check x --pid=none").pid, -1);
	refused("check x --pid=0", "--pid=0 is not possible");
	refused("check x --pid=12x", "--pid=12x is not possible");
	refused("check x --pid=99999999999", "is not possible");
}

static void a_time_out_is_in_seconds(void **state)
{
	(void)state;
	assert_int_equal(accepted("check x --timeout=600").timeout_sec, 600);
	refused("check x --timeout=0", "give 1 to 600 seconds");
	refused("check x --timeout=601", "give 1 to 600 seconds");
	refused("check x --timeout=", "give 1 to 600 seconds");
}

static void what_is_missing_or_too_much_is_told(void **state)
{
	(void)state;
	refused("check", "needs the path of the back-end's socket");
	refused("check x y", "what is 'y'?");
	refused("check x --only", "--only needs a value");
	refused("check x --frob", "no option --frob");
	refused("check x -x", "no option");
}

static const struct check_case test_case = { .name = "ring-is-full" };
static const struct check_group test_group = { .name = "rings" };

static bool fits(const char *patterns)
{
	return select_fits(patterns, &test_group, &test_case);
}

static void patterns_fit_names_groups_and_both(void **state)
{
	(void)state;
	assert_true(fits(NULL));
	assert_true(fits("ring-is-full"));
	assert_true(fits("ring-*"));
	assert_true(fits("rings"));
	assert_true(fits("rings/*full"));
	assert_true(fits("nothing,*full"));
	assert_true(fits("rin[fg]s"));
	assert_false(fits("ring"));
	assert_false(fits("full"));
	assert_false(fits(""));
	assert_false(fits(",,"));
	assert_false(fits("ring-is-full2,xrings"));
}

static void a_pattern_longer_than_any_name_fits_nothing(void **state)
{
	char long_pattern[400];

	(void)state;
	memset(long_pattern, '*', sizeof(long_pattern) - 1);
	long_pattern[sizeof(long_pattern) - 1] = '\0';
	assert_false(fits(long_pattern));
}

static void check_text(const char *name, const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '#' || *c == '\\')
			fail_msg("%s: '%c' in '%s'", name, *c, text);
	if (text[strlen(text) - 1] == '.')
		fail_msg("%s: a full stop in '%s'", name, text);
}

/* "vhost-user: GET_CONFIG" or "virtio 1.3: 2.7.5" */
static void each_case_names_its_section_and_its_promise(void **state)
{
	(void)state;
	for (size_t i = 0; i < check_nr_groups; i++) {
		for (size_t k = 0; k < check_groups[i]->nr_cases; k++) {
			const struct check_case *test =
				&check_groups[i]->cases[k];

			assert_non_null(test->name);
			assert_non_null(test->run);
			if (strncmp(test->section, "vhost-user: ", 12) &&
			    strncmp(test->section, "virtio 1.3: ", 12))
				fail_msg("%s: section '%s'", test->name,
					 test->section);
			check_text(test->name, test->promise);
			assert_int_equal(strspn(test->name,
						"abcdefghijklmnopqrstuvwxyz"
						"0123456789-"),
					 strlen(test->name));
		}
	}
}

static void no_name_is_used_twice(void **state)
{
	const struct check_case *all[1000];
	size_t nr = 0;

	(void)state;
	for (size_t i = 0; i < check_nr_groups; i++)
		for (size_t k = 0; k < check_groups[i]->nr_cases; k++)
			all[nr++] = &check_groups[i]->cases[k];
	assert_in_range(nr, 150, 1000);
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(all[i]->name, all[k]->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_enough),
		cmocka_unit_test(
			options_may_stand_before_and_behind_the_socket),
		cmocka_unit_test(list_and_help_need_no_socket),
		cmocka_unit_test(each_format_has_its_name),
		cmocka_unit_test(no_process_is_minus_one),
		cmocka_unit_test(a_time_out_is_in_seconds),
		cmocka_unit_test(what_is_missing_or_too_much_is_told),
		cmocka_unit_test(patterns_fit_names_groups_and_both),
		cmocka_unit_test(a_pattern_longer_than_any_name_fits_nothing),
		cmocka_unit_test(each_case_names_its_section_and_its_promise),
		cmocka_unit_test(no_name_is_used_twice),
	};

	return cmocka_run_group_tests_name("check-options", tests, NULL, NULL);
}

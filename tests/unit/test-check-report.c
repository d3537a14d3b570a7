/* SPDX-License-Identifier: MIT */
/* check-report - what people and machines are told of the cases */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/groups.h"
#include "check/report.h"
#include "common/base.h"

static const struct check_case cases[] = {
	{ .name = "good", .section = "virtio 1.3: 2.7", .promise = "it works" },
	{ .name = "bad",
	  .section = "vhost-user: Header",
	  .promise = "a < b & \"c\"" },
	{ .name = "absent", .section = "virtio 1.3: 2", .promise = "it is" },
	{ .name = "rude",
	  .section = "virtio 1.3: 2",
	  .promise = "it is polite",
	  .flags = CHECK_HOSTILE },
	{ .name = "late", .section = "virtio 1.3: 2", .promise = "it is" },
};

static char skipped_text[] = "it does not offer <that> # really";
static char failed_text[] = "it said \"no\" & < \n\x01\xff, 5 > 4";

/* All of it as one string, to be freed. */
static char *print(enum check_format format, bool hostile)
{
	/* JUnit goes through the real groups */
	const struct check_group *group = check_groups[0];
	struct check_result array[] = {
		{ group, &cases[0], CHECK_PASSED, false, 0.5, NULL },
		{ group, &cases[1], CHECK_FAILED, true, 1.25, failed_text },
		{ group, &cases[2], CHECK_SKIPPED, false, 0, skipped_text },
		{ group, &cases[3], CHECK_SKIPPED, false, 0, skipped_text },
		{ group, &cases[4], CHECK_NOT_RUN, false, 0, NULL },
	};
	struct check_results results = { .array = array,
					 .nr = ARRAY_SIZE(array),
					 .nr_of = { 1, 1, 1, 2 } };
	const struct target target = { .socket = "x.sock",
				       .nr_sectors = 2048 * 64,
				       .block_bytes = 512,
				       .nr_queues = 4,
				       .scratch_bytes = 1 << 20 };
	struct report report = { .format = format,
				 .target = &target,
				 .hostile = hostile };
	char *text = NULL;
	size_t size = 0;

	report.file = open_memstream(&text, &size);
	assert_non_null(report.file);
	report_begin(&report);
	for (size_t i = 0; i < results.nr; i++)
		report_case(&array[i], &report);
	report_end(&report, &results);
	fclose(report.file);
	return text;
}

static void has(const char *text, const char *part)
{
	if (strstr(text, part))
		return;
	print_error("'%s' is not in:\n", part);
	print_error("%s", text);
	fail();
}

static void tap_numbers_each_case(void **state)
{
	char *text = print(CHECK_FORMAT_TAP, true);

	(void)state;
	has(text, "ok 1 - negotiation/good\n");
	has(text, "\nnot ok 2 - negotiation/bad\n");
	has(text, "\n# section: vhost-user: Header\n");
	has(text, "\n# expected: a < b & \"c\"\n");
	has(text, "\nok 3 - negotiation/absent # SKIP it does not offer");
	has(text, "\nok 5 - negotiation/late # SKIP the run was over before\n");
	has(text, "\n1..5\n");
	free(text);
}

static void tap_keeps_a_text_on_its_line(void **state)
{
	char *text = print(CHECK_FORMAT_TAP, true);

	(void)state;
	has(text, "\n# seen: it said \"no\" & < ???, 5 > 4\n");
	has(text, "<that> ? really\n");
	free(text);
}

static void text_explains_failures_and_sums_up(void **state)
{
	char *text = print(CHECK_FORMAT_TEXT, true);

	(void)state;
	has(text, "on x.sock\n");
	has(text, "A disk of 64 MiB in blocks of 512 bytes, writable");
	has(text, "last 1024 KiB");
	has(text, "\n  ok    good\n");
	has(text, "\n  FAIL  bad\n");
	has(text, "section:  vhost-user: Header\n");
	has(text, "expected: a < b & \"c\"\n");
	has(text, "\n  skip  absent\n        because it does not offer");
	has(text, "\n  skip  rude\n");
	has(text, "1 passed, 1 failed, 2 skipped, 1 not run of 5 cases.\n");
	has(text, "The back-end died or hung in 1 of them.\n");
	has(text, "--restart-cmd=COMMAND");
	free(text);
}

static void text_counts_hostile_cases_that_were_left_out(void **state)
{
	char *text = print(CHECK_FORMAT_TEXT, false);

	(void)state;
	assert_null(strstr(text, "rude"));
	has(text, "Of those skipped, 1 are for --hostile.\n");
	free(text);
}

static void junit_has_totals_and_texts(void **state)
{
	char *text = print(CHECK_FORMAT_JUNIT, true);

	(void)state;
	has(text, "tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"3\"");
	has(text, "<testcase classname=\"negotiation\" name=\"good\" "
		  "time=\"0.500\"/>");
	has(text,
	    "message=\"it said &quot;no&quot; &amp; &lt; ???, 5 &gt; 4\"");
	has(text,
	    "expected: a &lt; b &amp; &quot;c&quot; (vhost-user: Header)");
	free(text);
}

/* A parser that is not ours. */
static void junit_is_well_formed(void **state)
{
	char *text = print(CHECK_FORMAT_JUNIT, true);
	FILE *python = popen("python3 -c 'import sys, xml.etree.ElementTree as "
			     "e; r = e.parse(sys.stdin).getroot(); "
			     "sys.exit(len(list(r.iter(\"testcase\"))) != 5)'",
			     "w");

	(void)state;
	assert_non_null(python);
	fputs(text, python);
	free(text);
	assert_int_equal(pclose(python), 0);
}

static void the_list_names_section_and_promise(void **state)
{
	const struct check_options all = { .list = true };
	const struct check_options one = { .only = "mq-is-offered" };
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	report_list(file, &one);
	fflush(file);
	has(text, "negotiation/mq-is-offered\n"
		  "        vhost-user: Multiple queue support\n"
		  "        a back-end offers the protocol feature MQ");
	assert_in_range(size, 1, 300);
	report_list(file, &all);
	fclose(file);
	has(text, "[hostile]");
	has(text, "[writes]");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tap_numbers_each_case),
		cmocka_unit_test(tap_keeps_a_text_on_its_line),
		cmocka_unit_test(text_explains_failures_and_sums_up),
		cmocka_unit_test(text_counts_hostile_cases_that_were_left_out),
		cmocka_unit_test(junit_has_totals_and_texts),
		cmocka_unit_test(junit_is_well_formed),
		cmocka_unit_test(the_list_names_section_and_promise),
	};

	return cmocka_run_group_tests_name("check-report", tests, NULL, NULL);
}

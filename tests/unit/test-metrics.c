/* SPDX-License-Identifier: MIT */
/* metrics - what is reported keeps to the format, whatever it is called */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/metrics/exposition.h"
#include "server/metrics/report.h"
#include "server/metrics/self.h"
#include "tests/unit/exposed.h"

static struct blk_stats stats;
static struct report_queue queues[2];
static struct report_export exports[2];
static const struct report_process no_process = { -1, -1, -1, -1, -1 };

static int set_up(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(queues, 0, sizeof(queues));
	memset(exports, 0, sizeof(exports));
	exports[0] = (struct report_export){
		.id = "disk0", .node = "n0", .nr_queues = 2, .queues = queues
	};
	exports[1] = (struct report_export){ .id = "disk1", .node = "n0" };
	return 0;
}

static void add(enum blk_kind kind, uint64_t nr, uint64_t nsec)
{
	const struct blk_batch batch = { nr, nr * 4096, 1 };

	blk_stats_add(&stats, kind, &batch, 1 + nsec);
}

/* The caller frees it. */
static char *report(unsigned int nr_exports)
{
	char *text;
	size_t nr_bytes;

	assert_int_equal(report_write(exports, nr_exports, &no_process, &text,
				      &nr_bytes),
			 0);
	assert_int_equal(strlen(text), nr_bytes);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at > text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("there is no line %s in:\n%s", line, text);
}

static void assert_well_formed(char *text)
{
	char why[EXPOSED_WHY_BYTES];

	if (exposed_check(text, why))
		fail_msg("%s", why);
}

static void a_report_of_nothing_is_well_formed(void **state)
{
	char *text = report(0);

	(void)state;
	assert_well_formed(text);
	free(text);
}

static void numbers_of_queues_are_where_they_belong(void **state)
{
	char *text;

	(void)state;
	add(BLK_KIND_READ, 3, 100);
	add(BLK_KIND_WRITE, 2, 100);
	add(BLK_KIND_DISCARD, 1, 100);
	blk_stats_add_failure(&stats, BLK_KIND_WRITE);
	blk_stats_set_under_way(&stats, 7);
	report_add_queue(&exports[0], &queues[1], &stats);
	exports[0].connected = true;
	exports[0].nr_sessions_ended = 4;
	queues[1].iothread = "io0";
	text = report(2);
	assert_line(text, "ringhost_export_reads_total{export=\"disk0\","
			  "queue=\"1\"} 3");
	assert_line(text, "ringhost_export_reads_total{export=\"disk0\","
			  "queue=\"0\"} 0");
	assert_line(text, "ringhost_export_read_bytes_total{export=\"disk0\","
			  "queue=\"1\"} 12288");
	assert_line(text, "ringhost_export_writes_total{export=\"disk0\","
			  "queue=\"1\"} 2");
	assert_line(text, "ringhost_export_discarded_bytes_total{export="
			  "\"disk0\",queue=\"1\"} 4096");
	assert_line(text, "ringhost_export_errors_total{export=\"disk0\","
			  "operation=\"write\"} 1");
	assert_line(text, "ringhost_export_errors_total{export=\"disk1\","
			  "operation=\"write\"} 0");
	assert_line(text, "ringhost_export_requests_under_way{export="
			  "\"disk0\",queue=\"1\"} 7");
	assert_line(text, "ringhost_export_connected{export=\"disk0\"} 1");
	assert_line(text, "ringhost_export_connected{export=\"disk1\"} 0");
	assert_line(text, "ringhost_export_sessions_ended_total{export="
			  "\"disk0\"} 4");
	assert_line(text, "ringhost_export_queue_info{export=\"disk0\","
			  "queue=\"1\",iothread=\"io0\"} 1");
	assert_line(text, "ringhost_export_queue_info{export=\"disk0\","
			  "queue=\"0\",iothread=\"\"} 1");
	assert_well_formed(text);
	free(text);
}

/* Both queues together; a bound belongs to the bucket behind it. */
static void histograms_are_those_of_all_queues_in_seconds(void **state)
{
	char *text;

	(void)state;
	add(BLK_KIND_READ, 2, (1 << 13) - 1);
	add(BLK_KIND_READ, 1, 1 << 14);
	add(BLK_KIND_READ, 1, UINT64_C(1) << 34);
	report_add_queue(&exports[0], &queues[0], &stats);
	report_add_queue(&exports[0], &queues[1], &stats);
	text = report(1);
	assert_line(text, "ringhost_export_read_seconds_bucket{export="
			  "\"disk0\",le=\"8.192e-06\"} 4");
	assert_line(text, "ringhost_export_read_seconds_bucket{export="
			  "\"disk0\",le=\"1.6384e-05\"} 4");
	assert_line(text, "ringhost_export_read_seconds_bucket{export="
			  "\"disk0\",le=\"3.2768e-05\"} 6");
	assert_line(text, "ringhost_export_read_seconds_bucket{export="
			  "\"disk0\",le=\"8.589934592\"} 6");
	assert_line(text, "ringhost_export_read_seconds_bucket{export="
			  "\"disk0\",le=\"+Inf\"} 8");
	assert_line(text, "ringhost_export_read_seconds_count{export="
			  "\"disk0\"} 8");
	/* 2 * (2 * 8191 + 16384 + 17179869184) ns */
	assert_line(text, "ringhost_export_read_seconds_sum{export="
			  "\"disk0\"} 34.359803900");
	assert_well_formed(text);
	free(text);
}

static void names_may_be_anything(void **state)
{
	char *text;

	(void)state;
	exports[0].id = "a\"b\\c\nd} 1\n# TYPE x";
	exports[0].node = "\xff\xc3\u00e4\x80";
	text = report(2);
	assert_line(text, "ringhost_export_connected{export=\"a\\\"b\\\\c\\nd}"
			  " 1\\n# TYPE x\"} 0");
	assert_line(text,
		    "ringhost_export_info{export=\"a\\\"b\\\\c\\nd} 1\\n# TYPE"
		    " x\",node=\"??\u00e4?\"} 1");
	assert_well_formed(text);
	free(text);
}

static void what_the_process_takes_is_told_as_far_as_it_is_known(void **state)
{
	struct report_process process = no_process;
	char *text;
	size_t nr_bytes;

	(void)state;
	process.cpu_nsec = 1500000000;
	process.nr_fds = 12;
	assert_int_equal(report_write(NULL, 0, &process, &text, &nr_bytes), 0);
	assert_line(text, "process_cpu_seconds_total 1.500000000");
	assert_line(text, "process_open_fds 12");
	assert_null(strstr(text, "process_resident_memory_bytes"));
	assert_well_formed(text);
	free(text);
}

static void a_process_knows_itself(void **state)
{
	struct report_process process;

	(void)state;
	self_begin();
	self_begin();
	self_learn(&process);
	assert_true(process.cpu_nsec > 0);
	assert_true(process.resident_bytes > 100000);
	assert_true(process.nr_fds >= 5); /* ours, and two of its own */
	assert_true(process.nr_fds < process.max_fds);
	assert_true(process.start_sec > 1600000000);
	assert_true(process.start_sec <= time(NULL) + 1);
}

static bool is_refused(const char *text)
{
	char *copy = strdup(text);
	char why[EXPOSED_WHY_BYTES];
	bool refused = exposed_check(copy, why);

	free(copy);
	return refused;
}

/* Of what the tests here stand on. */
static void the_check_finds_what_is_wrong(void **state)
{
	static const char family[] =
		"# HELP a_total x\n# TYPE a_total counter\n";
	char text[512];

	(void)state;
	assert_false(is_refused("# HELP a_total x\n# TYPE a_total counter\n"
				"a_total{b=\"c\"} 1\n"));
	assert_true(is_refused(""));
	assert_true(is_refused("a_total 1\n"));
	assert_true(is_refused("# HELP a x\n# TYPE a counter\na 1\n"));
	assert_true(is_refused("# HELP a_total x\n# TYPE a_total gauge\n"));
	snprintf(text, sizeof(text), "%sa_total 1\na_total 2\n", family);
	assert_true(is_refused(text));
	snprintf(text, sizeof(text), "%sa_total{b=\"c\"d\"} 1\n", family);
	assert_true(is_refused(text));
	snprintf(text, sizeof(text), "%sa_total x\n", family);
	assert_true(is_refused(text));
	snprintf(text, sizeof(text), "%sb_total 1\n", family);
	assert_true(is_refused(text));
	snprintf(text, sizeof(text), "%s%s", family, family);
	assert_true(is_refused(text));
	assert_true(is_refused("# HELP h x\n# TYPE h histogram\n"
			       "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n"
			       "h_sum 1\nh_count 1\n"));
	assert_true(
		is_refused("# HELP h x\n# TYPE h histogram\n"
			   "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_report_of_nothing_is_well_formed),
		TEST(numbers_of_queues_are_where_they_belong),
		TEST(histograms_are_those_of_all_queues_in_seconds),
		TEST(names_may_be_anything),
		TEST(what_the_process_takes_is_told_as_far_as_it_is_known),
		TEST(a_process_knows_itself),
		TEST(the_check_finds_what_is_wrong),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

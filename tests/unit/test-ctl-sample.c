/* SPDX-License-Identifier: MIT */
/* ctl-sample - what was counted between two moments, and how long it took */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/nsec.h"
#include "ctl/sample.h"

/* ' stands for " */
static json_t *json(const char *text)
{
	char copy[4096];
	json_t *value;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, 0, NULL);
	assert_non_null(value);
	return value;
}

static void add(struct spread *spread, const char *buckets)
{
	json_t *value = json(buckets);

	assert_int_equal(spread_add_json(spread, value), 0);
	json_decref(value);
}

static struct sample sample_of(const char *text, uint64_t nsec)
{
	json_t *value = json(text);
	struct sample sample;

	assert_int_equal(sample_parse(value, nsec, &sample), 0);
	json_decref(value);
	return sample;
}

static void a_quantile_is_the_time_of_the_bucket_that_reaches_it(void **state)
{
	struct spread spread = { 0 };

	(void)state;
	assert_int_equal(spread_quantile(&spread, 0.5), 0);
	add(&spread, "[[1000, 50], [2000, 40], [4000, 9], [8000, 1]]");
	assert_int_equal(spread_nr(&spread), 100);
	assert_int_equal(spread_quantile(&spread, 0.01), 1000);
	assert_int_equal(spread_quantile(&spread, 0.50), 1000);
	assert_int_equal(spread_quantile(&spread, 0.51), 2000);
	assert_int_equal(spread_quantile(&spread, 0.90), 2000);
	assert_int_equal(spread_quantile(&spread, 0.99), 4000);
	assert_int_equal(spread_quantile(&spread, 0.999), 8000);
	assert_int_equal(spread_quantile(&spread, 1), 8000);
	spread_deinit(&spread);
}

static void buckets_of_all_orders_add_up(void **state)
{
	struct spread one = { 0 };
	struct spread other = { 0 };

	(void)state;
	add(&one, "[[4000, 1], [1000, 2], [2000, 3], [1000, 4]]");
	add(&other, "[[3000, 10], [1000, 1]]");
	assert_int_equal(spread_add(&one, &other), 0);
	assert_int_equal(one.nr_buckets, 4);
	assert_int_equal(one.buckets[0].upper_nsec, 1000);
	assert_int_equal(one.buckets[0].nr, 7);
	assert_int_equal(one.buckets[2].upper_nsec, 3000);
	assert_int_equal(spread_nr(&one), 21);
	spread_deinit(&one);
	spread_deinit(&other);
}

static void an_earlier_one_taken_off_leaves_what_came_since(void **state)
{
	struct spread now = { 0 };
	struct spread earlier = { 0 };

	(void)state;
	add(&now, "[[1000, 100], [2000, 5], [9000, 1]]");
	add(&earlier, "[[1000, 100], [2000, 2], [5000, 7]]");
	spread_take_off(&now, &earlier);
	assert_int_equal(spread_nr(&now), 4);
	assert_int_equal(spread_quantile(&now, 0.5), 2000);
	assert_int_equal(spread_quantile(&now, 0.99), 9000);
	spread_take_off(&earlier, &now);
	assert_int_equal(spread_nr(&earlier), 107);
	spread_deinit(&now);
	spread_deinit(&earlier);
}

static void what_is_no_bucket_is_passed_over(void **state)
{
	struct spread spread = { 0 };

	(void)state;
	add(&spread, "[[1000, -5], [-1, 5], ['a', 'b'], 7, null, [], [1], "
		     "[2000, 1], {}]");
	assert_int_equal(spread_nr(&spread), 1);
	assert_int_equal(spread_quantile(&spread, 0.5), 2000);
	add(&spread, "[[2000, 9223372036854775807], [2000, "
		     "9223372036854775807], [3000, 9223372036854775807]]");
	assert_true(spread_nr(&spread) == UINT64_MAX);
	assert_int_equal(spread_quantile(&spread, 1), 3000);
	assert_int_equal(spread_add_json(&spread, NULL), 0);
	spread_deinit(&spread);
}

static void more_buckets_than_any_daemon_has_are_refused(void **state)
{
	struct spread spread = { 0 };
	json_t *buckets = json_array();

	(void)state;
	for (json_int_t i = 0; i <= SPREAD_MAX_BUCKETS; i++)
		json_array_append_new(buckets, json_pack("[I,i]", i, 1));
	assert_true(spread_add_json(&spread, buckets) < 0);
	json_decref(buckets);
	spread_deinit(&spread);
}

#define TWO_QUEUES                                                             \
	"[{'id': 'e0', 'queues': [{'queue': 0, 'iothread': 't0', 'reads': "    \
	"%u, 'writes': 5, 'read-bytes': 4096, 'under-way': 3, 'latency': "     \
	"{'read': {'buckets': [[1000, %u]]}}}, {'queue': 1, 'reads': 7, "      \
	"'errors': 1, 'under-way': 1, 'latency': {'write': {'buckets': "       \
	"[[2000, 1]]}}}]}]"

static struct sample two_queues(unsigned int nr_reads, uint64_t nsec)
{
	char text[1024];

	snprintf(text, sizeof(text), TWO_QUEUES, nr_reads, nr_reads);
	return sample_of(text, nsec);
}

static void a_disk_is_what_its_queues_are_together(void **state)
{
	struct sample sample = two_queues(10, 1);
	struct spread all;

	(void)state;
	assert_int_equal(sample.nr_lanes, 3);
	assert_int_equal(sample.lanes[0].queue, SAMPLE_ALL);
	assert_string_equal(sample.lanes[0].id, "e0");
	assert_int_equal(sample.lanes[0].reads, 17);
	assert_int_equal(sample.lanes[0].writes, 5);
	assert_int_equal(sample.lanes[0].errors, 1);
	assert_int_equal(sample.lanes[0].under_way, 4);
	assert_int_equal(sample.lanes[1].queue, 0);
	assert_string_equal(sample.lanes[1].iothread, "t0");
	assert_int_equal(sample.lanes[2].reads, 7);
	assert_int_equal(sample_latency(&sample.lanes[0], &all), 0);
	assert_int_equal(spread_nr(&all), 11);
	spread_deinit(&all);
	sample_deinit(&sample);
}

static void between_two_moments_is_their_difference(void **state)
{
	struct sample earlier = two_queues(10, 5 * NSEC_PER_SEC);
	struct sample now = two_queues(30, 7 * NSEC_PER_SEC);

	(void)state;
	sample_subtract(&now, &earlier);
	assert_int_equal(now.nsec, 2 * NSEC_PER_SEC);
	assert_int_equal(now.lanes[0].reads, 20);
	assert_int_equal(now.lanes[0].writes, 0);
	assert_int_equal(now.lanes[0].under_way, 4); /* that of now */
	assert_int_equal(now.lanes[1].reads, 20);
	assert_int_equal(spread_nr(&now.lanes[1].latency[SAMPLE_READ]), 20);
	assert_true(sample_rate(now.lanes[0].reads, now.nsec) == 10);
	assert_true(sample_rate(5, 0) == 0);
	sample_deinit(&earlier);
	sample_deinit(&now);
}

static void a_disk_that_is_new_or_made_anew_counts_from_nothing(void **state)
{
	struct sample earlier = two_queues(50, 1);
	struct sample now = two_queues(30, 2);
	struct sample none = sample_of("[]", 1);
	struct sample first = two_queues(30, 2);

	(void)state;
	sample_subtract(&now, &earlier);
	assert_int_equal(now.lanes[1].reads, 30);
	assert_int_equal(spread_nr(&now.lanes[1].latency[SAMPLE_READ]), 30);
	sample_subtract(&first, &none);
	assert_int_equal(first.lanes[1].reads, 30);
	sample_subtract(&none, &first);
	assert_int_equal(none.nr_lanes, 0);
	sample_deinit(&earlier);
	sample_deinit(&now);
	sample_deinit(&none);
	sample_deinit(&first);
}

static void a_queue_that_nobody_uses_can_be_left_out(void **state)
{
	struct sample sample = sample_of(
		"[{'id': 'x', 'queues': [{'queue': 0, 'iothread': 't'}, "
		"{'queue': 1, 'errors': 1}, {'queue': 2, 'under-way': 1}, "
		"{'queue': 3}]}]",
		1);

	(void)state;
	assert_int_equal(sample.nr_lanes, 5);
	for (size_t i = 0; i < 4; i++)
		assert_false(sample_is_unused(&sample.lanes[i]));
	assert_true(sample_is_unused(&sample.lanes[4]));
	sample_deinit(&sample);
}

static void an_answer_of_another_shape_is_read_as_far_as_it_goes(void **state)
{
	struct sample sample = sample_of(
		"[{}, 5, {'id': 7, 'queues': {'a': 1}}, {'id': 'x', 'queues': "
		"[null, {'queue': 99999999999, 'reads': '5', 'writes': -3, "
		"'latency': {'read': []}}]}]",
		1);
	struct sample no_array = sample_of("{'return': 1}", 1);

	(void)state;
	assert_int_equal(sample.nr_lanes, 6);
	assert_int_equal(sample.lanes[5].queue, INT32_MAX);
	assert_int_equal(sample.lanes[5].reads, 0);
	assert_int_equal(sample.lanes[5].writes, 0);
	assert_int_equal(no_array.nr_lanes, 0);
	sample_deinit(&sample);
	sample_deinit(&no_array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_quantile_is_the_time_of_the_bucket_that_reaches_it),
		cmocka_unit_test(buckets_of_all_orders_add_up),
		cmocka_unit_test(
			an_earlier_one_taken_off_leaves_what_came_since),
		cmocka_unit_test(what_is_no_bucket_is_passed_over),
		cmocka_unit_test(more_buckets_than_any_daemon_has_are_refused),
		cmocka_unit_test(a_disk_is_what_its_queues_are_together),
		cmocka_unit_test(between_two_moments_is_their_difference),
		cmocka_unit_test(
			a_disk_that_is_new_or_made_anew_counts_from_nothing),
		cmocka_unit_test(a_queue_that_nobody_uses_can_be_left_out),
		cmocka_unit_test(
			an_answer_of_another_shape_is_read_as_far_as_it_goes),
	};

	return cmocka_run_group_tests_name("ctl-sample", tests, NULL, NULL);
}

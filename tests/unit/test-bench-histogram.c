/* SPDX-License-Identifier: MIT */
/* bench-histogram - latencies are counted in buckets of less than 2 % */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/histogram.h"
#include "common/base.h"

static struct histogram histogram;

static int set_up(void **state)
{
	(void)state;
	histogram_clear(&histogram);
	return 0;
}

/* By what share of it a value differs from what is told of it */
static double error_of(uint64_t value)
{
	uint64_t told;

	histogram_clear(&histogram);
	/* so that the exact least and largest value do not hide the bucket */
	histogram_add(&histogram, 0);
	histogram_add(&histogram, value);
	histogram_add(&histogram, HISTOGRAM_MAX);
	told = histogram_quantile(&histogram, 2. / 3);
	return ((double)told - (double)value) / (double)value;
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t value = 1; value < 2u << HISTOGRAM_SUB_BITS; value++)
		assert_true(error_of(value) == 0);
}

static void no_value_is_told_with_an_error_of_one_percent(void **state)
{
	(void)state;
	for (unsigned int bit = 7; bit < HISTOGRAM_MAX_BITS; bit++) {
		for (uint64_t part = 0; part < 257; part++) {
			uint64_t value =
				(UINT64_C(1) << bit) +
				(((UINT64_C(1) << bit) - 1) * part) / 257;
			double error = error_of(value);

			if (error >= .01 || error <= -.01)
				fail_msg("%llu is told with an error of %f",
					 (unsigned long long)value, error);
		}
	}
}

static void neighbouring_buckets_leave_no_gap(void **state)
{
	unsigned int last = 0;

	(void)state;
	for (uint64_t value = 0; value < 1 << 16; value++) {
		unsigned int index = histogram_index(value);

		assert_true(index == last || index == last + 1);
		last = index;
	}
	assert_int_equal(histogram_index(HISTOGRAM_MAX),
			 HISTOGRAM_NR_BUCKETS - 1);
}

static void what_is_too_long_counts_as_the_longest(void **state)
{
	(void)state;
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_NR_BUCKETS - 1);
	assert_true(histogram.max == UINT64_MAX);
}

static void quantiles_are_values_that_so_many_do_not_exceed(void **state)
{
	(void)state;
	for (uint64_t value = 1; value <= 100; value++)
		histogram_add(&histogram, value);
	assert_int_equal(histogram_quantile(&histogram, .5), 50);
	assert_int_equal(histogram_quantile(&histogram, .9), 90);
	assert_int_equal(histogram_quantile(&histogram, .99), 99);
	assert_int_equal(histogram_quantile(&histogram, .999), 100);
	assert_int_equal(histogram_quantile(&histogram, 1), 100);
	assert_int_equal(histogram_quantile(&histogram, .001), 1);
}

static void no_quantile_is_beyond_the_least_and_the_largest(void **state)
{
	(void)state;
	histogram_add(&histogram, 1000001);
	assert_int_equal(histogram_quantile(&histogram, .5), 1000001);
	assert_int_equal(histogram_quantile(&histogram, 1), 1000001);
}

static void the_mean_is_exact(void **state)
{
	(void)state;
	histogram_add(&histogram, 1000003);
	histogram_add(&histogram, 3);
	assert_true(histogram_mean(&histogram) == 500003);
}

static void an_empty_one_tells_0(void **state)
{
	(void)state;
	assert_int_equal(histogram_quantile(&histogram, .5), 0);
	assert_true(histogram_mean(&histogram) == 0);
}

static void merging_is_as_if_all_had_been_added_to_one(void **state)
{
	static struct histogram other;

	(void)state;
	histogram_clear(&other);
	for (uint64_t value = 1; value <= 50; value++)
		histogram_add(&histogram, value);
	for (uint64_t value = 51; value <= 100; value++)
		histogram_add(&other, value);
	histogram_merge(&histogram, &other);
	assert_int_equal(histogram.nr, 100);
	assert_int_equal(histogram.min, 1);
	assert_int_equal(histogram.max, 100);
	assert_int_equal(histogram_quantile(&histogram, .75), 75);
	histogram_clear(&other);
	histogram_merge(&histogram, &other);
	assert_int_equal(histogram.min, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_values_are_exact),
		TEST(no_value_is_told_with_an_error_of_one_percent),
		TEST(neighbouring_buckets_leave_no_gap),
		TEST(what_is_too_long_counts_as_the_longest),
		TEST(quantiles_are_values_that_so_many_do_not_exceed),
		TEST(no_quantile_is_beyond_the_least_and_the_largest),
		TEST(the_mean_is_exact),
		TEST(an_empty_one_tells_0),
		TEST(merging_is_as_if_all_had_been_added_to_one),
	};

	return cmocka_run_group_tests_name("bench-histogram", tests, NULL,
					   NULL);
}

/* SPDX-License-Identifier: MIT */
/* loglinear - a bucket for each value, none wider than its share */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/loglinear.h"

#define SUB_BITS 4
#define MAX_BITS 40

static void small_values_have_a_bucket_each(void **state)
{
	(void)state;
	for (uint64_t value = 0; value < 2u << SUB_BITS; value++) {
		unsigned int i = loglinear_index(value, SUB_BITS);

		assert_int_equal(i, value);
		assert_int_equal(loglinear_lowest(i, SUB_BITS), value);
		assert_int_equal(loglinear_middle(i, SUB_BITS), value);
	}
}

static void buckets_follow_each_other_without_a_gap(void **state)
{
	unsigned int nr = LOGLINEAR_NR_BUCKETS(MAX_BITS, SUB_BITS);

	(void)state;
	for (unsigned int i = 1; i < nr; i++) {
		uint64_t lowest = loglinear_lowest(i, SUB_BITS);

		assert_int_equal(loglinear_index(lowest, SUB_BITS), i);
		assert_int_equal(loglinear_index(lowest - 1, SUB_BITS), i - 1);
	}
}

static void no_bucket_is_wider_than_a_sixteenth_of_its_lowest(void **state)
{
	unsigned int nr = LOGLINEAR_NR_BUCKETS(MAX_BITS, SUB_BITS);

	(void)state;
	for (unsigned int i = 2u << SUB_BITS; i < nr; i++) {
		uint64_t lowest = loglinear_lowest(i, SUB_BITS);
		uint64_t width = loglinear_lowest(i + 1, SUB_BITS) - lowest;

		assert_true(width << SUB_BITS <= lowest);
		assert_int_equal(loglinear_middle(i, SUB_BITS),
				 lowest + width / 2);
	}
}

static void the_largest_value_is_in_the_last_bucket(void **state)
{
	(void)state;
	assert_int_equal(loglinear_index((UINT64_C(1) << MAX_BITS) - 1,
					 SUB_BITS),
			 LOGLINEAR_NR_BUCKETS(MAX_BITS, SUB_BITS) - 1);
	assert_int_equal(loglinear_index(UINT64_MAX, SUB_BITS),
			 LOGLINEAR_NR_BUCKETS(64, SUB_BITS) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_values_have_a_bucket_each),
		cmocka_unit_test(buckets_follow_each_other_without_a_gap),
		cmocka_unit_test(
			no_bucket_is_wider_than_a_sixteenth_of_its_lowest),
		cmocka_unit_test(the_largest_value_is_in_the_last_bucket),
	};

	return cmocka_run_group_tests_name("loglinear", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* throttle-limits - names, and what cannot be meant */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/throttle_limits.h"

static struct throttle_limits limits;
static char why[THROTTLE_WHY_BYTES];

static int no_limits(void **state)
{
	(void)state;
	limits = THROTTLE_NO_LIMITS;
	return 0;
}

static void expect_refusal(const char *text)
{
	assert_int_equal(throttle_limits_check(&limits, why), -EINVAL);
	assert_non_null(strstr(why, text));
}

static void no_limits_are_fine(void **state)
{
	(void)state;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
	assert_false(throttle_limits_any(&limits));
}

static void each_number_has_a_name_of_its_own(void **state)
{
	static const char *const names[] = {
		"iops-total", "iops-total-max", "iops-total-max-length",
		"iops-read",  "iops-read-max",	"iops-read-max-length",
		"iops-write", "iops-write-max", "iops-write-max-length",
		"bps-total",  "bps-total-max",	"bps-total-max-length",
		"bps-read",   "bps-read-max",	"bps-read-max-length",
		"bps-write",  "bps-write-max",	"bps-write-max-length",
		"iops-size",
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(names), THROTTLE_NR_FIELDS);
	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++) {
		assert_string_equal(throttle_field_name(i, false), names[i]);
		*throttle_field(&limits, i) = i + 1;
	}
	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++)
		assert_int_equal(*throttle_field(&limits, i), i + 1);
	assert_string_equal(throttle_field_name(18, true), "x-iops-size");
	assert_int_equal(limits.rates[THROTTLE_BPS_READ].max, 14);
}

static void a_burst_has_to_fit_what_it_is_a_burst_of(void **state)
{
	struct throttle_rate *rate = &limits.rates[THROTTLE_BPS_READ];

	(void)state;
	rate->max = 10;
	expect_refusal("bps-read-max needs bps-read");
	rate->avg = 11;
	expect_refusal("bps-read-max cannot be lower than bps-read");
	rate->avg = 10;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
	rate->max_length = 0;
	expect_refusal("bps-read-max-length cannot be 0");
	rate->max_length = THROTTLE_MAX_VALUE / 10;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
	rate->max_length++;
	expect_refusal("too high");
	rate->max_length = 2;
	rate->max = 0;
	expect_refusal("bps-read-max-length needs bps-read-max");
}

static void numbers_have_an_end(void **state)
{
	(void)state;
	limits.rates[THROTTLE_IOPS_WRITE].avg = THROTTLE_MAX_VALUE;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
	assert_true(throttle_limits_any(&limits));
	limits.rates[THROTTLE_IOPS_WRITE].avg++;
	expect_refusal("1000000000000000");
	limits.rates[THROTTLE_IOPS_WRITE].avg = 1;
	limits.iops_size = THROTTLE_MAX_VALUE + 1;
	expect_refusal("iops-size takes");
}

static void the_size_of_a_request_counts_only_where_requests_do(void **state)
{
	(void)state;
	limits.iops_size = 4096;
	limits.rates[THROTTLE_BPS_TOTAL].avg = 1;
	expect_refusal("iops-size needs");
	limits.rates[THROTTLE_IOPS_READ].avg = 1;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_limits_are_fine, no_limits),
		cmocka_unit_test_setup(each_number_has_a_name_of_its_own,
				       no_limits),
		cmocka_unit_test_setup(a_burst_has_to_fit_what_it_is_a_burst_of,
				       no_limits),
		cmocka_unit_test_setup(numbers_have_an_end, no_limits),
		cmocka_unit_test_setup(
			the_size_of_a_request_counts_only_where_requests_do,
			no_limits),
	};

	return cmocka_run_group_tests_name("throttle-limits", tests, NULL,
					   NULL);
}

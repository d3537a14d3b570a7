/* SPDX-License-Identifier: MIT */
/* pace - batches that were slow close the way, those that were not open it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/pace.h"

#define MSEC UINT64_C(1000000)

static struct pace pace;
static uint64_t now;

static int begin(void **state)
{
	(void)state;
	pace = (struct pace){ 0 };
	now = 1000 * MSEC;
	return 0;
}

/* 16 requests of 4 KiB that take this long in all */
static void run_batch(uint64_t nsec)
{
	struct pace_batch batch = {
		.nr = 16,
		.bytes = 65536,
		.start_nsec = now,
		.end_nsec = now + nsec,
	};

	now += nsec;
	pace_note(&pace, &batch);
}

/* Returns how long it stays closed, in milliseconds rounded up. */
static uint64_t closed_msec(void)
{
	uint64_t nr = 0;

	while (!pace_allows(&pace, now)) {
		now += MSEC;
		nr++;
	}
	return nr;
}

static void it_is_open_at_first(void **state)
{
	(void)state;
	assert_true(pace_allows(&pace, now));
}

static void a_batch_at_the_speed_of_memory_leaves_it_open(void **state)
{
	(void)state;
	run_batch(16 * 3000);
	assert_true(pace_allows(&pace, now));
}

static void a_slow_batch_closes_it_for_a_while(void **state)
{
	(void)state;
	run_batch(2 * MSEC);
	assert_false(pace_allows(&pace, now));
	assert_int_equal(closed_msec(), 1);
	assert_true(pace_allows(&pace, now));
}

static void each_slow_batch_closes_it_for_twice_as_long(void **state)
{
	(void)state;
	for (uint64_t expected = 1; expected < 1000; expected *= 2) {
		run_batch(2 * MSEC);
		assert_int_equal(closed_msec(), expected);
	}
}

static void it_is_never_closed_for_more_than_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		run_batch(2 * MSEC);
		assert_true(closed_msec() <= 1000);
	}
}

static void good_conduct_for_as_long_halves_what_the_next_costs(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		run_batch(2 * MSEC);
		closed_msec(); /* 1, 2, 4, 8 */
	}
	run_batch(MSEC / 10); /* too early to count */
	now += 8 * MSEC;
	run_batch(MSEC / 10);
	run_batch(2 * MSEC);
	assert_int_equal(closed_msec(), 8); /* 2 x 4, not 2 x 8 */
}

static void in_the_end_all_is_forgiven(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		run_batch(2 * MSEC);
		closed_msec();
	}
	for (int i = 0; i < 10; i++) {
		now += 20 * MSEC;
		run_batch(MSEC / 10);
	}
	run_batch(2 * MSEC);
	assert_int_equal(closed_msec(), 1);
}

static void large_transfers_may_take_as_long_as_their_bytes_need(void **state)
{
	struct pace_batch batch = {
		.nr = 8,
		.bytes = 8 << 20,
		.start_nsec = now,
		.end_nsec = now + 4 * MSEC,
	};

	(void)state;
	pace_note(&pace, &batch);
	assert_true(pace_allows(&pace, batch.end_nsec));
	batch.bytes = 1 << 20;
	pace_note(&pace, &batch);
	assert_false(pace_allows(&pace, batch.end_nsec));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_is_open_at_first, begin),
		cmocka_unit_test_setup(
			a_batch_at_the_speed_of_memory_leaves_it_open, begin),
		cmocka_unit_test_setup(a_slow_batch_closes_it_for_a_while,
				       begin),
		cmocka_unit_test_setup(
			each_slow_batch_closes_it_for_twice_as_long, begin),
		cmocka_unit_test_setup(
			it_is_never_closed_for_more_than_a_second, begin),
		cmocka_unit_test_setup(
			good_conduct_for_as_long_halves_what_the_next_costs,
			begin),
		cmocka_unit_test_setup(in_the_end_all_is_forgiven, begin),
		cmocka_unit_test_setup(
			large_transfers_may_take_as_long_as_their_bytes_need,
			begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

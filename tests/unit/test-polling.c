/* SPDX-License-Identifier: MIT */
/* polling - looks as long as it pays, with clocks that the test invents */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/polling.h"

#define USEC	   UINT64_C(1000)
#define LIMIT_USEC 40
#define FOREVER	   (1000 * 1000 * USEC)

static struct polling polling;
static uint64_t now;
static unsigned int nr_looks;
static uint64_t looked_nsec;

static int fresh(void **state)
{
	(void)state;
	polling_init(&polling, LIMIT_USEC);
	now = FOREVER;
	nr_looks = 0;
	looked_nsec = 0;
	return 0;
}

/*
 * A wait for what comes after nsec, seen a wake-up later when it was slept
 * through; a look takes 200 ns. True if it was seen without a sleep.
 */
static bool wait_for(enum polling_wait wait, uint64_t nsec)
{
	uint64_t since = now;

	while (polling_look(&polling, wait, now)) {
		nr_looks++;
		if (now - since >= nsec) {
			looked_nsec += now - since;
			polling_found(&polling, now);
			return true;
		}
		now += 200;
	}
	looked_nsec += now - since;
	if (now < since + nsec)
		now = since + nsec;
	now += POLLING_WAKE_UP_NSEC;
	polling_found(&polling, now);
	return false;
}

/* How many of so many waits in a row were looked through. */
static unsigned int count_looks(unsigned int nr, uint64_t nsec)
{
	unsigned int nr_seen = 0;

	for (unsigned int i = 0; i < nr; i++)
		nr_seen += wait_for(POLLING_FOR_DRIVER, nsec);
	return nr_seen;
}

static void it_never_looks_when_it_is_off(void **state)
{
	(void)state;
	polling_init(&polling, 0);
	assert_false(polling_is_on(&polling));
	assert_int_equal(count_looks(3 * POLLING_ATTEMPT_EVERY, 1 * USEC), 0);
	assert_int_equal(nr_looks, 0);
}

static void it_sleeps_until_it_knows_better(void **state)
{
	(void)state;
	assert_false(polling_look(&polling, POLLING_FOR_DRIVER, now));
}

static void short_waits_are_looked_through(void **state)
{
	(void)state;
	assert_true(count_looks(100, 5 * USEC) >= 98);
}

/* Only the wake-up makes them longer than a sleep costs. */
static void what_was_slept_through_counts_without_its_wake_up(void **state)
{
	(void)state;
	assert_true(count_looks(100, 20 * USEC) >= 95);
}

static void long_waits_are_slept_through(void **state)
{
	(void)state;
	assert_int_equal(count_looks(1000, 80 * USEC), 0);
	assert_int_equal(nr_looks, 0);
}

/* In time, but a sleep would have been cheaper. */
static void waits_as_long_as_a_sleep_costs_do_not_pay(void **state)
{
	(void)state;
	assert_int_equal(count_looks(1000, 35 * USEC), 0);
}

static void no_look_is_longer_than_the_limit(void **state)
{
	(void)state;
	count_looks(20, 5 * USEC);
	looked_nsec = 0;
	wait_for(POLLING_FOR_DRIVER, FOREVER);
	assert_true(looked_nsec >= LIMIT_USEC * USEC);
	assert_true(looked_nsec <= LIMIT_USEC * USEC + 200);
}

static void nor_longer_than_can_pay(void **state)
{
	(void)state;
	polling_init(&polling, 1000);
	count_looks(20, 5 * USEC);
	looked_nsec = 0;
	wait_for(POLLING_FOR_DRIVER, FOREVER);
	assert_true(looked_nsec <= 2 * POLLING_SLEEP_NSEC + 200);
}

static void rare_traffic_is_not_looked_for(void **state)
{
	(void)state;
	count_looks(100, 5 * USEC);
	looked_nsec = 0;
	count_looks(1000, 1000 * USEC);
	/* a few looks until the past is outweighed */
	assert_true(looked_nsec <= 8 * LIMIT_USEC * USEC);
}

static void a_pause_now_and_then_does_no_harm(void **state)
{
	unsigned int nr_seen = 0;

	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		nr_seen += count_looks(30, 5 * USEC);
		wait_for(POLLING_FOR_DRIVER, FOREVER);
	}
	assert_true(nr_seen > 50 * 30 * 9 / 10);
}

static void traffic_that_slows_down_and_speeds_up_is_followed(void **state)
{
	(void)state;
	count_looks(100, 5 * USEC);
	count_looks(100, 100 * USEC);
	assert_int_equal(count_looks(10, 100 * USEC), 0);
	assert_true(count_looks(100, 5 * USEC) > 80);
}

/* A disk of 80 us and a driver that is quick, at depth 1. */
static void each_kind_of_wait_has_its_own_past(void **state)
{
	unsigned int nr_driver = 0;
	unsigned int nr_storage = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		nr_driver += wait_for(POLLING_FOR_DRIVER, 10 * USEC);
		nr_storage += wait_for(POLLING_FOR_STORAGE, 80 * USEC);
	}
	assert_true(nr_driver > 950);
	assert_int_equal(nr_storage, 0);
}

/* Wake-ups that take 60 us look like waits that do not pay. */
static void an_attempt_finds_out_where_waking_up_is_slow(void **state)
{
	unsigned int nr_seen = 0;

	(void)state;
	for (unsigned int i = 0; i < 3 * POLLING_ATTEMPT_EVERY; i++) {
		bool looks = polling_look(&polling, POLLING_FOR_DRIVER, now);

		nr_seen += looks;
		now += (looks ? 5 : 70) * USEC;
		polling_found(&polling, now);
	}
	assert_true(nr_seen > POLLING_ATTEMPT_EVERY);
}

static void an_attempt_that_fails_costs_little(void **state)
{
	(void)state;
	count_looks(10 * POLLING_ATTEMPT_EVERY, 80 * USEC);
	assert_true(looked_nsec > 0);
	assert_true(looked_nsec <= 10 * (LIMIT_USEC + 1) * USEC);
}

/* One driver on our core: it sends nothing while we look. */
static void looks_that_keep_the_driver_from_its_core_become_rare(void **state)
{
	unsigned int nr_tries = 0;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		if (polling_look(&polling, POLLING_FOR_DRIVER, now)) {
			nr_tries++;
			while (polling_look(&polling, POLLING_FOR_DRIVER, now))
				now += 200;
		}
		now += 5 * USEC + POLLING_WAKE_UP_NSEC;
		polling_found(&polling, now);
	}
	assert_true(nr_tries < 40);
}

/* Each time somebody else runs for 3 ms. */
static void a_thread_that_loses_its_core_holds_off(void **state)
{
	unsigned int nr_tries = 0;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		if (polling_look(&polling, POLLING_FOR_DRIVER, now)) {
			nr_tries++;
			now += 200;
			assert_true(polling_look(&polling, POLLING_FOR_DRIVER,
						 now));
			now += 3000 * USEC;
			assert_false(polling_look(&polling, POLLING_FOR_DRIVER,
						  now));
		}
		now += 5 * USEC;
		polling_found(&polling, now);
	}
	assert_true(nr_tries < 40);
}

static void what_holds_off_wears_off(void **state)
{
	(void)state;
	looks_that_keep_the_driver_from_its_core_become_rare(state);
	count_looks(100 * POLLING_ATTEMPT_EVERY, 5 * USEC);
	assert_true(polling.pasts[POLLING_FOR_DRIVER].hold_off < 1000);
}

static void a_find_without_a_wait_means_nothing(void **state)
{
	struct polling before = polling;

	(void)state;
	polling_found(&polling, now);
	assert_memory_equal(&polling, &before, sizeof(polling));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_never_looks_when_it_is_off),
		TEST(it_sleeps_until_it_knows_better),
		TEST(short_waits_are_looked_through),
		TEST(what_was_slept_through_counts_without_its_wake_up),
		TEST(long_waits_are_slept_through),
		TEST(waits_as_long_as_a_sleep_costs_do_not_pay),
		TEST(no_look_is_longer_than_the_limit),
		TEST(nor_longer_than_can_pay),
		TEST(rare_traffic_is_not_looked_for),
		TEST(a_pause_now_and_then_does_no_harm),
		TEST(traffic_that_slows_down_and_speeds_up_is_followed),
		TEST(each_kind_of_wait_has_its_own_past),
		TEST(an_attempt_finds_out_where_waking_up_is_slow),
		TEST(an_attempt_that_fails_costs_little),
		TEST(looks_that_keep_the_driver_from_its_core_become_rare),
		TEST(a_thread_that_loses_its_core_holds_off),
		TEST(what_holds_off_wears_off),
		TEST(a_find_without_a_wait_means_nothing),
	};

	return cmocka_run_group_tests_name("polling", tests, NULL, NULL);
}

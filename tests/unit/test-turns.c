/* SPDX-License-Identifier: MIT */
/* turns - nobody who waits is left behind, with clocks that the test invents */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/nsec.h"
#include "server/turns.h"

#define NR   4
#define NOW  NSEC_PER_SEC
#define COST (TURNS_LEAD_NSEC / 10)

static struct turns turns;

static int set_up(void **state)
{
	(void)state;
	return turns_init(&turns, NR);
}

static int tear_down(void **state)
{
	(void)state;
	turns_deinit(&turns);
	return 0;
}

/* How often it may go in a row, at most nr times. */
static unsigned int serve(unsigned int me, unsigned int nr)
{
	unsigned int i = 0;

	for (; i < nr && turns_may_go(&turns, me, NOW); i++)
		turns_serve(&turns, me, COST);
	return i;
}

static void begin_to_wait(unsigned int me)
{
	turns_wait(&turns, me);
	turns_expect(&turns, me, NOW);
}

static void who_is_alone_is_never_held_up(void **state)
{
	(void)state;
	assert_int_equal(serve(0, 1000), 1000);
	begin_to_wait(0);
	assert_int_equal(serve(0, 1000), 1000);
	turns_done(&turns, 0);
}

static void who_is_ahead_of_one_that_waits_lets_it_go_first(void **state)
{
	(void)state;
	begin_to_wait(1);
	assert_int_equal(serve(0, 1000), 11);
	assert_false(turns_may_go(&turns, 0, NOW));
	assert_int_equal(serve(1, 5), 5);
	assert_int_equal(serve(0, 1000), 5);
	turns_done(&turns, 1);
	assert_int_equal(serve(0, 1000), 1000);
}

static void requests_of_any_cost_get_the_same_in_the_end(void **state)
{
	uint64_t served[2] = { 0 };

	(void)state;
	begin_to_wait(0);
	begin_to_wait(1);
	while (served[0] + served[1] < 10000 * COST) {
		unsigned int me = turns_may_go(&turns, 0, NOW) ? 0 : 1;
		uint64_t cost = me ? COST : 50 * COST;

		assert_true(turns_may_go(&turns, me, NOW));
		turns_serve(&turns, me, cost);
		served[me] += cost;
	}
	assert_in_range(served[0], served[1] - 60 * COST,
			served[1] + 60 * COST);
	turns_done(&turns, 0);
	turns_done(&turns, 1);
}

static void who_was_away_gains_nothing_by_that(void **state)
{
	(void)state;
	assert_int_equal(serve(0, 1000), 1000);
	begin_to_wait(0);
	begin_to_wait(1);
	/* the lead that it may have lost, and the one that it may gain */
	assert_in_range(serve(1, 1000), 15, 25);
	turns_done(&turns, 0);
	turns_done(&turns, 1);
}

static void who_waits_all_the_time_loses_nothing(void **state)
{
	unsigned int nr[2] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		begin_to_wait(1);
		nr[0] += serve(0, 100); /* as quick as it may be */
		turns_done(&turns, 1);
		begin_to_wait(0);
		nr[1] += serve(1, 100);
		turns_done(&turns, 0);
	}
	assert_in_range(nr[0], nr[1] - 25, nr[1] + 25);
}

static void who_does_not_come_back_is_not_waited_for(void **state)
{
	uint64_t late = NOW + TURNS_GRACE_NSEC;

	(void)state;
	begin_to_wait(1);
	serve(0, 1000);
	assert_false(turns_may_go(&turns, 0, late - 1));
	assert_true(turns_may_go(&turns, 0, late));
	turns_expect(&turns, 1, late);
	assert_false(turns_may_go(&turns, 0, late));
	turns_done(&turns, 1);
}

static void what_was_is_forgotten_but_not_who_waits(void **state)
{
	(void)state;
	begin_to_wait(1);
	serve(0, 1000);
	turns_forget(&turns);
	assert_int_equal(serve(0, 1000), 11);
	turns_done(&turns, 1);
}

int main(void)
{
#define TURNS_TEST(test)                                                       \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TURNS_TEST(who_is_alone_is_never_held_up),
		TURNS_TEST(who_is_ahead_of_one_that_waits_lets_it_go_first),
		TURNS_TEST(requests_of_any_cost_get_the_same_in_the_end),
		TURNS_TEST(who_was_away_gains_nothing_by_that),
		TURNS_TEST(who_waits_all_the_time_loses_nothing),
		TURNS_TEST(who_does_not_come_back_is_not_waited_for),
		TURNS_TEST(what_was_is_forgotten_but_not_who_waits),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}

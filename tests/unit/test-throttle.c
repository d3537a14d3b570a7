/* SPDX-License-Identifier: MIT */
/* throttle - so much and no more, and each its part, with invented clocks */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/nsec.h"
#include "server/throttle.h"

#define MAX_LOADS 8
#define BEGIN	  (1000 * NSEC_PER_SEC)
#define TOTALS	  (THROTTLE_OF_ALL | THROTTLE_OF_READS | THROTTLE_OF_WRITES)

/* A queue that never runs out of requests, and its thread. */
struct load {
	struct throttle_member *member;
	unsigned int queue;
	struct throttle_use use;
	uint64_t late_nsec;  /* that its thread wakes up */
	uint64_t think_nsec; /* until the next request, after one that went */
	uint64_t wakes_at_nsec;
	struct throttle_block block; /* member: NULL while it does not wait */
	uint64_t nr;
	uint64_t nr_wakes;
};

static struct throttle *throttle;
static struct throttle_limits limits;
static struct load loads[MAX_LOADS];
static unsigned int nr_loads;
static uint64_t now;

static int set_up(void **state)
{
	(void)state;
	limits = THROTTLE_NO_LIMITS;
	memset(loads, 0, sizeof(loads));
	nr_loads = 0;
	now = BEGIN;
	return throttle_create(4, &throttle);
}

static void stop_waiting(struct load *load)
{
	if (load->block.member)
		throttle_done(&load->block, load->queue);
	load->block.member = NULL;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < nr_loads; i++)
		stop_waiting(&loads[i]);
	for (unsigned int i = 0; i < nr_loads; i++)
		if (!loads[i].queue)
			throttle_leave(loads[i].member);
	throttle_destroy(throttle);
	return 0;
}

static struct throttle_member *join(unsigned int nr_queues)
{
	struct throttle_member *member;

	assert_int_equal(throttle_join(throttle, nr_queues, &member), 0);
	return member;
}

static struct load *add_load(struct throttle_member *member, bool is_write,
			     uint64_t bytes)
{
	struct load *load = &loads[nr_loads++];

	for (unsigned int i = 0; i < nr_loads - 1; i++)
		load->queue += loads[i].member == member;
	load->member = member;
	load->use = (struct throttle_use){ is_write, 1, bytes };
	load->wakes_at_nsec = now;
	return load;
}

static unsigned int kinds_of(const struct load *load)
{
	return THROTTLE_OF_ALL |
	       (load->use.is_write ? THROTTLE_OF_WRITES : THROTTLE_OF_READS);
}

static void wait_longer(struct load *load, const struct throttle_block *block)
{
	if (load->block.member && load->block.kind != block->kind)
		stop_waiting(load);
	if (!load->block.member)
		throttle_wait(block, load->queue);
	load->block = *block;
	throttle_expect(block, load->queue);
	load->wakes_at_nsec = block->until_nsec + load->late_nsec;
}

/* All that may go now. */
static void run_load(struct load *load)
{
	struct throttle_block block;

	load->nr_wakes++;
	do {
		if (!throttle_admits(load->member, load->queue, kinds_of(load),
				     now, &block)) {
			wait_longer(load, &block);
			return;
		}
		stop_waiting(load);
		throttle_charge(load->member, load->queue, &load->use, now,
				false);
		load->nr++;
	} while (!load->think_nsec);
	load->wakes_at_nsec = now + load->think_nsec;
}

/* Counts begin again. */
static void run(uint64_t nsec)
{
	uint64_t end = now + nsec;

	for (unsigned int i = 0; i < nr_loads; i++) {
		loads[i].nr = 0;
		loads[i].nr_wakes = 0;
	}
	for (;;) {
		struct load *next = &loads[0];

		for (unsigned int i = 1; i < nr_loads; i++)
			if (loads[i].wakes_at_nsec < next->wakes_at_nsec)
				next = &loads[i];
		if (next->wakes_at_nsec > end)
			break;
		now = MAX(now, next->wakes_at_nsec);
		run_load(next);
	}
	now = end;
}

static void set_limit(enum throttle_kind kind, uint64_t avg)
{
	char why[THROTTLE_WHY_BYTES];

	limits.rates[kind].avg = avg;
	assert_int_equal(throttle_limits_check(&limits, why), 0);
	throttle_set(throttle, &limits);
}

static void assert_near(uint64_t value, uint64_t expected, unsigned int percent)
{
	assert_in_range(value, expected - expected * percent / 100,
			expected + expected * percent / 100);
}

static void without_limits_all_goes(void **state)
{
	struct throttle_member *member = join(1);
	const struct throttle_use use = { true, 1, 1u << 31 };
	struct throttle_block block;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		assert_true(throttle_admits(member, 0, TOTALS, now, &block));
		throttle_charge(member, 0, &use, now, false);
	}
	throttle_leave(member);
}

static void a_limit_of_requests_is_kept(void **state)
{
	static const struct {
		uint64_t rate;
		uint64_t seconds;
	} cases[] = { { 1, 10 },     { 10, 10 },    { 100, 10 },
		      { 12345, 10 }, { 100000, 1 }, { 1000000, 1 } };

	(void)state;
	add_load(join(1), false, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_limit(THROTTLE_IOPS_TOTAL, cases[i].rate);
		loads[0].wakes_at_nsec = now;
		run(NSEC_PER_SEC / 5); /* until it has to wait */
		run(cases[i].seconds * NSEC_PER_SEC);
		assert_near(loads[0].nr, cases[i].seconds * cases[i].rate, 1);
	}
}

/* However often it is looked at, there are not many wake-ups. */
static void a_thread_that_wakes_up_late_makes_up_for_it(void **state)
{
	struct load *load;

	(void)state;
	load = add_load(join(1), true, 4096);
	load->late_nsec = 7 * NSEC_PER_MSEC;
	set_limit(THROTTLE_IOPS_WRITE, 20000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(load->nr, 200000, 1);
	load->late_nsec = 0;
	run(10 * NSEC_PER_SEC);
	assert_near(load->nr, 200000, 1);
	assert_true(load->nr_wakes <=
		    10 * NSEC_PER_SEC / THROTTLE_MIN_WAIT_NSEC + 1);
}

static void a_limit_of_bytes_is_kept(void **state)
{
	(void)state;
	add_load(join(1), false, 65536);
	set_limit(THROTTLE_BPS_READ, 50 << 20);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 10 * (50 << 20) / 65536, 1);
}

/* Reads know nothing of the limit of writes. */
static void each_direction_has_a_limit_of_its_own(void **state)
{
	struct throttle_member *member = join(2);

	(void)state;
	add_load(member, false, 4096);
	add_load(member, true, 4096);
	set_limit(THROTTLE_IOPS_READ, 300);
	set_limit(THROTTLE_IOPS_WRITE, 5000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 3000, 1);
	assert_near(loads[1].nr, 50000, 1);
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 3000, 2);
	assert_near(loads[1].nr, 7000, 2);
}

static void large_requests_count_as_several(void **state)
{
	struct throttle_member *member = join(3);

	(void)state;
	add_load(member, false, 6144);
	limits.iops_size = 4096;
	set_limit(THROTTLE_IOPS_TOTAL, 3000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 20000, 1);
	loads[0].use.bytes = 512;
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 30000, 1);
	loads[0].use.nr_requests = 32; /* segments of a discard */
	loads[0].use.bytes = 0;
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 30000 / 32, 1);
}

static void without_a_burst_there_is_room_for_a_moment(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	run(0);
	assert_int_equal(loads[0].nr, 101);
}

static void a_burst_lasts_as_long_as_it_was_told(void **state)
{
	struct throttle_rate *rate = &limits.rates[THROTTLE_IOPS_TOTAL];

	(void)state;
	add_load(join(1), false, 4096);
	rate->max = 2000;
	rate->max_length = 10;
	set_limit(THROTTLE_IOPS_TOTAL, 100);
	/* of what the burst holds a part leaks out while it lasts */
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 20000, 2);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 1000, 1);

	/* a quiet time gives back what leaks out in it */
	loads[0].wakes_at_nsec = now + 60 * NSEC_PER_SEC;
	stop_waiting(&loads[0]);
	run(60 * NSEC_PER_SEC);
	run(5 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 6000 + 500, 5);
}

/* Of a second at most: no second bucket, all of it may come at once. */
static void a_short_burst_has_no_rate_of_its_own(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	limits.rates[THROTTLE_IOPS_TOTAL].max = 2000;
	set_limit(THROTTLE_IOPS_TOTAL, 100);
	run(0);
	assert_int_equal(loads[0].nr, 2001);
}

static void members_are_served_alike_whatever_they_send(void **state)
{
	struct throttle_member *many = join(4);

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		add_load(many, i % 2, 4096);
	add_load(join(1), false, 4096)->late_nsec = 300000;
	set_limit(THROTTLE_IOPS_TOTAL, 10000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[4].nr, 50000, 2);
	for (unsigned int i = 0; i < 4; i++)
		assert_near(loads[i].nr, 12500, 5);
}

static void members_get_the_same_of_bytes(void **state)
{
	(void)state;
	add_load(join(1), true, 1 << 20);
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_BPS_TOTAL, 100 << 20);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 500, 3);
	assert_near(loads[1].nr, 128000, 3);
}

static void what_one_leaves_the_other_gets(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	add_load(join(1), false, 4096)->think_nsec = 10 * NSEC_PER_MSEC;
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	run(NSEC_PER_SEC);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr + loads[1].nr, 10000, 1);
	assert_in_range(loads[1].nr, 850, 1000); /* it hardly ever waits */
}

static void at_one_request_a_second_they_alternate(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 1);
	run(3 * NSEC_PER_SEC);
	run(30 * NSEC_PER_SEC);
	for (unsigned int i = 0; i < 3; i++)
		assert_in_range(loads[i].nr, 9, 11);
}

/* A thread that hangs in its guest's memory, say. */
static void one_that_does_not_come_back_holds_up_nobody(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	run(NSEC_PER_SEC);
	loads[1].wakes_at_nsec = now + 20 * NSEC_PER_SEC;
	run(10 * NSEC_PER_SEC);
	assert_int_equal(loads[1].nr, 0);
	assert_near(loads[0].nr, 10000, 1);
}

static void new_limits_hold_at_once(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 1);
	run(10 * NSEC_PER_SEC);
	set_limit(THROTTLE_IOPS_TOTAL, 100000);
	loads[0].wakes_at_nsec = now; /* it is told to look again */
	run(NSEC_PER_SEC);
	assert_near(loads[0].nr, 110000, 1);
	set_limit(THROTTLE_IOPS_TOTAL, 10);
	loads[0].wakes_at_nsec = now;
	run(10 * NSEC_PER_SEC);
	assert_in_range(loads[0].nr, 100, 102);
}

/* More than was allowed, but not more in the end. */
static void what_was_forced_is_waited_for_afterwards(void **state)
{
	struct throttle_member *member = join(1);
	const struct throttle_use use = { true, 1, 4096 };
	struct throttle_block block;

	(void)state;
	set_limit(THROTTLE_IOPS_WRITE, 10);
	for (unsigned int i = 0; i < 50; i++)
		throttle_charge(member, 0, &use, now, true);
	assert_false(throttle_admits(member, 0, THROTTLE_OF_ALL, now, &block));
	assert_int_equal(block.kind, THROTTLE_NR_KINDS);
	assert_int_equal(block.until_nsec, now + 4900 * NSEC_PER_MSEC);
	throttle_wait(&block, 0); /* which holds up nobody else's turn */
	throttle_expect(&block, 0);
	throttle_done(&block, 0);
	assert_true(throttle_admits(member, 0, THROTTLE_OF_ALL,
				    block.until_nsec, &block));
	set_limit(THROTTLE_IOPS_WRITE, 20);
	assert_true(throttle_admits(member, 0, TOTALS, now, &block));
	throttle_leave(member);
}

static void the_largest_numbers_fit(void **state)
{
	struct throttle_member *member = join(1);
	const struct throttle_use use = { true, 32, UINT32_MAX };
	struct throttle_block block;

	(void)state;
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++) {
		limits.rates[i] =
			(struct throttle_rate){ 1, THROTTLE_MAX_VALUE / 2, 2 };
		set_limit(i, 1);
	}
	limits.iops_size = 1;
	throttle_set(throttle, &limits);
	for (unsigned int i = 0; i < 1000; i++)
		throttle_charge(member, 0, &use, now, true);
	if (!throttle_admits(member, 0, TOTALS, now, &block))
		assert_true(block.until_nsec > now);

	limits = THROTTLE_NO_LIMITS;
	limits.iops_size = 1;
	set_limit(THROTTLE_IOPS_TOTAL, 1);
	for (unsigned int i = 0; i < 1000; i++)
		throttle_charge(member, 0, &use, UINT64_MAX / 8, false);
	assert_false(
		throttle_admits(member, 0, TOTALS, UINT64_MAX / 8, &block));
	assert_true(block.until_nsec > UINT64_MAX / 8);

	limits = THROTTLE_NO_LIMITS;
	limits.iops_size = THROTTLE_MAX_VALUE;
	set_limit(THROTTLE_IOPS_TOTAL, THROTTLE_MAX_VALUE);
	set_limit(THROTTLE_BPS_TOTAL, THROTTLE_MAX_VALUE);
	throttle_charge(member, 0, &use, now, false);
	assert_true(throttle_admits(member, 0, TOTALS, now, &block));
	throttle_leave(member);
}

/* A host that slept: what leaked out meanwhile is no more than all. */
static void a_clock_that_jumps_ahead_makes_no_burst(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 100);
	run(NSEC_PER_SEC);
	now += 1000000 * NSEC_PER_SEC;
	run(0);
	assert_int_equal(loads[0].nr, 11);
	run(10 * NSEC_PER_SEC);
	assert_near(loads[0].nr, 1000, 1);
}

/* Threads read their clocks one after the other. */
static void a_clock_that_is_a_moment_behind_does_no_harm(void **state)
{
	(void)state;
	add_load(join(1), false, 4096);
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	for (unsigned int i = 0; i < 1000; i++) {
		run(10 * NSEC_PER_MSEC);
		now -= 100000;
	}
	set_limit(THROTTLE_IOPS_TOTAL, 1000);
	run(NSEC_PER_SEC);
	assert_in_range(loads[0].nr, 1099, 1102);
}

static void there_is_room_for_so_many_members(void **state)
{
	struct throttle_member *members[5];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		members[i] = join(1);
	assert_int_equal(throttle_join(throttle, 1, &members[4]), -ENOSPC);
	throttle_leave(members[1]);
	members[1] = join(300);
	for (unsigned int i = 0; i < 4; i++)
		throttle_leave(members[i]);
	throttle_leave(NULL);
	throttle_destroy(NULL);
}

int main(void)
{
#define THROTTLE_TEST(test)                                                    \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		THROTTLE_TEST(without_limits_all_goes),
		THROTTLE_TEST(a_limit_of_requests_is_kept),
		THROTTLE_TEST(a_thread_that_wakes_up_late_makes_up_for_it),
		THROTTLE_TEST(a_limit_of_bytes_is_kept),
		THROTTLE_TEST(each_direction_has_a_limit_of_its_own),
		THROTTLE_TEST(large_requests_count_as_several),
		THROTTLE_TEST(without_a_burst_there_is_room_for_a_moment),
		THROTTLE_TEST(a_burst_lasts_as_long_as_it_was_told),
		THROTTLE_TEST(a_short_burst_has_no_rate_of_its_own),
		THROTTLE_TEST(members_are_served_alike_whatever_they_send),
		THROTTLE_TEST(members_get_the_same_of_bytes),
		THROTTLE_TEST(what_one_leaves_the_other_gets),
		THROTTLE_TEST(at_one_request_a_second_they_alternate),
		THROTTLE_TEST(one_that_does_not_come_back_holds_up_nobody),
		THROTTLE_TEST(new_limits_hold_at_once),
		THROTTLE_TEST(what_was_forced_is_waited_for_afterwards),
		THROTTLE_TEST(the_largest_numbers_fit),
		THROTTLE_TEST(a_clock_that_jumps_ahead_makes_no_burst),
		THROTTLE_TEST(a_clock_that_is_a_moment_behind_does_no_harm),
		THROTTLE_TEST(there_is_room_for_so_many_members),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}

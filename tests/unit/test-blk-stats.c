/* SPDX-License-Identifier: MIT */
/* blk-stats - how much, how often, how long; batches make the same sums */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/blk_stats.h"
#include "server/blk_tally.h"

static struct blk_stats stats;
static struct turn_clock clock_of_turn;
static struct blk_tally tally;
static struct blk_kind_sum sum;

static int set_up(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(&tally, 0, sizeof(tally));
	memset(&sum, 0, sizeof(sum));
	blk_tally_init(&tally, &stats, &clock_of_turn);
	return 0;
}

static void add(enum blk_kind kind, uint64_t nr, uint64_t nsec)
{
	const struct blk_batch batch = { .nr = nr,
					 .bytes = nr * 512,
					 .start_nsec = 1000 };

	blk_stats_add(&stats, kind, &batch, 1000 + nsec);
}

/* A value is told by the middle of its bucket: within 4 % of it. */
static void assert_near(uint64_t told, uint64_t value)
{
	if (told > value + value / 25 || told < value - value / 25)
		fail_msg("%llu is told as %llu", (unsigned long long)value,
			 (unsigned long long)told);
}

static void sums_are_exact(void **state)
{
	(void)state;
	add(BLK_KIND_WRITE, 3, 100000);
	add(BLK_KIND_WRITE, 1, 700001);
	add(BLK_KIND_READ, 9, 5);
	blk_stats_sum(&stats, BLK_KIND_WRITE, &sum);
	assert_int_equal(sum.nr, 4);
	assert_int_equal(sum.bytes, 2048);
	assert_int_equal(sum.sum_nsec, 1000001);
	assert_int_equal(sum.max_nsec, 700001);
	assert_int_equal(sum.nr_failed, 0);
	assert_int_equal(atomic_load(&stats.last_nsec), 1005);
}

static void sums_of_queues_add_up(void **state)
{
	(void)state;
	add(BLK_KIND_FLUSH, 2, 10);
	blk_stats_sum(&stats, BLK_KIND_FLUSH, &sum);
	blk_stats_sum(&stats, BLK_KIND_FLUSH, &sum);
	assert_int_equal(sum.nr, 4);
	assert_int_equal(sum.sum_nsec, 40);
	assert_int_equal(sum.max_nsec, 10);
	assert_int_equal(sum.buckets[10], 4);
}

static void failures_are_counted_beside_the_requests(void **state)
{
	(void)state;
	blk_stats_add_failure(&stats, BLK_KIND_OTHER);
	blk_stats_add_failure(&stats, BLK_KIND_OTHER);
	blk_stats_add_invalid(&stats, BLK_KIND_OTHER);
	blk_stats_sum(&stats, BLK_KIND_OTHER, &sum);
	assert_int_equal(sum.nr_failed, 2);
	assert_int_equal(sum.nr_invalid, 1);
	assert_int_equal(sum.nr, 0);
}

static void quantiles_are_those_of_the_latencies(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= 1000; i++)
		add(BLK_KIND_READ, 1, i * UINT64_C(1000));
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_near(blk_kind_sum_quantile(&sum, 500), 500000);
	assert_near(blk_kind_sum_quantile(&sum, 900), 900000);
	assert_near(blk_kind_sum_quantile(&sum, 990), 990000);
	assert_near(blk_kind_sum_quantile(&sum, 999), 999000);
	assert_near(blk_kind_sum_quantile(&sum, 1), 1000);
}

static void a_rare_long_one_shows_only_where_it_counts(void **state)
{
	(void)state;
	add(BLK_KIND_READ, 998, 1000);
	add(BLK_KIND_READ, 2, 90000000);
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_near(blk_kind_sum_quantile(&sum, 990), 1000);
	assert_near(blk_kind_sum_quantile(&sum, 998), 1000);
	assert_near(blk_kind_sum_quantile(&sum, 999), 90000000);
}

/* A product of count and share would wrap. */
static void quantiles_hold_for_any_number_of_requests(void **state)
{
	(void)state;
	add(BLK_KIND_READ, UINT64_C(1) << 60, 16);
	add(BLK_KIND_READ, UINT64_C(1) << 60, 31);
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(blk_kind_sum_quantile(&sum, 499), 16);
	assert_int_equal(blk_kind_sum_quantile(&sum, 501), 31);
}

static void a_quantile_of_nothing_is_zero(void **state)
{
	(void)state;
	assert_int_equal(blk_kind_sum_quantile(&sum, 500), 0);
}

static void what_takes_too_long_for_a_bucket_is_in_the_last_one(void **state)
{
	(void)state;
	add(BLK_KIND_READ, 1, UINT64_C(1) << 50);
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(sum.buckets[BLK_LATENCY_NR_BUCKETS - 1], 1);
	assert_int_equal(sum.max_nsec, UINT64_C(1) << 50);
	assert_int_equal(blk_kind_sum_below(&sum, BLK_LATENCY_MAX_BITS), 1);
}

static void what_took_less_than_a_power_of_two_is_counted_exactly(void **state)
{
	(void)state;
	add(BLK_KIND_READ, 1, (1u << 14) - 1);
	add(BLK_KIND_READ, 2, 1u << 14);
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(blk_kind_sum_below(&sum, 13), 0);
	assert_int_equal(blk_kind_sum_below(&sum, 14), 1);
	assert_int_equal(blk_kind_sum_below(&sum, 15), 3);
}

static void requests_of_one_beginning_and_end_make_a_batch(void **state)
{
	(void)state;
	clock_of_turn.now_nsec = 5000;
	blk_tally_add(&tally, BLK_KIND_READ, 1000, 512);
	assert_true(blk_tally_join(&tally, BLK_KIND_READ, 1000, 512));
	assert_false(blk_tally_join(&tally, BLK_KIND_READ, 2000, 512));
	assert_false(blk_tally_join(&tally, BLK_KIND_WRITE, 1000, 512));
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(sum.nr, 0); /* not before the turn's end */
	blk_tally_flush(&tally, 7);
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(sum.nr, 2);
	assert_int_equal(sum.bytes, 1024);
	assert_int_equal(sum.sum_nsec, 2 * 4000);
	assert_int_equal(atomic_load(&stats.nr_under_way), 7);
	assert_int_equal(clock_of_turn.now_nsec, 5000); /* not looked at */
}

static void each_beginning_has_its_own_latency(void **state)
{
	(void)state;
	clock_of_turn.now_nsec = 5000;
	blk_tally_add(&tally, BLK_KIND_READ, 1000, 512);
	blk_tally_add(&tally, BLK_KIND_WRITE, 2000, 512);
	blk_tally_add(&tally, BLK_KIND_READ, 4990, 512);
	blk_tally_flush(&tally, 0);
	blk_tally_flush(&tally, 0); /* of which nothing is left */
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(sum.nr, 2);
	assert_int_equal(sum.sum_nsec, 4000 + 10);
	assert_int_equal(sum.max_nsec, 4000);
	blk_stats_sum(&stats, BLK_KIND_WRITE, &sum);
	assert_int_equal(sum.nr, 3);
	assert_int_equal(sum.sum_nsec, 4010 + 3000);
}

static void what_ends_in_the_turn_it_began_in_has_a_latency(void **state)
{
	(void)state;
	clock_of_turn.now_nsec = 1; /* the machine has run for longer */
	blk_tally_add(&tally, BLK_KIND_FLUSH, 1, 0);
	blk_tally_flush(&tally, 0);
	assert_true(clock_of_turn.now_nsec > 1);
	blk_stats_sum(&stats, BLK_KIND_FLUSH, &sum);
	assert_int_equal(sum.sum_nsec, clock_of_turn.now_nsec - 1);
}

static void a_turn_that_asks_twice_reads_the_clock_once(void **state)
{
	struct turn_clock clock = { 0 };
	uint64_t now_nsec = turn_clock_now(&clock);

	(void)state;
	assert_true(now_nsec > 0);
	assert_int_equal(turn_clock_now(&clock), now_nsec);
	turn_clock_forget(&clock);
	while (turn_clock_now(&clock) == now_nsec)
		turn_clock_forget(&clock);
	assert_true(clock.now_nsec > now_nsec);
}

static void *write_many(void *opaque)
{
	(void)opaque;
	for (unsigned int i = 0; i < 20000; i++)
		add(BLK_KIND_READ, 1, i);
	return NULL;
}

/* For the thread sanitizer; and numbers only grow. */
static void another_thread_may_read_meanwhile(void **state)
{
	uint64_t before = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_many, NULL), 0);
	for (unsigned int i = 0; i < 100; i++) {
		memset(&sum, 0, sizeof(sum));
		blk_stats_sum(&stats, BLK_KIND_READ, &sum);
		assert_true(sum.nr >= before);
		before = sum.nr;
	}
	pthread_join(writer, NULL);
	memset(&sum, 0, sizeof(sum));
	blk_stats_sum(&stats, BLK_KIND_READ, &sum);
	assert_int_equal(sum.nr, 20000);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_are_exact),
		TEST(sums_of_queues_add_up),
		TEST(failures_are_counted_beside_the_requests),
		TEST(quantiles_are_those_of_the_latencies),
		TEST(a_rare_long_one_shows_only_where_it_counts),
		TEST(quantiles_hold_for_any_number_of_requests),
		TEST(a_quantile_of_nothing_is_zero),
		TEST(what_takes_too_long_for_a_bucket_is_in_the_last_one),
		TEST(what_took_less_than_a_power_of_two_is_counted_exactly),
		TEST(requests_of_one_beginning_and_end_make_a_batch),
		TEST(each_beginning_has_its_own_latency),
		TEST(what_ends_in_the_turn_it_began_in_has_a_latency),
		TEST(a_turn_that_asks_twice_reads_the_clock_once),
		TEST(another_thread_may_read_meanwhile),
	};

	return cmocka_run_group_tests_name("blk-stats", tests, NULL, NULL);
}

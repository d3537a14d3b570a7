/* SPDX-License-Identifier: MIT */
/* bench-job - what a load asks next: where, read or write, and when */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/job.h"
#include "common/nsec.h"

#define NR_STEPS 100000

static void a_sequential_job_goes_round_its_range(void **state)
{
	struct job job;

	(void)state;
	job_init(&job, (struct job_range){ 100, 3 }, false, 100, 1);
	for (unsigned int i = 0; i < 7; i++)
		assert_int_equal(job_next(&job).block, 100 + i % 3);
}

static void a_random_job_takes_each_block_about_as_often(void **state)
{
	unsigned int counts[10] = { 0 };
	struct job job;

	(void)state;
	job_init(&job, (struct job_range){ 50, 10 }, true, 100, 1);
	for (unsigned int i = 0; i < NR_STEPS; i++) {
		uint64_t block = job_next(&job).block;

		assert_in_range(block, 50, 59);
		counts[block - 50]++;
	}
	for (unsigned int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9600, 10400);
}

static void a_random_job_reaches_both_ends_of_a_huge_range(void **state)
{
	uint64_t nr = UINT64_C(1) << 55;
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;
	struct job job;

	(void)state;
	job_init(&job, (struct job_range){ 0, nr }, true, 100, 1);
	for (unsigned int i = 0; i < NR_STEPS; i++) {
		uint64_t block = job_next(&job).block;

		least = block < least ? block : least;
		most = block > most ? block : most;
	}
	assert_true(least < nr / 1000);
	assert_true(most > nr - nr / 1000 && most < nr);
}

static void the_same_seed_gives_the_same_steps(void **state)
{
	const struct job_range range = { 0, 1 << 20 };
	struct job first, again, other;
	unsigned int nr_same = 0;

	(void)state;
	job_init(&first, range, true, 50, 7);
	job_init(&again, range, true, 50, 7);
	job_init(&other, range, true, 50, 8);
	for (unsigned int i = 0; i < 1000; i++) {
		struct job_step step = job_next(&first);
		struct job_step same = job_next(&again);

		assert_int_equal(step.block, same.block);
		assert_int_equal(step.writes, same.writes);
		nr_same += step.block == job_next(&other).block;
	}
	assert_in_range(nr_same, 0, 5);
}

static unsigned int count_writes(uint32_t read_percent)
{
	unsigned int nr = 0;
	struct job job;

	job_init(&job, (struct job_range){ 0, 1000 }, false, read_percent, 1);
	for (unsigned int i = 0; i < NR_STEPS; i++)
		nr += job_next(&job).writes;
	return nr;
}

static void reads_have_their_share(void **state)
{
	(void)state;
	assert_int_equal(count_writes(100), 0);
	assert_int_equal(count_writes(0), NR_STEPS);
	assert_in_range(count_writes(50), 49000, 51000);
	assert_in_range(count_writes(99), 800, 1200);
}

static void shares_do_not_overlap_and_stay_in_the_range(void **state)
{
	const struct job_range range = { 10, 103 };
	uint64_t end = range.first;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct job_range share = job_share(range, i, 10);

		assert_int_equal(share.first, end);
		assert_int_equal(share.nr, 10);
		end = share.first + share.nr;
	}
	assert_true(end <= range.first + range.nr);
	assert_int_equal(job_share((struct job_range){ 5, 3 }, 2, 3).first, 7);
}

static void a_pace_is_even(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 4, 1000);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(pace_due_nsec(&pace),
				 1000 + i * (NSEC_PER_SEC / 4));
		pace_step(&pace);
	}
}

/* An interval that is no whole number of nanoseconds does not add up. */
static void a_pace_does_not_drift(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 3000000, 0);
	pace.nr = UINT64_C(3000000) * 3600;
	assert_in_range(pace_due_nsec(&pace), 3600 * NSEC_PER_SEC - 1000,
			3600 * NSEC_PER_SEC + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequential_job_goes_round_its_range),
		cmocka_unit_test(a_random_job_takes_each_block_about_as_often),
		cmocka_unit_test(
			a_random_job_reaches_both_ends_of_a_huge_range),
		cmocka_unit_test(the_same_seed_gives_the_same_steps),
		cmocka_unit_test(reads_have_their_share),
		cmocka_unit_test(shares_do_not_overlap_and_stay_in_the_range),
		cmocka_unit_test(a_pace_is_even),
		cmocka_unit_test(a_pace_does_not_drift),
	};

	return cmocka_run_group_tests_name("bench-job", tests, NULL, NULL);
}

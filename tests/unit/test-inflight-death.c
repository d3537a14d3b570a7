/* SPDX-License-Identifier: MIT */
/*
 * inflight - a back-end is killed after any instruction, with either layout
 *
 * D-03, D-04. No request is lost, and none that the driver has got back comes
 * again.
 */
#include <stdio.h>

#include "tests/unit/death.h"

#define SOME 4 /* one in so many successors dies, too */

/* What happens to a split ring on a usual day */
static void split_day(struct death_world *world)
{
	death_start(world);
	for (uint16_t i = 0; i < 6; i++)
		death_add(world, 5 - i, 1);
	for (unsigned int i = 0; i < 4; i++)
		death_pop(world);
	death_push(world, 2);
	death_push(world, 0);
	death_pop(world);
	death_flush(world);
	death_reap(world);
	death_add(world, 7, 1);
	death_add(world, 5, 1);
	death_push(world, 1);
	death_flush(world);
	death_pop(world);
	death_pop(world);
	death_push(world, 6);
	death_push(world, 3);
	death_push(world, 4);
	death_flush(world);
	death_reap(world);
	death_push(world, 5);
	death_flush(world);
}

/* And to a packed one */
static void packed_day(struct death_world *world)
{
	death_start(world);
	for (uint16_t i = 0; i < 4; i++)
		death_add(world, 5 - i, i % 2 + 1);
	for (unsigned int i = 0; i < 3; i++)
		death_pop(world);
	death_push(world, 2);
	death_push(world, 0);
	death_pop(world);
	death_flush(world);
	death_reap(world);
	death_add(world, 7, 2);
	death_push(world, 1);
	death_flush(world);
	death_reap(world);
	death_pop(world);
	death_add(world, 1, 3);
	death_pop(world);
	death_push(world, 5);
	death_push(world, 3);
	death_push(world, 4);
	death_flush(world);
	death_reap(world);
}

/* Once around the ring in a batch */
static void big_day(struct death_world *world)
{
	death_start(world);
	death_add(world, 0, 3);
	death_add(world, 1, DEATH_SIZE - 3);
	death_pop(world);
	death_pop(world);
	death_push(world, 1);
	death_push(world, 0);
	death_flush(world);
	death_reap(world);
	death_add(world, 2, 2);
	death_pop(world);
	death_push(world, 2);
	death_flush(world);
}

static void short_day(struct death_world *world)
{
	death_start(world);
	for (uint16_t i = 0; i < 3; i++) {
		death_add(world, i, 1);
		death_pop(world);
	}
	death_push(world, 1);
	death_push(world, 0);
	death_flush(world);
}

static void skip_untraced(int nr)
{
	if (nr >= 0)
		return;
	printf("# a process cannot be traced here\n");
	skip();
}

/* Returns in how many states the story has ended. */
static int die(bool is_packed, death_story story, unsigned int nested)
{
	int nr = death_at_each_step(is_packed, story, nested);

	skip_untraced(nr);
	return nr;
}

/* D-03 */
static void a_death_at_a_split_ring_loses_and_repeats_nothing(void **state)
{
	(void)state;
	assert_true(die(false, split_day, 0) > 50);
}

/* D-03 */
static void a_death_at_a_packed_ring_loses_and_repeats_nothing(void **state)
{
	(void)state;
	assert_true(die(true, packed_day, 0) > 100);
}

static void nor_does_one_in_a_batch_once_around_the_ring(void **state)
{
	(void)state;
	assert_true(die(true, big_day, 0) > 50);
}

static void nor_does_one_while_a_split_ring_recovers_from_one(void **state)
{
	(void)state;
	assert_true(die(false, short_day, SOME) > 15);
}

static void nor_does_one_while_a_packed_ring_recovers_from_one(void **state)
{
	(void)state;
	assert_true(die(true, short_day, SOME) > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_death_at_a_split_ring_loses_and_repeats_nothing),
		cmocka_unit_test(
			a_death_at_a_packed_ring_loses_and_repeats_nothing),
		cmocka_unit_test(nor_does_one_in_a_batch_once_around_the_ring),
		cmocka_unit_test(
			nor_does_one_while_a_split_ring_recovers_from_one),
		cmocka_unit_test(
			nor_does_one_while_a_packed_ring_recovers_from_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

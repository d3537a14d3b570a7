/* SPDX-License-Identifier: MIT */
/* inflight_split - the record of a split ring, line by line of the document */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/inflight_region.h"
#include "tests/unit/death.h"

struct fixture {
	struct death_world world;
	struct rh_region_split *region;
	struct rh_desc_split *desc;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	death_world_init(&f->world, false);
	f->region = death_region(&f->world);
	f->desc = f->region->desc;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < DEATH_MOST; i++) {
		if (f->world.chains[i])
			death_push(&f->world, i);
	}
	death_world_deinit(&f->world);
	free(f);
	return 0;
}

/* Start over as after a death: what the queue knew is gone. */
static void die(struct fixture *f)
{
	struct rh_queue *queue = &f->world.memory.ring.queue;
	uint8_t ring[DEATH_RING_BYTES];
	uint8_t region[DEATH_REGION_BYTES];

	memcpy(ring, f->world.memory.ring.bytes, sizeof(ring));
	memcpy(region, f->region, sizeof(region));
	for (unsigned int i = 0; i < DEATH_MOST; i++) {
		if (f->world.chains[i])
			death_push(&f->world, i);
	}
	if (queue->state == RH_QUEUE_RUNNING)
		ring_stop(&f->world.memory.ring);
	queue->hold = RH_HOLD_NONE;
	memcpy(f->world.memory.ring.bytes, ring, sizeof(ring));
	memcpy(f->region, region, sizeof(region));
}

static void start(struct fixture *f)
{
	assert_int_equal(death_start(&f->world), 0);
}

static void a_part_of_zeroes_is_new_and_gets_set_up(void **state)
{
	struct fixture *f = *state;

	ring_store(&f->world.memory.ring.used->idx, 5);
	ring_store(&f->world.memory.ring.avail->idx, 5);
	start(f);
	assert_int_equal(f->region->version, 1);
	assert_int_equal(f->region->features, 0);
	assert_int_equal(f->region->desc_num, DEATH_SIZE);
	assert_int_equal(f->region->used_idx, 5);
	for (unsigned int i = 0; i < DEATH_SIZE; i++)
		assert_int_equal(f->desc[i].inflight, 0);
}

static void what_is_taken_is_marked_with_its_turn(void **state)
{
	struct fixture *f = *state;

	start(f);
	death_add(&f->world, 6, 1);
	death_add(&f->world, 2, 1);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(f->desc[6].inflight, 1);
	assert_int_equal(f->desc[2].inflight, 0);
	assert_int_equal(death_pop(&f->world), 1);
	assert_int_equal(f->desc[2].inflight, 1);
	assert_int_equal(f->desc[2].counter, f->desc[6].counter + 1);
}

static void what_is_given_back_stays_marked_until_it_is_published(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (uint16_t i = 0; i < 3; i++) {
		death_add(&f->world, i, 1);
		assert_int_equal(death_pop(&f->world), i);
	}
	death_push(&f->world, 2);
	death_push(&f->world, 0);
	assert_int_equal(f->desc[0].inflight, 1);
	assert_int_equal(f->desc[2].inflight, 1);
	death_flush(&f->world);
	assert_int_equal(f->desc[0].inflight, 0);
	assert_int_equal(f->desc[1].inflight, 1);
	assert_int_equal(f->desc[2].inflight, 0);
	assert_int_equal(f->region->used_idx, 2);
	assert_int_equal(f->region->last_batch_head, 0);
	assert_int_equal(f->desc[0].next, 2);
}

/* D-03 */
static void before_the_first_completion_nothing_is_cleared(void **state)
{
	struct fixture *f = *state;

	start(f);
	death_add(&f->world, 0, 1);
	assert_int_equal(death_pop(&f->world), 0);
	die(f);
	assert_int_equal(death_succeed(&f->world), 1);
}

/* D-03: the used index is stored, the marks are still there */
static void a_batch_that_the_driver_has_is_not_done_again(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (uint16_t i = 0; i < 4; i++) {
		death_add(&f->world, i, 1);
		death_pop(&f->world);
	}
	death_push(&f->world, 3);
	death_push(&f->world, 1);
	death_flush(&f->world);
	f->desc[3].inflight = 1;
	f->desc[1].inflight = 1;
	f->region->used_idx = 0;
	die(f);
	start(f);
	assert_int_equal(f->region->used_idx, 2);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), 2);
	assert_int_equal(death_pop(&f->world), -1);
}

static void unfinished_requests_come_first_in_their_order(void **state)
{
	static const uint16_t heads[] = { 5, 1, 7, 0 };
	struct fixture *f = *state;

	start(f);
	for (unsigned int i = 0; i < 4; i++) {
		death_add(&f->world, heads[i], 1);
		death_pop(&f->world);
	}
	death_push(&f->world, 1);
	death_flush(&f->world);
	death_add(&f->world, 3, 1);
	die(f);
	start(f);
	assert_true(rh_queue_owes(&f->world.memory.ring.queue));
	assert_true(rh_queue_expect_kicks(&f->world.memory.ring.queue));
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), 2);
	assert_int_equal(death_pop(&f->world), 3);
	assert_false(rh_queue_owes(&f->world.memory.ring.queue));
	assert_true(rh_queue_pending(&f->world.memory.ring.queue));
	assert_int_equal(death_pop(&f->world), 4);
	assert_true(f->desc[3].counter > f->desc[0].counter);
}

static void the_record_decides_where_the_ring_goes_on(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->world.memory.ring.queue;

	start(f);
	for (uint16_t i = 0; i < 3; i++) {
		death_add(&f->world, i, 1);
		death_pop(&f->world);
	}
	death_push(&f->world, 1);
	death_flush(&f->world);
	die(f);
	queue->base = 1234;
	queue->has_base = true;
	assert_int_equal(rh_queue_start(queue, f->world.memory.ring.map, 0), 0);
	queue->state = RH_QUEUE_RUNNING;
	assert_int_equal(queue->ring.split.next_avail, 3);
}

static void stopping_leaves_an_empty_record(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->world.memory.ring.queue;

	start(f);
	death_add(&f->world, 0, 1);
	death_pop(&f->world);
	death_push(&f->world, 0);
	ring_stop(&f->world.memory.ring);
	assert_true(queue->is_settled);
	assert_int_equal(f->desc[0].inflight, 0);
	assert_int_equal(f->region->used_idx, 1);
}

/* A record with heads 0 to 3 under way, to be spoilt. */
static void prepare(struct fixture *f)
{
	start(f);
	for (uint16_t i = 0; i < 4; i++) {
		death_add(&f->world, i, 1);
		death_pop(&f->world);
	}
	die(f);
}

static void an_abandoned_chain_stays_recorded(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->world.memory.ring.queue;

	prepare(f);
	start(f);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), 1);
	assert_false(rh_queue_may_abandon(queue));
	atomic_store(&queue->may_abandon, true);
	death_push(&f->world, 1);
	rh_queue_abandon(queue, f->world.chains[0]);
	f->world.chains[0] = NULL;
	ring_stop(&f->world.memory.ring);
	assert_false(rh_queue_may_abandon(queue));
	assert_false(queue->is_settled);
	assert_int_equal(queue->base, 4);
	assert_int_equal(f->desc[0].inflight, 1);
	assert_int_equal(f->desc[1].inflight, 0);
	assert_int_equal(death_succeed(&f->world), 3);
}

static void assert_refused(struct fixture *f)
{
	assert_int_equal(death_start(&f->world), -EPROTO);
	assert_true(rh_queue_broken(&f->world.memory.ring.queue));
}

static void an_unknown_version_or_size_is_refused(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->region->version = 2;
	assert_refused(f);
	f->region->version = 1;
	f->region->features = 1;
	assert_refused(f);
	f->region->features = 0;
	f->region->desc_num = DEATH_SIZE - 1;
	assert_refused(f);
	f->region->desc_num = DEATH_SIZE;
	assert_int_equal(death_succeed(&f->world), 4);
}

static void version_zero_is_new_whatever_else_it_says(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->region->version = 0;
	start(f);
	assert_int_equal(f->desc[0].inflight, 0);
	assert_false(rh_queue_owes(&f->world.memory.ring.queue));
}

static void wild_marks_are_no_requests(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->desc[6].inflight = 7;
	f->desc[7].inflight = 0xff;
	assert_int_equal(death_succeed(&f->world), 4);
	assert_int_equal(f->desc[6].inflight, 0);
	assert_int_equal(f->desc[7].inflight, 0);
}

static void equal_and_maximal_counters_are_taken_as_they_come(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	for (unsigned int i = 0; i < 4; i++)
		f->desc[i].counter = UINT64_MAX;
	assert_int_equal(death_succeed(&f->world), 4);
}

/* D-05: the marks are those of a ring that the driver has left */
static void
more_marks_than_the_driver_has_shown_are_another_ring_s(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->desc[6].inflight = 1;
	start(f);
	assert_false(rh_queue_owes(&f->world.memory.ring.queue));
	assert_int_equal(f->desc[0].inflight, 0);
}

/* D-05 */
static void a_used_index_far_off_is_another_ring_s(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->region->used_idx = 1000;
	start(f);
	assert_false(rh_queue_owes(&f->world.memory.ring.queue));
	assert_int_equal(f->region->used_idx, 0);
}

static void a_batch_list_without_end_or_sense_ends(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->region->used_idx = (uint16_t)-DEATH_SIZE;
	f->region->last_batch_head = 1;
	f->desc[1].next = 1;
	start(f);
	assert_int_equal(f->desc[1].inflight, 0);
	assert_int_equal(f->desc[0].inflight, 1);
	die(f);
	f->region->used_idx = (uint16_t)-3;
	f->region->last_batch_head = DEATH_SIZE;
	start(f);
	die(f);
	f->region->used_idx = (uint16_t)-3;
	f->region->last_batch_head = 0;
	f->desc[0].next = 0xffff;
	start(f);
	assert_int_equal(f->desc[0].inflight, 0);
}

/* G-08: nothing that is written there while the queue runs is believed */
static void rewriting_the_record_harms_nobody_else(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = 1;

	start(f);
	for (unsigned int i = 0; i < DEATH_MOST; i++) {
		death_add(&f->world, (uint16_t)(i % DEATH_SIZE), 1);
		for (unsigned int k = 0; k < DEATH_REGION_BYTES; k++)
			((uint8_t *)f->region)[k] = (uint8_t)rand_r(&seed);
		assert_int_equal(death_pop(&f->world), i);
		death_push(&f->world, i);
		death_flush(&f->world);
		death_reap(&f->world);
		assert_true(f->world.driver->requests[i].seen);
	}
}

static void random_records_are_harmless(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->world.memory.ring.queue;
	struct rh_chain *chain;
	unsigned int seed = 2;

	for (unsigned int i = 0; i < 2000; i++) {
		for (unsigned int k = 0; k < 512; k++)
			((uint8_t *)f->region)[k] =
				rand_r(&seed) % 3 ?
					(uint8_t)(rand_r(&seed) % DEATH_SIZE) :
					(uint8_t)rand_r(&seed);
		f->region->version = 1;
		f->region->features = 0;
		f->region->desc_num = DEATH_SIZE;
		f->region->used_idx = (uint16_t) - (i % DEATH_SIZE);
		ring_store(&f->world.memory.ring.avail->idx, i % DEATH_SIZE);
		ring_store(&f->world.memory.ring.used->idx, 0);
		start(f);
		while (rh_queue_pop(queue, &chain) > 0)
			rh_queue_push(queue, chain, 0);
		ring_stop(&f->world.memory.ring);
		queue->hold = RH_HOLD_NONE;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_part_of_zeroes_is_new_and_gets_set_up),
		TEST(what_is_taken_is_marked_with_its_turn),
		TEST(what_is_given_back_stays_marked_until_it_is_published),
		TEST(before_the_first_completion_nothing_is_cleared),
		TEST(a_batch_that_the_driver_has_is_not_done_again),
		TEST(unfinished_requests_come_first_in_their_order),
		TEST(the_record_decides_where_the_ring_goes_on),
		TEST(stopping_leaves_an_empty_record),
		TEST(an_abandoned_chain_stays_recorded),
		TEST(an_unknown_version_or_size_is_refused),
		TEST(version_zero_is_new_whatever_else_it_says),
		TEST(wild_marks_are_no_requests),
		TEST(equal_and_maximal_counters_are_taken_as_they_come),
		TEST(more_marks_than_the_driver_has_shown_are_another_ring_s),
		TEST(a_used_index_far_off_is_another_ring_s),
		TEST(a_batch_list_without_end_or_sense_ends),
		TEST(rewriting_the_record_harms_nobody_else),
		TEST(random_records_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* inflight_packed - the record of a packed ring, line by line of the document */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/inflight_region.h"
#include "tests/unit/death.h"

struct fixture {
	struct death_world world;
	struct rh_region_packed *region;
	struct rh_desc_packed *desc;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	death_world_init(&f->world, true);
	f->region = death_region(&f->world);
	f->desc = f->region->desc;
	*state = f;
	return 0;
}

static void push_all(struct fixture *f)
{
	for (unsigned int i = 0; i < DEATH_MOST; i++) {
		if (f->world.chains[i])
			death_push(&f->world, i);
	}
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	push_all(f);
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
	push_all(f);
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

/* Requests of one, two and three descriptors, all taken. */
static void take_three(struct fixture *f)
{
	start(f);
	for (uint16_t i = 0; i < 3; i++) {
		death_add(&f->world, i + 4, i + 1);
		assert_int_equal(death_pop(&f->world), i);
	}
}

static void assert_used(const struct fixture *f, uint16_t index, bool wrap)
{
	assert_int_equal(f->region->used.used_idx, index);
	assert_int_equal(f->region->used.old_used_idx, index);
	assert_int_equal(f->region->used.used_wrap_counter, wrap);
	assert_int_equal(f->region->used.old_used_wrap_counter, wrap);
}

static void a_part_of_zeroes_is_new_and_gets_set_up(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(f->region->version, 1);
	assert_int_equal(f->region->features, 0);
	assert_int_equal(f->region->desc_num, DEATH_SIZE);
	assert_int_equal(f->region->free_head, 0);
	assert_int_equal(f->region->old_free_head, 0);
	assert_used(f, 0, true);
	for (uint16_t i = 0; i < DEATH_SIZE; i++) {
		assert_int_equal(f->desc[i].inflight, 0);
		assert_int_equal(f->desc[i].next, i + 1);
	}
}

static void each_descriptor_that_is_taken_is_copied(void **state)
{
	struct fixture *f = *state;
	const struct pvirtq_desc *ring = f->world.memory.driver.desc;

	take_three(f);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(f->desc[i].addr, le64_get(ring[i].addr));
		assert_int_equal(f->desc[i].len, le32_get(ring[i].len));
		assert_int_equal(f->desc[i].id, le16_get(ring[i].id));
		assert_int_equal(f->desc[i].flags, le16_get(ring[i].flags));
	}
	assert_int_equal(f->region->free_head, 6);
	assert_int_equal(f->region->old_free_head, 6);
}

static void a_chain_is_marked_at_its_head_entry(void **state)
{
	static const uint8_t marks[] = { 1, 1, 0, 1, 0, 0, 0, 0 };
	struct fixture *f = *state;

	take_three(f);
	for (unsigned int i = 0; i < DEATH_SIZE; i++)
		assert_int_equal(f->desc[i].inflight, marks[i]);
	assert_int_equal(f->desc[0].num, 1);
	assert_int_equal(f->desc[0].last, 0);
	assert_int_equal(f->desc[1].num, 2);
	assert_int_equal(f->desc[1].last, 2);
	assert_int_equal(f->desc[3].num, 3);
	assert_int_equal(f->desc[3].last, 5);
	assert_int_equal(f->desc[1].counter, f->desc[0].counter + 1);
	assert_int_equal(f->desc[3].counter, f->desc[1].counter + 1);
}

static void what_is_given_back_stays_until_it_is_published(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	death_push(&f->world, 2);
	death_push(&f->world, 1);
	assert_int_equal(f->region->free_head, 6);
	assert_int_equal(f->desc[3].inflight, 1);
	assert_used(f, 0, true);
	death_flush(&f->world);
	assert_int_equal(f->desc[0].inflight, 1);
	assert_int_equal(f->desc[1].inflight, 0);
	assert_int_equal(f->desc[3].inflight, 0);
	assert_int_equal(f->desc[5].next, 6);
	assert_int_equal(f->desc[2].next, 3);
	assert_int_equal(f->region->free_head, 1);
	assert_int_equal(f->region->old_free_head, 1);
	assert_used(f, 5, true);
}

static void the_used_position_turns_with_the_ring(void **state)
{
	struct fixture *f = *state;

	start(f);
	death_add(&f->world, 0, DEATH_SIZE);
	death_pop(&f->world);
	assert_int_equal(f->region->free_head, DEATH_SIZE);
	death_push(&f->world, 0);
	death_flush(&f->world);
	assert_used(f, 0, false);
	assert_int_equal(f->region->free_head, 0);
}

/* D-03 */
static void before_the_first_completion_nothing_is_cleared(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	assert_int_equal(death_succeed(&f->world), 3);
}

/* D-05: a driver that began anew, and a record of the one before */
static void a_ring_that_was_never_used_is_not_the_record_s(void **state)
{
	struct fixture *f = *state;
	struct rh_queue *queue = &f->world.memory.ring.queue;

	take_three(f);
	die(f);
	packed_memory_rewind(&f->world.memory);
	f->world.driver->nr_added = 0;
	f->world.driver->packed_avail = f->world.memory.driver.avail;
	queue->base = RH_PACKED_FIRST_BASE;
	start(f);
	assert_false(rh_queue_owes(queue));
	assert_used(f, 0, true);
	death_add(&f->world, 1, 2);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), -1);
}

/*
 * D-03: the ring itself says it: its head is used, though nothing else was done
 */
static void a_batch_that_the_driver_has_is_carried_through(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	death_push(&f->world, 1);
	death_flush(&f->world);
	f->desc[1].inflight = 1;
	f->region->old_free_head = 6;
	f->region->used.old_used_idx = 0;
	die(f);
	start(f);
	assert_used(f, 2, true);
	assert_int_equal(f->region->old_free_head, 1);
	assert_int_equal(f->desc[1].inflight, 0);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), 2);
	assert_int_equal(death_pop(&f->world), -1);
}

static void a_batch_that_it_has_not_is_rolled_back(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->desc[2].next = 6;
	f->region->free_head = 1;
	f->region->used.used_idx = 2;
	start(f);
	assert_used(f, 0, true);
	assert_int_equal(f->region->free_head, 6);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(death_pop(&f->world), 1);
	assert_int_equal(death_pop(&f->world), 2);
}

/* The indices are equal then, the wrap counters are not */
static void a_batch_once_around_the_ring_is_one_as_well(void **state)
{
	struct fixture *f = *state;

	start(f);
	death_add(&f->world, 0, DEATH_SIZE);
	death_pop(&f->world);
	death_push(&f->world, 0);
	death_flush(&f->world);
	f->desc[0].inflight = 1;
	f->region->old_free_head = DEATH_SIZE;
	f->region->used.old_used_wrap_counter = true;
	die(f);
	start(f);
	assert_used(f, 0, false);
	assert_int_equal(death_pop(&f->world), -1);
	assert_int_equal(f->desc[0].inflight, 0);
}

static void unfinished_requests_come_first_from_their_copies(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	death_push(&f->world, 2);
	death_push(&f->world, 0);
	death_flush(&f->world);
	death_add(&f->world, 1, 1);
	die(f);
	/* where the request was, used descriptors lie now */
	memset(&f->world.memory.driver.desc[1], 0xff,
	       2 * sizeof(f->world.memory.driver.desc[0]));
	start(f);
	assert_true(rh_queue_owes(&f->world.memory.ring.queue));
	assert_int_equal(death_pop(&f->world), 1);
	assert_int_equal(f->world.chains[1]->nr_writable, 2);
	assert_false(rh_queue_owes(&f->world.memory.ring.queue));
	assert_int_equal(death_pop(&f->world), 3);
	assert_int_equal(death_pop(&f->world), -1);
}

static void what_was_given_and_never_published_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct death_world *world = &f->world;

	start(f);
	for (uint16_t i = 0; i < 3; i++) {
		death_add(world, i, 1);
		assert_int_equal(death_pop(world), i);
	}
	for (unsigned int i = 0; i < 3; i++)
		death_push(world, i);
	die(f);
	start(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(death_pop(world), i);

	/* behind the first one there is nothing yet, whatever was there */
	death_push(world, 0);
	death_flush(world);
	death_reap(world);
	assert_true(world->driver->requests[0].seen);
	assert_false(world->driver->requests[1].seen);
	assert_false(world->driver->requests[2].seen);

	death_push(world, 1);
	death_push(world, 2);
	death_flush(world);
	death_reap(world);
	assert_true(world->driver->requests[2].seen);
}

static void stopping_leaves_an_empty_record(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	push_all(f);
	ring_stop(&f->world.memory.ring);
	assert_true(f->world.memory.ring.queue.is_settled);
	for (unsigned int i = 0; i < DEATH_SIZE; i++)
		assert_int_equal(f->desc[i].inflight, 0);
	assert_used(f, 6, true);
}

static void assert_refused(struct fixture *f)
{
	struct rh_queue *queue = &f->world.memory.ring.queue;

	assert_int_equal(death_start(&f->world), -EPROTO);
	assert_true(rh_queue_broken(queue));
	assert_null(queue->record);
}

static void an_unknown_version_or_size_is_refused(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->region->version = 0xffff;
	assert_refused(f);
	f->region->version = 1;
	f->region->features = UINT64_C(1) << 63;
	assert_refused(f);
	f->region->features = 0;
	f->region->desc_num = DEATH_SIZE + 1;
	assert_refused(f);
	f->region->desc_num = DEATH_SIZE;
	assert_int_equal(death_succeed(&f->world), 3);
}

static void a_used_position_beyond_the_ring_is_refused(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->region->used.used_idx = DEATH_SIZE;
	assert_refused(f);
	f->region->used.used_idx = 0;
	f->region->used.old_used_idx = 0xffff;
	assert_refused(f);
}

static void lists_that_run_in_circles_are_refused(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->desc[7].next = 6;
	assert_int_equal(death_succeed(&f->world), 3);
	die(f);
	f->desc[0].inflight = 1;
	f->desc[0].num = DEATH_SIZE;
	f->desc[0].next = 0;
	f->region->old_free_head = DEATH_SIZE;
	assert_refused(f);
}

static void lists_that_leave_the_part_are_refused(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->desc[3].next = DEATH_SIZE;
	assert_refused(f);
	f->desc[3].next = 0xffff;
	assert_refused(f);
	f->desc[3].next = 4;
	f->region->old_free_head = 0xffff;
	assert_refused(f);
}

static void chains_of_no_length_or_too_much_are_refused(void **state)
{
	static const uint16_t lengths[] = { 0, DEATH_SIZE + 1, 0xffff };
	struct fixture *f = *state;

	take_three(f);
	die(f);
	for (unsigned int i = 0; i < 3; i++) {
		f->desc[3].num = lengths[i];
		assert_refused(f);
	}
}

/* G-05 */
static void an_id_beyond_the_ring_breaks_it(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	take_three(f);
	die(f);
	f->desc[0].id = DEATH_SIZE;
	start(f);
	assert_int_equal(rh_queue_pop(&f->world.memory.ring.queue, &chain),
			 -EPROTO);
}

static void one_id_twice_breaks_it(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	take_three(f);
	die(f);
	f->desc[2].id = f->desc[0].id;
	start(f);
	assert_int_equal(death_pop(&f->world), 0);
	assert_int_equal(rh_queue_pop(&f->world.memory.ring.queue, &chain),
			 -EPROTO);
}

static void wild_marks_are_no_requests(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	f->desc[2].inflight = 7;
	f->desc[7].inflight = 1;
	assert_int_equal(death_succeed(&f->world), 3);
	assert_int_equal(f->desc[2].inflight, 0);
	assert_int_equal(f->desc[7].inflight, 0);
}

static void equal_and_maximal_counters_are_taken_as_they_come(void **state)
{
	struct fixture *f = *state;

	take_three(f);
	die(f);
	for (unsigned int i = 0; i < DEATH_SIZE; i++)
		f->desc[i].counter = UINT64_MAX;
	assert_int_equal(death_succeed(&f->world), 3);
}

/* G-08: nothing that is written there while the queue runs is believed */
static void rewriting_the_record_harms_nobody_else(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = 1;

	start(f);
	for (unsigned int i = 0; i < DEATH_MOST; i++) {
		death_add(&f->world, (uint16_t)(i % DEATH_SIZE), i % 3 + 1);
		for (unsigned int k = 0; k < DEATH_REGION_BYTES; k++)
			((uint8_t *)f->region)[k] = (uint8_t)rand_r(&seed);
		assert_int_equal(death_pop(&f->world), i);
		death_push(&f->world, i);
		death_flush(&f->world);
		death_reap(&f->world);
		assert_true(f->world.driver->requests[i].seen);
	}
}

static void serve_if_it_starts(struct fixture *f)
{
	struct rh_queue *queue = &f->world.memory.ring.queue;
	struct rh_chain *chain;

	if (death_start(&f->world) == 0) {
		while (rh_queue_pop(queue, &chain) > 0)
			rh_queue_push(queue, chain, 0);
		ring_stop(&f->world.memory.ring);
	}
	queue->hold = RH_HOLD_NONE;
}

static void random_records_are_harmless(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = 2;

	for (unsigned int i = 0; i < 5000; i++) {
		for (unsigned int k = 0; k < 512; k++)
			((uint8_t *)f->region)[k] =
				rand_r(&seed) % 5 || k % 2 ?
					(uint8_t)(rand_r(&seed) % 2) :
					(uint8_t)(rand_r(&seed) % 10);
		f->region->version = 1;
		f->region->features = 0;
		f->region->desc_num = DEATH_SIZE;
		serve_if_it_starts(f);
	}
}

/* One field of a good record at a time */
static void records_with_one_wild_number_are_harmless(void **state)
{
	static const uint8_t bytes[] = { 0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff };
	struct fixture *f = *state;
	uint8_t good[512];
	uint8_t ring[DEATH_RING_BYTES];

	take_three(f);
	die(f);
	memcpy(good, f->region, sizeof(good));
	memcpy(ring, f->world.memory.ring.bytes, sizeof(ring));
	for (unsigned int k = 16; k < sizeof(good); k++) {
		for (unsigned int i = 0; i < sizeof(bytes); i++) {
			memcpy(f->region, good, sizeof(good));
			memcpy(f->world.memory.ring.bytes, ring, sizeof(ring));
			((uint8_t *)f->region)[k] = bytes[i];
			serve_if_it_starts(f);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_part_of_zeroes_is_new_and_gets_set_up),
		TEST(each_descriptor_that_is_taken_is_copied),
		TEST(a_chain_is_marked_at_its_head_entry),
		TEST(what_is_given_back_stays_until_it_is_published),
		TEST(the_used_position_turns_with_the_ring),
		TEST(before_the_first_completion_nothing_is_cleared),
		TEST(a_ring_that_was_never_used_is_not_the_record_s),
		TEST(a_batch_that_the_driver_has_is_carried_through),
		TEST(a_batch_that_it_has_not_is_rolled_back),
		TEST(a_batch_once_around_the_ring_is_one_as_well),
		TEST(unfinished_requests_come_first_from_their_copies),
		TEST(what_was_given_and_never_published_is_taken_back),
		TEST(stopping_leaves_an_empty_record),
		TEST(an_unknown_version_or_size_is_refused),
		TEST(a_used_position_beyond_the_ring_is_refused),
		TEST(lists_that_run_in_circles_are_refused),
		TEST(lists_that_leave_the_part_are_refused),
		TEST(chains_of_no_length_or_too_much_are_refused),
		TEST(an_id_beyond_the_ring_breaks_it),
		TEST(one_id_twice_breaks_it),
		TEST(wild_marks_are_no_requests),
		TEST(equal_and_maximal_counters_are_taken_as_they_come),
		TEST(rewriting_the_record_harms_nobody_else),
		TEST(random_records_are_harmless),
		TEST(records_with_one_wild_number_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

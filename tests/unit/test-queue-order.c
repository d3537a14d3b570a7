/* SPDX-License-Identifier: MIT */
/* queue - with IN_ORDER the driver gets chains back as it gave them */
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "tests/unit/packed-memory.h"
#include "tests/unit/queue-fixture.h"

#define IN_ORDER FEATURE_BIT(VIRTIO_F_IN_ORDER)

static const uint16_t backwards[] = { 3, 2, 1, 0 };

static int set_up_in_order(void **state)
{
	struct fixture *f;

	fixture_set_up(state);
	f = *state;
	ring_stop(&f->ring);
	ring_start(&f->ring, IN_ORDER);
	return 0;
}

static void pop_status_chains(struct fixture *f, struct rh_chain **chains,
			      uint16_t nr)
{
	for (uint16_t i = 0; i < nr; i++) {
		fixture_add_status(f, i);
		assert_int_equal(rh_queue_pop(&f->ring.queue, &chains[i]), 1);
	}
}

static void assert_used(struct fixture *f, uint32_t head, uint32_t bytes)
{
	uint32_t id;
	uint32_t len;

	assert_true(ring_take_used(&f->ring, &id, &len));
	assert_int_equal(id, head);
	assert_int_equal(len, bytes);
}

static void assert_none_used(struct fixture *f)
{
	uint32_t id;
	uint32_t len;

	assert_false(rh_queue_flush(&f->ring.queue));
	assert_false(ring_take_used(&f->ring, &id, &len));
}

static void chains_go_back_as_they_came(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[4];

	pop_status_chains(f, chains, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_none_used(f);
		rh_queue_push(&f->ring.queue, chains[backwards[i]], i % 2);
	}
	assert_true(rh_queue_flush(&f->ring.queue));
	for (uint32_t i = 0; i < 4; i++)
		assert_used(f, i, (3 - i) % 2);
	assert_none_used(f);
}

/* the length of the first one is that of its own descriptors */
static void packed_chains_go_back_as_they_came(void **state)
{
	struct packed_memory memory;
	struct rh_queue *queue = &memory.ring.queue;
	struct rh_chain *chains[4];
	struct pvirtq_desc used;
	struct ring_buffer buffers[2];

	(void)state;
	packed_memory_init(&memory, 7);
	buffers[0] = (struct ring_buffer){ ring_alloc(&memory.ring, 64, 64), 16,
					   true };
	buffers[1] = buffers[0];
	ring_start(&memory.ring, RING_PACKED | IN_ORDER);
	for (unsigned int round = 0; round < 20; round++) {
		for (uint16_t i = 0; i < 4; i++) {
			packed_memory_add(&memory, i, buffers, 1 + i % 2);
			assert_int_equal(rh_queue_pop(queue, &chains[i]), 1);
		}
		for (uint32_t i = 0; i < 4; i++) {
			assert_false(rh_queue_flush(queue));
			rh_queue_push(queue, chains[backwards[i]], i);
		}
		assert_true(rh_queue_flush(queue));
		for (uint16_t i = 0; i < 4; i++) {
			assert_true(
				packed_side_take_used(&memory.driver, &used));
			assert_int_equal(le16_get(used.id), i);
			assert_int_equal(le32_get(used.len), 3 - i);
			packed_side_skip(&memory.driver, 1 + i % 2);
		}
		assert_false(packed_side_has_used(&memory.driver));
	}
	ring_deinit(&memory.ring);
}

static void a_whole_ring_may_wait_for_one_chain(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[SIZE];

	for (unsigned int round = 0; round < 3; round++) {
		pop_status_chains(f, chains, SIZE);
		for (uint16_t i = 1; i < SIZE; i++)
			rh_queue_push(&f->ring.queue, chains[i], 1);
		assert_int_equal(f->ring.queue.nr_under_way, 1);
		assert_none_used(f);
		rh_queue_push(&f->ring.queue, chains[0], 1);
		assert_true(rh_queue_flush(&f->ring.queue));
		for (uint16_t i = 0; i < SIZE; i++)
			assert_used(f, i, 1);
	}
}

/* G-04: the driver does not have it back, so cannot give it */
static void a_head_that_waits_for_its_turn_cannot_come_again(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[2];
	struct rh_chain *again = NULL;

	pop_status_chains(f, chains, 2);
	rh_queue_push(&f->ring.queue, chains[1], 1);
	fixture_add_status(f, 1);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &again), -EPROTO);
	fixture_assert_broken(f, "1 is available twice");
	rh_queue_push(&f->ring.queue, chains[0], 1);
	assert_true(rh_queue_flush(&f->ring.queue));
	assert_used(f, 0, 1);
	assert_used(f, 1, 1);
}

/*
 * A used entry behind it would say that the rejected chain was done as well.
 */
static void a_rejected_chain_holds_those_behind_it(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[4];

	pop_status_chains(f, chains, 4);
	rh_queue_push(&f->ring.queue, chains[3], 1);
	rh_queue_reject(&f->ring.queue, chains[1], "it cannot be answered");
	fixture_assert_broken(f, "it cannot be answered");
	rh_queue_push(&f->ring.queue, chains[2], 1);
	assert_none_used(f);
	rh_queue_push(&f->ring.queue, chains[0], 1);
	assert_true(rh_queue_flush(&f->ring.queue));
	assert_used(f, 0, 1);
	assert_none_used(f);
	assert_int_equal(f->ring.queue.nr_under_way, 0);
	/* and keep no queue from stopping, or from starting anew */
	ring_stop(&f->ring);
	ring_start(&f->ring, IN_ORDER);
	assert_false(rh_queue_broken(&f->ring.queue));
	fixture_add_status(f, 1);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chains[0]), 1);
	assert_int_equal(chains[0]->index, 1);
	rh_queue_push(&f->ring.queue, chains[0], 1);
}

static void a_broken_queue_finishes_in_order(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[3];

	pop_status_chains(f, chains, 3);
	fixture_break(f);
	for (uint16_t i = 3; i-- > 0;)
		rh_queue_push(&f->ring.queue, chains[i], 1);
	assert_true(rh_queue_flush(&f->ring.queue));
	for (uint16_t i = 0; i < 3; i++)
		assert_used(f, i, 1);
}

/* Behaviour 33 */
static void a_stop_leaves_nothing_waiting(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[3];

	pop_status_chains(f, chains, 3);
	for (uint16_t i = 3; i-- > 0;)
		rh_queue_push(&f->ring.queue, chains[i], 1);
	ring_stop(&f->ring);
	assert_int_equal(f->ring.queue.base, 3);
	for (uint16_t i = 0; i < 3; i++)
		assert_used(f, i, 1);
}

static void order_is_free_where_it_was_not_accepted(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chains[2];

	ring_stop(&f->ring);
	ring_start(&f->ring, 0);
	pop_status_chains(f, chains, 2);
	rh_queue_push(&f->ring.queue, chains[1], 1);
	rh_queue_flush(&f->ring.queue);
	assert_used(f, 1, 1);
	rh_queue_push(&f->ring.queue, chains[0], 1);
}

#define ORDER_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, set_up_in_order,                 \
					fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ORDER_TEST(chains_go_back_as_they_came),
		cmocka_unit_test(packed_chains_go_back_as_they_came),
		ORDER_TEST(a_whole_ring_may_wait_for_one_chain),
		ORDER_TEST(a_head_that_waits_for_its_turn_cannot_come_again),
		ORDER_TEST(a_rejected_chain_holds_those_behind_it),
		ORDER_TEST(a_broken_queue_finishes_in_order),
		ORDER_TEST(a_stop_leaves_nothing_waiting),
		ORDER_TEST(order_is_free_where_it_was_not_accepted),
	};

	return cmocka_run_group_tests_name("queue-order", tests, NULL, NULL);
}

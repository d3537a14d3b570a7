/* SPDX-License-Identifier: MIT */
/* queue - pop, push, flush, notify, and all that breaks a queue */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/fd.h"
#include "tests/unit/queue-fixture.h"
#include "tests/unit/resident.h"

static void a_chain_goes_through_the_queue(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;
	uint32_t id;
	uint32_t len;

	fixture_add_request(f, 3);
	assert_true(rh_queue_pending(&f->ring.queue));
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	assert_int_equal(chain->index, 3);
	assert_int_equal(chain->readable_bytes, 16);
	assert_int_equal(chain->writable_bytes, 4097);
	rh_queue_push(&f->ring.queue, chain, 4097);
	assert_false(ring_take_used(&f->ring, &id, &len));
	assert_true(rh_queue_flush(&f->ring.queue));
	assert_true(ring_take_used(&f->ring, &id, &len));
	assert_int_equal(id, 3);
	assert_int_equal(len, 4097);
	assert_false(rh_queue_flush(&f->ring.queue));
}

/* So that a request of three pieces is in two cache lines. */
static void slots_share_no_cache_line(void **state)
{
	const struct rh_queue *queue = &((struct fixture *)*state)->ring.queue;

	assert_int_equal(sizeof(*queue->slots) % RH_CACHE_LINE_BYTES, 0);
	assert_int_equal((uintptr_t)queue->slots % RH_CACHE_LINE_BYTES, 0);
	assert_int_equal(offsetof(struct rh_chain_slot, iov),
			 RH_CACHE_LINE_BYTES);
}

static size_t resident_slots(const struct rh_queue *queue)
{
	return resident_pages(queue->slots,
			      queue->size * sizeof(*queue->slots));
}

static void a_slot_costs_no_memory_before_its_head_is_taken(void **state)
{
	struct ring_buffer status = { .len = 1, .writable = true };
	const uint16_t size = 1024;
	struct ring_memory ring;
	struct rh_chain *chain;

	(void)state;
	ring_init(&ring, size);
	status.addr = ring_alloc(&ring, 1, 1);
	ring_start(&ring, 0);
	assert_int_equal(resident_slots(&ring.queue), 0);
	for (unsigned int i = 0; i < 2u * size; i++) {
		ring_add(&ring, 700, &status, 1);
		assert_int_equal(rh_queue_pop(&ring.queue, &chain), 1);
		assert_int_equal(chain->index, 700);
		rh_queue_push(&ring.queue, chain, 1);
		rh_queue_flush(&ring.queue);
	}
	assert_int_equal(resident_slots(&ring.queue), 1);
	ring_deinit(&ring);
}

static void an_empty_queue_gives_nothing(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain = NULL;

	assert_false(rh_queue_pending(&f->ring.queue));
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 0);
	assert_null(chain);
}

/* G-25, G-02 */
static void a_full_ring_is_served_whole_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;
	bool seen[SIZE] = { false };

	for (uint16_t i = 0; i < SIZE; i++)
		fixture_add_status(f, i);
	for (unsigned int i = 0; i < SIZE; i++) {
		assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
		assert_in_range(chain->index, 0, SIZE - 1);
		assert_false(seen[chain->index]);
		seen[chain->index] = true;
	}
	assert_int_equal(f->ring.queue.nr_under_way, SIZE);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 0);
	fixture_push_all(f);
}

static void chains_are_pushed_in_any_order(void **state)
{
	static const uint16_t order[] = { 2, 0, 3, 1 };
	struct fixture *f = *state;
	struct rh_chain *chains[4];
	uint32_t id;
	uint32_t len;

	for (uint16_t i = 0; i < 4; i++) {
		fixture_add_status(f, i);
		assert_int_equal(rh_queue_pop(&f->ring.queue, &chains[i]), 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		rh_queue_push(&f->ring.queue, chains[order[i]], i % 2);
	rh_queue_flush(&f->ring.queue);
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(ring_take_used(&f->ring, &id, &len));
		assert_int_equal(id, order[i]);
		assert_int_equal(len, i % 2);
	}
}

/* Behaviour 31 */
static void notify_signals_the_call_fd_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_count(f->call_fd), 0);
	rh_queue_notify(&f->ring.queue);
	assert_int_equal(fixture_count(f->call_fd), 1);
}

static void a_full_call_fd_blocks_nobody(void **state)
{
	struct fixture *f = *state;
	uint64_t nearly_full = UINT64_MAX - 1;

	assert_int_equal(write(f->call_fd, &nearly_full, 8), 8);
	rh_queue_notify(&f->ring.queue);
	assert_true(fixture_count(f->call_fd) >= nearly_full);
}

static void kicks_are_suppressed_and_expected(void **state)
{
	struct fixture *f = *state;

	rh_queue_suppress_kicks(&f->ring.queue);
	assert_int_equal(ring_load(&f->ring.used->flags),
			 VIRTQ_USED_F_NO_NOTIFY);
	assert_false(rh_queue_expect_kicks(&f->ring.queue));
	assert_int_equal(ring_load(&f->ring.used->flags), 0);
	fixture_add_status(f, 0);
	assert_true(rh_queue_expect_kicks(&f->ring.queue));
}

static void the_kick_fd_is_cleared_without_blocking(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rh_queue_kick_fd(&f->ring.queue), -1);
	rh_queue_clear_kick(&f->ring.queue);

	f->ring.queue.kick_fd = rh_eventfd_create();
	rh_eventfd_signal(f->ring.queue.kick_fd);
	rh_queue_clear_kick(&f->ring.queue);
	rh_queue_clear_kick(&f->ring.queue);
	assert_int_equal(fixture_count(rh_queue_kick_fd(&f->ring.queue)), 0);
}

static void a_queue_knows_its_number_and_its_device_s_data(void **state)
{
	struct fixture *f = *state;
	int data;

	assert_int_equal(rh_queue_index(&f->ring.queue), 0);
	assert_int_equal(rh_queue_size(&f->ring.queue), SIZE);
	assert_null(rh_queue_data(&f->ring.queue));
	rh_queue_set_data(&f->ring.queue, &data);
	ring_stop(&f->ring);
	ring_start(&f->ring, 0);
	assert_ptr_equal(rh_queue_data(&f->ring.queue), &data);
}

/* G-01 */
static void a_loop_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	f->ring.desc[0] = ring_desc(f->data, 1, VIRTQ_DESC_F_NEXT, 0);
	ring_make_available(&f->ring, 0);
	fixture_assert_breaks(f, "chain at head 0");
}

/* G-01: a second ring of the same memory does not notice */
static void other_queues_live_on(void **state)
{
	struct fixture *f = *state;
	struct ring_memory other;
	struct rh_chain *chain;

	ring_init(&other, SIZE);
	ring_start(&other, 0);
	f->ring.desc[0] = ring_desc(f->data, 1, VIRTQ_DESC_F_NEXT, 0);
	ring_make_available(&f->ring, 0);
	fixture_assert_breaks(f, "chain at head 0");

	other.desc[0] = ring_desc(RING_GUEST_BASE, 1, 0, 0);
	ring_make_available(&other, 0);
	assert_int_equal(rh_queue_pop(&other.queue, &chain), 1);
	rh_queue_push(&other.queue, chain, 0);
	ring_deinit(&other);
}

/* G-03 */
static void an_index_too_far_ahead_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	ring_store(&f->ring.avail->idx, SIZE + 1);
	fixture_assert_breaks(f, "available index is not within");
}

/* G-03: the head that was taken is not processed twice */
static void an_index_that_moves_back_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	fixture_add_status(f, 0);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
	ring_store(&f->ring.avail->idx, 0);
	fixture_assert_breaks(f, "available index is not within");
}

static void a_head_beyond_the_table_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	ring_make_available(&f->ring, SIZE);
	fixture_assert_breaks(f, "head");
}

/* G-04: accepted once */
static void a_head_that_is_available_twice_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;
	uint32_t id;
	uint32_t len;

	fixture_add_status(f, 5);
	ring_make_available(&f->ring, 5);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	fixture_assert_breaks(f, "head 5 is available twice");

	/* what is under way ends as usual */
	rh_queue_push(&f->ring.queue, chain, 1);
	rh_queue_flush(&f->ring.queue);
	assert_true(ring_take_used(&f->ring, &id, &len));
	assert_int_equal(id, 5);
	assert_false(ring_take_used(&f->ring, &id, &len));
}

static void a_head_may_come_again_once_it_was_pushed(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	fixture_add_status(f, 5);
	ring_make_available(&f->ring, 5);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
}

static void a_bad_chain_breaks_a_queue_that_does_not_keep_it(void **state)
{
	struct fixture *f = *state;

	f->ring.desc[0] = ring_desc(0, 512, VIRTQ_DESC_F_WRITE, 0);
	ring_make_available(&f->ring, 0);
	fixture_assert_breaks(f, "chain at head 0 is refused: Bad address");
}

static void a_bad_chain_is_handed_over_where_it_is_kept(void **state)
{
	struct ring_memory ring;
	struct rh_chain *chain;

	(void)state;
	ring_init_keeping_bad_chains(&ring, SIZE);
	ring_start(&ring, 0);
	/* G-20: no slot is lost over them */
	for (int i = 0; i < 10000; i++) {
		ring.desc[i % SIZE] = ring_desc(0, 512, VIRTQ_DESC_F_WRITE, 0);
		ring_make_available(&ring, i % SIZE);
		assert_int_equal(rh_queue_pop(&ring.queue, &chain), 1);
		assert_int_equal(chain->error, -EFAULT);
		rh_queue_push(&ring.queue, chain, 0);
	}
	ring.desc[0] = ring_desc(RING_GUEST_BASE, 1, VIRTQ_DESC_F_WRITE, 0);
	ring_make_available(&ring, 0);
	assert_int_equal(rh_queue_pop(&ring.queue, &chain), 1);
	assert_int_equal(chain->error, 0);
	rh_queue_push(&ring.queue, chain, 1);
	ring_deinit(&ring);
}

static void a_broken_queue_waits_for_nothing(void **state)
{
	struct fixture *f = *state;

	fixture_break(f);
	fixture_add_status(f, 1);
	assert_true(rh_queue_broken(&f->ring.queue));
	assert_false(rh_queue_pending(&f->ring.queue));
	assert_false(rh_queue_expect_kicks(&f->ring.queue));
}

static void a_broken_queue_is_whole_after_the_next_start(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	fixture_break(f);
	ring_stop(&f->ring);
	ring_store(&f->ring.avail->idx, 0);
	f->ring.avail_idx = 0;
	ring_start(&f->ring, 0);
	assert_false(rh_queue_broken(&f->ring.queue));
	fixture_add_status(f, 1);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_push(&f->ring.queue, chain, 1);
}

/* G-20, G-21: no completion is possible */
static void a_rejected_chain_never_goes_back(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;
	uint32_t id;
	uint32_t len;

	f->ring.desc[0] = ring_desc(f->data, 16, 0, 0);
	ring_make_available(&f->ring, 0);
	assert_int_equal(rh_queue_pop(&f->ring.queue, &chain), 1);
	rh_queue_reject(&f->ring.queue, chain, "it has no status byte");
	assert_int_equal(f->ring.queue.nr_under_way, 0);
	fixture_assert_broken(f, "it has no status byte");
	assert_false(rh_queue_flush(&f->ring.queue));
	assert_false(ring_take_used(&f->ring, &id, &len));
}

/* Run act(f) in a child of its own, which must die of an assertion. */
static void assert_aborts(struct fixture *f, void (*act)(struct fixture *f))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		prctl(PR_SET_DUMPABLE, 0); /* no core file */
		close(STDERR_FILENO);
		act(f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void push_twice(struct fixture *f)
{
	struct rh_chain *chain;

	rh_queue_pop(&f->ring.queue, &chain);
	rh_queue_push(&f->ring.queue, chain, 0);
	rh_queue_push(&f->ring.queue, chain, 0);
}

static void push_too_much(struct fixture *f)
{
	struct rh_chain *chain;

	rh_queue_pop(&f->ring.queue, &chain);
	rh_queue_push(&f->ring.queue, chain, 2);
}

static void stop_early(struct fixture *f)
{
	struct rh_chain *chain;

	rh_queue_pop(&f->ring.queue, &chain);
	rh_queue_stopped(&f->ring.queue);
}

static void our_own_bugs_are_asserted(void **state)
{
	struct fixture *f = *state;

	fixture_add_status(f, 0);
	assert_aborts(f, push_twice);
	assert_aborts(f, push_too_much);
	assert_aborts(f, stop_early);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(a_chain_goes_through_the_queue),
		QUEUE_TEST(slots_share_no_cache_line),
		cmocka_unit_test(
			a_slot_costs_no_memory_before_its_head_is_taken),
		QUEUE_TEST(an_empty_queue_gives_nothing),
		QUEUE_TEST(a_full_ring_is_served_whole_and_no_more),
		QUEUE_TEST(chains_are_pushed_in_any_order),
		QUEUE_TEST(notify_signals_the_call_fd_once),
		QUEUE_TEST(a_full_call_fd_blocks_nobody),
		QUEUE_TEST(kicks_are_suppressed_and_expected),
		QUEUE_TEST(the_kick_fd_is_cleared_without_blocking),
		QUEUE_TEST(a_queue_knows_its_number_and_its_device_s_data),
		QUEUE_TEST(a_loop_breaks_the_queue),
		QUEUE_TEST(other_queues_live_on),
		QUEUE_TEST(an_index_too_far_ahead_breaks_the_queue),
		QUEUE_TEST(an_index_that_moves_back_breaks_the_queue),
		QUEUE_TEST(a_head_beyond_the_table_breaks_the_queue),
		QUEUE_TEST(a_head_that_is_available_twice_breaks_the_queue),
		QUEUE_TEST(a_head_may_come_again_once_it_was_pushed),
		QUEUE_TEST(a_bad_chain_breaks_a_queue_that_does_not_keep_it),
		QUEUE_TEST(a_bad_chain_is_handed_over_where_it_is_kept),
		QUEUE_TEST(a_broken_queue_waits_for_nothing),
		QUEUE_TEST(a_broken_queue_is_whole_after_the_next_start),
		QUEUE_TEST(a_rejected_chain_never_goes_back),
		QUEUE_TEST(our_own_bugs_are_asserted),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}

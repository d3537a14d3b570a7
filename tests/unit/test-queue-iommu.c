/* SPDX-License-Identifier: MIT */
/* queue - behind an IOMMU: misses, answers, refusals, in both layouts */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/iommu-queue.h"

static void a_chain_that_misses_waits_in_the_ring(void **state)
{
	struct iommu_queue *f = *state;
	struct rh_chain *chain;

	iommu_add_page(f, true);
	assert_true(rh_queue_pending(f->queue));
	iommu_assert_nothing_to_pop(f);
	assert_true(iommu_is_readable(f->ring->wake_fd));
	iommu_assert_asked(f, f->data, WO);
	iommu_assert_nothing_to_pop(f);

	assert_false(iommu_is_readable(f->queue->kick_fd));
	iommu_allow(f, f->data, PAGE, RW);
	assert_true(iommu_is_readable(f->queue->kick_fd));
	assert_true(rh_queue_pending(f->queue));
	chain = iommu_pop(f);
	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_writable, 1);
	assert_ptr_equal(chain->writable[0].iov_base,
			 ring_host(f->ring, f->data));
	assert_int_equal(chain->writable[0].iov_len, PAGE);
	rh_queue_push(f->queue, chain, PAGE);
	iommu_assert_silent(f);
}

/* The map has memory of its own at the same addresses. */
static void the_iotlb_alone_says_where_a_buffer_is(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data + PAGE, PAGE, true },
	};
	uint64_t offset = f->data - RING_GUEST_BASE;
	struct rh_chain *chain;

	iommu_update(f, f->data, offset + 3 * PAGE, PAGE, RO);
	iommu_update(f, f->data + PAGE, offset + 2 * PAGE, PAGE, WO);
	iommu_add(f, buffers, 2);
	chain = iommu_pop(f);
	assert_int_equal(chain->error, 0);
	assert_ptr_equal(chain->readable[0].iov_base,
			 ring_host(f->ring, f->data + 3 * PAGE));
	assert_ptr_equal(chain->writable[0].iov_base,
			 ring_host(f->ring, f->data + 2 * PAGE));
	rh_queue_push(f->queue, chain, 0);
}

static void chains_behind_one_that_waits_keep_their_order(void **state)
{
	struct iommu_queue *f = *state;
	struct rh_chain *chain;
	const struct ring_buffer second = { f->data + PAGE, 16, false };

	iommu_add_page(f, true);
	if (f->packed)
		packed_memory_add(&f->memory, 5, &second, 1);
	else
		ring_add(f->ring, 5, &second, 1);
	iommu_allow(f, f->data + PAGE, PAGE, RO);
	iommu_assert_nothing_to_pop(f);
	iommu_allow(f, f->data, PAGE, WO);
	chain = iommu_pop(f);
	assert_int_equal(chain->index, 3);
	rh_queue_push(f->queue, chain, 0);
	chain = iommu_pop(f);
	assert_int_equal(chain->index, 5);
	rh_queue_push(f->queue, chain, 0);
	iommu_assert_nothing_to_pop(f);
}

static void a_miss_is_asked_for_once(void **state)
{
	struct iommu_queue *f = *state;

	iommu_add_page(f, false);
	for (int i = 0; i < 5; i++)
		iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data, RO);
	for (int i = 0; i < 5; i++) {
		iommu_assert_nothing_to_pop(f);
		iommu_assert_silent(f);
	}
}

static void an_answer_for_another_address_wakes_nobody(void **state)
{
	struct iommu_queue *f = *state;

	iommu_add_page(f, false);
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data, RO);
	iommu_allow(f, f->data + PAGE, PAGE, RW);
	assert_false(iommu_is_readable(f->queue->kick_fd));
	iommu_assert_nothing_to_pop(f);
	iommu_assert_silent(f);
}

static void what_came_before_it_was_asked_for_is_not_asked_for(void **state)
{
	struct iommu_queue *f = *state;
	const struct vhost_user_iotlb message = {
		.iova = f->data,
		.size_bytes = PAGE,
		.user_addr = f->data - RING_GUEST_BASE + RING_FRONTEND_BASE,
		.permission = RW,
	};

	iommu_add_page(f, false);
	iommu_assert_nothing_to_pop(f);
	/* as if it had come between the owner's look and its note */
	assert_int_equal(rh_iotlb_update(f->iotlb, f->ring->map, &message), 0);
	iommu_assert_silent(f);
	assert_true(iommu_is_readable(f->queue->kick_fd));
	rh_queue_push(f->queue, iommu_pop(f), 0);
}

static void a_question_without_an_answer_is_asked_again(void **state)
{
	struct iommu_queue *f = *state;
	struct vhost_user_iotlb question;

	iommu_add_page(f, false);
	iommu_assert_nothing_to_pop(f);
	question = iommu_assert_asked(f, f->data, RO);
	rh_miss_answered(&f->miss, &question, false);
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data, RO);
}

static void a_refused_address_is_an_error_like_one_outside_memory(void **state)
{
	const struct ring_buffer buffers[] = {
		{ ((struct iommu_queue *)*state)->data, PAGE, true },
		{ ((struct iommu_queue *)*state)->data + 8 * PAGE, 1, true },
	};
	struct iommu_queue *f = *state;
	struct vhost_user_iotlb question;
	struct rh_chain *chain;

	iommu_add(f, buffers, 2);
	iommu_assert_nothing_to_pop(f);
	question = iommu_assert_asked(f, f->data, WO);
	rh_miss_answered(&f->miss, &question, true);
	assert_true(iommu_is_readable(f->queue->kick_fd));
	/* the rest of the chain is looked for all the same */
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data + 8 * PAGE, WO);
	iommu_allow(f, f->data + 8 * PAGE, PAGE, WO);
	chain = iommu_pop(f);
	assert_int_equal(chain->error, -EFAULT);
	assert_int_equal(chain->writable_bytes, PAGE + 1);
	assert_null(chain->writable[0].iov_base);
	assert_ptr_equal(chain->writable[chain->nr_writable - 1].iov_base,
			 ring_host(f->ring, f->data + 8 * PAGE));
	rh_queue_push(f->queue, chain, 0);
	/* and it may be there the next time */
	iommu_add_page(f, true);
	iommu_assert_nothing_to_pop(f);
}

static void a_chain_of_many_holes_is_not_asked_for_without_end(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffer = { f->data, 16 * PAGE, true };
	struct vhost_user_iotlb message;
	unsigned int nr_asked = 0;
	struct rh_chain *chain;

	iommu_add(f, &buffer, 1);
	while (!rh_queue_pop(f->queue, &chain)) {
		assert_true(iommu_take_message(f, &message));
		if (message.type != VHOST_IOTLB_MISS)
			continue;
		rh_miss_answered(&f->miss, &message, true);
		nr_asked++;
	}
	assert_int_equal(nr_asked, RH_MISS_MAX_REFUSED);
	assert_int_equal(chain->error, -EFAULT);
	rh_queue_push(f->queue, chain, 0);
}

static void a_forbidden_access_is_an_error_and_told_once(void **state)
{
	struct iommu_queue *f = *state;
	struct vhost_user_iotlb message;
	struct rh_chain *chain;

	iommu_allow(f, f->data, PAGE, RO);
	for (int i = 0; i < 3; i++) {
		iommu_add_page(f, true);
		chain = iommu_pop(f);
		assert_int_equal(chain->error, -EFAULT);
		assert_null(chain->writable[0].iov_base);
		rh_queue_push(f->queue, chain, 0);
		rh_queue_flush(f->queue);
	}
	assert_true(iommu_take_message(f, &message));
	assert_int_equal(message.type, VHOST_IOTLB_ACCESS_FAIL);
	assert_int_equal(message.iova, f->data);
	assert_int_equal(message.permission, WO);
	iommu_assert_silent(f);
}

static void what_may_only_be_written_is_not_read(void **state)
{
	struct iommu_queue *f = *state;
	struct rh_chain *chain;

	iommu_allow(f, f->data, PAGE, WO);
	iommu_add_page(f, false);
	chain = iommu_pop(f);
	assert_int_equal(chain->error, -EFAULT);
	assert_int_equal(chain->readable_bytes, PAGE);
	rh_queue_push(f->queue, chain, 0);
}

static void a_buffer_may_span_entries(void **state)
{
	struct iommu_queue *f = *state;
	const uint64_t base = f->data - RING_GUEST_BASE;
	const struct ring_buffer buffer = { 0x1000000 + 100, 2 * PAGE, true };
	struct rh_chain *chain;

	iommu_update(f, 0x1000000, base + 8 * PAGE, PAGE, RW);
	iommu_update(f, 0x1000000 + PAGE, base, PAGE, WO);
	iommu_update(f, 0x1000000 + 2 * PAGE, base + PAGE, PAGE, WO);
	iommu_add(f, &buffer, 1);
	chain = iommu_pop(f);
	assert_int_equal(chain->nr_writable, 2);
	assert_ptr_equal(chain->writable[0].iov_base,
			 ring_host(f->ring, f->data + 8 * PAGE + 100));
	assert_int_equal(chain->writable[0].iov_len, PAGE - 100);
	assert_ptr_equal(chain->writable[1].iov_base,
			 ring_host(f->ring, f->data));
	assert_int_equal(chain->writable[1].iov_len, PAGE + 100);
	rh_queue_push(f->queue, chain, 0);
}

static void each_page_of_a_long_buffer_is_asked_for(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffer = { f->data, 16 * PAGE, true };
	struct rh_chain *chain;

	iommu_add(f, &buffer, 1);
	for (uint64_t i = 0; i < 16; i++) {
		iommu_assert_nothing_to_pop(f);
		iommu_assert_asked(f, f->data + i * PAGE, WO);
		iommu_allow(f, f->data + i * PAGE, PAGE, RW);
	}
	chain = iommu_pop(f);
	assert_int_equal(chain->nr_writable, 1);
	assert_int_equal(chain->writable[0].iov_len, 16 * PAGE);
	rh_queue_push(f->queue, chain, 0);
}

/* G-11: a buffer whose addresses wrap */
static void a_buffer_that_wraps_is_an_error(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffer = { UINT64_MAX, 2, true };
	struct rh_chain *chain;

	iommu_update(f, UINT64_MAX - PAGE + 1, 0, PAGE, RW);
	iommu_update(f, 0, PAGE, PAGE, RW);
	iommu_add(f, &buffer, 1);
	chain = iommu_pop(f);
	assert_int_equal(chain->error, -EFAULT);
	rh_queue_push(f->queue, chain, 0);
}

static void an_indirect_table_is_asked_for_and_may_span_entries(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data + PAGE, PAGE, true },
		{ f->data + 2 * PAGE, 1, true },
	};
	uint64_t table = iommu_add_indirect(f, buffers, 3);
	uint64_t page = align_down(table, PAGE);
	struct rh_chain *chain;

	iommu_allow(f, f->data, 3 * PAGE, RW);
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, table, RO);
	iommu_allow(f, page, PAGE, RO);
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, page + PAGE, RO);
	/* of another kind, so that they stay two entries */
	iommu_allow(f, page + PAGE, PAGE, RW);
	chain = iommu_pop(f);
	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	assert_int_equal(chain->writable_bytes, PAGE + 1);
	rh_queue_push(f->queue, chain, 0);
}

static void an_indirect_table_that_is_refused_breaks_the_queue(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer buffer = { f->data, 16, false };
	uint64_t table = iommu_add_indirect(f, &buffer, 1);
	struct vhost_user_iotlb question;
	struct rh_chain *chain = NULL;

	iommu_assert_nothing_to_pop(f);
	question = iommu_assert_asked(f, table, RO);
	rh_miss_answered(&f->miss, &question, true);
	assert_int_equal(rh_queue_pop(f->queue, &chain), -EPROTO);
	assert_true(rh_queue_broken(f->queue));
}

static void a_queue_that_waits_can_be_stopped_and_goes_on_there(void **state)
{
	struct iommu_queue *f = *state;
	uint32_t base = f->queue->base;
	struct vhost_user_iotlb question;

	if (f->packed)
		base = rh_ring_base(&f->queue->ring);
	iommu_add_page(f, true);
	iommu_assert_nothing_to_pop(f);
	question = iommu_assert_asked(f, f->data, WO);
	ring_stop(f->ring);
	assert_int_equal(f->queue->base, base);
	assert_int_equal(f->queue->state, RH_QUEUE_STOPPED);
	ring_start(f->ring, f->features);
	/* the answer to the question of before is none to that of now */
	iommu_assert_nothing_to_pop(f);
	rh_miss_answered(&f->miss, &question, true);
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data, WO);
	iommu_allow(f, f->data, PAGE, WO);
	rh_queue_push(f->queue, iommu_pop(f), 0);
}

static void a_chain_at_the_rings_end_is_put_back_across_it(void **state)
{
	struct iommu_queue *f = *state;
	const struct ring_buffer three[] = {
		{ f->data, 16, false },
		{ f->data, 16, false },
		{ f->data + PAGE, 16, true },
	};

	iommu_allow(f, f->data, PAGE, RW);
	for (int i = 0; i < 20; i++) {
		rh_iotlb_invalidate(f->iotlb, (struct iova){ f->data + PAGE },
				    (struct iova){ f->data + 2 * PAGE - 1 });
		iommu_add(f, three, 3);
		iommu_assert_nothing_to_pop(f);
		iommu_allow(f, f->data + PAGE, PAGE, RW);
		rh_queue_push(f->queue, iommu_pop(f), 0);
		rh_queue_flush(f->queue);
		assert_false(rh_queue_broken(f->queue));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IOMMU_RUNNING(a_chain_that_misses_waits_in_the_ring),
		IOMMU_RUNNING(the_iotlb_alone_says_where_a_buffer_is),
		IOMMU_RUNNING(chains_behind_one_that_waits_keep_their_order),
		IOMMU_RUNNING(a_miss_is_asked_for_once),
		IOMMU_RUNNING(an_answer_for_another_address_wakes_nobody),
		IOMMU_RUNNING(
			what_came_before_it_was_asked_for_is_not_asked_for),
		IOMMU_RUNNING(a_question_without_an_answer_is_asked_again),
		IOMMU_RUNNING(
			a_refused_address_is_an_error_like_one_outside_memory),
		IOMMU_RUNNING(
			a_chain_of_many_holes_is_not_asked_for_without_end),
		IOMMU_RUNNING(a_forbidden_access_is_an_error_and_told_once),
		IOMMU_RUNNING(what_may_only_be_written_is_not_read),
		IOMMU_RUNNING(a_buffer_may_span_entries),
		IOMMU_RUNNING(each_page_of_a_long_buffer_is_asked_for),
		IOMMU_RUNNING(a_buffer_that_wraps_is_an_error),
		IOMMU_RUNNING(
			an_indirect_table_is_asked_for_and_may_span_entries),
		IOMMU_RUNNING(
			an_indirect_table_that_is_refused_breaks_the_queue),
		IOMMU_RUNNING(
			a_queue_that_waits_can_be_stopped_and_goes_on_there),
		IOMMU_RUNNING(a_chain_at_the_rings_end_is_put_back_across_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

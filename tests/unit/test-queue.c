/* SPDX-License-Identifier: MIT */
/* queue - pop, push, flush, notify; what breaks a queue; start and stop */
#include <errno.h>

#include "tests/unit/ring-memory.h"

static void a_chain_goes_through_the_queue(void **state)
{
	struct ring_memory ring;
	struct rh_chain *chain;
	uint32_t id;
	uint32_t len;

	(void)state;
	ring_init(&ring, 8);
	ring_start(&ring, 0);
	ring_add(&ring, 3,
		 (struct ring_buffer[]){
			 { ring_alloc(&ring, 16, 16), 16, false },
			 { ring_alloc(&ring, 4096, 4096), 4096, true },
			 { ring_alloc(&ring, 1, 1), 1, true } },
		 3);
	assert_true(rh_queue_pending(&ring.queue));
	assert_int_equal(rh_queue_pop(&ring.queue, &chain), 1);
	assert_int_equal(chain->index, 3);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	assert_int_equal(chain->nr_writable, 2);
	assert_int_equal(chain->writable_bytes, 4097);
	assert_int_equal(rh_queue_pop(&ring.queue, &chain), 0);
	rh_queue_push(&ring.queue, chain, 4097);
	assert_false(ring_take_used(&ring, &id, &len));
	assert_true(rh_queue_flush(&ring.queue));
	assert_true(ring_take_used(&ring, &id, &len));
	assert_int_equal(id, 3);
	assert_int_equal(len, 4097);
	assert_false(rh_queue_flush(&ring.queue));
	ring_deinit(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_goes_through_the_queue),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}

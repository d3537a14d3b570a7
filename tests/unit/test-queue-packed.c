/* SPDX-License-Identifier: MIT */
/* queue - a packed ring behind the verbs, and all that breaks it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/packed-memory.h"

#define SIZE 5

struct fixture {
	struct packed_memory memory;
	struct rh_queue *queue;
	uint64_t data; /* a page of guest memory */
	int err_fd;
	unsigned int nr_lines;
	char line[512];
};

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	struct fixture *f = opaque;

	(void)level;
	(void)tag;
	f->nr_lines++;
	strncpy(f->line, line, sizeof(f->line) - 1);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rh_log_set(remember, f, RH_LOG_WARNING);
	packed_memory_init(&f->memory, SIZE);
	f->queue = &f->memory.ring.queue;
	f->data = ring_alloc(&f->memory.ring, 4096, 4096);
	f->err_fd = rh_eventfd_create();
	rh_signal_fd_set(&f->queue->err, dup(f->err_fd));
	ring_start(&f->memory.ring, RING_PACKED);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ring_deinit(&f->memory.ring);
	rh_fd_close(&f->err_fd);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	free(f);
	return 0;
}

static void add_request(struct fixture *f, uint16_t id)
{
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data, 4096, true },
		{ f->data, 1, true },
	};

	packed_memory_add(&f->memory, id, buffers, 3);
}

static void add_status(struct fixture *f, uint16_t id)
{
	const struct ring_buffer buffer = { f->data, 1, true };

	packed_memory_add(&f->memory, id, &buffer, 1);
}

/* The next pop breaks the queue, and the pop behind it says nothing new. */
static void assert_breaks(struct fixture *f, const char *words)
{
	struct rh_chain *chain = NULL;
	uint64_t count;

	assert_true(rh_queue_pop(f->queue, &chain) < 0);
	assert_true(rh_queue_broken(f->queue));
	assert_int_equal(read(f->err_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_int_equal(rh_queue_pop(f->queue, &chain), -EPROTO);
	assert_int_equal(read(f->err_fd, &count, sizeof(count)), -1);
	assert_int_equal(f->nr_lines, 1);
	assert_null(chain);
	assert_false(rh_queue_pending(f->queue));
	assert_false(rh_queue_expect_kicks(f->queue));
	if (!strstr(f->line, words))
		fail_msg("\"%s\" is not in \"%s\"", words, f->line);
}

static void assert_used(struct fixture *f, uint16_t id, uint32_t len,
			uint16_t nr_desc)
{
	struct pvirtq_desc used;

	assert_true(packed_side_take_used(&f->memory.driver, &used));
	assert_int_equal(le16_get(used.id), id);
	assert_int_equal(le32_get(used.len), len);
	packed_side_skip(&f->memory.driver, nr_desc);
}

static void a_chain_goes_through_the_queue(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	for (uint16_t round = 0; round < 4 * SIZE; round++) {
		add_request(f, round % SIZE);
		assert_true(rh_queue_pending(f->queue));
		assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
		assert_int_equal(chain->index, round % SIZE);
		assert_int_equal(chain->readable_bytes, 16);
		assert_int_equal(chain->writable_bytes, 4097);
		rh_queue_push(f->queue, chain, 4097);
		assert_false(packed_side_has_used(&f->memory.driver));
		assert_true(rh_queue_flush(f->queue));
		assert_used(f, round % SIZE, 4097, 3);
		assert_false(rh_queue_flush(f->queue));
		assert_false(rh_queue_pending(f->queue));
	}
	assert_int_equal(rh_queue_size(f->queue), SIZE);
}

static void an_indirect_chain_takes_one_place(void **state)
{
	struct fixture *f = *state;
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data, 4096, true },
		{ f->data, 1, true },
	};
	struct rh_chain *chains[SIZE];

	for (uint16_t i = 0; i < SIZE; i++) {
		packed_memory_add_indirect(&f->memory, i, buffers, 3);
		assert_int_equal(rh_queue_pop(f->queue, &chains[i]), 1);
		assert_int_equal(chains[i]->writable_bytes, 4097);
	}
	for (uint16_t i = 0; i < SIZE; i++)
		rh_queue_push(f->queue, chains[i], i);
	rh_queue_flush(f->queue);
	for (uint16_t i = 0; i < SIZE; i++)
		assert_used(f, i, i, 1);
}

static void chains_are_pushed_in_any_order(void **state)
{
	static const uint16_t order[] = { 2, 0, 4, 1, 3 };
	struct fixture *f = *state;
	struct rh_chain *chains[SIZE];

	for (uint16_t i = 0; i < SIZE; i++) {
		add_status(f, i);
		assert_int_equal(rh_queue_pop(f->queue, &chains[i]), 1);
	}
	for (uint16_t i = 0; i < SIZE; i++)
		rh_queue_push(f->queue, chains[order[i]], i % 2);
	rh_queue_flush(f->queue);
	for (uint16_t i = 0; i < SIZE; i++)
		assert_used(f, order[i], i % 2, 1);
}

/* G-05 */
static void an_id_that_is_under_way_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;
	struct rh_chain *second = NULL;

	add_status(f, 3);
	add_status(f, 3);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	assert_int_equal(rh_queue_pop(f->queue, &second), -EPROTO);
	assert_non_null(strstr(f->line, "3 is available twice"));
	rh_queue_push(f->queue, chain, 1);
	rh_queue_flush(f->queue);
	assert_used(f, 3, 1, 1);
}

static void an_id_may_come_again_once_it_was_pushed(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	add_status(f, 3);
	add_status(f, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
		rh_queue_push(f->queue, chain, 1);
	}
}

/* G-05 */
static void an_id_beyond_the_ring_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	add_status(f, SIZE);
	assert_breaks(f, "the id of a chain is not below");
}

/* G-06 */
static void a_chain_that_is_not_closed_breaks_the_queue(void **state)
{
	struct fixture *f = *state;

	add_request(f, 0);
	f->memory.driver.desc[2].flags.raw |= htole16(VIRTQ_DESC_F_NEXT);
	assert_breaks(f, "not available (at entry 0 of 5)");
}

static void a_bad_table_breaks_the_queue(void **state)
{
	struct fixture *f = *state;
	struct pvirtq_desc desc =
		packed_side_desc(f->data, 24, 0, VIRTQ_DESC_F_INDIRECT);

	packed_side_add(&f->memory.driver, 0, &desc, 1);
	assert_breaks(f, "malformed");
}

static void a_bad_chain_breaks_a_queue_that_does_not_keep_it(void **state)
{
	struct fixture *f = *state;
	const struct ring_buffer buffer = { 0, 512, true };

	packed_memory_add(&f->memory, 0, &buffer, 1);
	assert_breaks(f, "refused: Bad address");
}

static void a_broken_queue_is_whole_after_the_next_start(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	add_status(f, SIZE);
	assert_breaks(f, "");
	ring_stop(&f->memory.ring);
	packed_memory_rewind(&f->memory);
	f->queue->base = RH_PACKED_FIRST_BASE;
	ring_start(&f->memory.ring, RING_PACKED);
	add_status(f, 0);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	rh_queue_push(f->queue, chain, 1);
}

/* Behaviour 33 */
static void a_restart_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	add_request(f, 0);
	add_status(f, 1);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	rh_queue_push(f->queue, chain, 1);
	ring_stop(&f->memory.ring);
	assert_int_equal(f->queue->base, 0x80038003);
	assert_used(f, 0, 1, 3);
	ring_start(&f->memory.ring, RING_PACKED);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	assert_int_equal(chain->index, 1);
	rh_queue_push(f->queue, chain, 1);
	ring_stop(&f->memory.ring);
	assert_int_equal(f->queue->base, 0x80048004);
	assert_used(f, 1, 1, 1);
	assert_int_equal(f->nr_lines, 0);
}

/* Without a record of them, requests of a dead back-end are begun anew. */
static void a_position_off_the_used_one_is_corrected_and_told(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	ring_stop(&f->memory.ring);
	add_status(f, 1);
	add_status(f, 2);
	f->queue->base = 0x80008002;
	ring_start(&f->memory.ring, RING_PACKED);
	assert_int_equal(f->nr_lines, 1);
	assert_non_null(strstr(f->line, "goes on from entry 2"));
	assert_non_null(strstr(f->line, "used up to 0"));
	for (uint16_t id = 1; id <= 2; id++) {
		assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
		assert_int_equal(chain->index, id);
		rh_queue_push(f->queue, chain, 1);
	}
}

/* SET_VRING_BASE never came, or came for another size or layout. */
static void a_base_that_cannot_be_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct rh_map *map = f->memory.ring.map;

	ring_stop(&f->memory.ring);
	f->queue->base = SIZE | PVIRTQ_WRAP;
	assert_int_equal(rh_queue_start(f->queue, map, RING_PACKED), -EINVAL);
	rh_queue_finish(f->queue);
	f->queue->base = RH_PACKED_FIRST_BASE;
	f->queue->size = 4;
	assert_int_equal(rh_queue_start(f->queue, map, 0), -EINVAL);
	rh_queue_finish(f->queue);
	f->queue->has_base = false;
	f->queue->size = SIZE;
	assert_int_equal(rh_queue_start(f->queue, map, 0), -EINVAL);
	rh_queue_finish(f->queue);
	assert_int_equal(rh_queue_start(f->queue, map, RING_PACKED), 0);
	rh_queue_finish(f->queue);
	assert_int_equal(f->queue->base, RH_PACKED_FIRST_BASE);
}

/* Behaviour 34; F-01: each part, outside, one byte too far, misaligned */
static void a_ring_part_at_a_wild_address_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct rh_map *map = f->memory.ring.map;
	const uint64_t end = RING_FRONTEND_BASE + RING_MEMORY_BYTES;
	const struct {
		struct frontend_addr *addr;
		uint64_t bytes;
		uint64_t align;
	} parts[] = {
		{ &f->queue->desc_addr, SIZE * 16, 16 },
		{ &f->queue->avail_addr, 4, 4 },
		{ &f->queue->used_addr, 4, 4 },
	};

	ring_stop(&f->memory.ring);
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t good = parts[i].addr->value;
		const struct {
			uint64_t addr;
			int outcome;
		} rows[] = {
			{ 0, -EFAULT },
			{ end, -EFAULT },
			{ end - parts[i].bytes + parts[i].align, -EFAULT },
			{ good + parts[i].align / 2, -EINVAL },
			{ end - parts[i].bytes, 0 },
		};

		for (unsigned int n = 0; n < ARRAY_SIZE(rows); n++) {
			parts[i].addr->value = rows[n].addr;
			assert_int_equal(rh_queue_start(f->queue, map,
							RING_PACKED),
					 rows[n].outcome);
			rh_queue_finish(f->queue);
		}
		parts[i].addr->value = good;
	}
}

static void event_idx_is_used_when_it_was_accepted(void **state)
{
	struct fixture *f = *state;
	const struct pvirtq_event_suppress *event =
		f->memory.driver.device_event;

	rh_queue_suppress_kicks(f->queue);
	assert_int_equal(packed_side_load(&event->flags),
			 RING_EVENT_FLAGS_DISABLE);
	assert_false(rh_queue_expect_kicks(f->queue));
	assert_int_equal(packed_side_load(&event->flags),
			 RING_EVENT_FLAGS_ENABLE);
	ring_stop(&f->memory.ring);
	ring_start(&f->memory.ring, RING_PACKED | RING_EVENT_IDX);
	rh_queue_suppress_kicks(f->queue);
	assert_false(rh_queue_expect_kicks(f->queue));
	assert_int_equal(packed_side_load(&event->flags),
			 RING_EVENT_FLAGS_DESC);
	assert_int_equal(packed_side_load(&event->desc), 0x8000);
}

#define PACKED_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACKED_TEST(a_chain_goes_through_the_queue),
		PACKED_TEST(an_indirect_chain_takes_one_place),
		PACKED_TEST(chains_are_pushed_in_any_order),
		PACKED_TEST(an_id_that_is_under_way_breaks_the_queue),
		PACKED_TEST(an_id_may_come_again_once_it_was_pushed),
		PACKED_TEST(an_id_beyond_the_ring_breaks_the_queue),
		PACKED_TEST(a_chain_that_is_not_closed_breaks_the_queue),
		PACKED_TEST(a_bad_table_breaks_the_queue),
		PACKED_TEST(a_bad_chain_breaks_a_queue_that_does_not_keep_it),
		PACKED_TEST(a_broken_queue_is_whole_after_the_next_start),
		PACKED_TEST(a_restart_loses_nothing),
		PACKED_TEST(a_position_off_the_used_one_is_corrected_and_told),
		PACKED_TEST(a_base_that_cannot_be_does_not_start),
		PACKED_TEST(a_ring_part_at_a_wild_address_does_not_start),
		PACKED_TEST(event_idx_is_used_when_it_was_accepted),
	};

	return cmocka_run_group_tests_name("queue-packed", tests, NULL, NULL);
}

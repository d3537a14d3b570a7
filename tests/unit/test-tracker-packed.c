/* SPDX-License-Identifier: MIT */
/* tracker - which pages a queue with a packed ring marks */
#include "tests/unit/packed-memory.h"
#include "tests/unit/tracked-memory.h"

#define SIZE	  1000 /* of 16 bytes: 4 pages */
#define PAGE	  TRACKED_PAGE

#define EVENT_LOG (RING_GUEST_BASE + 7 * (UINT64_C(1) << 20))

struct fixture {
	struct packed_memory memory;
	struct rh_queue *queue;
	struct tracked_log tracked;
	uint64_t desc; /* guest addresses */
	uint64_t event;
	uint64_t data; /* 16 pages of guest memory */
};

static uint64_t guest_of(struct frontend_addr addr)
{
	return addr.value - RING_FRONTEND_BASE + RING_GUEST_BASE;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	packed_memory_init(&f->memory, SIZE);
	f->queue = &f->memory.ring.queue;
	f->data = ring_alloc(&f->memory.ring, 16 * PAGE, PAGE);
	/* 256 descriptors a page, the first one at its beginning */
	f->desc = ring_alloc(&f->memory.ring, 4 * PAGE, PAGE);
	f->queue->desc_addr = packed_memory_frontend(f->desc);
	f->memory.driver.desc = ring_at(&f->memory.ring, f->desc);
	packed_memory_rewind(&f->memory);
	f->event = guest_of(f->queue->used_addr);
	tracked_log_init(&f->tracked, f->queue);
	f->queue->log_addr.value = EVENT_LOG;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ring_deinit(&f->memory.ring);
	tracked_log_deinit(&f->tracked);
	free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features, bool log_used)
{
	f->queue->log_used = log_used;
	ring_start(&f->memory.ring, RING_PACKED | features);
}

/* nr buffers of a byte, one a page, and an answer to them */
static void serve(struct fixture *f, uint16_t id, unsigned int nr)
{
	struct ring_buffer buffers[PACKED_MEMORY_MOST];
	struct rh_chain *chain = NULL;

	for (unsigned int i = 0; i < nr; i++)
		buffers[i] =
			(struct ring_buffer){ f->data + i * PAGE, 1, true };
	packed_memory_add(&f->memory, id, buffers, nr);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	rh_queue_push(f->queue, chain, 1);
	rh_queue_flush(f->queue);
}

static void buffers_and_used_descriptors_are_marked(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	TRACKED_ASSERT(&f->tracked, f->event);
	serve(f, 9, 3);
	TRACKED_ASSERT(&f->tracked, f->data, f->data + PAGE, f->data + 2 * PAGE,
		       f->desc);
	rh_queue_expect_kicks(f->queue);
	TRACKED_ASSERT(&f->tracked, f->event);
}

static void the_event_structure_is_marked_where_the_front_end_says(void **state)
{
	struct fixture *f = *state;

	start(f, 0, true);
	TRACKED_ASSERT(&f->tracked, f->event, EVENT_LOG);
	serve(f, 9, 1);
	TRACKED_ASSERT(&f->tracked, f->desc);
}

/* The address that comes with the message is one that the log has no page of */
static void behind_an_iommu_the_event_is_marked_where_it_lies(void **state)
{
	struct fixture *f = *state;

	f->queue->log_addr.value = UINT64_MAX;
	start(f, TRACKED_PLATFORM, true);
	TRACKED_ASSERT(&f->tracked, f->event);
	assert_int_equal(f->tracked.nr_lines, 0);
}

static void used_descriptors_are_marked_by_their_pages(void **state)
{
	struct fixture *f = *state;

	f->data = ring_alloc(&f->memory.ring, PAGE, PAGE);
	start(f, 0, true);
	tracked_assert(&f->tracked, (const uint64_t[]){ f->event, EVENT_LOG },
		       2);
	/* 256 descriptors a page; the ring begins on one */
	for (unsigned int i = 0; i < 255; i++)
		serve(f, 0, 1);
	TRACKED_ASSERT(&f->tracked, f->desc);
	serve(f, 0, 2);
	TRACKED_ASSERT(&f->tracked, f->desc, f->desc + PAGE);
}

static void
used_descriptors_around_the_end_are_marked_on_both_sides(void **state)
{
	struct fixture *f = *state;

	start(f, 0, true);
	for (unsigned int i = 0; i < SIZE - 1; i++)
		serve(f, 0, 1);
	TRACKED_ASSERT(&f->tracked, f->event, EVENT_LOG, f->desc,
		       f->desc + PAGE, f->desc + 2 * PAGE, f->desc + 3 * PAGE);
	serve(f, 0, 2);
	TRACKED_ASSERT(&f->tracked, f->desc, f->desc + 3 * PAGE);
}

static void an_indirect_chain_marks_its_buffers_not_its_table(void **state)
{
	struct fixture *f = *state;
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data + 2 * PAGE, PAGE, true },
		{ f->data + 5 * PAGE - 1, 2, true },
	};
	struct rh_chain *chain = NULL;

	start(f, TRACKED_LOG_ALL, false);
	packed_memory_add_indirect(&f->memory, 999, buffers, 3);
	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	rh_queue_push(f->queue, chain, 1);
	rh_queue_flush(f->queue);
	TRACKED_ASSERT(&f->tracked, f->event, f->desc, f->data + 2 * PAGE,
		       f->data + 4 * PAGE, f->data + 5 * PAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buffers_and_used_descriptors_are_marked),
		TEST(the_event_structure_is_marked_where_the_front_end_says),
		TEST(behind_an_iommu_the_event_is_marked_where_it_lies),
		TEST(used_descriptors_are_marked_by_their_pages),
		TEST(used_descriptors_around_the_end_are_marked_on_both_sides),
		TEST(an_indirect_chain_marks_its_buffers_not_its_table),
	};

	return cmocka_run_group_tests_name("tracker-packed", tests, NULL, NULL);
}

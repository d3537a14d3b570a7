/* SPDX-License-Identifier: MIT */
/* tracker - which pages a queue with a split ring marks, and when */
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/tracked-memory.h"

#define SIZE 8
#define PAGE TRACKED_PAGE

/* Where the front-end says that the used ring is logged; a page of its own */
#define USED_LOG (RING_GUEST_BASE + 7 * (UINT64_C(1) << 20))

struct fixture {
	struct ring_memory ring;
	struct rh_queue *queue;
	struct tracked_log tracked;
	uint64_t data; /* 32 pages of guest memory */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	ring_init_keeping_bad_chains(&f->ring, SIZE);
	f->queue = &f->ring.queue;
	f->data = ring_alloc(&f->ring, 32 * PAGE, PAGE);
	tracked_log_init(&f->tracked, f->queue);
	f->queue->log_addr.value = USED_LOG;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ring_deinit(&f->ring);
	tracked_log_deinit(&f->tracked);
	free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features, bool log_used)
{
	f->queue->log_used = log_used;
	ring_start(&f->ring, features);
}

static struct rh_chain *pop(struct fixture *f)
{
	struct rh_chain *chain = NULL;

	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	return chain;
}

static void serve(struct fixture *f, uint32_t written_bytes)
{
	rh_queue_push(f->queue, pop(f), written_bytes);
	rh_queue_flush(f->queue);
}

static void add(struct fixture *f, const struct ring_buffer *buffers,
		unsigned int nr)
{
	ring_add(&f->ring, 0, buffers, nr);
}

#define ADD(f, ...)                                                            \
	add(f, (const struct ring_buffer[]){ __VA_ARGS__ },                    \
	    sizeof((const struct ring_buffer[]){ __VA_ARGS__ }) /              \
		    sizeof(struct ring_buffer))

static void nothing_is_marked_while_logging_is_off(void **state)
{
	struct fixture *f = *state;

	start(f, 0, false);
	assert_null(f->queue->tracker);
	ADD(f, { f->data, 4096, true });
	serve(f, 1);
	TRACKED_ASSERT_NONE(&f->tracked);
	ring_stop(&f->ring);

	/* on, but there is no log */
	f->tracked.log.bitmap.bytes = 0;
	start(f, TRACKED_LOG_ALL, true);
	assert_null(f->queue->tracker);
	f->tracked.log.bitmap.bytes = TRACKED_BYTES;
}

/* F-10, behaviour of LOG_ALL: what the device may write, nothing it reads */
static void a_chain_marks_all_its_writable_pages(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { f->data, 16, false }, { f->data + 4 * PAGE, 1, true },
	    { f->data + 6 * PAGE - 1, 2, true },
	    { f->data + 8 * PAGE, 3 * PAGE, true });
	serve(f, 1);
	TRACKED_ASSERT(&f->tracked, f->data + 4 * PAGE, f->data + 5 * PAGE,
		       f->data + 6 * PAGE, f->data + 8 * PAGE,
		       f->data + 9 * PAGE, f->data + 10 * PAGE);
}

/* D-08: before the driver, and so the front-end, can see it done */
static void a_chain_is_marked_before_it_is_seen_used(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { f->data, 1, true });
	rh_queue_push(f->queue, pop(f), 1);
	assert_int_equal(ring_used_idx(&f->ring), 0);
	TRACKED_ASSERT(&f->tracked, f->data);
	/* the last flush of a stop has nothing more to mark */
	ring_stop(&f->ring);
	assert_int_equal(ring_used_idx(&f->ring), 1);
	TRACKED_ASSERT_NONE(&f->tracked);
}

static void a_page_is_marked_again_after_it_was_cleared(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	for (int i = 0; i < 3; i++) {
		ADD(f, { f->data, 1, true });
		serve(f, 1);
		TRACKED_ASSERT(&f->tracked, f->data);
	}
}

static void empty_buffers_mark_nothing(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { f->data, 0, true }, { f->data + PAGE, 1, true },
	    { f->data + 3 * PAGE, 0, true });
	serve(f, 0);
	TRACKED_ASSERT(&f->tracked, f->data + PAGE);
}

static void an_indirect_chain_marks_its_buffers_not_its_table(void **state)
{
	struct fixture *f = *state;
	const struct ring_buffer buffers[] = {
		{ f->data, 16, false },
		{ f->data + 2 * PAGE, PAGE, true },
		{ f->data + 5 * PAGE, 1, true },
	};

	start(f, TRACKED_LOG_ALL, false);
	ring_add_indirect(&f->ring, 3, buffers, 3);
	serve(f, 1);
	TRACKED_ASSERT(&f->tracked, f->data + 2 * PAGE, f->data + 5 * PAGE);
}

/* More pieces than fit in the slot: both kept apart from the device's */
static void what_the_device_does_to_iovecs_does_not_matter(void **state)
{
	struct fixture *f = *state;
	struct ring_buffer buffers[30];
	uint64_t pages[30];
	struct rh_chain *chain;

	start(f, TRACKED_LOG_ALL, false);
	for (unsigned int i = 0; i < 30; i++) {
		pages[i] = f->data + i * PAGE;
		buffers[i] = (struct ring_buffer){ pages[i] + 7, 9, true };
	}
	for (unsigned int nr = 1; nr <= 30; nr += 29) {
		ring_add_indirect(&f->ring, 0, buffers, nr);
		chain = pop(f);
		memset(chain->writable, 0,
		       chain->nr_writable * sizeof(struct iovec));
		chain->nr_writable = 0;
		rh_queue_push(f->queue, chain, 0);
		tracked_assert(&f->tracked, pages, nr);
	}
}

/* F-01: guest addresses, whatever the order and place of the mappings */
static void a_buffer_over_two_regions_marks_pages_of_both(void **state)
{
	struct fixture *f = *state;
	uint64_t below = RING_GUEST_BASE - 4 * PAGE;
	uint8_t *view = ring_add_region(&f->ring, below, 4 * PAGE);

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { RING_GUEST_BASE - 2 * PAGE, 3 * PAGE, true });
	serve(f, 0);
	TRACKED_ASSERT(&f->tracked, RING_GUEST_BASE - 2 * PAGE,
		       RING_GUEST_BASE - PAGE, RING_GUEST_BASE);
	(void)view;
}

/* Of a bad chain, what the device was given */
static void a_buffer_outside_memory_marks_nothing(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { 0x1000, 4096, true }, { UINT64_MAX - 100, 50, true },
	    { f->data, 1, true });
	serve(f, 0);
	TRACKED_ASSERT(&f->tracked, f->data);
}

static void a_rejected_chain_is_marked_too(void **state)
{
	struct fixture *f = *state;

	start(f, TRACKED_LOG_ALL, false);
	ADD(f, { f->data, 1, true });
	rh_queue_reject(f->queue, pop(f), "a test wants it");
	TRACKED_ASSERT(&f->tracked, f->data);
}

/* F-09, F-10: never past the log; said once, and how many in the end */
static void pages_beyond_the_log_are_skipped_and_told_once(void **state)
{
	struct fixture *f = *state;
	uint64_t last = RING_GUEST_BASE + RING_MEMORY_BYTES - PAGE;

	f->tracked.log.bitmap.bytes = TRACKED_BYTES - 1;
	start(f, TRACKED_LOG_ALL, false);
	for (int i = 0; i < 3; i++) {
		ADD(f, { f->data, 1, true }, { last, 1, true });
		serve(f, 0);
	}
	assert_int_equal(f->tracked.nr_lines, 1);
	assert_non_null(strstr(f->tracked.line, "beyond the front-end's log"));
	TRACKED_ASSERT(&f->tracked, f->data);
	ring_stop(&f->ring);
	assert_int_equal(f->tracked.nr_lines, 2);
	assert_non_null(strstr(f->tracked.line, "3 writes"));
}

/* vhost-user, Migration: log_guest_addr is the ring's first byte */
static void the_used_ring_is_marked_where_the_front_end_says(void **state)
{
	struct fixture *f = *state;

	start(f, 0, true);
	TRACKED_ASSERT(&f->tracked, USED_LOG); /* its flags */
	ADD(f, { f->data, 1, true });
	serve(f, 1);
	TRACKED_ASSERT(&f->tracked, USED_LOG);
	rh_queue_suppress_kicks(f->queue);
	TRACKED_ASSERT(&f->tracked, USED_LOG);
	rh_queue_expect_kicks(f->queue);
	TRACKED_ASSERT(&f->tracked, USED_LOG);
	/* nothing given, nothing written */
	rh_queue_flush(f->queue);
	TRACKED_ASSERT_NONE(&f->tracked);
}

/*
 * Flags and index in the first page; entry 0 begins in the second one, and
 * the event index lies in the third.
 */
static void the_parts_of_a_used_ring_are_marked_by_their_pages(void **state)
{
	struct fixture *f = *state;

	f->queue->log_addr.value = USED_LOG - 4;
	start(f, RING_EVENT_IDX, true);
	TRACKED_ASSERT(&f->tracked, USED_LOG - PAGE);
	ADD(f, { f->data, 1, true });
	serve(f, 1);
	TRACKED_ASSERT(&f->tracked, USED_LOG - PAGE, USED_LOG);
	ring_stop(&f->ring);

	f->queue->log_addr.value = USED_LOG - 4 - 8 * SIZE;
	start(f, RING_EVENT_IDX, true);
	TRACKED_ASSERT(&f->tracked, USED_LOG - PAGE);
	rh_queue_expect_kicks(f->queue);
	TRACKED_ASSERT(&f->tracked, USED_LOG);
}

static void used_entries_around_the_end_are_marked_on_both_sides(void **state)
{
	struct fixture *f = *state;
	struct rh_chain *chain;

	/* entry 7 ends in the second page, all before it in the first */
	f->queue->log_addr.value = USED_LOG - 4 - 8 * (SIZE - 1);
	start(f, 0, true);
	for (int i = 0; i < SIZE - 1; i++) {
		ADD(f, { f->data, 1, true });
		serve(f, 1);
	}
	TRACKED_ASSERT(&f->tracked, USED_LOG - PAGE);
	for (uint16_t i = 0; i < 2; i++) {
		ring_add(&f->ring, i, &(struct ring_buffer){ f->data, 1, true },
			 1);
		chain = pop(f);
		rh_queue_push(f->queue, chain, 1);
	}
	TRACKED_ASSERT_NONE(&f->tracked);
	rh_queue_flush(f->queue);
	TRACKED_ASSERT(&f->tracked, USED_LOG - PAGE, USED_LOG);
}

/* The last one only if the driver has an IOMMU: the number is no page's */
static void behind_an_iommu_the_used_ring_is_marked_where_it_lies(void **state)
{
	struct fixture *f = *state;
	uint64_t used = f->queue->used_addr.value - RING_FRONTEND_BASE +
			RING_GUEST_BASE;

	f->queue->log_addr.value = UINT64_MAX;
	start(f, TRACKED_PLATFORM, true);
	TRACKED_ASSERT(&f->tracked, used);
	assert_int_equal(f->tracked.nr_lines, 0);
	ring_stop(&f->ring);

	start(f, 0, true);
	TRACKED_ASSERT_NONE(&f->tracked);
	assert_int_equal(f->tracked.nr_lines, 1);
}

static void the_front_end_is_told_once_a_flush(void **state)
{
	struct fixture *f = *state;
	int fd = rh_eventfd_create();
	uint64_t count = 0;

	f->tracked.log.event_fd = fd;
	start(f, TRACKED_LOG_ALL, false);
	for (uint16_t i = 0; i < 3; i++) {
		ring_add(&f->ring, i,
			 &(struct ring_buffer){ f->data + i * PAGE, 1, true },
			 1);
		rh_queue_push(f->queue, pop(f), 1);
	}
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	rh_queue_flush(f->queue);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	/* no bit has changed since */
	ADD(f, { f->data, 1, true });
	serve(f, 1);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	rh_fd_close(&fd);
	f->tracked.log.event_fd = -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_marked_while_logging_is_off),
		TEST(a_chain_marks_all_its_writable_pages),
		TEST(a_chain_is_marked_before_it_is_seen_used),
		TEST(a_page_is_marked_again_after_it_was_cleared),
		TEST(empty_buffers_mark_nothing),
		TEST(an_indirect_chain_marks_its_buffers_not_its_table),
		TEST(what_the_device_does_to_iovecs_does_not_matter),
		TEST(a_buffer_over_two_regions_marks_pages_of_both),
		TEST(a_buffer_outside_memory_marks_nothing),
		TEST(a_rejected_chain_is_marked_too),
		TEST(pages_beyond_the_log_are_skipped_and_told_once),
		TEST(the_used_ring_is_marked_where_the_front_end_says),
		TEST(the_parts_of_a_used_ring_are_marked_by_their_pages),
		TEST(used_entries_around_the_end_are_marked_on_both_sides),
		TEST(behind_an_iommu_the_used_ring_is_marked_where_it_lies),
		TEST(the_front_end_is_told_once_a_flush),
	};

	return cmocka_run_group_tests_name("tracker", tests, NULL, NULL);
}

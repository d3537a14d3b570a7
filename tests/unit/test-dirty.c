/* SPDX-License-Identifier: MIT */
/* dirty - which bits a mark sets, and that none lies outside the bitmap */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "lib/dirty.h"

#define PAGE	     UINT64_C(4096)
#define BITMAP_BYTES 32 /* 256 pages, a megabyte */
#define NR_PAGES     (BITMAP_BYTES * 8)

struct fixture {
	uint8_t memory[BITMAP_BYTES + 32]; /* 16 bytes on either side */
	struct rh_dirty_log log;
	struct rh_dirty_marks marks;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rh_dirty_log_init(&f->log);
	f->log.bitmap.address = f->memory + 16;
	f->log.bitmap.bytes = BITMAP_BYTES;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void mark(struct fixture *f, uint64_t guest, uint64_t bytes)
{
	rh_dirty_log_mark(&f->log, (struct guest_addr){ guest }, bytes,
			  &f->marks);
}

/* Pages first to last are marked and nothing else is; all is clear then. */
static void assert_marked(struct fixture *f, unsigned int first,
			  unsigned int last)
{
	for (unsigned int i = 0; i < sizeof(f->memory) * 8; i++) {
		bool is = f->memory[i / 8] & 1 << i % 8;
		bool should = i >= 128 + first && i <= 128 + last;

		if (is != should)
			fail_msg("page %d is %smarked", (int)i - 128,
				 is ? "" : "not ");
	}
	memset(f->memory, 0, sizeof(f->memory));
}

static void assert_nothing_marked(struct fixture *f)
{
	assert_marked(f, 1, 0);
}

/* vhost-user, Migration: page / 8 is the byte, page % 8 the bit */
static void a_page_is_a_bit(void **state)
{
	struct fixture *f = *state;

	mark(f, 11 * PAGE, 1);
	assert_int_equal(f->log.bitmap.address[1], 1 << 3);
	assert_marked(f, 11, 11);
}

/* F-10 */
static void exactly_the_pages_of_the_bytes_are_marked(void **state)
{
	static const struct {
		uint64_t guest;
		uint64_t bytes;
		unsigned int first;
		unsigned int last;
	} cases[] = {
		{ 0, 1, 0, 0 },
		{ PAGE - 1, 1, 0, 0 },
		{ PAGE, PAGE, 1, 1 },
		{ PAGE - 1, 2, 0, 1 },
		{ PAGE - 1, PAGE + 2, 0, 2 },
		{ 7 * PAGE, 2 * PAGE, 7, 8 },
		{ 3 * PAGE, 3 * PAGE, 3, 5 },
		{ 8 * PAGE, 8 * PAGE, 8, 15 },
		{ 5 * PAGE + 5, 30 * PAGE, 5, 35 },
		{ (NR_PAGES - 1) * PAGE + 4095, 1, NR_PAGES - 1, NR_PAGES - 1 },
		{ 0, NR_PAGES * PAGE, 0, NR_PAGES - 1 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		mark(f, cases[i].guest, cases[i].bytes);
		assert_marked(f, cases[i].first, cases[i].last);
	}
	assert_int_equal(f->marks.nr_skipped, 0);
}

static void no_bytes_mark_no_page(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 0);
	mark(f, UINT64_MAX, 0);
	assert_nothing_marked(f);
	assert_int_equal(f->marks.nr_set, 0);
	assert_int_equal(f->marks.nr_skipped, 0);
}

/* F-03, F-09, F-10 */
static void pages_beyond_the_bitmap_are_skipped_and_counted(void **state)
{
	static const struct {
		uint64_t guest;
		uint64_t bytes;
		uint64_t nr_skipped;
		bool reaches; /* into the last page */
	} cases[] = {
		{ NR_PAGES * PAGE - 1, 2, 1, true },
		{ NR_PAGES * PAGE, 1, 1, false },
		{ NR_PAGES * PAGE, 3 * PAGE, 3, false },
		{ NR_PAGES * PAGE - 1, UINT32_MAX, 0xfffff + 1, true },
		{ UINT64_MAX - 4095, PAGE, 1, false },
		{ UINT64_MAX - 4095, UINT64_MAX, 1, false },
		{ UINT64_MAX, 1, 1, false },
		{ NR_PAGES * PAGE - 1, UINT64_MAX,
		  (UINT64_C(1) << 52) - NR_PAGES, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->marks.nr_skipped = 0;
		mark(f, cases[i].guest, cases[i].bytes);
		assert_int_equal(f->marks.nr_skipped, cases[i].nr_skipped);
		if (cases[i].reaches)
			assert_marked(f, NR_PAGES - 1, NR_PAGES - 1);
		else
			assert_nothing_marked(f);
	}
}

static void without_a_bitmap_all_is_skipped(void **state)
{
	struct fixture *f = *state;

	assert_true(rh_dirty_log_exists(&f->log));
	f->log.bitmap = (struct rh_range){ 0 };
	assert_false(rh_dirty_log_exists(&f->log));
	mark(f, 0, 2 * PAGE);
	assert_int_equal(f->marks.nr_skipped, 2);
	assert_nothing_marked(f);
}

static void a_bit_that_is_set_already_is_no_change(void **state)
{
	struct fixture *f = *state;

	mark(f, 4 * PAGE, PAGE);
	assert_int_equal(f->marks.nr_set, 1);
	mark(f, 4 * PAGE, PAGE);
	assert_int_equal(f->marks.nr_set, 1);
	mark(f, 4 * PAGE, 2 * PAGE);
	assert_int_equal(f->marks.nr_set, 2);
	assert_marked(f, 4, 5);
}

static void map_with_end(struct rh_map *map, uint64_t guest_end)
{
	map->nr_regions = 1;
	map->regions[0].guest_end = guest_end;
}

/* F-09 */
static void a_bitmap_covers_memory_up_to_the_last_byte(void **state)
{
	struct rh_map *map = calloc(1, sizeof(*map) + sizeof(struct rh_region));

	(void)state;
	assert_non_null(map);
	assert_true(rh_dirty_log_covers(0, map));
	map_with_end(map, 8 * PAGE);
	assert_false(rh_dirty_log_covers(0, map));
	assert_true(rh_dirty_log_covers(1, map));
	map_with_end(map, 8 * PAGE + 1);
	assert_false(rh_dirty_log_covers(1, map));
	assert_true(rh_dirty_log_covers(2, map));
	map_with_end(map, UINT64_MAX);
	assert_false(rh_dirty_log_covers((UINT64_C(1) << 49) - 1, map));
	assert_true(rh_dirty_log_covers(UINT64_C(1) << 49, map));
	assert_true(rh_dirty_log_covers(UINT64_MAX, map));
	free(map);
}

static void the_front_end_is_told_if_it_wants_to_know(void **state)
{
	struct fixture *f = *state;
	int fd = rh_eventfd_create();
	uint64_t count = 0;

	rh_dirty_log_signal(&f->log);
	f->log.event_fd = dup(fd);
	rh_dirty_log_signal(&f->log);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	f->log.bitmap = (struct rh_range){ 0 };
	rh_dirty_log_reset(&f->log);
	assert_int_equal(f->log.event_fd, -1);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_a_bit),
		TEST(exactly_the_pages_of_the_bytes_are_marked),
		TEST(no_bytes_mark_no_page),
		TEST(pages_beyond_the_bitmap_are_skipped_and_counted),
		TEST(without_a_bitmap_all_is_skipped),
		TEST(a_bit_that_is_set_already_is_no_change),
		TEST(a_bitmap_covers_memory_up_to_the_last_byte),
		TEST(the_front_end_is_told_if_it_wants_to_know),
	};

	return cmocka_run_group_tests_name("dirty", tests, NULL, NULL);
}

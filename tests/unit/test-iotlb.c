/* SPDX-License-Identifier: MIT */
/* iotlb - ranges, what cuts and joins them, what is refused, what is dropped */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/iotlb.h"
#include "tests/unit/ring-memory.h"

#define PAGE UINT64_C(4096)
#define IOVA UINT64_C(0xfff00000)
#define TOP  (UINT64_MAX - PAGE + 1) /* the last page of all */
#define RO   VHOST_ACCESS_RO
#define WO   VHOST_ACCESS_WO
#define RW   VHOST_ACCESS_RW
/* What one queue gets, and a change keeps free */
#define MOST  2048
#define SPARE 2

struct fixture {
	struct ring_memory memory;
	struct rh_iotlb *iotlb;
	uint8_t *host; /* of guest page 0 */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	ring_init(&f->memory, 8);
	assert_int_equal(rh_iotlb_create(1, &f->iotlb), 0);
	f->host = ring_host(&f->memory, RING_GUEST_BASE);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	rh_iotlb_destroy(f->iotlb);
	ring_deinit(&f->memory);
	free(f);
	return 0;
}

static int update(struct fixture *f, uint64_t iova, uint64_t bytes,
		  uint64_t offset, uint8_t permission)
{
	const struct vhost_user_iotlb message = {
		.iova = iova,
		.size_bytes = bytes,
		.user_addr = RING_FRONTEND_BASE + offset,
		.permission = permission,
		.type = VHOST_IOTLB_UPDATE,
	};

	return rh_iotlb_update(f->iotlb, f->memory.map, &message);
}

static int invalidate(struct fixture *f, uint64_t iova, uint64_t bytes)
{
	const struct vhost_user_iotlb message = {
		.iova = iova,
		.size_bytes = bytes,
		.type = VHOST_IOTLB_INVALIDATE,
	};
	struct iova first;
	struct iova last;
	int error = rh_iotlb_invalid_range(&message, &first, &last);

	if (!error)
		rh_iotlb_invalidate(f->iotlb, first, last);
	return error;
}

/* Where it is, counted from guest page 0; *contiguous as it says. */
static uint64_t find(struct fixture *f, uint64_t iova, uint64_t bytes,
		     unsigned int permission, uint64_t *contiguous)
{
	uint8_t *host = NULL;

	assert_int_equal(
		rh_iotlb_find(f->iotlb,
			      (struct rh_reach){ { iova }, bytes, permission },
			      &host, contiguous),
		0);
	return (uint64_t)(host - f->host);
}

static int find_error(struct fixture *f, uint64_t iova, uint64_t bytes,
		      unsigned int permission)
{
	uint64_t contiguous = 0;
	uint8_t *host = NULL;
	int error =
		rh_iotlb_find(f->iotlb,
			      (struct rh_reach){ { iova }, bytes, permission },
			      &host, &contiguous);

	assert_in_range(contiguous, 1, bytes);
	return error;
}

static void assert_at(struct fixture *f, uint64_t iova, uint64_t offset,
		      uint64_t contiguous)
{
	uint64_t found;

	assert_int_equal(find(f, iova, UINT32_MAX, RO, &found), offset);
	assert_int_equal(found, contiguous);
}

static void assert_miss(struct fixture *f, uint64_t iova)
{
	assert_int_equal(find_error(f, iova, 1, RO), -EAGAIN);
}

static void an_empty_table_misses_everything(void **state)
{
	assert_miss(*state, 0);
	assert_miss(*state, IOVA);
	assert_miss(*state, UINT64_MAX);
}

static void an_update_is_found_from_its_first_byte_to_its_last(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, 2 * PAGE, PAGE, RO), 0);
	assert_miss(f, IOVA - 1);
	assert_at(f, IOVA, PAGE, 2 * PAGE);
	assert_at(f, IOVA + 2 * PAGE - 1, 3 * PAGE - 1, 1);
	assert_miss(f, IOVA + 2 * PAGE);
}

static void no_more_is_found_than_was_asked_for(void **state)
{
	struct fixture *f = *state;
	uint64_t contiguous;

	assert_int_equal(update(f, IOVA, PAGE, 0, RO), 0);
	find(f, IOVA + 5, 7, RO, &contiguous);
	assert_int_equal(contiguous, 7);
}

static void permission_is_what_the_update_said(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, PAGE, 0, RO), 0);
	assert_int_equal(update(f, IOVA + 2 * PAGE, PAGE, 0, WO), 0);
	assert_int_equal(update(f, IOVA + 4 * PAGE, PAGE, 0, RW), 0);
	assert_int_equal(find_error(f, IOVA, 1, RO), 0);
	assert_int_equal(find_error(f, IOVA, 1, WO), -EFAULT);
	assert_int_equal(find_error(f, IOVA, 1, RW), -EFAULT);
	assert_int_equal(find_error(f, IOVA + 2 * PAGE, 1, RO), -EFAULT);
	assert_int_equal(find_error(f, IOVA + 2 * PAGE, 1, WO), 0);
	assert_int_equal(find_error(f, IOVA + 4 * PAGE, 1, RW), 0);
}

static void neighbours_that_go_on_in_memory_are_one(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA + 2 * PAGE, PAGE, 2 * PAGE, RO), 0);
	assert_int_equal(update(f, IOVA, PAGE, 0, RO), 0);
	assert_at(f, IOVA, 0, PAGE);
	assert_int_equal(update(f, IOVA + PAGE, PAGE, PAGE, RO), 0);
	assert_at(f, IOVA, 0, 3 * PAGE);
}

static void neighbours_that_differ_stay_apart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, PAGE, 0, RO), 0);
	assert_int_equal(update(f, IOVA + PAGE, PAGE, PAGE, RW), 0);
	assert_int_equal(update(f, IOVA + 2 * PAGE, PAGE, 5 * PAGE, RW), 0);
	assert_at(f, IOVA, 0, PAGE);
	assert_at(f, IOVA + PAGE, PAGE, PAGE);
	assert_at(f, IOVA + 2 * PAGE, 5 * PAGE, PAGE);
}

static void an_update_replaces_what_it_overlaps(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, 4 * PAGE, 0, RO), 0);
	assert_int_equal(update(f, IOVA + PAGE, PAGE, 8 * PAGE, RW), 0);
	assert_at(f, IOVA, 0, PAGE);
	assert_at(f, IOVA + PAGE, 8 * PAGE, PAGE);
	assert_at(f, IOVA + 2 * PAGE, 2 * PAGE, 2 * PAGE);
	/* several at once, and parts of two */
	assert_int_equal(update(f, IOVA + PAGE / 2, 2 * PAGE, 16 * PAGE, RW),
			 0);
	assert_at(f, IOVA, 0, PAGE / 2);
	assert_at(f, IOVA + PAGE / 2, 16 * PAGE, 2 * PAGE);
	assert_at(f, IOVA + 5 * PAGE / 2, 5 * PAGE / 2, 3 * PAGE / 2);
}

static void the_same_update_again_changes_nothing(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(update(f, IOVA, 2 * PAGE, 0, RO), 0);
	assert_at(f, IOVA, 0, 2 * PAGE);
	assert_miss(f, IOVA + 2 * PAGE);
}

static void an_invalidation_splits_what_it_lies_in(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, 8 * PAGE, 0, RW), 0);
	assert_int_equal(invalidate(f, IOVA + 3 * PAGE, 2 * PAGE), 0);
	assert_at(f, IOVA, 0, 3 * PAGE);
	assert_miss(f, IOVA + 3 * PAGE);
	assert_miss(f, IOVA + 5 * PAGE - 1);
	assert_at(f, IOVA + 5 * PAGE, 5 * PAGE, 3 * PAGE);
}

static void an_invalidation_takes_out_all_that_it_covers(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(
			update(f, IOVA + 2 * i * PAGE, PAGE, i * PAGE, RW), 0);
	assert_int_equal(invalidate(f, IOVA + PAGE / 2, 12 * PAGE), 0);
	assert_at(f, IOVA, 0, PAGE / 2);
	for (uint64_t i = 1; i < 6; i++)
		assert_miss(f, IOVA + 2 * i * PAGE);
	assert_miss(f, IOVA + 12 * PAGE);
	assert_at(f, IOVA + 12 * PAGE + PAGE / 2, 6 * PAGE + PAGE / 2,
		  PAGE / 2);
	assert_at(f, IOVA + 14 * PAGE, 7 * PAGE, PAGE);
}

static void an_invalidation_of_nothing_changes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(invalidate(f, IOVA, PAGE), 0);
	assert_int_equal(update(f, IOVA, PAGE, 0, RW), 0);
	assert_int_equal(invalidate(f, IOVA + PAGE, PAGE), 0);
	assert_int_equal(invalidate(f, IOVA - PAGE, PAGE), 0);
	assert_at(f, IOVA, 0, PAGE);
}

static void everything_can_be_invalidated_in_both_spellings(void **state)
{
	static const uint64_t sizes[] = { 0, UINT64_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(update(f, 0, PAGE, 0, RW), 0);
		assert_int_equal(update(f, IOVA, PAGE, PAGE, RW), 0);
		assert_int_equal(invalidate(f, 0, sizes[i]), 0);
		assert_miss(f, 0);
		assert_miss(f, IOVA);
	}
}

static void the_last_page_of_all_works_like_any_other(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, TOP, PAGE, PAGE, RW), 0);
	assert_int_equal(update(f, 0, PAGE, 2 * PAGE, RW), 0);
	assert_int_equal(find_error(f, UINT64_MAX, 1, RW), 0);
	/* but nothing goes on behind it */
	assert_int_equal(find_error(f, UINT64_MAX, 2, RW), -EFAULT);
	assert_int_equal(find_error(f, TOP, PAGE + 1, RW), -EFAULT);
	assert_int_equal(invalidate(f, TOP, PAGE), 0);
	assert_miss(f, UINT64_MAX);
	assert_at(f, 0, 2 * PAGE, PAGE);
}

static void ranges_that_wrap_or_are_empty_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, 0, 0, RW), -EINVAL);
	assert_int_equal(update(f, TOP, PAGE + 1, 0, RW), -EINVAL);
	assert_int_equal(update(f, UINT64_MAX, UINT64_MAX, 0, RW), -EINVAL);
	assert_int_equal(invalidate(f, IOVA, 0), -EINVAL);
	assert_int_equal(invalidate(f, TOP, PAGE + 1), -EINVAL);
	assert_int_equal(invalidate(f, IOVA, UINT64_MAX), -EINVAL);
	assert_miss(f, IOVA);
}

static void a_permission_that_is_none_or_unknown_is_refused(void **state)
{
	assert_int_equal(update(*state, IOVA, PAGE, 0, 0), -EINVAL);
	assert_int_equal(update(*state, IOVA, PAGE, 0, 4), -EINVAL);
	assert_int_equal(update(*state, IOVA, PAGE, 0, 255), -EINVAL);
	assert_miss(*state, IOVA);
}

static void user_addresses_outside_memory_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(update(f, IOVA, PAGE, RING_MEMORY_BYTES, RW), -EFAULT);
	assert_int_equal(update(f, IOVA, PAGE + 1, RING_MEMORY_BYTES - PAGE,
				RW),
			 -EFAULT);
	assert_int_equal(update(f, IOVA, PAGE, (uint64_t)0 - PAGE, RW),
			 -EFAULT);
	assert_int_equal(update(f, 0, UINT64_MAX, 0, RW), -EFAULT);
	assert_miss(f, IOVA);
}

static void an_update_may_cross_from_region_to_region(void **state)
{
	struct fixture *f = *state;
	const uint64_t second = RING_GUEST_BASE + RING_MEMORY_BYTES;
	uint8_t *view = ring_add_region(&f->memory, second, PAGE);
	uint64_t contiguous;

	assert_int_equal(
		update(f, IOVA, 2 * PAGE, RING_MEMORY_BYTES - PAGE, RW), 0);
	assert_at(f, IOVA, RING_MEMORY_BYTES - PAGE, PAGE);
	find(f, IOVA + PAGE, 1, RW, &contiguous);
	assert_int_equal(f->host + find(f, IOVA + PAGE, PAGE, RW, &contiguous) -
				 (uint8_t *)ring_host(&f->memory, second),
			 0);
	assert_int_equal(contiguous, PAGE);
	munmap(view, PAGE);
}

/* Every other page, so that none are joined */
static void fill(struct fixture *f, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(update(f, IOVA + 2 * i * PAGE, PAGE,
					i % 1024 * PAGE, RW),
				 0);
}

static void a_full_table_loses_its_oldest_entry(void **state)
{
	struct fixture *f = *state;
	const uint64_t nr = MOST - SPARE;

	fill(f, nr);
	assert_at(f, IOVA, 0, PAGE);
	/* renewed, so another one is the oldest */
	assert_int_equal(update(f, IOVA, PAGE, 0, RW), 0);
	assert_int_equal(update(f, PAGE, PAGE, 0, RW), 0);
	assert_int_equal(update(f, 4 * PAGE, PAGE, 0, RW), 0);
	assert_at(f, IOVA, 0, PAGE);
	assert_miss(f, IOVA + 2 * PAGE);
	assert_at(f, IOVA + 2 * (nr - 1) * PAGE, (nr - 1) % 1024 * PAGE, PAGE);
}

static void an_invalidation_of_a_full_table_splits_in_bounds(void **state)
{
	struct fixture *f = *state;

	fill(f, MOST + 10);
	for (uint64_t i = 20; i < MOST; i++)
		assert_int_equal(invalidate(f, IOVA + 2 * i * PAGE + 1, 1), 0);
	assert_miss(f, IOVA + 2 * (MOST - 1) * PAGE + 1);
	assert_at(f, IOVA + 2 * (MOST - 1) * PAGE + 2,
		  (MOST - 1) % 1024 * PAGE + 2, PAGE - 2);
}

static void a_cleared_table_misses_everything_and_fills_again(void **state)
{
	struct fixture *f = *state;

	fill(f, 100);
	rh_iotlb_clear(f->iotlb);
	for (uint64_t i = 0; i < 100; i++)
		assert_miss(f, IOVA + 2 * i * PAGE);
	fill(f, 1);
	assert_at(f, IOVA, 0, PAGE);
}

/* The table against one slot a page, for thousands of random changes */
static void it_agrees_with_a_plain_table_of_pages(void **state)
{
	struct {
		uint64_t page;
		uint8_t permission;
	} plain[64] = { 0 };
	struct fixture *f = *state;
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		uint64_t first = (uint64_t)rand_r(&seed) % 64;
		uint64_t nr = 1 + (uint64_t)rand_r(&seed) % (64 - first);
		uint64_t page = (uint64_t)rand_r(&seed) % 8 + first;
		uint8_t permission = (uint8_t)(rand_r(&seed) % 4);

		if (permission)
			assert_int_equal(update(f, IOVA + first * PAGE,
						nr * PAGE, page * PAGE,
						permission),
					 0);
		else
			assert_int_equal(invalidate(f, IOVA + first * PAGE,
						    nr * PAGE),
					 0);
		for (uint64_t i = 0; i < nr; i++) {
			plain[first + i].page = page + i;
			plain[first + i].permission = permission;
		}
		for (uint64_t i = 0; i < 64; i++) {
			uint64_t at = IOVA + i * PAGE + i;
			uint64_t contiguous;

			if (!plain[i].permission)
				assert_miss(f, at);
			else
				assert_int_equal(find(f, at, 1,
						      plain[i].permission,
						      &contiguous),
						 plain[i].page * PAGE + i);
		}
	}
}

#define IOTLB_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IOTLB_TEST(an_empty_table_misses_everything),
		IOTLB_TEST(an_update_is_found_from_its_first_byte_to_its_last),
		IOTLB_TEST(no_more_is_found_than_was_asked_for),
		IOTLB_TEST(permission_is_what_the_update_said),
		IOTLB_TEST(neighbours_that_go_on_in_memory_are_one),
		IOTLB_TEST(neighbours_that_differ_stay_apart),
		IOTLB_TEST(an_update_replaces_what_it_overlaps),
		IOTLB_TEST(the_same_update_again_changes_nothing),
		IOTLB_TEST(an_invalidation_splits_what_it_lies_in),
		IOTLB_TEST(an_invalidation_takes_out_all_that_it_covers),
		IOTLB_TEST(an_invalidation_of_nothing_changes_nothing),
		IOTLB_TEST(everything_can_be_invalidated_in_both_spellings),
		IOTLB_TEST(the_last_page_of_all_works_like_any_other),
		IOTLB_TEST(ranges_that_wrap_or_are_empty_are_refused),
		IOTLB_TEST(a_permission_that_is_none_or_unknown_is_refused),
		IOTLB_TEST(user_addresses_outside_memory_are_refused),
		IOTLB_TEST(an_update_may_cross_from_region_to_region),
		IOTLB_TEST(a_full_table_loses_its_oldest_entry),
		IOTLB_TEST(an_invalidation_of_a_full_table_splits_in_bounds),
		IOTLB_TEST(a_cleared_table_misses_everything_and_fills_again),
		IOTLB_TEST(it_agrees_with_a_plain_table_of_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

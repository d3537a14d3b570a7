/* SPDX-License-Identifier: MIT */
/* split - positions, indices, notifications: one thread plays both sides */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "lib/split.h"

/* Each part is as large as it must be and not a byte more. */
static struct rh_split new_ring(uint16_t size, bool event_idx)
{
	struct rh_split split = {
		.desc = calloc(1, rh_split_desc_bytes(size)),
		.avail = calloc(1, rh_split_avail_bytes(size)),
		.used = calloc(1, rh_split_used_bytes(size)),
		.size = size,
		.event_idx = event_idx,
	};

	assert_non_null(split.desc);
	assert_non_null(split.avail);
	assert_non_null(split.used);
	return split;
}

static void free_ring(struct rh_split *split)
{
	free(split->desc);
	free(split->avail);
	free(split->used);
}

/* As if the ring had been in use up to this position. */
static struct rh_split ring_at(uint16_t size, bool event_idx, uint16_t position)
{
	struct rh_split split = new_ring(size, event_idx);

	split.avail->idx = le16_make(position);
	split.used->idx = le16_make(position);
	rh_split_start(&split, position);
	return split;
}

static void make_available(struct rh_split *split, uint16_t head)
{
	uint16_t idx = le16_get(split->avail->idx);

	split->avail->ring[idx % split->size] = le16_make(head);
	split->avail->idx = le16_make(idx + 1);
}

static void set_used_event(struct rh_split *split, uint16_t event)
{
	split->avail->ring[split->size] = le16_make(event);
}

static uint16_t avail_event(const struct rh_split *split)
{
	const struct le16 *event =
		(const struct le16 *)&split->used->ring[split->size];

	return le16_get(*event);
}

static void the_parts_have_the_sizes_of_the_specification(void **state)
{
	(void)state;
	/* virtio 1.3, 2.7: 16n, 6+2n, 6+8n */
	assert_int_equal(rh_split_desc_bytes(1), 16);
	assert_int_equal(rh_split_avail_bytes(1), 8);
	assert_int_equal(rh_split_used_bytes(1), 14);
	assert_int_equal(rh_split_desc_bytes(32768), 524288);
	assert_int_equal(rh_split_avail_bytes(32768), 65542);
	assert_int_equal(rh_split_used_bytes(32768), 262150);
}

static void nothing_waits_in_a_new_ring(void **state)
{
	struct rh_split split = ring_at(8, false, 0);
	uint16_t head = 99;

	(void)state;
	assert_false(rh_split_pending(&split));
	assert_int_equal(rh_split_take(&split, &head), 0);
	assert_int_equal(head, 99);
	free_ring(&split);
}

static void heads_come_in_the_order_of_the_available_ring(void **state)
{
	static const uint16_t heads[] = { 5, 0, 7, 2 };
	struct rh_split split = ring_at(8, false, 0);
	uint16_t head;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(heads); i++)
		make_available(&split, heads[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(heads); i++) {
		assert_true(rh_split_pending(&split));
		assert_int_equal(rh_split_take(&split, &head), 1);
		assert_int_equal(head, heads[i]);
	}
	assert_int_equal(rh_split_take(&split, &head), 0);
	free_ring(&split);
}

/* G-25 */
static void a_full_ring_is_not_taken_for_an_empty_one(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 8, 1024, 32768 };
	uint16_t head;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct rh_split split = ring_at(sizes[i], false, 65530);

		for (uint16_t n = 0; n < sizes[i]; n++)
			make_available(&split, n);
		assert_true(rh_split_pending(&split));
		for (uint16_t n = 0; n < sizes[i]; n++)
			assert_int_equal(rh_split_take(&split, &head), 1);
		assert_int_equal(rh_split_take(&split, &head), 0);
		assert_false(rh_split_pending(&split));
		free_ring(&split);
	}
}

static void indices_wrap_at_65536(void **state)
{
	struct rh_split split = ring_at(4, false, 65534);
	uint16_t head;

	(void)state;
	for (uint16_t n = 0; n < 4; n++) {
		make_available(&split, n);
		assert_int_equal(rh_split_take(&split, &head), 1);
		assert_int_equal(head, n);
		rh_split_give(&split, head, n);
		rh_split_publish(&split);
	}
	assert_int_equal(le16_get(split.used->idx), 2);
	free_ring(&split);
}

/* G-03 */
static void an_index_more_than_a_ring_ahead_is_refused(void **state)
{
	static const uint16_t jumps[] = { 9, 10, 32768, 65535 };
	uint16_t head = 99;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct rh_split split = ring_at(8, false, 100);

		split.avail->idx = le16_make(100 + jumps[i]);
		assert_true(rh_split_pending(&split));
		assert_int_equal(rh_split_take(&split, &head), -EPROTO);
		assert_int_equal(head, 99);
		assert_int_equal(split.next_avail, 100);
		free_ring(&split);
	}
}

/* G-03 */
static void an_index_that_moves_back_is_refused(void **state)
{
	struct rh_split split = ring_at(8, false, 100);
	uint16_t head;

	(void)state;
	make_available(&split, 3);
	assert_int_equal(rh_split_take(&split, &head), 1);
	split.avail->idx = le16_make(100);
	assert_int_equal(rh_split_take(&split, &head), -EPROTO);
	free_ring(&split);
}

/* Section 2.7.6 */
static void a_head_beyond_the_table_is_refused(void **state)
{
	static const uint16_t heads[] = { 8, 9, 32768, 65535 };
	uint16_t head = 99;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(heads); i++) {
		struct rh_split split = ring_at(8, false, 0);

		make_available(&split, heads[i]);
		assert_int_equal(rh_split_take(&split, &head), -EPROTO);
		assert_int_equal(head, 99);
		assert_int_equal(split.next_avail, 0);
		free_ring(&split);
	}
}

static void the_index_is_read_again_only_when_used_up(void **state)
{
	struct rh_split split = ring_at(8, false, 0);
	uint16_t head;

	(void)state;
	make_available(&split, 0);
	make_available(&split, 1);
	assert_int_equal(rh_split_take(&split, &head), 1);
	split.avail->idx = le16_make(5000);
	assert_int_equal(rh_split_take(&split, &head), 1);
	assert_int_equal(rh_split_take(&split, &head), -EPROTO);
	free_ring(&split);
}

static void a_start_goes_on_from_both_positions(void **state)
{
	struct rh_split split = new_ring(8, false);
	uint16_t head;

	(void)state;
	split.used->idx = le16_make(40);
	split.avail->idx = le16_make(42);
	split.avail->ring[42 % 8] = le16_make(6);
	rh_split_start(&split, 42);
	assert_false(rh_split_pending(&split));
	split.avail->idx = le16_make(43);
	assert_int_equal(rh_split_take(&split, &head), 1);
	assert_int_equal(head, 6);
	rh_split_give(&split, 6, 1);
	rh_split_publish(&split);
	assert_int_equal(le16_get(split.used->idx), 41);
	assert_int_equal(le32_get(split.used->ring[40 % 8].id), 6);
	free_ring(&split);
}

static void a_rewind_takes_again_what_was_not_given(void **state)
{
	struct rh_split split = ring_at(8, false, 10);
	uint16_t head;

	(void)state;
	make_available(&split, 1);
	make_available(&split, 2);
	rh_split_start(&split, 12);
	rh_split_rewind(&split);
	assert_int_equal(rh_split_take(&split, &head), 1);
	assert_int_equal(head, 1);
	assert_int_equal(rh_split_take(&split, &head), 1);
	assert_int_equal(head, 2);
	assert_int_equal(rh_split_take(&split, &head), 0);
	free_ring(&split);
}

/* A back-end that died while it was awake leaves the flag set. */
static void a_start_expects_kicks(void **state)
{
	struct rh_split split = new_ring(8, false);

	(void)state;
	split.used->flags = le16_make(VIRTQ_USED_F_NO_NOTIFY);
	rh_split_start(&split, 0);
	assert_int_equal(le16_get(split.used->flags), 0);
	free_ring(&split);
}

/* Sections 2.7.8.1 and 2.7.8.2 */
static void given_entries_show_when_published(void **state)
{
	struct rh_split split = ring_at(4, false, 6);

	(void)state;
	rh_split_give(&split, 3, 0x11223344);
	rh_split_give(&split, 1, 1);
	rh_split_give(&split, 2, 0);
	assert_int_equal(le16_get(split.used->idx), 6);
	assert_true(rh_split_publish(&split));
	assert_int_equal(le16_get(split.used->idx), 9);
	assert_int_equal(le32_get(split.used->ring[2].id), 3);
	assert_int_equal(le32_get(split.used->ring[2].len), 0x11223344);
	assert_int_equal(le32_get(split.used->ring[3].id), 1);
	assert_int_equal(le32_get(split.used->ring[0].id), 2);
	free_ring(&split);
}

static void a_publish_with_nothing_new_stores_nothing(void **state)
{
	(void)state;
	for (int event_idx = 0; event_idx <= 1; event_idx++) {
		struct rh_split split = ring_at(4, event_idx, 6);

		split.used->idx = le16_make(77);
		assert_false(rh_split_publish(&split));
		assert_int_equal(le16_get(split.used->idx), 77);
		free_ring(&split);
	}
}

/* What the guest writes into used.idx hurts only itself: sections 2.7.8. */
static void the_used_position_is_not_read_back(void **state)
{
	struct rh_split split = ring_at(4, false, 6);

	(void)state;
	split.used->idx = le16_make(5000);
	rh_split_give(&split, 3, 1);
	rh_split_publish(&split);
	assert_int_equal(le16_get(split.used->idx), 7);
	assert_int_equal(le32_get(split.used->ring[2].id), 3);
	free_ring(&split);
}

/* Publish nr entries; true if the driver is to be notified. */
static bool publish(struct rh_split *split, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		rh_split_give(split, 0, 0);
	return rh_split_publish(split);
}

/* Section 2.7.7.2 */
static void the_no_interrupt_flag_decides_without_event_idx(void **state)
{
	struct rh_split split = ring_at(4, false, 0);

	(void)state;
	assert_true(publish(&split, 1));
	split.avail->flags = le16_make(VIRTQ_AVAIL_F_NO_INTERRUPT);
	assert_false(publish(&split, 1));
	split.avail->flags = le16_make(0xfffe);
	assert_true(publish(&split, 1));
	free_ring(&split);
}

/* Section 2.7.7.2: with EVENT_IDX the flag has no meaning. */
static void the_no_interrupt_flag_is_ignored_with_event_idx(void **state)
{
	struct rh_split split = ring_at(4, true, 0);

	(void)state;
	split.avail->flags = le16_make(VIRTQ_AVAIL_F_NO_INTERRUPT);
	set_used_event(&split, 1);
	assert_true(publish(&split, 1));
	assert_true(publish(&split, 1));
	assert_false(publish(&split, 1));
	free_ring(&split);
}

static void the_first_publish_after_a_start_notifies(void **state)
{
	struct rh_split split = ring_at(4, true, 100);

	(void)state;
	set_used_event(&split, 5000);
	assert_true(publish(&split, 1));
	assert_false(publish(&split, 1));
	rh_split_start(&split, 100);
	assert_true(publish(&split, 1));
	assert_false(publish(&split, 1));
	free_ring(&split);
}

/* Behaviour 31, section 2.7.10: for each offset of the event, over the wrap. */
static void one_notification_where_the_driver_asked_for_one(void **state)
{
	(void)state;
	for (int nr = 1; nr <= 4; nr++) {
		for (int offset = -6; offset <= 6; offset++) {
			struct rh_split split = ring_at(4, true, 65531);
			bool crossed = offset >= 0 && offset < nr;

			publish(&split, 2);
			set_used_event(&split, (uint16_t)(65533 + offset));
			assert_int_equal(publish(&split, nr), crossed);
			free_ring(&split);
		}
	}
}

/* A driver that sleeps for long does not fall out of the 16-bit window. */
static void an_event_that_stays_comes_once_a_round(void **state)
{
	struct rh_split split = ring_at(4, true, 0);
	unsigned int nr_notifications = 0;

	(void)state;
	set_used_event(&split, 1234);
	publish(&split, 1);
	for (int i = 0; i < 3 * 65536; i++)
		nr_notifications += publish(&split, 1);
	assert_int_equal(nr_notifications, 3);
	free_ring(&split);
}

/* Section 2.7.10 */
static void suppression_sets_the_flag_once(void **state)
{
	struct rh_split split = ring_at(4, false, 0);

	(void)state;
	rh_split_suppress_kicks(&split);
	assert_int_equal(le16_get(split.used->flags), VIRTQ_USED_F_NO_NOTIFY);
	split.used->flags = le16_make(0);
	rh_split_suppress_kicks(&split);
	assert_int_equal(le16_get(split.used->flags), 0);
	assert_false(rh_split_expect_kicks(&split));
	rh_split_suppress_kicks(&split);
	assert_int_equal(le16_get(split.used->flags), VIRTQ_USED_F_NO_NOTIFY);
	assert_false(rh_split_expect_kicks(&split));
	assert_int_equal(le16_get(split.used->flags), 0);
	free_ring(&split);
}

/* Section 2.7.10.1: the flag stays 0, the event is the next entry. */
static void suppression_with_event_idx_leaves_the_event_behind(void **state)
{
	struct rh_split split = ring_at(4, true, 65535);
	uint16_t head;

	(void)state;
	assert_false(rh_split_expect_kicks(&split));
	assert_int_equal(avail_event(&split), 65535);
	rh_split_suppress_kicks(&split);
	make_available(&split, 0);
	assert_int_equal(rh_split_take(&split, &head), 1);
	assert_int_equal(avail_event(&split), 65535);
	assert_false(rh_split_expect_kicks(&split));
	assert_int_equal(avail_event(&split), 0);
	assert_int_equal(le16_get(split.used->flags), 0);
	free_ring(&split);
}

/* G-26 */
static void an_entry_that_came_in_meanwhile_is_told(void **state)
{
	(void)state;
	for (int event_idx = 0; event_idx <= 1; event_idx++) {
		struct rh_split split = ring_at(4, event_idx, 0);
		uint16_t head;

		rh_split_suppress_kicks(&split);
		assert_int_equal(rh_split_take(&split, &head), 0);
		make_available(&split, 0);
		assert_true(rh_split_expect_kicks(&split));
		free_ring(&split);
	}
}

/* virtio 1.3, 6.3: an old driver that wants to know when it may add again */
static void an_empty_ring_is_told_whatever_is_suppressed(void **state)
{
	uint16_t head;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct rh_split split = ring_at(4, event_idx, 0);

		split.notify_on_empty = true;
		publish(&split, 1); /* the first one, which always notifies */
		split.avail->flags = le16_make(VIRTQ_AVAIL_F_NO_INTERRUPT);
		set_used_event(&split, 1000);
		for (unsigned int round = 0; round < 9; round++) {
			make_available(&split, 0);
			make_available(&split, 1);
			assert_int_equal(rh_split_take(&split, &head), 1);
			rh_split_give(&split, head, 0);
			assert_false(rh_split_publish(&split));
			assert_int_equal(rh_split_take(&split, &head), 1);
			rh_split_give(&split, head, 0);
			assert_true(rh_split_publish(&split));
			assert_false(rh_split_publish(&split));
		}
		free_ring(&split);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_have_the_sizes_of_the_specification),
		cmocka_unit_test(nothing_waits_in_a_new_ring),
		cmocka_unit_test(heads_come_in_the_order_of_the_available_ring),
		cmocka_unit_test(a_full_ring_is_not_taken_for_an_empty_one),
		cmocka_unit_test(indices_wrap_at_65536),
		cmocka_unit_test(an_index_more_than_a_ring_ahead_is_refused),
		cmocka_unit_test(an_index_that_moves_back_is_refused),
		cmocka_unit_test(a_head_beyond_the_table_is_refused),
		cmocka_unit_test(the_index_is_read_again_only_when_used_up),
		cmocka_unit_test(a_start_goes_on_from_both_positions),
		cmocka_unit_test(a_rewind_takes_again_what_was_not_given),
		cmocka_unit_test(a_start_expects_kicks),
		cmocka_unit_test(given_entries_show_when_published),
		cmocka_unit_test(a_publish_with_nothing_new_stores_nothing),
		cmocka_unit_test(the_used_position_is_not_read_back),
		cmocka_unit_test(
			the_no_interrupt_flag_decides_without_event_idx),
		cmocka_unit_test(
			the_no_interrupt_flag_is_ignored_with_event_idx),
		cmocka_unit_test(the_first_publish_after_a_start_notifies),
		cmocka_unit_test(
			one_notification_where_the_driver_asked_for_one),
		cmocka_unit_test(an_event_that_stays_comes_once_a_round),
		cmocka_unit_test(an_empty_ring_is_told_whatever_is_suppressed),
		cmocka_unit_test(suppression_sets_the_flag_once),
		cmocka_unit_test(
			suppression_with_event_idx_leaves_the_event_behind),
		cmocka_unit_test(an_entry_that_came_in_meanwhile_is_told),
	};

	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}

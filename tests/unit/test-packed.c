/* SPDX-License-Identifier: MIT */
/* packed - places, wrap counters, used entries: one thread plays both sides */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/packed-ring.h"

static const uint16_t sizes[] = { 1, 2, 3, 5, 64, 100, 1000, 32767, 32768 };

static void nothing_waits_in_a_new_ring(void **state)
{
	struct packed_ring ring = packed_ring(8, false);
	uint16_t id = 99;

	(void)state;
	assert_false(rh_packed_pending(&ring.device));
	assert_int_equal(rh_packed_take(&ring.device, &id), 0);
	assert_int_equal(id, 99);
	packed_ring_free(&ring);
}

static void chains_come_in_the_order_of_the_ring(void **state)
{
	static const uint16_t ids[] = { 5, 0, 7, 2 };
	struct packed_ring ring = packed_ring(8, false);
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		packed_side_add_empty(&ring.driver, ids[i], 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_true(rh_packed_pending(&ring.device));
		assert_int_equal(rh_packed_take(&ring.device, &id), 1);
		assert_int_equal(id, ids[i]);
		assert_int_equal(ring.device.nr_taken, 2);
	}
	assert_int_equal(rh_packed_take(&ring.device, &id), 0);
	packed_ring_free(&ring);
}

/* Sections 2.8.6 and 2.8.21: the others need not even be valid. */
static void the_last_descriptor_of_a_chain_has_its_id(void **state)
{
	struct packed_ring ring = packed_ring(8, false);
	uint16_t id;

	(void)state;
	packed_side_add_empty(&ring.driver, 3, 5);
	for (int i = 0; i < 4; i++)
		assert_int_equal(le16_get(ring.driver.desc[i].id), 0xffff);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	assert_int_equal(id, 3);
	packed_ring_free(&ring);
}

static void the_descriptors_are_copied_when_taken(void **state)
{
	const struct pvirtq_desc from[] = {
		packed_side_desc(0x1000, 16, 0, 0),
		packed_side_desc(0x2000, 4096, 0, VIRTQ_DESC_F_WRITE),
	};
	struct packed_ring ring = packed_ring(4, false);
	const struct pvirtq_desc *chain = ring.device.chain;
	uint16_t id;

	(void)state;
	packed_side_add(&ring.driver, 2, from, 2);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	memset(ring.driver.desc, 0xff, 4 * sizeof(*ring.driver.desc));
	assert_int_equal(le64_get(chain[0].addr), 0x1000);
	assert_int_equal(le32_get(chain[0].len), 16);
	assert_false(le16_get(chain[0].flags) & VIRTQ_DESC_F_WRITE);
	assert_int_equal(le64_get(chain[1].addr), 0x2000);
	assert_int_equal(le32_get(chain[1].len), 4096);
	assert_true(le16_get(chain[1].flags) & VIRTQ_DESC_F_WRITE);
	packed_ring_free(&ring);
}

/* NEXT on the last slot: the chain goes on at 0, in the next round. */
static void a_chain_goes_on_over_the_end_of_the_ring(void **state)
{
	struct packed_ring ring = packed_ring(5, false);
	uint16_t id;

	(void)state;
	packed_ring_pass(&ring, 0, 3);
	packed_side_add_empty(&ring.driver, 4, 4);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	assert_int_equal(id, 4);
	assert_int_equal(ring.device.nr_taken, 4);
	assert_int_equal(ring.device.next_avail.index, 2);
	assert_false(ring.device.next_avail.wrap);
	packed_ring_free(&ring);
}

/* G-25 */
static void a_full_ring_is_not_taken_for_an_empty_one(void **state)
{
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct packed_ring ring = packed_ring(sizes[i], false);

		for (uint16_t n = 0; n < sizes[i]; n++)
			packed_side_add_empty(&ring.driver, n, 1);
		for (uint16_t n = 0; n < sizes[i]; n++) {
			assert_true(rh_packed_pending(&ring.device));
			assert_int_equal(rh_packed_take(&ring.device, &id), 1);
			assert_int_equal(id, n);
		}
		assert_int_equal(rh_packed_take(&ring.device, &id), 0);
		assert_false(rh_packed_pending(&ring.device));
		packed_ring_free(&ring);
	}
}

static void one_chain_may_fill_the_ring(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct packed_ring ring = packed_ring(sizes[i], false);

		for (int round = 0; round < 3; round++)
			packed_ring_pass(&ring, 0, sizes[i]);
		packed_ring_free(&ring);
	}
}

/* Section 2.8.1: chains of all lengths, over many rounds */
static void the_wrap_counters_change_with_each_round(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		struct packed_ring ring = packed_ring(sizes[i], false);

		for (unsigned int n = 0; n < 1000; n++)
			packed_ring_pass(&ring, n % sizes[i],
					 1 + n * n % sizes[i]);
		packed_ring_free(&ring);
	}
}

/* G-06 */
static void what_is_not_available_in_this_round_is_not_there(void **state)
{
	static const uint16_t flags[] = { 0, VIRTQ_DESC_F_USED, OWNER_FLAGS,
					  VIRTQ_DESC_F_NEXT, 0xff7f };
	struct packed_ring ring = packed_ring(3, false);
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		packed_side_set(&ring.driver, 0,
				packed_side_desc(0, 0, 0, flags[i]));
		assert_false(rh_packed_pending(&ring.device));
		assert_int_equal(rh_packed_take(&ring.device, &id), 0);
		assert_false(rh_packed_expect_kicks(&ring.device));
	}
	packed_ring_pass(&ring, 0, 3);
	packed_side_set(&ring.driver, 0,
			packed_side_desc(0, 0, 0, VIRTQ_DESC_F_AVAIL));
	assert_false(rh_packed_pending(&ring.device));
	assert_int_equal(rh_packed_take(&ring.device, &id), 0);
	packed_ring_free(&ring);
}

static void assert_refused(struct packed_ring *ring, const char *words)
{
	struct rh_packed before = ring->device;
	uint16_t id = 99;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rh_packed_take(&ring->device, &id), -EPROTO);
		assert_int_equal(id, 99);
		assert_non_null(strstr(ring->device.fault, words));
		assert_int_equal(ring->device.nr_held, before.nr_held);
		assert_int_equal(ring->device.next_avail.index,
				 before.next_avail.index);
	}
}

/* G-05 */
static void an_id_beyond_the_ring_is_refused(void **state)
{
	static const uint16_t ids[] = { 3, 4, 0x8000, 0xffff };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
		struct packed_ring ring = packed_ring(3, false);

		packed_side_add_empty(&ring.driver, ids[i], 2);
		assert_refused(&ring, "id");
		packed_ring_free(&ring);
	}
}

/* G-06: within size steps */
static void a_chain_that_never_ends_is_refused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct packed_ring ring = packed_ring(sizes[i], false);

		for (uint16_t n = 0; n < sizes[i]; n++)
			packed_side_set(
				&ring.driver, n,
				packed_side_desc(0, 0, 0,
						 VIRTQ_DESC_F_AVAIL |
							 VIRTQ_DESC_F_NEXT));
		assert_refused(&ring, "not available");
		packed_ring_free(&ring);
	}
}

/* Section 2.8.17: the head comes last. */
static void a_chain_that_goes_on_in_nothing_is_refused(void **state)
{
	struct packed_ring ring = packed_ring(4, false);

	(void)state;
	packed_side_add_empty(&ring.driver, 0, 3);
	ring.driver.desc[2].flags = le16_make(0);
	assert_refused(&ring, "not available");
	ring.driver.desc[2].flags = le16_make(OWNER_FLAGS);
	assert_refused(&ring, "not available");
	ring.driver.desc[2].flags = le16_make(VIRTQ_DESC_F_USED);
	assert_refused(&ring, "not available");
	packed_ring_free(&ring);
}

/* A driver that gives away what it has not got back */
static void no_more_than_the_ring_is_ever_held(void **state)
{
	struct packed_ring ring = packed_ring(3, false);
	uint16_t id;

	(void)state;
	packed_side_add_empty(&ring.driver, 0, 2);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	packed_side_add_empty(&ring.driver, 1, 2);
	assert_refused(&ring, "than the ring has");

	/* nor while what was given back has not been shown */
	rh_packed_give(&ring.device, 0, 2, 0);
	assert_refused(&ring, "than the ring has");
	rh_packed_publish(&ring.device);
	assert_int_equal(ring.device.nr_held, 0);
	packed_ring_free(&ring);
}

static void used_descriptors_show_when_published(void **state)
{
	struct packed_ring ring = packed_ring(4, false);
	struct pvirtq_desc used;
	uint16_t id;

	(void)state;
	for (uint16_t n = 0; n < 3; n++) {
		packed_side_add_empty(&ring.driver, n, 1);
		assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	}
	rh_packed_give(&ring.device, 2, 1, 0x11223344);
	rh_packed_give(&ring.device, 0, 1, 1);
	rh_packed_give(&ring.device, 1, 1, 0);
	assert_false(packed_side_has_used(&ring.driver));
	assert_true(rh_packed_publish(&ring.device));
	assert_true(packed_side_take_used(&ring.driver, &used));
	assert_int_equal(le16_get(used.id), 2);
	assert_int_equal(le32_get(used.len), 0x11223344);
	packed_side_skip(&ring.driver, 1);
	assert_true(packed_side_take_used(&ring.driver, &used));
	assert_int_equal(le16_get(used.id), 0);
	packed_side_skip(&ring.driver, 1);
	assert_true(packed_side_take_used(&ring.driver, &used));
	assert_int_equal(le16_get(used.id), 1);
	packed_side_skip(&ring.driver, 1);
	assert_false(packed_side_has_used(&ring.driver));
	packed_ring_free(&ring);
}

/* Section 2.8.12: chains of 1, 3 and 2 descriptors, given in another order */
static void a_used_descriptor_skips_what_its_chain_had(void **state)
{
	struct packed_ring ring = packed_ring(7, false);
	uint16_t id;

	(void)state;
	packed_ring_pass(&ring, 0, 4);
	packed_side_add_empty(&ring.driver, 0, 1);
	packed_side_add_empty(&ring.driver, 1, 3);
	packed_side_add_empty(&ring.driver, 2, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	rh_packed_give(&ring.device, 1, 3, 0);
	rh_packed_give(&ring.device, 2, 2, 0);
	rh_packed_give(&ring.device, 0, 1, 0);
	rh_packed_publish(&ring.device);
	assert_int_equal(le16_get(ring.driver.desc[4].id), 1);
	assert_int_equal(le16_get(ring.driver.desc[0].id), 2);
	assert_int_equal(le16_get(ring.driver.desc[2].id), 0);
	assert_int_equal(ring.device.next_used.index, 3);
	assert_int_equal(rh_packed_base(&ring.device), 0x00030003);
	packed_ring_free(&ring);
}

/* Section 2.8.5 */
static void the_write_flag_says_whether_the_length_counts(void **state)
{
	struct packed_ring ring = packed_ring(4, false);
	uint16_t id;

	(void)state;
	for (uint16_t n = 0; n < 4; n++) {
		packed_side_add_empty(&ring.driver, n, 1);
		assert_int_equal(rh_packed_take(&ring.device, &id), 1);
		rh_packed_give(&ring.device, n, 1, n % 2);
	}
	rh_packed_publish(&ring.device);
	for (uint16_t n = 0; n < 4; n++)
		assert_int_equal(le16_get(ring.driver.desc[n].flags),
				 OWNER_FLAGS |
					 (n % 2 ? VIRTQ_DESC_F_WRITE : 0));
	packed_ring_free(&ring);
}

static void a_publish_with_nothing_new_stores_nothing(void **state)
{
	struct packed_ring ring = packed_ring(4, false);

	(void)state;
	memset(ring.driver.desc, 0x5a, 4 * sizeof(*ring.driver.desc));
	assert_false(rh_packed_publish(&ring.device));
	for (unsigned int i = 0; i < 4 * sizeof(*ring.driver.desc); i++)
		assert_int_equal(((uint8_t *)ring.driver.desc)[i], 0x5a);
	packed_ring_free(&ring);
}

/* What the guest writes into a used descriptor hurts only itself. */
static void places_are_not_read_back(void **state)
{
	struct packed_ring ring = packed_ring(4, true);

	(void)state;
	packed_ring_pass(&ring, 0, 2);
	ring.driver.desc[0] = packed_side_desc(1, 2, 3, 0xffff);
	memset(ring.driver.device_event, 0xff, 4);
	packed_ring_pass(&ring, 1, 1);
	assert_int_equal(rh_packed_base(&ring.device), 0x80038003);
	packed_ring_free(&ring);
}

/* vhost-user: the available place in the low half, the used one above */
static void a_start_goes_on_from_both_places(void **state)
{
	static const uint32_t bases[] = { 0x80008000, 0x00000000, 0x00030003,
					  0x80028002, 0x80018003, 0x80040001 };
	struct packed_ring ring = packed_ring(5, false);

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++) {
		rh_packed_start(&ring.device, bases[i]);
		assert_int_equal(rh_packed_base(&ring.device), bases[i]);
		assert_int_equal(ring.device.next_avail.index,
				 bases[i] & 0x7fff);
	}
	packed_ring_free(&ring);
}

/* Front-ends that know of 16 bits only */
static void a_used_place_of_zeroes_is_the_available_one(void **state)
{
	struct packed_ring ring = packed_ring(5, false);

	(void)state;
	rh_packed_start(&ring.device, 0x8000);
	assert_int_equal(rh_packed_base(&ring.device), 0x80008000);
	rh_packed_start(&ring.device, 0x0004);
	assert_int_equal(rh_packed_base(&ring.device), 0x00040004);
	packed_ring_free(&ring);
}

static void a_base_lies_inside_the_ring(void **state)
{
	(void)state;
	assert_true(rh_packed_base_valid(0x80048004, 5));
	assert_false(rh_packed_base_valid(0x80048005, 5));
	assert_false(rh_packed_base_valid(0x80058004, 5));
	assert_true(rh_packed_base_valid(0, 1));
	assert_true(rh_packed_base_valid(0xffffffff, 32768));
	assert_false(rh_packed_base_valid(0x7fff0000, 32767));
}

static void a_rewind_takes_again_what_was_not_given(void **state)
{
	struct packed_ring ring = packed_ring(4, false);
	uint16_t id;

	(void)state;
	packed_side_add_empty(&ring.driver, 1, 1);
	packed_side_add_empty(&ring.driver, 2, 2);
	rh_packed_start(&ring.device, 0x80008003);
	rh_packed_rewind(&ring.device);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	assert_int_equal(id, 1);
	assert_int_equal(rh_packed_take(&ring.device, &id), 1);
	assert_int_equal(id, 2);
	assert_int_equal(rh_packed_take(&ring.device, &id), 0);
	packed_ring_free(&ring);
}

static void the_parts_have_the_sizes_of_the_specification(void **state)
{
	(void)state;
	/* virtio 1.3, 2.8 */
	assert_int_equal(rh_packed_desc_bytes(1), 16);
	assert_int_equal(rh_packed_desc_bytes(3), 48);
	assert_int_equal(rh_packed_desc_bytes(32768), 524288);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_waits_in_a_new_ring),
		cmocka_unit_test(chains_come_in_the_order_of_the_ring),
		cmocka_unit_test(the_last_descriptor_of_a_chain_has_its_id),
		cmocka_unit_test(the_descriptors_are_copied_when_taken),
		cmocka_unit_test(a_chain_goes_on_over_the_end_of_the_ring),
		cmocka_unit_test(a_full_ring_is_not_taken_for_an_empty_one),
		cmocka_unit_test(one_chain_may_fill_the_ring),
		cmocka_unit_test(the_wrap_counters_change_with_each_round),
		cmocka_unit_test(
			what_is_not_available_in_this_round_is_not_there),
		cmocka_unit_test(an_id_beyond_the_ring_is_refused),
		cmocka_unit_test(a_chain_that_never_ends_is_refused),
		cmocka_unit_test(a_chain_that_goes_on_in_nothing_is_refused),
		cmocka_unit_test(no_more_than_the_ring_is_ever_held),
		cmocka_unit_test(used_descriptors_show_when_published),
		cmocka_unit_test(a_used_descriptor_skips_what_its_chain_had),
		cmocka_unit_test(the_write_flag_says_whether_the_length_counts),
		cmocka_unit_test(a_publish_with_nothing_new_stores_nothing),
		cmocka_unit_test(places_are_not_read_back),
		cmocka_unit_test(a_start_goes_on_from_both_places),
		cmocka_unit_test(a_used_place_of_zeroes_is_the_available_one),
		cmocka_unit_test(a_base_lies_inside_the_ring),
		cmocka_unit_test(a_rewind_takes_again_what_was_not_given),
		cmocka_unit_test(the_parts_have_the_sizes_of_the_specification),
	};

	return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* packed - event suppression both ways: one thread plays both sides */
#include "tests/unit/packed-ring.h"

/* What the driver asks for: flags, and a place for DESC. */
static void ask(struct packed_ring *ring, uint16_t flags, uint16_t place)
{
	ring->driver.driver_event->desc = le16_make(place);
	ring->driver.driver_event->flags = le16_make(flags);
}

static uint16_t device_flags(const struct packed_ring *ring)
{
	return le16_get(ring->driver.device_event->flags);
}

static uint16_t device_place(const struct packed_ring *ring)
{
	return le16_get(ring->driver.device_event->desc);
}

/* Section 2.8.10: reserved flags, and DESC without EVENT_IDX, enable. */
static void the_driver_s_flags_decide(void **state)
{
	struct packed_ring ring = packed_ring(4, false);

	(void)state;
	assert_true(packed_ring_pass(&ring, 0, 1));
	ask(&ring, RING_EVENT_FLAGS_DISABLE, 0);
	assert_false(packed_ring_pass(&ring, 0, 1));
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x7777);
	assert_true(packed_ring_pass(&ring, 0, 1));
	ask(&ring, 3, 0);
	assert_true(packed_ring_pass(&ring, 0, 1));
	ask(&ring, 0xfffd, 0);
	assert_false(packed_ring_pass(&ring, 0, 1));
	ask(&ring, 0xfffc, 0);
	assert_true(packed_ring_pass(&ring, 0, 1));
	packed_ring_free(&ring);
}

/* With EVENT_IDX they still can switch all on and off. */
static void the_flags_decide_with_event_idx_too(void **state)
{
	struct packed_ring ring = packed_ring(4, true);

	(void)state;
	assert_true(packed_ring_pass(&ring, 0, 1));
	assert_true(packed_ring_pass(&ring, 0, 1));
	ask(&ring, RING_EVENT_FLAGS_DISABLE, 0);
	assert_false(packed_ring_pass(&ring, 0, 1));
	ask(&ring, 3, 0);
	assert_true(packed_ring_pass(&ring, 0, 1));
	packed_ring_free(&ring);
}

static void the_first_publish_after_a_start_notifies(void **state)
{
	struct packed_ring ring = packed_ring(8, true);

	(void)state;
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x8007);
	assert_true(packed_ring_pass(&ring, 0, 1));
	assert_false(packed_ring_pass(&ring, 0, 1));
	rh_packed_start(&ring.device, rh_packed_base(&ring.device));
	assert_true(packed_ring_pass(&ring, 0, 1));
	assert_false(packed_ring_pass(&ring, 0, 1));
	packed_ring_free(&ring);
}

/* A ring of size, in use up to this many descriptors */
static struct packed_ring ring_after(uint16_t size, unsigned int nr)
{
	struct packed_ring ring = packed_ring(size, true);

	ask(&ring, RING_EVENT_FLAGS_ENABLE, 0);
	for (unsigned int i = 0; i < nr; i++)
		packed_ring_pass(&ring, 0, 1);
	return ring;
}

/*
 * Behaviour 31, section 2.8.10: an event at each place of two rounds, met by
 * a chain of each length from each place of two rounds.
 */
static void one_notification_where_the_driver_asked_for_one(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 4, 7 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint16_t size = sizes[i];

		for (unsigned int n = 0; n < 2u * size * 2 * size * size; n++) {
			unsigned int begin = n % (2 * size);
			unsigned int event = n / (2 * size) % (2 * size);
			uint16_t nr = 1 + n / (4 * size * size) % size;
			unsigned int ahead =
				(event + 2 * size - begin) % (2 * size);
			struct packed_ring ring =
				ring_after(size, 2 * size + begin);

			ask(&ring, RING_EVENT_FLAGS_DESC,
			    event % size | (event < size ? PVIRTQ_WRAP : 0));
			assert_int_equal(packed_ring_pass(&ring, 0, nr),
					 ahead < nr);
			packed_ring_free(&ring);
		}
	}
}

static void a_publish_of_many_notifies_once(void **state)
{
	struct packed_ring ring = ring_after(8, 6);
	uint16_t id;

	(void)state;
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x0001);
	for (uint16_t n = 0; n < 3; n++) {
		packed_side_add_empty(&ring.driver, n, 2);
		assert_int_equal(rh_packed_take(&ring.device, &id), 1);
		rh_packed_give(&ring.device, id, 2, 0);
	}
	assert_true(rh_packed_publish(&ring.device));
	assert_false(rh_packed_publish(&ring.device));
	packed_ring_free(&ring);
}

/* Wrap counter included, each place comes once in two rounds. */
static void an_event_that_stays_comes_once_in_two_rounds(void **state)
{
	struct packed_ring ring = ring_after(5, 1);
	unsigned int nr = 0;

	(void)state;
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x8003);
	for (int i = 0; i < 30; i++)
		nr += packed_ring_pass(&ring, 0, 1);
	assert_int_equal(nr, 3);
	packed_ring_free(&ring);
}

static void an_event_beyond_the_ring_has_come(void **state)
{
	struct packed_ring ring = ring_after(5, 1);

	(void)state;
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x8005);
	assert_true(packed_ring_pass(&ring, 0, 1));
	ask(&ring, RING_EVENT_FLAGS_DESC, 0x7fff);
	assert_true(packed_ring_pass(&ring, 0, 1));
	packed_ring_free(&ring);
}

/* A back-end that died while it was awake leaves the flag set. */
static void a_start_expects_kicks(void **state)
{
	struct packed_ring ring = packed_ring(4, false);

	(void)state;
	ring.driver.device_event->flags = le16_make(RING_EVENT_FLAGS_DISABLE);
	rh_packed_start(&ring.device, 0x80038003);
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_ENABLE);
	packed_ring_free(&ring);
}

static void suppression_sets_the_flag_once(void **state)
{
	struct packed_ring ring = packed_ring(4, false);

	(void)state;
	rh_packed_suppress_kicks(&ring.device);
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_DISABLE);
	ring.driver.device_event->flags = le16_make(0);
	rh_packed_suppress_kicks(&ring.device);
	assert_int_equal(device_flags(&ring), 0);
	assert_false(rh_packed_expect_kicks(&ring.device));
	rh_packed_suppress_kicks(&ring.device);
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_DISABLE);
	assert_false(rh_packed_expect_kicks(&ring.device));
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_ENABLE);
	packed_ring_free(&ring);
}

static void suppression_with_event_idx_leaves_the_event_behind(void **state)
{
	struct packed_ring ring = packed_ring(2, true);

	(void)state;
	assert_false(rh_packed_expect_kicks(&ring.device));
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_DESC);
	assert_int_equal(device_place(&ring), 0x8000);
	rh_packed_suppress_kicks(&ring.device);
	packed_ring_pass(&ring, 0, 1);
	packed_ring_pass(&ring, 0, 1);
	packed_ring_pass(&ring, 0, 1);
	assert_int_equal(device_flags(&ring), RING_EVENT_FLAGS_DESC);
	assert_int_equal(device_place(&ring), 0x8000);
	assert_false(rh_packed_expect_kicks(&ring.device));
	assert_int_equal(device_place(&ring), 0x0001);
	packed_ring_free(&ring);
}

/* G-26 */
static void a_chain_that_came_in_meanwhile_is_told(void **state)
{
	(void)state;
	for (int event_idx = 0; event_idx <= 1; event_idx++) {
		struct packed_ring ring = packed_ring(3, event_idx);
		uint16_t id;

		packed_ring_pass(&ring, 0, 2);
		rh_packed_suppress_kicks(&ring.device);
		assert_int_equal(rh_packed_take(&ring.device, &id), 0);
		packed_side_add_empty(&ring.driver, 0, 2);
		assert_true(rh_packed_expect_kicks(&ring.device));
		packed_ring_free(&ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_s_flags_decide),
		cmocka_unit_test(the_flags_decide_with_event_idx_too),
		cmocka_unit_test(the_first_publish_after_a_start_notifies),
		cmocka_unit_test(
			one_notification_where_the_driver_asked_for_one),
		cmocka_unit_test(a_publish_of_many_notifies_once),
		cmocka_unit_test(an_event_that_stays_comes_once_in_two_rounds),
		cmocka_unit_test(an_event_beyond_the_ring_has_come),
		cmocka_unit_test(a_start_expects_kicks),
		cmocka_unit_test(suppression_sets_the_flag_once),
		cmocka_unit_test(
			suppression_with_event_idx_leaves_the_event_behind),
		cmocka_unit_test(a_chain_that_came_in_meanwhile_is_told),
	};

	return cmocka_run_group_tests_name("packed-events", tests, NULL, NULL);
}

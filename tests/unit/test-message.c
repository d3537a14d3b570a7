/* SPDX-License-Identifier: MIT */
/* message - the table's bounds, and what it refuses before any handler runs */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "lib/message.h"

static const struct rh_session everything = {
	.features = UINT64_MAX,
	.protocol_features = UINT64_MAX,
	.nr_queues = 4,
};

static struct rh_incoming message(uint32_t request, uint32_t size,
				  unsigned int nr_fds)
{
	struct rh_incoming incoming = {
		.header = { request, VHOST_USER_VERSION, size },
		.nr_bytes = sizeof(incoming.header) + size,
		.nr_fds = nr_fds,
	};

	return incoming;
}

static int check(const struct rh_incoming *incoming)
{
	const char *why = NULL;
	int error = rh_message_check(incoming, &everything, &why);

	/* a refusal has its reason */
	assert_int_equal(error != 0, why != NULL);
	return error;
}

/* The smallest message that its row lets through. */
static struct rh_incoming smallest(uint32_t request)
{
	const struct rh_message_row *row = rh_message_row(request);
	unsigned int nr_fds = row->min_fds;

	if (row->index == RH_INDEX_VRING_FILE)
		nr_fds = 1;
	return message(request, row->min_bytes, nr_fds);
}

static bool supported(uint32_t request)
{
	return rh_message_row(request);
}

static void the_smallest_form_of_each_message_passes(void **state)
{
	unsigned int nr_supported = 0;

	(void)state;
	for (uint32_t i = 0; i < VHOST_USER_REQUEST_END; i++) {
		struct rh_incoming incoming;

		if (!supported(i))
			continue;
		incoming = smallest(i);
		assert_int_equal(check(&incoming), 0);
		nr_supported++;
	}
	assert_int_equal(nr_supported, 38);
}

/* F-22: every request code has a defined answer */
static void an_unknown_request_is_refused_but_framed(void **state)
{
	static const uint32_t unknown[] = { 19, 20,  23,   26,	   33,
					    45, 255, 1000, 100000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		struct rh_incoming incoming = message(unknown[i], 8, 0);

		assert_null(rh_message_row(unknown[i]));
		assert_non_null(rh_message_name(unknown[i]));
		assert_int_equal(check(&incoming), -EPROTO);
		assert_int_equal(rh_message_max_payload(&incoming.header),
				 RH_MAX_PAYLOAD_BYTES);
	}
}

/* F-23 */
static void a_payload_of_the_wrong_size_is_refused(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VHOST_USER_REQUEST_END; i++) {
		struct rh_incoming incoming;

		if (!supported(i))
			continue;
		incoming = smallest(i);
		incoming.header.size = rh_message_row(i)->max_bytes + 1;
		assert_int_equal(check(&incoming), -EPROTO);
		if (!rh_message_row(i)->min_bytes)
			continue;
		incoming.header.size = rh_message_row(i)->min_bytes - 1;
		assert_int_equal(check(&incoming), -EPROTO);
		incoming.header.size = 0;
		assert_int_equal(check(&incoming), -EPROTO);
	}
}

/* F-02: file descriptors on a message that takes none, or one too many */
static void surplus_and_missing_fds_are_refused(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VHOST_USER_REQUEST_END; i++) {
		struct rh_incoming incoming;

		if (!supported(i))
			continue;
		incoming = smallest(i);
		incoming.nr_fds = rh_message_row(i)->max_fds + 1;
		assert_int_equal(check(&incoming), -EPROTO);
		if (!rh_message_row(i)->min_fds)
			continue;
		incoming.nr_fds = rh_message_row(i)->min_fds - 1;
		assert_int_equal(check(&incoming), -EPROTO);
	}
}

static void a_message_waits_for_its_feature(void **state)
{
	const struct rh_session nothing = { .nr_queues = 4 };
	const char *why;

	(void)state;
	for (uint32_t i = 0; i < VHOST_USER_REQUEST_END; i++) {
		const struct rh_message_row *row = rh_message_row(i);
		struct rh_incoming incoming;
		bool needs;

		if (!row)
			continue;
		needs = row->needs_features || row->needs_protocol;
		incoming = smallest(i);
		assert_int_equal(rh_message_check(&incoming, &nothing, &why),
				 needs ? -EPROTO : 0);
	}
}

/* F-04: an index is compared whole, never cut */
static void a_queue_index_beyond_the_device_is_refused(void **state)
{
	static const uint32_t bad[] = { 4,	 255,	     256,
					0x10000, 0x80000000, UINT32_MAX };

	(void)state;
	for (uint32_t i = 0; i < VHOST_USER_REQUEST_END; i++) {
		struct rh_incoming incoming;

		if (!supported(i) || rh_message_row(i)->index != RH_INDEX_U32)
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
			incoming = smallest(i);
			memcpy(incoming.payload, &bad[j], sizeof(bad[j]));
			assert_int_equal(check(&incoming), -EPROTO);
		}
		incoming = smallest(i);
		incoming.payload[0] = 3;
		assert_int_equal(check(&incoming), 0);
		assert_int_equal(rh_message_queue_index(&incoming), 3);
	}
}

static int check_vring_file(uint64_t value, unsigned int nr_fds)
{
	struct rh_incoming incoming =
		message(VHOST_USER_SET_VRING_KICK, sizeof(value), nr_fds);

	memcpy(incoming.payload, &value, sizeof(value));
	return check(&incoming);
}

/* F-12: bit 8 says "no fd" and is no part of the index */
static void a_vring_file_has_an_fd_or_says_that_it_has_none(void **state)
{
	(void)state;
	assert_int_equal(check_vring_file(3, 1), 0);
	assert_int_equal(check_vring_file(0x100 | 3, 0), 0);
	assert_int_equal(check_vring_file(3, 0), -EPROTO);
	assert_int_equal(check_vring_file(0x100 | 3, 1), -EPROTO);
	assert_int_equal(check_vring_file(4, 1), -EPROTO);
	assert_int_equal(check_vring_file(0x100 | 4, 0), -EPROTO);
	for (unsigned int bit = 9; bit < 64; bit++)
		assert_int_equal(check_vring_file(UINT64_C(1) << bit, 1),
				 -EPROTO);
}

static int64_t bound(uint32_t request, uint32_t flags)
{
	const struct vhost_user_header header = { request, flags, 0 };

	return rh_message_max_payload(&header);
}

static void a_header_of_another_protocol_closes_the_connection(void **state)
{
	(void)state;
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 1), 8);
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 1 | 8), 8);
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 0), -EPROTO);
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 2), -EPROTO);
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 3), -EPROTO);
	assert_int_equal(bound(VHOST_USER_SET_FEATURES, 1 | 4), -EPROTO);
	for (unsigned int bit = 4; bit < 32; bit++)
		assert_int_equal(bound(VHOST_USER_SET_FEATURES, 1 | 1u << bit),
				 -EPROTO);
}

/* Behaviour 12: the bound is known before any of the payload is read */
static void no_bound_exceeds_the_buffer(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		assert_in_range(bound(i, 1), 1, RH_MAX_PAYLOAD_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_form_of_each_message_passes),
		cmocka_unit_test(an_unknown_request_is_refused_but_framed),
		cmocka_unit_test(a_payload_of_the_wrong_size_is_refused),
		cmocka_unit_test(surplus_and_missing_fds_are_refused),
		cmocka_unit_test(a_message_waits_for_its_feature),
		cmocka_unit_test(a_queue_index_beyond_the_device_is_refused),
		cmocka_unit_test(
			a_vring_file_has_an_fd_or_says_that_it_has_none),
		cmocka_unit_test(
			a_header_of_another_protocol_closes_the_connection),
		cmocka_unit_test(no_bound_exceeds_the_buffer),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}

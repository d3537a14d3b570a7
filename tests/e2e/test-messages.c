/* SPDX-License-Identifier: MIT */
/* messages - framing, negotiation, fds and replies, as they should not be */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/shape.h"
#include "tests/frontend/clock.h"

/* By whoever is at the other end */
static int wait_until_read(int sock)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int unread;

	do {
		if (ioctl(sock, SIOCOUTQ, &unread) < 0)
			return -errno;
		if (fe_now_usec() > deadline)
			return -ETIMEDOUT;
	} while (unread);
	return 0;
}

/* Each byte in a write of its own, and read on its own */
static int send_bytewise(int sock, const struct fe_message *message,
			 const int *fds, unsigned int nr_fds)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	size_t nr = fe_message_encode(message, bytes);
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++) {
		error = fe_send_bytes(sock, bytes + i, 1, fds, nr_fds);
		nr_fds = 0;
		if (!error)
			error = wait_until_read(sock);
	}
	return error;
}

/* Behaviour 10, F-08, S-02 */
static void each_message_may_come_byte_by_byte(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		shape_connect(&shapes[i], &client, server);
		shape_make(&shapes[i], &client, &message);
		message.flags |= FE_FLAG_NEED_REPLY;
		fd = shape_fd(&shapes[i], &client);
		assert_int_equal(send_bytewise(client.session.sock, &message,
					       &fd, shapes[i].nr_fds),
				 0);
		probe_expect(fe_request_name(shapes[i].request), 0,
			     fe_message_receive(client.session.sock, &message,
						FE_PATIENCE_MSEC, NULL, NULL),
			     PROBE_OK);
		if (!shapes[i].replies)
			probe_expect(fe_request_name(shapes[i].request), 1,
				     message.payload.u64 ? PROBE_NAK : 0,
				     PROBE_OK);
		client_close(&client);
	}
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

/* Behaviour 10, S-02 */
static void many_messages_may_come_in_one_write(void **state)
{
	const struct server *server = *state;
	uint8_t bytes[20 * FE_HEADER_BYTES];
	struct fe_message message;
	struct client client;

	probe_connect(&client, server);
	fe_message_init(&message, FE_GET_FEATURES, 0);
	for (unsigned int i = 0; i < 20; i++)
		memcpy(bytes + i * FE_HEADER_BYTES, &message, FE_HEADER_BYTES);
	assert_int_equal(fe_send_bytes(client.session.sock, bytes,
				       sizeof(bytes), NULL, 0),
			 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(fe_message_receive(client.session.sock,
						    &message, FE_PATIENCE_MSEC,
						    NULL, NULL),
				 0);
	client_close(&client);
}

/* Behaviour 10, S-03: I/O on its own rings goes on; then F-08, the time-out */
static void half_a_message_delays_nothing_but_itself(void **state)
{
	const struct server *server = *state;
	uint64_t deadline = fe_deadline(2000);
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_send_bytes(client.session.sock, "\1\0\0\0\1\0", 6,
				       NULL, 0),
			 0);
	/* as long as the server waits for the rest, at most */
	for (uint8_t i = 0; i < 50 && (!i || fe_now_usec() < deadline); i++)
		assert_int_equal(client_check_io(&client, 0, i), 0);
	assert_int_equal(fe_wait_closed(client.session.sock, FE_PATIENCE_MSEC),
			 0);
	client_close(&client);
	assert_int_equal(client_fresh_io(server), 0);
}

/* What becomes of a session in which more is announced than comes */
static int announce(const struct server *server, uint32_t request,
		    uint32_t size)
{
	struct fe_message message;
	struct client client;
	int outcome = -ETIME;

	fe_message_init(&message, request, size);
	for (int i = 0; i < PROBE_TRIES && outcome == -ETIME; i++) {
		probe_connect(&client, server);
		/* the header alone */
		assert_int_equal(fe_send_bytes(client.session.sock, &message,
					       FE_HEADER_BYTES, NULL, 0),
				 0);
		outcome = probe_end(&client);
		client_close(&client);
	}
	return outcome;
}

/* F-07, F-23, S-04: CLOSE without reading what is announced */
static void a_payload_beyond_all_bounds_is_not_read(void **state)
{
	const uint32_t sizes[] = { 0xffffffff, 0x80000000, 65536, 4097 };
	const struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++)
			probe_expect(
				fe_request_name(shapes[i].request), sizes[k],
				announce(server, shapes[i].request, sizes[k]),
				PROBE_CLOSED);
	}
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

static bool has_free_size(uint32_t request)
{
	return request == FE_SET_MEM_TABLE || request == FE_GET_CONFIG ||
	       request == FE_SET_CONFIG;
}

/* F-23, S-05: size 0, 1 to full - 1 */
static void a_payload_too_short_is_refused(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (uint32_t size = 0; size < shapes[i].bytes; size++) {
			shape_connect(&shapes[i], &client, server);
			shape_make(&shapes[i], &client, &message);
			fd = shape_fd(&shapes[i], &client);
			message.size = size;
			probe_expect(fe_request_name(shapes[i].request), size,
				     probe_message(&client, &message, &fd,
						   shapes[i].nr_fds),
				     has_free_size(shapes[i].request) ?
					     PROBE_NAK_OR_CLOSED :
					     PROBE_NAK);
			client_close(&client);
		}
	}
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

/* F-23, S-05: size full + 1, and any size where there is none */
static void a_payload_too_long_is_refused(void **state)
{
	const uint32_t surplus[] = { 1, 8, 300 };
	const struct server *server = *state;
	struct fe_message message;
	struct client client;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		/* QEMU gives GET_CONFIG and these two what they may hold */
		if (has_free_size(shapes[i].request))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(surplus); k++) {
			shape_connect(&shapes[i], &client, server);
			shape_make(&shapes[i], &client, &message);
			fd = shape_fd(&shapes[i], &client);
			message.size += surplus[k];
			probe_expect(fe_request_name(shapes[i].request),
				     message.size,
				     probe_message(&client, &message, &fd,
						   shapes[i].nr_fds),
				     PROBE_NAK_OR_CLOSED);
			client_close(&client);
		}
	}
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

/* S-06: VU Header: version, the reply bit, and bits that have no meaning */
static void flags_that_are_no_requests_close_the_session(void **state)
{
	const uint32_t flags[] = { 0,	 2,    3,    1 | 4, 1 | 4 | 8,
				   0x11, 0x21, 0x41, 0x81,  0x80000001 };
	const struct server *server = *state;
	struct fe_message message;
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		probe_connect(&client, server);
		fe_message_init(&message, FE_GET_FEATURES, 0);
		message.flags = flags[i];
		assert_int_equal(fe_message_send(client.session.sock, &message,
						 NULL, 0),
				 0);
		probe_expect("flags", flags[i],
			     probe_finish(&client, server,
					  fe_wait_closed(client.session.sock,
							 FE_PATIENCE_MSEC)),
			     0);
	}
	probe_verdict();
}

/* F-22, S-07: each number, known ones without their feature, random ones */
static void unknown_requests_are_refused(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;

	probe_connect(&client, server);
	for (uint32_t request = 0; request < 256; request++) {
		if (shape_of(request))
			continue;
		fe_message_init(&message, request, 0);
		probe_expect("request", request,
			     probe_message(&client, &message, NULL, 0),
			     PROBE_NAK);
	}
	srand48(1);
	for (unsigned int i = 0; i < 20000; i++) {
		fe_message_init(&message, (uint32_t)mrand48() | 256, 0);
		probe_expect("request", message.request,
			     fe_session_exchange(&client.session, &message,
						 NULL, 0),
			     PROBE_NAK);
	}
	assert_int_equal(probe_finish(&client, server, 0), 0);
	probe_verdict();
}

/*
 * S-09, S-47: VU: a message comes only when its protocol feature was
 * negotiated
 */
static void messages_without_their_feature_are_refused(void **state)
{
	const struct {
		uint32_t request;
		uint64_t feature;
	} rows[] = {
		{ FE_SET_CONFIG, FE_PROTOCOL_CONFIG },
		{ FE_ADD_MEM_REG, FE_PROTOCOL_MEM_SLOTS },
		{ FE_REM_MEM_REG, FE_PROTOCOL_MEM_SLOTS },
		{ FE_SET_BACKEND_REQ_FD, FE_PROTOCOL_BACKEND_REQ },
		{ FE_RESET_DEVICE, FE_PROTOCOL_RESET_DEVICE },
	};
	const struct server *server = *state;
	struct client_options options = { 0 };
	struct fe_message message;
	struct client client;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		options.refused_protocol = rows[i].feature;
		assert_int_equal(client_connect(&client, server, &options), 0);
		assert_int_equal(client_prepare(&client, NULL), 0);
		shape_make(shape_of(rows[i].request), &client, &message);
		fd = shape_fd(shape_of(rows[i].request), &client);
		probe_expect(
			fe_request_name(rows[i].request), 0,
			probe_finish(
				&client, server,
				probe_message(
					&client, &message, &fd,
					shape_of(rows[i].request)->nr_fds)),
			PROBE_NAK);
	}
	probe_verdict();
}

/* S-10: VIRTIO 2.2.2 */
static void features_that_were_not_offered_are_refused(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;
	uint64_t offered;

	for (unsigned int bit = 0; bit < 64; bit++) {
		probe_connect(&client, server);
		offered = client.session.offered_features;
		fe_message_init_u64(&message, FE_SET_FEATURES,
				    client.session.features | FE_BIT(bit));
		probe_expect("feature bit", bit,
			     probe_message(&client, &message, NULL, 0),
			     offered & FE_BIT(bit) ? PROBE_OK : PROBE_NAK);
		offered = client.session.offered_protocol;
		fe_message_init_u64(&message, FE_SET_PROTOCOL_FEATURES,
				    client.session.protocol | FE_BIT(bit));
		probe_expect("protocol feature bit", bit,
			     probe_message(&client, &message, NULL, 0),
			     offered & FE_BIT(bit) ? PROBE_OK : PROBE_NAK);
		client_close(&client);
	}
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

/* F-18, S-11: only LOG_ALL may change under a running ring */
static void features_do_not_change_under_running_rings(void **state)
{
	const struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 0), 0); /* it runs */
	assert_int_equal(fe_session_set(&client.session, FE_SET_FEATURES,
					client.session.features &
						~FE_FEATURE_EVENT_IDX),
			 -EREMOTEIO);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(fe_session_set(&client.session, FE_SET_FEATURES,
					client.session.features),
			 0);
	assert_int_equal(client_check_io(&client, 0, 2), 0);
	client_close(&client);
}

/* S-08, S-12: VU SET_OWNER: twice, and not at all; VU RESET_OWNER: ignored */
static void ownership_is_taken_lightly(void **state)
{
	const struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_session_command(&client.session, FE_SET_OWNER), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);

	memset(&client, 0, sizeof(client));
	assert_int_equal(fe_session_connect(&client.session, server->socket),
			 0);
	assert_int_equal(fe_session_get(&client.session, FE_GET_FEATURES,
					&client.session.features),
			 0);
	client.session.features &= FE_FEATURE_VERSION_1;
	assert_int_equal(fe_session_set(&client.session, FE_SET_FEATURES,
					client.session.features),
			 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	assert_int_equal(client_start(&client), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(fe_session_command(&client.session, FE_RESET_OWNER),
			 0);
	assert_int_equal(fe_session_sync(&client.session), 0);
	client_close(&client);
	assert_int_equal(client_fresh_io(server), 0);
}

/* Behaviour 15, S-13: exactly one reply, also from those that reply anyway */
static void a_reply_comes_exactly_once(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;
	uint32_t request;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		shape_connect(&shapes[i], &client, server);
		shape_make(&shapes[i], &client, &message);
		request = message.request;
		message.flags |= FE_FLAG_NEED_REPLY;
		fd = shape_fd(&shapes[i], &client);
		assert_int_equal(fe_message_send(client.session.sock, &message,
						 &fd, shapes[i].nr_fds),
				 0);
		assert_int_equal(fe_message_receive(client.session.sock,
						    &message, FE_PATIENCE_MSEC,
						    NULL, NULL),
				 0);
		probe_expect(fe_request_name(request), message.request,
			     message.request == request ? 0 : -EPROTO, 0);
		if (!shapes[i].replies)
			probe_expect(fe_request_name(request), 0,
				     message.payload.u64 ? PROBE_NAK : 0, 0);
		/* the next reply is the next message's, not a second one */
		probe_expect(fe_request_name(request), 1,
			     fe_session_sync(&client.session), 0);
		client_close(&client);
	}
	probe_verdict();
}

/* Behaviour 15: without being asked nothing is sent, and refusal closes */
static void no_reply_comes_unasked(void **state)
{
	const struct server *server = *state;
	struct fe_message message;
	struct client client;

	probe_connect(&client, server);
	fe_message_init(&message, FE_SET_OWNER, 0);
	assert_int_equal(
		fe_message_send(client.session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_session_sync(&client.session), 0);
	fe_message_init_u64(&message, FE_SET_FEATURES, UINT64_MAX);
	assert_int_equal(
		fe_message_send(client.session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_wait_closed(client.session.sock, FE_PATIENCE_MSEC),
			 0);
	assert_int_equal(probe_finish(&client, server, 0), 0);
}

/* REPLY_ACK not negotiated: the flag has no meaning, refusal closes */
static void without_reply_ack_refusal_closes_the_session(void **state)
{
	const struct client_options options = {
		.refused_protocol = FE_PROTOCOL_REPLY_ACK,
	};
	const struct server *server = *state;
	struct fe_message message;
	struct client client;

	assert_int_equal(client_connect(&client, server, &options), 0);
	fe_message_init_u64(&message, FE_SET_FEATURES, UINT64_MAX);
	assert_int_equal(
		fe_message_send(client.session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_wait_closed(client.session.sock, FE_PATIENCE_MSEC),
			 0);
	assert_int_equal(probe_finish(&client, server, 0), 0);
}

/* F-13, F-21: the first messages of a session */
static void a_ring_that_was_never_set_up_has_base_zero(void **state)
{
	const struct server *server = *state;
	struct fe_session session;
	uint32_t base = 1;

	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	assert_int_equal(fe_session_get_base(&session, 0, &base), 0);
	assert_int_equal(base, 0);
	fe_session_deinit(&session);

	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	assert_int_equal(fe_session_negotiate(&session, FE_USUAL_FEATURES,
					      FE_USUAL_PROTOCOL),
			 0);
	for (uint32_t i = 0; i < session.nr_queues; i++) {
		base = 1;
		assert_int_equal(fe_session_get_base(&session, i, &base), 0);
		assert_int_equal(base, 0);
	}
	fe_session_deinit(&session);
	assert_int_equal(client_fresh_io(server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(each_message_may_come_byte_by_byte),
		WITH_SERVER(many_messages_may_come_in_one_write),
		WITH_SERVER(half_a_message_delays_nothing_but_itself),
		WITH_SERVER(a_payload_beyond_all_bounds_is_not_read),
		WITH_SERVER(a_payload_too_short_is_refused),
		WITH_SERVER(a_payload_too_long_is_refused),
		WITH_SERVER(flags_that_are_no_requests_close_the_session),
		WITH_SERVER(unknown_requests_are_refused),
		WITH_SERVER(messages_without_their_feature_are_refused),
		WITH_SERVER(features_that_were_not_offered_are_refused),
		WITH_SERVER(features_do_not_change_under_running_rings),
		WITH_SERVER(ownership_is_taken_lightly),
		WITH_SERVER(a_reply_comes_exactly_once),
		WITH_SERVER(no_reply_comes_unasked),
		WITH_SERVER(without_reply_ack_refusal_closes_the_session),
		WITH_SERVER(a_ring_that_was_never_set_up_has_base_zero),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}

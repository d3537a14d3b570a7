/* SPDX-License-Identifier: MIT */
/* hostile-socket - bytes and fds that are no messages, in each state */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/attack.h"
#include "tests/e2e/shape.h"
#include "tests/frontend/clock.h"

#define REPLY_BYTES (FE_HEADER_BYTES + 8)

/* A good message of a shape, for a session in any state, with its fds. */
static void make_good(const struct shape *shape, const struct client *client,
		      struct fe_message *message, int *fds)
{
	shape_make(shape, client, message);
	for (unsigned int i = 0; i < shape->nr_fds; i++)
		fds[i] = shape_fd(shape, client);
}

/* S-01, F-07: header and payload end after each byte, with all fds there */
static void any_message_may_end_at_any_byte(void **state)
{
	struct hostile *hostile = *state;
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	struct fe_message message;
	struct client world = { 0 };
	int fds[FE_MAX_TABLE_REGIONS];
	size_t size;
	int sock;

	assert_int_equal(client_prepare(&world, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		make_good(&shapes[i], &world, &message, fds);
		size = fe_message_encode(&message, bytes);
		for (size_t cut = 1; cut < size; cut++) {
			assert_int_equal(
				fe_connect(hostile->server.socket, &sock), 0);
			assert_int_equal(fe_send_bytes(sock, bytes, cut, fds,
						       shapes[i].nr_fds),
					 0);
			close(sock);
		}
		assert_true(hostile_check(hostile));
	}
	client_close(&world);
}

/* S-01: the same when it has rings that run and are not idle */
static void a_message_may_end_at_any_byte_under_load(void **state)
{
	struct hostile *hostile = *state;
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	const struct shape *shape = shape_of(FE_ADD_MEM_REG);
	struct fe_message message;
	struct attack attack;
	int fds[FE_MAX_TABLE_REGIONS];

	for (size_t cut = 1; cut < FE_HEADER_BYTES + shape->bytes; cut++) {
		attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
		make_good(shape, &attack.client, &message, fds);
		fe_message_encode(&message, bytes);
		assert_int_equal(fe_send_bytes(attack.client.session.sock,
					       bytes, cut, fds, 1),
				 0);
		attack_end(&attack);
	}
	assert_true(hostile_check(hostile));
}

/* The ways in which a message is spoilt, and what becomes of it with few fds */
static const struct {
	const char *what;
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	int expected;
} spoilt[] = {
	{ "version 0", FE_SET_OWNER, 0, 0, PROBE_CLOSED },
	{ "version 2", FE_SET_OWNER, 2, 0, PROBE_CLOSED },
	{ "version 3", FE_SET_OWNER, 3, 0, PROBE_CLOSED },
	{ "a reply", FE_SET_OWNER, 1 | FE_FLAG_REPLY, 0, PROBE_CLOSED },
	{ "flag 4", FE_SET_OWNER, 1 | 0x10, 0, PROBE_CLOSED },
	{ "flag 31", FE_SET_OWNER, 1 | 0x80000000, 0, PROBE_CLOSED },
	{ "size 2^32 - 1", FE_SET_FEATURES, 1, 0xffffffff, PROBE_CLOSED },
	{ "size 4097", FE_SET_MEM_TABLE, 1, 4097, PROBE_CLOSED },
	{ "full size + 1", FE_SET_FEATURES, 1, 9, PROBE_CLOSED },
	{ "full size - 1", FE_SET_FEATURES, 1, 7, PROBE_NAK },
	{ "size 0", FE_SET_VRING_NUM, 1, 0, PROBE_NAK },
	{ "a size where is none", FE_SET_OWNER, 1, 1, PROBE_NAK },
	{ "4096 where is none", FE_GET_FEATURES, 1, 4096, PROBE_NAK },
	{ "no message", 99, 1, 0, PROBE_NAK },
	{ "no message, of 4096", 0xffffffff, 1, 4096, PROBE_NAK },
	{ "not negotiated", FE_POSTCOPY_ADVISE, 1, 0, PROBE_NAK },
};

static int spoilt_in(const struct server *server, enum attack_state state,
		     size_t i, unsigned int nr_fds)
{
	struct fe_message message;
	struct attack attack;
	int fds[FE_MAX_SENT_FDS];
	int outcome;

	for (unsigned int k = 0; k < nr_fds; k++)
		fds[k] = attack_fd(ATTACK_MEMORY_FD);
	attack_begin(&attack, server, state, 0);
	fe_message_init(&message, spoilt[i].request,
			spoilt[i].size > 4096 ? 0 : spoilt[i].size);
	message.flags = spoilt[i].flags;
	message.size = spoilt[i].size;
	if (spoilt[i].size > 4096) {
		/* announced, and never sent */
		fe_send_bytes(attack.client.session.sock, &message,
			      FE_HEADER_BYTES, fds, nr_fds);
		outcome = probe_end(&attack.client);
	} else {
		outcome = attack_message(&attack, &message, fds, nr_fds);
	}
	attack_end(&attack);
	return outcome;
}

static void try_spoilt(const struct server *server, enum attack_state in,
		       size_t i, unsigned int nr_fds)
{
	int expected = spoilt[i].expected;
	int outcome = -ETIME;

	if (in == ATTACK_FRESH || nr_fds > 8)
		expected = PROBE_CLOSED;
	for (int k = 0; k < PROBE_TRIES && outcome == -ETIME; k++)
		outcome = spoilt_in(server, in, i, nr_fds);
	probe_expect(spoilt[i].what, nr_fds * 10 + in, outcome, expected);
}

/* F-02, F-07, F-23, S-04, S-05, S-06, S-07, S-14, S-15 */
static void spoilt_messages_lose_all_their_fds(void **state)
{
	static const unsigned int numbers[] = { 0, 9, 1, 2, 8, 64, 253 };
	const size_t nr_under_io = 2; /* of them */
	struct hostile *hostile = *state;

	for (size_t i = 0; i < ARRAY_SIZE(spoilt); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(numbers); k++) {
			try_spoilt(&hostile->server, ATTACK_FRESH, i,
				   numbers[k]);
			try_spoilt(&hostile->server, ATTACK_NEGOTIATED, i,
				   numbers[k]);
			if (k < nr_under_io)
				try_spoilt(&hostile->server, ATTACK_UNDER_IO, i,
					   numbers[k]);
		}
		if (!hostile_check(hostile))
			probe_expect(spoilt[i].what, 0, PROBE_STUCK, PROBE_OK);
	}
	probe_verdict();
}

/*
 * Send messages of no payload in one write, all of which ask for a reply, and
 * read the replies: one each, and a refusal.
 */
static void expect_refusals(int sock, const uint32_t *requests, unsigned int nr)
{
	uint8_t bytes[64 * FE_HEADER_BYTES];
	struct fe_message message;
	uint8_t replies[64 * REPLY_BYTES];

	for (unsigned int i = 0; i < nr; i++) {
		fe_message_init(&message, requests[i], 0);
		message.flags |= FE_FLAG_NEED_REPLY;
		fe_message_encode(&message, bytes + i * FE_HEADER_BYTES);
	}
	assert_int_equal(
		fe_send_bytes(sock, bytes, nr * FE_HEADER_BYTES, NULL, 0), 0);
	assert_int_equal(fe_receive_bytes(sock, replies, nr * REPLY_BYTES,
					  FE_PATIENCE_MSEC),
			 0);
	for (unsigned int i = 0; i < nr; i++) {
		memcpy(&message, replies + i * REPLY_BYTES, FE_HEADER_BYTES);
		memcpy(&message.payload,
		       replies + i * REPLY_BYTES + FE_HEADER_BYTES, 8);
		if (message.request != requests[i] || message.size != 8 ||
		    message.flags != (FE_FLAG_VERSION | FE_FLAG_REPLY))
			probe_expect("reply", requests[i], -EPROTO, PROBE_NAK);
		else if (!message.payload.u64)
			probe_expect("request", requests[i], PROBE_OK,
				     PROBE_NAK);
	}
}

/* F-22, S-07, S-13: those of 8 bits, and random ones of 32 */
static void a_hundred_thousand_unknown_requests_are_refused(void **state)
{
	const unsigned int nr = hostile_volume(100000, 10000000);
	struct hostile *hostile = *state;
	uint32_t requests[64];
	struct attack attack;

	srand48(5);
	attack_begin(&attack, &hostile->server, ATTACK_NEGOTIATED, 0);
	for (unsigned int i = 0; i < 192; i += 64) {
		for (unsigned int k = 0; k < 64; k++)
			requests[k] = 64 + i + k;
		expect_refusals(attack.client.session.sock, requests, 64);
	}
	for (unsigned int i = 0; i < nr; i += 64) {
		for (unsigned int k = 0; k < 64; k++)
			requests[k] = (uint32_t)mrand48() | 64;
		expect_refusals(attack.client.session.sock, requests, 64);
	}
	assert_int_equal(fe_session_sync(&attack.client.session), 0);
	attack_end(&attack);
	probe_verdict();
}

/* F-22: without an acknowledgement each of them is the end of its session */
static void each_unknown_request_ends_a_fresh_session(void **state)
{
	struct hostile *hostile = *state;
	struct fe_message message;
	struct attack attack;

	for (uint32_t request = 0; request < 256; request++) {
		if (shape_of(request))
			continue;
		attack_begin(&attack, &hostile->server, ATTACK_FRESH, 0);
		fe_message_init(&message, request, 0);
		probe_expect("request", request,
			     attack_message(&attack, &message, NULL, 0),
			     PROBE_CLOSED);
		attack_end(&attack);
	}
	probe_verdict();
}

/* F-23, S-04, S-05: each message that there is, with 4096 bytes */
static void no_message_has_4096_bytes(void **state)
{
	struct hostile *hostile = *state;
	struct fe_message message;
	struct attack attack;

	for (enum attack_state in = 0; in < NR_ATTACK_STATES; in++) {
		for (uint32_t request = 1; request <= 44; request++) {
			attack_begin(&attack, &hostile->server, in,
				     ATTACK_PROTOCOL);
			fe_message_init(&message, request, 4096);
			/* GET_CONFIG is asked for in a way of its own */
			if (request == FE_GET_CONFIG)
				message.payload.config.size = 4084;
			probe_expect(fe_request_name(request), in,
				     attack_message(&attack, &message, NULL, 0),
				     in == ATTACK_FRESH ? PROBE_CLOSED :
							  PROBE_NAK_OR_CLOSED);
			attack_end(&attack);
		}
		assert_true(hostile_check(hostile));
	}
	probe_verdict();
}

/* S-50: it is read no more, its rings and all others do not notice */
static void who_never_reads_is_read_no_more(void **state)
{
	struct hostile *hostile = *state;
	struct fe_message message;
	struct attack attack;
	int64_t rss;
	int error = 0;

	attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
	rss = server_rss_bytes(&hostile->server);
	fe_message_init(&message, FE_GET_CONFIG, FE_CONFIG_HEADER_BYTES + 60);
	message.payload.config.size = 60;
	for (unsigned int i = 0; i < 1000000 && !error; i++) {
		uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];

		/* what does not fit at once will not fit later */
		error = send(attack.client.session.sock, bytes,
			     fe_message_encode(&message, bytes),
			     MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
	}
	assert_int_not_equal(error, 0);
	assert_true(attack_goes_on(&attack));
	assert_in_range(server_rss_bytes(&hostile->server), 1, rss + (4 << 20));
	attack_end(&attack);
}

/* S-03: half a message, and its rings go on */
static void half_a_message_stops_no_ring(void **state)
{
	struct hostile *hostile = *state;
	struct attack attack;

	attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
	assert_int_equal(fe_send_bytes(attack.client.session.sock,
				       "\1\0\0\0\1\0", 6, NULL, 0),
			 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_true(attack_goes_on(&attack));
	attack_end(&attack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(any_message_may_end_at_any_byte),
		HOSTILE(a_message_may_end_at_any_byte_under_load),
		HOSTILE(spoilt_messages_lose_all_their_fds),
		HOSTILE(a_hundred_thousand_unknown_requests_are_refused),
		HOSTILE(each_unknown_request_ends_a_fresh_session),
		HOSTILE(no_message_has_4096_bytes),
		HOSTILE(who_never_reads_is_read_no_more),
		HOSTILE(half_a_message_stops_no_ring),
	};

	return hostile_run("hostile-socket", tests, ARRAY_SIZE(tests));
}

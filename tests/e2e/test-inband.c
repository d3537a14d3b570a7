/* SPDX-License-Identifier: MIT */
/* inband - a disk whose kicks and calls are messages, with no eventfd at all */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define FLAG_REPLY 4u
#define FLAG_ASKS  8u
#define ROUNDS	   200
#define READ_BYTES 4096

static const struct client_options options = {
	.more_protocol = FE_PROTOCOL_INBAND,
};

/* A client whose rings lack a kick only; returns its channel. */
static int open_without_fds(struct client *client, const struct server *server)
{
	struct fe_vring *vring = &client->vrings[0];
	struct fe_session *session = &client->session;
	int channel;

	assert_int_equal(client_connect(client, server, &options), 0);
	assert_int_equal(client_prepare(client, &options), 0);
	assert_int_equal(fe_session_open_channel(session, &channel), 0);
	assert_int_equal(fe_session_set_memory(session, &client->memory), 0);
	assert_int_equal(fe_session_set_state(session, FE_SET_VRING_NUM, 0,
					      vring->size),
			 0);
	assert_int_equal(fe_session_set_state(session, FE_SET_VRING_BASE, 0,
					      fe_vring_base(vring)),
			 0);
	assert_int_equal(fe_session_set_vring_addr(session, vring, 0), 0);
	assert_int_equal(
		fe_session_set_state(session, FE_SET_VRING_ENABLE, 0, 1), 0);
	return channel;
}

static void kick(struct client *client)
{
	assert_int_equal(
		fe_session_set_state(&client->session, FE_VRING_KICK, 0, 0), 0);
}

/* The next message of the back-end, acknowledged. */
static void expect_message(int channel, uint32_t request)
{
	struct fe_message message;

	assert_int_equal(fe_message_receive(channel, &message, FE_PATIENCE_MSEC,
					    NULL, NULL),
			 0);
	assert_int_equal(message.request, request);
	assert_true(message.flags & FLAG_ASKS);
	assert_int_equal(message.payload.state.index, 0);
	assert_int_equal(message.payload.state.num, 0);
	fe_message_init_u64(&message, request, 0);
	message.flags |= FLAG_REPLY;
	assert_int_equal(fe_message_send(channel, &message, NULL, 0), 0);
}

static void add_reads(struct client *client, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

		assert_non_null(request);
		request->data_bytes = READ_BYTES;
		assert_true(fe_blk_add(request) >= 0);
	}
	fe_vring_publish(&client->vrings[0]);
}

/* Returns how many were done, all well. */
static unsigned int reap(struct client *client)
{
	struct fe_blk_request *request;
	unsigned int nr = 0;

	while (fe_blk_reap(&client->blks[0], &request) > 0) {
		assert_int_equal(fe_blk_result(request), 0);
		fe_blk_put(request);
		nr++;
	}
	return nr;
}

/* Each request is followed by a call, or was done before calls were wanted. */
static void requests_are_kicked_and_called_by_messages(void **state)
{
	const struct server *server = *state;
	struct client client;
	int channel = open_without_fds(&client, server);

	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int nr = 1 + round % CLIENT_DEPTH;

		add_reads(&client, nr);
		kick(&client);
		while (nr) {
			if (!fe_vring_expect_calls(&client.vrings[0]))
				expect_message(channel, FE_BACKEND_VRING_CALL);
			nr -= reap(&client);
		}
	}
	close(channel);
	client_close(&client);
}

/* S-49: a channel that nobody reads, and kicks without end */
static void a_flood_of_kicks_and_an_unread_channel_cost_nothing(void **state)
{
	const struct server *server = *state;
	struct client client;
	int channel = open_without_fds(&client, server);

	for (unsigned int i = 0; i < 2000; i++) {
		add_reads(&client, 1);
		kick(&client);
		while (!reap(&client))
			kick(&client);
	}
	assert_int_equal(fe_session_sync(&client.session), 0);
	close(channel);
	for (unsigned int i = 0; i < 100; i++) {
		add_reads(&client, 1);
		kick(&client);
		while (!reap(&client))
			kick(&client);
	}
	client_close(&client);
	assert_int_equal(client_fresh_io(server), 0);
}

static void a_ring_that_breaks_is_told_by_a_message(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring vring;
	int channel = open_without_fds(&client, server);

	vring = client.vrings[0];
	vring.desc_addr += INT64_C(1) << 40;
	assert_int_equal(fe_session_set_vring_addr(&client.session, &vring, 0),
			 0);
	kick(&client);
	expect_message(channel, FE_BACKEND_VRING_ERR);
	close(channel);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(requests_are_kicked_and_called_by_messages),
		WITH_SERVER(
			a_flood_of_kicks_and_an_unread_channel_cost_nothing),
		WITH_SERVER(a_ring_that_breaks_is_told_by_a_message),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("inband", tests, NULL, NULL);
}

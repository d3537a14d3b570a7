/* SPDX-License-Identifier: MIT */
/* message-fds - surplus, missing and misplaced ones; floods of messages */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/hostile.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/shape.h"
#include "tests/frontend/clock.h"

#define UNREAD_MSEC 2000 /* nobody reads any more, or not for now */

static void fill_fds(int *fds, unsigned int nr, int fd)
{
	for (unsigned int i = 0; i < nr; i++)
		fds[i] = fd;
}

/* F-02, behaviour 11, S-14: all of them are closed */
static void fds_on_messages_that_take_none_are_refused(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct fe_message message;
	struct client client;
	int fds[8];

	assert_int_equal(client_footprint(server, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		/* REM_MEM_REG may have one, which is not used */
		if (shapes[i].nr_fds || shapes[i].replies ||
		    shapes[i].request == FE_REM_MEM_REG)
			continue;
		for (unsigned int nr = 1; nr <= 8; nr += 7) {
			shape_connect(&shapes[i], &client, server);
			shape_make(&shapes[i], &client, &message);
			fill_fds(fds, nr, client.vrings[0].kick_fd);
			probe_expect(fe_request_name(shapes[i].request), nr,
				     probe_message(&client, &message, fds, nr),
				     PROBE_NAK);
			client_close(&client);
		}
	}
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* Behaviour 11, S-14, S-16: 2 where 1, none where 1 */
static void another_number_of_fds_is_refused(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct fe_message message;
	struct client client;
	int fds[8];

	assert_int_equal(client_footprint(server, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (!shapes[i].nr_fds)
			continue;
		for (unsigned int nr = 0; nr <= 8; nr++) {
			if (nr == 1)
				continue;
			shape_connect(&shapes[i], &client, server);
			shape_make(&shapes[i], &client, &message);
			fill_fds(fds, nr, shape_fd(&shapes[i], &client));
			probe_expect(fe_request_name(shapes[i].request), nr,
				     probe_message(&client, &message, fds, nr),
				     PROBE_NAK);
			client_close(&client);
		}
	}
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* Behaviour 11, F-07, S-15: more than any message may carry */
static void more_than_eight_fds_close_the_session(void **state)
{
	const unsigned int numbers[] = { 9, 16, 64, 253 };
	const struct server *server = *state;
	struct footprint before;
	struct fe_message message;
	struct client client;
	int fds[FE_MAX_SENT_FDS];

	assert_int_equal(client_footprint(server, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(numbers); k++) {
			shape_connect(&shapes[i], &client, server);
			shape_make(&shapes[i], &client, &message);
			fill_fds(fds, numbers[k],
				 shape_fd(&shapes[i], &client));
			probe_expect(fe_request_name(shapes[i].request),
				     numbers[k],
				     probe_message(&client, &message, fds,
						   numbers[k]),
				     PROBE_CLOSED);
			client_close(&client);
		}
	}
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* Behaviour 11, S-15: over all pieces of a message */
static void fds_that_come_with_the_payload_close_the_session(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct fe_message message;
	struct client client;
	int fd;

	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < 20; i++) {
		shape_connect(shape_of(FE_SET_MEM_TABLE), &client, server);
		shape_make(shape_of(FE_SET_MEM_TABLE), &client, &message);
		fd = client.memory.regions[0].fd;
		assert_int_equal(fe_send_bytes(client.session.sock, &message,
					       FE_HEADER_BYTES, NULL, 0),
				 0);
		assert_int_equal(fe_send_bytes(client.session.sock,
					       &message.payload, message.size,
					       &fd, 1),
				 0);
		assert_int_equal(fe_wait_closed(client.session.sock,
						FE_PATIENCE_MSEC),
				 0);
		client_close(&client);
	}
	assert_true(client_footprint_same(server, &before));
}

/* F-02 */
static void a_hundred_thousand_messages_grow_nothing(void **state)
{
	const struct server *server = *state;
	/* the library is the same in both */
	const unsigned int nr =
		hostile_volume(server_is_ringhost() ? 10000 : 100000, 100000);
	struct footprint before;
	struct fe_message message;
	struct client client;
	int fds[8];

	probe_connect(&client, server);
	assert_int_equal(fe_session_set_state(&client.session, FE_SET_VRING_NUM,
					      0, 64),
			 0);
	client_close(&client);
	assert_int_equal(client_footprint(server, &before), 0);

	shape_connect(shape_of(FE_SET_OWNER), &client, server);
	fill_fds(fds, 8, client.vrings[0].kick_fd);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(fe_session_set_state(&client.session,
						      FE_SET_VRING_NUM, 0, 64),
				 0);
	for (unsigned int i = 0; i < nr; i++) {
		fe_message_init(&message, FE_SET_OWNER, 0);
		assert_int_equal(fe_session_exchange(&client.session, &message,
						     fds, 8),
				 -EREMOTEIO);
	}
	assert_int_equal(fe_session_sync(&client.session), 0);
	assert_in_range(server_nr_fds(server), 1, before.nr_fds);
	client_close(&client);
	assert_true(client_footprint_same(server, &before));
}

/* -ETIMEDOUT: nobody has read for a while. */
static int send_if_read(struct client *client, const struct fe_message *message)
{
	struct pollfd writable = {
		.fd = client->session.sock,
		.events = POLLOUT,
	};

	if (poll(&writable, 1, UNREAD_MSEC) != 1)
		return -ETIMEDOUT;
	return fe_message_send(client->session.sock, message, NULL, 0);
}

/* Behaviour 14, F-20, S-50: a bounded buffer, then the end of the session */
static void a_peer_that_never_reads_is_cut_off(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct fe_message message;
	struct client client;
	int error = 0;

	assert_int_equal(client_footprint(server, &before), 0);
	probe_connect(&client, server);
	fe_message_init(&message, FE_GET_CONFIG, FE_CONFIG_HEADER_BYTES + 60);
	message.payload.config.size = 60;
	for (unsigned int i = 0; i < 1000000 && !error; i++)
		error = send_if_read(&client, &message);
	/* closed, or no longer read: then it must not cost CPU time */
	assert_true(error == -ECONNRESET || error == -ETIMEDOUT);
	client_close(&client);
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(fds_on_messages_that_take_none_are_refused),
		WITH_SERVER(another_number_of_fds_is_refused),
		WITH_SERVER(more_than_eight_fds_close_the_session),
		WITH_SERVER(fds_that_come_with_the_payload_close_the_session),
		WITH_SERVER(a_hundred_thousand_messages_grow_nothing),
		WITH_SERVER(a_peer_that_never_reads_is_cut_off),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("message-fds", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* move - a device changes loops and threads, pauses, stops; nothing is lost */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/sockios.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/client.h"
#include "tests/e2e/local.h"
#include "tests/frontend/clock.h"

#define SHORT_MSEC 50 /* long enough for what must not happen */

static struct local local;
static struct client client;

static int start_together(void **state)
{
	(void)state;
	local_start(&local, false);
	return 0;
}

static int start_apart(void **state)
{
	(void)state;
	local_start(&local, true);
	return 0;
}

static int end(void **state)
{
	(void)state;
	client_close(&client);
	local_end(&local);
	return 0;
}

static void *load(void *opaque)
{
	*(int *)opaque = client_load(&client, 0, 20000);
	return NULL;
}

/* Behaviour 16, 17: control moves, the queue stays where it is */
static void control_moves_a_thousand_times_under_load(void **state)
{
	pthread_t thread;
	int error = 1;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, load, &error), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		local_move(&local, (i + 1) % 2);
		assert_int_equal(fe_session_sync(&client.session), 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(error, 0);
}

/* Behaviour 17: all of it moves, with its requests */
static void the_whole_device_moves_a_thousand_times_under_load(void **state)
{
	pthread_t thread;
	int error = 1;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, load, &error), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		local_pause(&local);
		local_wait(&local.nr_paused, i + 1);
		local_move(&local, (i + 1) % 2);
		local_resume(&local);
		if (i % 10 == 0)
			assert_int_equal(fe_session_sync(&client.session), 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(error, 0);
}

/* Behaviour 17: idle, and twice in a row without a turn in between */
static void an_idle_device_moves_twice_in_a_row(void **state)
{
	(void)state;
	local_move(&local, 1);
	local_move(&local, 0);
	local_move(&local, 1);
	assert_int_equal(client_fresh_io(&local.server), -EILSEQ);
	local_move(&local, 0);
	local_move(&local, 1);
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
}

static void wait_until_read(int sock)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int unread;

	do {
		assert_int_equal(ioctl(sock, SIOCOUTQ, &unread), 0);
		assert_true(fe_now_usec() < deadline);
	} while (unread);
}

/* Behaviour 17: at each byte of header and payload */
static void half_a_message_moves_with_the_device(void **state)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	struct fe_message message;
	size_t nr;

	(void)state;
	assert_int_equal(client_connect(&client, &local.server, NULL), 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	fe_message_init(&message, FE_SET_MEM_TABLE, 40);
	message.flags |= FE_FLAG_NEED_REPLY;
	message.payload.table.nr_regions = 1;
	message.payload.table.regions[0] = client.memory.regions[0].wire;
	nr = fe_message_encode(&message, bytes);
	for (size_t part = 1; part < nr; part++) {
		assert_int_equal(fe_send_bytes(client.session.sock, bytes, part,
					       &client.memory.regions[0].fd, 1),
				 0);
		wait_until_read(client.session.sock);
		local_move(&local, part % 2);
		assert_int_equal(fe_send_bytes(client.session.sock,
					       bytes + part, nr - part, NULL,
					       0),
				 0);
		assert_int_equal(fe_message_receive(client.session.sock,
						    &message, FE_PATIENCE_MSEC,
						    NULL, NULL),
				 0);
		assert_int_equal(message.payload.u64, 0);
	}
}

/* Keep this many requests under way. */
static void hold_requests(unsigned int nr)
{
	struct fe_blk_request *request;

	local_hold(&local);
	for (unsigned int i = 0; i < nr; i++) {
		request = fe_blk_get(&client.blks[0]);
		assert_non_null(request);
		request->data_bytes = 4096;
		assert_true(fe_blk_add(request) >= 0);
	}
	fe_vring_submit(&client.vrings[0]);
	local_wait(&local.nr_held, nr);
}

static void all_requests_complete(void)
{
	struct fe_blk *blk = &client.blks[0];
	struct fe_blk_request *request;

	while (blk->nr_under_way) {
		assert_int_equal(fe_vring_wait(blk->vring, FE_PATIENCE_MSEC),
				 0);
		while (fe_blk_reap(blk, &request) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
	}
}

/* Behaviour 17 */
static void requests_under_way_survive_a_move(void **state)
{
	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	hold_requests(8);
	local_move(&local, 1);
	assert_int_equal(fe_session_sync(&client.session), 0);
	local_move(&local, 0);
	local_let_go(&local);
	all_requests_complete();
}

/* Behaviour 18 */
static void a_pause_starts_nothing_and_waits_for_what_runs(void **state)
{
	struct fe_blk_request *request;
	struct fe_message message;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	hold_requests(4);
	local_pause(&local);
	usleep(SHORT_MSEC * 1000);
	assert_int_equal(atomic_load(&local.nr_paused), 0);
	local_let_go(&local);
	local_wait(&local.nr_paused, 1);
	assert_int_equal(client.vrings[0].used->idx, 4);

	request = fe_blk_get(&client.blks[0]);
	request->data_bytes = 512;
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_publish(&client.vrings[0]);
	fe_vring_kick(&client.vrings[0]);
	fe_message_init(&message, FE_GET_FEATURES, 0);
	assert_int_equal(
		fe_message_send(client.session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_message_receive(client.session.sock, &message,
					    SHORT_MSEC, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(client.vrings[0].used->idx, 4);

	local_resume(&local);
	assert_int_equal(fe_message_receive(client.session.sock, &message,
					    FE_PATIENCE_MSEC, NULL, NULL),
			 0);
	all_requests_complete();
}

/* Send it while requests are held; the answer comes when they have ended. */
static void waits_for_requests(struct fe_message *message)
{
	const struct fe_region *region = &client.memory.regions[0];
	unsigned int nr_fds = message->request == FE_SET_MEM_TABLE ||
			      message->request == FE_ADD_MEM_REG;

	hold_requests(8);
	message->flags |= FE_FLAG_NEED_REPLY;
	assert_int_equal(fe_message_send(client.session.sock, message,
					 &region->fd, nr_fds),
			 0);
	assert_int_equal(fe_message_receive(client.session.sock, message,
					    SHORT_MSEC, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(client.vrings[0].used->idx, 0);
	local_let_go(&local);
	assert_int_equal(fe_message_receive(client.session.sock, message,
					    FE_PATIENCE_MSEC, NULL, NULL),
			 0);
	assert_int_equal(client.vrings[0].used->idx, 8);
	client_close(&client);
}

/* Behaviour 33, D-07, D-08, D-17, S-30: the old mapping outlives them */
static void messages_wait_for_requests_under_way(void **state)
{
	struct fe_message message;
	struct fe_wire_region other;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	fe_message_init(&message, FE_SET_MEM_TABLE, 40);
	message.payload.table.nr_regions = 1;
	message.payload.table.regions[0] = client.memory.regions[0].wire;
	waits_for_requests(&message);

	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	other = client.memory.regions[0].wire;
	other.guest_addr += UINT64_C(1) << 40;
	other.user_addr = UINT64_C(1) << 50;
	fe_message_init(&message, FE_ADD_MEM_REG,
			sizeof(message.payload.single));
	message.payload.single.region = other;
	waits_for_requests(&message);
	assert_int_equal(message.payload.u64, 0);

	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	fe_message_init(&message, FE_REM_MEM_REG,
			sizeof(message.payload.single));
	message.payload.single.region = client.memory.regions[0].wire;
	waits_for_requests(&message);
	assert_int_equal(message.payload.u64, 0);

	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	fe_message_init(&message, FE_GET_VRING_BASE, 8);
	waits_for_requests(&message);
	assert_int_equal(message.payload.state.num, 8);

	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	fe_message_init(&message, FE_SET_VRING_ENABLE, 8);
	waits_for_requests(&message);
	assert_int_equal(message.payload.u64, 0);

	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	fe_message_init(&message, FE_RESET_DEVICE, 0);
	waits_for_requests(&message);
	assert_int_equal(message.payload.u64, 0);
}

/* D-07, behaviour 3: they end before the next front-end is answered */
static void the_next_front_end_waits_for_requests_under_way(void **state)
{
	struct fe_session next;
	struct fe_message message;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	hold_requests(8);
	client_close(&client);
	assert_int_equal(fe_session_connect(&next, local.server.socket), 0);
	fe_message_init(&message, FE_GET_FEATURES, 0);
	assert_int_equal(fe_message_send(next.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_message_receive(next.sock, &message, SHORT_MSEC,
					    NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(atomic_load(&local.nr_disconnected), 0);
	local_let_go(&local);
	assert_int_equal(fe_message_receive(next.sock, &message,
					    FE_PATIENCE_MSEC, NULL, NULL),
			 0);
	assert_int_equal(atomic_load(&local.nr_disconnected), 1);
	fe_session_deinit(&next);
}

/* Behaviour 7 */
static void a_stop_waits_for_requests_under_way(void **state)
{
	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	hold_requests(8);
	local_stop(&local);
	assert_int_equal(fe_wait_closed(client.session.sock, SHORT_MSEC),
			 -ETIMEDOUT);
	assert_int_equal(atomic_load(&local.nr_disconnected), 0);
	local_let_go(&local);
	local_wait(&local.nr_disconnected, 1);
	assert_int_equal(atomic_load(&local.last_error), 0);
	assert_int_equal(fe_wait_closed(client.session.sock, FE_PATIENCE_MSEC),
			 0);
	assert_int_equal(client.vrings[0].used->idx, 8);
}

/* Behaviour 6 */
static void the_device_learns_why_a_session_ended(void **state)
{
	struct fe_session session;
	unsigned int nr = 0;

	(void)state;
	assert_int_equal(fe_session_connect(&session, local.server.socket), 0);
	assert_int_equal(fe_session_sync(&session), 0);
	fe_session_deinit(&session);
	local_wait(&local.nr_disconnected, ++nr);
	assert_int_equal(atomic_load(&local.last_error), 0);

	assert_int_equal(fe_session_connect(&session, local.server.socket), 0);
	assert_int_equal(fe_send_bytes(session.sock, "\1\0\0", 3, NULL, 0), 0);
	fe_session_deinit(&session);
	local_wait(&local.nr_disconnected, ++nr);
	assert_int_equal(atomic_load(&local.last_error), -ECONNRESET);

	assert_int_equal(fe_session_connect(&session, local.server.socket), 0);
	assert_int_equal(fe_send_bytes(session.sock, "\1\0\0\0\7\0\0\0\0\0\0",
				       12, NULL, 0),
			 0);
	local_wait(&local.nr_disconnected, ++nr);
	assert_int_equal(atomic_load(&local.last_error), -EPROTO);
	fe_session_deinit(&session);
}

/* Behaviour 19: one message if there is a channel, nothing if not */
static void a_config_change_is_told_once(void **state)
{
	struct fe_message message;
	int first;
	int second;

	(void)state;
	assert_int_equal(local_config_changed(&local), 0);
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	assert_int_equal(local_config_changed(&local), 0);
	assert_int_equal(fe_session_open_channel(&client.session, &first), 0);
	assert_int_equal(local_config_changed(&local), 1);
	assert_int_equal(fe_message_receive(first, &message, FE_PATIENCE_MSEC,
					    NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_BACKEND_CONFIG_CHANGE);
	assert_int_equal(message.size, 0);
	assert_int_equal(fe_wait_closed(first, SHORT_MSEC), -ETIMEDOUT);

	/* a second one replaces and closes the first */
	assert_int_equal(fe_session_open_channel(&client.session, &second), 0);
	assert_int_equal(fe_wait_closed(first, FE_PATIENCE_MSEC), 0);
	assert_int_equal(local_config_changed(&local), 1);
	assert_int_equal(fe_message_receive(second, &message, FE_PATIENCE_MSEC,
					    NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_BACKEND_CONFIG_CHANGE);

	/* waiting for its answer blocks nothing; a disconnect closes it */
	assert_int_equal(fe_session_sync(&client.session), 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);
	assert_int_equal(fe_wait_closed(second, FE_PATIENCE_MSEC), 0);
	assert_int_equal(local_config_changed(&local), 0);
	close(first);
	close(second);
}

/* S-49: a peer that closes the channel, or answers nonsense on it */
static void a_bad_channel_is_dropped_and_the_disk_goes_on(void **state)
{
	struct fe_message message;
	int channel;

	(void)state;
	assert_int_equal(client_open(&client, &local.server, NULL), 0);
	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	close(channel);
	local_config_changed(&local);
	assert_int_equal(client_load(&client, 0, 100), 0);

	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	assert_int_equal(local_config_changed(&local), 1);
	fe_message_init(&message, 77, 4000);
	fe_message_send(channel, &message, NULL, 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	close(channel);

	/* and one that is never read */
	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	for (unsigned int i = 0; i < 10000; i++)
		local_config_changed(&local);
	assert_int_equal(client_load(&client, 0, 100), 0);
	assert_int_equal(fe_session_sync(&client.session), 0);
	close(channel);
}

#define TOGETHER(test)                                                         \
	cmocka_unit_test_setup_teardown(test, start_together, end)
#define APART(test) cmocka_unit_test_setup_teardown(test, start_apart, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		APART(control_moves_a_thousand_times_under_load),
		TOGETHER(the_whole_device_moves_a_thousand_times_under_load),
		TOGETHER(an_idle_device_moves_twice_in_a_row),
		TOGETHER(half_a_message_moves_with_the_device),
		APART(requests_under_way_survive_a_move),
		TOGETHER(a_pause_starts_nothing_and_waits_for_what_runs),
		APART(a_pause_starts_nothing_and_waits_for_what_runs),
		TOGETHER(messages_wait_for_requests_under_way),
		APART(messages_wait_for_requests_under_way),
		TOGETHER(the_next_front_end_waits_for_requests_under_way),
		APART(the_next_front_end_waits_for_requests_under_way),
		TOGETHER(a_stop_waits_for_requests_under_way),
		APART(a_stop_waits_for_requests_under_way),
		TOGETHER(the_device_learns_why_a_session_ended),
		TOGETHER(a_config_change_is_told_once),
		TOGETHER(a_bad_channel_is_dropped_and_the_disk_goes_on),
	};

	return cmocka_run_group_tests_name("move", tests, NULL, NULL);
}

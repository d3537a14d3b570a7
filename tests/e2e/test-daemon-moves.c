/* SPDX-License-Identifier: MIT */
/*
 * daemon - queues go from one I/O thread to another, and no guest notices
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

#define NR_MOVES      1000
#define NR_DEPARTURES 100

/* Behaviours 16 and 17 */
static void a_thousand_moves_under_load_lose_nothing(void **state)
{
	struct daemon daemon;
	struct load file;
	struct load null;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&file, daemon_at(&daemon, "e0.sock"), 4, true);
	load_begin(&null, daemon_at(&daemon, "e1.sock"), 2, false);
	for (unsigned int i = 0; i < NR_MOVES / 2; i++) {
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'queue': %u, 'iothread': 't%u'}", i % 4,
		       i / 4 % 2);
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e%u', 'iothread': ['t%u', 't%u']}", i % 2,
		       i / 2 % 2, (i / 2 + 1) % 2);
		if (i % 50 == 0)
			load_goes_on(&file);
	}
	load_goes_on(&file);
	load_goes_on(&null);
	load_end(&file);
	load_end(&null);
	daemon_stop(&daemon);
}

/* The first rows of what QEMU's daemon does: the message is not lost. */
static void moves_beside_half_a_message_lose_nothing(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	for (unsigned int i = 0; i < 100; i++) {
		size_t half = 1 + i % (CLIENT_MESSAGE_BYTES - 1);

		assert_int_equal(client_begin_message(&client, half), 0);
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'iothread': 't%u'}", i % 2);
		assert_int_equal(client_end_message(&client, half), 0);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)i), 0);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

/* How many queues an I/O thread runs. */
static json_int_t nr_queues_of(struct daemon *daemon, const char *id)
{
	json_t *iothread =
		qmp_find(&daemon->qmp, "query-iothreads", "{}", "id", id);
	json_int_t nr =
		json_integer_value(json_object_get(iothread, "x-queues"));

	assert_non_null(iothread);
	json_decref(iothread);
	return nr;
}

static void await_queues(struct daemon *daemon, const char *id, json_int_t nr)
{
	AWAIT(nr_queues_of(daemon, id) == nr);
}

/* Where it is told to go, all of it or one queue, now and after a restart. */
static void what_moves_arrives_and_what_it_left_is_free(void **state)
{
	const struct client_options options = { .nr_queues = 4 };
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(client_open(&client, daemon_at(&daemon, "e0.sock"),
				     &options),
			 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(client_check_io(&client, i, (uint8_t)i), 0);
	await_queues(&daemon, "t0", 4);
	qmp_do(&daemon.qmp, "x-export-move",
	       "{'id': 'e0', 'queue': 2, 'iothread': 't1'}");
	await_queues(&daemon, "t1", 1);
	await_queues(&daemon, "t0", 3);
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e0', 'iothread': 't1'}");
	await_queues(&daemon, "t1", 4);
	await_queues(&daemon, "t0", 0);
	qmp_do(&daemon.qmp, "object-del", "{'id': 't0'}");
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(client_check_io(&client, i, (uint8_t)i), 0);
	client_close(&client);
	assert_int_equal(client_open(&client, daemon_at(&daemon, "e0.sock"),
				     &options),
			 0);
	await_queues(&daemon, "t1", 4);
	client_close(&client);
	daemon_stop(&daemon);
}

/* As much as fits, none of which has come back yet. */
static void leave_requests(struct client *client, unsigned int queue)
{
	struct fe_blk *blk = &client->blks[queue];
	struct fe_blk_request *request;

	for (uint64_t i = 0; (request = fe_blk_get(blk)); i++) {
		request->type = VIRTIO_BLK_T_OUT;
		request->sector = (queue * 16 + i) * (CLIENT_DATA_BYTES / 512);
		request->data_bytes = CLIENT_DATA_BYTES;
		assert_int_equal(fe_blk_add(request), 0);
	}
	fe_vring_submit(blk->vring);
}

/*
 * Behaviour 7. The device asks for its queues while they are on their way, by
 * a message in one round and by the end of the session in the next.
 */
static void a_queue_that_moves_can_be_asked_back(void **state)
{
	const struct client_options options = { .nr_queues = 2 };
	struct daemon daemon;
	uint32_t base;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < NR_DEPARTURES; i++) {
		const struct server *at = daemon_at(&daemon, "e0.sock");
		struct client client = { 0 };

		assert_int_equal(client_open(&client, at, &options), 0);
		leave_requests(&client, 0);
		leave_requests(&client, 1);
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'iothread': 't%u'}", (i + 1) % 2);
		if (i % 2) {
			assert_int_equal(fe_session_get_base(&client.session, 0,
							     &base),
					 0);
			assert_true(client_is_drained(&client.vrings[0], base));
		}
		client_close(&client);
		assert_int_equal(client_fresh_io(at), 0);
	}
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_moves_under_load_lose_nothing),
		cmocka_unit_test(moves_beside_half_a_message_lose_nothing),
		cmocka_unit_test(what_moves_arrives_and_what_it_left_is_free),
		cmocka_unit_test(a_queue_that_moves_can_be_asked_back),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-moves", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon-pause - requests are held back, and waited for
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

#define MAX_TRIES 10

static void pause_disk(struct daemon *daemon, const char *id)
{
	qmp_do(&daemon->qmp, "x-export-pause", "{'id': '%s'}", id);
}

static void resume_disk(struct daemon *daemon, const char *id)
{
	qmp_do(&daemon->qmp, "x-export-resume", "{'id': '%s'}", id);
}

static void drain_disk(struct daemon *daemon, const char *id)
{
	qmp_do(&daemon->qmp, "x-export-drain", "{'id': '%s'}", id);
}

static bool is_paused(struct daemon *daemon, const char *id)
{
	return daemon_export_is(daemon, id, "x-paused");
}

static struct fe_blk_request *begin_write(struct client *client)
{
	struct fe_blk_request *request = client_begin_write(client, 32768);

	assert_non_null(request);
	return request;
}

static void end_write(struct fe_blk_request *request)
{
	assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
}

static void use_other_disk(struct daemon *daemon)
{
	struct client client = { 0 };

	assert_int_equal(
		client_open(&client, daemon_at(daemon, "e1.sock"), NULL), 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);
}

static void a_paused_disk_answers_the_front_end_and_not_its_guest(void **state)
{
	struct client client = { 0 };
	struct fe_blk_request *request;
	struct daemon daemon;
	uint64_t used;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_false(is_paused(&daemon, "e0"));
	pause_disk(&daemon, "e0");
	assert_true(is_paused(&daemon, "e0"));
	assert_false(is_paused(&daemon, "e1"));
	used = client_used_state(client.blks[0].vring);
	request = begin_write(&client);
	pause_disk(&daemon, "e0");
	drain_disk(&daemon, "e0");
	assert_int_equal(client_capacity(&client), DAEMON_IMAGE_BYTES);
	use_other_disk(&daemon);
	assert_int_equal(client_used_state(client.blks[0].vring), used);
	resume_disk(&daemon, "e0");
	assert_false(is_paused(&daemon, "e0"));
	end_write(request);
	resume_disk(&daemon, "e0");
	assert_int_equal(client_check_io(&client, 0, 2), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

static void guests_notice_nothing_but_the_time(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	for (unsigned int i = 0; i < 50; i++) {
		pause_disk(&daemon, "e0");
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'iothread': 't%u'}", i % 2);
		resume_disk(&daemon, "e0");
		drain_disk(&daemon, "e0");
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'iothread': 't%u'}", i / 2 % 2);
		drain_disk(&daemon, "e0");
		if (i % 10 == 0)
			load_goes_on(&load);
	}
	load_end(&load);
	daemon_stop(&daemon);
}

static void front_ends_come_and_go_while_it_is_paused(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	uint64_t used;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	pause_disk(&daemon, "e0");
	for (unsigned int i = 0; i < 3; i++) {
		memset(&client, 0, sizeof(client));
		assert_int_equal(client_open(&client,
					     daemon_at(&daemon, "e0.sock"),
					     NULL),
				 0);
		used = client_used_state(client.blks[0].vring);
		begin_write(&client);
		assert_int_equal(client_capacity(&client), DAEMON_IMAGE_BYTES);
		assert_int_equal(client_used_state(client.blks[0].vring), used);
		client_close(&client);
	}
	memset(&client, 0, sizeof(client));
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	resume_disk(&daemon, "e0");
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

/* What the front-end asks of its rings is done at once. */
static void rings_stop_and_start_while_it_is_paused(void **state)
{
	struct client client = { 0 };
	struct fe_blk_request *request;
	struct daemon daemon;
	uint32_t base = 0;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	pause_disk(&daemon, "e0");
	request = begin_write(&client);
	assert_int_equal(fe_session_get_base(&client.session, 0, &base), 0);
	assert_int_equal(fe_session_start_vring(&client.session,
						&client.vrings[0], 0, base),
			 0);
	resume_disk(&daemon, "e0");
	end_write(request);
	client_close(&client);
	daemon_stop(&daemon);
}

static void a_paused_disk_can_be_removed(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	pause_disk(&daemon, "e0");
	begin_write(&client);
	qmp_fails(&daemon.qmp, "still in use", "block-export-del",
		  "{'id': 'e0'}");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e0', 'mode': 'hard'}");
	qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
	client_close(&client);
	/* The other one is paused when the daemon ends. */
	memset(&client, 0, sizeof(client));
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e1.sock"), NULL), 0);
	pause_disk(&daemon, "e1");
	begin_write(&client);
	qmp_fails(&daemon.qmp, "is not found", "x-export-pause",
		  "{'id': 'e0'}");
	qmp_fails(&daemon.qmp, "is not found", "x-export-resume",
		  "{'id': 'e0'}");
	qmp_fails(&daemon.qmp, "is not found", "x-export-drain",
		  "{'id': 'e0'}");
	daemon_stop(&daemon);
	client_close(&client);
}

/*
 * One that takes a second, and others behind it, so that it is taken. Where all
 * has stood still for that second it is no use, and another one is made.
 */
static struct fe_blk_request *begin_slow_write(struct client *client)
{
	struct fe_blk_request *request = begin_write(client);

	assert_int_equal(client_check_io(client, 0, 2), 0);
	for (unsigned int i = 0; i < MAX_TRIES && request->done; i++) {
		fe_blk_put(request);
		request = begin_write(client);
		assert_int_equal(client_check_io(client, 0, 2), 0);
	}
	assert_false(request->done);
	return request;
}

static void a_drain_waits_for_what_is_under_way(void **state)
{
	struct client client = { 0 };
	struct fe_blk_request *request;
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	daemon_export_faulty(&daemon, "e",
			     "['write,offset=32k-36k,delay=1s', "
			     "'flush,nth=2,error=EIO']");
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	request = begin_slow_write(&client);
	drain_disk(&daemon, "e");
	assert_int_equal(fe_blk_wait(request, 0), 0);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
	assert_int_equal(client_check_io(&client, 0, 3), 0);
	/* And has the image flushed, which does not work here. */
	qmp_fails(&daemon.qmp, "cannot be flushed: Input/output error",
		  "x-export-drain", "{'id': 'e'}");
	client_close(&client);
	daemon_stop(&daemon);
}

/*
 * What a client has sent behind a command is looked at when whoever answers
 * that has come to its end, and has no use for the disk any more.
 */
static void a_disk_can_be_removed_by_the_command_behind_a_pause(void **state)
{
	static const char *const slow[] = { "x-export-pause",
					    "x-export-drain" };
	struct client client = { 0 };
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		daemon_export_faulty(&daemon, "e",
				     "['write,nth=2,delay=200ms']");
		assert_int_equal(client_open(&client,
					     daemon_at(&daemon, "e.sock"),
					     NULL),
				 0);
		assert_int_equal(client_check_io(&client, 0, 1), 0);
		begin_write(&client);
		assert_int_equal(client_check_io(&client, 0, 2), 0);
		qmp_order(&daemon.qmp, slow[i], "{'id': 'e'}");
		qmp_order(&daemon.qmp, "block-export-del",
			  "{'id': 'e', 'mode': 'hard'}");
		qmp_order(&daemon.qmp, "query-block-exports", "{}");
		for (unsigned int nr = 0; nr < 3; nr++) {
			json_t *answer = qmp_answer(&daemon.qmp);

			assert_non_null(answer);
			json_decref(answer);
		}
		qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
		qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'e'}");
		client_close(&client);
	}
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_paused_disk_answers_the_front_end_and_not_its_guest),
		cmocka_unit_test(guests_notice_nothing_but_the_time),
		cmocka_unit_test(front_ends_come_and_go_while_it_is_paused),
		cmocka_unit_test(rings_stop_and_start_while_it_is_paused),
		cmocka_unit_test(a_paused_disk_can_be_removed),
		cmocka_unit_test(
			a_disk_can_be_removed_by_the_command_behind_a_pause),
		cmocka_unit_test(a_drain_waits_for_what_is_under_way),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-pause", tests, NULL, NULL);
}

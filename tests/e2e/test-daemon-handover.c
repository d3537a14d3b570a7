/* SPDX-License-Identifier: MIT */
/*
 * daemon - another process takes its place, and no guest notices
 *
 * The front-ends here never connect again: what ends their session fails the
 * test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

#define NR_UPGRADES	 10
#define WRITEBACK_OFFSET 32 /* in the configuration space; virtio 1.3, 5.2.4 */

static void ten_upgrades_under_load_lose_nothing(void **state)
{
	struct daemon daemon;
	struct load file;
	struct load null;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&file, daemon_at(&daemon, "e0.sock"), 4, true);
	load_begin(&null, daemon_at(&daemon, "e1.sock"), 2, false);
	for (unsigned int i = 0; i < NR_UPGRADES; i++) {
		load_goes_on(&file);
		daemon_succeed(&daemon, i % 2 ? daemon_two_disks : NULL);
		load_goes_on(&null);
	}
	load_goes_on(&file);
	assert_int_equal(server_log_count(&daemon.server, "disconnected"), 0);
	load_end(&file);
	load_end(&null);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	daemon_stop(&daemon);
}

static void upgrades_inside_half_a_message_lose_nothing(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	for (size_t half = 1; half < CLIENT_MESSAGE_BYTES; half += 3) {
		assert_int_equal(client_begin_message(&client, half), 0);
		daemon_succeed(&daemon, NULL);
		assert_int_equal(client_end_message(&client, half), 0);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)half), 0);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

/* An export has a member of this value. */
static bool has_export(struct daemon *daemon, const char *member,
		       const char *value)
{
	json_t *export = qmp_find(&daemon->qmp, "query-block-exports", "{}",
				  member, value);

	json_decref(export);
	return export;
}

static json_int_t number_of(struct daemon *daemon, const char *id,
			    const char *member, const char *name)
{
	json_t *export =
		qmp_find(&daemon->qmp, "query-block-exports", "{}", "id", id);
	json_int_t number = json_integer_value(
		json_object_get(json_object_get(export, member), name));

	json_decref(export);
	return number;
}

static json_int_t group_limit(struct daemon *daemon, const char *id,
			      const char *name)
{
	json_t *limits = qmp_ask(&daemon->qmp, "qom-get",
				 "{'path': '/objects/%s', "
				 "'property': 'limits'}",
				 id);
	json_int_t number = json_integer_value(json_object_get(limits, name));

	json_decref(limits);
	return number;
}

/* And what was taken away stays away. */
static void what_was_changed_by_command_comes_along(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e1'}");
	qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'disk1'}");
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'file', 'node-name': 'b', 'filename': 'b.img'}");
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': 'b', "
	       "'iothread': 't1', 'addr': {'type': 'unix', 'path': 'e2.sock'}}");
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e0', 'iothread': 't1'}");
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e2', 'iothread': 't1'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 't0'}");
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'throttle-group', 'id': 'g', "
	       "'limits': {'iops-total': 1000}}");
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': '/objects/g', 'property': 'limits', "
	       "'value': {'iops-total': 777}}");
	qmp_do(&daemon.qmp, "x-export-limit",
	       "{'id': 'e2', 'limits': {'iops-total': 4321}}");
	qmp_do(&daemon.qmp, "x-export-pause", "{'id': 'e0'}");
	daemon_succeed(&daemon, NULL);
	assert_int_equal(number_of(&daemon, "e2", "x-limits", "iops-total"),
			 4321);
	assert_true(daemon_export_is(&daemon, "e0", "x-paused"));
	qmp_do(&daemon.qmp, "x-export-resume", "{'id': 'e0'}");
	assert_int_equal(group_limit(&daemon, "g", "iops-total"), 777);
	assert_int_equal(qmp_count(&daemon.qmp, "query-block-exports"), 2);
	assert_true(has_export(&daemon, "id", "e0"));
	assert_true(has_export(&daemon, "node-name", "b"));
	qmp_fails(&daemon.qmp, "not found", "object-del", "{'id': 't0'}");
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e2.sock"), NULL), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Else the guest would count on writes that lie in a cache. */
static void the_cache_mode_that_a_guest_has_set_comes_along(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };
	uint8_t writeback = 0;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(fe_session_set_config(&client.session,
					       WRITEBACK_OFFSET, &writeback, 1),
			 0);
	daemon_succeed(&daemon, NULL);
	writeback = 7;
	assert_int_equal(fe_session_get_config(&client.session,
					       WRITEBACK_OFFSET, &writeback, 1),
			 0);
	assert_int_equal(writeback, 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

static void a_successor_that_fails_leaves_all_as_it_was(void **state)
{
	static const char *const bad_image[] = {
		"--blockdev", "driver=file,node-name=x,filename=not-there.img",
		NULL
	};
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	daemon_does_not_succeed(&daemon, "not-there.img", bad_image);
	load_goes_on(&load);
	daemon_succeed(&daemon, NULL);
	load_goes_on(&load);
	load_end(&load);
	daemon_stop(&daemon);
}

/*
 * What there is changes while it gets ready, so that it is refused when it asks
 * for all; by then it serves a disk of its own.
 */
static void a_successor_that_fails_at_last_serves_nothing_any_more(void **state)
{
	static const char *const own_disk[] = {
		"--blockdev",
		"file,node-name=own,filename=b.img",
		"--export",
		"vhost-user-blk,id=own,node-name=own,addr.type=unix,"
		"addr.path=own.sock,writable=on",
		NULL,
	};
	struct daemon daemon;
	struct load load;
	pid_t pid;
	int fd;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	fd = daemon_hold_image(&daemon, "b.img");
	pid = daemon_start_successor(&daemon, own_disk);
	daemon_await_opener(fd);
	qmp_do(&daemon.qmp, "object-del", "{'id': 't1'}");
	close(fd);
	daemon_successor_fails(&daemon, pid,
			       "the other process goes on with its disks");
	assert_int_equal(server_log_count(&daemon.server, "begin again"), 1);
	assert_int_equal(access(daemon_at(&daemon, "own.sock")->socket, F_OK),
			 -1);
	load_goes_on(&load);
	daemon_succeed(&daemon, own_disk);
	load_goes_on(&load);
	load_end(&load);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "own.sock")), 0);
	daemon_stop(&daemon);
}

/* A guest was told of it, so a successor has to know. */
static void
a_successor_that_has_opened_what_is_resized_begins_again(void **state)
{
	static const char *const more[] = {
		"--blockdev", "file,node-name=more,filename=b.img", NULL
	};
	struct daemon daemon;
	struct client client = { 0 };
	pid_t pid;
	int fd;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	fd = daemon_hold_image(&daemon, "b.img");
	pid = daemon_start_successor(&daemon, more);
	daemon_await_opener(fd);
	qmp_do(&daemon.qmp, "block_resize",
	       "{'node-name': 'disk0', 'size': 16777216}");
	close(fd);
	daemon_successor_fails(&daemon, pid, "begin again");
	assert_int_equal(client_capacity(&client), 16777216);
	daemon_succeed(&daemon, NULL);
	assert_int_equal(client_capacity(&client), 16777216);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Returns false if it is refused; else it has taken the other one's place. */
static bool somebody_succeeds(struct daemon *daemon)
{
	struct server other = daemon->server;

	other.pid = daemon_start_successor(daemon, NULL);
	AWAIT(!server_runs(&daemon->server) || !server_runs(&other));
	if (server_runs(&daemon->server)) {
		daemon_successor_fails(daemon, other.pid, "cannot take over");
		return false;
	}
	assert_int_equal(server_wait(&daemon->server, 0), 0);
	qmp_close(&daemon->qmp);
	daemon->server.pid = other.pid;
	AWAIT(server_listens(daemon->server.socket));
	qmp_open(&daemon->qmp, daemon->server.socket);
	return true;
}

/*
 * It has no job yet: it waits for a write of a guest first. Returns false if
 * that has ended before anybody was refused.
 */
static bool cut_behind_a_write_of_a_second(void)
{
	struct client client = { 0 };
	struct daemon daemon;
	struct qmp other;
	uint64_t end_usec;
	bool refused = true;

	daemon_start(&daemon, NULL);
	daemon_export_faulty(&daemon, "slow", "['write,nth=1,delay=1s']");
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "slow.sock"), NULL), 0);
	end_usec = fe_deadline(1000);
	assert_non_null(client_begin_write(&client, 0));
	assert_int_equal(client_check_io(&client, 0, 0), 0);
	qmp_open(&other, daemon.server.socket);
	qmp_order(&other, "block_resize",
		  "{'node-name': 'slow', 'size': 4096}");
	while (refused && !server_log_count(&daemon.server, "under way"))
		refused = !somebody_succeeds(&daemon);
	assert_true(refused || fe_now_usec() >= end_usec);
	json_decref(qmp_answer(&other));
	daemon_succeed(&daemon, NULL);
	assert_int_equal(client_capacity(&client), 4096);
	qmp_close(&other);
	client_close(&client);
	daemon_stop(&daemon);
	return refused;
}

/* A successor that starts slowly may come too late: again. */
static void nobody_takes_over_while_an_image_is_about_to_be_cut(void **state)
{
	(void)state;
	daemon_play(cut_behind_a_write_of_a_second);
}

static void names_with_slashes_come_along(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < 3; i++)
		qmp_do(&daemon.qmp, "object-add",
		       "{'qom-type': 'throttle-group', 'id': '%s', "
		       "'limits': {'iops-total': 1}}",
		       (const char *[]){ "a/b", "c/b", "b" }[i]);
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': 'a/b', 'property': 'limits', 'value': "
	       "{'iops-total': 2}}");
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': '/objects/b', 'property': 'limits', 'value': "
	       "{'iops-total': 3}}");
	qmp_do(&daemon.qmp, "qom-set",
	       "{'path': '/objects/c/b', 'property': 'limits', 'value': "
	       "{'iops-total': 4}}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'c/b'}");
	daemon_succeed(&daemon, NULL);
	assert_int_equal(group_limit(&daemon, "a/b", "iops-total"), 2);
	assert_int_equal(group_limit(&daemon, "b", "iops-total"), 3);
	qmp_fails(&daemon.qmp, "at most 1024 bytes", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': '%01025d', 'node-name': "
		  "'disk1', 'addr': {'type': 'unix', 'path': 'x.sock'}}",
		  0);
	daemon_stop(&daemon);
}

/* Asks for all, as far as to this byte, and is gone then. */
static void take_half(struct daemon *daemon, size_t bytes)
{
	struct qmp other = { 0 };
	char buffer[256];
	size_t done = 0;
	json_t *there;

	qmp_open(&other, daemon->server.socket);
	there = qmp_ask(&other, "x-query-hand-over", "{}");
	assert_non_null(there);
	qmp_do(&other, "x-hand-over", "{'generation': %lld}",
	       (long long)json_integer_value(
		       json_object_get(there, "generation")));
	json_decref(there);
	qmp_fails(&daemon->qmp, "about to take over", "blockdev-del",
		  "{'node-name': 'disk1'}");
	if (bytes)
		assert_int_equal(send(other.fd, "g", 1, 0), 1);
	while (done < bytes) {
		ssize_t nr =
			recv(other.fd, buffer,
			     bytes - done < sizeof(buffer) ? bytes - done :
							     sizeof(buffer),
			     0);

		assert_true(nr > 0);
		done += (size_t)nr;
	}
	qmp_close(&other);
}

static void a_taker_that_is_gone_halfway_changes_nothing(void **state)
{
	static const size_t bytes[] = { 0, 1, 20, 200, 500 };
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 4, true);
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		take_half(&daemon, bytes[i]);
		load_goes_on(&load);
	}
	load_end(&load);
	daemon_stop(&daemon);
}

static void what_has_changed_meanwhile_is_asked_for_again(void **state)
{
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	qmp_fails(&daemon.qmp, "begin again", "x-hand-over",
		  "{'generation': 1}");
	qmp_fails(&daemon.qmp, "missing", "x-hand-over", "{}");
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	daemon_stop(&daemon);
}

static void there_has_to_be_somebody_whose_place_is_taken(void **state)
{
	struct daemon daemon;
	char path[128];

	(void)state;
	daemon_start(&daemon, NULL);
	snprintf(path, sizeof(path), "%s/elsewhere", daemon.server.dir);
	assert_int_equal(rename(daemon.server.socket, path), 0);
	daemon_does_not_succeed(&daemon, "cannot take over, control", NULL);
	assert_int_equal(rename(path, daemon.server.socket), 0);
	daemon_stop(&daemon);
}

/* One command line for the first of them and all others. */
static void but_it_may_be_left_open_whether_there_is(void **state)
{
	static const char *const options[] = { "--take-over",
					       "control,required=off", NULL };
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, options);
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'null-co', 'node-name': 'x'}");
	for (unsigned int i = 0; i < 2; i++) {
		daemon_succeed(&daemon, options);
		assert_int_equal(
			qmp_count(&daemon.qmp, "query-named-block-nodes"), 1);
	}
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(qmp_count(&daemon.qmp, "query-named-block-nodes"), 0);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_upgrades_under_load_lose_nothing),
		cmocka_unit_test(upgrades_inside_half_a_message_lose_nothing),
		cmocka_unit_test(what_was_changed_by_command_comes_along),
		cmocka_unit_test(
			the_cache_mode_that_a_guest_has_set_comes_along),
		cmocka_unit_test(a_successor_that_fails_leaves_all_as_it_was),
		cmocka_unit_test(
			a_successor_that_fails_at_last_serves_nothing_any_more),
		cmocka_unit_test(
			a_successor_that_has_opened_what_is_resized_begins_again),
		cmocka_unit_test(
			nobody_takes_over_while_an_image_is_about_to_be_cut),
		cmocka_unit_test(names_with_slashes_come_along),
		cmocka_unit_test(a_taker_that_is_gone_halfway_changes_nothing),
		cmocka_unit_test(what_has_changed_meanwhile_is_asked_for_again),
		cmocka_unit_test(there_has_to_be_somebody_whose_place_is_taken),
		cmocka_unit_test(but_it_may_be_left_open_whether_there_is),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}

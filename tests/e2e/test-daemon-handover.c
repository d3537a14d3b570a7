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
	const uint32_t message[] = { FE_GET_FEATURES, FE_FLAG_VERSION, 0 };
	uint32_t answer[3];

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	for (size_t half = 1; half < sizeof(message); half += 3) {
		assert_int_equal(send(client.session.sock, message, half, 0),
				 half);
		daemon_succeed(&daemon, NULL);
		assert_int_equal(send(client.session.sock,
				      (const char *)message + half,
				      sizeof(message) - half, 0),
				 sizeof(message) - half);
		assert_int_equal(recv(client.session.sock, answer,
				      sizeof(answer), MSG_WAITALL),
				 sizeof(answer));
		assert_int_equal(answer[0], FE_GET_FEATURES);
		assert_int_equal(
			recv(client.session.sock, answer, 8, MSG_WAITALL), 8);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)half), 0);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

/* The number of exports that have a member of this value. */
static size_t count_exports(struct daemon *daemon, const char *member,
			    const char *value)
{
	json_t *list = qmp_ask(&daemon->qmp, "query-block-exports", "{}");
	size_t nr = 0;
	json_t *export;
	size_t i;

	json_array_foreach(list, i, export)
	{
		const char *found =
			json_string_value(json_object_get(export, member));

		if (found && !strcmp(found, value))
			nr++;
	}
	json_decref(list);
	return nr;
}

/* A new reference to what query-block-exports says of it. */
static json_t *describe(struct daemon *daemon, const char *id)
{
	json_t *list = qmp_ask(&daemon->qmp, "query-block-exports", "{}");
	json_t *found = NULL;
	json_t *export;
	size_t i;

	json_array_foreach(list, i, export)
	{
		if (!strcmp(json_string_value(json_object_get(export, "id")),
			    id))
			found = json_incref(export);
	}
	json_decref(list);
	assert_non_null(found);
	return found;
}

static json_int_t number_of(struct daemon *daemon, const char *id,
			    const char *member, const char *name)
{
	json_t *export = describe(daemon, id);
	json_int_t number = json_integer_value(
		json_object_get(json_object_get(export, member), name));

	json_decref(export);
	return number;
}

static bool is_paused(struct daemon *daemon, const char *id)
{
	json_t *export = describe(daemon, id);
	bool paused = json_is_true(json_object_get(export, "x-paused"));

	json_decref(export);
	return paused;
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
	assert_true(is_paused(&daemon, "e0"));
	qmp_do(&daemon.qmp, "x-export-resume", "{'id': 'e0'}");
	assert_int_equal(group_limit(&daemon, "g", "iops-total"), 777);
	assert_int_equal(count_exports(&daemon, "id", "e0"), 1);
	assert_int_equal(count_exports(&daemon, "id", "e1"), 0);
	assert_int_equal(count_exports(&daemon, "node-name", "b"), 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_upgrades_under_load_lose_nothing),
		cmocka_unit_test(upgrades_inside_half_a_message_lose_nothing),
		cmocka_unit_test(what_was_changed_by_command_comes_along),
		cmocka_unit_test(
			the_cache_mode_that_a_guest_has_set_comes_along),
		cmocka_unit_test(a_successor_that_fails_leaves_all_as_it_was),
		cmocka_unit_test(a_taker_that_is_gone_halfway_changes_nothing),
		cmocka_unit_test(what_has_changed_meanwhile_is_asked_for_again),
		cmocka_unit_test(there_has_to_be_somebody_whose_place_is_taken),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon-kept - what clients change is as they have changed it after a restart
 *
 * But only of what they have added: the command line and configuration files
 * have the last word about what is theirs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"

#define NR_DEATHS 5
#define NR_RACES  10

static const char *const options[] = { "--state-dir", "state", NULL };

static void add_export(struct daemon *daemon, const char *id)
{
	qmp_do(&daemon->qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': '%s', 'node-name': 'n', "
	       "'addr': {'type': 'unix', 'path': '%s.sock'}, "
	       "'iothread': 't0', 'x-limits': {'iops-total': 5}}",
	       id, id);
}

static void start(struct daemon *daemon)
{
	daemon_prepare(daemon);
	daemon_begin(daemon, options);
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'iothread', 'id': 't0'}");
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'iothread', 'id': 't1'}");
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'throttle-group', 'id': 'all/g', 'x-bps-write': 7, "
	       "'x-iops-total': 8}");
	qmp_do(&daemon->qmp, "blockdev-add",
	       "{'driver': 'null-co', 'node-name': 'n'}");
	add_export(daemon, "e");
}

static void limit_group(struct daemon *daemon, unsigned int limit)
{
	qmp_do(&daemon->qmp, "qom-set",
	       "{'path': '/objects/all/g', 'property': 'limits', 'value': "
	       "{'iops-total': %u}}",
	       limit);
}

static void limit_export(struct daemon *daemon, unsigned int limit)
{
	qmp_do(&daemon->qmp, "x-export-limit",
	       "{'id': 'e', 'limits': {'bps-read': %u}}", limit);
}

static json_int_t of_group(struct daemon *daemon, const char *name)
{
	json_t *limits = qmp_ask(&daemon->qmp, "qom-get",
				 "{'path': 'all/g', 'property': 'limits'}");
	json_int_t value = json_integer_value(json_object_get(limits, name));

	assert_non_null(limits);
	json_decref(limits);
	return value;
}

/* Of the first export. */
static json_t *describe(struct daemon *daemon)
{
	json_t *list = qmp_ask(&daemon->qmp, "query-block-exports", "{}");
	json_t *first = json_incref(json_array_get(list, 0));

	assert_non_null(first);
	json_decref(list);
	return first;
}

static json_int_t of_export(struct daemon *daemon, const char *name)
{
	json_t *export = describe(daemon);
	json_int_t value = json_integer_value(
		json_object_get(json_object_get(export, "x-limits"), name));

	json_decref(export);
	return value;
}

static void expect_iothread(struct daemon *daemon, const char *id)
{
	json_t *export = describe(daemon);
	json_t *ids = json_object_get(export, "x-iothreads");

	assert_int_equal(json_array_size(ids), 1);
	assert_string_equal(json_string_value(json_array_get(ids, 0)), id);
	json_decref(export);
}

static void expect_as_changed(struct daemon *daemon)
{
	assert_int_equal(of_group(daemon, "iops-total"), 700);
	assert_int_equal(of_group(daemon, "bps-write"), 7);
	assert_int_equal(of_export(daemon, "bps-read"), 9000);
	assert_int_equal(of_export(daemon, "iops-total"), 0);
	expect_iothread(daemon, "t1");
}

static void expect_files(struct daemon *daemon, const char *pattern,
			 unsigned int nr)
{
	expect(run("ls %s/state | grep -c '%s'", daemon->server.dir, pattern),
	       nr ? 0 : 1);
	assert_int_equal(atoi(output), nr);
}

static void what_was_changed_by_command_is_so_after_a_restart(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	limit_group(&daemon, 600);
	limit_group(&daemon, 700);
	limit_export(&daemon, 9000);
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e', 'iothread': 't1'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 't0'}");
	for (unsigned int i = 0; i < 2; i++) {
		daemon_kill(&daemon);
		daemon_begin(&daemon, options);
		expect_as_changed(&daemon);
		expect_files(&daemon, "json", 4);
	}
	limit_export(&daemon, 9001);
	daemon_end(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(of_export(&daemon, "bps-read"), 9001);
	qmp_do(&daemon.qmp, "x-export-limit", "{'id': 'e', 'limits': {}}");
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(of_export(&daemon, "bps-read"), 0);
	assert_int_equal(server_log_count(&daemon.server, "0 failed"), 4);
	daemon_stop(&daemon);
}

static void what_was_answered_is_kept_at_once(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	for (unsigned int i = 1; i <= NR_DEATHS; i++) {
		limit_group(&daemon, 100 * i);
		limit_export(&daemon, 1000 * i);
		daemon_kill(&daemon);
		daemon_begin(&daemon, options);
		assert_int_equal(of_group(&daemon, "iops-total"), 100 * i);
		assert_int_equal(of_export(&daemon, "bps-read"), 1000 * i);
	}
	daemon_stop(&daemon);
}

/* However late the change is written. */
static void what_is_removed_meanwhile_does_not_come_back(void **state)
{
	struct daemon daemon;
	struct qmp other = { 0 };

	(void)state;
	start(&daemon);
	qmp_open(&other, daemon.server.socket);
	for (unsigned int i = 0; i < NR_RACES; i++) {
		qmp_order(&other, "x-export-limit",
			  "{'id': 'e', 'limits': {'bps-read': 5}}");
		qmp_order(&daemon.qmp, "block-export-del", "{'id': 'e'}");
		json_decref(qmp_answer(&other));
		json_decref(qmp_answer(&daemon.qmp));
		qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
		expect_files(&daemon, "export", 0);
		add_export(&daemon, "e");
		expect_files(&daemon, "export", 1);
	}
	qmp_close(&other);
	assert_int_equal(of_export(&daemon, "iops-total"), 5);
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(of_export(&daemon, "iops-total"), 5);
	daemon_stop(&daemon);
}

static void what_cannot_be_kept_is_said(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	expect(run("rm -r %s/state", daemon.server.dir), 0);
	qmp_fails(&daemon.qmp, "'e' is changed, but not after a restart",
		  "x-export-limit", "{'id': 'e', 'limits': {'bps-read': 5}}");
	assert_int_equal(of_export(&daemon, "bps-read"), 5);
	qmp_fails(
		&daemon.qmp, "cannot be lower", "qom-set",
		"{'path': 'all/g', 'property': 'limits', 'value': {'iops-total': "
		"10, 'iops-total-max': 9}}");
	daemon_stop(&daemon);
}

/* One from a file, one from the command line. */
static void what_is_not_the_clients_is_changed_until_the_end(void **state)
{
	static const char *const both[] = {
		"--state-dir", "state",
		"--config",    "a.conf",
		"--object",    "throttle-group,id=all/g,x-iops-total=8",
		NULL,
	};
	struct daemon daemon;

	(void)state;
	daemon_prepare(&daemon);
	expect(run("cd %s && printf '[blockdev n]\\ndriver=null-co\\n[export "
		   "e]\\nnode-name=n\\naddr.type=unix\\naddr.path=e.sock\\n"
		   "x-limits.bps-read=7\\n' >a.conf",
		   daemon.server.dir),
	       0);
	daemon_begin(&daemon, both);
	limit_group(&daemon, 700);
	limit_export(&daemon, 9000);
	expect_files(&daemon, "json", 0);
	qmp_do(&daemon.qmp, "x-config-reload", "{}");
	assert_int_equal(of_group(&daemon, "iops-total"), 700);
	assert_int_equal(of_export(&daemon, "bps-read"), 9000);
	daemon_end(&daemon);
	daemon_begin(&daemon, both);
	assert_int_equal(of_group(&daemon, "iops-total"), 8);
	assert_int_equal(of_export(&daemon, "bps-read"), 7);
	daemon_stop(&daemon);
}

/* Objects of all types, too. */
static void what_the_command_line_has_is_not_restored(void **state)
{
	static const char *const both[] = {
		"--state-dir", "state",
		"--object",    "throttle-group,id=all/g,x-iops-total=55",
		NULL,
	};
	struct daemon daemon;

	(void)state;
	start(&daemon);
	daemon_end(&daemon);
	daemon_begin(&daemon, both);
	assert_int_equal(of_group(&daemon, "iops-total"), 55);
	assert_int_equal(server_log_count(&daemon.server, "is not used"), 1);
	limit_group(&daemon, 66);
	daemon_end(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(of_group(&daemon, "iops-total"), 8);
	daemon_stop(&daemon);
}

static void a_successor_keeps_on(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	limit_group(&daemon, 600);
	daemon_succeed(&daemon, options);
	assert_int_equal(server_log_count(&daemon.server, "is not used"), 0);
	limit_group(&daemon, 700);
	limit_export(&daemon, 9000);
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e', 'iothread': 't1'}");
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	expect_as_changed(&daemon);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_was_changed_by_command_is_so_after_a_restart),
		cmocka_unit_test(what_was_answered_is_kept_at_once),
		cmocka_unit_test(what_is_removed_meanwhile_does_not_come_back),
		cmocka_unit_test(what_cannot_be_kept_is_said),
		cmocka_unit_test(
			what_is_not_the_clients_is_changed_until_the_end),
		cmocka_unit_test(what_the_command_line_has_is_not_restored),
		cmocka_unit_test(a_successor_keeps_on),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-kept", tests, NULL, NULL);
}

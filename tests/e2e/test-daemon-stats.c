/* SPDX-License-Identifier: MIT */
/* daemon-stats - what guests have done is told as they have done it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"

#define BAD_SECTOR (DAEMON_IMAGE_BYTES / 512)

static json_int_t number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("there is no number %s", name);
	return json_integer_value(value);
}

/* A new reference. */
static json_t *stats_of(struct daemon *daemon, const char *id)
{
	json_t *list =
		qmp_ask(&daemon->qmp, "x-query-stats", "{'id': '%s'}", id);
	json_t *export = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	json_incref(export);
	json_decref(list);
	return export;
}

static const json_t *queue_of(const json_t *export, unsigned int queue)
{
	const json_t *object =
		json_array_get(json_object_get(export, "queues"), queue);

	assert_int_equal(number(object, "queue"), queue);
	return object;
}

/* A new reference: what QEMU's words say of a node. */
static json_t *node_stats(struct daemon *daemon, const char *name)
{
	json_t *node = qmp_find(&daemon->qmp, "query-blockstats",
				"{'query-nodes': true}", "node-name", name);
	json_t *stats = json_incref(json_object_get(node, "stats"));

	json_decref(node);
	assert_non_null(stats);
	return stats;
}

/* 3 reads, 2 writes, a flush, a discard and zeroes, a bad read, on queue 1. */
static void do_some_of_each(struct daemon *daemon)
{
	static uint8_t data[4096];
	struct client client = { 0 };
	struct fe_blk *blk = &client.blks[1];

	assert_int_equal(
		client_open(&client, daemon_at(daemon, "e0.sock"),
			    &(struct client_options){ .nr_queues = 2 }),
		0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(fe_blk_read(blk, 8, data, sizeof(data)), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(fe_blk_write(blk, 8, data, 512), 0);
	assert_int_equal(fe_blk_flush(blk), 0);
	assert_int_equal(fe_blk_discard(blk, 64, 16), 0);
	assert_int_equal(fe_blk_write_zeroes(blk, 80, 8, false), 0);
	assert_int_not_equal(fe_blk_read(blk, BAD_SECTOR, data, 512), 0);
	client_close(&client);
}

static void assert_latency(const json_t *queue, const char *kind,
			   json_int_t count)
{
	const json_t *latency =
		json_object_get(json_object_get(queue, "latency"), kind);

	assert_int_equal(number(latency, "count"), count);
	if (!count)
		return;
	assert_true(number(latency, "max-ns") > 0);
	assert_true(number(latency, "p50-ns") <= number(latency, "p999-ns"));
	assert_true(number(latency, "p999-ns") <= number(latency, "max-ns"));
	assert_true(number(latency, "sum-ns") <=
		    count * number(latency, "max-ns"));
	assert_true(number(latency, "sum-ns") >= number(latency, "max-ns"));
}

static void each_request_is_counted_in_its_queue(void **state)
{
	struct daemon daemon;
	const json_t *queue;
	json_t *export;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	do_some_of_each(&daemon);
	export = stats_of(&daemon, "e0");
	queue = queue_of(export, 1);
	assert_int_equal(number(queue, "reads"), 4);
	assert_int_equal(number(queue, "read-bytes"), 3 * 4096);
	assert_int_equal(number(queue, "writes"), 2);
	assert_int_equal(number(queue, "written-bytes"), 2 * 512);
	assert_int_equal(number(queue, "flushes"), 1);
	assert_int_equal(number(queue, "discards"), 1);
	assert_int_equal(number(queue, "discarded-bytes"), 16 * 512);
	assert_int_equal(number(queue, "write-zeroes"), 1);
	assert_int_equal(number(queue, "zeroed-bytes"), 8 * 512);
	assert_int_equal(number(queue, "others"), 0);
	assert_int_equal(number(queue, "errors"), 1);
	assert_int_equal(number(queue, "under-way"), 0);
	assert_latency(queue, "read", 4);
	assert_latency(queue, "write", 2);
	assert_latency(queue, "flush", 1);
	assert_latency(queue, "discard", 1);
	assert_latency(queue, "write-zeroes", 1);
	assert_latency(queue, "other", 0);
	assert_int_equal(number(queue_of(export, 0), "reads"), 0);
	assert_latency(queue_of(export, 0), "read", 0);
	json_decref(export);
	daemon_stop(&daemon);
}

/* New front-ends, and other I/O threads: nothing begins anew. */
static void counters_live_as_long_as_the_export(void **state)
{
	struct daemon daemon;
	json_t *export;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	do_some_of_each(&daemon);
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e0', 'iothread': 't1'}");
	do_some_of_each(&daemon);
	export = stats_of(&daemon, "e0");
	assert_int_equal(number(queue_of(export, 1), "reads"), 8);
	assert_latency(queue_of(export, 1), "read", 8);
	json_decref(export);
	daemon_stop(&daemon);
}

static const char *iothread_of_queue(const json_t *export)
{
	const json_t *name = json_object_get(queue_of(export, 0), "iothread");

	return json_string_value(name);
}

static void who_is_connected_and_what_runs_it_is_told(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	json_t *export;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	export = stats_of(&daemon, "e0");
	assert_false(json_is_true(json_object_get(export, "connected")));
	assert_int_equal(number(export, "pid"), 0);
	assert_null(iothread_of_queue(export));
	json_decref(export);

	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	export = stats_of(&daemon, "e0");
	assert_true(json_is_true(json_object_get(export, "connected")));
	assert_int_equal(number(export, "pid"), getpid());
	assert_string_equal(
		json_string_value(json_object_get(export, "node-name")),
		"disk0");
	assert_string_equal(iothread_of_queue(export), "t0");

	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e0', 'iothread': 't1'}");
	do {
		json_decref(export);
		assert_int_equal(client_check_io(&client, 0, 2), 0);
		export = stats_of(&daemon, "e0");
	} while (strcmp(iothread_of_queue(export), "t1") != 0);
	json_decref(export);
	client_close(&client);
	daemon_stop(&daemon);
}

static void all_exports_are_told_of_where_none_is_named(void **state)
{
	struct daemon daemon;
	json_t *list;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	list = qmp_ask(&daemon.qmp, "x-query-stats", "{}");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_array_size(json_object_get(
				 json_array_get(list, 0), "queues")),
			 4);
	json_decref(list);
	qmp_fails(&daemon.qmp, "Export 'e9' is not found", "x-query-stats",
		  "{'id': 'e9'}");
	qmp_fails(&daemon.qmp, "unexpected", "x-query-stats",
		  "{'node-name': 'disk0'}");
	daemon_stop(&daemon);
}

/* disk0 stands on file0; nobody uses disk1. */
static void nodes_are_told_of_in_the_words_of_qemu(void **state)
{
	static const char *const names[] = { "file0", "disk0" };
	struct daemon daemon;
	json_t *stats;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	do_some_of_each(&daemon);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		stats = node_stats(&daemon, names[i]);
		assert_int_equal(number(stats, "rd_operations"), 3);
		assert_int_equal(number(stats, "invalid_rd_operations"), 1);
		assert_int_equal(number(stats, "failed_rd_operations"), 0);
		assert_int_equal(number(stats, "rd_bytes"), 3 * 4096);
		assert_int_equal(number(stats, "wr_operations"), 3);
		assert_int_equal(number(stats, "wr_bytes"), 10 * 512);
		assert_int_equal(number(stats, "flush_operations"), 1);
		assert_int_equal(number(stats, "unmap_operations"), 1);
		assert_int_equal(number(stats, "unmap_bytes"), 16 * 512);
		assert_true(number(stats, "rd_total_time_ns") > 0);
		assert_true(number(stats, "idle_time_ns") >= 0);
		assert_null(json_object_get(stats, "flush_bytes"));
		json_decref(stats);
	}
	stats = node_stats(&daemon, "disk1");
	assert_int_equal(number(stats, "rd_operations"), 0);
	assert_null(json_object_get(stats, "idle_time_ns"));
	json_decref(stats);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_counted_in_its_queue),
		cmocka_unit_test(counters_live_as_long_as_the_export),
		cmocka_unit_test(who_is_connected_and_what_runs_it_is_told),
		cmocka_unit_test(all_exports_are_told_of_where_none_is_named),
		cmocka_unit_test(nodes_are_told_of_in_the_words_of_qemu),
	};

	return cmocka_run_group_tests_name("daemon-stats", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon-events - what happens to disks is told, and not too often
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
#include "tests/e2e/ring.h"
#include "tests/frontend/clock.h"

static void expect_text(const json_t *data, const char *name, const char *text)
{
	const json_t *value = json_object_get(data, name);

	assert_non_null(value);
	assert_string_equal(json_string_value(value), text);
}

static json_int_t number(const json_t *data, const char *name)
{
	const json_t *value = json_object_get(data, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void front_ends_that_come_and_go_are_told(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	json_t *data;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e1.sock"), NULL), 0);
	data = qmp_event(&daemon.qmp, "X_EXPORT_CONNECTED");
	expect_text(data, "id", "e1");
	assert_int_equal(number(data, "pid"), getpid());
	client_close(&client);
	data = qmp_event(&daemon.qmp, "X_EXPORT_DISCONNECTED");
	expect_text(data, "id", "e1");
	daemon_stop(&daemon);
}

/* Of which a client was told so far; they come by turns. */
static unsigned int count_comings(struct daemon *daemon, bool *is_there)
{
	unsigned int nr = 0;
	json_t *event;
	size_t i;

	*is_there = false;
	qmp_do(&daemon->qmp, "query-version", "{}");
	json_array_foreach(daemon->qmp.events, i, event)
	{
		expect_text(event, "event",
			    *is_there ? "X_EXPORT_DISCONNECTED" :
					"X_EXPORT_CONNECTED");
		*is_there = !*is_there;
		nr += *is_there;
	}
	return nr;
}

static void a_storm_of_them_is_told_at_a_bounded_rate(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	uint64_t begun = fe_now_usec();
	uint64_t seconds;
	bool is_there;
	unsigned int nr;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(client_connect(&client,
						daemon_at(&daemon, "e1.sock"),
						NULL),
				 0);
		client_close(&client);
	}
	nr = count_comings(&daemon, &is_there);
	seconds = (fe_now_usec() - begun) / 1000000;
	assert_in_range(nr, 1, 16 * (seconds + 1));
	/* That it has gone is told in the end. */
	if (is_there) {
		json_array_clear(daemon.qmp.events);
		qmp_event(&daemon.qmp, "X_EXPORT_DISCONNECTED");
	}
	daemon_stop(&daemon);
}

static void add_failing_disk(struct daemon *daemon)
{
	daemon_export_faulty(daemon, "bad",
			     "['write,error=ENOSPC', "
			     "'discard,error=EOPNOTSUPP']");
}

static void
errors_of_storage_are_told_and_those_of_the_guest_are_not(void **state)
{
	const uint8_t block[4096] = { 1 };
	struct client client = { 0 };
	struct daemon daemon;
	json_t *data;

	(void)state;
	daemon_start(&daemon, NULL);
	add_failing_disk(&daemon);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "bad.sock"), NULL), 0);
	/* Behind the end, no whole sector, and nothing that storage can do */
	assert_int_equal(fe_blk_write(&client.blks[0], DAEMON_IMAGE_BYTES / 512,
				      block, 512),
			 -EIO);
	assert_int_equal(fe_blk_write(&client.blks[0], 0, block, 100), -EIO);
	assert_int_equal(fe_blk_discard(&client.blks[0], 0, 8), -EOPNOTSUPP);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(fe_blk_write(&client.blks[0], i, block, 4096),
				 -EIO);
	data = qmp_event(&daemon.qmp, "X_EXPORT_IO_ERROR");
	expect_text(data, "id", "bad");
	assert_int_equal(number(data, "queue"), 0);
	expect_text(data, "operation", "write");
	expect_text(data, "error", "No space left on device");
	assert_in_range(number(data, "count"), 1, 5);
	client_close(&client);
	daemon_stop(&daemon);
}

/* All are counted, in no more events than there are seconds. */
static void a_flood_of_errors_is_told_once_a_second(void **state)
{
	const uint8_t block[512] = { 1 };
	struct client client = { 0 };
	struct daemon daemon;
	unsigned int nr_events = 0;
	json_int_t nr_told = 0;
	uint64_t begun;

	(void)state;
	daemon_start(&daemon, NULL);
	add_failing_disk(&daemon);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "bad.sock"), NULL), 0);
	begun = fe_now_usec();
	for (unsigned int i = 0; i < 3000; i++)
		assert_int_equal(fe_blk_write(&client.blks[0], i, block, 512),
				 -EIO);
	while (nr_told < 3000) {
		nr_told += number(qmp_event(&daemon.qmp, "X_EXPORT_IO_ERROR"),
				  "count");
		nr_events++;
	}
	assert_int_equal(nr_told, 3000);
	assert_in_range(nr_events, 1, 2 + (fe_now_usec() - begun) / 1000000);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Each time the guest sets it up again. */
static void queues_that_their_guest_breaks_are_told(void **state)
{
	const json_int_t nr_breaks = 20;
	struct daemon daemon;
	struct ring ring;
	unsigned int nr_events = 0;
	json_int_t nr_told = 0;
	uint64_t begun = fe_now_usec();
	json_t *data;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	ring_open(&ring, daemon_at(&daemon, "e0.sock"));
	for (int i = 0; i < nr_breaks; i++) {
		ring_push(&ring, 60000);
		assert_int_equal(ring_is_broken(&ring.client), 0);
	}
	while (nr_told < nr_breaks) {
		data = qmp_event(&daemon.qmp, "X_EXPORT_QUEUE_BROKEN");
		expect_text(data, "id", "e0");
		assert_int_equal(number(data, "queue"), 0);
		assert_true(json_string_length(
				    json_object_get(data, "reason")) > 0);
		nr_told += number(data, "count");
		nr_events++;
	}
	assert_int_equal(nr_told, nr_breaks);
	assert_in_range(nr_events, 1, 2 + (fe_now_usec() - begun) / 1000000);
	ring_close(&ring);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_ends_that_come_and_go_are_told),
		cmocka_unit_test(a_storm_of_them_is_told_at_a_bounded_rate),
		cmocka_unit_test(
			errors_of_storage_are_told_and_those_of_the_guest_are_not),
		cmocka_unit_test(a_flood_of_errors_is_told_once_a_second),
		cmocka_unit_test(queues_that_their_guest_breaks_are_told),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-events", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* check - `ringhost check` on ringhost: all cases pass, and it is found out */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/command.h"

/*
 * A machine that stands still for the five seconds that a case waits for an
 * answer would fail it.
 */
#define PATIENTLY "--timeout=60 "
#define MAX_TRIES 5

/* So that a case that changes what it may not is noticed. */
static void fill_image(const struct server *server)
{
	static uint8_t data[SERVER_IMAGE_BYTES];
	cleanup_close int fd = open(server->image, O_WRONLY | O_CLOEXEC);

	client_fill(data, sizeof(data), 42);
	assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
}

static void assert_image_is_filled(const struct server *server)
{
	static uint8_t data[SERVER_IMAGE_BYTES];
	cleanup_close int fd = open(server->image, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, data, sizeof(data), 0), sizeof(data));
	assert_true(client_filled(data, sizeof(data), 42));
}

static void all_cases_pass_and_the_disk_is_as_before(void **state)
{
	const struct server *server = *state;

	fill_image(server);
	expect(run("%s check --hostile " PATIENTLY "%s 2>&1", program(),
		   server->socket),
	       0);
	has(" 0 failed");
	assert_null(strstr(output, "--pid=PID")); /* it was looked at */
	assert_image_is_filled(server);
}

static void a_disk_of_4096_byte_blocks_passes(void **state)
{
	const struct server_options options = {
		.options = { "--block-size=4096" },
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(run("%s check --hostile " PATIENTLY
		   "--only=requests,framing,ranges,config "
		   "%s 2>&1",
		   program(), server.socket),
	       0);
	assert_int_equal(server_stop(&server), 0);
}

static void a_read_only_disk_passes_without_writes(void **state)
{
	const struct server_options options = { .options = { "--read-only" } };
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(run("%s check --hostile " PATIENTLY "%s 2>&1", program(),
		   server.socket),
	       0);
	has("ok    write-to-a-read-only-disk-fails");
	has("because its disk is read-only");
	assert_int_equal(server_stop(&server), 0);
}

static void one_queue_is_enough(void **state)
{
	const struct server_options options = {
		.options = { "--num-queues=1" },
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(run("%s check --hostile --only=vring-messages,requests,"
		   "ring-states " PATIENTLY "%s 2>&1",
		   program(), server.socket),
	       0);
	has("because it has one queue only");
	assert_int_equal(server_stop(&server), 0);
}

static void junit_of_a_whole_run_is_well_formed(void **state)
{
	const struct server *server = *state;

	expect(run("%s check --format=junit " PATIENTLY
		   "--only=negotiation,config "
		   "%s | "
		   "python3 -c 'import sys, xml.etree.ElementTree as e; "
		   "print(e.parse(sys.stdin).getroot().get(\"failures\"))'",
		   program(), server->socket),
	       0);
	assert_string_equal(output, "0\n");
}

static void nobody_there_is_exit_status_2(void **state)
{
	const struct server *server = *state;

	expect(run("%s check %s/nothing 2>&1", program(), server->dir), 2);
	has("cannot be tested: nobody listens on this socket");
	expect(run("%s check --only=frob %s 2>&1", program(), server->socket),
	       2);
	has("no case fits --only=frob");
	expect(run("%s check --frob 2>&1", program()), 2);
}

static void a_disk_that_is_too_small_is_exit_status_2(void **state)
{
	const struct server_options options = { .image_bytes = 65536 };
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(run("%s check %s 2>&1", program(), server.socket), 2);
	has("its disk is too small");
	assert_int_equal(server_stop(&server), 0);
}

/* In such a command: it is killed as soon as the first case has passed. */
#define START "$PROGRAM -q --socket-path=$PWD/d.sock --driver=null --size=64M"
#define KILL_IT                                                                \
	"(until grep -q ' ok ' out; do kill -0 $server || exit; sleep 0.02; "  \
	"done; kill -9 $server) "
#define END                                                                    \
	"status=$?; kill -9 $server 2>/dev/null; wait; cat out; "              \
	"rm -f out d.sock; exit $status"

/* Whoever kills it comes in time for one of all these cases. */
static void a_death_is_noticed_and_ends_the_run(void **state)
{
	const struct server *server = *state;

	expect(run("cd %s || exit 9; PROGRAM=%s; " START
		   " & server=$!; " AWAIT_SOCKET ": >out; " KILL_IT
		   "& $PROGRAM check " PATIENTLY
		   "--no-write d.sock >out 2>&1; " END,
		   server->dir, program()),
	       1);
	/* killed while it was being asked, it is silent; later it is gone */
	has("The back-end died or hung in 1 of them.");
	has("It did not come back, so the rest was not run");
}

/* The same, but somebody starts it again. */
static int kill_and_start_anew(const struct server *server)
{
	return run("cd %s || exit 9; PROGRAM=%s; " START
		   " & server=$!; " AWAIT_SOCKET ": >out; " KILL_IT
		   "& $PROGRAM check "
		   "--only=features-may-be-asked-first,reconnect,"
		   "steady-load-is-served,ring-states --no-write " PATIENTLY
		   "--restart-cmd=\"" START " >/dev/null & echo \\$! >pid\" "
		   "d.sock >out 2>&1; status=$?; "
		   "kill -9 $(cat pid); rm -f pid; (exit $status); " END,
		   server->dir, program());
}

/* Some seconds may be too few for whoever kills it: again. */
static void after_a_death_the_command_starts_it_anew(void **state)
{
	const struct server *server = *state;
	int status = 0;

	for (unsigned int i = 0; !status && i < MAX_TRIES; i++)
		status = kill_and_start_anew(server);
	expect(status, 1);
	has("The back-end died or hung in 1 of them.");
	has(", 1 failed,");
	assert_null(strstr(output, "not run"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			all_cases_pass_and_the_disk_is_as_before, server_set_up,
			server_tear_down),
		cmocka_unit_test(a_disk_of_4096_byte_blocks_passes),
		cmocka_unit_test(a_read_only_disk_passes_without_writes),
		cmocka_unit_test(one_queue_is_enough),
		cmocka_unit_test_setup_teardown(
			junit_of_a_whole_run_is_well_formed, server_set_up,
			server_tear_down),
		cmocka_unit_test_setup_teardown(nobody_there_is_exit_status_2,
						server_set_up,
						server_tear_down),
		cmocka_unit_test(a_disk_that_is_too_small_is_exit_status_2),
		cmocka_unit_test_setup_teardown(
			a_death_is_noticed_and_ends_the_run, server_set_up,
			server_tear_down),
		cmocka_unit_test_setup_teardown(
			after_a_death_the_command_starts_it_anew, server_set_up,
			server_tear_down),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * bench - `ringhost bench` on ringhost: it loads, it tells, it finds out
 *
 * A run is short, since what is asked is whether it is right, not how fast.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/command.h"

#define IMAGE_BYTES (1u << 20)
#define MAX_TRIES   10
#define ANY	    "r[\"total\"][\"requests\"] > 0 and "

/*
 * Little may be done in a run, or nothing, on a machine that stands still for
 * as long as that, so what depends on how much it was is asked again.
 */
static const char *const runtimes[MAX_TRIES] = { "100ms", "1", "1", "1", "1",
						 "1",	  "1", "1", "1", "1" };

/* Bench the server with these options. */
static int bench(const struct server *server, const char *options)
{
	return run("%s bench --runtime=100ms %s %s 2>&1", program(), options,
		   server->socket);
}

/* Until it tells of this, which it does if there was any. */
static void bench_tells(const struct server *server, const char *options,
			const char *part)
{
	for (unsigned int i = 0; i < MAX_TRIES; i++) {
		expect(run("%s bench --runtime=%s %s %s 2>&1", program(),
			   runtimes[i], options, server->socket),
		       0);
		if (strstr(output, part))
			return;
	}
	has(part);
}

/* What a Python expression makes of the report r of a run. */
static void ask(const struct server *server, const char *runtime,
		const char *options, const char *expression)
{
	expect(run("%s bench --runtime=%s --output-format=json %s %s | "
		   "python3 -c 'import json, sys; r = json.load(sys.stdin); "
		   "print(%s)' 2>&1",
		   program(), runtime, options, server->socket, expression),
	       0);
}

static void expect_true(const struct server *server, const char *options,
			const char *expression)
{
	ask(server, runtimes[0], options, expression);
	if (strcmp(output, "True\n"))
		fail_msg("%s: %s is %s", options, expression, output);
}

/* False is no reason to give up yet, and what is neither is. */
static void expect_soon(const struct server *server, const char *options,
			const char *expression)
{
	snprintf(output, sizeof(output), "False\n");
	for (unsigned int i = 0; i < MAX_TRIES && !strcmp(output, "False\n");
	     i++)
		ask(server, runtimes[i], options, expression);
	if (strcmp(output, "True\n"))
		fail_msg("%s: %s is %s", options, expression, output);
}

static void each_kind_of_ring_and_driver_is_served(void **state)
{
	static const char *const options[] = {
		"",
		"--no-indirect",
		"--no-event-idx",
		"--packed",
		"--packed --no-indirect",
		"--packed --no-event-idx",
		"--packed --no-indirect --queue-size=100 --iodepth=33",
	};
	const struct server *server = *state;
	char words[200];

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		for (unsigned int poll = 0; poll < 2; poll++) {
			snprintf(words, sizeof(words),
				 "%s --verify=pattern --rw=randrw --notify=%s",
				 options[i], poll ? "poll" : "wait");
			expect_soon(server, words,
				    "r[\"total\"][\"requests\"] > 0 if "
				    "r[\"total\"][\"errors\"] == 0 and "
				    "r[\"verify\"][\"checked\"] > 0 and "
				    "r[\"verify\"][\"mismatches\"] == 0 "
				    "else r");
		}
	}
}

static void the_report_tells_which_ring_it_was(void **state)
{
	const struct server *server = *state;

	expect_true(server, "--packed --no-event-idx",
		    "r[\"features\"] == {\"packed\": True, "
		    "\"indirect\": True, \"event_idx\": False, "
		    "\"nr_queues\": r[\"features\"][\"nr_queues\"], "
		    "\"size_bytes\": 8 << 20}");
}

/* The first call after a start may come whatever was asked for. */
static void who_polls_gets_no_call_and_who_waits_does(void **state)
{
	const struct server *server = *state;

	expect_soon(server, "--ramp_time=50ms --notify=poll --iodepth=4",
		    ANY "r[\"calls_per_request\"] < 0.02");
	expect_soon(server,
		    "--ramp_time=50ms --notify=poll --packed --iodepth=4",
		    ANY "r[\"calls_per_request\"] < 0.02");
	expect_soon(server,
		    "--ramp_time=50ms --notify=poll --no-event-idx --iodepth=4",
		    ANY "r[\"calls_per_request\"] < 0.02");
	expect_soon(server, "--iodepth=1",
		    ANY "r[\"calls_per_request\"] < 1.1 and "
			"0.5 < r[\"kicks_per_request\"] < 1.1");
}

static void figures_agree_with_each_other(void **state)
{
	const struct server *server = *state;

	expect_soon(server, "--rw=randrw --rwmixread=75 --ramp_time=50ms",
		    ANY "(abs(r[\"runtime_sec\"] - "
			"r[\"job\"][\"runtime\"]) < 0.05 and "
			"0.6 < r[\"read\"][\"requests\"] / "
			"r[\"total\"][\"requests\"] < 0.9 if "
			"abs(r[\"total\"][\"iops\"] * r[\"runtime_sec\"] / "
			"r[\"total\"][\"requests\"] - 1) < 0.01 and "
			"r[\"read\"][\"requests\"] + "
			"r[\"write\"][\"requests\"] == "
			"r[\"total\"][\"requests\"] and "
			"abs(r[\"total\"][\"bytes_per_sec\"] / "
			"r[\"total\"][\"iops\"] - 4096) < 1 else r)");
	expect_soon(server, "",
		    ANY "([r[\"total\"][\"latency_usec\"][k] for k in "
			"(\"min\", \"p50\", \"p90\", \"p99\", \"p99.9\", "
			"\"max\")] == sorted(r[\"total\"][\"latency_usec\"][k] "
			"for k in (\"min\", \"p50\", \"p90\", \"p99\", "
			"\"p99.9\", \"max\")) or r)");
}

static void a_flooded_queue_is_told_of_apart(void **state)
{
	const struct server *server = *state;

	expect_soon(server, "--numjobs=2 --iodepth=1 --flood=64",
		    "0 < r[\"total\"][\"requests\"] < "
		    "r[\"flood\"][\"requests\"] if "
		    "r[\"flood\"][\"errors\"] == 0 else r");
	expect_true(server, "--numjobs=2", "\"flood\" not in r");
	bench_tells(server, "--numjobs=2 --flood=64", "  flood: IOPS ");
	expect(bench(server, "--numjobs=2 --flood=200 --queue-size=128"), 1);
	has("give a smaller --flood, or a larger --queue-size");
}

/* Without it there would be a thousand times as many. */
static void a_rate_is_kept(void **state)
{
	const struct server *server = *state;

	expect_soon(server, "--rate_iops=500 --numjobs=2",
		    "0.5 <= r[\"total\"][\"requests\"] / "
		    "(1000 * r[\"runtime_sec\"]) <= 1.5");
	expect_soon(server, "--rate_iops=500 --notify=poll",
		    "0.5 <= r[\"total\"][\"requests\"] / "
		    "(500 * r[\"runtime_sec\"]) <= 1.5");
}

static void what_the_server_used_is_told(void **state)
{
	const struct server *server = *state;
	char words[64];

	snprintf(words, sizeof(words), "--pid=%d --iodepth=1", server->pid);
	expect_soon(server, words,
		    ANY
		    "r[\"server\"][\"cpu_usec_per_request\"] > 0 and "
		    "r[\"server\"][\"context_switches_per_request\"] > 0 and "
		    "r[\"server\"][\"rss_bytes\"] > 100000 and "
		    "r[\"load\"][\"cpu_usec_per_request\"] > 0 and "
		    "r[\"server\"].get(\"syscalls_per_request\", 0) != 0");
	expect_true(server, "", "\"server\" not in r");
	expect(bench(server, "--pid=999999999"), 1);
	has("there is no such process");
}

static void people_read_a_text(void **state)
{
	const struct server *server = *state;

	bench_tells(server, "--rw=randrw --iodepth=8", "  write: IOPS ");
	has(": randrw of 4 KiB, 8 under way on each of 1 queue");
	has("  disk of 8 MiB; split rings of 128, indirect, event index; "
	    "waiting for calls\n");
	has("  read: IOPS ");
	has(" 99.9 % ");
	has(" calls a request\n");
	has("  load: ");
	expect(run("for time in 50ms 1 1 1 1; do "
		   "%s bench --runtime=$time --output=%s/out %s || exit; "
		   "grep -q IOPS %s/out && break; done; "
		   "grep -c IOPS %s/out; rm %s/out",
		   program(), server->dir, server->socket, server->dir,
		   server->dir, server->dir),
	       0);
	assert_string_equal(output, "1\n");
}

/* The disk forgets what is written. */
static void verify_finds_a_disk_that_forgets(void **state)
{
	const struct server *server = *state;

	expect(run("cd %s || exit 9; "
		   "%s -q --socket-path=$PWD/d.sock --driver=null --size=1M & "
		   "server=$!; " AWAIT_SOCKET
		   "%s bench --runtime=50ms --rw=randwrite --verify=pattern "
		   "d.sock 2>&1; status=$?; kill $server; wait $server; "
		   "exit $status",
		   server->dir, program(), program()),
	       1);
	has("holds something that was never written");
}

/*
 * One block of eight is overwritten behind the server's back while it is read
 * back, so often that no run can miss it, unless whoever does that stands still
 * all the time.
 */
static void verify_finds_a_block_that_was_changed(void **state)
{
	const struct server_options options = {
		.image_bytes = IMAGE_BYTES,
		.options = { "--force-share", "--cache=writeback" },
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(run("(until [ -e %s/end ]; do printf damaged | "
		   "dd of=%s bs=1 seek=70000 conv=notrunc 2>/dev/null; done) & "
		   "for i in 1 2 3 4 5; do "
		   "%s bench --runtime=1 --rw=randrw --verify=pattern "
		   "--offset=64k --size=32k "
		   "%s 2>&1; status=$?; [ $status = 0 ] || break; done; "
		   "touch %s/end; wait; rm %s/end; exit $status",
		   server.dir, server.image, program(), server.socket,
		   server.dir, server.dir),
	       1);
	has("the block of 4096 bytes at 69632 of the disk is damaged");
	assert_int_equal(server_stop(&server), 0);
}

static void a_server_that_dies_is_noticed(void **state)
{
	static const char *const options[] = { "--notify=wait",
					       "--notify=poll" };
	const struct server *server = *state;

	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		expect(run("cd %s || exit 9; "
			   "%s -q --socket-path=$PWD/d.sock --driver=null & "
			   "server=$!; " AWAIT_SOCKET "(" AWAIT_LOAD
			   "kill -9 $server) & "
			   "%s bench --runtime=60 %s d.sock 2>&1; status=$?; "
			   "wait; rm -f d.sock; exit $status",
			   server->dir, program(), program(), options[i]),
		       1);
		has("the back-end closed the connection: it may have died");
		has("(until the back-end failed)");
		has("  read: IOPS ");
	}
}

static void a_server_that_hangs_is_noticed(void **state)
{
	const struct server *server = *state;

	expect(run("cd %s || exit 9; "
		   "%s -q --socket-path=$PWD/d.sock --driver=null & "
		   "server=$!; " AWAIT_SOCKET "(" AWAIT_LOAD
		   "kill -STOP $server) & "
		   "%s bench --runtime=60 --timeout=500ms d.sock 2>&1; "
		   "status=$?; kill -9 $server; wait; rm -f d.sock; "
		   "exit $status",
		   server->dir, program(), program()),
	       1);
	has("the back-end has answered none of 32 requests on queue 0 for "
	    "500 ms");
}

static void an_interrupt_reports_what_there_is(void **state)
{
	const struct server *server = *state;

	expect(run("cd %s || exit 9; server=%d; %s bench --runtime=600 "
		   "--output-format=json %s >out & bench=$!; " AWAIT_LOAD
		   "kill -INT $bench; wait $bench; python3 -c "
		   "'import json, sys; r = json.load(sys.stdin); "
		   "print(r[\"complete\"], r[\"total\"][\"requests\"] > 0, "
		   "0 < r[\"runtime_sec\"] < 500)' <out; rm out",
		   server->dir, server->pid, program(), server->socket),
	       0);
	assert_string_equal(output, "False True True\n");
}

static void what_the_disk_cannot_do_is_refused(void **state)
{
	const struct server_options options = {
		.options = { "--read-only", "--block-size=4096",
			     "--queue-size=64" },
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	expect(bench(&server, "--rw=randwrite"), 1);
	has("the disk is read-only: give --rw=read or randread");
	expect(bench(&server, "--bs=512"), 1);
	has("the disk has blocks of 4096 bytes");
	expect(bench(&server, "--size=9M"), 1);
	has("the disk ends at 8 MiB");
	expect(bench(&server, "--numjobs=2 --size=4k"), 1);
	has("is too little for 2 requests");
	expect(bench(&server, "--iodepth=200 --queue-size=128"), 1);
	has("give a smaller --iodepth, or a larger --queue-size");
	expect(bench(&server, "--rw=read --bs=1M --iodepth=2 --queue-size=64"),
	       0);
	assert_int_equal(server_stop(&server), 0);
}

static void who_cannot_start_says_so(void **state)
{
	const struct server *server = *state;

	expect(run("%s bench %s/nothing 2>&1", program(), server->dir), 1);
	has("cannot be measured: nobody listens there");
	expect(run("%s bench --frob %s 2>&1", program(), server->socket), 2);
	has("bench has no option --frob");
	expect(run("%s bench --output=%s/no/file %s 2>&1", program(),
		   server->dir, server->socket),
	       2);
	has("cannot write to ");
	expect(run("%s bench --help", program()), 0);
	has("Writing destroys what is on the disk");
	expect(run("%s help", program()), 0);
	has("ringhost bench SOCKET");
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_kind_of_ring_and_driver_is_served),
		TEST(the_report_tells_which_ring_it_was),
		TEST(who_polls_gets_no_call_and_who_waits_does),
		TEST(figures_agree_with_each_other),
		TEST(a_flooded_queue_is_told_of_apart),
		TEST(a_rate_is_kept),
		TEST(what_the_server_used_is_told),
		TEST(people_read_a_text),
		TEST(verify_finds_a_disk_that_forgets),
		cmocka_unit_test(verify_finds_a_block_that_was_changed),
		TEST(a_server_that_dies_is_noticed),
		TEST(a_server_that_hangs_is_noticed),
		TEST(an_interrupt_reports_what_there_is),
		cmocka_unit_test(what_the_disk_cannot_do_is_refused),
		TEST(who_cannot_start_says_so),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}

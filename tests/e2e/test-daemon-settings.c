/* SPDX-License-Identifier: MIT */
/*
 * daemon-settings - options of the daemon that stand in its files
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

/* False in a build without libmicrohttpd, which says so when it is asked. */
static bool has_metrics(void)
{
	const char *value = getenv("WITH_METRICS");

	return value && !strcmp(value, "1");
}

static void start(struct daemon *daemon, const char *const *options)
{
	daemon_prepare(daemon);
	expect(run("cd %s && printf '[daemon]\\nlog-format=json\\nstate-dir="
		   "state\\nwatch-size=7\\n%s' >a.conf",
		   daemon->server.dir,
		   has_metrics() ? "metrics=unix:m.sock\\n" : ""),
	       0);
	daemon_begin(daemon, options);
	qmp_do(&daemon->qmp, "blockdev-add",
	       "{'driver': 'file', 'node-name': 'n', 'filename': 'a.img'}");
	qmp_do(&daemon->qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e', 'node-name': 'n', "
	       "'addr': {'type': 'unix', 'path': 'e.sock'}, 'writable': true}");
	assert_int_equal(client_fresh_io(daemon_at(daemon, "e.sock")), 0);
}

static bool has_socket(const struct daemon *daemon, const char *name)
{
	return run("test -S %s/%s", daemon->server.dir, name) == 0;
}

static void expect_in(const struct daemon *daemon, const char *directory,
		      unsigned int nr)
{
	expect(run("cd %s && ls %s | grep -c json", daemon->server.dir,
		   directory),
	       nr ? 0 : 1);
	assert_int_equal(atoi(output), nr);
}

static void what_files_say_holds(void **state)
{
	static const char *const options[] = { "--config", "a.conf", NULL };
	struct daemon daemon;

	(void)state;
	start(&daemon, options);
	assert_int_equal(has_socket(&daemon, "m.sock"), has_metrics());
	expect_in(&daemon, "state", 2);
	assert_true(server_log_count(&daemon.server, "{\"time\"") > 0);
	assert_int_equal(server_log_count(&daemon.server, "ringhost: e: "), 0);
	daemon_stop(&daemon);
}

static void what_the_command_line_says_counts(void **state)
{
	const char *options[] = {
		"--state-dir",
		"other",
		"--config",
		"a.conf",
		"--log-format=text",
		has_metrics() ? "--metrics=unix:other.sock" : NULL,
		NULL,
	};
	struct daemon daemon;

	(void)state;
	start(&daemon, options);
	assert_int_equal(has_socket(&daemon, "other.sock"), has_metrics());
	assert_false(has_socket(&daemon, "m.sock"));
	expect_in(&daemon, "state", 0);
	expect_in(&daemon, "other", 2);
	assert_int_equal(server_log_count(&daemon.server, "{\"time\""), 0);
	assert_true(server_log_count(&daemon.server, "ringhost: e: ") > 0);
	daemon_stop(&daemon);
}

static void what_is_wrong_is_an_error_with_its_line(void **state)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
		{ "log-format=xml", "it takes text or json" },
		{ "watch-size=x", "it takes seconds" },
		{ "take-over=x", "no meaning in a configuration file" },
		{ "metrics.0=unix:m", "[daemon]: 'metrics' is refused" },
	};
	struct daemon daemon;

	(void)state;
	daemon_prepare(&daemon);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		expect(run("cd %s && printf '[daemon]\\n%s\\n' >b.conf && %s "
			   "daemon --config b.conf 2>&1",
			   daemon.server.dir, cases[i].line, program()),
		       1);
		has(cases[i].why);
		has("b.conf:");
	}
	expect(run("cd %s && printf '[daemon]\\nmetrics=there\\n' >b.conf && "
		   "%s daemon --config b.conf 2>&1",
		   daemon.server.dir, program()),
	       1);
	has("metrics");
	server_clean_up(&daemon.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_files_say_holds),
		cmocka_unit_test(what_the_command_line_says_counts),
		cmocka_unit_test(what_is_wrong_is_an_error_with_its_line),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-settings", tests, NULL,
					   NULL);
}

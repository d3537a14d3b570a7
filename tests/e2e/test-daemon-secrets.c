/* SPDX-License-Identifier: MIT */
/*
 * daemon-secrets - secrets are kept, and told to nobody
 *
 * What may not be seen anywhere is SECRET, and its base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"

#define SECRET "sesame42"
#define BASE64 "c2VzYW1lNDI="

static const char *const options[] = {
	"--state-dir",
	"state",
	"--object",
	"secret,id=line,data=" SECRET,
	"--object",
	"{\"qom-type\": \"secret\", \"id\": \"json\", \"data\": \"" BASE64
	"\", \"format\": \"base64\"}",
	NULL,
};

static void start(struct daemon *daemon)
{
	daemon_prepare(daemon);
	expect(run("cd %s && printf %%s " SECRET " >key", daemon->server.dir),
	       0);
	daemon_begin(daemon, options);
}

static void add_both(struct daemon *daemon)
{
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'secret', 'id': 'text', 'data': '" SECRET "'}");
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'secret', 'id': 'file', 'file': 'key'}");
}

static void has_it(struct daemon *daemon, const char *id)
{
	qmp_fails(&daemon->qmp, "a secret has that id", "object-add",
		  "{'qom-type': 'iothread', 'id': '%s'}", id);
}

/* In no file but the one that it came from. */
static void expect_no_trace(const struct daemon *daemon)
{
	expect(run("cd %s && grep -rlaF -e " SECRET " -e " BASE64 " .",
		   daemon->server.dir),
	       0);
	assert_string_equal(output, "./key\n");
}

static void expect_not_told(struct daemon *daemon, const char *query)
{
	json_t *answer = qmp_ask(&daemon->qmp, query, "{}");
	char *text = json_dumps(answer, 0);

	assert_non_null(answer);
	assert_null(strstr(text, SECRET));
	assert_null(strstr(text, BASE64));
	free(text);
	json_decref(answer);
}

static void a_secret_is_told_to_nobody(void **state)
{
	static const char *const queries[] = {
		"query-block-exports", "query-named-block-nodes",
		"query-iothreads",     "x-query-hand-over",
		"x-query-stats",
	};
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_both(&daemon);
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
		expect_not_told(&daemon, queries[i]);
	qmp_fails(&daemon.qmp, "no throttle-group", "qom-get",
		  "{'path': '/objects/text', 'property': 'data'}");
	qmp_fails(&daemon.qmp, "'format'", "object-add",
		  "{'qom-type': 'secret', 'id': 'x', 'format': 'hex', "
		  "'data': '" SECRET "'}");
	assert_null(strstr(qmp_error, SECRET));
	qmp_fails(&daemon.qmp, "", "object-add",
		  "{'qom-type': 'Secret', 'id': 'x', 'data': '" SECRET "'}");
	expect_no_trace(&daemon);
	daemon_end(&daemon);
	expect_no_trace(&daemon);
	server_clean_up(&daemon.server);
}

static void a_command_line_that_is_wrong_is_not_shown_with_it(void **state)
{
	static const char *const lines[] = {
		"secret,id=x,format=hex,data=" SECRET,
		"secret,id=x," SECRET,
		"secret,id=x,data=x,sesame 42/" SECRET,
		"{\"qom-type\": \"secret\", \"data\": \"x\" \"" SECRET "\"}",
	};
	struct daemon daemon;

	(void)state;
	daemon_prepare(&daemon);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		expect(run("%s daemon --object '%s' 2>&1", program(), lines[i]),
		       1);
		has("--object secret,...: ");
		assert_null(strstr(output, SECRET));
	}
	server_clean_up(&daemon.server);
}

/* What was given by its file is there again, and the other one was lost. */
static void only_a_secret_of_a_file_is_kept(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_both(&daemon);
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	has_it(&daemon, "file");
	has_it(&daemon, "line");
	qmp_fails(&daemon.qmp, "not found", "object-del", "{'id': 'text'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'file'}");
	qmp_fails(&daemon.qmp, "not found", "object-del", "{'id': 'file'}");
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	qmp_fails(&daemon.qmp, "not found", "object-del", "{'id': 'file'}");
	daemon_stop(&daemon);
}

static void a_configuration_file_has_them_too(void **state)
{
	static const char *const config[] = { "--config", "a.conf", NULL };
	struct daemon daemon;

	(void)state;
	daemon_prepare(&daemon);
	expect(run("cd %s && printf %%s " SECRET " >key && printf '[secret a]"
		   "\\nfile=key\\n[secret b]\\ndata=x\\n' >a.conf",
		   daemon.server.dir),
	       0);
	daemon_begin(&daemon, config);
	has_it(&daemon, "a");
	has_it(&daemon, "b");
	expect(run("cd %s && printf '[secret a]\\nfile=key\\n' >a.conf",
		   daemon.server.dir),
	       0);
	qmp_do(&daemon.qmp, "x-config-reload", "{}");
	has_it(&daemon, "a");
	qmp_fails(&daemon.qmp, "not found", "object-del", "{'id': 'b'}");
	daemon_stop(&daemon);
}

/* Though the file is gone. */
static void a_successor_has_them_all(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_both(&daemon);
	expect(run("rm %s/key", daemon.server.dir), 0);
	daemon_succeed(&daemon, options + 2);
	has_it(&daemon, "text");
	has_it(&daemon, "file");
	has_it(&daemon, "line");
	daemon_succeed(&daemon, NULL);
	has_it(&daemon, "json");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'text'}");
	daemon_stop(&daemon);
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const struct {
		const char *why;
		const char *arguments;
	} cases[] = {
		{ "Must provide 'file' or 'data'", "" },
		{ "mutually exclusive", ", 'file': 'key', 'data': 'x'" },
		{ "No such file", ", 'file': 'none'" },
		{ "has to be a regular file", ", 'file': 'fifo'" },
		{ "has to be a regular file", ", 'file': '.'" },
		{ "65536 bytes are the most", ", 'file': 'a.img'" },
		{ "no base64", ", 'data': 'x', 'format': 'base64'" },
		{ "no base64", ", 'file': 'key2', 'format': 'base64'" },
		{ "decrypt it", ", 'data': 'x', 'keyid': 'line'" },
		{ "decrypt it", ", 'data': 'x', 'iv': 'abc'" },
		{ "'x' is unexpected", ", 'data': 'x', 'x': 1" },
	};
	struct daemon daemon;
	char fifo[96];
	int nr_fds;

	(void)state;
	start(&daemon);
	snprintf(fifo, sizeof(fifo), "%s/fifo", daemon.server.dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect(run("echo '?' >%s/key2", daemon.server.dir), 0);
	nr_fds = server_nr_fds(&daemon.server);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		qmp_fails(&daemon.qmp, cases[i].why, "object-add",
			  "{'qom-type': 'secret', 'id': 'new'%s}",
			  cases[i].arguments);
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'secret', 'id': 'new', 'data': ''}");
	qmp_fails(&daemon.qmp, "a secret has that id", "object-add",
		  "{'qom-type': 'secret', 'id': 'new', 'file': 'key'}");
	assert_int_equal(server_nr_fds(&daemon.server), nr_fds);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_told_to_nobody),
		cmocka_unit_test(
			a_command_line_that_is_wrong_is_not_shown_with_it),
		cmocka_unit_test(only_a_secret_of_a_file_is_kept),
		cmocka_unit_test(a_configuration_file_has_them_too),
		cmocka_unit_test(a_successor_has_them_all),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-secrets", tests, NULL, NULL);
}

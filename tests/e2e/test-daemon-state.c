/* SPDX-License-Identifier: MIT */
/*
 * daemon - what clients add is there again, whenever the daemon dies
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"

#define NR_DEATHS     25
#define NR_NAMES      6
#define MAX_LIFE_USEC 30000

static const char *const options[] = { "--state-dir", "state", NULL };

static void start(struct daemon *daemon)
{
	daemon_prepare(daemon);
	daemon_begin(daemon, options);
}

static void add_disk(struct daemon *daemon)
{
	qmp_do(&daemon->qmp, "object-add",
	       "{'qom-type': 'iothread', 'id': 'io 1/%%'}");
	qmp_do(&daemon->qmp, "blockdev-add",
	       "{'driver': 'raw', 'node-name': 'disk', 'read-only': false, "
	       "'file': {'driver': 'file', 'filename': 'a.img'}}");
	qmp_do(&daemon->qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'a', 'node-name': 'disk', "
	       "'addr': {'type': 'unix', 'path': 'a.sock'}, 'writable': true, "
	       "'num-queues': 2, 'iothread': ['io 1/%%']}");
}

static unsigned int nr_files(struct daemon *daemon)
{
	expect(run("ls -A %s/state | sed /^.lock$/d | wc -l",
		   daemon->server.dir),
	       0);
	return (unsigned int)atoi(output);
}

static void what_clients_add_is_there_after_a_restart(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_disk(&daemon);
	assert_int_equal(nr_files(&daemon), 3);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(client_fresh_io(daemon_at(&daemon, "a.sock")),
				 0);
		if (i)
			daemon_end(&daemon);
		else
			daemon_kill(&daemon);
		daemon_begin(&daemon, options);
	}
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "a.sock")), 0);
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'a', 'mode': 'hard'}");
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(qmp_count(&daemon.qmp, "query-block-exports"), 0);
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'disk'}");
	qmp_do(&daemon.qmp, "object-del", "{'id': 'io 1/%%'}");
	assert_int_equal(nr_files(&daemon), 0);
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(qmp_count(&daemon.qmp, "query-named-block-nodes"), 0);
	daemon_stop(&daemon);
}

static void what_is_refused_is_not_kept(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	qmp_fails(&daemon.qmp, "does not exist", "blockdev-add",
		  "{'driver': 'file', 'node-name': 'x', 'filename': 'none'}");
	qmp_fails(&daemon.qmp, "is missing", "blockdev-add", "{}");
	add_disk(&daemon);
	qmp_fails(&daemon.qmp, "Duplicate", "blockdev-add",
		  "{'driver': 'null-co', 'node-name': 'disk'}");
	qmp_fails(&daemon.qmp, "in use", "blockdev-del",
		  "{'node-name': 'disk'}");
	/* What is dropped is dropped before the next one is kept. */
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'null-co', 'node-name': 'y'}");
	assert_int_equal(nr_files(&daemon), 4);
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "a.sock")), 0);
	daemon_stop(&daemon);
}

/* And is not there either. */
static void what_cannot_be_kept_is_not_added(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_disk(&daemon);
	expect(run("rm -r %s/state", daemon.server.dir), 0);
	qmp_fails(&daemon.qmp, "'y' is not added, since it cannot be kept in",
		  "blockdev-add", "{'driver': 'null-co', 'node-name': 'y'}");
	assert_int_equal(qmp_count(&daemon.qmp, "query-named-block-nodes"), 1);
	daemon_stop(&daemon);
	expect(run("%s daemon --state-dir /dev/null 2>&1", program()), 1);
	has("cannot use /dev/null");
}

static void the_configuration_and_the_command_line_win(void **state)
{
	static const char *const both[] = {
		"--state-dir",
		"state",
		"--config",
		"a.conf",
		"--export",
		"vhost-user-blk,id=a,node-name=disk,addr.type=unix,"
		"addr.path=other.sock,writable=on",
		NULL,
	};
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_disk(&daemon);
	daemon_end(&daemon);
	expect(run("cd %s && printf '[blockdev disk]\\ndriver=file\\n"
		   "filename=b.img\\n' >a.conf",
		   daemon.server.dir),
	       0);
	daemon_begin(&daemon, both);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "other.sock")), 0);
	assert_int_equal(server_log_count(&daemon.server, "is not used: the "
							  "configuration"),
			 2);
	assert_int_equal(nr_files(&daemon), 3);
	daemon_stop(&daemon);
}

static void a_file_that_is_wrong_stops_no_other(void **state)
{
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_disk(&daemon);
	daemon_end(&daemon);
	expect(run("cd %s/state && echo '{' >export-b.json && echo '{\"execute"
		   "\": \"quit\"}' >export-c.json && sed s/disk/x/ "
		   "<blockdev-disk.json >blockdev-y.json && cp "
		   "blockdev-disk.json .new-7 && sed 's/\"a\"/\"d\"/; "
		   "s/\"disk\"/\"none\"/' <export-a.json >export-d.json",
		   daemon.server.dir),
	       0);
	daemon_begin(&daemon, options);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "a.sock")), 0);
	assert_int_equal(server_log_count(&daemon.server, "is left alone"), 3);
	assert_int_equal(server_log_count(&daemon.server,
					  "export-d.json:1: [export d] cannot "
					  "be added"),
			 1);
	assert_int_equal(nr_files(&daemon), 7);
	daemon_stop(&daemon);
}

/* By this one. */
static void expect_in_use(const struct daemon *daemon)
{
	char holder[64];

	expect(run("timeout 60 %s daemon --state-dir %s/state 2>&1", program(),
		   daemon->server.dir),
	       1);
	snprintf(holder, sizeof(holder), "is used by process %ld ",
		 (long)daemon->server.pid);
	has(holder);
}

static void one_daemon_at_a_time_uses_the_directory(void **state)
{
	static const char *const bad[] = { "--state-dir", "state", "--blockdev",
					   "file,node-name=x,filename=none",
					   NULL };
	struct daemon daemon;

	(void)state;
	start(&daemon);
	add_disk(&daemon);
	expect_in_use(&daemon);
	daemon_does_not_succeed(&daemon, "none", bad);
	expect_in_use(&daemon);
	daemon_succeed(&daemon, options);
	expect_in_use(&daemon);
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'null-co', 'node-name': 'y'}");
	daemon_kill(&daemon);
	daemon_begin(&daemon, options);
	expect_in_use(&daemon);
	assert_int_equal(qmp_count(&daemon.qmp, "query-named-block-nodes"), 2);
	assert_int_equal(server_log_count(&daemon.server, "is used by"), 0);
	daemon_stop(&daemon);
}

/* What a client knows of a name, as it has seen it. */
enum known {
	ABSENT,
	PRESENT,
	ASKED
};

/* Returns false at the end of the connection. */
static bool say(int fd, const char *text)
{
	char byte = 0;

	if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return false;
	while (byte != '\n') {
		if (recv(fd, &byte, 1, 0) != 1)
			return false;
	}
	return true;
}

/* Adds and removes, until there is nobody any more. */
static void live(const char *path, atomic_int *known)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[256];
	bool alive;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		_exit(1);
	alive = say(fd, NULL) && say(fd, "{\"execute\":\"qmp_capabilities\"}");
	for (unsigned int i = 0; alive; i++) {
		unsigned int name = i * 5 % NR_NAMES;
		int was = atomic_load(&known[name]);

		snprintf(text, sizeof(text),
			 "{\"execute\":\"blockdev-%s\",\"arguments\":{%s"
			 "\"node-name\":\"n%u\"}}",
			 was == PRESENT ? "del" : "add",
			 was == PRESENT ? "" : "\"driver\":\"null-co\",", name);
		atomic_store(&known[name], ASKED);
		alive = say(fd, text);
		if (alive)
			atomic_store(&known[name],
				     was == PRESENT ? ABSENT : PRESENT);
	}
	_exit(0);
}

static bool is_there(struct daemon *daemon, unsigned int name)
{
	char wanted[16];
	json_t *node;

	snprintf(wanted, sizeof(wanted), "n%u", name);
	node = qmp_find(&daemon->qmp, "query-named-block-nodes", "{}",
			"node-name", wanted);
	json_decref(node);
	return node;
}

static void compare(struct daemon *daemon, atomic_int *known)
{
	for (unsigned int i = 0; i < NR_NAMES; i++) {
		bool found = is_there(daemon, i);

		if (atomic_load(&known[i]) != ASKED &&
		    (atomic_load(&known[i]) == PRESENT) != found)
			fail_msg("n%u is %s", i, found ? "back" : "lost");
		atomic_store(&known[i], found ? PRESENT : ABSENT);
	}
}

static void a_death_at_any_moment_loses_no_answer(void **state)
{
	atomic_int *known = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct daemon daemon;
	int status;
	pid_t pid;

	(void)state;
	assert_true(known != MAP_FAILED);
	srand(1);
	start(&daemon);
	for (unsigned int i = 0; i < NR_DEATHS; i++) {
		pid = fork();
		if (pid == 0)
			live(daemon.server.socket, known);
		usleep((useconds_t)(rand() % MAX_LIFE_USEC));
		daemon_kill(&daemon);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		daemon_begin(&daemon, options);
		compare(&daemon, known);
	}
	munmap(known, 4096);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_clients_add_is_there_after_a_restart),
		cmocka_unit_test(what_is_refused_is_not_kept),
		cmocka_unit_test(what_cannot_be_kept_is_not_added),
		cmocka_unit_test(the_configuration_and_the_command_line_win),
		cmocka_unit_test(a_file_that_is_wrong_stops_no_other),
		cmocka_unit_test(one_daemon_at_a_time_uses_the_directory),
		cmocka_unit_test(a_death_at_any_moment_loses_no_answer),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon-state", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* daemon - `ringhost daemon` under test, with a control socket */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/daemon.h"
#include "tests/frontend/clock.h"

#define MAX_WORDS 64
#define MAX_TRIES 10
#define POLL_USEC 10000
#define CHARDEV	  "socket,id=control,path=%s,server=on,wait=off"

const char *const daemon_two_disks[] = {
	"--object",
	"iothread,id=t0",
	"--object",
	"qom-type=iothread,id=t1",
	"--blockdev",
	"driver=file,node-name=file0,filename=a.img",
	"--blockdev",
	"driver=raw,node-name=disk0,file=file0",
	"--blockdev",
	"{\"driver\": \"null-co\", \"node-name\": \"disk1\", \"size\": 8388608}",
	"--export",
	"type=vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
	"addr.path=e0.sock,writable=on,num-queues=4,iothread=t0",
	"--export",
	"vhost-user-blk,id=e1,node-name=disk1,addr.type=unix,"
	"addr.path=e1.sock,writable=on,num-queues=2",
	NULL,
};

static void make_image(const struct daemon *daemon, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", daemon->server.dir, name);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DAEMON_IMAGE_BYTES), 0);
	close(fd);
}

/* In the child; does not return. */
static void exec_daemon(const struct daemon *daemon,
			const struct daemon_how *how, bool succeeds)
{
	const char *const *options = how->options;
	const char *words[MAX_WORDS] = { getenv("SERVER"), "daemon" };
	unsigned int nr = 2;
	char chardev[256];
	int log_fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_fd = open(daemon->server.log, O_CREAT | O_WRONLY | O_APPEND, 0600);
	dup2(log_fd, STDERR_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	snprintf(chardev, sizeof(chardev), CHARDEV, daemon->server.socket);
	if (!how->opens_all) {
		words[nr++] = "--allow-path";
		words[nr++] = ".";
	}
	if (succeeds) {
		words[nr++] = "--take-over";
		words[nr++] = "control";
	}
	for (; options && *options && nr < MAX_WORDS - 5; options++)
		words[nr++] = *options;
	words[nr++] = "--chardev";
	words[nr++] = chardev;
	words[nr++] = "--monitor";
	words[nr++] = "chardev=control";
	if (how->prepare)
		how->prepare(&daemon->server);
	if (chdir(daemon->server.dir) == 0)
		execv(words[0], (char *const *)words);
	_exit(127);
}

/* The control socket comes last, so all before it is there. */
static int wait_until_it_serves(struct daemon *daemon)
{
	uint64_t deadline = fe_deadline(SERVER_START_MSEC);

	while (!server_listens(daemon->server.socket)) {
		if (!server_runs(&daemon->server))
			return -ECHILD;
		assert_true(fe_now_usec() < deadline);
		usleep(POLL_USEC);
	}
	return 0;
}

void daemon_prepare(struct daemon *daemon)
{
	struct server *server = &daemon->server;

	*server = (struct server){ .pid = -1, .connected_fd = -1 };
	snprintf(server->dir, sizeof(server->dir), "/tmp/ringhost-XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(server->log, sizeof(server->log), "%s/log", server->dir);
	snprintf(server->socket, sizeof(server->socket), "%s/control",
		 server->dir);
	make_image(daemon, "a.img");
	make_image(daemon, "b.img");
}

static int run(struct daemon *daemon, const struct daemon_how *how)
{
	daemon->server.pid = fork();
	assert_true(daemon->server.pid >= 0);
	if (daemon->server.pid == 0)
		exec_daemon(daemon, how, false);
	return wait_until_it_serves(daemon);
}

static void run_with_client(struct daemon *daemon, const struct daemon_how *how)
{
	if (run(daemon, how) < 0)
		fail_msg("the daemon has ended at once: see %s",
			 daemon->server.log);
	qmp_open(&daemon->qmp, daemon->server.socket);
}

int daemon_try(struct daemon *daemon, const struct daemon_how *how)
{
	daemon_prepare(daemon);
	return run(daemon, how);
}

void daemon_start_as(struct daemon *daemon, const struct daemon_how *how)
{
	daemon_prepare(daemon);
	run_with_client(daemon, how);
}

void daemon_begin(struct daemon *daemon, const char *const *options)
{
	const struct daemon_how how = { .options = options };

	run_with_client(daemon, &how);
}

void daemon_start(struct daemon *daemon, const char *const *options)
{
	daemon_prepare(daemon);
	daemon_begin(daemon, options);
}

/* Returns the process. */
static pid_t start_successor(const struct daemon *daemon,
			     const struct daemon_how *how)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		exec_daemon(daemon, how, true);
	return pid;
}

void daemon_succeed_as(struct daemon *daemon, const struct daemon_how *how)
{
	pid_t pid = start_successor(daemon, how);

	assert_int_equal(server_wait(&daemon->server, DAEMON_PATIENCE_MSEC), 0);
	qmp_close(&daemon->qmp);
	daemon->server.pid = pid;
	assert_int_equal(wait_until_it_serves(daemon), 0);
	qmp_open(&daemon->qmp, daemon->server.socket);
}

void daemon_succeed(struct daemon *daemon, const char *const *options)
{
	const struct daemon_how how = { .options = options };

	daemon_succeed_as(daemon, &how);
}

pid_t daemon_start_successor(const struct daemon *daemon,
			     const char *const *options)
{
	const struct daemon_how how = { .options = options };

	return start_successor(daemon, &how);
}

void daemon_successor_fails(struct daemon *daemon, pid_t pid, const char *why)
{
	struct server other = daemon->server;

	other.pid = pid;
	assert_int_equal(server_wait(&other, SERVER_START_MSEC), 1);
	assert_true(server_log_count(&daemon->server, why) > 0);
}

void daemon_does_not_succeed(struct daemon *daemon, const char *why,
			     const char *const *options)
{
	unsigned int nr = server_log_count(&daemon->server, why);

	daemon_successor_fails(daemon, daemon_start_successor(daemon, options),
			       why);
	assert_true(server_log_count(&daemon->server, why) > nr);
}

bool daemon_has_metrics(void)
{
	const char *value = getenv("WITH_METRICS");

	return value && !strcmp(value, "1");
}

void daemon_end(struct daemon *daemon)
{
	qmp_do(&daemon->qmp, "quit", "{}");
	assert_int_equal(server_wait(&daemon->server, SERVER_STOP_MSEC), 0);
	qmp_close(&daemon->qmp);
}

void daemon_kill(struct daemon *daemon)
{
	kill(daemon->server.pid, SIGKILL);
	assert_int_equal(server_wait(&daemon->server, SERVER_STOP_MSEC),
			 128 + SIGKILL);
	qmp_close(&daemon->qmp);
}

void daemon_stop(struct daemon *daemon)
{
	daemon_end(daemon);
	unlink(daemon_at(daemon, "a.img")->socket);
	unlink(daemon_at(daemon, "b.img")->socket);
	server_clean_up(&daemon->server);
}

const struct server *daemon_at(struct daemon *daemon, const char *socket)
{
	static struct server at;

	at = daemon->server;
	snprintf(at.socket, sizeof(at.socket), "%s/%s", at.dir, socket);
	return &at;
}

void daemon_export(struct daemon *daemon, const char *id, const char *node)
{
	qmp_do(&daemon->qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': '%s', 'node-name': '%s', "
	       "'writable': true, 'addr': {'type': 'unix', 'path': "
	       "'%s.sock'}}",
	       id, node, id);
}

void daemon_export_faulty(struct daemon *daemon, const char *name,
			  const char *faults)
{
	qmp_do(&daemon->qmp, "blockdev-add",
	       "{'driver': 'file', 'node-name': '%s', 'filename': 'b.img', "
	       "'x-fault': %s}",
	       name, faults);
	daemon_export(daemon, name, name);
}

bool daemon_export_is(struct daemon *daemon, const char *id, const char *member)
{
	json_t *export =
		qmp_find(&daemon->qmp, "query-block-exports", "{}", "id", id);
	json_t *value = json_object_get(export, member);
	bool is = json_is_true(value);

	if (!json_is_boolean(value))
		fail_msg("%s is no flag of %s", member, id);
	json_decref(export);
	return is;
}

int daemon_hold_image(struct daemon *daemon, const char *name)
{
	int fd = open(daemon_at(daemon, name)->socket, O_RDONLY | O_CLOEXEC);

	signal(SIGIO, SIG_IGN); /* that somebody opens it */
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
	return fd;
}

void daemon_await_opener(int fd)
{
	AWAIT(fcntl(fd, F_GETLEASE) != F_RDLCK);
}

void daemon_play(bool (*scenario)(void))
{
	unsigned int nr_tries = 1;

	while (!scenario())
		assert_true(nr_tries++ < MAX_TRIES);
}

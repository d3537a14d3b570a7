/* SPDX-License-Identifier: MIT */
/*
 * daemon-race - what clients command crosses, and the daemon serves all along
 *
 * Several clients of the control socket send commands by chance, many in one
 * piece, and go when they like; front-ends of the disks that come and go in
 * this way do the same. One disk is used all the time and keeps what was
 * written to it. What the commands answer is of no importance here.
 *
 * RACE_SEED in the environment is the seed that a run has printed, RACE_MSEC
 * how long it is to last.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"
#include "tests/frontend/clock.h"

#define NR_CLIENTS  6
#define NR_GUESTS   2
#define NR_NODES    3
#define RACE_MSEC   2000
#define GUEST_MSEC  100
#define ANSWER_MSEC 20

/* In which %1$u and %2$u are numbers below NR_NODES. */
static const char *const commands[] = {
	/* nodes */
	"'blockdev-add', 'arguments': {'driver': 'null-co', 'node-name': "
	"'n%1$u', 'size': 8388608}",
	"'blockdev-add', 'arguments': {'driver': 'file', 'node-name': 'n%1$u', "
	"'filename': 'b.img', 'locking': 'off', 'x-fault': "
	"'any,chance=20%%,delay=1ms-20ms'}",
	"'blockdev-add', 'arguments': {'driver': 'raw', 'node-name': 'n%1$u', "
	"'file': 'n%2$u'}",
	"'blockdev-add', 'arguments': {'driver': 'throttle', 'node-name': "
	"'n%1$u', 'throttle-group': 'g%2$u', 'file': {'driver': 'null-co', "
	"'size': 8388608}}",
	"'blockdev-del', 'arguments': {'node-name': 'n%1$u'}",
	"'block_resize', 'arguments': {'node-name': 'n%1$u', 'size': 8388608}",
	"'block_resize', 'arguments': {'node-name': 'n%1$u', 'size': 1048576}",
	/* exports */
	"'block-export-add', 'arguments': {'type': 'vhost-user-blk', 'id': "
	"'r%1$u', 'node-name': 'n%1$u', 'writable': true, 'num-queues': 2, "
	"'addr': {'type': 'unix', 'path': 'r%1$u.sock'}}",
	"'block-export-add', 'arguments': {'type': 'vhost-user-blk', 'id': "
	"'r%1$u', 'node-name': 'n%1$u', 'writable': true, 'num-queues': 2, "
	"'iothread': ['t0', 't%2$u'], 'addr': {'type': 'unix', 'path': "
	"'r%1$u.sock'}}",
	"'block-export-del', 'arguments': {'id': 'r%1$u', 'mode': 'hard'}",
	"'block-export-del', 'arguments': {'id': 'r%1$u'}",
	"'x-export-pause', 'arguments': {'id': 'r%1$u'}",
	"'x-export-pause', 'arguments': {'id': 'e0'}",
	"'x-export-drain', 'arguments': {'id': 'r%1$u'}",
	"'x-export-drain', 'arguments': {'id': 'e0'}",
	"'x-export-resume', 'arguments': {'id': 'r%1$u'}",
	"'x-export-resume', 'arguments': {'id': 'e0'}",
	"'x-export-move', 'arguments': {'id': 'r%1$u', 'iothread': 't%2$u'}",
	"'x-export-move', 'arguments': {'id': 'e0', 'iothread': 't%2$u'}",
	"'x-export-limit', 'arguments': {'id': 'r%1$u', 'limits': "
	"{'iops-total': 100}}",
	"'x-export-limit', 'arguments': {'id': 'r%1$u', 'limits': {}}",
	/* objects */
	"'object-add', 'arguments': {'qom-type': 'iothread', 'id': 't%1$u'}",
	"'object-del', 'arguments': {'id': 't%1$u'}",
	"'object-add', 'arguments': {'qom-type': 'throttle-group', 'id': "
	"'g%1$u', 'limits': {'iops-total': 1000}}",
	"'object-del', 'arguments': {'id': 'g%1$u'}",
	"'qom-set', 'arguments': {'path': 'g%1$u', 'property': 'limits', "
	"'value': {'iops-total': %2$u}}",
	/* all of it */
	"'query-block-exports'",
	"'query-named-block-nodes'",
	"'query-iothreads'",
	"'query-blockstats'",
	"'x-query-stats'",
	"'x-config-reload', 'arguments': {'mode': 'hard'}",
	"'x-config-reload'",
};

struct racer {
	int fd; /* -1: not connected */
};

static unsigned int below(unsigned int nr)
{
	return (unsigned int)random() % nr;
}

static void leave(struct racer *racer)
{
	rh_fd_close(&racer->fd);
}

static void say(struct racer *racer, const char *text, size_t nr)
{
	if (send(racer->fd, text, nr, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)nr)
		leave(racer);
}

static void come(struct racer *racer, const char *path)
{
	static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	racer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(racer->fd, (struct sockaddr *)&address,
				 sizeof(address)),
			 0);
	say(racer, hello, strlen(hello));
}

/* Some of them in one piece. */
static void command(struct racer *racer)
{
	char text[4096];
	size_t at = 0;

	for (unsigned int nr = 1 + below(6); nr; nr--) {
		int length =
			snprintf(text + at, sizeof(text) - at, "{'execute': ");

		at += (size_t)length;
		length = snprintf(text + at, sizeof(text) - at,
				  commands[below(ARRAY_SIZE(commands))],
				  below(NR_NODES), below(NR_NODES));
		at += (size_t)length;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "}\n");
		assert_true(at < sizeof(text));
	}
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	say(racer, text, at);
}

/* Whatever there is; what is not there by then comes, or does not. */
static void listen_to(struct racer *racer, int wait_msec)
{
	struct pollfd ready = { .fd = racer->fd, .events = POLLIN };
	char answers[16384];

	while (poll(&ready, 1, wait_msec) == 1 &&
	       recv(racer->fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		wait_msec = 0;
}

static void do_something(struct racer *racer, const struct server *server)
{
	if (racer->fd < 0) {
		come(racer, server->socket);
		return;
	}
	switch (below(8)) {
	case 0:
		leave(racer);
		break;
	case 1:
	case 2:
		listen_to(racer, ANSWER_MSEC);
		break;
	default:
		command(racer);
	}
}

/* Front-ends of disks that are there by chance. */
struct guests {
	struct daemon *daemon;
	pthread_t threads[NR_GUESTS];
	atomic_bool ends;
	atomic_uint nr_served;
};

static void be_a_guest(struct guests *guests, unsigned int disk)
{
	struct server at = guests->daemon->server;
	struct client client = { 0 };

	snprintf(at.socket, sizeof(at.socket), "%s/r%u.sock", at.dir, disk);
	if (client_open(&client, &at, NULL) == 0) {
		client.blks[0].timeout_msec = GUEST_MSEC;
		if (client_load(&client, 0, 200) == 0)
			atomic_fetch_add(&guests->nr_served, 1);
	}
	client_close(&client);
}

static void *be_guests(void *opaque)
{
	struct guests *guests = opaque;

	for (unsigned int i = 0; !atomic_load(&guests->ends); i++) {
		be_a_guest(guests, i % NR_NODES);
		usleep(1000);
	}
	return NULL;
}

/* So long, and until a guest was served, which takes some luck. */
static void race(struct daemon *daemon, const struct guests *guests, int msec)
{
	struct racer racers[NR_CLIENTS];
	uint64_t deadline = fe_deadline(msec);
	uint64_t patience = fe_deadline(msec + FE_PATIENCE_MSEC);

	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		racers[i].fd = -1;
	while (fe_now_usec() < deadline ||
	       (!atomic_load(&guests->nr_served) && fe_now_usec() < patience)) {
		for (unsigned int i = 0; i < NR_CLIENTS; i++)
			do_something(&racers[i], &daemon->server);
		assert_true(server_runs(&daemon->server));
	}
	for (unsigned int i = 0; i < NR_CLIENTS; i++)
		leave(&racers[i]);
}

static int number_of(const char *name, int usual)
{
	const char *value = getenv(name);

	return value ? atoi(value) : usual;
}

static void start(struct daemon *daemon)
{
	static const char *const options[] = {
		"--config",
		"conf",
		"--object",
		"iothread,id=t0",
		"--blockdev",
		"file,node-name=disk0,filename=a.img",
		"--export",
		"vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
		"addr.path=e0.sock,writable=on,num-queues=2",
		NULL,
	};
	FILE *file;

	daemon_prepare(daemon);
	file = fopen(daemon_at(daemon, "conf")->socket, "w");
	assert_non_null(file);
	fputs("[blockdev n0]\ndriver = null-co\nsize = 8M\n"
	      "[export r0]\nnode-name = n0\naddr.type = unix\n"
	      "addr.path = r0.sock\nwritable = on\n",
	      file);
	fclose(file);
	daemon_begin(daemon, options);
}

static void commands_that_cross_harm_nobody(void **state)
{
	struct guests guests = { 0 };
	struct daemon daemon;
	struct load load;

	(void)state;
	start(&daemon);
	guests.daemon = &daemon;
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
	for (unsigned int i = 0; i < NR_GUESTS; i++)
		pthread_create(&guests.threads[i], NULL, be_guests, &guests);
	race(&daemon, &guests, number_of("RACE_MSEC", RACE_MSEC));
	atomic_store(&guests.ends, true);
	for (unsigned int i = 0; i < NR_GUESTS; i++)
		pthread_join(guests.threads[i], NULL);
	assert_true(atomic_load(&guests.nr_served) > 0);
	qmp_do(&daemon.qmp, "x-export-resume", "{'id': 'e0'}");
	load_goes_on(&load);
	load_end(&load);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	daemon_stop(&daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_that_cross_harm_nobody),
	};
	int seed = number_of("RACE_SEED", (int)(fe_now_usec() & 0xffffff));

	if (server_is_missing())
		return 0;
	printf("# RACE_SEED=%d\n", seed);
	srandom((unsigned int)seed);
	return cmocka_run_group_tests_name("daemon-race", tests, NULL, NULL);
}

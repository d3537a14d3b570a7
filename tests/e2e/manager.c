/* SPDX-License-Identifier: MIT */
/* manager - a service manager, as a program that it starts sees it */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include "tests/e2e/manager.h"
#include "tests/frontend/clock.h"

#define FIRST_FD 3
#define SAFE_FD	 50 /* above all that is passed on */

static struct manager *current;

static int bind_to(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				      strlen(path));
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	return fd;
}

void manager_begin(struct manager *manager)
{
	snprintf(manager->dir, sizeof(manager->dir), "/tmp/ringhost-XXXXXX");
	assert_non_null(mkdtemp(manager->dir));
	snprintf(manager->address, sizeof(manager->address), "%s%s/notify",
		 manager->abstract ? "@" : "", manager->dir);
	manager->fd = bind_to(manager->address, SOCK_DGRAM);
	manager->nr_sockets = 0;
	manager->said[0] = '\0';
	current = manager;
}

void manager_end(struct manager *manager)
{
	current = NULL;
	for (unsigned int i = 0; i < manager->nr_sockets; i++) {
		close(manager->sockets[i]);
		unlink(manager->paths[i]);
	}
	close(manager->fd);
	unlink(manager->address);
	assert_int_equal(rmdir(manager->dir), 0);
}

void manager_listen(struct manager *manager)
{
	unsigned int i = manager->nr_sockets++;

	snprintf(manager->paths[i], sizeof(manager->paths[i]), "%s/s%u",
		 manager->dir, i);
	manager->sockets[i] = bind_to(manager->paths[i], SOCK_STREAM);
	assert_int_equal(listen(manager->sockets[i], 8), 0);
}

static void set_number(const char *name, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	setenv(name, text, 1);
}

/* Below SAFE_FD nothing is left that must not be overwritten. */
static void pass_sockets(const struct manager *manager)
{
	int safe[MANAGER_MAX_SOCKETS];

	for (unsigned int i = 0; i < manager->nr_sockets; i++)
		safe[i] = fcntl(manager->sockets[i], F_DUPFD_CLOEXEC, SAFE_FD);
	for (unsigned int i = 0; i < manager->nr_sockets; i++)
		if (dup2(safe[i], FIRST_FD + (int)i) < 0)
			_exit(1);
	set_number("LISTEN_FDS", manager->nr_sockets);
	set_number("LISTEN_PID", getpid());
	if (manager->names)
		setenv("LISTEN_FDNAMES", manager->names, 1);
}

void manager_prepare(const struct server *server)
{
	const struct manager *manager = current;

	(void)server;
	setenv("NOTIFY_SOCKET", manager->address, 1);
	if (manager->watchdog_usec) {
		set_number("WATCHDOG_USEC", manager->watchdog_usec);
		set_number("WATCHDOG_PID",
			   getpid() + (manager->watchdog_of_others ? 1 : 0));
	}
	if (manager->nr_sockets)
		pass_sockets(manager);
}

/* Of the last message. Returns NULL if it has none. */
static const char *find_line(const struct manager *manager, const char *line)
{
	const char *at = manager->said;

	while (at && strncmp(at, line, strlen(line)) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? at + strlen(line) : NULL;
}

static bool hear(struct manager *manager, int timeout_msec)
{
	struct pollfd poll_fd = { .fd = manager->fd, .events = POLLIN };
	ssize_t bytes;

	if (poll(&poll_fd, 1, timeout_msec) <= 0)
		return false;
	bytes = recv(manager->fd, manager->said, sizeof(manager->said) - 1, 0);
	assert_true(bytes > 0);
	manager->said[bytes] = '\0';
	return true;
}

const char *manager_hears(struct manager *manager, const char *line)
{
	const char *rest = NULL;

	while (!rest) {
		if (!hear(manager, FE_PATIENCE_MSEC))
			fail_msg("nobody says %s", line);
		rest = find_line(manager, line);
	}
	return rest;
}

void manager_has_not_heard(struct manager *manager, const char *line)
{
	while (hear(manager, 0)) {
		if (find_line(manager, line))
			fail_msg("somebody has said %s", manager->said);
	}
}

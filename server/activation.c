/* SPDX-License-Identifier: MIT */
/*
 * activation - sockets that the service manager has made for the process
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/activation.h"

#define TAG	 "ringhost"
#define FIRST_FD 3

/* Digits only. Returns -1 for all else. */
static long parse(const char *text)
{
	char *end;
	long number;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	number = strtol(text, &end, 10);
	return errno || *end ? -1 : number;
}

/* names: "one:two:three", or NULL. */
static int name_all(struct activation *activation, const char *names)
{
	char *rest;

	activation->names = strdup(names ? names : "");
	if (!activation->names)
		return -ENOMEM;
	rest = activation->names;
	for (unsigned int i = 0; i < activation->nr; i++) {
		char *name = strsep(&rest, ":");

		activation->sockets[i].name = name ? name : "";
	}
	return 0;
}

/* nr: what the environment says. */
static int take_all(struct activation *activation, long nr)
{
	if (nr < 0 || nr > ACTIVATION_MAX_SOCKETS) {
		rh_log(RH_LOG_ERROR, TAG,
		       "LISTEN_FDS=%s is refused: it takes a number from 0 to "
		       "%d",
		       getenv("LISTEN_FDS"), ACTIVATION_MAX_SOCKETS);
		return -EINVAL;
	}
	for (long i = 0; i < nr; i++) {
		int fd = FIRST_FD + (int)i;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			rh_log(RH_LOG_ERROR, TAG,
			       "LISTEN_FDS=%ld, but fd %d is not open", nr, fd);
			return -EBADF;
		}
		activation->sockets[i].fd = fd;
		activation->nr++;
	}
	return name_all(activation, getenv("LISTEN_FDNAMES"));
}

int activation_take(struct activation *activation)
{
	int error = 0;

	activation->nr = 0;
	activation->names = NULL;
	if (parse(getenv("LISTEN_PID")) == (long)getpid())
		error = take_all(activation, parse(getenv("LISTEN_FDS")));
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return error;
}

void activation_release(struct activation *activation)
{
	for (unsigned int i = 0; i < activation->nr; i++)
		rh_fd_close(&activation->sockets[i].fd);
	activation->nr = 0;
	free(activation->names);
	activation->names = NULL;
}

const struct activation_socket *
activation_find(const struct activation *activation, const char *name)
{
	long number = parse(name);

	for (unsigned int i = 0; i < activation->nr; i++) {
		if (*name && !strcmp(activation->sockets[i].name, name))
			return &activation->sockets[i];
	}
	for (unsigned int i = 0; i < activation->nr; i++) {
		if (activation->sockets[i].fd == number)
			return &activation->sockets[i];
	}
	return NULL;
}

int activation_duplicate(const struct activation_socket *socket)
{
	int fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, FIRST_FD);

	return fd < 0 ? -errno : fd;
}

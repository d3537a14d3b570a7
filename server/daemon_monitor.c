/* SPDX-License-Identifier: MIT */
/*
 * daemon_monitor - the control sockets of the daemon
 *
 * Only the user who runs it may connect: who can, can open any image that it
 * may open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ringhost/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/daemon_internal.h"
#include "server/record.h"

#define TAG	    "ringhost"
#define SOCKET_MODE 0600

static void run(void *opaque, const char *name, struct qmp_call *call)
{
	record_run(opaque, name, call);
}

void daemon_remove_monitor(struct monitor *monitor)
{
	list_remove(&monitor->link);
	qmp_monitor_destroy(monitor->monitor);
	socket_file_remove(&monitor->socket_file);
	free(monitor->path);
	free(monitor);
}

/* fd: listens; taken in any case. */
static int serve_clients(struct daemon *daemon, struct monitor *monitor,
			 bool pretty, int fd)
{
	const struct qmp_commands commands = { .run = run, .opaque = daemon };
	const struct qmp_monitor_options options = {
		.fd = fd,
		.listening = true,
		.pretty = pretty,
	};
	int error = qmp_monitor_create(&daemon->loop, &commands, &options,
				       &monitor->monitor);

	monitor->pretty = pretty;
	if (error)
		rh_fd_close(&fd);
	return error;
}

static int listen_at(struct monitor *monitor, const char *path, int *fd)
{
	int error;

	monitor->path = strdup(path);
	if (!monitor->path)
		return -ENOMEM;
	error = rh_socket_listen(path, SOCKET_MODE, (gid_t)-1, fd);
	return error ? error :
		       socket_file_hold(&monitor->socket_file, monitor->path);
}

static struct monitor *allocate(void)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return NULL;
	list_init(&monitor->link);
	socket_file_init(&monitor->socket_file);
	return monitor;
}

static int finish(struct daemon *daemon, struct monitor *monitor, int error,
		  const char *where)
{
	if (!error) {
		list_append(&daemon->monitors, &monitor->link);
		return 0;
	}
	rh_log(RH_LOG_ERROR, TAG, "cannot listen for commands on %s: %s", where,
	       strerror(-error));
	if (monitor)
		daemon_remove_monitor(monitor);
	return error;
}

void daemon_forget_monitors(struct daemon *daemon)
{
	list_for_each(link, &daemon->monitors) {
		qmp_monitor_stop_listening(monitor_of(link)->monitor);
		socket_file_forget(&monitor_of(link)->socket_file);
	}
	daemon_remove_metrics(daemon);
}

int daemon_add_monitor(struct daemon *daemon, const char *path, bool pretty)
{
	struct monitor *monitor = allocate();
	cleanup_close int fd = -1;
	int error = monitor ? listen_at(monitor, path, &fd) : -ENOMEM;

	if (!error)
		error = serve_clients(daemon, monitor, pretty, steal_fd(&fd));
	return finish(daemon, monitor, error, path);
}

int daemon_adopt_monitor(struct daemon *daemon,
			 const struct activation_socket *passed, bool pretty)
{
	struct monitor *monitor = allocate();
	int kind = rh_socket_is_listening(passed->fd);
	int error = monitor ? MIN(kind, 0) : -ENOMEM;
	char where[128];
	int fd;

	if (kind == 0)
		error = -ENOTCONN;
	fd = error ? error : activation_duplicate(passed);
	if (fd >= 0)
		error = serve_clients(daemon, monitor, pretty, fd);
	else
		error = fd;
	snprintf(
		where, sizeof(where),
		"fd %d (%.64s), which has to be a listening UNIX stream socket",
		passed->fd, passed->name);
	return finish(daemon, monitor, error, where);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon_monitor - the control sockets of the daemon
 *
 * Only the user who runs it may connect: who can, can open any image that it
 * may open.
 */
#include <errno.h>
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

static int open_monitor(struct daemon *daemon, struct monitor *monitor,
			bool pretty)
{
	const struct qmp_commands commands = { .run = run, .opaque = daemon };
	struct qmp_monitor_options options = { .listening = true,
					       .pretty = pretty };
	cleanup_close int fd = -1;
	int error =
		rh_socket_listen(monitor->path, SOCKET_MODE, (gid_t)-1, &fd);

	if (!error)
		error = socket_file_hold(&monitor->socket_file, monitor->path);
	if (error)
		return error;
	options.fd = fd;
	error = qmp_monitor_create(&daemon->loop, &commands, &options,
				   &monitor->monitor);
	if (!error)
		steal_fd(&fd);
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
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	int error = -ENOMEM;

	if (!monitor)
		return error;
	list_init(&monitor->link);
	socket_file_init(&monitor->socket_file);
	monitor->pretty = pretty;
	monitor->path = strdup(path);
	if (monitor->path)
		error = open_monitor(daemon, monitor, pretty);
	if (error) {
		rh_log(RH_LOG_ERROR, TAG,
		       "cannot listen for commands on %s: %s", path,
		       strerror(-error));
		daemon_remove_monitor(monitor);
		return error;
	}
	list_append(&daemon->monitors, &monitor->link);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * monitor - the control socket: who connects is a client of the commands
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/qmp/monitor.h"

#define TAG	   "qmp"
#define RETRY_NSEC 100000000

struct qmp_monitor {
	struct qmp_host host;
	struct qmp_commands commands;
	struct loop_watch watch; /* of the listening socket */
	int fd;			 /* -1: it serves one connected client */
	struct loop_watch retry; /* when there was no room for a client */
	int retry_fd;		 /* timerfd */
	bool pretty;
	struct list_node clients;
	unsigned int nr_clients;
	struct log_limit log_limit;
};

struct client {
	struct list_node link;
	struct qmp_session *session;
};

static struct client *client_of(struct list_node *node)
{
	return container_of(node, struct client, link);
}

static void run(struct qmp_host *host, const char *name, struct qmp_call *call)
{
	struct qmp_monitor *monitor =
		container_of(host, struct qmp_monitor, host);

	monitor->commands.run(monitor->commands.opaque, name, call);
}

static void remove_client(struct qmp_monitor *monitor, struct client *client)
{
	list_remove(&client->link);
	monitor->nr_clients--;
	qmp_session_destroy(client->session);
	free(client);
}

static void session_ended(struct qmp_host *host,
			  const struct qmp_session *session)
{
	struct qmp_monitor *monitor =
		container_of(host, struct qmp_monitor, host);

	list_for_each(node, &monitor->clients) {
		if (client_of(node)->session != session)
			continue;
		remove_client(monitor, client_of(node));
		return;
	}
}

static int add_client(struct qmp_monitor *monitor, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (!client)
		return -ENOMEM;
	error = qmp_session_create(&monitor->host, fd, monitor->pretty,
				   &client->session);
	if (error) {
		free(client);
		return error;
	}
	list_append(&monitor->clients, &client->link);
	monitor->nr_clients++;
	return 0;
}

static void complain(struct qmp_monitor *monitor, const char *what, int error)
{
	rh_log_limited(&monitor->log_limit, RH_LOG_WARNING, TAG, "%s: %s", what,
		       strerror(-error));
}

/* Clients wait, and we do not wake up for them all the time. */
static void accept_later(struct qmp_monitor *monitor)
{
	const struct itimerspec soon = { .it_value.tv_nsec = RETRY_NSEC };

	if (timerfd_settime(monitor->retry_fd, 0, &soon, NULL) == 0)
		loop_change(monitor->host.loop, &monitor->watch, 0);
}

static void accept_again(struct loop_watch *watch, uint32_t events)
{
	struct qmp_monitor *monitor =
		container_of(watch, struct qmp_monitor, retry);
	uint64_t nr_expired;

	(void)events;
	if (read(monitor->retry_fd, &nr_expired, sizeof(nr_expired)) > 0)
		loop_change(monitor->host.loop, &monitor->watch, EPOLLIN);
}

static void accept_client(struct loop_watch *watch, uint32_t events)
{
	struct qmp_monitor *monitor =
		container_of(watch, struct qmp_monitor, watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int error;

	(void)events;
	if (fd < 0) {
		error = -errno;
		if (error == -EAGAIN || error == -EINTR ||
		    error == -ECONNABORTED)
			return;
		complain(monitor, "cannot accept a client", error);
		accept_later(monitor);
		return;
	}
	error = monitor->nr_clients < QMP_MAX_CLIENTS ?
			add_client(monitor, fd) :
			-EUSERS;
	if (error) {
		complain(monitor, "a client is sent away", error);
		close(fd);
	}
}

static int listen_for_clients(struct qmp_monitor *monitor, int fd)
{
	struct loop *loop = monitor->host.loop;
	int error;

	monitor->retry_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (monitor->retry_fd < 0)
		return -errno;
	error = loop_add(loop, &monitor->retry, monitor->retry_fd, EPOLLIN);
	return error ? error : loop_add(loop, &monitor->watch, fd, EPOLLIN);
}

int qmp_monitor_create(struct loop *loop, const struct qmp_commands *commands,
		       const struct qmp_monitor_options *options,
		       struct qmp_monitor **ret)
{
	struct qmp_monitor *monitor = calloc(1, sizeof(*monitor));
	int error;

	if (!monitor)
		return -ENOMEM;
	*monitor = (struct qmp_monitor){
		.host = { .loop = loop, .run = run, .ended = session_ended },
		.commands = *commands,
		.watch = { .fd = -1, .ready = accept_client },
		.fd = -1,
		.retry = { .fd = -1, .ready = accept_again },
		.retry_fd = -1,
		.pretty = options->pretty,
	};
	list_init(&monitor->clients);
	error = rh_fd_set_nonblocking(options->fd);
	if (!error && options->listening)
		error = listen_for_clients(monitor, options->fd);
	else if (!error)
		error = add_client(monitor, options->fd);
	if (error) {
		qmp_monitor_destroy(monitor);
		return error;
	}
	if (options->listening)
		monitor->fd = options->fd;
	*ret = monitor;
	return 0;
}

void qmp_monitor_stop_listening(struct qmp_monitor *monitor)
{
	loop_remove(monitor->host.loop, &monitor->watch);
	loop_remove(monitor->host.loop, &monitor->retry);
	rh_fd_close(&monitor->retry_fd);
	rh_fd_close(&monitor->fd);
}

void qmp_monitor_destroy(struct qmp_monitor *monitor)
{
	if (!monitor)
		return;
	list_for_each(node, &monitor->clients)
		remove_client(monitor, client_of(node));
	qmp_monitor_stop_listening(monitor);
	free(monitor);
}

void qmp_monitor_tell(struct qmp_monitor *monitor, json_t *event)
{
	list_for_each(node, &monitor->clients)
		qmp_session_tell(client_of(node)->session, event);
}

/* SPDX-License-Identifier: MIT */
/*
 * server - the export, its workers, signals, and the order of the shutdown
 *
 * Signals arrive through a signalfd, so that the loop is one poll(2) and no
 * handler runs anywhere. Order at the end: the listener goes, the session's
 * queues drain, then the socket's path, the export and at last the workers,
 * which no queue needs any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ringhost/device.h>
#include <ringhost/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/notify.h"
#include "server/server.h"
#include "server/sizes.h"
#include "server/socket_file.h"

#define TAG "ringhost"

struct server {
	struct server_options options;
	struct worker **workers;
	unsigned int nr_workers; /* that exist */
	struct node *node;
	struct export *export;
	struct socket_file socket_file; /* to be removed at the end */
	struct notify notify;
	int signal_fd;
	bool stopping;
};

static int block_signals(const struct server_options *options, int *ret)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1,
				       SIGCHLD };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (options->driver->user_signal)
		sigaddset(&set, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

/* A front-end that shrinks its memory must end its session, not us. */
static int guard_memory(void)
{
	int error = rh_device_guard_memory();

	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot handle SIGBUS: %s",
		       strerror(-error));
	return error;
}

/* The first one shows whether this host allows io_uring. */
static int create_worker(struct server *server, enum engine_kind *kind)
{
	const struct server_options *options = &server->options;
	bool settled = options->engine_given || server->nr_workers > 0;
	char name[32];
	int error;

	snprintf(name, sizeof(name), "%s/w%u", options->export.name,
		 server->nr_workers);
	error = worker_create_or_fall_back(
		name, kind, settled, options->poll_usec,
		&server->workers[server->nr_workers]);
	if (!error)
		server->nr_workers++;
	return error;
}

static int create_workers(struct server *server)
{
	unsigned int nr_workers = server->options.nr_workers;
	enum engine_kind kind = server->options.engine;
	int error;

	server->workers = calloc(nr_workers, sizeof(*server->workers));
	if (!server->workers)
		return -ENOMEM;
	do {
		error = create_worker(server, &kind);
	} while (!error && server->nr_workers < nr_workers);
	return error;
}

static int start_workers(struct server *server)
{
	for (unsigned int i = 0; i < server->nr_workers; i++) {
		int error = worker_start(server->workers[i]);

		if (!error)
			continue;
		rh_log(RH_LOG_ERROR, TAG, "cannot start worker %u of %u: %s",
		       i + 1, server->nr_workers, strerror(-error));
		return error;
	}
	return 0;
}

/* Who finds no memory passes that on, and leaves it to us to say so. */
static void tell_of_memory(const char *name)
{
	rh_log(RH_LOG_ERROR, TAG, "there is not enough memory to serve %s",
	       name);
}

int server_create(const struct server_options *options, struct server **ret)
{
	struct server *server = calloc(1, sizeof(*server));
	int error;

	if (!server) {
		tell_of_memory(options->export.name);
		return -ENOMEM;
	}
	server->options = *options;
	server->options.driver_options.nr_workers = options->nr_workers;
	server->signal_fd = -1;
	server->notify = (struct notify){ .fd = -1, .timer_fd = -1 };
	socket_file_init(&server->socket_file);
	/* A front-end may send 509 regions, and 3 fds for each queue. */
	rh_fd_allow_many();
	error = block_signals(options, &server->signal_fd);
	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot receive signals: %s",
		       strerror(-error));
	if (!error)
		error = guard_memory();
	if (!error)
		error = create_workers(server);
	if (!error)
		error = node_open(server->options.driver,
				  &server->options.driver_options,
				  &server->node);
	if (!error)
		error = export_create(&server->options.export, server->node,
				      server->workers, server->nr_workers,
				      &server->export);
	if (error) {
		if (error == -ENOMEM)
			tell_of_memory(options->export.name);
		server_destroy(server);
		return error;
	}
	*ret = server;
	return 0;
}

void server_destroy(struct server *server)
{
	if (!server)
		return;
	if (server->export)
		export_stop(server->export);
	export_destroy(server->export);
	node_close(server->node);
	socket_file_remove(&server->socket_file);
	for (unsigned int i = 0; i < server->nr_workers; i++)
		worker_destroy(server->workers[i]);
	free(server->workers);
	rh_fd_close(&server->signal_fd);
	notify_close(&server->notify);
	free(server);
}

static void log_listen_error(const char *path, int error)
{
	switch (error) {
	case -EADDRINUSE:
		rh_log(RH_LOG_ERROR, TAG,
		       "another process listens on %s: stop it, or choose "
		       "another path with --socket-path",
		       path);
		break;
	case -EEXIST:
		rh_log(RH_LOG_ERROR, TAG,
		       "%s exists and is not a socket, so it is left alone: "
		       "choose another path with --socket-path",
		       path);
		break;
	case -ENAMETOOLONG:
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is too long for a socket, which has 107 bytes: "
		       "choose another path with --socket-path",
		       path);
		break;
	default:
		rh_log(RH_LOG_ERROR, TAG,
		       "cannot listen on %s: %s; another path can be given "
		       "with --socket-path",
		       path, strerror(-error));
	}
}

static int serve_fd(struct server *server, int fd, bool listening)
{
	int error = export_serve(server->export, fd, listening);

	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot serve on fd %d: %s", fd,
		       strerror(-error));
	return error;
}

int server_listen(struct server *server, const char *path, mode_t mode,
		  gid_t gid)
{
	int fd;
	int error = rh_socket_listen(path, mode, gid, &fd);

	if (error) {
		log_listen_error(path, error);
		return error;
	}
	error = socket_file_hold(&server->socket_file, path);
	if (error)
		log_listen_error(path, error);
	else
		error = serve_fd(server, fd, true);
	if (error)
		rh_fd_close(&fd);
	return error;
}

int server_adopt(struct server *server, int fd)
{
	int kind = rh_socket_is_listening(fd);

	if (kind < 0) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--fd=%d is no UNIX stream socket (%s): pass one that "
		       "listens or is connected",
		       fd, strerror(-kind));
		return kind;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return serve_fd(server, fd, kind > 0);
}

int server_connect(struct server *server, int fd)
{
	return serve_fd(server, fd, false);
}

int server_start(struct server *server, pid_t child)
{
	const struct sandbox_options options = {
		.mode = server->options.sandbox,
		.directory_fd = server->socket_file.directory_fd,
		.file_name = server->socket_file.name,
		.child = child,
	};
	int error = sandbox_enter(&options);

	return error ? error : start_workers(server);
}

void server_tell_manager(struct server *server)
{
	notify_open(&server->notify);
}

static void tell_exports(struct server *server)
{
	notify_exports(&server->notify, 1, export_peer(server->export) != -1);
}

void server_ready(struct server *server)
{
	tell_exports(server);
	notify_ready(&server->notify);
}

void server_stop(struct server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	notify_stopping(&server->notify);
	export_stop(server->export);
}

/* The image's size may have changed. */
static void resize(struct server *server)
{
	uint64_t old_bytes;
	int outcome = node_refresh(server->node, &old_bytes);

	if (outcome > 0)
		export_resized(server->export, old_bytes);
	else if (outcome == 0)
		rh_log(RH_LOG_INFO, server->node->name,
		       "the image still has %s", sizes_format(old_bytes).text);
}

static void take_signal(struct server *server,
			const struct signalfd_siginfo *info)
{
	switch (info->ssi_signo) {
	case SIGUSR1:
		resize(server);
		break;
	case SIGUSR2:
		server->node->driver->ops->user_signal(server->node->driver);
		break;
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
		rh_log(RH_LOG_INFO, TAG,
		       "signal %u: finishing what is under way",
		       info->ssi_signo);
		server_stop(server);
		break;
	}
}

static void take_signals(struct server *server, struct server_watch *watch)
{
	struct signalfd_siginfo info;

	while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (!watch || !watch->signal(watch, &info))
			take_signal(server, &info);
	}
}

static bool is_done(const struct server *server,
		    const struct server_watch *watch)
{
	return export_finished(server->export) && !(watch && watch->busy);
}

static bool has_served_enough(const struct server *server)
{
	return server->options.exit_on_disconnect &&
	       export_nr_sessions_ended(server->export) > 0;
}

int server_run(struct server *server, struct server_watch *watch)
{
	struct pollfd fds[] = {
		{ .fd = server->signal_fd, .events = POLLIN },
		{ .fd = export_fd(server->export), .events = POLLIN },
		{ .fd = notify_fd(&server->notify), .events = POLLIN },
	};
	int error = 0;

	while (!is_done(server, watch)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR) {
			error = -errno;
			rh_log(RH_LOG_ERROR, TAG, "cannot wait for events: %s",
			       strerror(-error));
			return error;
		}
		take_signals(server, watch);
		error = export_run(server->export);
		if (fds[2].revents)
			notify_run(&server->notify);
		tell_exports(server);
		if (error || has_served_enough(server))
			server_stop(server);
	}
	return error;
}

const char *server_engine_name(const struct server *server)
{
	return worker_engine_name(server->workers[0]);
}

const struct driver_info *server_disk(const struct server *server)
{
	return &server->node->driver->info;
}

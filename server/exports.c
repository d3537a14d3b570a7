/* SPDX-License-Identifier: MIT */
/*
 * exports - the exports of the process by their id, each with its socket
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include <ringhost/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/exports.h"

#define TAG "ringhost"

void exports_init(struct exports *exports, struct loop *loop,
		  const struct exports_ops *ops)
{
	exports->loop = loop;
	exports->ops = ops;
	exports->moved_on = NULL;
	list_init(&exports->list);
}

/* It has ended, or has never had a socket. */
void exports_destroy_one(struct published *published)
{
	list_remove(&published->link);
	loop_remove(published->exports->loop, &published->watch);
	export_destroy(published->export);
	socket_file_remove(&published->socket_file);
	free(published->path);
	free(published->id);
	free(published);
}

void exports_deinit(struct exports *exports)
{
	list_for_each(node, &exports->list)
		exports_destroy_one(published_of(node));
}

struct published *exports_find(struct exports *exports, const char *id)
{
	list_for_each(node, &exports->list) {
		if (!strcmp(published_of(node)->id, id))
			return published_of(node);
	}
	return NULL;
}

static void finish_if_ended(struct published *published)
{
	struct exports *exports = published->exports;
	char *id;

	if (!export_finished(published->export))
		return;
	id = published->id;
	published->id = NULL;
	exports_destroy_one(published);
	exports->ops->ended(exports, id);
	free(id);
}

static void export_ready(struct loop_watch *watch, uint32_t events)
{
	struct published *published =
		container_of(watch, struct published, watch);
	struct exports *exports = published->exports;

	(void)events;
	if (export_run(published->export) < 0)
		export_stop(published->export); /* it has said why */
	finish_if_ended(published);
	if (exports->moved_on)
		exports->moved_on(exports);
}

/* Then it is not the permissions that forbid it. */
static bool may_write_directory_of(const char *path)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(directory, sizeof(directory), "%.*s",
			 (int)(slash - path) + 1, path);
	return !faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS);
}

static void log_listen_error(const char *id, const char *path, int error)
{
	const char *why = strerror(-error);

	if (error == -EACCES && may_write_directory_of(path))
		why = "the permissions allow it, but a confined daemon makes "
		      "sockets in the directories of --allow-path";
	else if (error == -EPERM)
		why = "it cannot get that group: a daemon that has given up "
		      "its capabilities takes groups that its user is in";
	else if (error == -EADDRINUSE)
		why = "another process listens there";
	else if (error == -EEXIST)
		why = "it exists and is not a socket, so it is left alone";
	else if (error == -ENAMETOOLONG)
		why = "a socket's path has at most 107 bytes";
	rh_log(RH_LOG_ERROR, id, "cannot listen on %s: %s", path, why);
}

static int listen_on_path(struct published *published,
			  const struct exports_spec *spec)
{
	cleanup_close int fd = -1;
	int error = rh_socket_listen(spec->path, spec->mode, spec->gid, &fd);

	if (!error)
		error = socket_file_hold(&published->socket_file,
					 published->path);
	if (!error)
		error = export_serve(published->export, fd, true);
	if (error)
		log_listen_error(published->id, spec->path, error);
	else
		steal_fd(&fd);
	return error;
}

static int serve_fd(struct published *published, int fd)
{
	int kind = rh_socket_is_listening(fd);
	int error = kind;

	if (kind >= 0)
		error = export_serve(published->export, fd, kind > 0);
	if (error < 0)
		rh_log(RH_LOG_ERROR, published->id,
		       "cannot serve on fd %d, which has to be a UNIX stream "
		       "socket: %s",
		       fd, strerror(-error));
	return MIN(error, 0);
}

/*
 * By its number, which may as well be that of a file descriptor of our own:
 * those have this flag from birth, and those that are inherited do not.
 */
static int serve_inherited(struct published *published, int fd)
{
	int flags = fcntl(fd, F_GETFD);
	int error;

	if (flags >= 0 && flags & FD_CLOEXEC) {
		rh_log(RH_LOG_ERROR, published->id,
		       "fd %d was not inherited, or another export serves on it",
		       fd);
		return -EBUSY;
	}
	error = serve_fd(published, fd);
	if (!error)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return error;
}

/* Another export's clients would find this disk. */
static bool is_in_use(struct exports *exports,
		      const struct activation_socket *passed)
{
	list_for_each(node, &exports->list) {
		if (published_of(node)->passed == passed)
			return true;
	}
	return false;
}

static int serve_passed(struct published *published,
			const struct activation_socket *passed)
{
	int fd;
	int error;

	if (is_in_use(published->exports, passed)) {
		rh_log(RH_LOG_ERROR, published->id,
		       "another export serves on fd %d (%s)", passed->fd,
		       passed->name);
		return -EBUSY;
	}
	fd = activation_duplicate(passed);
	error = fd < 0 ? fd : serve_fd(published, fd);
	if (error)
		rh_fd_close(&fd);
	else
		published->passed = passed;
	return error;
}

static int serve(struct published *published, const struct exports_spec *spec)
{
	int error = loop_add(published->exports->loop, &published->watch,
			     export_fd(published->export), EPOLLIN);

	if (error) {
		rh_log(RH_LOG_ERROR, published->id, "cannot be watched: %s",
		       strerror(-error));
		return error;
	}
	if (spec->later) {
		published->passed = spec->passed;
		return 0;
	}
	if (spec->path)
		return listen_on_path(published, spec);
	return spec->passed ? serve_passed(published, spec->passed) :
			      serve_inherited(published, spec->fd);
}

static struct published *listening(struct export_listener *listener)
{
	return container_of(listener, struct published, listener);
}

static void peer_changed(struct export_listener *listener)
{
	struct published *published = listening(listener);

	published->exports->ops->peer_changed(published);
}

static void connected(struct export_listener *listener, pid_t pid)
{
	struct published *published = listening(listener);

	published->exports->ops->connected(published, pid);
}

static void disconnected(struct export_listener *listener)
{
	struct published *published = listening(listener);

	published->exports->ops->disconnected(published);
}

static void io_failed(struct export_listener *listener,
		      const struct blk_failure *failure)
{
	struct published *published = listening(listener);

	published->exports->ops->io_failed(published, failure);
}

static void queue_broken(struct export_listener *listener, unsigned int queue,
			 const char *why, unsigned int nr)
{
	struct published *published = listening(listener);

	published->exports->ops->queue_broken(published, queue, why, nr);
}

static const struct export_listener_ops listener_ops = {
	.peer_changed = peer_changed,
	.connected = connected,
	.disconnected = disconnected,
	.io_failed = io_failed,
	.queue_broken = queue_broken,
};

static struct published *allocate(struct exports *exports,
				  const struct exports_spec *spec)
{
	struct published *published = calloc(1, sizeof(*published));

	if (!published)
		return NULL;
	list_init(&published->link);
	published->exports = exports;
	published->node = spec->node;
	published->writable = !spec->options.read_only;
	published->later = spec->later;
	published->listener.ops = &listener_ops;
	published->watch =
		(struct loop_watch){ .fd = -1, .ready = export_ready };
	socket_file_init(&published->socket_file);
	published->id = strdup(spec->options.name);
	published->path = spec->path ? strdup(spec->path) : NULL;
	if (published->id && (published->path || !spec->path))
		return published;
	exports_destroy_one(published);
	return NULL;
}

int exports_add(struct exports *exports, const struct exports_spec *spec)
{
	struct export_options options = spec->options;
	struct published *published;
	int error;

	if (strlen(spec->options.name) > EXPORTS_MAX_ID_BYTES) {
		rh_log(RH_LOG_ERROR, TAG,
		       "the id of a block export has at most %d bytes",
		       EXPORTS_MAX_ID_BYTES);
		return -ENAMETOOLONG;
	}
	if (exports_find(exports, spec->options.name)) {
		rh_log(RH_LOG_ERROR, TAG, "block export id '%s' already exists",
		       spec->options.name);
		return -EEXIST;
	}
	published = allocate(exports, spec);
	if (!published) {
		rh_log(RH_LOG_ERROR, spec->options.name, "out of memory");
		return -ENOMEM;
	}
	options.listener = &published->listener;
	error = export_create(&options, spec->node, spec->workers,
			      spec->nr_workers, &published->export);
	if (!error)
		error = serve(published, spec);
	if (error) {
		exports_destroy_one(published);
		return error;
	}
	list_append(&exports->list, &published->link);
	return 0;
}

/* What it takes to end it may have ended within the call. */
static void end(struct published *published)
{
	published->ending = true;
	export_stop(published->export);
	finish_if_ended(published);
}

int exports_remove(struct exports *exports, const char *id, bool hard)
{
	struct published *published = exports_find(exports, id);

	if (!published) {
		rh_log(RH_LOG_ERROR, TAG, "export '%s' is not found", id);
		return -ENOENT;
	}
	if (published->ending) {
		rh_log(RH_LOG_ERROR, TAG,
		       "export '%s' is already shutting down", id);
		return -EBUSY;
	}
	if (!hard && export_peer(published->export) != -1) {
		rh_log(RH_LOG_ERROR, TAG,
		       "export '%s' still in use: a front-end is connected; "
		       "mode 'hard' cuts it off",
		       id);
		return -EBUSY;
	}
	end(published);
	return 0;
}

bool exports_any_connected(struct exports *exports)
{
	list_for_each(node, &exports->list) {
		if (export_peer(published_of(node)->export) != -1)
			return true;
	}
	return false;
}

void exports_stop(struct exports *exports)
{
	list_for_each(node, &exports->list) {
		if (!published_of(node)->ending)
			end(published_of(node));
	}
}

bool exports_use(struct exports *exports, const struct worker *worker)
{
	list_for_each(node, &exports->list) {
		if (export_uses(published_of(node)->export, worker))
			return true;
	}
	return false;
}

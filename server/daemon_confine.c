/* SPDX-License-Identifier: MIT */
/*
 * daemon_confine - what the daemon gives up before it serves
 *
 * It has to be able to open images and make sockets later, in the paths that
 * --allow-path names. To these come the images that the command line has
 * named, since each I/O thread opens them once more; the directories of its
 * sockets and pidfile, in which these are removed at the end; and what --config
 * and --state-dir name. Who takes another one's place makes control sockets
 * when that one listens there no more, which is later than this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/daemon_internal.h"

#define TAG "ringhost"

/* Those from first_opened on are ours to close. */
struct paths {
	struct sandbox_path *list;
	unsigned int nr;
	unsigned int first_opened;
};

static unsigned int count(const struct list_node *list)
{
	unsigned int nr = 0;

	list_for_each(node, list)
		nr++;
	return nr;
}

/* Of --metrics; NULL: it is no path. */
static const char *metrics_path(const char *where)
{
	return !strncmp(where, "unix:", 5) ? where + 5 : NULL;
}

static bool has_tcp_metrics(const struct start *start)
{
	for (unsigned int i = 0; i < start->nr_metrics; i++) {
		if (!metrics_path(start->metrics[i]))
			return true;
	}
	return false;
}

static int make_room(struct paths *paths, const struct start *start,
		     const struct taker *taker)
{
	const struct daemon *daemon = &start->daemon;
	size_t nr = start->nr_allowed + 3 + start->nr_chardevs +
		    start->nr_monitors + start->nr_metrics +
		    count(&daemon->exports.list) + count(&daemon->nodes);

	if (taker)
		nr += json_array_size(taker_monitors(taker));
	paths->list = calloc(nr, sizeof(*paths->list));
	return paths->list ? 0 : -ENOMEM;
}

static void add(struct paths *paths, int fd, enum sandbox_use use)
{
	if (fd >= 0)
		paths->list[paths->nr++] =
			(struct sandbox_path){ .fd = fd, .use = use };
}

static void add_file(struct paths *paths, const char *path,
		     enum sandbox_use use)
{
	if (path)
		add(paths, open(path, O_PATH | O_CLOEXEC), use);
}

/* NULL: that of a socket which has none. */
static void add_directory_of(struct paths *paths, const char *path,
			     enum sandbox_use use)
{
	if (path)
		add(paths, socket_file_directory(path), use);
}

static void add_control_sockets(struct paths *paths, const struct start *start,
				const struct taker *taker)
{
	enum sandbox_use use = taker ? SANDBOX_SOCKET : SANDBOX_REMOVE;
	const json_t *monitor;
	size_t i;

	for (i = 0; i < start->nr_chardevs; i++)
		add_directory_of(paths, start->chardevs[i].path, use);
	for (i = 0; i < start->nr_monitors; i++)
		add_directory_of(
			paths,
			json_string_value(json_object_get(
				start->monitors[i]->arguments, "path")),
			use);
	for (i = 0; i < start->nr_metrics; i++)
		add_directory_of(paths, metrics_path(start->metrics[i]), use);
	if (!taker)
		return;
	json_array_foreach(taker_monitors(taker), i, monitor) add_directory_of(
		paths, json_string_value(json_object_get(monitor, "path")),
		use);
}

static void collect(struct paths *paths, const struct start *start,
		    const struct taker *taker)
{
	const struct daemon *daemon = &start->daemon;

	for (unsigned int i = 0; i < start->nr_allowed; i++)
		add(paths, start->allowed_fds[i], SANDBOX_SERVE);
	add(paths, start->pidfile_file.directory_fd, SANDBOX_REMOVE);
	paths->first_opened = paths->nr;
	add_control_sockets(paths, start, taker);
	list_for_each(node, &daemon->exports.list)
		add_directory_of(paths, published_of(node)->path,
				 SANDBOX_REMOVE);
	add_file(paths, start->config_path, SANDBOX_READ);
	add_file(paths, start->state_dir, SANDBOX_STATE);
	list_for_each(node, &daemon->nodes)
		add_file(paths, container_of(node, struct node, link)->image,
			 SANDBOX_SERVE);
}

static void let_go(struct paths *paths)
{
	for (unsigned int i = paths->first_opened; i < paths->nr; i++)
		rh_fd_close(&paths->list[i].fd);
	free(paths->list);
}

int daemon_confine(const struct start *start, const struct taker *taker)
{
	struct sandbox_options options = {
		.mode = start->sandbox,
		.directory_fd = -1,
		.opens = true,
		.binds_tcp = taker && has_tcp_metrics(start),
	};
	struct paths paths = { 0 };
	int error = make_room(&paths, start, taker);

	if (error) {
		rh_log(RH_LOG_ERROR, TAG, "cannot be confined: %s",
		       strerror(-error));
		return error;
	}
	collect(&paths, start, taker);
	if (start->nr_allowed) {
		options.paths = paths.list;
		options.nr_paths = paths.nr;
	}
	error = sandbox_enter(&options);
	let_go(&paths);
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * disk - a disk is added in one step, and removed in one
 *
 * For the daemon these are two things each: an image that is open (a node) and
 * a disk that is offered (an export). `add` gives both the same name, by which
 * `remove` knows the node that it is to close.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/commands.h"
#include "ctl/disks.h"
#include "ctl/reply.h"
#include "ctl/text.h"

#define TAG		 "ringhost"
#define USUAL_MAX_QUEUES 16
#define MOST_QUEUES	 256

/* The daemon's current directory is another one. */
static char *make_absolute(const char *path)
{
	char here[PATH_MAX];
	char *ret;

	if (*path == '/')
		return strdup(path);
	if (!getcwd(here, sizeof(here)) ||
	    asprintf(&ret, "%s/%s", here, path) < 0)
		return NULL;
	return ret;
}

/* As many as `ringhost serve` offers. */
static unsigned int usual_nr_queues(void)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_CONF);

	return (unsigned int)MIN(MAX(nr_cpus, (long)USUAL_MAX_QUEUES),
				 (long)MOST_QUEUES);
}

static json_t *describe_node(const struct ctl_options *options,
			     const char *image)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:{s:b}}", "driver", "file",
			 "node-name", options->args[0], "filename", image,
			 "read-only", options->read_only, "cache", "direct",
			 options->direct);
}

static void set_text(json_t *object, const char *name, const char *text)
{
	if (text)
		json_object_set_new(object, name, json_string(text));
}

static json_t *describe_export(const struct ctl_options *options,
			       const char *socket)
{
	unsigned int nr_queues =
		options->nr_queues ? options->nr_queues : usual_nr_queues();
	json_t *object =
		json_pack("{s:s,s:s,s:s,s:{s:s,s:s},s:b,s:i}", "type",
			  "vhost-user-blk", "id", options->args[0], "node-name",
			  options->args[0], "addr", "type", "unix", "path",
			  socket, "writable", !options->read_only, "num-queues",
			  (int)nr_queues);
	json_t *threads = json_array();

	set_text(object, "x-serial", options->serial);
	set_text(object, "x-socket-mode", options->socket_mode);
	set_text(object, "x-socket-group", options->socket_group);
	for (unsigned int i = 0; i < options->nr_iothreads; i++)
		json_array_append_new(threads,
				      json_string(options->iothreads[i]));
	if (options->nr_iothreads)
		json_object_set(object, "iothread", threads);
	json_decref(threads);
	return object;
}

/* Returns true if it is closed now. */
static bool close_node(struct ctl *ctl, const char *name)
{
	json_t *answer = link_ask(&ctl->link, "blockdev-del",
				  json_pack("{s:s}", "node-name", name));

	json_decref(answer);
	return answer;
}

static int open_and_offer(struct ctl *ctl, const char *image,
			  const char *socket)
{
	const struct ctl_options *options = ctl->options;
	json_t *answer = link_ask(&ctl->link, "blockdev-add",
				  describe_node(options, image));

	json_decref(answer);
	if (!answer)
		return -EIO;
	answer = link_ask(&ctl->link, "block-export-add",
			  describe_export(options, socket));
	json_decref(answer);
	if (!answer) {
		close_node(ctl, options->args[0]);
		return -EIO;
	}
	return ctl_done(ctl,
			json_pack("{s:s,s:s,s:s,s:s}", "id", options->args[0],
				  "node-name", options->args[0], "image", image,
				  "socket", socket));
}

static int check_add(const struct ctl_options *options)
{
	if (options->image && options->disk_socket)
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "add needs --%s behind the word add: ringhost ctl add %s "
	       "--image=FILE --socket=PATH",
	       options->image ? "socket" : "image", options->args[0]);
	return -EINVAL;
}

int ctl_add(struct ctl *ctl)
{
	cleanup_free char *image = NULL;
	cleanup_free char *socket = NULL;
	int error = check_add(ctl->options);

	if (error)
		return error;
	image = make_absolute(ctl->options->image);
	socket = make_absolute(ctl->options->disk_socket);
	if (image && socket)
		return open_and_offer(ctl, image, socket);
	rh_log(RH_LOG_ERROR, TAG,
	       "cannot tell where --image and --socket "
	       "are: %s; give absolute paths",
	       strerror(errno));
	return -errno;
}

/* The node, if `add` has made it and no other disk stands on it. */
static bool is_to_be_closed(struct ctl *ctl, json_t *disk)
{
	const char *id = reply_text(disk, "id");

	return !ctl->options->keep_node &&
	       !strcmp(reply_text(disk, "node-name"), id);
}

static int withdraw(struct ctl *ctl, const char *id)
{
	const char *mode = ctl->options->hard ? "hard" : "safe";
	json_t *answer =
		link_ask(&ctl->link, "block-export-del",
			 json_pack("{s:s,s:s}", "id", id, "mode", mode));

	json_decref(answer);
	if (!answer)
		return -EIO;
	return link_await(&ctl->link, "BLOCK_EXPORT_DELETED", id);
}

/* The daemon would refuse it, too, in the words of its own commands. */
static int check_use(const struct ctl_options *options, json_t *disk)
{
	cleanup_free char *id = text_escape(options->args[0]);
	uint64_t pid = reply_number(disk, "pid");
	char by[48] = "";

	if (options->hard || !reply_flag(disk, "connected"))
		return 0;
	if (pid)
		snprintf(by, sizeof(by), " by process %" PRIu64, pid);
	rh_log(RH_LOG_ERROR, TAG,
	       "%s is in use%s: end that virtual machine first; --hard cuts "
	       "it off",
	       id ? id : "the disk", by);
	return -EBUSY;
}

int ctl_remove(struct ctl *ctl)
{
	const char *id = ctl->options->args[0];
	json_t *disk = disks_get_one(&ctl->link, id);
	bool is_closed = false;
	int error = disk ? check_use(ctl->options, disk) : -ENOENT;

	if (!error)
		error = withdraw(ctl, id);
	if (!error && is_to_be_closed(ctl, disk)) {
		is_closed = close_node(ctl, id);
		if (!is_closed)
			rh_log(RH_LOG_WARNING, TAG,
			       "the disk is removed; its image stays open");
	}
	json_decref(disk);
	if (error)
		return error;
	return ctl_done(ctl, json_pack("{s:s,s:b}", "id", id, "node-closed",
				       is_closed));
}

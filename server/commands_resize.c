/* SPDX-License-Identifier: MIT */
/*
 * commands_resize - images get another size by command
 *
 * The storage takes as long as it likes, so that part is a job. An image that
 * grows is longer before anybody may use what is new. One that shrinks is
 * shorter for those who use it first: what goes beyond its new end fails from
 * then on. Then all that was taken before ends, and only then the image is cut;
 * if that fails, it has its old size again. So nothing is done behind the end
 * after the answer, and guests are told once, when it is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/export_drain.h"
#include "server/commands.h"
#include "server/complaint.h"

#define SECTOR_BYTES 512

struct resize {
	struct job job;
	struct daemon *daemon;
	struct qmp_call *call;
	struct node *node; /* that has the image; resizing */
	uint64_t old_bytes;
	uint64_t wanted_bytes;
	uint64_t found_bytes; /* afterwards, whatever has happened */
	int error;
	char why[QMP_WHY_BYTES];
	bool shrinks;
	unsigned int nr_waits; /* for exports that drain */
	struct resize_wait {
		struct export_drain drain;
		struct resize *resize;
	} waits[];
};

static bool stands_on(const struct published *published,
		      const struct node *node)
{
	return published->node->driver == node->driver;
}

static void do_resize(struct job *job)
{
	struct resize *resize = container_of(job, struct resize, job);

	size_watch_wait(&resize->daemon->size_watch, resize->node);
	complaint_begin();
	resize->error = node_resize(resize->node, resize->wanted_bytes);
	if (node_measure(resize->node, &resize->found_bytes) < 0)
		resize->found_bytes = resize->error ? resize->old_bytes :
						      resize->wanted_bytes;
	if (resize->error)
		snprintf(resize->why, sizeof(resize->why), "%s",
			 complaint_text(resize->error));
}

static void publish(struct resize *resize, uint64_t size_bytes)
{
	node_set_size(resize->node, size_bytes);
	list_for_each(link, &resize->daemon->exports.list) {
		if (stands_on(published_of(link), resize->node))
			export_take_size(published_of(link)->export);
	}
}

/* Whoever uses the image sees the size that it has, told or not. */
static void end_resize(struct resize *resize)
{
	publish(resize, resize->found_bytes);
	resize->node->resizing = false;
	resize->node->nr_jobs--;
	if (resize->found_bytes != resize->old_bytes || resize->shrinks)
		daemon_node_resized(resize->daemon, resize->node,
				    resize->old_bytes);
	if (resize->error)
		qmp_refuse(resize->call, "%s", resize->why);
	else
		qmp_return(resize->call, NULL);
	free(resize);
}

static void resized(struct job *job)
{
	end_resize(container_of(job, struct resize, job));
}

/* From its start on the job may write what has become of it. */
static void resize_beside(struct resize *resize)
{
	int error;

	resize->job = (struct job){ .work = do_resize, .done = resized };
	error = jobs_start(&resize->daemon->jobs, &resize->job);
	if (!error)
		return;
	resize->error = error;
	resize->found_bytes = resize->old_bytes;
	snprintf(resize->why, sizeof(resize->why),
		 "cannot start a thread to resize the image: %s",
		 strerror(-error));
	end_resize(resize);
}

static void end_wait(struct resize *resize)
{
	if (!--resize->nr_waits)
		resize_beside(resize);
}

static void has_drained(struct export_drain *drain)
{
	struct resize_wait *wait =
		container_of(drain, struct resize_wait, drain);

	end_wait(wait->resize);
}

/* What was taken before anybody knew of the new size ends. */
static void wait_for_exports(struct resize *resize)
{
	struct resize_wait *wait = resize->waits;

	resize->nr_waits = 1; /* ours, until all have been asked */
	list_for_each(link, &resize->daemon->exports.list) {
		if (!stands_on(published_of(link), resize->node))
			continue;
		*wait = (struct resize_wait){ .drain.done = has_drained,
					      .resize = resize };
		resize->nr_waits++;
		export_drain(published_of(link)->export, &wait++->drain);
	}
	end_wait(resize);
}

static unsigned int count_exports(struct daemon *daemon,
				  const struct node *node)
{
	unsigned int nr = 0;

	list_for_each(link, &daemon->exports.list)
		nr += stands_on(published_of(link), node);
	return nr;
}

static void begin_resize(struct daemon *daemon, struct qmp_call *call,
			 struct node *node, uint64_t size_bytes)
{
	unsigned int nr_exports = count_exports(daemon, node);
	struct resize *resize = calloc(
		1, sizeof(*resize) + nr_exports * sizeof(resize->waits[0]));

	if (!resize) {
		command_end(call, -ENOMEM);
		return;
	}
	resize->daemon = daemon;
	resize->call = call;
	resize->node = node;
	resize->old_bytes = node->driver->info.size_bytes;
	resize->wanted_bytes = size_bytes;
	node->resizing = true;
	node->nr_jobs++;
	size_watch_forget(&daemon->size_watch, node);
	if (size_bytes >= resize->old_bytes) {
		resize_beside(resize);
		return;
	}
	resize->shrinks = true;
	publish(resize, size_bytes);
	wait_for_exports(resize);
}

/* A guest would not see the end of a disk that ends inside a block. */
static void check_size(struct daemon *daemon, struct args *args,
		       const struct node *node, uint64_t size_bytes)
{
	if (!size_bytes)
		args_refuse(args, "Parameter 'size' takes a number of bytes "
				  "above 0");
	else if (!is_aligned(size_bytes, SECTOR_BYTES))
		args_refuse(args,
			    "Parameter 'size' takes a multiple of %d bytes",
			    SECTOR_BYTES);
	list_for_each(link, &daemon->exports.list) {
		const struct published *published = published_of(link);
		uint64_t block_bytes = export_block_bytes(published->export);

		if (stands_on(published, node) &&
		    !is_aligned(size_bytes, block_bytes))
			args_refuse(args,
				    "Parameter 'size' takes a multiple of "
				    "%" PRIu64 " bytes, the block size of "
				    "export '%.64s'",
				    block_bytes, published->id);
	}
}

static struct node *take_node(struct daemon *daemon, struct args *args)
{
	const char *name = args_text(args, "node-name", ARGS_OPTIONAL);
	struct node *node = name ? daemon_find_node(daemon, name) : NULL;

	if (args_text(args, "device", ARGS_OPTIONAL))
		args_refuse(args, "Parameter 'device' is not supported: name "
				  "a node in 'node-name'");
	else if (!name)
		args_refuse(args, "Parameter 'node-name' is missing");
	else if (!node)
		args_refuse(args, "Cannot find device='' nor node-name='%.64s'",
			    name);
	else if (node->read_only)
		args_refuse(args,
			    "Block node '%.64s' is read-only: its image "
			    "cannot be resized",
			    name);
	else if (node_owner(node)->resizing)
		args_refuse(args,
			    "Node '%.64s' is being resized: wait for the "
			    "end of that",
			    name);
	return node;
}

void command_block_resize(struct daemon *daemon, struct qmp_call *call)
{
	struct args args;
	struct node *node;
	uint64_t size_bytes;

	args_begin(&args, call->arguments, call->typed);
	node = take_node(daemon, &args);
	if (!args_has(&args, "size"))
		args_refuse(&args, "Parameter 'size' is missing");
	size_bytes = args_size(&args, "size", 0, INT64_MAX, 0);
	if (node)
		check_size(daemon, &args, node, size_bytes);
	if (args_end(&args) < 0 || !node)
		qmp_refuse(call, "%s", args.why);
	else
		begin_resize(daemon, call, node_owner(node), size_bytes);
}

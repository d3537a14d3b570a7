/* SPDX-License-Identifier: MIT */
/*
 * commands_node - images are opened and closed by command
 *
 * Both take as long as the storage likes, so they are jobs. A name is looked
 * at before the image is opened, for a quick answer, and again afterwards.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/commands.h"
#include "server/complaint.h"

#define NULL_BYTES (UINT64_C(1) << 30) /* QEMU's default */

/* How an image is to be opened; its strings are the call's. */
struct opening {
	struct driver_options options;
	const struct driver_ops *driver;
	bool auto_read_only;
	bool no_discard;
	const char *group; /* of limits; NULL: none */
	json_t *base;	   /* the name of a node, or an object that makes one */
};

struct add_job {
	struct job job;
	struct daemon *daemon;
	struct qmp_call *call;
	struct opening opening;
	struct node *node;
	int error;
	char why[QMP_WHY_BYTES];
};

struct del_job {
	struct job job;
	struct daemon *daemon;
	struct qmp_call *call;
	struct node *node;
};

static void take_cache(struct args *args, struct opening *opening)
{
	struct args cache;

	opening->options.cache = DRIVER_CACHE_WRITEBACK;
	if (!args_enter(args, "cache", "cache.", &cache))
		return;
	if (args_flag(&cache, "direct", false))
		opening->options.cache = DRIVER_CACHE_NONE;
	if (args_flag(&cache, "no-flush", false))
		args_refuse(args, "Parameter 'cache.no-flush' is refused: a "
				  "flush that does nothing loses data");
	args_leave(args, &cache);
	opening->options.cache_given = true;
}

/* What all drivers have in common. */
static void take_common(struct args *args, struct opening *opening)
{
	static const char *const discards[] = { "ignore", "off", "unmap", "on",
						NULL };
	static const char *const off[] = { "off", NULL };
	struct driver_options *options = &opening->options;

	options->name = args_text(args, "node-name", ARGS_NEEDED);
	options->read_only = args_flag(args, "read-only", false);
	options->force_share = args_flag(args, "force-share", false);
	opening->auto_read_only = args_flag(args, "auto-read-only", false);
	opening->no_discard = args_word(args, "discard", discards, 2) < 2;
	args_word(args, "detect-zeroes", off, 0);
	take_cache(args, opening);
}

/* One rule, or an array of them. */
static void take_faults(struct args *args, struct opening *opening)
{
	struct driver_options *options = &opening->options;
	json_t *rules = args_any(args, "x-fault");
	size_t nr = json_is_array(rules) ? json_array_size(rules) : 1;

	if (!rules)
		return;
	for (size_t i = 0; i < nr && i < DRIVER_MAX_FAULTS; i++) {
		json_t *rule =
			json_is_array(rules) ? json_array_get(rules, i) : rules;

		options->faults[i] = json_string_value(rule);
		if (!options->faults[i])
			args_refuse(args, "Parameter 'x-fault' takes a rule, "
					  "or an array of rules");
	}
	if (nr > DRIVER_MAX_FAULTS)
		args_refuse(args, "Parameter 'x-fault' takes at most %d rules",
			    DRIVER_MAX_FAULTS);
	options->nr_faults = (unsigned int)MIN(nr, (size_t)DRIVER_MAX_FAULTS);
	options->wrapped = opening->driver;
	opening->driver = driver_find("fault");
}

static void take_file(struct args *args, struct opening *opening)
{
	static const char *const lockings[] = { "auto", "on", "off", NULL };
	static const char *const engines[] = { "threads", "native", "io_uring",
					       NULL };

	opening->driver = driver_find("file");
	opening->options.image = args_text(args, "filename", ARGS_NEEDED);
	opening->options.raw_given = true; /* a driver was chosen */
	if (args_word(args, "locking", lockings, 0) == 2)
		opening->options.force_share = true;
	/* The I/O thread has one engine for all of its disks. */
	args_word(args, "aio", engines, 0);
	take_faults(args, opening);
}

static void take_null(struct args *args, struct opening *opening)
{
	opening->driver = driver_find("null");
	opening->options.size_bytes =
		args_size(args, "size", 0, INT64_MAX, NULL_BYTES);
	args_flag(args, "read-zeroes", true);
	if (args_number(args, "latency-ns", 0, UINT64_MAX, 0))
		args_refuse(args, "Parameter 'latency-ns' is not supported");
	take_faults(args, opening);
}

static void take_raw(struct args *args, struct opening *opening)
{
	opening->base = args_any(args, "file");
	if (!opening->base)
		args_refuse(args, "Parameter 'file' is missing");
	else if (!json_is_string(opening->base) &&
		 !json_is_object(opening->base))
		args_refuse(args, "Parameter 'file' takes the name of a node, "
				  "or an object");
	else if (json_is_string(opening->base) && opening->no_discard)
		args_refuse(args, "Parameter 'discard' is to be given to the "
				  "node that 'file' names");
}

static void take_throttle(struct args *args, struct opening *opening)
{
	opening->group = args_text(args, "throttle-group", ARGS_NEEDED);
	take_raw(args, opening);
}

static void take_driver(struct args *args, struct opening *opening)
{
	static const struct {
		const char *name;
		void (*take)(struct args *args, struct opening *opening);
	} drivers[] = {
		{ "file", take_file },	   { "host_device", take_file },
		{ "null-aio", take_null }, { "null-co", take_null },
		{ "raw", take_raw },	   { "throttle", take_throttle },
	};
	const char *name = args_text(args, "driver", ARGS_NEEDED);

	if (!name)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (!strcmp(drivers[i].name, name)) {
			drivers[i].take(args, opening);
			return;
		}
	}
	args_refuse(
		args,
		"Unknown driver '%.32s': there are file, host_device, "
		"null-co, raw and throttle; convert other formats with qemu-img "
		"convert -O raw",
		name);
}

static int parse(struct qmp_call *call, json_t *object, struct opening *opening)
{
	struct args args;

	*opening = (struct opening){ .options.fault_seed = 1 };
	args_begin(&args, object, call->typed);
	take_common(&args, opening);
	take_driver(&args, opening);
	if (args_end(&args) == 0)
		return 0;
	qmp_refuse(call, "%s", args.why);
	return -EINVAL;
}

static bool means_not_writable(int error)
{
	return error == -EROFS || error == -EACCES || error == -EPERM;
}

static void open_image(struct job *job)
{
	struct add_job *add = container_of(job, struct add_job, job);
	struct opening *opening = &add->opening;

	complaint_begin();
	add->error = node_open(opening->driver, &opening->options, &add->node);
	if (opening->auto_read_only && !opening->options.read_only &&
	    means_not_writable(add->error)) {
		complaint_begin();
		opening->options.read_only = true;
		add->error = node_open(opening->driver, &opening->options,
				       &add->node);
	}
	if (add->error)
		snprintf(add->why, sizeof(add->why), "%s",
			 complaint_text(add->error));
	else if (opening->no_discard)
		add->node->driver->info.can_discard = false;
}

static bool name_is_free(struct daemon *daemon, struct qmp_call *call,
			 const char *name)
{
	if (!daemon_find_node(daemon, name))
		return true;
	qmp_refuse(call, "Duplicate nodes with node-name='%s'", name);
	return false;
}

/*
 * group: NULL: none. Sets the node's throttle, or says what is in the way; it
 * may have gone while the image was opened.
 */
static bool join_group(struct daemon *daemon, struct qmp_call *call,
		       const char *group, struct node *node)
{
	const struct throttle_group *found;

	if (!group)
		return true;
	found = throttle_groups_find(&daemon->throttle_groups, group);
	if (!found)
		qmp_refuse(call, "Throttle group '%.64s' does not exist",
			   group);
	else if (node_throttles(node, NULL, 0) == BLK_MAX_GROUPS)
		qmp_refuse(call,
			   "A node stands on %d of driver throttle at "
			   "most",
			   BLK_MAX_GROUPS);
	else
		node->throttle = found->throttle;
	return node->throttle;
}

static void image_opened(struct job *job)
{
	struct add_job *add = container_of(job, struct add_job, job);

	if (add->error) {
		qmp_refuse(add->call, "%s", add->why);
	} else if (!name_is_free(add->daemon, add->call, add->node->name) ||
		   !join_group(add->daemon, add->call, add->opening.group,
			       add->node)) {
		node_close(add->node);
	} else {
		list_append(&add->daemon->nodes, &add->node->link);
		qmp_return(add->call, NULL);
	}
	free(add);
}

static void open_beside(struct daemon *daemon, struct qmp_call *call,
			const struct opening *opening)
{
	struct add_job *add = calloc(1, sizeof(*add));
	int error = -ENOMEM;

	if (add) {
		*add = (struct add_job){
			.job = { .work = open_image, .done = image_opened },
			.daemon = daemon,
			.call = call,
			.opening = *opening,
		};
		error = jobs_start(&daemon->jobs, &add->job);
	}
	if (!error)
		return;
	free(add);
	qmp_refuse(call, "cannot start a thread to open the image: %s",
		   strerror(-error));
}

static void add_on_base(struct daemon *daemon, struct qmp_call *call,
			const struct opening *opening)
{
	const char *base_name = json_string_value(opening->base);
	struct node *base = daemon_find_node(daemon, base_name);
	struct node *node;
	int error;

	if (!base) {
		qmp_refuse(call, "Cannot find device='' nor node-name='%s'",
			   base_name);
		return;
	}
	error = node_create_on(opening->options.name, base,
			       opening->options.read_only, &node);
	if (!error && !join_group(daemon, call, opening->group, node)) {
		node_close(node);
		return;
	}
	if (!error)
		list_append(&daemon->nodes, &node->link);
	command_end(call, error);
}

/* The inner object is the image; what it leaves open the outer one says. */
static json_t *inner_object(json_t *outer, json_t *inner)
{
	static const char *const handed_down[] = {
		"auto-read-only", "cache",     "discard",
		"force-share",	  "node-name", "read-only",
	};
	json_t *object = json_copy(inner);

	for (size_t i = 0; i < ARRAY_SIZE(handed_down); i++) {
		json_t *value = json_object_get(outer, handed_down[i]);

		if (value && !json_object_get(object, handed_down[i]))
			json_object_set(object, handed_down[i], value);
	}
	return object;
}

/* It is known by the name of the outer one, whatever its own is. */
static int parse_inner(struct qmp_call *call, struct opening *opening)
{
	json_t *object = inner_object(call->arguments, opening->base);
	const char *name = opening->options.name;
	const char *group = opening->group;
	bool read_only = opening->options.read_only;
	int error = parse(call, object, opening);

	json_decref(object); /* its values are the arguments' as well */
	opening->options.name = name;
	opening->group = group;
	opening->options.read_only |= read_only;
	if (error || !opening->base)
		return error;
	qmp_refuse(call, "Parameter 'file' of 'file' has no place here");
	return -EINVAL;
}

void command_blockdev_add(struct daemon *daemon, struct qmp_call *call)
{
	struct opening opening;

	if (parse(call, call->arguments, &opening) < 0 ||
	    !name_is_free(daemon, call, opening.options.name))
		return;
	if (json_is_string(opening.base)) {
		add_on_base(daemon, call, &opening);
		return;
	}
	if (opening.base && parse_inner(call, &opening) < 0)
		return;
	opening.options.succeeds = daemon->repeats;
	open_beside(daemon, call, &opening);
}

static void close_image(struct job *job)
{
	struct del_job *del = container_of(job, struct del_job, job);

	size_watch_wait(&del->daemon->size_watch, del->node);
	node_close(del->node);
}

static void image_closed(struct job *job)
{
	struct del_job *del = container_of(job, struct del_job, job);

	qmp_return(del->call, NULL);
	free(del);
}

static void close_beside(struct daemon *daemon, struct qmp_call *call,
			 struct node *node)
{
	struct del_job *del = calloc(1, sizeof(*del));
	int error = -ENOMEM;

	if (del) {
		*del = (struct del_job){
			.job = { .work = close_image, .done = image_closed },
			.daemon = daemon,
			.call = call,
			.node = node,
		};
		list_remove(&node->link);
		size_watch_forget(&daemon->size_watch, node);
		error = jobs_start(&daemon->jobs, &del->job);
	}
	if (!error)
		return;
	if (del) /* before those that stand on it */
		list_append(daemon->nodes.next, &node->link);
	free(del);
	qmp_refuse(call, "cannot start a thread to close the image: %s",
		   strerror(-error));
}

/* What has no image of its own is closed at once. */
static void close_node(struct daemon *daemon, struct qmp_call *call,
		       struct node *node)
{
	if (!node->base) {
		close_beside(daemon, call, node);
		return;
	}
	list_remove(&node->link);
	node_close(node);
	qmp_return(call, NULL);
}

void command_blockdev_del(struct daemon *daemon, struct qmp_call *call)
{
	struct args args;
	struct node *node = NULL;
	const char *name;

	args_begin(&args, call->arguments, call->typed);
	name = args_text(&args, "node-name", ARGS_NEEDED);
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	node = daemon_find_node(daemon, name);
	if (!node)
		qmp_refuse(call, "Failed to find node with node-name='%.64s'",
			   name);
	else if (node->resizing)
		qmp_refuse(call,
			   "Node %s is being resized: wait for the end "
			   "of that",
			   name);
	else if (node->nr_jobs)
		qmp_refuse(call,
			   "Node %s is being drained: wait for the end of that",
			   name);
	else if (node->nr_users)
		qmp_refuse(call, "Node %s is in use", name);
	else
		close_node(daemon, call, node);
}

static json_t *describe(const struct node *node)
{
	const struct driver_info *info = &node->driver->info;
	const char *driver = node->base ? "raw" : node->driver->ops->name;
	const char *file = node->image ? node->image : "";

	if (!strcmp(driver, "null"))
		driver = "null-co";
	if (node->throttle)
		driver = "throttle";
	return json_pack(
		"{s:s,s:s,s:s,s:b,s:b,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:s,s:i,"
		"s:b,s:{s:b,s:b,s:b},s:{s:s,s:s,s:I,s:b}}",
		"node-name", node->name, "drv", driver, "file", file, "ro",
		node->read_only, "encrypted", false, "backing_file_depth", 0,
		"bps", 0, "bps_rd", 0, "bps_wr", 0, "iops", 0, "iops_rd", 0,
		"iops_wr", 0, "detect_zeroes", "off", "write_threshold", 0,
		"active", true, "cache", "writeback",
		info->cache != DRIVER_CACHE_WRITETHROUGH, "direct",
		info->cache == DRIVER_CACHE_NONE, "no-flush", false, "image",
		"filename", file, "format", driver, "virtual-size",
		(json_int_t)info->size_bytes, "dirty-flag", false);
}

void command_query_named_block_nodes(struct daemon *daemon,
				     struct qmp_call *call)
{
	json_t *list = json_array();
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	args_flag(&args, "flat", false);
	if (args_end(&args) < 0) {
		json_decref(list);
		qmp_refuse(call, "%s", args.why);
		return;
	}
	list_for_each(node, &daemon->nodes)
		json_array_append_new(
			list, describe(container_of(node, struct node, link)));
	qmp_return(call, list);
}

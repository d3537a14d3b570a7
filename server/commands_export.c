/* SPDX-License-Identifier: MIT */
/*
 * commands_export - disks are offered, withdrawn and moved by command
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "server/export_drain.h"
#include "server/commands.h"
#include "server/options.h"
#include "server/virtio_blk.h"

#define DEFAULT_MODE 0660

/* Workers of the I/O threads that were named. */
struct chosen {
	struct worker *workers[EXPORTS_MAX_WORKERS];
	unsigned int nr;
};

static void take_fd(struct daemon *daemon, struct args *addr,
		    struct exports_spec *spec)
{
	const char *text = args_text(addr, "str", ARGS_NEEDED);
	char *end;
	long fd;

	if (!text)
		return;
	spec->passed = activation_find(daemon->activation, text);
	if (spec->passed || daemon->repeats) /* then it comes later */
		return;
	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || *end || end == text || fd <= STDERR_FILENO || fd > 1 << 20)
		args_refuse(addr, "Parameter 'addr.str' takes the name or the "
				  "number of an inherited file descriptor");
	else
		spec->fd = (int)fd;
}

static void take_address(struct daemon *daemon, struct args *args,
			 struct exports_spec *spec)
{
	static const char *const types[] = { "unix", "fd", NULL };
	struct args addr;

	spec->fd = -1;
	if (!args_enter(args, "addr", "addr.", &addr)) {
		args_refuse(args, "Parameter 'addr' is missing");
		return;
	}
	if (!args_has(&addr, "type"))
		args_refuse(&addr, "Parameter 'addr.type' is missing");
	if (args_word(&addr, "type", types, 0) == 0)
		spec->path = args_text(&addr, "path", ARGS_NEEDED);
	else
		take_fd(daemon, &addr, spec);
	args_leave(args, &addr);
}

/*
 * A number, or a name in /etc/group. What else may know groups comes as
 * libraries, which a confined process cannot load.
 */
static int find_group(const char *text, gid_t *ret)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	const struct group *group;
	FILE *file;

	if (end != text && !*end && number < UINT32_MAX) {
		*ret = (gid_t)number;
		return 0;
	}
	file = fopen("/etc/group", "re");
	if (!file)
		return -errno;
	do {
		group = fgetgrent(file);
	} while (group && strcmp(group->gr_name, text) != 0);
	if (group)
		*ret = group->gr_gid;
	fclose(file);
	return group ? 0 : -ENOENT;
}

static void take_access(struct args *args, struct exports_spec *spec)
{
	const char *mode = args_text(args, "x-socket-mode", ARGS_OPTIONAL);
	const char *group = args_text(args, "x-socket-group", ARGS_OPTIONAL);
	char *end = "";

	spec->mode = mode ? (mode_t)strtoul(mode, &end, 8) : DEFAULT_MODE;
	if (*end || (mode && !*mode) || spec->mode > 07777)
		args_refuse(args, "Parameter 'x-socket-mode' takes an octal "
				  "number such as 0660");
	spec->gid = (gid_t)-1;
	if (group && find_group(group, &spec->gid) < 0)
		args_refuse(args,
			    "Parameter 'x-socket-group': there is no "
			    "group '%.32s' in /etc/group; it may be a number",
			    group);
}

static void take_disk(struct args *args, struct export_options *options)
{
	options->block_bytes = args_size(args, "logical-block-size", 0,
					 BLK_MAX_BLOCK_BYTES, 0);
	if (args_has(args, "logical-block-size") &&
	    !virtio_blk_block_bytes_valid(options->block_bytes))
		args_refuse(args,
			    "Parameter 'logical-block-size' takes a power "
			    "of two from 512 to 2097152");
	options->nr_queues = (unsigned int)args_number(args, "num-queues", 1,
						       OPTIONS_MAX_QUEUES, 1);
	options->queue_size = (unsigned int)args_number(args, "x-queue-size",
							OPTIONS_MIN_QUEUE_SIZE,
							OPTIONS_MAX_QUEUE_SIZE,
							OPTIONS_MAX_QUEUE_SIZE);
	if (!is_power_of_2(options->queue_size))
		args_refuse(args, "Parameter 'x-queue-size' takes a power of "
				  "two");
	options->serial = args_text(args, "x-serial", ARGS_OPTIONAL);
	if (options->serial && strlen(options->serial) > BLK_SERIAL_BYTES)
		args_refuse(args, "Parameter 'x-serial' takes at most %d bytes",
			    BLK_SERIAL_BYTES);
}

static void choose_one(struct daemon *daemon, struct args *args,
		       const char *name, struct chosen *chosen)
{
	struct iothread *iothread =
		name ? iothreads_find(&daemon->iothreads, name) : NULL;

	if (!name)
		args_refuse(args, "Parameter 'iothread' takes the id of an "
				  "iothread, or an array of these");
	else if (!iothread)
		args_refuse(args, "iothread \"%.64s\" not found", name);
	else if (chosen->nr == ARRAY_SIZE(chosen->workers))
		args_refuse(args, "Parameter 'iothread' takes at most %d",
			    EXPORTS_MAX_WORKERS);
	else
		chosen->workers[chosen->nr++] = iothread->worker;
}

/* A name, several of them, or none: then the one that all share. */
static void choose_threads(struct daemon *daemon, struct args *args,
			   struct chosen *chosen)
{
	json_t *value = args_any(args, "iothread");
	json_t *element;
	size_t i;

	chosen->nr = 0;
	args_flag(args, "fixed-iothread", false);
	if (!value)
		return;
	if (!json_is_array(value)) {
		choose_one(daemon, args, json_string_value(value), chosen);
		return;
	}
	json_array_foreach(value, i, element)
		choose_one(daemon, args, json_string_value(element), chosen);
}

static int use_default(struct daemon *daemon, struct chosen *chosen)
{
	struct iothread *iothread = iothreads_default(&daemon->iothreads);

	if (!iothread)
		return -EAGAIN;
	chosen->workers[0] = iothread->worker;
	chosen->nr = 1;
	return 0;
}

static void take_node(struct daemon *daemon, struct args *args,
		      struct exports_spec *spec)
{
	const char *name = args_text(args, "node-name", ARGS_NEEDED);
	bool writable = args_flag(args, "writable", false);

	spec->options.read_only = !writable;
	spec->node = name ? daemon_find_node(daemon, name) : NULL;
	if (name && !spec->node)
		args_refuse(args, "Cannot find device='' nor node-name='%.64s'",
			    name);
	else if (writable && spec->node && spec->node->read_only)
		args_refuse(args,
			    "Cannot export '%.64s' writable: its node is "
			    "read-only",
			    name);
	if (args_flag(args, "writethrough", false))
		args_refuse(args, "Parameter 'writethrough' is not supported "
				  "yet");
}

void command_block_export_add(struct daemon *daemon, struct qmp_call *call)
{
	static const char *const types[] = { "vhost-user-blk", NULL };
	struct exports_spec spec = { .fd = -1 };
	struct chosen chosen;
	struct args args;

	args_begin(&args, call->arguments, call->typed);
	if (!args_has(&args, "type"))
		args_refuse(&args, "Parameter 'type' is missing");
	args_word(&args, "type", types, 0);
	spec.options.name = args_text(&args, "id", ARGS_NEEDED);
	spec.options.limits = THROTTLE_NO_LIMITS;
	command_take_limits(&args, "x-limits", "x-limits.",
			    &spec.options.limits);
	take_node(daemon, &args, &spec);
	take_address(daemon, &args, &spec);
	take_access(&args, &spec);
	take_disk(&args, &spec.options);
	choose_threads(daemon, &args, &chosen);
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
		return;
	}
	if (!chosen.nr && use_default(daemon, &chosen) < 0) {
		command_end(call, -EAGAIN);
		return;
	}
	spec.options.may_move_out = true;
	spec.later = daemon->repeats;
	memcpy(spec.workers, chosen.workers, sizeof(spec.workers));
	spec.nr_workers = chosen.nr;
	command_end(call, exports_add(&daemon->exports, &spec));
}

void command_block_export_del(struct daemon *daemon, struct qmp_call *call)
{
	static const char *const modes[] = { "safe", "hard", NULL };
	struct args args;
	const char *id;
	bool hard;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_NEEDED);
	hard = args_word(&args, "mode", modes, 0) == 1;
	if (args_end(&args) < 0)
		qmp_refuse(call, "%s", args.why);
	else
		command_end(call, exports_remove(&daemon->exports, id, hard));
}

/* The ids of those that run a queue of it, or may do so. */
static json_t *threads_of(struct daemon *daemon, const struct export *export)
{
	json_t *list = json_array();

	list_for_each(node, &daemon->iothreads.list) {
		const struct iothread *iothread = iothread_of(node);

		if (export_uses(export, iothread->worker))
			json_array_append_new(list,
					      json_string(iothread->name));
	}
	return list;
}

static json_t *describe(struct daemon *daemon,
			const struct published *published)
{
	const struct export *export = published->export;
	const struct throttle_limits limits = export_limits(export);
	pid_t peer = export_peer(export);
	json_t *object =
		json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:i,s:I,s:o}", "id",
			  published->id, "type", "vhost-user-blk", "node-name",
			  published->node->name, "shutting-down",
			  published->ending, "x-connected", peer != -1,
			  "x-writable", published->writable, "x-num-queues",
			  (int)export_nr_queues(export), "x-block-size",
			  (json_int_t)export_block_bytes(export), "x-iothreads",
			  threads_of(daemon, export));

	json_object_set_new(object, "x-paused",
			    json_boolean(export_paused(export)));
	json_object_set_new(object, "x-limits", command_limits(&limits, false));
	json_object_set_new(object, "x-throttle-groups",
			    command_groups_of(daemon, published->node));
	if (published->path)
		json_object_set_new(object, "x-path",
				    json_string(published->path));
	if (peer > 0)
		json_object_set_new(object, "x-pid", json_integer(peer));
	return object;
}

void command_query_block_exports(struct daemon *daemon, struct qmp_call *call)
{
	json_t *list = json_array();

	list_for_each(node, &daemon->exports.list)
		json_array_append_new(list,
				      describe(daemon, published_of(node)));
	qmp_return(call, list);
}

/* The one queue that is given, or all. Returns 0 or -errno (logged). */
static int move(struct export *export, struct args *args,
		const struct chosen *chosen)
{
	unsigned int nr_queues = export_nr_queues(export);
	unsigned int queue;

	if (!args_has(args, "queue"))
		return export_move_all(export, chosen->workers, chosen->nr);
	queue = (unsigned int)args_number(args, "queue", 0, nr_queues - 1, 0);
	export_move(export, queue, chosen->workers[0]);
	return 0;
}

void command_x_export_move(struct daemon *daemon, struct qmp_call *call)
{
	struct published *published = NULL;
	struct chosen chosen;
	struct args args;
	const char *id;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_NEEDED);
	if (id)
		published = exports_find(&daemon->exports, id);
	if (published)
		args_number(&args, "queue", 0,
			    export_nr_queues(published->export) - 1, 0);
	else if (id)
		args_refuse(&args, "Export '%.64s' is not found", id);
	choose_threads(daemon, &args, &chosen);
	if (!chosen.nr)
		args_refuse(&args, "Parameter 'iothread' is missing");
	if (args_end(&args) < 0 || !published || !chosen.nr)
		qmp_refuse(call, "%s", args.why);
	else
		command_end(call, move(published->export, &args, &chosen));
}

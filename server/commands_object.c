/* SPDX-License-Identifier: MIT */
/*
 * commands_object - objects are made and ended by command
 *
 * I/O threads are here; throttle groups and secrets have files of their own.
 */
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "server/commands.h"
#include "server/options.h"

enum type {
	IOTHREAD,
	THROTTLE_GROUP,
	SECRET,
};

const char *const command_object_types[] = {
	[IOTHREAD] = "iothread",
	[THROTTLE_GROUP] = "throttle-group",
	[SECRET] = "secret",
	NULL,
};

/* All of them share their ids. */
bool command_object_exists(struct daemon *daemon, const char *id,
			   char why[ARGS_WHY_BYTES])
{
	const char *what = NULL;

	if (iothreads_find(&daemon->iothreads, id))
		what = "an I/O thread";
	else if (throttle_groups_find(&daemon->throttle_groups, id))
		what = "a throttle-group";
	else if (secret_find(&daemon->secrets, id))
		what = "a secret";
	if (what)
		snprintf(why, ARGS_WHY_BYTES,
			 "attempt to add duplicate property '%.64s' to object "
			 "(%s has that id)",
			 id, what);
	return what;
}

static void add_iothread(struct daemon *daemon, struct args *args,
			 struct qmp_call *call, const char *id)
{
	uint64_t poll_nsec = args_number(args, "poll-max-ns", 0,
					 OPTIONS_MAX_POLL_USEC * 1000ull, 0);

	/* How quickly the time of polling changes is not to be chosen here. */
	args_number(args, "poll-grow", 0, INT64_MAX, 0);
	args_number(args, "poll-shrink", 0, INT64_MAX, 0);
	args_number(args, "aio-max-batch", 0, INT64_MAX, 0);
	if (args_end(args) < 0)
		qmp_refuse(call, "%s", args->why);
	else
		command_end(call,
			    iothreads_add(&daemon->iothreads, id,
					  (unsigned int)(poll_nsec / 1000)));
}

void command_object_add(struct daemon *daemon, struct qmp_call *call)
{
	char why[ARGS_WHY_BYTES];
	unsigned int type;
	struct args args;
	const char *id;

	args_begin(&args, call->arguments, call->typed);
	if (!args_has(&args, "qom-type"))
		args_refuse(&args, "Parameter 'qom-type' is missing");
	type = args_word(&args, "qom-type", command_object_types, 0);
	id = args_text(&args, "id", ARGS_NEEDED);
	if (id && !*id)
		args_refuse(&args, "Parameter 'id' takes a name");
	if (id && command_object_exists(daemon, id, why))
		args_refuse(&args, "%s", why);
	if (type == THROTTLE_GROUP)
		command_add_throttle_group(daemon, &args, call, id);
	else if (type == SECRET)
		command_add_secret(daemon, &args, call, id);
	else
		add_iothread(daemon, &args, call, id);
}

static void remove_iothread(struct daemon *daemon, struct qmp_call *call,
			    const char *id)
{
	struct iothread *iothread = iothreads_find(&daemon->iothreads, id);

	if (!iothread) {
		qmp_refuse(call, "object '%.64s' not found", id);
	} else if (exports_use(&daemon->exports, iothread->worker)) {
		qmp_refuse(call,
			   "object '%s' is in use, can not be deleted: "
			   "move its exports elsewhere, or remove them",
			   id);
	} else {
		iothreads_remove(iothread);
		qmp_return(call, NULL);
	}
}

void command_object_del(struct daemon *daemon, struct qmp_call *call)
{
	struct throttle_group *group = NULL;
	struct secret *secret = NULL;
	struct args args;
	const char *id;

	args_begin(&args, call->arguments, call->typed);
	id = args_text(&args, "id", ARGS_NEEDED);
	if (id) {
		group = throttle_groups_find(&daemon->throttle_groups, id);
		secret = secret_find(&daemon->secrets, id);
	}
	if (args_end(&args) < 0) {
		qmp_refuse(call, "%s", args.why);
	} else if (group) {
		command_del_throttle_group(daemon, call, group);
	} else if (secret) {
		secrets_remove(secret);
		qmp_return(call, NULL);
	} else {
		remove_iothread(daemon, call, id);
	}
}

void command_query_iothreads(struct daemon *daemon, struct qmp_call *call)
{
	json_t *list = json_array();

	list_for_each(node, &daemon->iothreads.list) {
		const struct iothread *iothread = iothread_of(node);

		json_array_append_new(
			list, json_pack("{s:s,s:i,s:I,s:i,s:i,s:i,s:s,s:i}",
					"id", iothread->name, "thread-id",
					worker_thread_id(iothread->worker),
					"poll-max-ns",
					(json_int_t)iothread->poll_usec * 1000,
					"poll-grow", 0, "poll-shrink", 0,
					"aio-max-batch", 0, "x-engine",
					worker_engine_name(iothread->worker),
					"x-queues",
					worker_nr_queues(iothread->worker)));
	}
	qmp_return(call, list);
}

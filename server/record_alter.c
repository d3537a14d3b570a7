/* SPDX-License-Identifier: MIT */
/*
 * record_alter - commands of clients that change what is kept
 *
 * Such a command is carried out first, since what is to be kept is what has
 * come of it. Then the file is written anew, with the thing as it is now, and
 * the client is answered. What is not kept is changed as long as the process
 * lives: it belongs to the command line or to the configuration, and these say
 * how it is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/commands.h"
#include "server/qmp/object_path.h"
#include "server/record_internal.h"

static int keep_group(struct daemon *daemon, const struct qmp_call *call,
		      const char *name, json_t *arguments)
{
	const struct throttle_group *group =
		throttle_groups_find(&daemon->throttle_groups, name);

	(void)call;
	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++)
		json_object_del(arguments, throttle_field_name(i, true));
	return group ? json_object_set_new(
			       arguments, "limits",
			       command_limits(throttle_get(group->throttle),
					      false)) :
		       -1;
}

static int keep_limits(struct daemon *daemon, const struct qmp_call *call,
		       const char *name, json_t *arguments)
{
	const struct published *published =
		exports_find(&daemon->exports, name);
	struct throttle_limits limits;

	(void)call;
	if (!published)
		return -1;
	limits = export_limits(published->export);
	return json_object_set_new(arguments, "x-limits",
				   command_limits(&limits, false));
}

/* Where one of its queues is run is not among what an export is made with. */
static int keep_iothread(struct daemon *daemon, const struct qmp_call *call,
			 const char *name, json_t *arguments)
{
	(void)daemon;
	(void)name;
	if (json_object_get(call->arguments, "queue"))
		return 0;
	return json_object_set(arguments, "iothread",
			       json_object_get(call->arguments, "iothread"));
}

static const struct row {
	const char *command;
	enum config_kind kind; /* of what it changes */
	const char *key;       /* the argument that names it */
	/* Have arguments make what is there now. Returns 0 or -1. */
	int (*keep)(struct daemon *daemon, const struct qmp_call *call,
		    const char *name, json_t *arguments);
} rows[] = {
	{ "qom-set", CONFIG_OBJECT, "path", keep_group },
	{ "x-export-limit", CONFIG_EXPORT, "id", keep_limits },
	{ "x-export-move", CONFIG_EXPORT, "id", keep_iothread },
};

struct alteration {
	struct qmp_call call;
	struct qmp_call *outer; /* the client's */
	struct daemon *daemon;
	const struct row *row;
	unsigned long nr; /* of what is kept */
	struct state_task task;
	json_t *value; /* the answer, while it waits for the task */
};

static struct alteration *alteration_of(struct state_task *task)
{
	return container_of(task, struct alteration, task);
}

static const char *name_in(const struct row *row, const json_t *arguments)
{
	const char *name =
		json_string_value(json_object_get(arguments, row->key));

	return name && row->kind == CONFIG_OBJECT ? object_path_id(name) : name;
}

static struct kept *find_kept(const struct alteration *alteration)
{
	return kept_find(
		&alteration->daemon->record->kept, alteration->row->kind,
		name_in(alteration->row, alteration->outer->arguments));
}

static void free_alteration(struct alteration *alteration)
{
	json_decref(alteration->value);
	free(alteration->task.text);
	free(alteration);
}

static void finish(struct alteration *alteration, int error)
{
	struct qmp_call *outer = alteration->outer;

	if (error)
		qmp_refuse(outer,
			   "'%.64s' is changed, but not after a restart, since "
			   "its file in %.200s cannot be: %s",
			   name_in(alteration->row, outer->arguments),
			   state_path(alteration->daemon->record->state),
			   strerror(-error));
	else
		qmp_return(outer, json_incref(alteration->value));
	free_alteration(alteration);
}

static void settled(struct state_task *task)
{
	finish(alteration_of(task), task->error);
}

static void dropped(struct state_task *task)
{
	finish(alteration_of(task), 0);
}

/* Somebody may have removed it meanwhile, or have made another one. */
static void written(struct state_task *task)
{
	struct alteration *alteration = alteration_of(task);
	const struct kept *kept = find_kept(alteration);
	bool is_there = kept && kept->nr == alteration->nr;

	if (task->error) {
		finish(alteration, task->error);
		return;
	}
	task->verb = is_there ? STATE_KEEP : STATE_DROP;
	task->done = is_there ? settled : dropped;
	state_start(alteration->daemon->record->state, task);
}

/* Returns 0 or -ENOMEM. */
static int renew(struct alteration *alteration, struct kept *kept)
{
	json_t *arguments = json_copy(kept->arguments);
	const struct row *row = alteration->row;

	if (!arguments || row->keep(alteration->daemon, alteration->outer,
				    kept->name, arguments) < 0) {
		json_decref(arguments);
		return -ENOMEM;
	}
	json_decref(kept->arguments);
	kept->arguments = arguments;
	alteration->nr = kept->nr;
	alteration->task.text = state_text(row->kind, arguments);
	return alteration->task.text ? 0 : -ENOMEM;
}

static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why)
{
	struct alteration *alteration =
		container_of(call, struct alteration, call);
	struct qmp_call *outer = alteration->outer;
	struct kept *kept = value ? find_kept(alteration) : NULL;
	int error = 0;

	if (!kept) {
		free_alteration(alteration);
		outer->answered(outer, value, class, why);
		return;
	}
	alteration->value = value;
	error = renew(alteration, kept);
	if (error) {
		finish(alteration, error);
		return;
	}
	alteration->task.verb = STATE_WRITE;
	alteration->task.done = written;
	state_start(alteration->daemon->record->state, &alteration->task);
}

static void begin(struct daemon *daemon, const struct row *row,
		  struct qmp_call *call)
{
	struct alteration *alteration = calloc(1, sizeof(*alteration));

	if (!alteration) {
		qmp_refuse(call, "out of memory");
		return;
	}
	*alteration = (struct alteration){
		.call = *call,
		.outer = call,
		.daemon = daemon,
		.row = row,
	};
	alteration->call.answered = answered;
	/* Only what has a name for its file is kept. */
	(void)state_name(row->kind, name_in(row, call->arguments),
			 alteration->task.name);
	commands_run(daemon, row->command, &alteration->call);
}

bool record_alter(struct daemon *daemon, const char *name,
		  struct qmp_call *call)
{
	for (size_t i = 0; daemon->record && i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		const char *what = name_in(row, call->arguments);

		if (strcmp(row->command, name) != 0 || !what)
			continue;
		if (!kept_find(&daemon->record->kept, row->kind, what))
			return false;
		begin(daemon, row, call);
		return true;
	}
	return false;
}

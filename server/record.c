/* SPDX-License-Identifier: MIT */
/*
 * record - commands of clients that change what there is
 *
 * Such a command is carried out by a call of our own, whose answer is handed
 * on when all that is to be done about it is done. What is added is written
 * first, so that a full disk is noticed while nothing has changed, and gets
 * its name once the command has succeeded.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/apply.h"
#include "server/commands.h"
#include "server/record.h"
#include "server/reload.h"
#include "server/state.h"

#define TAG "state"

struct record {
	struct daemon *daemon;
	struct state *state;

	/* Of the start */
	struct config config;	   /* what was kept */
	struct list_node restored; /* struct config_item */
	struct apply apply;
};

struct change {
	struct qmp_call call;
	struct qmp_call *outer; /* the client's */
	struct daemon *daemon;
	enum config_kind kind;
	bool adds;
	struct state_task task;
	json_t *value; /* the answer, while it waits for the task */
};

static struct change *change_of(struct state_task *task)
{
	return container_of(task, struct change, task);
}

static const char *name_of(const struct change *change)
{
	return json_string_value(json_object_get(
		change->outer->arguments, config_verbs[change->kind].name));
}

static void free_change(struct change *change)
{
	free(change->task.text);
	free(change);
}

static void dropped(struct state_task *task)
{
	free_change(change_of(task));
}

static void settled(struct state_task *task)
{
	struct change *change = change_of(task);
	struct qmp_call *outer = change->outer;

	if (task->error) {
		json_decref(change->value);
		qmp_refuse(outer,
			   "'%.64s' is %s after a restart, since a file in "
			   "%.200s cannot be changed: %s",
			   name_of(change),
			   change->adds ? "there, but not" : "gone, but back",
			   state_path(change->daemon->record->state),
			   strerror(-task->error));
	} else {
		qmp_return(outer, change->value);
	}
	free_change(change);
}

static void begin_task(struct change *change, enum state_verb verb,
		       void (*done)(struct state_task *task))
{
	change->task.verb = verb;
	change->task.done = done;
	state_start(change->daemon->record->state, &change->task);
}

/* Returns false if the answer need not wait. */
static bool keep(struct change *change, json_t *value)
{
	if (!change->daemon->record || !change->task.name[0])
		return false;
	change->value = value;
	begin_task(change, change->adds ? STATE_KEEP : STATE_REMOVE, settled);
	return true;
}

static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why)
{
	struct change *change = container_of(call, struct change, call);

	if (value && !change->adds)
		reload_forget(change->daemon->reload, change->kind,
			      name_of(change));
	if (value && keep(change, value))
		return;
	change->outer->answered(change->outer, value, class, why);
	if (change->adds)
		begin_task(change, STATE_DROP, dropped);
	else
		free_change(change);
}

static void written(struct state_task *task)
{
	struct change *change = change_of(task);

	if (task->error) {
		qmp_refuse(change->outer,
			   "'%.64s' is not added, since it cannot be kept in "
			   "%.200s: %s",
			   name_of(change),
			   state_path(change->daemon->record->state),
			   strerror(-task->error));
		free_change(change);
		return;
	}
	commands_run(change->daemon, config_verbs[change->kind].add,
		     &change->call);
}

static struct change *create_change(struct daemon *daemon,
				    enum config_kind kind,
				    struct qmp_call *call)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change) {
		qmp_refuse(call, "out of memory");
		return NULL;
	}
	*change = (struct change){
		.call = *call,
		.outer = call,
		.daemon = daemon,
		.kind = kind,
	};
	change->call.answered = answered;
	return change;
}

static void run_removal(struct daemon *daemon, enum config_kind kind,
			struct qmp_call *call)
{
	struct change *change = create_change(daemon, kind, call);

	if (!change)
		return;
	if (daemon->record && name_of(change) &&
	    state_name(kind, name_of(change), change->task.name) < 0)
		change->task.name[0] = '\0'; /* so it was never kept */
	commands_run(daemon, config_verbs[kind].remove, &change->call);
}

/* What begins the task to write it. Returns -ENOMEM or -ENAMETOOLONG. */
static int write_addition(struct change *change)
{
	int error =
		state_name(change->kind, name_of(change), change->task.name);

	if (error)
		return error;
	change->adds = true;
	change->task.text = state_text(change->kind, change->outer->arguments);
	if (!change->task.text)
		return -ENOMEM;
	begin_task(change, STATE_WRITE, written);
	return 0;
}

static void run_addition(struct daemon *daemon, enum config_kind kind,
			 struct qmp_call *call)
{
	struct change *change = create_change(daemon, kind, call);
	int error;

	if (!change)
		return;
	error = write_addition(change);
	if (!error)
		return;
	qmp_refuse(call, "'%.64s' cannot be kept in %.200s: %s",
		   name_of(change), state_path(daemon->record->state),
		   strerror(-error));
	free_change(change);
}

/* The number of a descriptor is another process's the next time. */
static bool is_lasting(const struct qmp_call *call, enum config_kind kind)
{
	json_t *address = json_object_get(call->arguments, "addr");
	const char *text = json_string_value(json_object_get(address, "str"));

	if (!json_string_value(
		    json_object_get(call->arguments, config_verbs[kind].name)))
		return false; /* nor a command that succeeds */
	return !text || !isdigit((unsigned char)*text);
}

void record_run(struct daemon *daemon, const char *name, struct qmp_call *call)
{
	for (size_t i = 0; i < CONFIG_NR_VERBS; i++) {
		enum config_kind kind = (enum config_kind)i;

		if (!strcmp(config_verbs[i].remove, name)) {
			run_removal(daemon, kind, call);
			return;
		}
		if (!strcmp(config_verbs[i].add, name) && daemon->record &&
		    is_lasting(call, kind)) {
			run_addition(daemon, kind, call);
			return;
		}
	}
	commands_run(daemon, name, call);
}

int record_open(struct daemon *daemon, const char *path, struct record **ret)
{
	struct record *record = calloc(1, sizeof(*record));
	int error = -ENOMEM;

	if (record)
		error = state_open(&daemon->jobs, path, &record->state);
	if (error) {
		free(record);
		return error;
	}
	record->daemon = daemon;
	list_init(&record->restored);
	config_init(&record->config, NULL);
	record->apply.daemon = daemon;
	record->apply.ended = true;
	*ret = record;
	return 0;
}

void record_close(struct record *record)
{
	if (!record || !record->apply.ended)
		return;
	config_deinit(&record->config);
	list_for_each(node, &record->restored)
		config_item_destroy(config_item_of(node));
	state_close(record->state);
	free(record);
}

static bool is_there(struct daemon *daemon, const struct config_item *item)
{
	if (item->kind == CONFIG_EXPORT)
		return exports_find(&daemon->exports, item->name);
	if (item->kind == CONFIG_NODE)
		return daemon_find_node(daemon, item->name);
	return iothreads_find(&daemon->iothreads, item->name);
}

static void leave_what_is_there(struct record *record)
{
	list_for_each(node, &record->config.items) {
		struct config_item *item = config_item_of(node);

		if (!is_there(record->daemon, item))
			continue;
		rh_log(RH_LOG_WARNING, TAG,
		       "%s is not used: the configuration or the command line "
		       "has another %s",
		       item->file, item->title);
		config_item_destroy(item);
	}
}

static void restored(struct apply *apply, json_t *report)
{
	struct record *record = container_of(apply, struct record, apply);

	rh_log(RH_LOG_INFO, TAG, "%s: %zu restored, %zu failed",
	       state_path(record->state),
	       json_array_size(json_object_get(report, "added")),
	       json_array_size(json_object_get(report, "failed")));
	json_decref(report);
}

void record_restore(struct record *record)
{
	state_read(record->state, &record->config);
	leave_what_is_there(record);
	if (list_empty(&record->config.items))
		return;
	if (apply_start(&record->apply, &record->restored, &record->config,
			false, restored) < 0)
		rh_log(RH_LOG_ERROR, TAG, "out of memory");
	else
		apply_wait(&record->apply);
}

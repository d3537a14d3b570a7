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
#include "server/commands.h"
#include "server/record_internal.h"
#include "server/reload.h"

#define TAG "state"

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

/* A client has removed it. */
static void forget(const struct change *change)
{
	struct daemon *daemon = change->daemon;
	const char *name = name_of(change);

	reload_forget(daemon->reload, change->kind, name);
	if (daemon->record)
		kept_drop(kept_find(&daemon->record->kept, change->kind, name));
}

/* Returns false if the answer need not wait. */
static bool keep(struct change *change, json_t *value)
{
	if (!change->daemon->record || !change->task.name[0])
		return false;
	change->value = value;
	if (change->adds)
		kept_put(&change->daemon->record->kept, change->kind,
			 name_of(change), change->outer->arguments);
	begin_task(change, change->adds ? STATE_KEEP : STATE_REMOVE, settled);
	return true;
}

static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why)
{
	struct change *change = container_of(call, struct change, call);

	if (value && !change->adds)
		forget(change);
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

/*
 * The number of a descriptor is another process's the next time, and a secret
 * that came with the command is not to lie in a file.
 */
static bool is_lasting(const struct qmp_call *call, enum config_kind kind)
{
	json_t *address = json_object_get(call->arguments, "addr");
	const char *text = json_string_value(json_object_get(address, "str"));

	if (!json_string_value(
		    json_object_get(call->arguments, config_verbs[kind].name)))
		return false; /* nor a command that succeeds */
	if (kind == CONFIG_OBJECT && json_object_get(call->arguments, "data"))
		return false;
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
	if (!record_alter(daemon, name, call))
		commands_run(daemon, name, call);
}

/* Returns 0, or -errno (logged). */
static int lock(struct state *state, const char *consequence)
{
	pid_t holder;
	int error = state_lock(state, &holder);

	if (error == -EAGAIN)
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is used by process %ld (0: not known), and one "
		       "daemon at a time may: %s",
		       state_path(state), (long)holder, consequence);
	else if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot lock %s: %s",
		       state_path(state), strerror(-error));
	return error;
}

int record_open(struct daemon *daemon, const char *path, bool later,
		struct record **ret)
{
	struct record *record = calloc(1, sizeof(*record));
	int error = -ENOMEM;

	if (record)
		error = state_open(&daemon->jobs, path, &record->state);
	if (!error && !later)
		error = lock(record->state, "give this one another directory, "
					    "or end that one");
	if (error) {
		if (record)
			state_close(record->state);
		free(record);
		return error;
	}
	record->daemon = daemon;
	list_init(&record->kept);
	list_init(&record->restored);
	config_init(&record->config, NULL);
	record->apply.daemon = daemon;
	record->apply.ended = true;
	*ret = record;
	return 0;
}

/* Guests count on us, whoever has the directory. */
void record_take(struct record *record)
{
	if (record)
		lock(record->state, "end that one");
}

void record_let_go(struct record *record)
{
	if (record)
		state_unlock(record->state);
}

void record_close(struct record *record)
{
	if (!record || !record->apply.ended)
		return;
	config_deinit(&record->config);
	list_for_each(node, &record->restored)
		config_item_destroy(config_item_of(node));
	list_for_each(node, &record->kept)
		kept_drop(kept_of(node));
	state_close(record->state);
	free(record);
}

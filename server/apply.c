/* SPDX-License-Identifier: MIT */
/*
 * apply - what items say is made true, by commands
 *
 * A step is what there is to do about one item: what it was, what it is to be.
 * Steps that may begin do so until none is left that can; the answer to a
 * command lets others begin.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/apply.h"
#include "server/commands.h"

#define TAG	      "config"
#define MAX_UNDER_WAY 16 /* commands; some have a thread each */

enum state {
	STEP_REMOVE, /* waits */
	STEP_REMOVING,
	STEP_ADD, /* waits */
	STEP_ADDING,
	STEP_PUTTING_BACK, /* what it was, since it cannot be what it is to be */
	STEP_DONE,
	STEP_FAILED,
};

struct step {
	struct list_node link;
	struct apply *apply;
	struct qmp_call call;
	json_t *arguments;	    /* of the call; owned */
	struct config_item *old;    /* is there; owned, NULL: none is */
	struct config_item *new;    /* is to be there; owned, NULL: none is */
	struct config_item *before; /* was there; owned, NULL: none was */
	enum state state;
};

static struct step *step_of(struct list_node *node)
{
	return container_of(node, struct step, link);
}

static void advance(struct apply *apply);
static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why);

static void set_state(struct step *step, enum state state)
{
	assert(step->state < STEP_DONE && state > step->state);
	step->state = state;
}

static void note(struct apply *apply, const char *list, json_t *entry)
{
	json_array_append_new(json_object_get(apply->report, list), entry);
}

static void note_failure(struct step *step, const char *what, const char *why)
{
	const struct config_item *item = step->new ? step->new : step->old;
	unsigned int line = config_item_line(item, why);
	const char *file = item->file ? item->file : "";

	rh_log(RH_LOG_ERROR, TAG, "%s:%u: [%s] cannot be %s: %s", file, line,
	       item->title, what, why);
	note(step->apply, "failed",
	     json_pack("{s:s,s:s,s:s,s:i}", "item", item->title, "why", why,
		       "file", file, "line", (int)line));
}

static void succeed(struct step *step, const char *list)
{
	const struct config_item *item = step->new ? step->new : step->old;

	set_state(step, STEP_DONE);
	rh_log(RH_LOG_INFO, TAG, "%s: %s", item->title, list);
	note(step->apply, list, json_string(item->title));
}

/* arguments: handed over. item: whose they are */
static void run(struct step *step, const char *command, json_t *arguments,
		const struct config_item *item)
{
	step->call.typed = item->is_typed;
	step->arguments = arguments;
	step->call.arguments = arguments;
	step->call.answered = answered;
	step->apply->nr_under_way++;
	commands_run(step->apply->daemon, command, &step->call);
}

/* Nothing of the name is there any more. */
static void removed(struct step *step)
{
	if (step->new)
		set_state(step, STEP_ADD);
	else
		succeed(step, "removed");
	step->before = step->old;
	step->old = NULL;
}

/* By us, or by a client meanwhile. An export goes after the answer. */
static bool is_gone(struct step *step)
{
	struct daemon *daemon = step->apply->daemon;
	const char *name = step->old->name;

	if (step->old->kind == CONFIG_EXPORT)
		return !exports_find(&daemon->exports, name);
	return step->old->kind == CONFIG_NODE &&
	       !daemon_find_node(daemon, name);
}

/* why: NULL for success */
static void removal_answered(struct step *step, const char *why)
{
	if (is_gone(step) || (!why && step->old->kind != CONFIG_EXPORT)) {
		removed(step);
	} else if (why) {
		note_failure(step, step->new ? "changed" : "removed", why);
		set_state(step, STEP_FAILED);
	}
}

/* A disk is not lost by what is wrong with its new arguments. */
static void put_back(struct step *step)
{
	set_state(step, STEP_PUTTING_BACK);
	run(step, config_verbs[step->before->kind].add,
	    json_incref(step->before->arguments), step->before);
}

static void addition_answered(struct step *step, const char *why)
{
	if (!why) {
		succeed(step, step->before ? "changed" : "added");
		step->old = step->new;
		step->new = NULL;
		return;
	}
	note_failure(step, step->before ? "changed" : "added", why);
	if (step->before &&
	    !json_equal(step->before->arguments, step->new->arguments))
		put_back(step);
	else
		set_state(step, STEP_FAILED);
}

static void put_back_answered(struct step *step, const char *why)
{
	if (why) {
		note_failure(step, "put back", why);
	} else {
		rh_log(RH_LOG_WARNING, TAG, "%s: is as it was before",
		       step->before->title);
		step->old = step->before;
		step->before = NULL;
	}
	set_state(step, STEP_FAILED);
}

static void answered(struct qmp_call *call, json_t *value, const char *class,
		     const char *why)
{
	struct step *step = container_of(call, struct step, call);
	struct apply *apply = step->apply;

	(void)class;
	why = value ? NULL : why;
	json_decref(value);
	json_decref(step->arguments);
	step->arguments = NULL;
	apply->nr_under_way--;
	if (step->state == STEP_ADDING)
		addition_answered(step, why);
	else if (step->state == STEP_PUTTING_BACK)
		put_back_answered(step, why);
	else if (step->state == STEP_REMOVING)
		removal_answered(step, why);
	advance(apply);
}

static void begin_removal(struct step *step)
{
	const struct config_verbs *verb = &config_verbs[step->old->kind];
	json_t *arguments = json_pack("{s:s}", verb->name, step->old->name);

	if (step->old->kind == CONFIG_EXPORT && step->apply->hard)
		json_object_set_new(arguments, "mode", json_string("hard"));
	set_state(step, STEP_REMOVING);
	run(step, verb->remove, arguments, step->old);
}

static void begin_addition(struct step *step)
{
	set_state(step, STEP_ADDING);
	run(step, config_verbs[step->new->kind].add,
	    json_incref(step->new->arguments), step->new);
}

static bool is_needed(const struct apply *apply, const struct step *step)
{
	list_for_each(node, &apply->steps) {
		const struct step *other = step_of(node);

		if ((other->state == STEP_REMOVE ||
		     other->state == STEP_REMOVING) &&
		    config_item_needs(other->old, step->old))
			return true;
	}
	return false;
}

static bool stands_on_removed(const struct apply *apply,
			      const struct step *step)
{
	list_for_each(node, &apply->steps) {
		const struct step *other = step_of(node);

		if (other->state == STEP_REMOVE &&
		    config_item_needs(step->old, other->old))
			return true;
	}
	return false;
}

static bool needs_more(const struct apply *apply, const struct step *step)
{
	list_for_each(node, &apply->steps) {
		const struct step *other = step_of(node);

		if (other->state >= STEP_ADD &&
		    other->state <= STEP_PUTTING_BACK &&
		    config_item_needs(step->new, other->new))
			return true;
	}
	return false;
}

static bool waits(const struct apply *apply, const struct step *step)
{
	return step->state == (apply->adding ? STEP_ADD : STEP_REMOVE);
}

static bool is_busy(const struct apply *apply)
{
	list_for_each(node, &apply->steps) {
		enum state state = step_of(node)->state;

		if (state == STEP_REMOVING || state == STEP_ADDING ||
		    state == STEP_PUTTING_BACK)
			return true;
	}
	return false;
}

/*
 * The next one that may begin; NULL: there is none. Where all that wait wait
 * for each other, one begins all the same, and its command says why not.
 */
static struct step *next_step(const struct apply *apply)
{
	struct step *waiting = NULL;

	if (apply->nr_under_way >= MAX_UNDER_WAY)
		return NULL;
	list_for_each(node, &apply->steps) {
		struct step *step = step_of(node);

		if (!waits(apply, step))
			continue;
		if (!(apply->adding ? needs_more(apply, step) :
				      is_needed(apply, step)))
			return step;
		waiting = waiting ? waiting : step;
	}
	return is_busy(apply) ? NULL : waiting;
}

/* What is there is applied. */
static void free_steps(struct apply *apply)
{
	list_for_each(node, &apply->steps) {
		struct step *step = step_of(node);

		list_remove(&step->link);
		if (step->old)
			list_append(apply->applied, &step->old->link);
		config_item_destroy(step->new);
		config_item_destroy(step->before);
		free(step);
	}
}

static void finish(struct apply *apply)
{
	json_t *report = apply->report;

	free_steps(apply);
	apply->report = NULL;
	apply->ended = true;
	apply->done(apply, report);
}

static void advance(struct apply *apply)
{
	struct step *step;

	if (apply->advancing)
		return;
	apply->advancing = true;
	for (;;) {
		while ((step = next_step(apply)))
			(apply->adding ? begin_addition : begin_removal)(step);
		if (apply->adding || is_busy(apply))
			break;
		apply->adding = true;
	}
	apply->advancing = false;
	if (apply->adding && !is_busy(apply))
		finish(apply);
}

void apply_export_ended(struct apply *apply, const char *id)
{
	list_for_each(node, &apply->steps) {
		struct step *step = step_of(node);

		if (step->state != STEP_REMOVING ||
		    step->old->kind != CONFIG_EXPORT ||
		    strcmp(step->old->name, id) != 0)
			continue;
		removed(step);
		advance(apply);
		return;
	}
}

void apply_forget(struct apply *apply, enum config_kind kind, const char *name)
{
	list_for_each(node, &apply->steps) {
		struct step *step = step_of(node);

		if (step->state < STEP_DONE || !step->old ||
		    step->old->kind != kind ||
		    strcmp(step->old->name, name) != 0)
			continue;
		config_item_destroy(step->old);
		step->old = NULL;
	}
}

/* old, new: handed over, out of their lists, one of them may be NULL. */
static int add_step(struct apply *apply, struct config_item *old,
		    struct config_item *new)
{
	struct step *step = calloc(1, sizeof(*step));

	if (!step)
		return -ENOMEM;
	*step = (struct step){ .apply = apply, .old = old, .new = new };
	if (!old)
		step->state = STEP_ADD;
	else if (new &&json_equal(old->arguments, new->arguments))
		step->state = STEP_DONE;
	if (old)
		list_remove(&old->link);
	if (new)
		list_remove(&new->link);
	list_append(&apply->steps, &step->link);
	return 0;
}

static int make_steps(struct apply *apply, struct config *wanted)
{
	int error = 0;

	list_for_each(node, apply->applied) {
		struct config_item *old = config_item_of(node);

		if (!error)
			error = add_step(apply, old,
					 config_find(&wanted->items, old->kind,
						     old->name));
	}
	list_for_each(node, &wanted->items) {
		struct config_item *new = config_item_of(node);

		if (!error && new->kind <= CONFIG_EXPORT)
			error = add_step(apply, NULL, new);
	}
	return error;
}

/* What stands on an item that is removed is removed, too. */
static void spread(struct apply *apply)
{
	bool again = true;

	while (again) {
		again = false;
		list_for_each(node, &apply->steps) {
			struct step *step = step_of(node);

			if (step->state != STEP_DONE || !step->old ||
			    !stands_on_removed(apply, step))
				continue;
			step->state = STEP_REMOVE;
			again = true;
		}
	}
}

int apply_start(struct apply *apply, struct list_node *applied,
		struct config *wanted, bool hard,
		void (*done)(struct apply *apply, json_t *report))
{
	int error;

	*apply = (struct apply){
		.daemon = apply->daemon,
		.applied = applied,
		.hard = hard,
		.report = json_pack("{s:[],s:[],s:[],s:[]}", "added", "removed",
				    "changed", "failed"),
		.done = done,
	};
	list_init(&apply->steps);
	error = apply->report ? make_steps(apply, wanted) : -ENOMEM;
	if (error) {
		free_steps(apply);
		json_decref(apply->report);
		return error;
	}
	spread(apply);
	advance(apply);
	return 0;
}

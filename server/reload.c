/* SPDX-License-Identifier: MIT */
/*
 * reload - the configuration files of a daemon, read again while it runs
 *
 * Files are read by a job, since they may lie on storage that does not answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/apply.h"
#include "server/commands.h"
#include "server/reload.h"

#define TAG "config"

enum state {
	IDLE,
	READING,
	APPLYING
};

struct reload {
	struct daemon *daemon;
	char *path;
	struct list_node applied; /* struct config_item */
	struct list_node fixed;	  /* those that are only read at start */
	enum state state;
	bool is_first;
	bool again; /* a signal has come meanwhile */

	/* Of the one that is under way */
	struct job job;
	struct config config; /* what was read */
	int error;
	struct apply apply;
	bool hard;
	struct qmp_call *call; /* NULL: a signal */
};

static void destroy_items(struct list_node *list)
{
	struct list_node *node;

	while ((node = list_take_first(list)))
		config_item_destroy(config_item_of(node));
}

static void move_items(struct list_node *from, struct list_node *to)
{
	struct list_node *node;

	while ((node = list_take_first(from)))
		list_append(to, node);
}

int reload_create(struct daemon *daemon, const char *path,
		  struct config *config, struct reload **ret)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (reload)
		reload->path = strdup(path);
	if (!reload || !reload->path) {
		free(reload);
		rh_log(RH_LOG_ERROR, TAG, "out of memory");
		return -ENOMEM;
	}
	reload->daemon = daemon;
	reload->is_first = true;
	list_init(&reload->applied);
	list_init(&reload->fixed);
	config_init(&reload->config, config->object_types);
	move_items(&config->items, &reload->config.items);
	*ret = reload;
	return 0;
}

/* One that is under way at the end of the process is left alone. */
void reload_destroy(struct reload *reload)
{
	if (!reload || reload->state != IDLE)
		return;
	destroy_items(&reload->applied);
	destroy_items(&reload->fixed);
	config_deinit(&reload->config);
	free(reload->path);
	free(reload);
}

static void end(struct reload *reload)
{
	config_deinit(&reload->config);
	reload->state = IDLE;
	reload->call = NULL;
	notify_reloaded(&reload->daemon->notify);
}

/* A signal that came meanwhile */
static void take_signal(struct reload *reload)
{
	if (reload->state != IDLE || !reload->again)
		return;
	reload->again = false;
	reload_again(reload, false, NULL);
}

static bool is_fixed(const struct config_item *item)
{
	return item->kind == CONFIG_MONITOR || item->kind == CONFIG_DAEMON;
}

static void note_fixed(json_t *report, const struct config_item *item)
{
	static const char why[] = "this is only read at start: it stays as it "
				  "was until the daemon starts again";

	rh_log(RH_LOG_ERROR, TAG, "%s:%u: [%s]: %s", item->file, item->line,
	       item->title, why);
	json_array_append_new(json_object_get(report, "failed"),
			      json_pack("{s:s,s:s,s:s,s:i}", "item",
					item->title, "why", why, "file",
					item->file, "line", (int)item->line));
}

static void take_fixed(struct reload *reload)
{
	list_for_each(node, &reload->config.items) {
		if (is_fixed(config_item_of(node))) {
			list_remove(node);
			list_append(&reload->fixed, node);
		}
	}
}

/* What is not as it was at start is told each time. */
static void compare_fixed(struct reload *reload, json_t *report)
{
	list_for_each(node, &reload->config.items) {
		const struct config_item *new = config_item_of(node);
		const struct config_item *old;

		if (!is_fixed(new))
			continue;
		old = config_find(&reload->fixed, new->kind, new->name);
		if (!old || !json_equal(old->arguments, new->arguments))
			note_fixed(report, new);
	}
	list_for_each(node, &reload->fixed) {
		const struct config_item *old = config_item_of(node);

		if (!config_find(&reload->config.items, old->kind, old->name))
			note_fixed(report, old);
	}
}

static int nr_of(json_t *report, const char *list)
{
	return (int)json_array_size(json_object_get(report, list));
}

static void applied(struct apply *apply, json_t *report)
{
	struct reload *reload = container_of(apply, struct reload, apply);
	struct qmp_call *call = reload->call;

	if (reload->is_first)
		take_fixed(reload);
	else
		compare_fixed(reload, report);
	reload->is_first = false;
	rh_log(nr_of(report, "failed") ? RH_LOG_WARNING : RH_LOG_INFO, TAG,
	       "%s: %d added, %d removed, %d changed, %d failed", reload->path,
	       nr_of(report, "added"), nr_of(report, "removed"),
	       nr_of(report, "changed"), nr_of(report, "failed"));
	end(reload);
	if (call)
		qmp_return(call, report);
	else
		json_decref(report);
	take_signal(reload);
}

static void refuse(struct reload *reload, const char *why)
{
	struct qmp_call *call = reload->call;
	char sentence[QMP_WHY_BYTES];

	snprintf(sentence, sizeof(sentence), "%.400s: nothing is changed", why);
	rh_log(RH_LOG_ERROR, TAG, "%s", sentence);
	end(reload);
	if (call)
		qmp_refuse(call, "%s", sentence);
}

static int apply_config(struct reload *reload)
{
	reload->state = APPLYING;
	reload->apply.daemon = reload->daemon;
	return apply_start(&reload->apply, &reload->applied, &reload->config,
			   reload->hard, applied);
}

static void read_files(struct job *job)
{
	struct reload *reload = container_of(job, struct reload, job);

	reload->error = config_read(&reload->config, reload->path);
}

static void files_read(struct job *job)
{
	struct reload *reload = container_of(job, struct reload, job);

	if (reload->error)
		refuse(reload, reload->config.why);
	else if (apply_config(reload) < 0)
		refuse(reload, "out of memory");
	take_signal(reload);
}

void reload_again(struct reload *reload, bool hard, struct qmp_call *call)
{
	if (reload->state != IDLE) {
		if (call)
			qmp_refuse(call, "A reload is under way");
		else
			reload->again = true;
		return;
	}
	rh_log(RH_LOG_INFO, TAG, "reading %s again", reload->path);
	reload->state = READING;
	notify_reloading(&reload->daemon->notify);
	reload->hard = hard;
	reload->call = call;
	reload->job = (struct job){ .work = read_files, .done = files_read };
	config_init(&reload->config, command_object_types);
	if (jobs_start(&reload->daemon->jobs, &reload->job) < 0)
		refuse(reload, "cannot start a thread to read the files");
}

void reload_start(struct reload *reload)
{
	if (apply_config(reload) < 0)
		refuse(reload, "out of memory");
	else
		apply_wait(&reload->apply);
}

bool reload_busy(const struct reload *reload)
{
	return reload && reload->state != IDLE;
}

void reload_export_ended(struct reload *reload, const char *id)
{
	if (reload && reload->state == APPLYING)
		apply_export_ended(&reload->apply, id);
}

void reload_forget(struct reload *reload, enum config_kind kind,
		   const char *name)
{
	if (!reload)
		return;
	config_item_destroy(config_find(&reload->applied, kind, name));
	if (reload->state == APPLYING)
		apply_forget(&reload->apply, kind, name);
}

bool reload_has(const struct reload *reload, enum config_kind kind,
		const char *name)
{
	return reload && config_find(&reload->applied, kind, name);
}

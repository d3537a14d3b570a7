/* SPDX-License-Identifier: MIT */
/*
 * record_restore - what is kept is added at the start
 */
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/commands.h"
#include "server/record_internal.h"
#include "server/reload.h"

#define TAG "state"

static bool is_there(struct daemon *daemon, const struct config_item *item)
{
	char why[ARGS_WHY_BYTES];

	if (item->kind == CONFIG_EXPORT)
		return exports_find(&daemon->exports, item->name);
	if (item->kind == CONFIG_NODE)
		return daemon_find_node(daemon, item->name);
	return command_object_exists(daemon, item->name, why);
}

/* It came along from the process whose place is taken, which had it kept. */
static bool is_inherited(const struct daemon *daemon,
			 const struct config_item *item)
{
	return daemon->inherits &&
	       !reload_has(daemon->reload, item->kind, item->name);
}

static void leave_what_is_there(struct record *record)
{
	list_for_each(node, &record->config.items) {
		struct config_item *item = config_item_of(node);

		if (!is_there(record->daemon, item))
			continue;
		if (is_inherited(record->daemon, item))
			kept_put(&record->kept, item->kind, item->name,
				 item->arguments);
		else
			rh_log(RH_LOG_WARNING, TAG,
			       "%s is not used: the configuration or the "
			       "command line has another %s",
			       item->file, item->title);
		config_item_destroy(item);
	}
}

/* As long as it is not sure that it fails it may be there, and be changed. */
static void expect_all(struct record *record)
{
	list_for_each(node, &record->config.items) {
		struct config_item *item = config_item_of(node);
		struct kept *kept = kept_put(&record->kept, item->kind,
					     item->name, item->arguments);

		if (kept)
			kept->is_restored = true;
	}
}

/* Whatever has their names later is another thing. */
static void drop_failed(struct record *record)
{
	list_for_each(node, &record->kept) {
		struct kept *kept = kept_of(node);

		if (kept->is_restored &&
		    !config_find(&record->restored, kept->kind, kept->name))
			kept_drop(kept);
	}
}

static void restored(struct apply *apply, json_t *report)
{
	struct record *record = container_of(apply, struct record, apply);

	drop_failed(record);
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
	expect_all(record);
	if (apply_start(&record->apply, &record->restored, &record->config,
			false, restored) < 0)
		rh_log(RH_LOG_ERROR, TAG, "out of memory");
	else
		apply_wait(&record->apply);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon_config - what of the configuration files concerns the start
 *
 * They are read before anything is made, so that a daemon whose files are
 * wrong does not start, and says so to whoever started it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/commands.h"
#include "server/daemon_internal.h"
#include "server/reload.h"

#define TAG "config"

static int refuse(const struct config_item *item, const char *why)
{
	rh_log(RH_LOG_ERROR, TAG, "%s:%u: [%s]: %s", item->file,
	       config_item_line(item, why), item->title, why);
	return -EINVAL;
}

static int take_settings(struct start *start, const struct config_item *item)
{
	const char *name;
	json_t *value;
	int error = 0;

	json_object_foreach(item->arguments, name, value)
	{
		char why[128];

		snprintf(why, sizeof(why), "'%.32s' is refused", name);
		if (!error && (!json_is_string(value) ||
			       daemon_take_setting(start, name,
						   json_string_value(value))))
			error = refuse(item, why);
	}
	return error;
}

static int take_monitor(struct start *start, const struct config_item *item)
{
	struct args args;

	args_begin(&args, item->arguments, false);
	args_text(&args, "path", ARGS_NEEDED);
	args_flag(&args, "pretty", false);
	if (start->nr_monitors == ARRAY_SIZE(start->monitors))
		args_refuse(&args, "there are %u control sockets at most",
			    MAX_CHARDEVS);
	if (args_end(&args) < 0)
		return refuse(item, args.why);
	start->monitors[start->nr_monitors++] = item;
	return 0;
}

static int take_items(struct start *start)
{
	int error = 0;

	list_for_each(node, &start->config.items) {
		const struct config_item *item = config_item_of(node);

		if (!error && item->kind == CONFIG_DAEMON)
			error = take_settings(start, item);
		else if (!error && item->kind == CONFIG_MONITOR)
			error = take_monitor(start, item);
	}
	return error;
}

int daemon_read_config(struct start *start)
{
	struct config *config = &start->config;

	config_init(config, command_object_types);
	if (!start->config_option)
		return 0;
	start->config_path = realpath(start->config_option, NULL);
	if (!start->config_path) {
		rh_log(RH_LOG_ERROR, TAG, "cannot read %s: %s",
		       start->config_option, strerror(errno));
		return -ENOENT;
	}
	if (config_read(config, start->config_path) < 0) {
		rh_log(RH_LOG_ERROR, TAG, "%s", config->why);
		return -EINVAL;
	}
	return take_items(start);
}

int daemon_apply_config(struct start *start)
{
	struct daemon *daemon = &start->daemon;
	int error;

	if (!start->config_path)
		return 0;
	error = reload_create(daemon, start->config_path, &start->config,
			      &daemon->reload);
	if (!error)
		reload_start(daemon->reload);
	return error;
}

/* The sections are the reload's now, which keeps them. */
int daemon_open_monitors(struct start *start)
{
	int error = 0;

	for (unsigned int i = 0; !error && i < start->nr_monitors; i++) {
		json_t *arguments = start->monitors[i]->arguments;
		struct args args;
		const char *path;

		args_begin(&args, arguments, false);
		path = args_text(&args, "path", ARGS_NEEDED);
		error = daemon_add_monitor(&start->daemon, path,
					   args_flag(&args, "pretty", false));
	}
	return error;
}

void daemon_free_config(struct start *start)
{
	config_deinit(&start->config);
	free(start->config_path);
}

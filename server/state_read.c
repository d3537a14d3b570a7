/* SPDX-License-Identifier: MIT */
/*
 * state_read - what a directory of state holds, at the start
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/state_internal.h"

#define TAG	  "state"
#define MAX_BYTES (1u << 20) /* a command has no more */

/* Calls take() with each name in the directory, in their order. */
static int walk(struct state *state, struct config *config,
		void (*take)(struct state *state, struct config *config,
			     const char *name))
{
	struct dirent **entries;
	int nr = scandirat(state->fd, ".", &entries, NULL, alphasort);

	if (nr < 0)
		return -errno;
	for (int i = 0; i < nr; i++) {
		take(state, config, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static void remove_unfinished(struct state *state, struct config *config,
			      const char *name)
{
	(void)config;
	if (!strncmp(name, STATE_UNFINISHED, strlen(STATE_UNFINISHED)))
		unlinkat(state->fd, name, 0);
}

int state_open_directory(struct state *state)
{
	if (mkdir(state->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	state->fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return state->fd < 0 ? -errno : 0;
}

int state_remove_unfinished(struct state *state)
{
	return walk(state, NULL, remove_unfinished);
}

static int read_whole(const struct state *state, const char *name, char **ret)
{
	cleanup_close int fd =
		openat(state->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = malloc(MAX_BYTES + 1);
	size_t nr = 0;
	ssize_t done = -1;

	while (fd >= 0 && text && nr < MAX_BYTES) {
		done = read(fd, text + nr, MAX_BYTES - nr);
		if (done <= 0)
			break;
		nr += (size_t)done;
	}
	if (fd < 0 || !text || done != 0) {
		free(text);
		return fd < 0 ? -errno : -EIO;
	}
	text[nr] = '\0';
	*ret = text;
	return 0;
}

/* The kind of item that a command adds. Returns false if it adds none. */
static bool find_kind(const char *command, enum config_kind *ret)
{
	for (size_t i = 0; command && i < CONFIG_NR_VERBS; i++) {
		if (!strcmp(config_verbs[i].add, command)) {
			*ret = (enum config_kind)i;
			return true;
		}
	}
	return false;
}

static const char *type_of(enum config_kind kind, const json_t *arguments)
{
	if (kind == CONFIG_OBJECT)
		return json_string_value(
			json_object_get(arguments, "qom-type"));
	return kind == CONFIG_NODE ? "blockdev" : "export";
}

/* Returns NULL if it is no command that adds something. */
static struct config_item *make_item(json_t *object)
{
	json_t *arguments = json_object_get(object, "arguments");
	struct config_item *item;
	cleanup_free char *title = NULL;
	enum config_kind kind;
	const char *name;
	const char *type;

	if (!find_kind(json_string_value(json_object_get(object, "execute")),
		       &kind))
		return NULL;
	name = json_string_value(
		json_object_get(arguments, config_verbs[kind].name));
	type = type_of(kind, arguments);
	if (!name || !type || asprintf(&title, "%s %s", type, name) < 0) {
		title = NULL;
		return NULL;
	}
	item = config_item_create(kind, title);
	if (!item)
		return NULL;
	json_decref(item->arguments);
	item->arguments = json_incref(arguments);
	item->is_typed = true;
	item->line = 1;
	return item;
}

static void leave(const struct state *state, const char *name, const char *why)
{
	rh_log(RH_LOG_ERROR, TAG, "%s/%s is left alone: %s", state->path, name,
	       why);
}

static void take_text(struct state *state, struct config *config,
		      const char *name, const char *text)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	struct config_item *item = object ? make_item(object) : NULL;
	char expected[STATE_NAME_BYTES];

	json_decref(object);
	if (!item) {
		leave(state, name, object ? "it adds nothing" : error.text);
		return;
	}
	if (state_name(item->kind, item->name, expected) < 0 ||
	    strcmp(expected, name) != 0) {
		leave(state, name, "that is not the name of what is in it");
		config_item_destroy(item);
		return;
	}
	if (asprintf(&item->file, "%s/%s", state->path, name) < 0)
		item->file = NULL;
	list_append(&config->items, &item->link);
}

static void take_file(struct state *state, struct config *config,
		      const char *name)
{
	size_t nr = strlen(name);
	char *text = NULL;
	int error;

	if (nr <= strlen(STATE_SUFFIX) ||
	    strcmp(name + nr - strlen(STATE_SUFFIX), STATE_SUFFIX) != 0)
		return;
	error = read_whole(state, name, &text);
	if (error) {
		leave(state, name, strerror(-error));
		return;
	}
	take_text(state, config, name, text);
	free(text);
}

void state_read(struct state *state, struct config *config)
{
	int error = walk(state, config, take_file);

	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot read %s: %s", state->path,
		       strerror(-error));
}

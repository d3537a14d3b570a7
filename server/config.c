/* SPDX-License-Identifier: MIT */
/*
 * config - what the configuration files say, as one set of items
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/config.h"

const struct config_verbs config_verbs[CONFIG_NR_VERBS] = {
	[CONFIG_OBJECT] = { "object-add", "object-del", "id" },
	[CONFIG_NODE] = { "blockdev-add", "blockdev-del", "node-name" },
	[CONFIG_EXPORT] = { "block-export-add", "block-export-del", "id" },
};

void config_init(struct config *config, const char *const *object_types)
{
	list_init(&config->items);
	config->object_types = object_types;
	config->why[0] = '\0';
}

void config_deinit(struct config *config)
{
	list_for_each(node, &config->items)
		config_item_destroy(config_item_of(node));
}

struct config_item *config_find(const struct list_node *items,
				enum config_kind kind, const char *name)
{
	list_for_each(node, items) {
		struct config_item *item = config_item_of(node);

		if (item->kind == kind && !strcmp(item->name, name))
			return item;
	}
	return NULL;
}

struct config_item *config_item_create(enum config_kind kind, const char *title)
{
	struct config_item *item = calloc(1, sizeof(*item));
	const char *blank = strchr(title, ' ');

	if (!item)
		return NULL;
	list_init(&item->link);
	item->kind = kind;
	item->title = strdup(title);
	item->name = strdup(blank ? blank + 1 : "");
	item->arguments = json_object();
	item->lines = json_object();
	if (item->title && item->name && item->arguments && item->lines)
		return item;
	config_item_destroy(item);
	return NULL;
}

void config_item_destroy(struct config_item *item)
{
	if (!item)
		return;
	list_remove(&item->link);
	json_decref(item->arguments);
	json_decref(item->lines);
	free(item->title);
	free(item->name);
	free(item->file);
	free(item);
}

static bool quotes(const char *why, const char *name)
{
	size_t nr = strlen(name);

	for (const char *at = why; (at = strstr(at, name)); at += nr) {
		if (at > why && at[-1] == '\'' && at[nr] == '\'')
			return true;
	}
	return false;
}

unsigned int config_item_line(const struct config_item *item, const char *why)
{
	const char *name;
	json_t *line;

	json_object_foreach(item->lines, name, line)
	{
		if (quotes(why, name))
			return (unsigned int)json_integer_value(line);
	}
	return item->line;
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && !strcmp(json_string_value(value), text);
}

static bool says(const struct config_item *item, const char *argument,
		 const char *text)
{
	return is_text(json_object_get(item->arguments, argument), text);
}

/* Objects are named by arguments of any name, one or several by each. */
static bool names_object(const struct config_item *item, const char *id)
{
	static const char *const others[] = { "id", "node-name", "file" };
	const char *argument;
	json_t *element;
	json_t *value;
	size_t i;

	json_object_foreach(item->arguments, argument, value)
	{
		bool is_other = false;

		for (i = 0; i < ARRAY_SIZE(others); i++)
			is_other |= !strcmp(argument, others[i]);
		if (is_other)
			continue;
		if (is_text(value, id))
			return true;
		json_array_foreach(value, i, element)
		{
			if (is_text(element, id))
				return true;
		}
	}
	return false;
}

bool config_item_needs(const struct config_item *item,
		       const struct config_item *other)
{
	if (item == other)
		return false;
	if (other->kind == CONFIG_OBJECT)
		return names_object(item, other->name);
	if (other->kind != CONFIG_NODE)
		return false;
	return (item->kind == CONFIG_EXPORT &&
		says(item, "node-name", other->name)) ||
	       (item->kind == CONFIG_NODE && says(item, "file", other->name));
}

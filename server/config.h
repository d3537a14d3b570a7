/* SPDX-License-Identifier: MIT */
/*
 * config - what the configuration files say, as one set of items
 *
 * A section is an item: an object, a node, an export, a control socket, or the
 * daemon itself. What stands in it becomes the arguments of the command that
 * makes it, so names are those of the command line, and none of them is known
 * here. A file is taken whole or not at all: what is wrong with any line of any
 * file is an error that names the line.
 *
 * Owner: the caller. Any thread.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <jansson.h>
#include <stdio.h>

#include "common/list.h"

#define CONFIG_WHY_BYTES 512

enum config_kind {
	CONFIG_OBJECT,
	CONFIG_NODE,
	CONFIG_EXPORT,
	CONFIG_MONITOR,
	CONFIG_DAEMON,
};

struct config_item {
	struct list_node link;
	enum config_kind kind;
	char *title; /* "export vm1" */
	char *name;  /* "vm1"; "" for the daemon */
	char *file;  /* NULL: none */
	unsigned int line;
	bool is_typed; /* see args.h */
	json_t *arguments;
	json_t *lines; /* the line of each of them */
};

/* The commands that make and unmake an item, and their name for its name. */
struct config_verbs {
	const char *add;
	const char *remove;
	const char *name;
};

/* Of objects, nodes and exports */
#define CONFIG_NR_VERBS 3
extern const struct config_verbs config_verbs[CONFIG_NR_VERBS];

struct config {
	struct list_node items; /* in the order of the files */
	const char *const *object_types;
	char why[CONFIG_WHY_BYTES]; /* "" as long as nothing is wrong */
};

/* object_types: those that are known, up to a NULL; borrowed. */
void config_init(struct config *config, const char *const *object_types);
void config_deinit(struct config *config);

/*
 * path: a file, or a directory: its *.conf in the order of their names, then
 * those of conf.d in it. Returns 0, or -errno with a sentence in why.
 */
int config_read(struct config *config, const char *path);

/* The same, from what is open. name: for sentences. */
int config_read_stream(struct config *config, const char *name, FILE *file);

/* NULL: there is none. */
struct config_item *config_find(const struct list_node *items,
				enum config_kind kind, const char *name);

/*
 * An item with nothing in it yet, in no list. title: "export vm1", the kind
 * and the name. NULL without memory.
 */
struct config_item *config_item_create(enum config_kind kind,
				       const char *title);

/* Out of its list. NULL is accepted. */
void config_item_destroy(struct config_item *item);

/* The line that a sentence about the item means: one that names an argument. */
unsigned int config_item_line(const struct config_item *item, const char *why);

/* True if the one cannot be without the other. */
bool config_item_needs(const struct config_item *item,
		       const struct config_item *other);

static inline struct config_item *config_item_of(struct list_node *node)
{
	return container_of(node, struct config_item, link);
}

#endif

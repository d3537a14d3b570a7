/* SPDX-License-Identifier: MIT */
/*
 * kept - what of all that is there has a file in the directory of state
 *
 * Each with the arguments of the command that makes it as it is now, which its
 * file has, or is about to have.
 *
 * Owner: struct record. Control thread.
 */
#ifndef SERVER_KEPT_H
#define SERVER_KEPT_H

#include "server/config.h"

struct kept {
	struct list_node link;
	enum config_kind kind;
	char *name;
	json_t *arguments; /* owned */
	unsigned long nr;  /* no other one has, whatever its name */
	bool is_restored;  /* it is wanted at the start, and may fail yet */
};

/*
 * In place of one of the same kind and name. arguments: borrowed. Returns it,
 * or NULL without memory.
 */
struct kept *kept_put(struct list_node *list, enum config_kind kind,
		      const char *name, json_t *arguments);

/* NULL: there is none. */
struct kept *kept_find(const struct list_node *list, enum config_kind kind,
		       const char *name);

/* NULL is accepted. */
void kept_drop(struct kept *kept);

static inline struct kept *kept_of(struct list_node *node)
{
	return container_of(node, struct kept, link);
}

#endif

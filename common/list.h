/* SPDX-License-Identifier: MIT */
/*
 * list - a doubly linked list whose links lie inside its members
 *
 * A list is a struct list_node that points to itself when empty; so does a
 * node that is in no list. No allocation, no ownership: the members belong
 * to whoever they belonged to before.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>

#include "common/base.h"

struct list_node {
	struct list_node *next;
	struct list_node *previous;
};

static inline void list_init(struct list_node *node)
{
	node->next = node;
	node->previous = node;
}

static inline bool list_empty(const struct list_node *list)
{
	return list->next == list;
}

static inline void list_append(struct list_node *list, struct list_node *node)
{
	node->previous = list->previous;
	node->next = list;
	list->previous->next = node;
	list->previous = node;
}

/* Harmless for a node that is in no list. */
static inline void list_remove(struct list_node *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

/* The first node, out of the list; NULL when it is empty. */
static inline struct list_node *list_take_first(struct list_node *list)
{
	struct list_node *node = list->next;

	if (node == list)
		return NULL;
	list_remove(node);
	return node;
}

/* The current node may be removed inside the loop. */
#define list_for_each(node, list)                                              \
	for (struct list_node *node = (list)->next, *node##_next = node->next; \
	     node != (list); node = node##_next, node##_next = node->next)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * node_handover - what another process has seen of an image
 *
 * Of all that a process knows of an image it opens, one thing cannot be seen by
 * another one that opens it anew: that a sync has failed.
 */
#include <string.h>

#include "common/base.h"
#include "server/handover_text.h"
#include "server/node.h"

#define MAX_NAME_BYTES (1u << 20) /* a command has no more */

static int error_of(const struct node *node)
{
	const struct driver_ops *ops = node->driver->ops;

	return !node->base && ops->sync_error ? ops->sync_error(node->driver) :
						0;
}

/* An empty name ends the list. */
int nodes_hand_over(const struct list_node *nodes, int fd)
{
	int outcome = 0;

	list_for_each(link, nodes) {
		const struct node *node = container_of(link, struct node, link);
		int error = error_of(node);

		if (!error)
			continue;
		if (!outcome)
			outcome = handover_put(fd, node->name,
					       strlen(node->name));
		if (!outcome)
			outcome = handover_put(fd, &error, sizeof(error));
	}
	return outcome ? outcome : handover_put(fd, "", 0);
}

static void note(const struct list_node *nodes, const char *name, int error)
{
	list_for_each(link, nodes) {
		const struct node *node = container_of(link, struct node, link);

		if (!strcmp(node->name, name) && !node->base &&
		    node->driver->ops->note_sync_error)
			node->driver->ops->note_sync_error(node->driver, error);
	}
}

static int take_one(void *opaque, const char *name, int fd)
{
	const struct list_node **nodes = opaque;
	cleanup_free char *bytes = NULL;
	size_t nr_bytes = 0;
	int error = 0;
	int outcome = handover_get(fd, sizeof(error), &bytes, &nr_bytes);

	if (outcome)
		return outcome;
	memcpy(&error, bytes, nr_bytes);
	if (error < 0)
		note(*nodes, name, error);
	return 0;
}

int nodes_take_over(const struct list_node *nodes, int fd)
{
	return handover_get_each(fd, MAX_NAME_BYTES, take_one, &nodes);
}

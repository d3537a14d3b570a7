/* SPDX-License-Identifier: MIT */
/*
 * throttle_groups - the throttle groups of the process, by name
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_THROTTLE_GROUPS_H
#define SERVER_THROTTLE_GROUPS_H

#include "common/list.h"
#include "server/throttle.h"

struct throttle_group {
	struct list_node link;
	char *id;
	struct throttle *throttle;
};

struct throttle_groups {
	struct list_node list; /* struct throttle_group */
};

void throttle_groups_init(struct throttle_groups *groups);

/* None of them has members any more. */
void throttle_groups_deinit(struct throttle_groups *groups);

/* limits: checked. Returns 0, or -ENOMEM (logged). */
int throttle_groups_add(struct throttle_groups *groups, const char *id,
			const struct throttle_limits *limits);

/* NULL: there is none. */
struct throttle_group *throttle_groups_find(struct throttle_groups *groups,
					    const char *id);

/* The one of this throttle, which is there. */
struct throttle_group *throttle_groups_of(struct throttle_groups *groups,
					  const struct throttle *throttle);

/* It has no members. */
void throttle_groups_remove(struct throttle_group *group);

static inline struct throttle_group *throttle_group_of(struct list_node *node)
{
	return container_of(node, struct throttle_group, link);
}

#endif

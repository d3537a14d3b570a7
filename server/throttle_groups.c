/* SPDX-License-Identifier: MIT */
/*
 * throttle_groups - the throttle groups of the process, by name
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/throttle_groups.h"

void throttle_groups_init(struct throttle_groups *groups)
{
	list_init(&groups->list);
}

void throttle_groups_remove(struct throttle_group *group)
{
	list_remove(&group->link);
	throttle_destroy(group->throttle);
	free(group->id);
	free(group);
}

void throttle_groups_deinit(struct throttle_groups *groups)
{
	list_for_each(node, &groups->list)
		throttle_groups_remove(throttle_group_of(node));
}

int throttle_groups_add(struct throttle_groups *groups, const char *id,
			const struct throttle_limits *limits)
{
	struct throttle_group *group = calloc(1, sizeof(*group));

	if (group) {
		list_append(&groups->list, &group->link);
		group->id = strdup(id);
	}
	if (!group || !group->id ||
	    throttle_create(THROTTLE_MAX_MEMBERS, &group->throttle) < 0) {
		rh_log(RH_LOG_ERROR, id, "out of memory");
		if (group)
			throttle_groups_remove(group);
		return -ENOMEM;
	}
	throttle_set(group->throttle, limits);
	return 0;
}

struct throttle_group *throttle_groups_find(struct throttle_groups *groups,
					    const char *id)
{
	list_for_each(node, &groups->list) {
		if (!strcmp(throttle_group_of(node)->id, id))
			return throttle_group_of(node);
	}
	return NULL;
}

struct throttle_group *throttle_groups_of(struct throttle_groups *groups,
					  const struct throttle *throttle)
{
	list_for_each(node, &groups->list) {
		if (throttle_group_of(node)->throttle == throttle)
			return throttle_group_of(node);
	}
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * kept - what of all that is there has a file in the directory of state
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/kept.h"

struct kept *kept_put(struct list_node *list, enum config_kind kind,
		      const char *name, json_t *arguments)
{
	static unsigned long nr;
	struct kept *kept = calloc(1, sizeof(*kept));

	kept_drop(kept_find(list, kind, name));
	if (!kept)
		return NULL;
	list_init(&kept->link);
	kept->kind = kind;
	kept->name = strdup(name);
	kept->arguments = json_incref(arguments);
	kept->nr = ++nr;
	if (!kept->name) {
		kept_drop(kept);
		return NULL;
	}
	list_append(list, &kept->link);
	return kept;
}

struct kept *kept_find(const struct list_node *list, enum config_kind kind,
		       const char *name)
{
	list_for_each(node, list) {
		struct kept *kept = kept_of(node);

		if (kept->kind == kind && !strcmp(kept->name, name))
			return kept;
	}
	return NULL;
}

void kept_drop(struct kept *kept)
{
	if (!kept)
		return;
	list_remove(&kept->link);
	json_decref(kept->arguments);
	free(kept->name);
	free(kept);
}

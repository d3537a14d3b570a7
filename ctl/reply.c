/* SPDX-License-Identifier: MIT */
/*
 * reply - members of what a daemon has answered, of the type they should be
 */
#include "ctl/reply.h"

#include <string.h>

json_t *reply_find(const json_t *array, const char *name, const char *text)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *object = json_array_get(array, i);

		if (!strcmp(reply_text(object, name), text) && *text)
			return object;
	}
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * select - which cases the patterns of --only choose
 */
#include "check/select.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME 160

static bool fits_one(const char *pattern, const struct check_group *group,
		     const struct check_case *test)
{
	char both[MAX_NAME];

	snprintf(both, sizeof(both), "%s/%s", group->name, test->name);
	return fnmatch(pattern, test->name, 0) == 0 ||
	       fnmatch(pattern, group->name, 0) == 0 ||
	       fnmatch(pattern, both, 0) == 0;
}

bool select_fits(const char *patterns, const struct check_group *group,
		 const struct check_case *test)
{
	char pattern[MAX_NAME];
	size_t length;

	if (!patterns)
		return true;
	for (;;) {
		length = strcspn(patterns, ",");
		if (length && length < sizeof(pattern)) {
			memcpy(pattern, patterns, length);
			pattern[length] = '\0';
			if (fits_one(pattern, group, test))
				return true;
		}
		if (!patterns[length])
			return false;
		patterns += length + 1;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what the process gives up once it has all that it needs
 *
 * The order is that of what each part needs itself: Landlock and the filter
 * want a process that can gain no privilege, and the filter lets nobody set
 * up anything more.
 */
#include <stddef.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/sandbox_internal.h"

#define TAG "ringhost"

static const struct {
	const char *name;
	int (*enter)(const struct sandbox_options *options, const char **why);
} parts[] = {
	{ "fewer privileges", sandbox_drop_privileges },
	{ "Landlock rules", sandbox_enter_landlock },
	{ "a seccomp filter", sandbox_enter_filter },
};

int sandbox_enter(const struct sandbox_options *options)
{
	const bool must = options->mode == SANDBOX_ON;

	if (options->mode == SANDBOX_OFF)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *why = NULL;
		int error = parts[i].enter(options, &why);

		if (!error)
			continue;
		rh_log(must ? RH_LOG_ERROR : RH_LOG_INFO, TAG,
		       must ? "--sandbox=on asks for %s, but %s: pass "
			      "--sandbox=auto to go on without" :
			      "the sandbox goes without %s: %s",
		       parts[i].name, why ? why : strerror(-error));
		if (must)
			return error;
	}
	return 0;
}

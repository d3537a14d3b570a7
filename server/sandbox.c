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

/* What became of a part: goes on without it, or returns its error. */
static int judge(const struct sandbox_options *options, const char *part,
		 int error, const char *why)
{
	const bool must = options->mode == SANDBOX_ON;

	if (!error)
		return 0;
	rh_log(must ? RH_LOG_ERROR : RH_LOG_INFO, TAG,
	       must ? "--sandbox=on asks for %s, but %s: pass "
		      "--sandbox=auto to go on without" :
		      "the sandbox goes without %s: %s",
	       part, why ? why : strerror(-error));
	return must ? error : 0;
}

int sandbox_enter(const struct sandbox_options *options)
{
	const char *why = NULL;
	int error;

	if (options->mode == SANDBOX_OFF)
		return 0;
	error = sandbox_drop_privileges(options, &why);
	error = judge(options, "fewer privileges", error, why);
	if (error)
		return error;
	why = NULL;
	error = sandbox_enter_landlock(options, &why);
	error = judge(options, "Landlock rules", error, why);
	if (error)
		return error;
	why = NULL;
	error = sandbox_enter_filter(options, &why);
	return judge(options, "a seccomp filter", error, why);
}

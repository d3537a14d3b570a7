/* SPDX-License-Identifier: MIT */
/*
 * sandbox_none - the sandbox of a build with a sanitizer: there is none
 *
 * A sanitizer looks at its process through /proc, starts threads and
 * processes of its own, and writes its report where it was told to. All of
 * that is what a sandbox is there to prevent.
 */
#include <errno.h>

#include "common/log.h"
#include "server/sandbox.h"

#define TAG "ringhost"

int sandbox_enter(const struct sandbox_options *options)
{
	switch (options->mode) {
	case SANDBOX_ON:
		rh_log(RH_LOG_ERROR, TAG,
		       "--sandbox=on asks for a sandbox, but this build has a "
		       "sanitizer in its place: pass --sandbox=auto to go on "
		       "without");
		return -EOPNOTSUPP;
	case SANDBOX_AUTO:
		rh_log(RH_LOG_INFO, TAG,
		       "there is no sandbox: this build has a sanitizer in its "
		       "place");
		break;
	case SANDBOX_OFF:
		break;
	}
	return 0;
}

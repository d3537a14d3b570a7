/* SPDX-License-Identifier: MIT */
/*
 * sandbox_filter_none - the filter of system calls of a build without one
 */
#include <errno.h>

#include "server/sandbox_internal.h"

int sandbox_enter_filter(const struct sandbox_options *options,
			 const char **why)
{
	(void)options;
	*why = "this program was built without libseccomp";
	return -EOPNOTSUPP;
}

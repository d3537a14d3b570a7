/* SPDX-License-Identifier: MIT */
/*
 * sandbox_internal - the parts of the sandbox, for sandbox.c alone
 *
 * Each enters one part, for the calling thread and those that it will start.
 * Returns 0, or -errno when this host or this build has no such part. *why is
 * then a sentence's end that says so, or NULL when errno says it all.
 */
#ifndef SERVER_SANDBOX_INTERNAL_H
#define SERVER_SANDBOX_INTERNAL_H

#include "server/sandbox.h"

int sandbox_drop_privileges(const struct sandbox_options *options,
			    const char **why);
int sandbox_enter_landlock(const struct sandbox_options *options,
			   const char **why);
int sandbox_enter_filter(const struct sandbox_options *options,
			 const char **why);

#endif

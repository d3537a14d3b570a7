/* SPDX-License-Identifier: MIT */
/*
 * sandbox_privileges - no capability, and no program that would give one
 *
 * All that needed a privilege, such as opening the image of another user, is
 * done. What is left of root is its name: it owns files.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "common/log.h"
#include "server/sandbox_internal.h"

#define TAG "ringhost"

/*
 * Those that could come back by executing a program. Only who has CAP_SETPCAP
 * can drop them; for all others "no new privileges" does the same.
 */
static void empty_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0 &&
				    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0;
	     cap++)
		;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {
		{ 0 },
	};

	/* Kernels before 4.3 have no ambient set. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* It was made with a privilege that is gone. */
static void look_at_directory(const struct sandbox_options *options)
{
	if (options->directory_fd >= 0 &&
	    faccessat(options->directory_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		rh_log(RH_LOG_INFO, TAG,
		       "the directory of %s belongs to somebody else, so it "
		       "stays there when ringhost ends; the next one replaces "
		       "it",
		       options->file_name);
}

int sandbox_drop_privileges(const struct sandbox_options *options,
			    const char **why)
{
	int error;

	(void)why;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	empty_bounding_set();
	error = drop_capabilities();
	if (!error)
		look_at_directory(options);
	return error;
}

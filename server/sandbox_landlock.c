/* SPDX-License-Identifier: MIT */
/*
 * sandbox_landlock - no path but the one of the socket, for its removal
 *
 * Landlock takes away rights of a thread on paths, on TCP ports and, since
 * version 6, on processes and abstract sockets outside of its domain. Files
 * that are open keep what they could do when they were opened, and the image
 * is: so all rights are taken away, and one is left, the removal of a file in
 * the socket's directory.
 *
 * What the kernel's version does not know is not taken away by Landlock; the
 * filter stops the calls for it.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "server/sandbox_internal.h"

/* As of version 6; each version knows a part from the start on. */
struct ruleset {
	uint64_t paths;
	uint64_t network;
	uint64_t scopes;
};

#define ALL_OF_TCP     3u /* bind and connect */
#define SCOPE_ABSTRACT 1u
#define SCOPE_SIGNAL   2u

/* Rights on paths have numbers without a gap; how many a version has. */
static const unsigned int nr_path_rights[] = {
	[1] = 13, [2] = 14, [3] = 15, [4] = 15, [5] = 16,
};

static int find_version(const char **why)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0UL,
			       LANDLOCK_CREATE_RULESET_VERSION);

	if (version > 0)
		return (int)version;
	if (errno == ENOSYS)
		*why = "this kernel has no Landlock";
	else if (errno == EOPNOTSUPP)
		*why = "Landlock was switched off when this kernel started "
		       "(lsm=landlock,... switches it on)";
	return -errno;
}

/* A child outside of the domain could not be signalled. */
static int create_ruleset(int version, bool has_child)
{
	size_t best = MIN((size_t)version, ARRAY_SIZE(nr_path_rights) - 1);
	const struct ruleset ruleset = {
		.paths = (UINT64_C(1) << nr_path_rights[best]) - 1,
		.network = ALL_OF_TCP,
		.scopes = has_child ? SCOPE_ABSTRACT :
				      SCOPE_ABSTRACT | SCOPE_SIGNAL,
	};
	size_t bytes = sizeof(ruleset);
	long fd;

	if (version < 4)
		bytes = offsetof(struct ruleset, network);
	else if (version < 6)
		bytes = offsetof(struct ruleset, scopes);
	fd = syscall(SYS_landlock_create_ruleset, &ruleset, bytes, 0U);
	return fd < 0 ? -errno : (int)fd;
}

static int allow_removal(int ruleset_fd, int directory_fd)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_REMOVE_FILE,
		.parent_fd = directory_fd,
	};

	if (directory_fd < 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset_fd,
		       LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) < 0 ?
		       -errno :
		       0;
}

int sandbox_enter_landlock(const struct sandbox_options *options,
			   const char **why)
{
	int version = find_version(why);
	cleanup_close int fd = -1;
	int error;

	if (version < 0)
		return version;
	fd = create_ruleset(version, options->child > 0);
	if (fd < 0)
		return fd;
	error = allow_removal(fd, options->directory_fd);
	if (error)
		return error;
	return syscall(SYS_landlock_restrict_self, fd, 0U) < 0 ? -errno : 0;
}

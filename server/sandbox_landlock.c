/* SPDX-License-Identifier: MIT */
/*
 * sandbox_landlock - no path but those that serving takes
 *
 * Landlock takes away rights of a thread on paths, on TCP ports and, since
 * version 6, on processes and abstract sockets outside of its domain. Files
 * that are open keep what they could do when they were opened, and the image
 * is: so all rights are taken away, and one is left, the removal of a file in
 * the socket's directory. A process that opens while it serves keeps what that
 * takes on the paths that it names; if it names none, paths are left alone.
 *
 * What the kernel's version does not know is not taken away by Landlock; the
 * filter stops the calls for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/sandbox_internal.h"

/* As of version 6; each version knows a part from the start on. */
struct ruleset {
	uint64_t paths;
	uint64_t network;
	uint64_t scopes;
};

#define TCP_BIND       1u
#define TCP_CONNECT    2u
#define SCOPE_ABSTRACT 1u
#define SCOPE_SIGNAL   2u

#define RIGHT_TRUNCATE (UINT64_C(1) << 14) /* since version 3 */
#define RIGHT_IOCTL    (UINT64_C(1) << 15) /* of devices, since version 5 */

#define OPEN                                                                   \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |        \
	 RIGHT_TRUNCATE | RIGHT_IOCTL)

static const uint64_t use_rights[] = {
	[SANDBOX_SERVE] = OPEN | LANDLOCK_ACCESS_FS_READ_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_SOCK |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE,
	[SANDBOX_READ] =
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	[SANDBOX_STATE] = OPEN | LANDLOCK_ACCESS_FS_READ_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE,
	[SANDBOX_SOCKET] =
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
	[SANDBOX_REMOVE] = LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

/* What opening an image or serving it may read besides; none need be there. */
static const struct {
	const char *path;
	enum sandbox_use use;
} system_paths[] = {
	{ "/etc/group", SANDBOX_READ },
	{ "/sys/devices", SANDBOX_READ }, /* limits of block devices */
	{ "/dev/userfaultfd", SANDBOX_SERVE },
};

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

static uint64_t path_rights(int version)
{
	size_t best = MIN((size_t)version, ARRAY_SIZE(nr_path_rights) - 1);

	return (UINT64_C(1) << nr_path_rights[best]) - 1;
}

static bool leaves_paths_alone(const struct sandbox_options *options)
{
	return options->opens && !options->nr_paths;
}

/* A child outside of the domain could not be signalled. */
static int create_ruleset(int version, const struct sandbox_options *options)
{
	const struct ruleset ruleset = {
		.paths = leaves_paths_alone(options) ? 0 : path_rights(version),
		.network = options->binds_tcp ? TCP_CONNECT :
						TCP_CONNECT | TCP_BIND,
		.scopes = options->child > 0 ? SCOPE_ABSTRACT :
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

static int add_rule(int ruleset_fd, int fd, uint64_t rights)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = fd,
	};

	return syscall(SYS_landlock_add_rule, ruleset_fd,
		       LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) < 0 ?
		       -errno :
		       0;
}

/*
 * A rule for a file is refused if it has rights that are about directories, and
 * one for a file that lies in no directory, such as a memfd, needs none.
 */
static int allow(int ruleset_fd, int version, int fd, enum sandbox_use use)
{
	uint64_t rights = use_rights[use] & path_rights(version);
	struct stat status;
	int error;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		rights &= OPEN;
	error = rights ? add_rule(ruleset_fd, fd, rights) : 0;
	return error == -EBADFD ? 0 : error;
}

static void allow_system_paths(int ruleset_fd, int version)
{
	for (size_t i = 0; i < ARRAY_SIZE(system_paths); i++) {
		cleanup_close int fd =
			open(system_paths[i].path, O_PATH | O_CLOEXEC);

		if (fd >= 0)
			allow(ruleset_fd, version, fd, system_paths[i].use);
	}
}

static int allow_paths(int ruleset_fd, int version,
		       const struct sandbox_options *options)
{
	int error = 0;

	if (options->directory_fd >= 0)
		error = allow(ruleset_fd, version, options->directory_fd,
			      SANDBOX_REMOVE);
	for (unsigned int i = 0; !error && i < options->nr_paths; i++)
		error = allow(ruleset_fd, version, options->paths[i].fd,
			      options->paths[i].use);
	if (options->opens)
		allow_system_paths(ruleset_fd, version);
	return error;
}

int sandbox_enter_landlock(const struct sandbox_options *options,
			   const char **why)
{
	int version = find_version(why);
	cleanup_close int fd = -1;
	int error = 0;

	if (version < 0)
		return version;
	if (leaves_paths_alone(options) && version < 4)
		return 0; /* it knows nothing but paths */
	fd = create_ruleset(version, options);
	if (fd < 0)
		return fd;
	if (!leaves_paths_alone(options))
		error = allow_paths(fd, version, options);
	if (error)
		return error;
	return syscall(SYS_landlock_restrict_self, fd, 0U) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * state_lock - one daemon at a time has a directory of state
 *
 * The lock is the process's and not its descriptor's, since then whoever finds
 * it taken is told by whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/state_internal.h"

#define NAME ".lock"

/* The process that has it; 0: not known. */
static pid_t find_holder(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid > 0 ? lock.l_pid : 0;
}

int state_lock(struct state *state, pid_t *holder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	cleanup_close int fd = -1;
	int error;

	*holder = 0;
	if (state->lock_fd >= 0)
		return 0;
	fd = openat(state->fd, NAME,
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		error = errno == EACCES ? -EAGAIN : -errno;
		*holder = find_holder(fd);
		return error;
	}
	state->lock_fd = steal_fd(&fd);
	return state_remove_unfinished(state);
}

void state_unlock(struct state *state)
{
	rh_fd_close(&state->lock_fd);
}

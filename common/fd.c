/* SPDX-License-Identifier: MIT */
/*
 * fd - file descriptors: closing, flags, eventfds, memfds
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/fd.h"

void rh_fd_close(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved_errno;
}

int rh_fd_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (flags & O_NONBLOCK)
		return 0;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int rh_eventfd_create(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void rh_eventfd_signal(int fd)
{
	uint64_t one = 1;
	ssize_t done;

	do {
		done = write(fd, &one, sizeof(one));
	} while (done < 0 && errno == EINTR);
}

bool rh_eventfd_drain(int fd)
{
	uint64_t count;
	ssize_t done;

	do {
		done = read(fd, &count, sizeof(count));
	} while (done < 0 && errno == EINTR);
	return done == sizeof(count);
}

void rh_fd_allow_many(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int rh_memfd_create(const char *name, size_t size_bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size_bytes) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * fd - file descriptors: closing, flags, eventfds, memfds
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/* Returns 0 when fd may be ready, or -errno. */
static int wait_for(int fd, short events, int wait_msec)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int nr = poll(&pollfd, 1, wait_msec);

	if (nr == 0)
		return -ETIMEDOUT;
	return nr < 0 && errno != EINTR ? -errno : 0;
}

/* What a read or a write without progress means. */
static int wait_after(int fd, short events, int wait_msec)
{
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	return wait_for(fd, events, wait_msec);
}

int rh_fd_put_all(int fd, const void *data, size_t bytes, int wait_msec)
{
	const char *byte = data;
	int error = 0;

	while (!error && bytes) {
		ssize_t nr = write(fd, byte, bytes);

		if (nr < 0) {
			error = wait_after(fd, POLLOUT, wait_msec);
			continue;
		}
		byte += nr;
		bytes -= (size_t)nr;
	}
	return error;
}

int rh_fd_get_all(int fd, void *data, size_t bytes, int wait_msec)
{
	char *byte = data;
	int error = 0;

	while (!error && bytes) {
		ssize_t nr;

		error = wait_for(fd, POLLIN, wait_msec);
		nr = error ? -1 : read(fd, byte, bytes);
		if (error)
			break;
		if (nr == 0)
			return -ECONNRESET;
		if (nr < 0) {
			error = wait_after(fd, POLLIN, wait_msec);
			continue;
		}
		byte += nr;
		bytes -= (size_t)nr;
	}
	return error;
}

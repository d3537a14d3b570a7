/* SPDX-License-Identifier: MIT */
/*
 * peerfd - files that a peer holds, too, or has made
 *
 * The kernel has one way to add to an eventfd that never sleeps: it does so
 * itself, when an asynchronous operation completes that asked for it (see
 * IOCB_FLAG_RESFD in io_submit(2)). The operation here is a poll of the
 * eventfd itself, which is readable or writable at any time, so it completes
 * at once. A write would be a little cheaper; a server with its own io_uring
 * sends its signals through that.
 *
 * One context serves the whole process. It is made at the first use, and
 * then never changes; a process forked off later does not have it, and falls
 * back to a write when there is room.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"

#define MAX_EVENTS 32

/* 0 until the first use */
static _Atomic aio_context_t process_context;

/* Returns 0 where the host does not allow it. */
static aio_context_t get_context(void)
{
	aio_context_t context = atomic_load(&process_context);
	aio_context_t other = 0;

	if (likely(context))
		return context;
	if (syscall(SYS_io_setup, MAX_EVENTS, &context) < 0)
		return 0;
	if (atomic_compare_exchange_strong(&process_context, &other, context))
		return context;
	syscall(SYS_io_destroy, context);
	return other;
}

static void reap(aio_context_t context)
{
	struct io_event events[MAX_EVENTS];
	struct timespec now = { 0 };

	syscall(SYS_io_getevents, context, 0L, (long)MAX_EVENTS, events, &now);
}

/* Returns 0 or -errno. */
static int signal_by_completion(aio_context_t context, int fd)
{
	struct iocb operation = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = POLLIN | POLLOUT,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *operations[] = { &operation };
	long done;

	do {
		done = syscall(SYS_io_submit, context, 1L, operations);
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		reap(context);
	} while (done < 0);
	return 0;
}

static void signal_by_write(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	if (poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLOUT)
		rh_eventfd_signal(fd);
}

void rh_peerfd_signal(int fd)
{
	aio_context_t context = get_context();

	if (!context || signal_by_completion(context, fd) < 0)
		signal_by_write(fd);
}

void rh_peerfd_drain(int fd)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t done;

	do {
		done = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	} while (done < 0 && errno == EINTR);
}

void rh_peerfd_close(int *fd)
{
	const struct linger none = { 0 };
	int saved_errno = errno;

	if (*fd >= 0)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	errno = saved_errno;
	rh_fd_close(fd);
}

bool rh_peerfd_is_eventfd(int fd)
{
	static const char eventfd_link[] = "anon_inode:[eventfd]";
	char path[32];
	char link[sizeof(eventfd_link)];
	struct stat file;
	ssize_t bytes;

	if (fstat(fd, &file) < 0 || file.st_mode & S_IFMT)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bytes = readlink(path, link, sizeof(link));
	return bytes < 0 || (bytes == sizeof(eventfd_link) - 1 &&
			     !memcmp(link, eventfd_link, (size_t)bytes));
}

/* SPDX-License-Identifier: MIT */
/*
 * peerfd - eventfds that a peer holds, too
 *
 * The kernel has one way to add to an eventfd that never sleeps: it does so
 * itself, when an asynchronous operation completes that asked for it (see
 * IOCB_FLAG_RESFD in io_submit(2)). The operation here is a poll of a file
 * that is always ready, so it completes at once. A write would be a little
 * cheaper; a server with its own io_uring sends its signals through that.
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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"

#define MAX_EVENTS 32

struct notifier {
	aio_context_t context;
	int ready_fd; /* an eventfd that stays above 0 */
};

static _Atomic(struct notifier *) the_notifier;

static void destroy_notifier(struct notifier *notifier)
{
	rh_fd_close(&notifier->ready_fd);
	if (notifier->context)
		syscall(SYS_io_destroy, notifier->context);
	free(notifier);
}

static struct notifier *create_notifier(void)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));

	if (!notifier)
		return NULL;
	notifier->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (notifier->ready_fd < 0 ||
	    syscall(SYS_io_setup, MAX_EVENTS, &notifier->context) < 0) {
		destroy_notifier(notifier);
		return NULL;
	}
	return notifier;
}

/* Returns NULL where the host does not allow it. */
static struct notifier *get_notifier(void)
{
	struct notifier *notifier = atomic_load(&the_notifier);
	struct notifier *other = NULL;

	if (likely(notifier))
		return notifier;
	notifier = create_notifier();
	if (!notifier)
		return NULL;
	if (atomic_compare_exchange_strong(&the_notifier, &other, notifier))
		return notifier;
	destroy_notifier(notifier);
	return other;
}

static void reap(struct notifier *notifier)
{
	struct io_event events[MAX_EVENTS];
	struct timespec now = { 0 };

	syscall(SYS_io_getevents, notifier->context, 0, MAX_EVENTS, events,
		&now);
}

/* Returns 0 or -errno. */
static int signal_by_completion(struct notifier *notifier, int fd)
{
	struct iocb operation = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)notifier->ready_fd,
		.aio_buf = POLLIN,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *operations[] = { &operation };
	long done;

	do {
		done = syscall(SYS_io_submit, notifier->context, 1L,
			       operations);
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		reap(notifier);
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
	struct notifier *notifier = get_notifier();

	if (!notifier || signal_by_completion(notifier, fd) < 0)
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

/* SPDX-License-Identifier: MIT */
/*
 * eventfd - wait for what a back-end signals
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"

int64_t fe_eventfd_wait(int fd, int timeout_msec)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	uint64_t count;
	int nr;

	do {
		nr = poll(&pollfd, 1, fe_remaining_msec(deadline));
	} while (nr < 0 && errno == EINTR);
	if (nr < 0)
		return -errno;
	if (nr == 0)
		return -ETIMEDOUT;
	if (read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return -errno;
	return (int64_t)count;
}

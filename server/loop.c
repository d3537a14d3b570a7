/* SPDX-License-Identifier: MIT */
/*
 * loop - what the control thread waits for
 */
#include <errno.h>
#include <sys/epoll.h>

#include "common/fd.h"
#include "server/loop.h"

int loop_init(struct loop *loop)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_deinit(struct loop *loop)
{
	rh_fd_close(&loop->epoll_fd);
}

static int control(struct loop *loop, int operation, struct loop_watch *watch,
		   uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) < 0 ?
		       -errno :
		       0;
}

int loop_add(struct loop *loop, struct loop_watch *watch, int fd,
	     uint32_t events)
{
	int error;

	watch->fd = fd;
	error = control(loop, EPOLL_CTL_ADD, watch, events);
	if (error)
		watch->fd = -1;
	return error;
}

int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
	if (watch->fd < 0)
		return;
	control(loop, EPOLL_CTL_DEL, watch, 0);
	watch->fd = -1;
}

int loop_run_once(struct loop *loop)
{
	struct epoll_event event;
	struct loop_watch *watch;
	int nr = epoll_wait(loop->epoll_fd, &event, 1, -1);

	if (nr < 0)
		return errno == EINTR ? 0 : -errno;
	if (nr == 0)
		return 0;
	watch = event.data.ptr;
	watch->ready(watch, event.events);
	return 0;
}

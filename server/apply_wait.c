/* SPDX-License-Identifier: MIT */
/*
 * apply_wait - the start of a daemon waits for its disks, but not for ever
 *
 * A server of images that does not answer is to hold up neither the disks of
 * others nor the control socket, by which something can be done about it.
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/apply.h"

#define TAG	     "config"
#define PATIENCE_SEC 10

struct patience {
	struct loop_watch watch;
	bool is_over;
};

static void end_patience(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	container_of(watch, struct patience, watch)->is_over = true;
}

static int begin(struct loop *loop, struct patience *patience)
{
	const struct itimerspec end = { .it_value.tv_sec = PATIENCE_SEC };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	*patience = (struct patience){
		.watch = { .fd = -1, .ready = end_patience },
	};
	if (fd < 0 || timerfd_settime(fd, 0, &end, NULL) < 0 ||
	    loop_add(loop, &patience->watch, fd, EPOLLIN) < 0)
		rh_log(RH_LOG_WARNING, TAG,
		       "no timer: all images have to "
		       "answer before anything is served");
	return fd;
}

void apply_wait(struct apply *apply)
{
	struct daemon *daemon = apply->daemon;
	struct patience patience;
	int fd;

	if (apply->ended)
		return;
	fd = begin(&daemon->loop, &patience);
	while (!apply->ended && !patience.is_over && !daemon->quitting &&
	       loop_run_once(&daemon->loop) == 0)
		;
	loop_remove(&daemon->loop, &patience.watch);
	rh_fd_close(&fd);
	if (patience.is_over)
		rh_log(RH_LOG_WARNING, TAG,
		       "some storage does not answer: its disks are added "
		       "when it does, all others are served");
}

/* SPDX-License-Identifier: MIT */
/*
 * loop - what the control thread waits for
 *
 * A set of file descriptors, each with a function to call when it is ready.
 * One is called at a time, and the kernel is asked again after each, so that
 * a function may add and remove any watch, its own and others; those that are
 * ready take turns.
 *
 * Control thread.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <stdint.h>

struct loop {
	int epoll_fd;
};

struct loop_watch {
	int fd; /* not owned; -1: not watched */
	/* events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
	void (*ready)(struct loop_watch *watch, uint32_t events);
};

/* Returns 0 or -errno. */
int loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);

/* ready is set. events: EPOLLIN, EPOLLOUT. Returns 0 or -errno. */
int loop_add(struct loop *loop, struct loop_watch *watch, int fd,
	     uint32_t events);
int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Before the fd is closed. A watch that was not added is accepted. */
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* Wait until one is ready, and call it. Returns 0 or -errno. */
int loop_run_once(struct loop *loop);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * signal_fd - an eventfd that is exchanged under the thread which signals it
 *
 * A running queue signals a file descriptor number while the control thread
 * exchanges the file behind it, without a lock: a number that was opened once
 * stays open, and so valid for an owner that has just read it, until the queue
 * has stopped.
 *
 * Control thread, but for rh_signal_fd_send() and who reads number.
 */
#ifndef LIB_SIGNAL_FD_H
#define LIB_SIGNAL_FD_H

#include <stdatomic.h>

struct rh_signal_fd {
	atomic_int number; /* what is signalled; -1 for none */
	int slot;	   /* the number once opened; -1 before */
};

void rh_signal_fd_init(struct rh_signal_fd *signal_fd);

/* Nobody signals any more; back to none. */
void rh_signal_fd_deinit(struct rh_signal_fd *signal_fd);

/* Exchange what is signalled. fd: taken; -1 for none. */
void rh_signal_fd_set(struct rh_signal_fd *signal_fd, int fd);

/* The queue has stopped: what it does not need is closed. */
void rh_signal_fd_settle(struct rh_signal_fd *signal_fd);

/* Any thread; never blocks. Nothing where there is none. */
void rh_signal_fd_send(struct rh_signal_fd *signal_fd);

#endif

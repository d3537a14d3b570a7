/* SPDX-License-Identifier: MIT */
/*
 * fd - file descriptors: closing, flags, eventfds, memfds
 *
 * An empty fd is -1. Whatever is created here is O_CLOEXEC from birth.
 * Any thread.
 */
#ifndef COMMON_FD_H
#define COMMON_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Close *fd unless it is empty, and empty it; errno is kept. */
void rh_fd_close(int *fd);

/* Returns 0 or -errno. */
int rh_fd_set_nonblocking(int fd);

/* A non-blocking eventfd at 0. Returns the fd or -errno. */
int rh_eventfd_create(void);

/* Add 1; a full counter is left as it is, since its reader is awake anyway. */
void rh_eventfd_signal(int fd);

/*
 * Take what is in it; never blocks on a non-blocking fd. Returns false when
 * it was empty.
 */
bool rh_eventfd_drain(int fd);

/* As many as the process may ask for: the soft limit becomes the hard one. */
void rh_fd_allow_many(void);

/*
 * All bytes, through a socket or a pipe that may be non-blocking, and never
 * wait_msec without progress. Return 0, -ETIMEDOUT, or another -errno:
 * -ECONNRESET for an end of what there is to read.
 */
int rh_fd_put_all(int fd, const void *data, size_t bytes, int wait_msec);
int rh_fd_get_all(int fd, void *data, size_t bytes, int wait_msec);

/* A memfd of size_bytes, all zero. Returns the fd or -errno. */
int rh_memfd_create(const char *name, size_t size_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * sync_fds - an open file description of an image for each worker's flushes
 *
 * A failed writeback is told once to each description, to whichever call comes
 * first: a durable write of this or another worker could take the news away
 * from a flush. So flushes have descriptions of their own. They are opened
 * with the image, since a confined process opens nothing.
 *
 * Threads: the control thread opens and closes, while no worker has one; any
 * thread takes and gives back.
 */
#ifndef SERVER_DRIVERS_SYNC_FDS_H
#define SERVER_DRIVERS_SYNC_FDS_H

#include <stdatomic.h>

struct sync_fds {
	int image_fd;	 /* not owned */
	unsigned int nr; /* fixed */
	atomic_int *fds; /* -1: taken */
};

/* All zeroes is an empty one. Returns 0 or -errno. */
int sync_fds_open(struct sync_fds *sync_fds, int image_fd, unsigned int nr);

/* All have been given back. What is empty is accepted. */
void sync_fds_close(struct sync_fds *sync_fds);

/*
 * A description that nobody else has; opened now, if all are taken. Where
 * there is no /proc it is the image's own. Returns the fd or -errno.
 */
int sync_fds_take(struct sync_fds *sync_fds);

/* *fd: what was taken, -1 afterwards. */
void sync_fds_give(struct sync_fds *sync_fds, int *fd);

#endif

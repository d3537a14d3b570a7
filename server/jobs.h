/* SPDX-License-Identifier: MIT */
/*
 * jobs - what may take long is done beside the control thread
 *
 * Opening and closing an image waits for its storage, which may be a server
 * that does not answer. A job has a thread of its own meanwhile, and whoever
 * waits for it is told in the control thread.
 *
 * Control thread, but for work().
 */
#ifndef SERVER_JOBS_H
#define SERVER_JOBS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/list.h"
#include "server/loop.h"

#define JOBS_MAX 64 /* at a time */

struct job {
	void (*work)(struct job *job); /* in its thread */
	void (*done)(struct job *job); /* may free it */

	/* Of jobs.c */
	struct jobs *jobs;
	struct list_node link;
	unsigned int place; /* in the table of those that run */
};

struct jobs {
	struct loop *loop;
	struct loop_watch watch;
	int fd; /* eventfd: one has ended */
	pthread_mutex_t lock;
	struct list_node ended; /* struct job; under the lock */
	unsigned int nr_running;
};

/* Returns 0 or -errno. */
int jobs_init(struct jobs *jobs, struct loop *loop);

/* None runs. */
void jobs_deinit(struct jobs *jobs);

/*
 * work and done are set. Returns 0, or -errno: -EAGAIN for too many at a
 * time; nothing of it is called then.
 */
int jobs_start(struct jobs *jobs, struct job *job);

/*
 * Readable when one has ended, for jobs_finish(): who waits for this and for
 * nothing else that the loop watches serves nobody meanwhile.
 */
static inline int jobs_fd(const struct jobs *jobs)
{
	return jobs->fd;
}

/* Those that have ended are told. */
void jobs_finish(struct jobs *jobs);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * size_watch - images that get another size by themselves
 *
 * A block device grows, somebody truncates a file: nothing tells that to those
 * who have it open. So the sizes of all images are asked for again, in rounds:
 * at intervals while a front-end is connected, and when somebody says so. A
 * round is a job, since storage may not answer.
 *
 * inotify(7) is no help: each write of a guest would be an event, block
 * devices and network file systems have none, and a confined process could
 * not ask for them.
 *
 * Owner: struct daemon. Control thread, but for size_watch_wait().
 */
#ifndef SERVER_SIZE_WATCH_H
#define SERVER_SIZE_WATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "server/jobs.h"
#include "server/loop.h"
#include "server/node.h"

#define SIZE_WATCH_SECONDS     10 /* between rounds, if nothing else is said */
#define SIZE_WATCH_MAX_SECONDS 86400

struct size_round;

struct size_watch {
	struct loop *loop;
	struct jobs *jobs;
	struct list_node *nodes; /* struct node; not owned */
	/* An image has another size than before, which it has already. */
	void (*changed)(struct size_watch *watch, struct node *node,
			uint64_t old_bytes);
	struct loop_watch timer;
	int timer_fd;
	unsigned int interval_seconds; /* 0: only when somebody says so */
	bool ticks;
	bool again;		  /* one more round, after this one */
	struct size_round *round; /* NULL: none is under way */

	pthread_mutex_t lock;
	pthread_cond_t moved_on;
	/* Under the lock: whose size the round waits for now */
	const struct node *current;
};

/* The members down to changed are set. Returns 0 or -errno. */
int size_watch_init(struct size_watch *watch, unsigned int interval_seconds);

/* Its round may still be under way, if the process ends now. */
void size_watch_deinit(struct size_watch *watch);

/* Whether anybody is there who wants to know. */
void size_watch_enable(struct size_watch *watch, bool on);

/* Now. */
void size_watch_look(struct size_watch *watch);

/*
 * The node goes, or gets another size on purpose: the round does not begin
 * with it any more, and what it has found there is dropped. It may be waiting
 * for its storage at the moment: then size_watch_wait() returns when it has
 * done so, in any thread.
 */
void size_watch_forget(struct size_watch *watch, const struct node *node);
void size_watch_wait(struct size_watch *watch, const struct node *node);

/* The round waits for its storage. */
bool size_watch_busy(struct size_watch *watch, const struct node *node);

#endif

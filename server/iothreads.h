/* SPDX-License-Identifier: MIT */
/*
 * iothreads - the workers of the process, by name
 *
 * A worker may run queues of any number of exports. Those that name none share
 * one, which is made when it is first asked for. No thread runs before
 * iothreads_start(), so that the process can be confined in between.
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_IOTHREADS_H
#define SERVER_IOTHREADS_H

#include "common/list.h"
#include "server/worker.h"

#define IOTHREADS_DEFAULT "io0" /* the name of the shared one */

struct iothread {
	struct list_node link;
	char *name;
	struct worker *worker;
	unsigned int poll_usec;
};

struct iothreads {
	struct list_node list; /* struct iothread */
	enum engine_kind engine;
	bool engine_given; /* by the user: no silent fallback */
	bool started;
};

void iothreads_init(struct iothreads *iothreads, enum engine_kind engine,
		    bool engine_given);

/* No export uses any of them any more. */
void iothreads_deinit(struct iothreads *iothreads);

/*
 * Start those that are there; others start when they are added. Returns 0 or
 * -errno (logged).
 */
int iothreads_start(struct iothreads *iothreads);

/*
 * Make one. poll_usec: see worker_create(). Returns 0, -EEXIST, or another
 * -errno, each logged.
 */
int iothreads_add(struct iothreads *iothreads, const char *name,
		  unsigned int poll_usec);

/* NULL: there is none. */
struct iothread *iothreads_find(struct iothreads *iothreads, const char *name);

/* The one of this worker. NULL: there is none. */
struct iothread *iothreads_of(struct iothreads *iothreads,
			      const struct worker *worker);

/* The shared one. NULL: it cannot be made (logged). */
struct iothread *iothreads_default(struct iothreads *iothreads);

/* One that no export uses. */
void iothreads_remove(struct iothread *iothread);

static inline struct iothread *iothread_of(struct list_node *node)
{
	return container_of(node, struct iothread, link);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread, one engine, its queues; the turn
 *
 * The only pthread_create for I/O. A worker takes everything available from
 * its queues with kicks suppressed, submits and waits in one engine_turn(),
 * reaps, stores each used index once and signals each queue at most once.
 *
 * The control thread talks to it through a pipe of small commands, without a
 * lock; the answers are given_back() and the thread's end.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <sys/types.h>

#include <ringhost/queue.h>

#include "server/driver.h"
#include "server/engine.h"
#include "server/virtio_blk.h"

struct worker;

/*
 * All of a worker but its thread: what a confined process could not make any
 * more. name: of the thread ("disk0/w0", cut to 15 bytes).
 * poll_usec: how long it may look for work, where that pays, before it
 * sleeps; 0: not at all.
 * Returns 0 with *ret set, or -errno as engine_create().
 */
int worker_create(const char *name, enum engine_kind kind,
		  unsigned int poll_usec, struct worker **ret);

/*
 * The same, where io_uring may not be allowed: then *kind is ENGINE_THREADS
 * afterwards, unless kind_given, which makes it an error; each told in the log.
 */
int worker_create_or_fall_back(const char *name, enum engine_kind *kind,
			       bool kind_given, unsigned int poll_usec,
			       struct worker **ret);

/*
 * Start the thread, once, and wait for its first turn, which shows whether the
 * engine works there. Returns 0, or -errno: there is no thread then.
 */
int worker_start(struct worker *worker);

/* Ends the thread, if it was started; no queue of it runs. NULL is accepted. */
void worker_destroy(struct worker *worker);

/* "io_uring" or "threads" */
const char *worker_engine_name(const struct worker *worker);

/*
 * The worker opens the driver's context for itself at its first queue of a
 * driver and keeps it until the last queue of that driver has stopped.
 * Control thread; rh_queue_set_data() of the queue is the worker's to use.
 * Returns 0 or -errno (the queue was not taken).
 */
int worker_queue_start(struct worker *worker, struct rh_queue *queue,
		       struct virtio_blk *blk, struct driver *driver);

/*
 * Asynchronous: the worker takes nothing more, finishes what is under way,
 * lets go of the kick fd, then calls given_back() in its thread, and touches
 * the queue no more. NULL: rh_queue_stopped(). Who does not call that may give
 * the queue to another worker, which goes on where this one has ended.
 */
void worker_queue_stop(struct worker *worker, struct rh_queue *queue,
		       void (*given_back)(void *opaque), void *opaque);

/* Limits have changed: what waits for them may go now. Control thread. */
void worker_look_again(struct worker *worker);

/* As in /proc; 0 before it has begun to run. Any thread. */
pid_t worker_thread_id(const struct worker *worker);

/* Queues that it runs; control thread. For spreading them. */
unsigned int worker_nr_queues(const struct worker *worker);

#endif

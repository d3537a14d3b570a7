/* SPDX-License-Identifier: MIT */
/*
 * threadpool - the engine on threads, and threads for what blocks
 *
 * threadpool_engine_create() makes the engine that takes over where io_uring
 * is not allowed: operations run in a pool of threads, epoll watches. The
 * pool alone serves the other engine for IO_CALL.
 *
 * Owner: a pool belongs to one thread, as its engine does. Its own threads
 * are started when there is work for them, and sleep otherwise.
 */
#ifndef SERVER_THREADPOOL_H
#define SERVER_THREADPOOL_H

#include "server/engine.h"

#define THREADPOOL_MAX_THREADS 16

/* As engine_create(). */
int threadpool_engine_create(struct engine **ret);

struct threadpool;

/* Returns 0 with *ret set, or -errno. No thread runs yet. */
int threadpool_create(struct threadpool **ret);

/* What is under way is waited for; done() is not called. NULL is accepted. */
void threadpool_destroy(struct threadpool *pool);

/*
 * Any kind of operation. Its result is in op->result once it is done.
 * Returns 0, or -errno when there is not one thread and none can be started.
 */
int threadpool_submit(struct threadpool *pool, struct io_op *op);

/* An eventfd, written to when the list of what is done is no longer empty. */
int threadpool_fd(const struct threadpool *pool);

/* Append all that is done to list. */
void threadpool_take_done(struct threadpool *pool, struct list_node *list);

#endif

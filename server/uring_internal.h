/* SPDX-License-Identifier: MIT */
/*
 * uring_internal - what the files of the io_uring engine share
 *
 *	uring.c		operations, signals, the turn
 *	uring_watch.c	watches: multishot polls
 *
 * Owner: the worker's thread.
 */
#ifndef SERVER_URING_INTERNAL_H
#define SERVER_URING_INTERNAL_H

#include <liburing.h>

#include "common/base.h"
#include "server/prompt.h"
#include "server/threadpool.h"
#include "server/uring.h"

/* The turn as a signal's user data has it. */
#define URING_TURN_MASK ((1u << 29) - 1)

/* What a completion belongs to: low bits of its user data */
enum uring_tag {
	TAG_OP,	    /* struct io_op */
	TAG_POLL,   /* struct engine_watch */
	TAG_CANCEL, /* struct engine_watch */
	TAG_SIGNAL, /* an fd, and the turn in which it was asked for */
	TAG_MASK = 7,
};

struct uring {
	struct engine engine;
	struct io_uring ring;
	bool enabled;
	bool refused;		/* somebody has to try again in the next turn */
	unsigned int turn;	/* counts them, up to URING_TURN_MASK */
	unsigned int full_turn; /* the last one with a full completion queue */
	unsigned int nr_under_way;
	struct list_node retry;	   /* struct io_op, to be submitted again */
	struct list_node finished; /* struct io_op, from pool and prompt */
	struct prompt *prompt;	   /* NULL until the first, or not allowed */
	bool prompt_refused;
	struct threadpool *pool; /* of IO_CALL; NULL until the first */
	struct engine_watch pool_watch;

	/* struct engine_watch */
	struct list_node todo;
	struct list_node ready;
	struct list_node gone;
};

static inline struct uring *uring_of(struct engine *engine)
{
	return container_of(engine, struct uring, engine);
}

static inline uint64_t uring_tagged(const void *pointer, enum uring_tag tag)
{
	return (uint64_t)(uintptr_t)pointer | tag;
}

/* The same when the submission queue is full. */
struct io_uring_sqe *uring_make_room(struct uring *uring);

/* An entry to fill; NULL when the kernel takes none off us at the moment. */
static inline struct io_uring_sqe *uring_get_entry(struct uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	return likely(sqe) ? sqe : uring_make_room(uring);
}

int uring_watch_add(struct engine *engine, struct engine_watch *watch);
void uring_watch_remove(struct engine *engine, struct engine_watch *watch);

/* Entries for all watches on todo. False: not for all. */
bool uring_watch_settle(struct uring *uring);

/* Completions of a poll, and of its cancellation */
void uring_watch_polled(struct uring *uring, struct engine_watch *watch,
			int result, unsigned int flags);
void uring_watch_cancelled(struct uring *uring, struct engine_watch *watch,
			   int result);

/* The callbacks that are due */
void uring_watch_call_ready(struct uring *uring);
void uring_watch_call_removed(struct uring *uring);

#endif

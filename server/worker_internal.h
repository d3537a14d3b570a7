/* SPDX-License-Identifier: MIT */
/*
 * worker_internal - what the three files of a worker share
 *
 * worker.c has the thread and the control thread's side, worker_queue.c the
 * life of a queue from its start until it is given back, worker_turn.c what
 * happens again and again in between. But for what is marked otherwise all of
 * it is the worker's thread's.
 */
#ifndef SERVER_WORKER_INTERNAL_H
#define SERVER_WORKER_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "common/base.h"
#include "common/list.h"
#include "server/polling.h"
#include "server/worker.h"

#define WORKER_NAME_BYTES 16 /* of a thread, with its NUL */

/* What the worker has of one driver, as long as a queue of it runs. */
struct worker_context {
	struct list_node link;
	struct driver *driver;		 /* not owned */
	struct driver_context *attached; /* owned */
	unsigned int nr_queues;
};

struct worker {
	/* Fixed */
	char name[WORKER_NAME_BYTES];
	struct engine *engine;
	pthread_t thread;
	int command_fds[2]; /* read, write */

	/* The thread's first words, before which nothing goes on */
	sem_t begun;
	int begin_error;
	_Atomic pid_t thread_id;

	/* From the control thread's telling until the worker's looking */
	atomic_bool told_to_look;

	/* The control thread's */
	unsigned int nr_queues;
	bool thread_runs;

	/* The worker's thread's */
	uint64_t turn;
	struct turn_clock clock;
	uint64_t wakes_nsec; /* for what a limit holds back; UINT64_MAX: not */
	struct list_node active;  /* struct worker_queue, phase below DRAINED */
	struct list_node drained; /* struct worker_queue, phase DRAINED */
	struct list_node contexts;
	struct engine_watch commands;
	struct polling polling;
	bool found; /* something to do, since it was last asked */
	bool quit;
};

enum worker_queue_phase {
	WORKER_QUEUE_RUNNING,
	WORKER_QUEUE_STOPPING, /* takes nothing more, requests are under way */
	WORKER_QUEUE_DRAINED,  /* touches the ring no more */
};

struct worker_queue {
	struct worker *worker; /* not owned, like the next three */
	struct rh_queue *queue;
	unsigned int number; /* of the queue, for probes */
	struct virtio_blk *blk;
	struct driver *driver;
	struct worker_context *context; /* counted; NULL if the start failed */
	struct blk_queue *blk_queue;	/* NULL if it could not be made */
	struct engine_watch kick;
	bool watching;
	bool served; /* at least once since it started */
	bool spent;  /* its budget of this turn, and there is more */
	enum worker_queue_phase phase;
	uint64_t signal_turn; /* in which it last signalled the driver */
	void (*given_back)(void *opaque); /* from its stop on */
	void *opaque;
	struct list_node link;
};

static inline struct worker_queue *worker_queue_of(struct list_node *node)
{
	return container_of(node, struct worker_queue, link);
}

/* worker_queue.c: the next four, each once in the life of a queue */

/* The queue becomes active, or is failed and does nothing until it closes. */
void worker_queue_open(struct worker_queue *queue);

/* It is drained as soon as it owes nothing. */
void worker_queue_close(struct worker_queue *queue);

/* It touches the ring no more; nothing is under way. */
void worker_queue_drained(struct worker_queue *queue);

/* Neither its kick fd nor its signal is in the engine; frees it. */
cold_code void worker_queue_give_back(struct worker_queue *queue);

/* worker_turn.c: serve what is active, then submit, wait and reap. */
void worker_run_turn(struct worker *worker);

/* The queue is served in the next turn. */
void worker_activate(struct worker_queue *queue);

/* For blk_queue_create(): a request of this queue has completed. */
void worker_note_progress(void *opaque);

/* For the watch of a kick fd. */
void worker_note_kick(struct engine_watch *watch);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * export - one disk offered on one socket
 *
 * Ties a device, a driver and workers together: which queue runs on which
 * worker, when the image is claimed and released, in which order all of it
 * stops. Control thread only.
 */
#ifndef SERVER_EXPORT_H
#define SERVER_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "server/node.h"
#include "server/worker.h"

struct export_listener;

/* What happens to an export that its owner wants to know. Control thread. */
struct export_listener_ops {
	/* A front-end has come or gone: export_peer(). */
	void (*peer_changed)(struct export_listener *listener);
	/*
	 * The next ones are for people: what happens again and again is told
	 * at a bounded rate, and at last as it is.
	 */
	void (*connected)(struct export_listener *listener, pid_t pid);
	void (*disconnected)(struct export_listener *listener);
	void (*io_failed)(struct export_listener *listener,
			  const struct blk_failure *failure);
	/* nr: how many times since the last call, of all queues */
	void (*queue_broken)(struct export_listener *listener,
			     unsigned int queue, const char *why,
			     unsigned int nr);
};

struct export_listener {
	const struct export_listener_ops *ops;
};

struct export_options {
	const char *name; /* tag of log lines, unique in the process */
	const char *serial;
	bool read_only;	      /* whatever the image allows */
	uint64_t block_bytes; /* 0: that of the image */
	unsigned int nr_queues;
	unsigned int queue_size;
	bool may_move_out; /* export_hand_over() is possible; costs some fds */
	struct export_listener *listener; /* outlives it; NULL: nobody */
	struct throttle_limits limits;	  /* its own; all 0: none */
};

struct export;

/*
 * Make the device; no socket yet. node, and workers, nr_workers of them,
 * outlive the export. Returns 0 with *ret set, or -errno (logged).
 */
int export_create(const struct export_options *options, struct node *node,
		  struct worker *const *workers, unsigned int nr_workers,
		  struct export **ret);

/* After export_finished(), or before it had a socket. NULL is accepted. */
void export_destroy(struct export *export);

/* fd: taken on success. listening: else it is a connected socket. */
int export_serve(struct export *export, int fd, bool listening);

/* What to wait on, and what to call then. Returns 0 or -errno (logged). */
int export_fd(const struct export *export);
int export_run(struct export *export);

/*
 * From now on worker runs this queue, also after later stops and starts. Under
 * load the one that has it finishes what it has taken, and the other one goes
 * on with the next request; the front-end sees nothing of it. Asynchronous: a
 * queue that moves may be moved again, and can be stopped. queue: below its
 * number of queues.
 */
void export_move(struct export *export, unsigned int queue,
		 struct worker *worker);

/*
 * The same for all of its queues, which are dealt out among these workers.
 * Returns 0 or -ENOMEM (logged).
 */
int export_move_all(struct export *export, struct worker *const *workers,
		    unsigned int nr_workers);

/* True if a queue of it runs there, or may do so. */
bool export_uses(const struct export *export, const struct worker *worker);

/* A queue is on its way from one worker to another. */
bool export_moves(const struct export *export);

/* Asynchronous: until export_finished(). */
void export_stop(struct export *export);
bool export_finished(const struct export *export);

/* The process of the front-end that is connected, 0: unknown; -1: none is. */
pid_t export_peer(const struct export *export);

/* Sessions that have ended since export_create(). */
unsigned int export_nr_sessions_ended(const struct export *export);

/* The node has another size: what goes beyond it fails from now on. */
void export_take_size(struct export *export);

/* The same, from old_bytes on, and the guest is told. */
int export_resized(struct export *export, uint64_t old_bytes);

/*
 * Its own limits, beside those of the groups that its node is in; they were
 * checked. The workers are to look again afterwards. Returns 0 or -errno
 * (logged).
 */
int export_set_limits(struct export *export,
		      const struct throttle_limits *limits);
struct throttle_limits export_limits(const struct export *export);

unsigned int export_nr_queues(const struct export *export);

/* What a queue below that has done since export_create(), whoever connected. */
const struct blk_stats *export_stats(const struct export *export,
				     unsigned int queue);

/* The worker that has this queue now or is to have it; NULL: none has yet. */
const struct worker *export_queue_worker(const struct export *export,
					 unsigned int queue);

uint64_t export_block_bytes(const struct export *export);

#endif

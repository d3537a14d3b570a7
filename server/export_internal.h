/* SPDX-License-Identifier: MIT */
/*
 * export_internal - what the files export*.c share
 */
#ifndef SERVER_EXPORT_INTERNAL_H
#define SERVER_EXPORT_INTERNAL_H

#include <ringhost/device.h>

#include "common/log.h"
#include "server/export_drain.h"
#include "server/export.h"

enum claim_state {
	UNCLAIMED,
	WAITING, /* another process holds it; the timer runs */
	REFUSED, /* it held it for too long; queues stay held back */
	CLAIMED,
};

enum queue_state {
	QUEUE_IDLE,
	QUEUE_HELD, /* started, but no worker has it: the image is not ours */
	QUEUE_WORKING,
	QUEUE_MOVING,  /* its worker has been asked for it, another one waits */
	QUEUE_LEAVING, /* and meanwhile the device has asked for it, too */
};

struct export_queue {
	enum queue_state state;
	struct rh_queue *queue; /* the device's; NULL before its first start */
	struct worker *worker;	/* that has it; not owned, like the next one */
	struct worker
		*assigned; /* that is to have it; NULL: the least loaded */
	int let_go_fd;	   /* the export's, for the worker's thread */
	bool draining; /* what it had when a drain began has not ended yet */
};

/* What is to be told to the listener; export_report.c. */
struct export_report {
	int timer_fd; /* -1: there is no listener */
	bool waits;   /* for the timer, before anything is told again */
	unsigned int nr_peers_told; /* since then */
	pid_t told_peer;	    /* -1: none is there */
	unsigned int nr_broken;	    /* and not told yet */
	unsigned int broken_queue;
	char why[96];
};

struct export
{
	char *name;
	uint64_t block_bytes;
	struct node *node; /* not owned, counted as a user */
	struct virtio_blk *blk;
	struct rh_device *device;
	struct worker **workers; /* the array is owned, the workers are not */
	unsigned int nr_workers;

	int epoll_fd; /* the device and the next two */
	int timer_fd;
	/*
	 * A pipe of struct export_queue *: its worker has let go of a queue
	 * that moves. Writing there is the last that it does for the export.
	 */
	int moves_fds[2];
	enum claim_state claim;
	unsigned int nr_claim_retries;
	bool paused;
	bool freezes;		 /* export_freeze(), until export_thaw() */
	struct list_node drains; /* struct export_drain */

	struct export_listener *listener; /* not owned; NULL: nobody */
	struct export_report report;
	pid_t peer; /* as export_peer() */
	struct blk_counters session_start;
	struct log_limit log_limit;
	unsigned int nr_sessions_ended;
	unsigned int nr_queues;
	struct export_queue queues[];
};

/* The device operations of the same names; opaque is the export. */
int export_queue_start(void *opaque, struct rh_queue *queue);
void export_queue_stop(void *opaque, struct rh_queue *queue);

/* The timer has expired: is the image free now? */
void export_retry_claim(struct export *export);

/* The next two are for export_move.c. */
void export_queue_set_state(struct export_queue *entry, enum queue_state state);
int export_queue_hand_over(struct export *export, struct export_queue *entry);

/*
 * A worker has the queue: it finishes what it has taken, then
 * export_continue_moves() decides who goes on with it.
 */
void export_queue_recall(struct export *export, struct export_queue *entry);

/* What workers have let go of goes to its new worker. */
void export_continue_moves(struct export *export);

/* What is held back and may run is given to workers; not while paused. */
void export_start_held(struct export *export);

/* With a listener: before a queue runs. Returns 0 or -errno. */
int export_report_init(struct export *export);
void export_report_deinit(struct export *export);

/* peer has changed; a queue has broken; the timer may have expired. */
void export_report_peer(struct export *export);
void export_report_broken(struct export *export, unsigned int queue,
			  const char *why);
void export_report_run(struct export *export);

/* To be called when the device has done all that it can for now, first. */
void export_settle_drains(struct export *export);

/* For the library, one of them runs or is asked back. */
bool export_any_queue_runs(const struct export *export);

/* To be called when the device has done all that it can for now. */
void export_release_if_idle(struct export *export);

#endif

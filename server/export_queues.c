/* SPDX-License-Identifier: MIT */
/*
 * export_queues - which worker runs a queue, and whose the image is meanwhile
 *
 * A queue goes to the worker with the fewest. It may only run while the image
 * is claimed: when another process holds it, as the source of a live
 * migration does for a moment, the queue is held back and the claim is tried
 * again at intervals, for a bounded time. A guest that got its disk later
 * than that would go on with a file system that somebody else has changed
 * meanwhile, so it does not get it. While the export is paused all are held
 * back.
 *
 * The image is released when the device has done what it can and no queue
 * runs, not inside queue_stop(): a queue that is stopped for a change of guest
 * memory is running again by then, and must not lose the image in between.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>

#include "common/base.h"
#include "server/export_internal.h"

#define CLAIM_INTERVAL_MSEC 100
#define CLAIM_WAIT_SECONDS  5
#define MAX_CLAIM_RETRIES   (CLAIM_WAIT_SECONDS * 1000 / CLAIM_INTERVAL_MSEC)

static void set_timer(struct export *export, unsigned int interval_msec)
{
	const struct timespec interval = { .tv_nsec =
						   interval_msec * 1000000L };
	const struct itimerspec spec = { interval, interval };
	int outcome = timerfd_settime(export->timer_fd, 0, &spec, NULL);

	assert(outcome == 0);
}

static void set_claim(struct export *export, enum claim_state claim)
{
	static const unsigned int may_come_from[] = {
		[UNCLAIMED] = 1u << WAITING | 1u << REFUSED | 1u << CLAIMED,
		[WAITING] = 1u << UNCLAIMED | 1u << REFUSED,
		[REFUSED] = 1u << WAITING,
		[CLAIMED] = 1u << UNCLAIMED | 1u << WAITING | 1u << REFUSED,
	};

	assert(may_come_from[claim] & (1u << export->claim));
	if ((export->claim == WAITING) != (claim == WAITING))
		set_timer(export, claim == WAITING ? CLAIM_INTERVAL_MSEC : 0);
	export->claim = claim;
}

void export_queue_set_state(struct export_queue *entry, enum queue_state state)
{
	static const unsigned int may_come_from[] = {
		[QUEUE_IDLE] = 1u << QUEUE_HELD | 1u << QUEUE_WORKING |
			       1u << QUEUE_LEAVING,
		[QUEUE_HELD] = 1u << QUEUE_IDLE | 1u << QUEUE_MOVING,
		[QUEUE_WORKING] = 1u << QUEUE_IDLE | 1u << QUEUE_HELD |
				  1u << QUEUE_MOVING,
		[QUEUE_MOVING] = 1u << QUEUE_WORKING,
		[QUEUE_LEAVING] = 1u << QUEUE_MOVING,
	};

	assert(may_come_from[state] & (1u << entry->state));
	entry->state = state;
}

static struct worker *least_loaded_worker(const struct export *export)
{
	struct worker *best = export->workers[0];

	for (unsigned int i = 1; i < export->nr_workers; i++) {
		if (worker_nr_queues(export->workers[i]) <
		    worker_nr_queues(best))
			best = export->workers[i];
	}
	return best;
}

int export_queue_hand_over(struct export *export, struct export_queue *entry)
{
	struct worker *worker =
		entry->assigned ? entry->assigned : least_loaded_worker(export);
	int error = worker_queue_start(worker, entry->queue, export->blk,
				       export->node->driver);

	if (error) {
		rh_log(RH_LOG_ERROR, export->name,
		       "queue %u cannot be served: %s",
		       rh_queue_index(entry->queue), strerror(-error));
		return error;
	}
	entry->worker = worker;
	export_queue_set_state(entry, QUEUE_WORKING);
	return 0;
}

/* What cannot be handed over is ours, and broken, until it is stopped. */
static void hand_over_held_queues(struct export *export)
{
	if (export->paused)
		return;
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		struct export_queue *entry = &export->queues[i];

		if (entry->state == QUEUE_HELD &&
		    export_queue_hand_over(export, entry) < 0)
			rh_queue_fail(entry->queue,
				      "its worker could not take it");
	}
}

static void fail_held_queues(struct export *export)
{
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		if (export->queues[i].state == QUEUE_HELD)
			rh_queue_fail(export->queues[i].queue,
				      "another process holds the image");
	}
}

/* Returns 0 when the image is ours, -EAGAIN when to wait, or -errno. */
static int try_claim(struct export *export)
{
	int error;

	if (export->claim == CLAIMED)
		return 0;
	error = node_claim(export->node);
	if (error)
		return error;
	if (export->claim == WAITING)
		rh_log_limited(&export->log_limit, RH_LOG_INFO, export->name,
			       "the image is free now");
	set_claim(export, CLAIMED);
	return 0;
}

static void begin_to_wait(struct export *export)
{
	if (export->claim == WAITING)
		return;
	rh_log_limited(
		&export->log_limit, RH_LOG_INFO, export->name,
		"another process holds the image: the guest waits for it, at "
		"most %d seconds",
		CLAIM_WAIT_SECONDS);
	export->nr_claim_retries = 0;
	set_claim(export, WAITING);
}

void export_retry_claim(struct export *export)
{
	int error;

	if (export->claim != WAITING)
		return;
	error = try_claim(export);
	if (!error) {
		hand_over_held_queues(export);
		return;
	}
	export->nr_claim_retries++;
	if (error == -EAGAIN && export->nr_claim_retries < MAX_CLAIM_RETRIES)
		return;
	rh_log(RH_LOG_ERROR, export->name,
	       "another process has held the image for %d seconds, so this "
	       "guest does not get its disk: end that process, then restart "
	       "the VM; or pass --force-share if both may use the image",
	       CLAIM_WAIT_SECONDS);
	set_claim(export, REFUSED);
	fail_held_queues(export);
}

static bool any_queue_held(const struct export *export)
{
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		if (export->queues[i].state == QUEUE_HELD)
			return true;
	}
	return false;
}

void export_start_held(struct export *export)
{
	int error = any_queue_held(export) ? try_claim(export) : 0;

	if (!error)
		hand_over_held_queues(export);
	else if (error == -EAGAIN)
		begin_to_wait(export);
	else
		fail_held_queues(export);
}

bool export_any_queue_runs(const struct export *export)
{
	for (unsigned int i = 0; i < export->nr_queues; i++) {
		if (export->queues[i].queue &&
		    rh_queue_running(export->queues[i].queue))
			return true;
	}
	return false;
}

void export_release_if_idle(struct export *export)
{
	if (export->claim == UNCLAIMED || export_any_queue_runs(export))
		return;
	if (export->claim == CLAIMED)
		node_release(export->node);
	set_claim(export, UNCLAIMED);
}

int export_queue_start(void *opaque, struct rh_queue *queue)
{
	struct export *export = opaque;
	struct export_queue *entry = &export->queues[rh_queue_index(queue)];
	int error;

	entry->queue = queue;
	entry->draining = false; /* the device has had it back */
	if (export->paused) {
		export_queue_set_state(entry, QUEUE_HELD);
		return 0;
	}
	error = try_claim(export);
	if (error == -EAGAIN) {
		export_queue_set_state(entry, QUEUE_HELD);
		begin_to_wait(export);
		return 0;
	}
	if (error)
		return error;
	hand_over_held_queues(export);
	return export_queue_hand_over(export, entry);
}

const struct worker *export_queue_worker(const struct export *export,
					 unsigned int queue)
{
	const struct export_queue *entry = &export->queues[queue];
	bool runs = entry->state != QUEUE_IDLE && entry->state != QUEUE_HELD;

	return runs ? entry->worker : entry->assigned;
}

void export_queue_stop(void *opaque, struct rh_queue *queue)
{
	struct export *export = opaque;
	struct export_queue *entry = &export->queues[rh_queue_index(queue)];

	switch (entry->state) {
	case QUEUE_WORKING:
		export_queue_set_state(entry, QUEUE_IDLE);
		worker_queue_stop(entry->worker, queue, NULL, NULL);
		break;
	case QUEUE_MOVING:
		export_queue_set_state(entry, QUEUE_LEAVING);
		break;
	default:
		export_queue_set_state(entry, QUEUE_IDLE);
		rh_queue_stopped(queue);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * worker_turn - what a worker does again and again
 *
 * A queue is on the active list from the moment at which something may have
 * happened to it (a kick, its start, a completion) until it was looked at
 * with kicks expected again. Only active queues are touched, and only when
 * none is left that knows of more work does the turn sleep.
 *
 * The flush comes after the take, so that one store of the used index covers
 * what the last turn completed and what this take answered at once; the
 * signal goes to the kernel together with the new requests.
 *
 * A worker that is told to poll takes turns that do not sleep as long as
 * polling.c thinks that it pays: queues stay active, with kicks suppressed,
 * and such a turn looks at their rings and the engine's completions in memory.
 *
 * Here is the hot path: no allocation, no lock, no log but the last words of
 * an engine that has failed. The worker's thread calls.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "common/nsec.h"
#include "server/probes.h"
#include "server/worker_internal.h"

/*
 * What a queue may take in a turn, in units of blk_queue_take(): as much as
 * makes a turn's own cost small, and no more, since a request that arrives
 * meanwhile in another queue waits for all of it.
 */
#define BUDGET 32

void worker_activate(struct worker_queue *queue)
{
	if (list_empty(&queue->link))
		list_append(&queue->worker->active, &queue->link);
}

void worker_note_progress(void *opaque)
{
	struct worker_queue *queue = opaque;

	queue->worker->found = true;
	worker_activate(queue);
}

void worker_note_kick(struct engine_watch *watch)
{
	struct worker_queue *queue =
		container_of(watch, struct worker_queue, kick);

	PROBE_KICK(queue->worker->name, queue->number);
	if (queue->phase == WORKER_QUEUE_RUNNING)
		worker_activate(queue);
}

static void signal_driver(struct worker_queue *queue)
{
	int fd = rh_queue_call_fd(queue->queue);

	if (fd < 0)
		return;
	PROBE_CALL(queue->worker->name, queue->number);
	engine_signal(queue->worker->engine, fd);
	queue->signal_turn = queue->worker->turn;
}

/*
 * A queue that is to stop right after its start is served once all the same:
 * a front-end that changes memory again and again must not starve its guest.
 * And it is served as long as it owes what an earlier back-end has begun,
 * unless the front-end keeps that.
 */
static bool may_take(const struct worker_queue *queue)
{
	if (queue->phase == WORKER_QUEUE_RUNNING)
		return true;
	return !rh_queue_may_abandon(queue->queue) &&
	       (!queue->served || rh_queue_owes(queue->queue));
}

/* Take and flush. Returns true when there is more to take at once. */
static bool serve(struct worker_queue *queue)
{
	unsigned int budget = BUDGET;

	queue->spent = false;
	if (may_take(queue)) {
		queue->served = true;
		rh_queue_suppress_kicks(queue->queue);
		queue->spent = blk_queue_take(queue->blk_queue, &budget);
		queue->worker->found |= budget != BUDGET;
	} else if (rh_queue_may_abandon(queue->queue)) {
		blk_queue_abandon(queue->blk_queue);
	} else {
		blk_queue_retry(queue->blk_queue);
	}
	if (blk_queue_flush(queue->blk_queue))
		signal_driver(queue);
	if (queue->phase == WORKER_QUEUE_STOPPING &&
	    !blk_queue_under_way(queue->blk_queue) && !may_take(queue))
		worker_queue_drained(queue);
	return queue->spent;
}

/* Whoever asks for little goes first, so that its signal does, too. */
static void let_others_go_first(struct worker *worker)
{
	list_for_each(node, &worker->active) {
		struct worker_queue *queue = worker_queue_of(node);

		if (!queue->spent)
			continue;
		queue->spent = false; /* it comes by once more */
		list_remove(node);
		list_append(&worker->active, node);
	}
}

/*
 * Leave the active list if nothing is left to do. Returns true when the turn
 * must not sleep. With a busy driver the queue stays, and does not stand in
 * the way of sleep: what makes room also ends it. So it is with a disk at its
 * limit, but the sleep has an end then.
 */
static bool rest(struct worker_queue *queue)
{
	uint64_t until_nsec = blk_queue_waits_until(queue->blk_queue);
	struct worker *worker = queue->worker;

	worker->wakes_nsec = MIN(worker->wakes_nsec, until_nsec);
	if (blk_queue_waits(queue->blk_queue))
		return false;
	if (queue->phase == WORKER_QUEUE_RUNNING &&
	    !rh_queue_broken(queue->queue) &&
	    (!queue->watching || rh_queue_expect_kicks(queue->queue)))
		return true;
	if (until_nsec == UINT64_MAX)
		list_remove(&queue->link);
	return false;
}

static enum polling_wait what_is_waited_for(const struct worker *worker)
{
	list_for_each(node, &worker->active) {
		if (blk_queue_under_way(worker_queue_of(node)->blk_queue))
			return POLLING_FOR_STORAGE;
	}
	return POLLING_FOR_DRIVER;
}

/* Nothing is left to take: is it worth while to look again? */
static bool polls(struct worker *worker)
{
	uint64_t now;

	if (likely(!polling_is_on(&worker->polling)))
		return false;
	if (list_empty(&worker->active) && !worker->found)
		return false;
	now = nsec_now();
	if (worker->found)
		polling_found(&worker->polling, now);
	worker->found = false;
	return polling_look(&worker->polling, what_is_waited_for(worker), now);
}

/* Both return true when the turn must not sleep. */
static bool serve_active(struct worker *worker)
{
	bool awake = false;

	list_for_each(node, &worker->active)
		awake |= serve(worker_queue_of(node));
	if (awake)
		let_others_go_first(worker);
	if (awake || polls(worker))
		return true;
	list_for_each(node, &worker->active)
		awake |= rest(worker_queue_of(node));
	return awake;
}

static bool give_back_drained(struct worker *worker)
{
	bool awake = false;

	list_for_each(node, &worker->drained) {
		struct worker_queue *queue = worker_queue_of(node);

		if (queue->signal_turn == worker->turn)
			awake = true;
		else if (!queue->watching)
			worker_queue_give_back(queue);
	}
	return awake;
}

static cold_code void give_up(const struct worker *worker, int error)
{
	rh_log(RH_LOG_ERROR, worker->name,
	       "%s has failed and requests are lost, restart the server: %s",
	       engine_name(worker->engine), strerror(-error));
	abort();
}

/* The longest sleep. */
static uint64_t sleep_nsec(struct worker *worker)
{
	if (likely(worker->wakes_nsec == UINT64_MAX))
		return ENGINE_FOREVER;
	return worker->wakes_nsec -
	       MIN(worker->wakes_nsec, turn_clock_now(&worker->clock));
}

void worker_run_turn(struct worker *worker)
{
	uint64_t wait_nsec = 0;
	bool awake;
	int result;

	worker->wakes_nsec = UINT64_MAX;
	awake = serve_active(worker);
	awake |= give_back_drained(worker);
	if (!awake)
		wait_nsec = sleep_nsec(worker);
	turn_clock_forget(&worker->clock);
	result = engine_turn_for(worker->engine, wait_nsec);
	if (result < 0)
		give_up(worker, result);
	worker->turn++;
}

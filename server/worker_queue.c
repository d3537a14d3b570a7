/* SPDX-License-Identifier: MIT */
/*
 * worker_queue - a queue's life in its worker, from its start to its return
 *
 * A queue that stops passes through three phases. It is given back when its
 * requests have ended, its kick fd is watched no more, and the turn that
 * carried its last signal has returned. What it stands on, the driver's
 * context of this worker among it, lives until then and no longer: right
 * after given_back() the control thread may free all of it.
 *
 * Allocates and frees, which the turn never does. The worker's thread calls,
 * out of commands and of worker_turn.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/peerfd.h"
#include "server/worker_internal.h"

static void set_phase(struct worker_queue *queue, enum worker_queue_phase phase)
{
	assert(phase == queue->phase + 1);
	queue->phase = phase;
}

static void note_unwatched(struct engine_watch *watch)
{
	container_of(watch, struct worker_queue, kick)->watching = false;
}

static int get_context(struct worker *worker, struct driver *driver,
		       struct worker_context **ret)
{
	struct worker_context *context;
	int result;

	list_for_each(node, &worker->contexts) {
		context = container_of(node, struct worker_context, link);
		if (context->driver == driver) {
			context->nr_queues++;
			*ret = context;
			return 0;
		}
	}
	context = calloc(1, sizeof(*context));
	if (!context)
		return -ENOMEM;
	result =
		driver->ops->attach(driver, worker->engine, &context->attached);
	if (result < 0) {
		free(context);
		return result;
	}
	context->driver = driver;
	context->nr_queues = 1;
	list_append(&worker->contexts, &context->link);
	*ret = context;
	return 0;
}

static void put_context(struct worker_context *context)
{
	if (!context || --context->nr_queues)
		return;
	context->driver->ops->detach(context->attached);
	list_remove(&context->link);
	free(context);
}

static int watch_kicks(struct worker_queue *queue)
{
	int fd = rh_queue_kick_fd(queue->queue);
	int result;

	if (fd < 0)
		return 0;
	queue->kick.fd = fd;
	queue->kick.ready = worker_note_kick;
	queue->kick.removed = note_unwatched;
	result = engine_watch(queue->worker->engine, &queue->kick);
	queue->watching = result == 0;
	return result;
}

static int try_start(struct worker_queue *queue)
{
	struct blk_queue_host host = {
		.clock = &queue->worker->clock,
		.progress = worker_note_progress,
		.opaque = queue,
	};
	int result;

	result = get_context(queue->worker, queue->driver, &queue->context);
	if (result < 0)
		return result;
	host.context = queue->context->attached;
	result = blk_queue_create(queue->blk, queue->queue, &host,
				  &queue->blk_queue);
	if (result < 0)
		return result;
	return watch_kicks(queue);
}

/* A queue whose start fails does nothing until it is stopped. */
void worker_queue_open(struct worker_queue *queue)
{
	char why[80];
	int result = try_start(queue);

	if (result == 0) {
		worker_activate(queue);
		return;
	}
	snprintf(why, sizeof(why), "%s cannot serve it: %s",
		 queue->worker->name, strerror(-result));
	rh_queue_fail(queue->queue, why);
}

void worker_queue_drained(struct worker_queue *queue)
{
	set_phase(queue, WORKER_QUEUE_DRAINED);
	list_remove(&queue->link);
	list_append(&queue->worker->drained, &queue->link);
}

static void drain(struct worker_queue *queue, bool on)
{
	const struct driver_ops *ops = queue->driver->ops;

	if (queue->context && ops->drain)
		ops->drain(queue->context->attached, on);
}

void worker_queue_close(struct worker_queue *queue)
{
	set_phase(queue, WORKER_QUEUE_STOPPING);
	drain(queue, true);
	if (queue->watching)
		engine_unwatch(queue->worker->engine, &queue->kick);
	if (!queue->blk_queue) {
		worker_queue_drained(queue);
		return;
	}
	blk_queue_hurry(queue->blk_queue);
	worker_activate(queue);
}

/* What the control thread does next may free all that the queue stood on. */
void worker_queue_give_back(struct worker_queue *queue)
{
	const struct worker_queue gone = *queue;
	int kick_fd = rh_queue_kick_fd(queue->queue);

	list_remove(&queue->link);
	blk_queue_destroy(queue->blk_queue);
	drain(queue, false);
	put_context(queue->context);
	/* Kicks are looked at when the queue starts; whoever has it next
	 * must not find ours. */
	if (kick_fd >= 0)
		rh_peerfd_drain(kick_fd);
	free(queue);
	if (gone.given_back)
		gone.given_back(gone.opaque);
	else
		rh_queue_stopped(gone.queue);
}

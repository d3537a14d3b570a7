/* SPDX-License-Identifier: MIT */
/*
 * quiesce - queues handed to their owners and asked back
 */
#include <errno.h>

#include "lib/quiesce.h"

bool rh_any_queue_stopping(const struct rh_device *device)
{
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		if (device->queues[i].state == RH_QUEUE_STOPPING)
			return true;
	}
	return false;
}

void rh_stop_queue(struct rh_device *device, struct rh_queue *queue)
{
	if (queue->state != RH_QUEUE_RUNNING)
		return;
	queue->state = RH_QUEUE_STOPPING;
	device->config.ops->queue_stop(device->config.opaque, queue);
}

void rh_stop_all_queues(struct rh_device *device)
{
	for (unsigned int i = 0; i < device->config.nr_queues; i++)
		rh_stop_queue(device, &device->queues[i]);
}

void rh_take_back_queues(struct rh_device *device)
{
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		struct rh_queue *queue = &device->queues[i];

		/* pairs with the release in rh_queue_stopped() */
		if (queue->state == RH_QUEUE_STOPPING &&
		    atomic_load_explicit(&queue->given_back,
					 memory_order_acquire))
			rh_queue_finish(queue);
	}
}

static void tell_if_broken(struct rh_device *device, struct rh_queue *queue)
{
	const struct rh_device_config *config = &device->config;

	if (!atomic_load(&queue->untold))
		return;
	atomic_store(&queue->untold, false);
	if (config->ops->queue_broken)
		config->ops->queue_broken(config->opaque, queue, queue->why);
}

void rh_tell_of_broken_queues(struct rh_device *device)
{
	for (unsigned int i = 0; i < device->config.nr_queues; i++)
		tell_if_broken(device, &device->queues[i]);
}

/* Whoever runs it next may write another reason. */
static void start_queue(struct rh_device *device, struct rh_queue *queue)
{
	const struct rh_device_config *config = &device->config;
	int error;

	tell_if_broken(device, queue);
	queue->begins_late = rh_postcopy_active(&device->session.postcopy);
	error = rh_queue_start(queue, device->session.map,
			       device->session.session.features);
	if (error) {
		if (error != -EAGAIN)
			queue->hold = RH_HOLD_UNRESOLVED;
		return;
	}
	queue->state = RH_QUEUE_RUNNING;
	device->session.inflight.has_run = true;
	if (config->ops->queue_start(config->opaque, queue) < 0) {
		rh_queue_break(queue, "the device cannot serve it");
		rh_queue_finish(queue);
	}
}

void rh_start_ready_queues(struct rh_device *device)
{
	if (device->session.postcopy.phase == RH_POSTCOPY_UNCONFIRMED)
		return;
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		rh_queue_recheck(&device->queues[i]);
		if (rh_queue_ready(&device->queues[i]))
			start_queue(device, &device->queues[i]);
	}
}

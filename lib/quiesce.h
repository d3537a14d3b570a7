/* SPDX-License-Identifier: MIT */
/*
 * quiesce - queues handed to their owners and asked back
 *
 * Stopping is asynchronous: rh_stop_queue() asks, the owner answers with
 * rh_queue_stopped() from its thread, and rh_take_back_queues() notices. What
 * waits for quiet looks at rh_any_queue_stopping().
 *
 * Control thread.
 */
#ifndef LIB_QUIESCE_H
#define LIB_QUIESCE_H

#include "lib/device.h"

/* Nothing happens to a queue that does not run. */
void rh_stop_queue(struct rh_device *device, struct rh_queue *queue);
void rh_stop_all_queues(struct rh_device *device);

/* Take down the owner's side of the queues that were given back. */
void rh_take_back_queues(struct rh_device *device);

bool rh_any_queue_stopping(const struct rh_device *device);

/* The device hears of what has broken since. */
void rh_tell_of_broken_queues(struct rh_device *device);

/* Start each queue for which the front-end has set all that it needs. */
void rh_start_ready_queues(struct rh_device *device);

#endif

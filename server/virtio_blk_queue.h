/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk_queue - a queue of a disk in a worker's hands
 *
 * Request slots by chain index, from pop to push. A part of virtio_blk.h, for
 * the worker that owns the queue.
 */
#ifndef SERVER_VIRTIO_BLK_QUEUE_H
#define SERVER_VIRTIO_BLK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <ringhost/queue.h>

#include "server/driver.h"
#include "server/turn_clock.h"

struct virtio_blk;
struct blk_queue;

/* What a queue needs of the worker that runs it. */
struct blk_queue_host {
	struct driver_context *context;
	struct turn_clock *clock;
	/* A completion came in: the worker is to flush it in this turn. */
	void (*progress)(void *opaque);
	void *opaque;
};

/* A queue's request slots. host: copied. Returns 0 or -ENOMEM. */
int blk_queue_create(struct virtio_blk *blk, struct rh_queue *queue,
		     const struct blk_queue_host *host, struct blk_queue **ret);

/*
 * While rh_queue_may_abandon(): end what the driver has not got yet, as if
 * it had never been taken.
 */
void blk_queue_abandon(struct blk_queue *queue);

/* Nothing is under way. NULL is accepted. */
void blk_queue_destroy(struct blk_queue *queue);

/* Data of a request that cost a turn as much as the request itself. */
#define BLK_BYTES_A_UNIT (16u << 10)

/*
 * Take chains and submit them, first those that the driver was too busy for,
 * until the budget is spent: a request costs a unit, and another for each
 * BLK_BYTES_A_UNIT. What is left of the budget is in it afterwards; the last
 * request may cost more than was left. Malformed requests are answered here.
 * Returns true when the budget is spent and something is left to take at
 * once; false when nothing waits, and when the driver is busy: call again in
 * the next turn, since that is when it may have room.
 */
bool blk_queue_take(struct blk_queue *queue, unsigned int *budget);

/*
 * Only submit those that the driver was too busy for, as each turn of a queue
 * that stops must. Returns false when some still wait.
 */
bool blk_queue_retry(struct blk_queue *queue);

/*
 * The queue is to stop: what it has taken waits no more for the limits of the
 * disk.
 */
void blk_queue_hurry(struct blk_queue *queue);

/*
 * True while requests wait for a driver that was too busy for them, or while
 * the disk is at its limit, so that none is to be taken.
 */
bool blk_queue_waits(const struct blk_queue *queue);

/*
 * When the limits of the disk may let something go that waits for them, taken
 * or not, on the clock of the host: take again then. UINT64_MAX: nothing waits
 * for that.
 */
uint64_t blk_queue_waits_until(const struct blk_queue *queue);

/* Publish what was completed. True when the driver wants a notification. */
bool blk_queue_flush(struct blk_queue *queue);

/* Requests taken and not yet pushed. */
unsigned int blk_queue_under_way(const struct blk_queue *queue);

#endif

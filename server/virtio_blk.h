/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk - the guest's layout of a block device <-> struct blk_request
 *
 * The only room that knows virtio-blk's numbers (virtio 1.3, 5.2). struct
 * virtio_blk is one disk: features and configuration space. struct blk_queue
 * is one of its queues in a worker's hands: request slots by chain index. The
 * device must have RH_DEVICE_BAD_CHAINS.
 *
 * Threads: a struct virtio_blk is the control thread's, and its queues' owners
 * read from it what the control thread sets (relaxed atomics). A blk_queue
 * belongs to its worker.
 */
#ifndef SERVER_VIRTIO_BLK_H
#define SERVER_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <ringhost/queue.h>

#include "server/blk_stats.h"
#include "server/driver.h"
#include "server/turn_clock.h"

#define BLK_SERIAL_BYTES    20

#define BLK_MIN_BLOCK_BYTES 512
#define BLK_MAX_BLOCK_BYTES (2u << 20)

struct virtio_blk_options {
	const char *name;     /* tag of log lines */
	const char *serial;   /* at most BLK_SERIAL_BYTES are used */
	uint64_t block_bytes; /* 0: that of the driver */
	bool read_only;
	unsigned int nr_queues;
	unsigned int queue_size;
};

struct virtio_blk;
struct blk_queue;

/*
 * True for a block size that a disk may have: a power of two from 512 to
 * 2 MiB. The one check; 0 means "not set" to callers and is not valid here.
 */
bool virtio_blk_block_bytes_valid(uint64_t block_bytes);

/* Returns 0 with *ret set, or -errno (logged). driver: outlives the disk. */
int virtio_blk_create(const struct virtio_blk_options *options,
		      const struct driver *driver, struct virtio_blk **ret);
void virtio_blk_destroy(struct virtio_blk *blk);

/* Device-type feature bits to offer; bytes of its configuration space. */
uint64_t virtio_blk_features(const struct virtio_blk *blk);
uint32_t virtio_blk_config_bytes(const struct virtio_blk *blk);

/* The device operations of the same names (ringhost/device.h). */
int virtio_blk_config_get(struct virtio_blk *blk, uint32_t offset, void *data,
			  uint32_t size);
int virtio_blk_config_set(struct virtio_blk *blk, uint32_t offset,
			  const void *data, uint32_t size);
void virtio_blk_features_set(struct virtio_blk *blk, uint64_t features);

/* What the driver wants of the cache, by SET_CONFIG or from the start. */
bool virtio_blk_writeback(const struct virtio_blk *blk);
void virtio_blk_set_writeback(struct virtio_blk *blk, bool writeback);

/* Session state back to what the options say: cache mode, features. */
void virtio_blk_reset(struct virtio_blk *blk);

/* The driver's size has changed: put it into the configuration space. */
void virtio_blk_resize(struct virtio_blk *blk);

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

/* True while requests wait for a driver that was too busy for them. */
bool blk_queue_waits(const struct blk_queue *queue);

/* Publish what was completed. True when the driver wants a notification. */
bool blk_queue_flush(struct blk_queue *queue);

/* Requests taken and not yet pushed. */
unsigned int blk_queue_under_way(const struct blk_queue *queue);

/* What a queue below nr_queues has done since virtio_blk_create(). */
const struct blk_stats *virtio_blk_stats(const struct virtio_blk *blk,
					 unsigned int queue);

/* All of it together, for the log; any thread. */
struct blk_counters {
	uint64_t reads;
	uint64_t writes;
	uint64_t flushes;
	uint64_t others;
	uint64_t errors;
	uint64_t read_bytes;
	uint64_t written_bytes;
};
void virtio_blk_counters(const struct virtio_blk *blk,
			 struct blk_counters *ret);

#endif

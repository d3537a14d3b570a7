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

#include "server/blk_failures.h"
#include "server/blk_stats.h"
#include "server/driver.h"
#include "server/throttle.h"
#include "server/virtio_blk_queue.h"

#define BLK_SERIAL_BYTES    20

#define BLK_MAX_GROUPS	    8 /* of limits, that one disk is in */

#define BLK_MIN_BLOCK_BYTES 512
#define BLK_MAX_BLOCK_BYTES (2u << 20)

struct virtio_blk_options {
	const char *name;     /* tag of log lines */
	const char *serial;   /* at most BLK_SERIAL_BYTES are used */
	uint64_t block_bytes; /* 0: that of the driver */
	bool read_only;
	unsigned int nr_queues;
	unsigned int queue_size;
	/* Its own; NULL: none. And those that it shares; they outlive it. */
	const struct throttle_limits *limits;
	struct throttle *const *groups;
	unsigned int nr_groups; /* BLK_MAX_GROUPS at most */
};

struct virtio_blk;

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

/*
 * From now on the disk is kept to these, which were checked, beside those of
 * its groups. What waits already is asked again in the next turn of the
 * workers. Returns 0 or -errno (logged).
 */
int virtio_blk_set_limits(struct virtio_blk *blk,
			  const struct throttle_limits *limits);
struct throttle_limits virtio_blk_limits(const struct virtio_blk *blk);

/* What a queue below nr_queues has done since virtio_blk_create(). */
const struct blk_stats *virtio_blk_stats(const struct virtio_blk *blk,
					 unsigned int queue);

/* What its storage failed to do; the disk's. */
struct blk_failures *virtio_blk_failures(const struct virtio_blk *blk);

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

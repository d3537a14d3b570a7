/* SPDX-License-Identifier: MIT */
/*
 * world - a guest, its queue and its disk in one process
 *
 * The queue and the decoding of requests are the server's; the disk is memory
 * of ours, the worker is whoever calls world_turn(). Each mapping of a memory
 * file, the library's of the guest's memory and of the in-flight region as
 * well as ours, lies between pages that nobody may touch, and so does the
 * disk: programs link with --wrap=mmap64.
 *
 *	guest memory	rings and all that is not data | data | pattern
 *	disk		pattern | sectors | pattern
 *
 * What fails in here fails the test that called it.
 */
#ifndef TESTS_RACE_WORLD_H
#define TESTS_RACE_WORLD_H

#include <linux/virtio_blk.h>

#include "server/virtio_blk.h"
#include "tests/unit/packed-memory.h"

#define WORLD_RING_SIZE	    64
#define WORLD_CONTROL_BYTES 32768 /* rings and all that is not data */
#define WORLD_DATA_BYTES    (80 * 4096)
#define WORLD_SECTORS	    512
#define WORLD_PATTERN	    0x5a

struct world {
	struct packed_memory memory; /* memory.ring is all of it if split */
	struct rh_inflight inflight;
	bool is_packed;
	uint64_t features;
	uint64_t data; /* WORLD_DATA_BYTES of guest memory */

	struct driver_ops ops;
	struct driver driver;
	struct driver_context context;
	struct turn_clock clock;
	struct virtio_blk *blk;
	struct blk_queue *queue;   /* NULL: stopped */
	uint8_t *storage;	   /* its sectors */
	unsigned long nr_requests; /* that the driver was given */
	unsigned long nr_outside;  /* of them, in forbidden places: none */
};

/* A ring, memory, a record of requests; the queue is not started. */
void world_init(struct world *world, bool is_packed);

/* Also asserts that no pattern was written to, in memory and on the disk. */
void world_deinit(struct world *world);

/*
 * Start from where the queue was stopped, from the beginning if never. False
 * if it cannot be: its in-flight record was spoilt.
 */
bool world_start(struct world *world);
void world_stop(struct world *world);

/* What a worker does in one: take, publish. False: the queue is broken. */
bool world_turn(struct world *world);

/* True while each byte that nobody may write to is as it was. */
bool world_is_intact(const struct world *world);

/* The library's mapping of the first region's beginning, and the guest's. */
uint8_t *world_host(const struct world *world);
uint8_t *world_guest(const struct world *world);

#endif

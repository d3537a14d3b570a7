/* SPDX-License-Identifier: MIT */
/*
 * disk - a disk whose every request is held against the model
 *
 * The driver below it keeps a few sectors in memory and answers as the input
 * says: at once or later, with an error, busy. The queue's verbs are wrapped
 * (see meson.build), so that whatever the block device takes and gives passes
 * here: each chain is in guest memory and ends once; its operations are those
 * of the model, in order; its status and length are the model's, too.
 */
#ifndef TESTS_FUZZ_DISK_H
#define TESTS_FUZZ_DISK_H

#include "lib/queue.h"
#include "server/driver.h"
#include "server/virtio_blk.h"
#include "tests/fuzz/guest.h"
#include "tests/fuzz/model.h"

#define DISK_MAX_HEADS	   64
#define DISK_STORAGE_BYTES 0x10000
#define DISK_MAX_USED	   65536

struct disk_setup {
	bool read_only;
	bool cannot_discard;
	bool cannot_write_zeroes;
	bool large_blocks;
	uint8_t impossible; /* what no disk can be made of, at first */
	bool in_order;
	uint32_t ring_bytes; /* from the beginning of guest memory on */
};

/* What is known of a head that the device has taken. */
struct disk_chain {
	bool is_under_way;
	bool is_done; /* in order: pushed, and waits for those before it */
	bool has_failed;
	uint16_t nr_desc;
	uint32_t turn;	     /* when it was taken */
	uint32_t used_bytes; /* as pushed */
	uint64_t writable_bytes;
	struct model_request request;
	unsigned int next_op;
	unsigned int nr_open; /* what it may write */
	struct {
		uint64_t addr;
		uint64_t bytes;
	} open[RH_CHAIN_MAX_IOV];
};

/* What the driver of the guest is to find in the used ring. */
struct disk_used {
	uint16_t head;
	uint16_t nr_desc;
	uint32_t bytes;
};

struct fuzz_disk {
	struct fuzz_guest *guest;
	struct fuzz_input *in;
	struct rh_queue *queue;
	struct disk_setup setup;
	struct model_disk model;
	struct driver driver;
	struct driver_context context;
	struct turn_clock clock;
	uint8_t *storage;
	struct virtio_blk *blk;
	struct blk_queue *blk_queue;
	bool durable;
	bool wants_cache;
	bool has_flush;
	uint32_t script;	/* of answers, two bits each */
	unsigned int nr_writes; /* of the guest, while the driver works */
	bool was_written;	/* so it has, and perhaps the ring */
	bool is_overlaid;	/* a buffer lies where the ring is, or may */

	uint32_t nr_taken;    /* since disk_begin() */
	unsigned int nr_held; /* by the driver */
	struct blk_request *held[DISK_MAX_HEADS];
	unsigned int nr_ordered; /* taken, and not yet in used */
	uint16_t ordered[DISK_MAX_HEADS];
	unsigned int nr_expected;
	unsigned int next_expected;
	uint16_t expected[DISK_MAX_HEADS];
	unsigned int nr_used;
	struct disk_used used[DISK_MAX_USED];
	struct disk_chain chains[DISK_MAX_HEADS];
};

/* Once a program */
void disk_create(struct fuzz_disk *disk, struct fuzz_guest *guest);

/* A new disk on a queue, which is not started yet. */
void disk_begin(struct fuzz_disk *disk, struct rh_queue *queue,
		struct fuzz_input *in, const struct disk_setup *setup);
void disk_end(struct fuzz_disk *disk);

/* Around each run of the queue; at its end nothing is under way. */
void disk_start(struct fuzz_disk *disk);
void disk_stop(struct fuzz_disk *disk);

/* The driver completes what it holds: one of them, or all. */
void disk_complete(struct fuzz_disk *disk, unsigned int held, int result);
void disk_drain(struct fuzz_disk *disk);

/* The image, the cache mode or the features change. */
void disk_change(struct fuzz_disk *disk);

/*
 * The heads that the guest does not have back, in the order in which they were
 * first taken; for a guest that is honest. heads: DISK_MAX_HEADS. Returns how
 * many.
 */
unsigned int disk_list_taken(const struct fuzz_disk *disk, uint16_t *heads);

/* The next chains that are taken are these, in this order. */
void disk_expect(struct fuzz_disk *disk, const uint16_t *heads,
		 unsigned int nr);

/* Nothing but what is under way may be written from now on. */
void disk_narrow(struct fuzz_disk *disk);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * world - a guest with a disk on one virtqueue, driven by an input
 *
 * The first bytes say what was negotiated, the others are steps: requests,
 * sound and unsound ones; descriptors and rings written over; the device's
 * turns; completions; stops and starts. A step of the device is watched as
 * guest.h and disk.h say, and what it shows in the used ring has to be what
 * it was given back.
 *
 * split.c and packed.c know how a ring is laid out. The world is built once a
 * program, and set back for each run.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "tests/fuzz/disk.h"

/* Where things lie in the guest's first region */
#define WORLD_DESC    GUEST_BASE
#define WORLD_DRIVER  (GUEST_BASE + 0x400)
#define WORLD_DEVICE  (GUEST_BASE + 0x500)
#define WORLD_HEADERS (GUEST_BASE + 0x800)
#define WORLD_STATUS  (GUEST_BASE + 0xc00)
#define WORLD_TABLES  (GUEST_BASE + 0xd00)
#define WORLD_DATA    (GUEST_BASE + 0x1000)

struct world_buffer {
	uint64_t addr;
	uint32_t len;
	bool is_writable;
};

#define WORLD_MAX_BUFFERS 48

struct fuzz_world;

/* What depends on the layout of a ring. */
struct world_layout {
	uint64_t features;
	uint16_t (*size)(uint8_t choice);
	/* Before each start, with what the device may write; the base */
	uint32_t (*start)(struct fuzz_world *world);
	/* Make a chain available; is_shown: and tell so */
	void (*add)(struct fuzz_world *world, const struct world_buffer *list,
		    unsigned int nr, bool is_shown);
	/* The same, in a table of its own */
	void (*add_indirect)(struct fuzz_world *world,
			     const struct world_buffer *list, unsigned int nr);
	/* What no sound driver does */
	void (*spoil)(struct fuzz_world *world);
	/* The device may write its part of the ring. */
	void (*open)(struct fuzz_world *world);
	/* These were published, in this order. */
	void (*check_used)(struct fuzz_world *world,
			   const struct disk_used *used, unsigned int nr);
};

struct fuzz_world {
	const struct world_layout *layout;
	struct fuzz_guest guest;
	struct fuzz_disk disk;
	struct rh_queue queue;
	struct rh_inflight *inflight; /* NULL: nothing is recorded */
	struct fuzz_input in;
	uint64_t features;
	uint16_t size;
	bool is_running;
	unsigned int nr_requests; /* to put each into places of its own */

	/* Positions of the driver, which the layout keeps */
	uint16_t next_desc;
	uint16_t next_avail;
	uint16_t next_used;
	bool avail_wrap;
	bool used_wrap;
	bool is_used;	/* the ring was started before */
	bool is_kept;	/* and goes on where it was, at its next start */
	bool is_honest; /* the guest has done nothing that no driver does */
};

/* One whole run; the world is created by the first one. */
void world_run(struct fuzz_world *world, const struct world_layout *layout,
	       const uint8_t *data, size_t size);

/* A request of the guest, in a form that the input chooses. */
void world_request(struct fuzz_world *world);

/* True if nobody but the device can have written its part of the ring. */
bool world_ring_is_ours(const struct fuzz_world *world);

/* For what does more with a world than one run: the parts of one. */
void world_begin(struct fuzz_world *world, const struct world_layout *layout,
		 const uint8_t *data, size_t size);
void world_start(struct fuzz_world *world);
void world_step(struct fuzz_world *world);
void world_stop(struct fuzz_world *world);
void world_end(struct fuzz_world *world);

#endif

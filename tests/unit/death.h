/* SPDX-License-Identifier: MIT */
/*
 * death - a back-end that is killed after any instruction, and its successor
 *
 * A story is what a driver and a device do with one ring that has an in-flight
 * record. It runs in a process of its own, one instruction at a time; whenever
 * that has changed the ring or the record, both are copied, and a new back-end
 * starts on the copy. It must be given all that the driver has not got back,
 * in the order in which the driver made it available, and nothing else.
 *
 * The driver is alive in all of this: what it knows lies in memory that both
 * processes share, and while it does something itself nobody is killed.
 */
#ifndef TESTS_UNIT_DEATH_H
#define TESTS_UNIT_DEATH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/packed-memory.h"

#define DEATH_SIZE	   8
#define DEATH_MOST	   64 /* requests of a story */
#define DEATH_RING_BYTES   1024
#define DEATH_REGION_BYTES 512

/* What the driver knows */
struct death_driver {
	bool busy;
	bool is_packed;
	unsigned int nr_added;
	struct {
		uint16_t head;
		uint16_t nr_desc;
		bool seen; /* used, and the driver has noticed */
	} requests[DEATH_MOST];
	/* Its places in the ring */
	uint16_t split_avail;
	uint16_t split_used;
	struct rh_packed_place packed_avail;
	struct rh_packed_place packed_used;
};

struct death_world {
	struct packed_memory memory; /* memory.ring is all of it if split */
	struct death_driver *driver; /* shared */
	struct rh_inflight inflight;
	struct rh_chain *chains[DEATH_MOST]; /* popped, by request */
};

typedef void (*death_story)(struct death_world *world);

/* A ring and a record of zeroes; the queue is not started. */
void death_world_init(struct death_world *world, bool is_packed);
void death_world_deinit(struct death_world *world);

/* The part of the record of the only queue. */
void *death_region(const struct death_world *world);

/* Start the queue from a base that says nothing. Returns 0 or -errno. */
int death_start(struct death_world *world);

/* The driver makes a request of nr_desc descriptors available. */
void death_add(struct death_world *world, uint16_t head, uint16_t nr_desc);

/* The driver takes what is used; each only once. */
void death_reap(struct death_world *world);

/* The device pops a request; returns which, or -1 for none. */
int death_pop(struct death_world *world);

/* It gives request number i back, and publishes. */
void death_push(struct death_world *world, unsigned int i);
void death_flush(struct death_world *world);

/*
 * Start the successor on what there is, see that all comes that must, and
 * finish it. Returns how many requests there were.
 */
unsigned int death_succeed(struct death_world *world);

/*
 * Run the story, which starts the queue, with a death after each instruction;
 * nested: one of so many successors is killed in the same way, none if it is 0. Returns in how many states
 * it has died, or -1 where a process cannot be traced.
 */
int death_at_each_step(bool is_packed, death_story story, unsigned int nested);

#endif

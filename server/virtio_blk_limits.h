/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk_limits - what a disk is kept to, and what waits for that
 *
 * A disk may have limits of its own and share others with a group; a request
 * obeys all of them. What reads and writes have in common is asked before a
 * chain is taken from the ring, so a queue whose disk is at its limit leaves
 * its requests there. Only what they do not have in common is asked afterwards:
 * then reads wait, and writes go on, or the other way round, and no more wait
 * than the ring has places.
 *
 * A queue that is to stop waits no more: what it has taken goes, and is waited
 * for by those that come after it.
 *
 * For blk_queue.c and virtio_blk.c. struct blk_limits is the control thread's
 * but for its throttles; struct blk_waits is its queue's owner's.
 */
#ifndef SERVER_VIRTIO_BLK_LIMITS_H
#define SERVER_VIRTIO_BLK_LIMITS_H

#include "server/throttle.h"
#include "server/virtio_blk_internal.h"

struct blk_limits;

/* groups: of them, nr_groups. Returns 0 with *ret set, -ENOMEM or -ENOSPC. */
int blk_limits_create(struct throttle *const *groups, unsigned int nr_groups,
		      unsigned int nr_queues, struct blk_limits **ret);
void blk_limits_destroy(struct blk_limits *limits);

/* Those of its own. */
struct throttle *blk_limits_own(const struct blk_limits *limits);

enum blk_wait {
	BLK_WAIT_READS,	 /* of slots that hold reads, for limits of reads */
	BLK_WAIT_WRITES, /* and of writes */
	BLK_WAIT_RING,	 /* of what was not taken yet, for all others */
	BLK_NR_WAITS,
};

struct blk_waits {
	struct blk_limits *limits; /* of this turn; NULL: there are none */
	struct rh_queue *queue;
	bool hurried; /* the queue is to stop */
	uint64_t now_nsec;
	struct list_node held[BLK_WAIT_RING];	    /* slots, oldest first */
	struct throttle_block blocks[BLK_NR_WAITS]; /* member: NULL: none */
};

void blk_waits_init(struct blk_waits *waits, struct rh_queue *queue);

/* No slot waits. */
void blk_waits_deinit(struct blk_waits *waits);

/* Before all that follows, in each turn of a disk with limits. */
void blk_waits_begin_turn(struct blk_waits *waits, struct blk_limits *limits,
			  uint64_t now_nsec);

/* May the next chain be taken from the ring? */
bool blk_waits_may_take(struct blk_waits *waits);

/*
 * What a chain was found to ask for, outcome as of blk_decode_chain(). False:
 * the slot waits here.
 */
bool blk_waits_may_go(struct blk_waits *waits, struct blk_slot *slot,
		      int outcome);

/* The next slot that has waited long enough; NULL: none. */
struct blk_slot *blk_waits_next(struct blk_waits *waits);

/* Any slot that waits, for whatever; NULL: none. */
struct blk_slot *blk_waits_take_any(struct blk_waits *waits);

/* Nothing is to be taken from the ring, whatever the driver puts there. */
static inline bool blk_waits_for_ring(const struct blk_waits *waits)
{
	return waits->blocks[BLK_WAIT_RING].member ||
	       (!list_empty(&waits->held[BLK_WAIT_READS]) &&
		!list_empty(&waits->held[BLK_WAIT_WRITES]));
}

/* When to look again; UINT64_MAX: nothing waits. */
uint64_t blk_waits_until(const struct blk_waits *waits);

#endif

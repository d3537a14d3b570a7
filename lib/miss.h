/* SPDX-License-Identifier: MIT */
/*
 * miss - what a queue needs of the IOTLB and does not find there
 *
 * A queue's owner never waits for an answer. It takes note here of the first
 * address that a chain misses, leaves the chain in the ring, wakes the control
 * thread and sleeps like an owner whose queue is empty. The control thread
 * asks the front-end over the channel, and an update that holds the address
 * (or an answer that there is none) wakes the owner through its kick fd. So an
 * address is asked for once, there is one question a queue, and a front-end
 * that never answers costs that queue only.
 *
 * The state goes NONE > WANTED by whoever has the queue (the owner, and the
 * control thread while it is stopped), WANTED > ASKED > ANSWERED or REFUSED by
 * the control thread, and back to NONE by whoever has the queue.
 */
#ifndef LIB_MISS_H
#define LIB_MISS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/iotlb.h"

enum rh_miss_state {
	RH_MISS_NONE,
	RH_MISS_WANTED,	  /* iova and permission are set */
	RH_MISS_ASKED,	  /* the front-end knows */
	RH_MISS_ANSWERED, /* look again */
	RH_MISS_REFUSED,  /* the front-end has nothing there */
};

/* What the owner remembers of these, until the chain was handed out. */
#define RH_MISS_MAX_REFUSED 8

struct rh_miss {
	/* Fixed; not owned */
	const struct rh_iotlb *iotlb;
	int wake_fd;	    /* the device's */
	const int *kick_fd; /* the queue's */

	atomic_int state; /* enum rh_miss_state */
	_Atomic uint64_t iova;
	atomic_uint permission;

	/* What was reached for and not allowed: told once in a run */
	atomic_bool has_fault;
	_Atomic uint64_t fault_iova;
	atomic_uint fault_permission;

	/* The owner's */
	bool fault_told;
	unsigned int nr_refused;
	struct iova refused[RH_MISS_MAX_REFUSED];
};

void rh_miss_init(struct rh_miss *miss, const struct rh_iotlb *iotlb,
		  int wake_fd, const int *kick_fd);

/* Forget all; the queue is stopped. */
void rh_miss_reset(struct rh_miss *miss);

/* True while the owner can do nothing but sleep. */
static inline bool rh_miss_waits(const struct rh_miss *miss)
{
	int state = atomic_load_explicit(&miss->state, memory_order_acquire);

	return state == RH_MISS_WANTED || state == RH_MISS_ASKED;
}

/* For whoever has the queue. Take the answer; false if it has to wait. */
bool rh_miss_resume(struct rh_miss *miss);

/* rh_iotlb_find(), and -EFAULT for what was refused. */
int rh_miss_find(const struct rh_miss *miss, struct rh_reach reach,
		 uint8_t **host, uint64_t *contiguous);

/* For whoever has the queue, which waits from now on. */
void rh_miss_want(struct rh_miss *miss, struct rh_reach reach);

/* The owner got beyond what it had missed. */
static inline void rh_miss_done(struct rh_miss *miss)
{
	miss->nr_refused = 0;
}

/* The owner reached for what it may not. Tell the front-end, once in a run. */
void rh_miss_report_fault(struct rh_miss *miss, struct rh_reach reach);

/* Control thread: if the table has what was missed, wake the owner. */
void rh_miss_settle(struct rh_miss *miss);

/*
 * Control thread: the next thing to ask or to tell, from all misses in turn.
 * Returns true with message set and *index the one that spoke.
 */
bool rh_miss_next(struct rh_miss *misses, unsigned int nr, unsigned int *index,
		  struct vhost_user_iotlb *message);

/*
 * Control thread: the end of a question. refused: the front-end said that it
 * has nothing; else there was no answer, and it is asked again.
 */
void rh_miss_answered(struct rh_miss *miss,
		      const struct vhost_user_iotlb *question, bool refused);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tracker - which guest memory a running queue has written
 *
 * A queue has a tracker while the front-end wants its writes logged, from one
 * start to the next stop; a queue without one pays a branch. The log is
 * switched only while queues are stopped, so a tracker never changes. What
 * was written before needs no mark: a front-end begins to log before it
 * begins to copy, with every page still to be copied.
 *
 * A chain's writable buffers are noted when it is popped, since a device may
 * edit the iovecs, and all of them marked when it ends, since a request that
 * failed may have written some of them. Marks come behind what was written,
 * and those of a chain before the driver sees it used.
 *
 * Marked are guest physical addresses, found from where the buffers and the
 * ring lie here; only a used ring is marked where the front-end says
 * (vhost-user, Migration).
 *
 * Owner: that of the queue.
 */
#ifndef LIB_TRACKER_H
#define LIB_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "lib/dirty.h"
#include "lib/ring.h"

struct rh_tracker;

struct rh_tracker_config {
	const struct rh_dirty_log *log;
	const struct rh_map *map;
	const struct rh_ring *ring; /* set up */
	uint64_t features;	    /* those accepted */
	bool log_used;		    /* VHOST_VRING_F_LOG */
	struct guest_addr used;	    /* log_guest_addr */
	struct iovec *spill;	    /* RH_CHAIN_MAX_IOV for each head */
	struct log_limit *limit;
	const char *tag;
};

/* True if such a queue needs a tracker; the three come from the front-end. */
bool rh_tracker_wanted(const struct rh_dirty_log *log, uint64_t features,
		       bool log_used);

/*
 * Nothing in config is copied but its values, and nothing owned; all outlive
 * the tracker, in which the map and the log do not change. Returns 0 or
 * -ENOMEM.
 */
int rh_tracker_create(const struct rh_tracker_config *config,
		      struct rh_tracker **ret);

/* NULL is accepted. */
void rh_tracker_destroy(struct rh_tracker *tracker);

/* The ring was started. */
void rh_tracker_started(struct rh_tracker *tracker);

void rh_tracker_popped(struct rh_tracker *tracker,
		       const struct rh_chain *chain);

/* The chain of this index is about to be pushed, or was rejected. */
void rh_tracker_ended(struct rh_tracker *tracker, uint16_t index);

/* Around a publication of all that was given to the ring. */
void rh_tracker_publishing(struct rh_tracker *tracker);
void rh_tracker_published(struct rh_tracker *tracker);

/* Kicks were suppressed, or are expected again. */
void rh_tracker_kicks_changed(struct rh_tracker *tracker);

#endif

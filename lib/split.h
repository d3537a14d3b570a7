/* SPDX-License-Identifier: MIT */
/*
 * split - the rings of a split virtqueue (virtio 1.3, 2.7)
 *
 * With packed.c the only room with atomics on guest memory: available ring,
 * used ring and their event indices. Positions are kept here, in struct rh_split; what the
 * guest writes into a position of ours is never read back.
 *
 * Owner: that of the queue.
 */
#ifndef LIB_SPLIT_H
#define LIB_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

struct rh_split {
	/* In guest memory, at least as large as size demands; not owned. */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t size;	      /* a power of two, at most 32768 */
	bool event_idx;	      /* VIRTIO_F_RING_EVENT_IDX was accepted */
	bool notify_on_empty; /* VIRTIO_F_NOTIFY_ON_EMPTY, of old drivers */
	bool kicks_suppressed;
	bool has_published;   /* since the start */
	uint16_t next_avail;  /* the first entry not taken yet */
	uint16_t known_avail; /* the driver's idx when last looked at */
	uint16_t next_used;   /* where the next used entry goes */
	uint16_t published;   /* used->idx as the driver sees it */
};

/* Sizes of the three parts for a ring of size entries, event idx included. */
uint64_t rh_split_desc_bytes(uint32_t size);
uint64_t rh_split_avail_bytes(uint32_t size);
uint64_t rh_split_used_bytes(uint32_t size);

/*
 * Begin at this position of the available ring; pointers, size and what was
 * accepted are set. The used position is read from the ring, once. Kicks are expected.
 */
void rh_split_start(struct rh_split *split, uint16_t next_avail);

/* Begin anew at the used position: what was taken and not given comes again. */
void rh_split_rewind(struct rh_split *split);

/* Begin behind the nr entries that were taken and not given. */
void rh_split_resume(struct rh_split *split, uint16_t nr);

/* Entries that the driver has made available and not got back, as it says. */
uint16_t rh_split_outstanding(const struct rh_split *split);

/*
 * Take the next head. Returns 1 with *head set (below size), 0 when none
 * waits, -EPROTO when the driver's index or head cannot be.
 */
int rh_split_take(struct rh_split *split, uint16_t *head);

/* Put back the head that was taken last: it is the next one again. */
void rh_split_untake(struct rh_split *split);

/* True when rh_split_take() would not return 0. */
bool rh_split_pending(const struct rh_split *split);

/* Write a used entry behind the last one, not visible yet. */
void rh_split_give(struct rh_split *split, uint16_t head, uint32_t bytes);

/*
 * Make all given entries visible; true when the driver wants to know, be it
 * of these or of the available ring's having run empty.
 */
bool rh_split_publish(struct rh_split *split);

/* With an event index this is no store: the driver's next kick is far off. */
void rh_split_suppress_kicks(struct rh_split *split);

/* Returns true when an entry came in meanwhile. */
bool rh_split_expect_kicks(struct rh_split *split);

#endif

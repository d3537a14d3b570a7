/* SPDX-License-Identifier: MIT */
/*
 * packed - the ring of a packed virtqueue (virtio 1.3, 2.8)
 *
 * With split.c the only room with atomics on guest memory: the descriptor
 * ring, which both sides write, and the two event suppression structures.
 * Positions and wrap counters are kept here, in struct rh_packed; what the
 * guest writes into a place of ours is never read back. A chain's descriptors
 * are copied when it is taken, so that nothing looks at them twice.
 *
 * Owner: that of the queue.
 */
#ifndef LIB_PACKED_H
#define LIB_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

/* wrap: 1 in the first round, 0 in the second, and so on (2.8.1) */
struct rh_packed_place {
	uint16_t index;
	bool wrap;
};

struct rh_packed {
	/* In guest memory; not owned. */
	struct pvirtq_desc *desc;		    /* size of them */
	struct pvirtq_event_suppress *driver_event; /* the driver writes it */
	struct pvirtq_event_suppress *device_event;
	/* The chain taken last, nr_taken descriptors; not owned, size of them */
	struct pvirtq_desc *chain;
	uint16_t nr_taken;
	uint16_t size;	/* 1 to 32768 */
	bool event_idx; /* VIRTIO_F_RING_EVENT_IDX was accepted */
	bool kicks_suppressed;
	bool has_published; /* since the start */
	struct rh_packed_place next_avail;
	struct rh_packed_place next_used;
	uint16_t nr_held;     /* descriptors taken and not published as used */
	uint16_t nr_given;    /* of these, given back already */
	uint16_t first_given; /* where the first of these entries is */
	uint16_t first_flags; /* what makes it, and so all of them, visible */
	const char *fault;    /* a clause: why take returned -EPROTO */
};

uint64_t rh_packed_desc_bytes(uint32_t size);

/* True if both places of this base exist in a ring of size. */
bool rh_packed_base_valid(uint32_t base, uint32_t size);

/* Where a ring begins that nobody has used yet. */
#define RH_PACKED_FIRST_BASE 0x80008000u

/*
 * Begin at these places: next available one in bits 0 to 15, next used one in
 * bits 16 to 31 (vhost-user, Vring descriptor indices for packed virtqueues);
 * pointers, size and event_idx are set, base is valid. Where bits 16 to 31
 * are zero the used place is the available one, since not every front-end
 * knows of these bits. Kicks are expected.
 */
void rh_packed_start(struct rh_packed *packed, uint32_t base);

/* The same number for the places now. */
uint32_t rh_packed_base(const struct rh_packed *packed);

/* Begin anew at the used place: what was taken and not given comes again. */
void rh_packed_rewind(struct rh_packed *packed);

/* Begin at used, behind nr_desc descriptors that were taken and not given. */
void rh_packed_resume(struct rh_packed *packed, struct rh_packed_place used,
		      uint16_t nr_desc);

/* True while all descriptors are zero: no driver has used this ring yet. */
bool rh_packed_is_blank(const struct rh_packed *packed);

/* True if the descriptor at this place is available in its round. */
bool rh_packed_is_available(const struct rh_packed *packed,
			    struct rh_packed_place place);

/*
 * Take the next chain: its descriptors are in chain[0] to chain[nr_taken - 1].
 * Returns 1 with *id set (below size), 0 when none waits, -EPROTO with fault
 * set when no driver would have made this chain.
 */
int rh_packed_take(struct rh_packed *packed, uint16_t *id);

/* Put back the chain that was taken last: it is the next one again. */
void rh_packed_untake(struct rh_packed *packed);

/* True when rh_packed_take() would not return 0. */
bool rh_packed_pending(const struct rh_packed *packed);

/*
 * Write a used descriptor for a chain that had nr_desc of them, not visible
 * yet.
 */
void rh_packed_give(struct rh_packed *packed, uint16_t id, uint16_t nr_desc,
		    uint32_t bytes);

/* Make all given entries visible; true when the driver wants to know. */
bool rh_packed_publish(struct rh_packed *packed);

/* With an event index this is no store: the driver's next kick is far off. */
void rh_packed_suppress_kicks(struct rh_packed *packed);

/* Returns true when a chain came in meanwhile. */
bool rh_packed_expect_kicks(struct rh_packed *packed);

#endif

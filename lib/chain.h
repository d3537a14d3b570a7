/* SPDX-License-Identifier: MIT */
/*
 * chain - descriptors copied, bounded, checked, turned into iovecs
 *
 * Each descriptor is copied out of guest memory once; the copy is checked and
 * used. The walk takes at most as many steps as the table has entries, so a
 * loop ends (virtio 1.3, 2.7.5 and 2.7.5.3). In packed layout there is no
 * link to follow: all entries of a table are the chain (2.8.6 and 2.8.7).
 *
 * Addresses are the guest's own, or go through the IOTLB (chains->miss).
 *
 * Owner: that of the queue.
 */
#ifndef LIB_CHAIN_H
#define LIB_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <ringhost/queue.h>

#include "lib/memory.h"
#include "lib/miss.h"
#include "lib/wire.h"

#define RH_CACHE_LINE_BYTES 64

/* iovecs inside the slot; a longer chain moves to the slot's spill area */
#define RH_CHAIN_INLINE_IOV 12

/* Zero, the first one, makes a table of untouched slots a valid one. */
enum rh_slot_state {
	RH_SLOT_NEW, /* its head was never taken; nothing in it is set */
	RH_SLOT_FREE,
	RH_SLOT_UNDER_WAY, /* popped and not pushed */
};

/*
 * What a queue keeps for each descriptor head; allocated when it starts. A
 * usual request is in the first two cache lines: what it is, where it lies.
 */
struct rh_chain_slot {
	struct rh_chain chain;
	enum rh_slot_state state;
	uint16_t nr_desc;    /* in the ring; only of a packed one */
	struct iovec *spill; /* RH_CHAIN_MAX_IOV of them; not owned */
	struct iovec iov[RH_CHAIN_INLINE_IOV];
};

_Static_assert(sizeof(struct rh_chain_slot) % RH_CACHE_LINE_BYTES == 0 ||
		       sizeof(void *) != 8,
	       "slots share no cache line");

/* What all chains of a queue have in common; map and miss are not owned. */
struct rh_chains {
	const struct rh_map *map;
	const struct rh_region *near; /* of map; had the last buffer, so look
					 there first */
	struct rh_miss *miss;	      /* NULL without an IOMMU */
};

/* map stays as long as chains are walked. */
void rh_chains_init(struct rh_chains *chains, const struct rh_map *map,
		    struct rh_miss *miss);

/*
 * Walk the chain that starts at head and fill slot->chain (all but index).
 *
 * desc: the queue's table of size descriptors; head: below size.
 * Returns 0 (chain.error may be set), or -EPROTO when the table is malformed
 * in a way that leaves no chain: a loop, an index out of range, a bad
 * indirect table. -EAGAIN: the IOTLB misses a part of it, chains->miss waits.
 */
int rh_chain_walk(struct rh_chains *chains, const struct virtq_desc *desc,
		  uint16_t size, uint16_t head, struct rh_chain_slot *slot);

/*
 * The same for the slot->nr_desc descriptors of a packed ring at desc, which
 * are a copy of our own. size: of the ring.
 */
int rh_chain_walk_packed(struct rh_chains *chains,
			 const struct pvirtq_desc *desc, uint16_t size,
			 struct rh_chain_slot *slot);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ring - the two layouts of a virtqueue behind one set of verbs
 *
 * The queue knows a ring by these verbs and never asks which layout it has.
 * The choice is made when the ring is set up and is one well-predicted branch
 * in each verb. What a verb promises stands in split.h and packed.h.
 *
 * A head is what names a chain while it is under way: in a split ring its
 * first descriptor, in a packed one its buffer id. A base is a position as
 * SET_VRING_BASE and GET_VRING_BASE have it.
 *
 * Owner: that of the queue.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include "common/base.h"
#include "lib/chain.h"
#include "lib/packed.h"
#include "lib/split.h"

struct rh_ring {
	bool is_packed;
	uint32_t size; /* 0: not set up */
	union {
		struct rh_split split;
		struct rh_packed packed;
	};
};

/* How a part is named in the log, and what it needs. */
struct rh_ring_part {
	const char *name;
	uint64_t bytes;
	uint64_t align;
	unsigned int permission; /* of VHOST_ACCESS_RO and _WO */
};

/* In the order of SET_VRING_ADDR: descriptors, driver's, device's. */
enum rh_ring_part_index {
	RH_RING_DESC,
	RH_RING_DRIVER,
	RH_RING_DEVICE,
	RH_RING_NR_PARTS
};

/* features: those accepted */
bool rh_ring_is_packed(uint64_t features);

/* Why a ring cannot have this size (a clause), or NULL: it can. */
const char *rh_ring_size_fault(uint64_t features, uint32_t size);

/* The same for a base; size 0: not known yet. */
const char *rh_ring_base_fault(uint64_t features, uint32_t size, uint32_t base);

/* The base of a ring that nobody has used yet. */
uint32_t rh_ring_first_base(uint64_t features);

/* What each part needs in a ring of size. */
void rh_ring_parts(uint64_t features, uint32_t size,
		   struct rh_ring_part parts[RH_RING_NR_PARTS]);

/*
 * Set up a ring on these parts, which are as large and aligned as
 * rh_ring_parts() says; size has no fault. Returns 0 or -ENOMEM; what it has
 * then goes with rh_ring_deinit(), which is harmless on a ring of zeroes.
 */
int rh_ring_init(struct rh_ring *ring, uint64_t features, uint32_t size,
		 void *const parts[RH_RING_NR_PARTS]);
void rh_ring_deinit(struct rh_ring *ring);

/*
 * Begin at base, which has no fault. Returns true if it did not begin there:
 * a position close to the used one, but not equal to it, comes from a
 * back-end that died with requests under way, of which there is no record.
 * From the used position on, the ring at least agrees with the driver's
 * count; what was finished out of order runs again, in place of what was not.
 */
bool rh_ring_start(struct rh_ring *ring, uint32_t base);

/* Where the ring is now. */
uint32_t rh_ring_base(const struct rh_ring *ring);

/* The entry that a base names, without a wrap counter, for the log. */
unsigned int rh_ring_entry(const struct rh_ring *ring, uint32_t base);

/* After rh_ring_take(): why it failed, a clause for the log; or undo it. */
void rh_ring_explain(const struct rh_ring *ring, char *why, size_t bytes);
void rh_ring_untake(struct rh_ring *ring);

static inline int rh_ring_take(struct rh_ring *ring, uint16_t *head)
{
	if (unlikely(ring->is_packed))
		return rh_packed_take(&ring->packed, head);
	return rh_split_take(&ring->split, head);
}

/* Fill slot from the chain that was taken last, which is head's. */
static inline int rh_ring_walk(struct rh_ring *ring, struct rh_chains *chains,
			       uint16_t head, struct rh_chain_slot *slot)
{
	if (ring->is_packed) {
		slot->nr_desc = ring->packed.nr_taken;
		return rh_chain_walk_packed(chains, ring->packed.chain,
					    (uint16_t)ring->size, slot);
	}
	return rh_chain_walk(chains, ring->split.desc, ring->split.size, head,
			     slot);
}

static inline bool rh_ring_pending(const struct rh_ring *ring)
{
	return unlikely(ring->is_packed) ? rh_packed_pending(&ring->packed) :
					   rh_split_pending(&ring->split);
}

static inline void rh_ring_give(struct rh_ring *ring,
				const struct rh_chain_slot *slot,
				uint32_t bytes)
{
	if (unlikely(ring->is_packed))
		rh_packed_give(&ring->packed, slot->chain.index, slot->nr_desc,
			       bytes);
	else
		rh_split_give(&ring->split, slot->chain.index, bytes);
}

static inline bool rh_ring_publish(struct rh_ring *ring)
{
	return unlikely(ring->is_packed) ? rh_packed_publish(&ring->packed) :
					   rh_split_publish(&ring->split);
}

static inline void rh_ring_suppress_kicks(struct rh_ring *ring)
{
	if (unlikely(ring->is_packed))
		rh_packed_suppress_kicks(&ring->packed);
	else
		rh_split_suppress_kicks(&ring->split);
}

static inline bool rh_ring_expect_kicks(struct rh_ring *ring)
{
	return unlikely(ring->is_packed) ?
		       rh_packed_expect_kicks(&ring->packed) :
		       rh_split_expect_kicks(&ring->split);
}

#endif

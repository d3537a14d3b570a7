/* SPDX-License-Identifier: MIT */
/*
 * split - the rings of a split virtqueue (virtio 1.3, 2.7)
 *
 * Indices and flags are loaded and stored as whole 16-bit words. Four orders
 * matter, each with a partner in the driver:
 *
 *   acquire load of avail->idx	     the driver's barrier before it stores idx
 *   release store of used->idx	     the driver's barrier after it loads idx
 *   barrier in publish		     the driver enables notifications, then
 *				     looks at used->idx once more
 *   barrier in expect_kicks	     the driver stores avail->idx, then looks
 *				     whether it must kick
 *
 * In the last two each side stores one word and then loads the other's; with
 * a full barrier in between on both sides, at least one sees the other's
 * store, so no wake-up is lost.
 */
#include <errno.h>

#include "common/base.h"
#include "lib/split.h"

static uint16_t load_relaxed(const struct le16 *field)
{
	return le16toh(__atomic_load_n(&field->raw, __ATOMIC_RELAXED));
}

static uint16_t load_acquire(const struct le16 *field)
{
	return le16toh(__atomic_load_n(&field->raw, __ATOMIC_ACQUIRE));
}

static void store_relaxed(struct le16 *field, uint16_t value)
{
	__atomic_store_n(&field->raw, htole16(value), __ATOMIC_RELAXED);
}

static void store_release(struct le16 *field, uint16_t value)
{
	__atomic_store_n(&field->raw, htole16(value), __ATOMIC_RELEASE);
}

static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static const struct le16 *used_event(const struct rh_split *split)
{
	return &split->avail->ring[split->size];
}

static struct le16 *avail_event(const struct rh_split *split)
{
	return (struct le16 *)&split->used->ring[split->size];
}

uint64_t rh_split_desc_bytes(uint32_t size)
{
	return (uint64_t)size * sizeof(struct virtq_desc);
}

uint64_t rh_split_avail_bytes(uint32_t size)
{
	return sizeof(struct virtq_avail) +
	       (uint64_t)size * sizeof(struct le16) + sizeof(struct le16);
}

uint64_t rh_split_used_bytes(uint32_t size)
{
	return sizeof(struct virtq_used) +
	       (uint64_t)size * sizeof(struct virtq_used_elem) +
	       sizeof(struct le16);
}

void rh_split_start(struct rh_split *split, uint16_t next_avail)
{
	split->next_avail = next_avail;
	split->known_avail = next_avail;
	split->next_used = load_relaxed(&split->used->idx);
	split->published = split->next_used;
	split->has_published = false;
	split->kicks_suppressed = false;
	/* Who ran the ring before may have died with kicks suppressed. */
	store_relaxed(&split->used->flags, 0);
}

void rh_split_rewind(struct rh_split *split)
{
	split->next_avail = split->next_used;
	split->known_avail = split->next_used;
}

void rh_split_resume(struct rh_split *split, uint16_t nr)
{
	split->next_avail = split->next_used + nr;
	split->known_avail = split->next_avail;
}

uint16_t rh_split_outstanding(const struct rh_split *split)
{
	return load_acquire(&split->avail->idx) - split->next_used;
}

int rh_split_take(struct rh_split *split, uint16_t *head)
{
	uint16_t slot = split->next_avail & (split->size - 1);
	uint16_t value;

	if (split->next_avail == split->known_avail) {
		/* Ring entries and descriptors are read behind this load. */
		uint16_t idx = load_acquire(&split->avail->idx);
		uint16_t nr_new = idx - split->next_avail;

		if (!nr_new)
			return 0;
		/* Too far ahead, or back: both are more than a ring away. */
		if (nr_new > split->size)
			return -EPROTO;
		split->known_avail = idx;
	}
	value = load_relaxed(&split->avail->ring[slot]);
	if (value >= split->size)
		return -EPROTO;
	split->next_avail++;
	*head = value;
	return 1;
}

void rh_split_untake(struct rh_split *split)
{
	split->next_avail--;
}

bool rh_split_pending(const struct rh_split *split)
{
	return split->next_avail != split->known_avail ||
	       split->next_avail != load_relaxed(&split->avail->idx);
}

void rh_split_give(struct rh_split *split, uint16_t head, uint32_t bytes)
{
	uint16_t slot = split->next_used++ & (split->size - 1);
	struct virtq_used_elem *entry = &split->used->ring[slot];

	__atomic_store_n(&entry->id.raw, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&entry->len.raw, htole32(bytes), __ATOMIC_RELAXED);
}

/*
 * True if the driver's event index lies among the entries from old to new - 1
 * (virtio 1.3, 2.7.10). The first time there is no old position that the
 * driver was surely told about, since another back-end may have run the ring.
 */
static bool wants_notification(const struct rh_split *split, uint16_t old,
			       bool first)
{
	uint16_t new = split->published;
	uint16_t event;

	if (!split->event_idx)
		return !(load_relaxed(&split->avail->flags) &
			 VIRTQ_AVAIL_F_NO_INTERRUPT);
	if (first)
		return true;
	event = load_relaxed(used_event(split));
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool rh_split_publish(struct rh_split *split)
{
	uint16_t old = split->published;
	bool first = !split->has_published;

	if (split->next_used == old)
		return false;
	store_release(&split->used->idx, split->next_used);
	split->published = split->next_used;
	split->has_published = true;
	/*
	 * Pairs with the driver's barrier between setting used_event (or
	 * clearing its flag) and looking at used->idx again.
	 */
	full_barrier();
	if (wants_notification(split, old, first))
		return true;
	/* virtio 1.3, 6.3: whatever the driver has suppressed */
	return unlikely(split->notify_on_empty) && !rh_split_pending(split);
}

void rh_split_suppress_kicks(struct rh_split *split)
{
	if (split->event_idx || split->kicks_suppressed)
		return;
	store_relaxed(&split->used->flags, VIRTQ_USED_F_NO_NOTIFY);
	split->kicks_suppressed = true;
}

bool rh_split_expect_kicks(struct rh_split *split)
{
	if (split->event_idx)
		store_relaxed(avail_event(split), split->next_avail);
	else if (split->kicks_suppressed)
		store_relaxed(&split->used->flags, 0);
	split->kicks_suppressed = false;
	/*
	 * Pairs with the driver's barrier between storing avail->idx and
	 * looking at avail_event (or at our flag).
	 */
	full_barrier();
	return rh_split_pending(split);
}

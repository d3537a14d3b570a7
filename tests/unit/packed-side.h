/* SPDX-License-Identifier: MIT */
/*
 * packed-side - the driver's side of a packed ring (virtio 1.3, 2.8.21)
 *
 * Works on whatever memory the ring lies in, and keeps places of its own. An
 * honest driver calls packed_side_add() and packed_side_take_used(); tests
 * that misbehave write descriptors with packed_side_set().
 */
#ifndef TESTS_UNIT_PACKED_SIDE_H
#define TESTS_UNIT_PACKED_SIDE_H

#include "lib/packed.h"

#define OWNER_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

struct packed_side {
	struct pvirtq_desc *desc;
	struct pvirtq_event_suppress *driver_event;
	struct pvirtq_event_suppress *device_event;
	uint16_t size;
	struct rh_packed_place avail;
	struct rh_packed_place used;
};

static inline void packed_side_advance(struct rh_packed_place *place,
				       unsigned int nr, uint16_t size)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (++place->index == size) {
			place->index = 0;
			place->wrap = !place->wrap;
		}
	}
}

static inline uint16_t packed_side_load(const struct le16 *field)
{
	return le16toh(__atomic_load_n(&field->raw, __ATOMIC_ACQUIRE));
}

static inline void packed_side_store(struct le16 *field, uint16_t value)
{
	__atomic_store_n(&field->raw, htole16(value), __ATOMIC_RELEASE);
}

/* The flags that make a descriptor available in the round of this counter */
static inline uint16_t packed_side_avail(bool wrap)
{
	return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

/* Descriptor at index, its flags last */
static inline void packed_side_set(struct packed_side *side, uint16_t index,
				   struct pvirtq_desc from)
{
	struct pvirtq_desc *desc = &side->desc[index];

	__atomic_store_n(&desc->addr.raw, from.addr.raw, __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len.raw, from.len.raw, __ATOMIC_RELAXED);
	__atomic_store_n(&desc->id.raw, from.id.raw, __ATOMIC_RELAXED);
	packed_side_store(&desc->flags, le16_get(from.flags));
}

static inline struct pvirtq_desc packed_side_desc(uint64_t addr, uint32_t len,
						  uint16_t id, uint16_t flags)
{
	return (struct pvirtq_desc){
		.addr = le64_make(addr),
		.len = le32_make(len),
		.id = le16_make(id),
		.flags = le16_make(flags),
	};
}

/*
 * Make a chain available: nr descriptors, of which addr, len and the flags
 * other than NEXT count; their ids are spoilt, but for the last one's.
 */
static inline void packed_side_add(struct packed_side *side, uint16_t id,
				   const struct pvirtq_desc *from,
				   unsigned int nr)
{
	struct rh_packed_place place = side->avail;
	struct pvirtq_desc first = from[0];

	for (unsigned int i = 0; i < nr; i++) {
		struct pvirtq_desc desc = from[i];
		uint16_t flags = le16_get(desc.flags) |
				 packed_side_avail(place.wrap) |
				 (i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0);

		desc.id = le16_make(i + 1 < nr ? 0xffff : id);
		desc.flags = le16_make(flags);
		if (i)
			packed_side_set(side, place.index, desc);
		else
			first = desc;
		packed_side_advance(&place, 1, side->size);
	}
	packed_side_set(side, side->avail.index, first);
	side->avail = place;
}

/* A chain of nr descriptors without meaning */
static inline void packed_side_add_empty(struct packed_side *side, uint16_t id,
					 unsigned int nr)
{
	struct rh_packed_place place = side->avail;

	packed_side_advance(&side->avail, nr, side->size);
	for (unsigned int i = nr; i-- > 0;) {
		struct rh_packed_place at = place;

		packed_side_advance(&at, i, side->size);
		packed_side_set(
			side, at.index,
			packed_side_desc(
				0, 0, i + 1 < nr ? 0xffff : id,
				packed_side_avail(at.wrap) |
					(i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0)));
	}
}

static inline bool packed_side_has_used(const struct packed_side *side)
{
	uint16_t flags = packed_side_load(&side->desc[side->used.index].flags);

	return (flags & OWNER_FLAGS) == (side->used.wrap ? OWNER_FLAGS : 0);
}

/* The next used descriptor; the driver knows how many its chain had. */
static inline bool packed_side_take_used(struct packed_side *side,
					 struct pvirtq_desc *ret)
{
	const struct pvirtq_desc *desc = &side->desc[side->used.index];

	if (!packed_side_has_used(side))
		return false;
	ret->flags = le16_make(packed_side_load(&desc->flags));
	ret->id.raw = __atomic_load_n(&desc->id.raw, __ATOMIC_RELAXED);
	ret->len.raw = __atomic_load_n(&desc->len.raw, __ATOMIC_RELAXED);
	return true;
}

static inline void packed_side_skip(struct packed_side *side, unsigned int nr)
{
	packed_side_advance(&side->used, nr, side->size);
}

#endif

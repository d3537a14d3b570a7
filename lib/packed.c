/* SPDX-License-Identifier: MIT */
/*
 * packed - the ring of a packed virtqueue (virtio 1.3, 2.8)
 *
 * A descriptor's flags say whose it is, and are loaded and stored as whole
 * 16-bit words. Four orders matter, each with a partner in the driver:
 *
 *   acquire load of a head's flags   the driver's barrier before it stores
 *				      the flags of a chain's first descriptor
 *   release store of used flags      the driver's barrier after it loads them
 *   barrier in publish		      the driver asks for notifications, then
 *				      looks at the next used descriptor again
 *   barrier in expect_kicks	      the driver stores a head's flags, then
 *				      looks whether it must kick
 *
 * Used descriptors are written behind the first one of a turn with their
 * flags, and the first one's flags last: the driver comes to the others only
 * through the first, so one store shows them all.
 *
 * No more than size descriptors are ever held, which bounds a chain, and keeps
 * the used place from overtaking itself, whatever the flags say.
 */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "lib/packed.h"

#define OWNER_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

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

static struct rh_packed_place advanced(struct rh_packed_place place,
				       uint16_t nr, uint16_t size)
{
	uint32_t index = (uint32_t)place.index + nr;

	if (index >= size) {
		index -= size;
		place.wrap = !place.wrap;
	}
	place.index = (uint16_t)index;
	return place;
}

static uint16_t encode(struct rh_packed_place place)
{
	return place.index | (place.wrap ? PVIRTQ_WRAP : 0);
}

static struct rh_packed_place decode(uint16_t value)
{
	return (struct rh_packed_place){
		.index = value & PVIRTQ_INDEX_MASK,
		.wrap = value & PVIRTQ_WRAP,
	};
}

/* virtio 1.3, 2.8.1: available in the round of this wrap counter */
static uint16_t available_flags(bool wrap)
{
	return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

static bool is_available(uint16_t flags, bool wrap)
{
	return (flags & OWNER_FLAGS) == available_flags(wrap);
}

uint64_t rh_packed_desc_bytes(uint32_t size)
{
	return (uint64_t)size * sizeof(struct pvirtq_desc);
}

bool rh_packed_base_valid(uint32_t base, uint32_t size)
{
	return (base & PVIRTQ_INDEX_MASK) < size &&
	       ((base >> 16) & PVIRTQ_INDEX_MASK) < size;
}

void rh_packed_start(struct rh_packed *packed, uint32_t base)
{
	uint16_t avail = (uint16_t)base;
	uint16_t used = (uint16_t)(base >> 16);

	packed->next_avail = decode(avail);
	packed->next_used = decode(used ? used : avail);
	packed->nr_taken = 0;
	packed->nr_held = 0;
	packed->nr_given = 0;
	packed->has_published = false;
	packed->kicks_suppressed = false;
	packed->fault = NULL;
	/* Who ran the ring before may have died with kicks suppressed. */
	store_relaxed(&packed->device_event->desc, avail);
	store_release(&packed->device_event->flags, RING_EVENT_FLAGS_ENABLE);
}

uint32_t rh_packed_base(const struct rh_packed *packed)
{
	return encode(packed->next_avail) | (uint32_t)encode(packed->next_used)
						    << 16;
}

void rh_packed_rewind(struct rh_packed *packed)
{
	packed->next_avail = packed->next_used;
}

/* What was given, and not published, looks used behind the first of them. */
static void take_back_given(struct rh_packed *packed,
			    struct rh_packed_place place)
{
	struct le16 *field = &packed->desc[place.index].flags;
	uint16_t used = place.wrap ? OWNER_FLAGS : 0;

	if ((load_relaxed(field) & OWNER_FLAGS) == used)
		store_relaxed(field, available_flags(place.wrap));
}

/*
 * A driver goes on to the next used descriptor by itself, so what a dead
 * back-end has left of a batch that it never published must not be found
 * behind ours.
 */
void rh_packed_resume(struct rh_packed *packed, struct rh_packed_place used,
		      uint16_t nr_desc)
{
	struct rh_packed_place place = used;

	for (uint16_t i = 0; i < nr_desc; i++) {
		take_back_given(packed, place);
		place = advanced(place, 1, packed->size);
	}
	packed->next_used = used;
	packed->next_avail = advanced(used, nr_desc, packed->size);
	packed->nr_held = nr_desc;
}

bool rh_packed_is_available(const struct rh_packed *packed,
			    struct rh_packed_place place)
{
	return is_available(load_relaxed(&packed->desc[place.index].flags),
			    place.wrap);
}

/*
 * Each half is loaded once, whole, which is also how the copy is stored and
 * read: a load that spans several stores would wait for them.
 */
static struct pvirtq_desc load_desc(const struct pvirtq_desc *from)
{
	const uint64_t *words = (const uint64_t *)from;
	const uint64_t copies[] = {
		__atomic_load_n(&words[0], __ATOMIC_RELAXED),
		__atomic_load_n(&words[1], __ATOMIC_RELAXED),
	};
	struct pvirtq_desc desc;

	_Static_assert(sizeof(copies) == sizeof(desc), "virtio 1.3, 2.8.13");
	memcpy(&desc, copies, sizeof(desc));
	return desc;
}

bool rh_packed_is_blank(const struct rh_packed *packed)
{
	for (uint32_t i = 0; i < packed->size; i++) {
		const struct pvirtq_desc desc = load_desc(&packed->desc[i]);

		if (le64_get(desc.addr) || le32_get(desc.len) ||
		    le16_get(desc.id) || le16_get(desc.flags))
			return false;
	}
	return true;
}

/* Returns -EPROTO. */
static cold_code int refuse(struct rh_packed *packed, const char *fault)
{
	packed->fault = fault;
	return -EPROTO;
}

/*
 * The driver made the head available last, so all other descriptors of the
 * chain must be so by now (virtio 1.3, 2.8.17 and 2.8.21). Only the last one
 * holds the id (2.8.6).
 */
int rh_packed_take(struct rh_packed *packed, uint16_t *id)
{
	const uint16_t most = packed->size - packed->nr_held;
	uint16_t owner = available_flags(packed->next_avail.wrap);
	uint16_t index = packed->next_avail.index;
	uint16_t nr = 0;
	struct pvirtq_desc desc;

	if ((load_acquire(&packed->desc[index].flags) & OWNER_FLAGS) != owner)
		return 0;
	do {
		desc = load_desc(&packed->desc[index]);
		if (unlikely((le16_get(desc.flags) & OWNER_FLAGS) != owner))
			return refuse(packed, "a chain goes on in a descriptor "
					      "that is not available");
		if (unlikely(nr == most))
			return refuse(packed, "more descriptors are available "
					      "than the ring has");
		packed->chain[nr++] = desc;
		if (++index == packed->size) {
			index = 0;
			owner ^= OWNER_FLAGS;
		}
	} while (le16_get(desc.flags) & VIRTQ_DESC_F_NEXT);
	if (unlikely(le16_get(desc.id) >= packed->size))
		return refuse(packed, "the id of a chain is not below the "
				      "ring's size");
	packed->next_avail.index = index;
	packed->next_avail.wrap = owner == VIRTQ_DESC_F_AVAIL;
	packed->nr_held += nr;
	packed->nr_taken = nr;
	*id = le16_get(desc.id);
	return 1;
}

void rh_packed_untake(struct rh_packed *packed)
{
	struct rh_packed_place *place = &packed->next_avail;

	if (place->index < packed->nr_taken) {
		place->index += packed->size;
		place->wrap = !place->wrap;
	}
	place->index -= packed->nr_taken;
	packed->nr_held -= packed->nr_taken;
	packed->nr_taken = 0;
}

bool rh_packed_pending(const struct rh_packed *packed)
{
	const struct pvirtq_desc *desc =
		&packed->desc[packed->next_avail.index];

	return is_available(load_relaxed(&desc->flags),
			    packed->next_avail.wrap);
}

/* virtio 1.3, 2.8.4 and 2.8.5: WRITE says that the length counts */
void rh_packed_give(struct rh_packed *packed, uint16_t id, uint16_t nr_desc,
		    uint32_t bytes)
{
	struct pvirtq_desc *desc = &packed->desc[packed->next_used.index];
	uint16_t flags = (packed->next_used.wrap ? OWNER_FLAGS : 0) |
			 (bytes ? VIRTQ_DESC_F_WRITE : 0);

	__atomic_store_n(&desc->id.raw, htole16(id), __ATOMIC_RELAXED);
	__atomic_store_n(&desc->len.raw, htole32(bytes), __ATOMIC_RELAXED);
	if (packed->nr_given) {
		store_relaxed(&desc->flags, flags);
	} else {
		packed->first_given = packed->next_used.index;
		packed->first_flags = flags;
	}
	packed->nr_given += nr_desc;
	packed->next_used = advanced(packed->next_used, nr_desc, packed->size);
}

/*
 * True if the driver's event is among the nr places before the next used one,
 * skipped ones included (virtio 1.3, 2.8.10). With the other wrap counter it
 * lies a round back. An event beyond the ring cannot be waited for, and so is
 * one that has come. The first time there is no place that the driver was
 * surely told about, since another back-end may have run the ring.
 */
static bool wants_notification(const struct rh_packed *packed, uint16_t nr,
			       bool first)
{
	const struct pvirtq_event_suppress *driver = packed->driver_event;
	uint16_t flags = load_acquire(&driver->flags) & RING_EVENT_FLAGS_MASK;
	int next = packed->next_used.index;
	struct rh_packed_place event;
	int index;

	if (flags != RING_EVENT_FLAGS_DESC || !packed->event_idx)
		return flags != RING_EVENT_FLAGS_DISABLE;
	event = decode(load_relaxed(&driver->desc));
	if (first || event.index >= packed->size)
		return true;
	index = event.index;
	if (event.wrap != packed->next_used.wrap)
		index -= packed->size;
	return index < next && index >= next - nr;
}

bool rh_packed_publish(struct rh_packed *packed)
{
	uint16_t nr = packed->nr_given;
	bool first = !packed->has_published;

	if (!nr)
		return false;
	store_release(&packed->desc[packed->first_given].flags,
		      packed->first_flags);
	packed->nr_given = 0;
	packed->nr_held -= nr;
	packed->has_published = true;
	/*
	 * Pairs with the driver's barrier between writing its event structure
	 * and looking at the next used descriptor again.
	 */
	full_barrier();
	return wants_notification(packed, nr, first);
}

void rh_packed_suppress_kicks(struct rh_packed *packed)
{
	if (packed->event_idx || packed->kicks_suppressed)
		return;
	store_relaxed(&packed->device_event->flags, RING_EVENT_FLAGS_DISABLE);
	packed->kicks_suppressed = true;
}

bool rh_packed_expect_kicks(struct rh_packed *packed)
{
	struct pvirtq_event_suppress *device = packed->device_event;

	if (packed->event_idx) {
		store_relaxed(&device->desc, encode(packed->next_avail));
		/* DESC must not be seen with a place from before. */
		store_release(&device->flags, RING_EVENT_FLAGS_DESC);
	} else if (packed->kicks_suppressed) {
		store_relaxed(&device->flags, RING_EVENT_FLAGS_ENABLE);
	}
	packed->kicks_suppressed = false;
	/*
	 * Pairs with the driver's barrier between storing a head's flags and
	 * looking at this structure.
	 */
	full_barrier();
	return rh_packed_pending(packed);
}

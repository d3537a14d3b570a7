/* SPDX-License-Identifier: MIT */
/*
 * packed - the driver's side of a packed virtqueue (virtio 1.3, 2.8)
 *
 * Everything that was added since the last publication is complete in the
 * ring but for the flags of its very first descriptor, where the device
 * stops; storing these publishes all.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "tests/frontend/vring.h"

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1 << VRING_PACKED_DESC_F_USED)
#define WRAP  (1 << VRING_PACKED_EVENT_F_WRAP_CTR)

static uint16_t load16(const uint16_t *where)
{
	return le16toh(__atomic_load_n(where, __ATOMIC_ACQUIRE));
}

static void store16(uint16_t *where, uint16_t value)
{
	__atomic_store_n(where, htole16(value), __ATOMIC_RELEASE);
}

static struct fe_place after(const struct fe_vring *vring,
			     struct fe_place place, uint16_t nr)
{
	uint32_t index = (uint32_t)place.index + nr;

	if (index >= vring->size) {
		index -= vring->size;
		place.wrap = !place.wrap;
	}
	place.index = (uint16_t)index;
	return place;
}

static uint16_t encode(struct fe_place place)
{
	return (uint16_t)(place.index | (place.wrap ? WRAP : 0));
}

int fe_packed_lay_out(struct fe_vring *vring, unsigned int region)
{
	struct fe_packed *packed = &vring->packed;
	uint64_t bytes = vring->size * sizeof(*packed->desc);
	struct fe_memory *memory = vring->memory;
	int error;

	error = fe_memory_alloc(memory, region, bytes, 16, &vring->desc_addr);
	if (!error)
		error = fe_memory_alloc(memory, region, sizeof(*packed->driver),
					4, &vring->avail_addr);
	if (!error)
		error = fe_memory_alloc(memory, region, sizeof(*packed->device),
					4, &vring->used_addr);
	if (error)
		return error;
	packed->desc = fe_memory_pointer(memory, vring->desc_addr, bytes);
	packed->driver = fe_memory_pointer(memory, vring->avail_addr,
					   sizeof(*packed->driver));
	packed->device = fe_memory_pointer(memory, vring->used_addr,
					   sizeof(*packed->device));
	return 0;
}

void fe_packed_reset(struct fe_vring *vring)
{
	struct fe_packed *packed = &vring->packed;

	memset(packed->desc, 0, vring->size * sizeof(*packed->desc));
	memset(packed->driver, 0, sizeof(*packed->driver));
	memset(packed->device, 0, sizeof(*packed->device));
	packed->next_avail = (struct fe_place){ 0, true };
	packed->published = packed->next_avail;
	packed->next_used = packed->next_avail;
	packed->nr_added = 0;
}

static uint16_t ownership(struct fe_place place)
{
	return place.wrap ? AVAIL : USED;
}

/* Descriptor at place; the very first one's flags wait for publish. */
static void put(struct fe_vring *vring, struct fe_place place,
		struct vring_packed_desc desc)
{
	struct fe_packed *packed = &vring->packed;
	struct vring_packed_desc *to = &packed->desc[place.index];
	uint16_t flags = le16toh(desc.flags) | ownership(place);

	to->addr = desc.addr;
	to->len = desc.len;
	to->id = desc.id;
	if (!packed->nr_added)
		packed->first_flags = flags;
	else
		store16(&to->flags, flags);
	packed->nr_added++;
}

static struct vring_packed_desc make_desc(const struct fe_buffers *buffers,
					  unsigned int i)
{
	return (struct vring_packed_desc){
		.addr = htole64(buffers->array[i].guest_addr),
		.len = htole32(buffers->array[i].bytes),
		.flags = htole16(i < buffers->nr_readable ? 0 :
							    VRING_DESC_F_WRITE),
	};
}

static int put_indirect(struct fe_vring *vring,
			const struct fe_buffers *buffers, unsigned int nr,
			uint16_t id)
{
	struct vring_packed_desc *table = fe_memory_pointer(
		vring->memory, buffers->table, nr * sizeof(*table));

	if (!table)
		return -EFAULT;
	for (unsigned int i = 0; i < nr; i++)
		table[i] = make_desc(buffers, i);
	put(vring, vring->packed.next_avail,
	    (struct vring_packed_desc){
		    .addr = htole64(buffers->table),
		    .len = htole32(nr * (uint32_t)sizeof(*table)),
		    .id = htole16(id),
		    .flags = htole16(VRING_DESC_F_INDIRECT),
	    });
	return 0;
}

static void put_direct(struct fe_vring *vring, const struct fe_buffers *buffers,
		       unsigned int nr, uint16_t id)
{
	struct fe_place place = vring->packed.next_avail;

	for (unsigned int i = 0; i < nr; i++) {
		struct vring_packed_desc desc = make_desc(buffers, i);

		if (i + 1 < nr)
			desc.flags |= htole16(VRING_DESC_F_NEXT);
		else
			desc.id = htole16(id);
		put(vring, place, desc);
		place = after(vring, place, 1);
	}
}

int fe_packed_add(struct fe_vring *vring, const struct fe_buffers *buffers,
		  void *token)
{
	unsigned int nr = buffers->nr_readable + buffers->nr_writable;
	uint16_t id = vring->free_head;
	struct fe_chain chain = {
		.token = token,
		.nr_desc = (uint16_t)(buffers->table ? 1 : nr),
		.last = id,
		.turn = vring->next_turn,
	};
	int error;

	if (!nr)
		return -EINVAL;
	if ((buffers->table ? 1 : nr) > vring->nr_free)
		return -ENOSPC;
	for (unsigned int i = buffers->nr_readable; i < nr; i++)
		chain.writable_bytes += buffers->array[i].bytes;
	if (buffers->table) {
		error = put_indirect(vring, buffers, nr, id);
		if (error)
			return error;
	} else {
		put_direct(vring, buffers, nr, id);
	}
	vring->packed.next_avail =
		after(vring, vring->packed.next_avail, chain.nr_desc);
	vring->free_head = vring->own_next[id];
	vring->nr_free -= chain.nr_desc;
	vring->next_turn++;
	vring->chains[id] = chain;
	return id;
}

void fe_packed_move_table(struct fe_vring *vring, uint64_t table)
{
	uint32_t next = vring->packed.next_avail.index;

	vring->packed.desc[(next ? next : vring->size) - 1].addr =
		htole64(table);
}

/* True if the device's event is among the nr places from first on. */
static bool wants_kick(const struct fe_vring *vring, struct fe_place first,
		       uint16_t nr)
{
	uint16_t flags = load16(&vring->packed.device->flags);
	uint16_t event = load16(&vring->packed.device->off_wrap);
	int ahead = (event & ~WRAP) - first.index;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (!!(event & WRAP) != first.wrap)
		ahead += (int)vring->size;
	return ahead >= 0 && ahead < nr;
}

bool fe_packed_publish(struct fe_vring *vring)
{
	struct fe_packed *packed = &vring->packed;
	struct fe_place first = packed->published;
	uint16_t nr = packed->nr_added;

	if (nr)
		store16(&packed->desc[first.index].flags, packed->first_flags);
	packed->published = packed->next_avail;
	packed->nr_added = 0;
	/* pairs with the device's: it asks for kicks, then looks at flags */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wants_kick(vring, first, nr);
}

bool fe_packed_has_used(const struct fe_vring *vring)
{
	const struct fe_packed *packed = &vring->packed;
	uint16_t flags = load16(&packed->desc[packed->next_used.index].flags);

	return (flags & (AVAIL | USED)) ==
	       (packed->next_used.wrap ? AVAIL | USED : 0);
}

int fe_packed_take(struct fe_vring *vring, void **token, uint32_t *used_bytes)
{
	struct fe_packed *packed = &vring->packed;
	const struct vring_packed_desc *desc =
		&packed->desc[packed->next_used.index];
	struct fe_chain *chain;
	uint32_t bytes;
	uint16_t id;

	if (!fe_packed_has_used(vring))
		return 0;
	id = le16toh(desc->id);
	bytes = le32toh(desc->len);
	if (id >= vring->size || !vring->chains[id].token)
		return -EPROTO;
	chain = &vring->chains[id];
	if (bytes > chain->writable_bytes ||
	    !bytes != !(load16(&desc->flags) & VRING_DESC_F_WRITE) ||
	    (vring->in_order && chain->turn != vring->used_turn))
		return -EPROTO;
	*token = chain->token;
	*used_bytes = bytes;
	chain->token = NULL;
	vring->own_next[id] = vring->free_head;
	vring->free_head = id;
	vring->nr_free += chain->nr_desc;
	vring->used_turn++;
	packed->next_used = after(vring, packed->next_used, chain->nr_desc);
	return 1;
}

void fe_packed_suppress_calls(struct fe_vring *vring)
{
	store16(&vring->packed.driver->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

bool fe_packed_expect_calls(struct fe_vring *vring, uint16_t nr_more)
{
	struct fe_packed *packed = &vring->packed;
	struct fe_place place = after(vring, packed->next_used, nr_more);

	store16(&packed->driver->off_wrap, encode(place));
	store16(&packed->driver->flags, vring->event_idx ?
						VRING_PACKED_EVENT_FLAG_DESC :
						VRING_PACKED_EVENT_FLAG_ENABLE);
	/* pairs with the device's: it stores flags, then looks at our wish */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return fe_packed_has_used(vring);
}

uint32_t fe_packed_base(const struct fe_vring *vring)
{
	return encode(vring->packed.published) |
	       (uint32_t)encode(vring->packed.next_used) << 16;
}

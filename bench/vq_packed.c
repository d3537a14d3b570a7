/* SPDX-License-Identifier: MIT */
/*
 * vq_packed - a queue's requests in a packed ring (virtio 1.3, 2.8)
 *
 * Only an indirect table can be written beforehand: in the ring a request
 * lands where the one before it ended. The flags of the first descriptor of a
 * batch are left to fe_vring_publish().
 */
#include <errno.h>

#include "bench/vq_internal.h"

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1 << VRING_PACKED_DESC_F_USED)

static struct vring_packed_desc make_desc(struct vq_piece piece, uint32_t slot)
{
	return (struct vring_packed_desc){
		.addr = htole64(piece.guest_addr),
		.len = htole32(piece.bytes),
		.id = htole16((uint16_t)slot),
		.flags = htole16(piece.writable ? VRING_DESC_F_WRITE : 0),
	};
}

static struct vring_packed_desc *table_of(const struct vq *vq, uint32_t slot)
{
	return (struct vring_packed_desc *)vq->requests[slot].table;
}

void vq_packed_prepare(struct vq *vq, uint32_t slot)
{
	for (unsigned int i = 0; i < VQ_PIECES; i++)
		table_of(vq, slot)[i] = make_desc(vq_piece(vq, slot, i), slot);
}

/* desc into the next entry; flags: the ring's own ones beside desc's */
static void put(struct fe_packed *packed, uint32_t size,
		struct vring_packed_desc desc, uint16_t flags)
{
	struct fe_place *place = &packed->next_avail;
	struct vring_packed_desc *to = &packed->desc[place->index];

	flags |= le16toh(desc.flags) | (place->wrap ? AVAIL : USED);
	to->addr = desc.addr;
	to->len = desc.len;
	to->id = desc.id;
	if (packed->nr_added++)
		to->flags = htole16(flags); /* publish() is the barrier */
	else
		packed->first_flags = flags;
	if (++place->index == size) {
		place->index = 0;
		place->wrap = !place->wrap;
	}
}

void vq_packed_add(struct vq *vq, uint32_t slot, bool reads)
{
	struct fe_packed *packed = &vq->vring.packed;
	struct vq_slot *place = &vq->slots[slot];

	if (vq->indirect) {
		if (place->reads != reads)
			table_of(vq, slot)[1].flags =
				htole16(reads ? VRING_DESC_F_WRITE : 0);
		place->reads = reads;
		put(packed, vq->vring.size,
		    (struct vring_packed_desc){
			    .addr = htole64(place->request_addr),
			    .len = htole32(sizeof(vq->requests->table)),
			    .id = htole16((uint16_t)slot),
		    },
		    VRING_DESC_F_INDIRECT);
		return;
	}
	place->reads = reads;
	for (unsigned int i = 0; i < VQ_PIECES; i++)
		put(packed, vq->vring.size,
		    make_desc(vq_piece(vq, slot, i), slot),
		    i + 1 < VQ_PIECES ? VRING_DESC_F_NEXT : 0);
}

int vq_packed_take(struct vq *vq, uint32_t *slot)
{
	struct fe_vring *vring = &vq->vring;
	struct fe_place *place = &vring->packed.next_used;
	const struct vring_packed_desc *desc =
		&vring->packed.desc[place->index];
	uint32_t i;

	if (!fe_packed_has_used(vring))
		return 0;
	i = le16toh(desc->id);
	if (!vq_complete(vq, i, le32toh(desc->len)))
		return -EPROTO;
	place->index += vq->nr_pieces;
	if (place->index >= vring->size) {
		place->index -= (uint16_t)vring->size;
		place->wrap = !place->wrap;
	}
	*slot = i;
	return 1;
}

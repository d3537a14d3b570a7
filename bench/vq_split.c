/* SPDX-License-Identifier: MIT */
/*
 * vq_split - a queue's requests in a split ring (virtio 1.3, 2.7)
 *
 * All descriptors are written beforehand, and only the data's direction is
 * changed, and only when it has to be: the device reads these lines, and each
 * store would take them from it.
 */
#include <errno.h>

#include "bench/vq_internal.h"

static struct vring_desc *first_desc(const struct vq *vq, uint32_t slot)
{
	return vq->indirect ? (struct vring_desc *)vq->requests[slot].table :
			      &vq->vring.desc[slot * VQ_PIECES];
}

static uint16_t piece_flags(unsigned int i, bool writable)
{
	return htole16((i + 1 < VQ_PIECES ? VRING_DESC_F_NEXT : 0) |
		       (writable ? VRING_DESC_F_WRITE : 0));
}

void vq_split_prepare(struct vq *vq, uint32_t slot)
{
	struct vring_desc *desc = first_desc(vq, slot);
	uint16_t first = (uint16_t)(vq->indirect ? 0 : slot * VQ_PIECES);

	for (unsigned int i = 0; i < VQ_PIECES; i++) {
		struct vq_piece piece = vq_piece(vq, slot, i);

		desc[i] = (struct vring_desc){
			.addr = htole64(piece.guest_addr),
			.len = htole32(piece.bytes),
			.flags = piece_flags(i, piece.writable),
			.next = htole16(i + 1 < VQ_PIECES ? first + i + 1 : 0),
		};
	}
	if (vq->indirect)
		vq->vring.desc[slot] = (struct vring_desc){
			.addr = htole64(vq->slots[slot].request_addr),
			.len = htole32(sizeof(vq->requests->table)),
			.flags = htole16(VRING_DESC_F_INDIRECT),
		};
}

void vq_split_add(struct vq *vq, uint32_t slot, bool reads)
{
	struct fe_vring *vring = &vq->vring;
	struct vq_slot *place = &vq->slots[slot];

	if (place->reads != reads) {
		first_desc(vq, slot)[1].flags = piece_flags(1, reads);
		place->reads = reads;
	}
	vring->avail->ring[vring->next_avail & (vring->size - 1)] =
		htole16(slot * vq->nr_pieces);
	vring->next_avail++;
}

/* True if there is an entry; the device's index is read when it must be. */
static bool has_used(struct vq *vq)
{
	if (vq->seen_used == vq->vring.next_used)
		vq->seen_used = le16toh(__atomic_load_n(&vq->vring.used->idx,
							__ATOMIC_ACQUIRE));
	return vq->seen_used != vq->vring.next_used;
}

int vq_split_take(struct vq *vq, uint32_t *slot)
{
	struct fe_vring *vring = &vq->vring;
	const struct vring_used_elem *elem;
	uint32_t head, bytes, i;

	if (!has_used(vq))
		return 0;
	elem = &vring->used->ring[vring->next_used & (vring->size - 1)];
	head = le32toh(elem->id);
	bytes = le32toh(elem->len);
	i = vq->indirect ? head : head / VQ_PIECES;
	if (head != i * vq->nr_pieces || !vq_complete(vq, i, bytes))
		return -EPROTO;
	vring->next_used++;
	*slot = i;
	return 1;
}

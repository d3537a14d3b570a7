/* SPDX-License-Identifier: MIT */
/*
 * vq_internal - what vq.c asks of the two layouts
 */
#ifndef BENCH_VQ_INTERNAL_H
#define BENCH_VQ_INTERNAL_H

#include <endian.h>
#include <stddef.h>

#include "bench/vq.h"

/* Where a slot's pieces are, and what they are at first: a read */
struct vq_piece {
	uint64_t guest_addr;
	uint32_t bytes;
	bool writable;
};

static inline struct vq_piece vq_piece(const struct vq *vq, uint32_t slot,
				       unsigned int i)
{
	const struct vq_slot *place = &vq->slots[slot];
	const struct vq_piece pieces[VQ_PIECES] = {
		{ place->request_addr + offsetof(struct vq_request, header),
		  sizeof(struct virtio_blk_outhdr), false },
		{ place->data_addr, vq->data_bytes, place->reads },
		{ place->request_addr + offsetof(struct vq_request, status), 1,
		  true },
	};

	return pieces[i];
}

/* A slot was used, says the device. Returns false when it cannot be. */
static inline bool vq_complete(struct vq *vq, uint32_t slot, uint32_t bytes)
{
	struct vq_slot *place = &vq->slots[slot];

	if (slot >= vq->nr_slots || !place->under_way ||
	    bytes > 1 + (place->reads ? vq->data_bytes : 0))
		return false;
	place->under_way = false;
	return true;
}

void vq_split_prepare(struct vq *vq, uint32_t slot);
void vq_split_add(struct vq *vq, uint32_t slot, bool reads);
int vq_split_take(struct vq *vq, uint32_t *slot);

void vq_packed_prepare(struct vq *vq, uint32_t slot);
void vq_packed_add(struct vq *vq, uint32_t slot, bool reads);
int vq_packed_take(struct vq *vq, uint32_t *slot);

#endif

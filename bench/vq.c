/* SPDX-License-Identifier: MIT */
/*
 * vq - a virtqueue whose requests are prepared once and asked again and again
 *
 * Slot i of a split ring always has the descriptors from i times nr_pieces on,
 * so its head tells the slot; in a packed ring the buffer id is the slot.
 */
#include "bench/vq.h"

#include <errno.h>
#include <stdlib.h>

#include "bench/vq_internal.h"
#include "common/base.h"
#include "tests/frontend/wire.h"

#define PAGE_BYTES  4096
#define RING_BYTES  32u /* an entry's share, with the spaces between */
#define EXTRA_BYTES (4 * PAGE_BYTES)

static uint64_t data_stride(uint32_t data_bytes)
{
	return align_down((uint64_t)data_bytes + PAGE_BYTES - 1, PAGE_BYTES);
}

uint64_t vq_memory_bytes(const struct vq_shape *shape)
{
	return (uint64_t)shape->size * RING_BYTES + EXTRA_BYTES +
	       shape->nr_slots * (sizeof(struct vq_request) +
				  data_stride(shape->data_bytes));
}

static int lay_out(struct vq *vq, struct fe_memory *memory)
{
	uint64_t requests_bytes = vq->nr_slots * sizeof(*vq->requests);
	uint64_t data_bytes = vq->nr_slots * vq->data_stride;
	uint64_t requests, data;
	int error;

	error = fe_memory_alloc(memory, 0, requests_bytes, PAGE_BYTES,
				&requests);
	if (!error)
		error = fe_memory_alloc(memory, 0, data_bytes, PAGE_BYTES,
					&data);
	if (error)
		return error;
	vq->requests = fe_memory_pointer(memory, requests, requests_bytes);
	vq->data = fe_memory_pointer(memory, data, data_bytes);
	for (uint32_t i = 0; i < vq->nr_slots; i++)
		vq->slots[i] = (struct vq_slot){
			.request_addr = requests + i * sizeof(*vq->requests),
			.data_addr = data + i * vq->data_stride,
			.reads = true,
		};
	return 0;
}

int vq_init(struct vq *vq, struct fe_memory *memory,
	    const struct vq_shape *shape)
{
	int error;

	*vq = (struct vq){
		.indirect = shape->features & FE_FEATURE_INDIRECT,
		.nr_slots = shape->nr_slots,
		.data_bytes = shape->data_bytes,
		.data_stride = data_stride(shape->data_bytes),
	};
	vq->nr_pieces = vq->indirect ? 1 : VQ_PIECES;
	error = fe_vring_init(&vq->vring, memory, 0, shape->size,
			      shape->features);
	if (error)
		return error;
	vq->slots = calloc(vq->nr_slots, sizeof(*vq->slots));
	if (!vq->slots)
		return -ENOMEM;
	error = lay_out(vq, memory);
	for (uint32_t i = 0; i < vq->nr_slots && !error; i++)
		if (vq->vring.is_packed)
			vq_packed_prepare(vq, i);
		else
			vq_split_prepare(vq, i);
	return error;
}

void vq_deinit(struct vq *vq)
{
	fe_vring_deinit(&vq->vring);
	free(vq->slots);
	vq->slots = NULL;
}

uint32_t vq_first_base(const struct vq *vq)
{
	return fe_vring_base(&vq->vring);
}

void vq_add(struct vq *vq, uint32_t slot, bool reads)
{
	vq->slots[slot].under_way = true;
	if (vq->vring.is_packed)
		vq_packed_add(vq, slot, reads);
	else
		vq_split_add(vq, slot, reads);
}

int vq_take(struct vq *vq, uint32_t *slot)
{
	return vq->vring.is_packed ? vq_packed_take(vq, slot) :
				     vq_split_take(vq, slot);
}

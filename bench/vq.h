/* SPDX-License-Identifier: MIT */
/*
 * vq - a virtqueue whose requests are prepared once and asked again and again
 *
 * What makes a fe_vring cheap enough to load a back-end: each of a fixed
 * number of slots is one virtio-blk request in guest memory, header, data and
 * status, with its descriptors written beforehand where the layout permits.
 * Adding one is a few stores, nothing is allocated, and a whole batch is
 * published with one store and one decision about a kick.
 *
 * What the device writes is checked: an entry for a slot that is not under
 * way, or with more bytes than it has room for, is -EPROTO.
 *
 * Owner: one thread.
 */
#ifndef BENCH_VQ_H
#define BENCH_VQ_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#include "tests/frontend/vring.h"

#define VQ_PIECES 3 /* of a request: header, data, status */

/* In guest memory; what both sides write lies in lines of its own. */
struct vq_request {
	uint8_t table[VQ_PIECES * sizeof(struct vring_desc)];
	struct virtio_blk_outhdr header;
	uint8_t status;
	uint8_t unused[63];
} __attribute__((aligned(64)));

/* What the driver alone knows of a slot */
struct vq_slot {
	uint64_t request_addr; /* guest addresses */
	uint64_t data_addr;
	bool reads; /* as its data descriptor says */
	bool under_way;
};

struct vq_shape {
	uint32_t size; /* of the ring */
	uint32_t nr_slots;
	uint32_t data_bytes; /* of each request */
	uint64_t features;   /* the negotiated ones */
};

struct vq {
	struct fe_vring vring;
	bool indirect;
	uint16_t nr_pieces; /* ring entries of a request */
	uint16_t seen_used; /* of a split ring: used->idx when last looked at */
	uint32_t nr_slots;
	uint32_t data_bytes;
	struct vq_request *requests;
	uint8_t *data; /* of slot 0; the others follow at data_stride */
	uint64_t data_stride;
	struct vq_slot *slots;
};

/* Bytes of guest memory that a queue of this shape takes at most. */
uint64_t vq_memory_bytes(const struct vq_shape *shape);

/*
 * Lay out in the first region of memory. The size must hold nr_slots requests.
 * Returns 0 or -errno; deinit is harmless after failure.
 */
int vq_init(struct vq *vq, struct fe_memory *memory,
	    const struct vq_shape *shape);
void vq_deinit(struct vq *vq);

/* The base to start a back-end's new ring at. */
uint32_t vq_first_base(const struct vq *vq);

static inline uint8_t *vq_data(const struct vq *vq, uint32_t slot)
{
	return vq->data + slot * vq->data_stride;
}

/*
 * Put the slot's request, whose header is ready, into the ring; it is not
 * visible until fe_vring_publish(). The slot is not under way.
 */
void vq_add(struct vq *vq, uint32_t slot, bool reads);

/* Take a used entry. Returns 1 with *slot set, 0 for none, or -EPROTO. */
int vq_take(struct vq *vq, uint32_t *slot);

#endif

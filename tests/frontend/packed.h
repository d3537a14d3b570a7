/* SPDX-License-Identifier: MIT */
/*
 * packed - the driver's side of a packed virtqueue (virtio 1.3, 2.8)
 *
 * What a struct fe_vring does when RING_PACKED was accepted; nobody but
 * vring.c calls these. The contracts are those of vring.h.
 */
#ifndef FRONTEND_PACKED_H
#define FRONTEND_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

struct fe_vring;
struct fe_buffers;

/* A place in a packed ring, and the wrap counter there (virtio 1.3, 2.8.1) */
struct fe_place {
	uint16_t index;
	bool wrap;
};

/* What only a packed ring has */
struct fe_packed {
	struct vring_packed_desc *desc; /* in this process */
	struct vring_packed_desc_event *driver;
	struct vring_packed_desc_event *device;
	struct fe_place next_avail; /* where the next chain goes */
	struct fe_place published;  /* up to where the device sees chains */
	struct fe_place next_used;
	uint16_t nr_added;    /* descriptors between the two first ones */
	uint16_t first_flags; /* what publishes them */
};

/* Both places at entry 0, in their first round: that of a new ring */
#define FE_PACKED_FIRST_BASE 0x80008000u

int fe_packed_lay_out(struct fe_vring *vring, unsigned int region);
void fe_packed_reset(struct fe_vring *vring);
int fe_packed_add(struct fe_vring *vring, const struct fe_buffers *buffers,
		  void *token);
void fe_packed_move_table(struct fe_vring *vring, uint64_t table);
bool fe_packed_publish(struct fe_vring *vring);
int fe_packed_take(struct fe_vring *vring, void **token, uint32_t *used_bytes);
bool fe_packed_has_used(const struct fe_vring *vring);
void fe_packed_suppress_calls(struct fe_vring *vring);
bool fe_packed_expect_calls(struct fe_vring *vring, uint16_t nr_more);
uint32_t fe_packed_base(const struct fe_vring *vring);

#endif

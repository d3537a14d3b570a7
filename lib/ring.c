/* SPDX-License-Identifier: MIT */
/*
 * ring - the two layouts of a virtqueue behind one set of verbs
 *
 * What is done once for a start: sizes, bases, set-up. What is done for each
 * request is inline, in ring.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/ring.h"

#define MAX_SIZE 32768

bool rh_ring_is_packed(uint64_t features)
{
	return features & FEATURE_BIT(VIRTIO_F_RING_PACKED);
}

const char *rh_ring_size_fault(uint64_t features, uint32_t size)
{
	if (!size || size > MAX_SIZE)
		return "its size is not between 1 and 32768";
	if (!rh_ring_is_packed(features) && !is_power_of_2(size))
		return "the size of a split ring is not a power of two";
	return NULL;
}

const char *rh_ring_base_fault(uint64_t features, uint32_t size, uint32_t base)
{
	if (!rh_ring_is_packed(features))
		return base > UINT16_MAX ? "its position is too large" : NULL;
	if (size && !rh_packed_base_valid(base, size))
		return "its position is not below its size";
	return NULL;
}

uint32_t rh_ring_first_base(uint64_t features)
{
	return rh_ring_is_packed(features) ? RH_PACKED_FIRST_BASE : 0;
}

void rh_ring_parts(uint64_t features, uint32_t size,
		   struct rh_ring_part parts[RH_RING_NR_PARTS])
{
	if (rh_ring_is_packed(features)) {
		const uint64_t bytes = sizeof(struct pvirtq_event_suppress);

		parts[RH_RING_DESC] = (struct rh_ring_part){
			"descriptor ring", rh_packed_desc_bytes(size),
			PVIRTQ_DESC_ALIGN, VHOST_ACCESS_RW
		};
		parts[RH_RING_DRIVER] =
			(struct rh_ring_part){ "driver event structure", bytes,
					       PVIRTQ_EVENT_ALIGN,
					       VHOST_ACCESS_RO };
		parts[RH_RING_DEVICE] =
			(struct rh_ring_part){ "device event structure", bytes,
					       PVIRTQ_EVENT_ALIGN,
					       VHOST_ACCESS_WO };
		return;
	}
	parts[RH_RING_DESC] =
		(struct rh_ring_part){ "descriptor table",
				       rh_split_desc_bytes(size),
				       VIRTQ_DESC_ALIGN, VHOST_ACCESS_RO };
	parts[RH_RING_DRIVER] =
		(struct rh_ring_part){ "available ring",
				       rh_split_avail_bytes(size),
				       VIRTQ_AVAIL_ALIGN, VHOST_ACCESS_RO };
	parts[RH_RING_DEVICE] =
		(struct rh_ring_part){ "used ring", rh_split_used_bytes(size),
				       VIRTQ_USED_ALIGN, VHOST_ACCESS_WO };
}

int rh_ring_init(struct rh_ring *ring, uint64_t features, uint32_t size,
		 void *const parts[RH_RING_NR_PARTS])
{
	bool event_idx = features & FEATURE_BIT(VIRTIO_F_RING_EVENT_IDX);

	memset(ring, 0, sizeof(*ring));
	ring->is_packed = rh_ring_is_packed(features);
	ring->size = size;
	if (!ring->is_packed) {
		ring->split.desc = parts[RH_RING_DESC];
		ring->split.avail = parts[RH_RING_DRIVER];
		ring->split.used = parts[RH_RING_DEVICE];
		ring->split.size = (uint16_t)size;
		ring->split.event_idx = event_idx;
		ring->split.notify_on_empty =
			features & FEATURE_BIT(VIRTIO_F_NOTIFY_ON_EMPTY);
		return 0;
	}
	ring->packed.desc = parts[RH_RING_DESC];
	ring->packed.driver_event = parts[RH_RING_DRIVER];
	ring->packed.device_event = parts[RH_RING_DEVICE];
	ring->packed.size = (uint16_t)size;
	ring->packed.event_idx = event_idx;
	ring->packed.chain = calloc(size, sizeof(*ring->packed.chain));
	return ring->packed.chain ? 0 : -ENOMEM;
}

void rh_ring_deinit(struct rh_ring *ring)
{
	if (ring->is_packed)
		free(ring->packed.chain);
	memset(ring, 0, sizeof(*ring));
}

static bool start_split(struct rh_split *split, uint16_t base)
{
	uint16_t ahead;
	uint16_t behind;

	rh_split_start(split, base);
	ahead = base - split->next_used;
	behind = split->next_used - base;
	if (!ahead || MIN(ahead, behind) > split->size)
		return false;
	rh_split_rewind(split);
	return true;
}

static bool start_packed(struct rh_packed *packed, uint32_t base)
{
	rh_packed_start(packed, base);
	if (packed->next_avail.index == packed->next_used.index &&
	    packed->next_avail.wrap == packed->next_used.wrap)
		return false;
	rh_packed_rewind(packed);
	return true;
}

bool rh_ring_start(struct rh_ring *ring, uint32_t base)
{
	if (ring->is_packed)
		return start_packed(&ring->packed, base);
	return start_split(&ring->split, (uint16_t)base);
}

uint32_t rh_ring_base(const struct rh_ring *ring)
{
	return ring->is_packed ? rh_packed_base(&ring->packed) :
				 ring->split.next_avail;
}

unsigned int rh_ring_entry(const struct rh_ring *ring, uint32_t base)
{
	return base & (ring->is_packed ? PVIRTQ_INDEX_MASK : UINT16_MAX);
}

void rh_ring_untake(struct rh_ring *ring)
{
	if (ring->is_packed)
		rh_packed_untake(&ring->packed);
	else
		rh_split_untake(&ring->split);
}

/* What rh_split_take() found wrong is what it did not get past. */
static void explain_split(const struct rh_split *split, char *why, size_t bytes)
{
	if (split->next_avail == split->known_avail)
		snprintf(why, bytes,
			 "the available index is not within %u entries of %u",
			 split->size, split->next_avail);
	else
		snprintf(why, bytes,
			 "the head in available entry %u is not below %u",
			 split->next_avail, split->size);
}

void rh_ring_explain(const struct rh_ring *ring, char *why, size_t bytes)
{
	if (ring->is_packed)
		snprintf(why, bytes, "%s (at entry %u of %u)",
			 ring->packed.fault, ring->packed.next_avail.index,
			 ring->packed.size);
	else
		explain_split(&ring->split, why, bytes);
}

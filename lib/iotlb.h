/* SPDX-License-Identifier: MIT */
/*
 * iotlb - what a guest's IOMMU has allowed the device to reach, and where
 *
 * With VIRTIO_F_ACCESS_PLATFORM the addresses in rings and in SET_VRING_ADDR
 * are I/O virtual ones. The front-end says where they lie, range by range, and
 * takes ranges back; what it did not say is a miss, which miss.h asks about.
 *
 * The table has a fixed number of entries: a front-end that fills it loses the
 * oldest one, and is asked again. Entries point into memory that the map has
 * mapped, so the table is emptied before a map goes.
 *
 * The control thread changes it, any thread looks into it. What a look found
 * holds until the range is taken back, for which all who may use it are quiet.
 */
#ifndef LIB_IOTLB_H
#define LIB_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory.h"
#include "lib/wire.h"

/* An address as a driver behind an IOMMU uses it. */
struct iova {
	uint64_t value;
};

/* What someone reaches for */
struct rh_reach {
	struct iova iova;
	uint64_t bytes;		 /* above 0 */
	unsigned int permission; /* that it takes, of VHOST_ACCESS_RO and _WO */
};

struct rh_iotlb;

/*
 * An empty table, large enough for what the longest chains of 15 queues touch
 * at once, or shorter ones of more queues. Returns 0 or -ENOMEM.
 */
int rh_iotlb_create(unsigned int nr_queues, struct rh_iotlb **ret);

/* NULL is accepted. */
void rh_iotlb_destroy(struct rh_iotlb *iotlb);

void rh_iotlb_clear(struct rh_iotlb *iotlb);

/*
 * Put in the range of an update, in place of what was there. Returns 0, or
 * with nothing changed -EINVAL when it is empty, wraps or allows nothing that
 * is known, -EFAULT when its user addresses are not all in regions of map.
 */
int rh_iotlb_update(struct rh_iotlb *iotlb, const struct rh_map *map,
		    const struct vhost_user_iotlb *update);

/*
 * The first and last address of an invalidation; one of address 0 and size 0
 * is of all 2^64. Returns 0, or -EINVAL when it is empty or wraps.
 */
int rh_iotlb_invalid_range(const struct vhost_user_iotlb *invalidation,
			   struct iova *first, struct iova *last);

/* Take out a range; what is left of entries that it cuts stays. */
void rh_iotlb_invalidate(struct rh_iotlb *iotlb, struct iova first,
			 struct iova last);

/*
 * Entry number i as the update that would put it in. Returns false when there
 * are not so many. map: that of the updates. Control thread.
 */
bool rh_iotlb_entry(const struct rh_iotlb *iotlb, const struct rh_map *map,
		    unsigned int i, struct vhost_user_iotlb *ret);

/*
 * Where the first of these bytes lie.
 *
 * Returns 0 with *host set, -EFAULT where that is not allowed, or -EAGAIN for
 * a miss. *contiguous is set to how many of the bytes, 1 at least, this holds
 * for. Any thread; never waits: while the table changes all is a miss.
 */
int rh_iotlb_find(const struct rh_iotlb *iotlb, struct rh_reach reach,
		  uint8_t **host, uint64_t *contiguous);

#endif

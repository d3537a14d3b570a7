/* SPDX-License-Identifier: MIT */
/*
 * inflight_split - the record of a split virtqueue
 *
 * vhost-user, Inflight I/O tracking. A descriptor head that was taken is
 * marked with its turn. Those that are given back are linked into a list, the
 * used index moves, the marks are removed, and used_idx follows. A death in
 * between shows in a used_idx that is behind the ring's: the list then says
 * which marks are to be removed. Where the two are equal the list means
 * nothing, whatever it says: nothing was published since.
 *
 * Steps 1 to 3 for a head that is given back are done when the batch is
 * published: until then nothing of it is to be seen.
 */
#include <errno.h>

#include "common/base.h"
#include "lib/inflight_region.h"

void rh_record_new_split(struct rh_record *record, const struct rh_ring *ring,
			 uint16_t nr_entries)
{
	struct rh_region_split *region = record->region;

	for (unsigned int i = 0; i < nr_entries; i++) {
		rh_region_store(region->desc[i].inflight, 0);
		rh_region_store(region->desc[i].next, 0);
		rh_region_store(region->desc[i].counter, 0);
	}
	rh_region_store(region->features, 0);
	rh_region_store(region->desc_num, nr_entries);
	rh_region_store(region->last_batch_head, 0);
	record->last_head = 0;
	rh_region_store(region->used_idx, ring->split.next_used);
	/* Only now: a part that is half set up is still a new one. */
	rh_region_store(region->version, RH_INFLIGHT_VERSION);
}

/* Returns false when used_idx is none that this ring can have had. */
static bool finish_batch(struct rh_record *record, const struct rh_ring *ring,
			 uint16_t nr_entries)
{
	struct rh_region_split *region = record->region;
	uint16_t used = ring->split.next_used;
	uint16_t nr = used - rh_region_load(region->used_idx);
	uint16_t head = rh_region_load(region->last_batch_head);

	record->last_head = head;
	if (nr > ring->size)
		return false;
	for (uint16_t i = 0; i < nr && head < nr_entries; i++) {
		rh_region_store(region->desc[head].inflight, 0);
		head = rh_region_load(region->desc[head].next);
	}
	return true;
}

static void collect(struct rh_record *record, uint16_t nr_entries)
{
	struct rh_region_split *region = record->region;

	for (uint16_t i = 0; i < nr_entries; i++) {
		struct rh_desc_split *desc = &region->desc[i];
		uint8_t inflight = rh_region_load(desc->inflight);

		if (inflight == 1 && i < record->size)
			rh_record_owe(record, rh_region_load(desc->counter), i,
				      0);
		else if (inflight)
			rh_region_store(desc->inflight, 0);
	}
}

static void discard(struct rh_record *record)
{
	struct rh_region_split *region = record->region;

	for (unsigned int i = 0; i < record->nr_owed; i++)
		rh_region_store(region->desc[record->owed[i].entry].inflight,
				0);
	record->nr_owed = 0;
}

/*
 * The driver has made available what is under way, so that much must lie
 * between the used index and the available one; else the record is that of
 * another ring, which was at this place before the driver began anew.
 */
int rh_record_recover_split(struct rh_record *record, struct rh_ring *ring,
			    uint16_t nr_entries)
{
	struct rh_region_split *region = record->region;
	bool of_this_ring = finish_batch(record, ring, nr_entries);

	collect(record, nr_entries);
	if (!of_this_ring ||
	    record->nr_owed > rh_split_outstanding(&ring->split))
		discard(record);
	rh_region_store(region->used_idx, ring->split.next_used);
	rh_split_resume(&ring->split, (uint16_t)record->nr_owed);
	return 0;
}

void rh_record_take_split(struct rh_record *record, uint16_t head)
{
	struct rh_region_split *region = record->region;

	rh_region_store(region->desc[head].counter, record->counter++);
	rh_region_store(region->desc[head].inflight, 1);
}

bool rh_record_publish_split(struct rh_record *record, struct rh_ring *ring)
{
	struct rh_region_split *region = record->region;
	bool notify;

	for (unsigned int i = 0; i < record->nr_given; i++) {
		uint16_t head = record->given[i];

		rh_region_store(region->desc[head].next, record->last_head);
		record->last_head = head;
		rh_region_store(region->last_batch_head, head);
	}
	notify = rh_ring_publish(ring);
	for (unsigned int i = 0; i < record->nr_given; i++)
		rh_region_store(region->desc[record->given[i]].inflight, 0);
	rh_region_store(region->used_idx, ring->split.next_used);
	return notify;
}

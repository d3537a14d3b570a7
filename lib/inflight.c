/* SPDX-License-Identifier: MIT */
/*
 * inflight - the record of requests under way, which survives us
 *
 * What both layouts have in common: the parts of the region, and a record
 * from its opening to its close. The layouts are in inflight_split.c and
 * inflight_packed.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "lib/inflight_region.h"

/* Parts do not share a cache line. */
#define PART_ALIGN UINT64_C(64)

uint64_t rh_inflight_part_bytes(bool is_packed, uint16_t queue_size)
{
	uint64_t bytes;

	if (is_packed)
		bytes = sizeof(struct rh_region_packed) +
			queue_size * sizeof(struct rh_desc_packed);
	else
		bytes = sizeof(struct rh_region_split) +
			queue_size * sizeof(struct rh_desc_split);
	return align_down(bytes + PART_ALIGN - 1, PART_ALIGN);
}

/* The front-end may ask before the driver has chosen a layout. */
uint64_t rh_inflight_bytes(uint16_t nr_queues, uint16_t queue_size)
{
	return nr_queues * MAX(rh_inflight_part_bytes(false, queue_size),
			       rh_inflight_part_bytes(true, queue_size));
}

bool rh_inflight_part(const struct rh_inflight *inflight, unsigned int index,
		      bool is_packed, uint32_t size,
		      struct rh_inflight_part *ret)
{
	uint64_t bytes =
		rh_inflight_part_bytes(is_packed, inflight->queue_size);

	if (index >= inflight->nr_queues || size > inflight->queue_size ||
	    inflight->range.bytes / bytes <= index)
		return false;
	ret->address = inflight->range.address + index * bytes;
	ret->nr_entries = inflight->queue_size;
	return true;
}

/* A version of zero is what a new part has. */
void rh_inflight_forget(const struct rh_inflight *inflight, unsigned int index,
			bool is_packed)
{
	struct rh_inflight_part part;
	struct rh_region_head *head;

	if (!inflight->nr_queues ||
	    !rh_inflight_part(inflight, index, is_packed, 0, &part))
		return;
	head = part.address;
	rh_region_store(head->version, 0);
}

void rh_inflight_drop(struct rh_inflight *inflight)
{
	rh_range_unmap(&inflight->range);
	memset(inflight, 0, sizeof(*inflight));
}

const char *rh_region_fault(const struct rh_inflight_part *part)
{
	const struct rh_region_head *head = part->address;

	if (rh_region_load(head->version) != RH_INFLIGHT_VERSION)
		return "its in-flight record has a version that is not known";
	if (rh_region_load(head->features))
		return "its in-flight record has features that are not known";
	if (rh_region_load(head->desc_num) != part->nr_entries)
		return "its in-flight record was made for another queue size";
	return NULL;
}

void rh_record_owe(struct rh_record *record, uint64_t counter, uint16_t entry,
		   uint16_t nr_desc)
{
	record->owed[record->nr_owed++] = (struct rh_owed){
		.counter = counter,
		.entry = entry,
		.nr_desc = nr_desc,
	};
	record->counter = MAX(record->counter, counter + 1);
}

/* Equal counters, which nobody writes, are taken as they come. */
static int compare_owed(const void *one, const void *other)
{
	const struct rh_owed *a = one;
	const struct rh_owed *b = other;

	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	return a->entry < b->entry ? -1 : 1;
}

/* All of them are freed by rh_record_close(). */
static int allocate(const struct rh_inflight_part *part,
		    const struct rh_ring *ring, struct rh_record **ret)
{
	struct rh_record *record = calloc(1, sizeof(*record));

	if (!record)
		return -ENOMEM;
	record->is_packed = ring->is_packed;
	record->size = (uint16_t)ring->size;
	record->region = part->address;
	record->nr_entries = part->nr_entries;
	record->owed = calloc(ring->size, sizeof(*record->owed));
	record->given = calloc(ring->size, sizeof(*record->given));
	record->next = calloc(part->nr_entries, sizeof(*record->next));
	record->entry = calloc(ring->size, sizeof(*record->entry));
	record->last = calloc(ring->size, sizeof(*record->last));
	if (!record->owed || !record->given || !record->next ||
	    !record->entry || !record->last) {
		rh_record_close(record);
		return -ENOMEM;
	}
	*ret = record;
	return 0;
}

void rh_record_close(struct rh_record *record)
{
	if (!record)
		return;
	free(record->owed);
	free(record->given);
	free(record->next);
	free(record->entry);
	free(record->last);
	free(record);
}

static void make_new(struct rh_record *record, const struct rh_ring *ring)
{
	if (record->is_packed)
		rh_record_new_packed(record, ring);
	else
		rh_record_new_split(record, ring, record->nr_entries);
}

static int recover(struct rh_record *record, struct rh_ring *ring)
{
	int error;

	if (record->is_packed)
		error = rh_record_recover_packed(record, ring);
	else
		error = rh_record_recover_split(record, ring,
						record->nr_entries);
	if (error)
		return error;
	qsort(record->owed, record->nr_owed, sizeof(*record->owed),
	      compare_owed);
	record->nr_recorded = record->nr_owed;
	return 1;
}

int rh_record_open(const struct rh_inflight_part *part, struct rh_ring *ring,
		   struct rh_record **ret, const char **why)
{
	const struct rh_region_head *head = part->address;
	struct rh_record *record = NULL;
	int result;

	*why = "out of memory for its in-flight record";
	result = allocate(part, ring, &record);
	if (result)
		return result;
	if (!rh_region_load(head->version)) {
		make_new(record, ring);
	} else {
		record->fault = rh_region_fault(part);
		result = record->fault ? -EPROTO : recover(record, ring);
	}
	if (result < 0) {
		*why = record->fault;
		rh_record_close(record);
		return result;
	}
	*ret = record;
	return result;
}

static int retake(struct rh_record *record, struct rh_ring *ring,
		  uint16_t *head)
{
	const struct rh_owed *owed = &record->owed[record->next_owed++];

	record->has_taken = true;
	if (record->is_packed)
		return rh_record_retake_packed(record, ring, owed, head);
	*head = owed->entry;
	return 1;
}

int rh_record_take(struct rh_record *record, struct rh_ring *ring,
		   uint16_t *head)
{
	record->retakes = unlikely(rh_record_owes(record));
	if (record->retakes)
		return retake(record, ring, head);
	return rh_ring_take(ring, head);
}

void rh_record_taken(struct rh_record *record, const struct rh_ring *ring,
		     uint16_t head)
{
	record->has_taken = true;
	if (record->retakes)
		return; /* it is recorded already */
	record->nr_recorded++;
	if (record->is_packed)
		rh_record_take_packed(record, ring, head);
	else
		rh_record_take_split(record, head);
}

void rh_record_untake(struct rh_record *record, struct rh_ring *ring)
{
	if (record->retakes)
		record->next_owed--;
	else
		rh_ring_untake(ring);
}

/*
 * A driver that shows a head again before it has seen it used can make more
 * of them than the ring has entries. What is then not noted stays marked, and
 * harms nobody else.
 */
void rh_record_give(struct rh_record *record, uint16_t head)
{
	if (likely(record->nr_given < record->size))
		record->given[record->nr_given++] = head;
}

bool rh_record_publish(struct rh_record *record, struct rh_ring *ring)
{
	bool notify;

	if (!record->nr_given)
		return rh_ring_publish(ring);
	notify = record->is_packed ? rh_record_publish_packed(record, ring) :
				     rh_record_publish_split(record, ring);
	record->nr_recorded -= record->nr_given;
	record->nr_given = 0;
	return notify;
}

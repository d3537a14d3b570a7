/* SPDX-License-Identifier: MIT */
/*
 * inflight_packed - the record of a packed virtqueue
 *
 * vhost-user, Inflight I/O tracking. Used descriptors overwrite the ring in
 * any order, so each descriptor that is taken is copied into an entry of the
 * region. Entries not in use form a list that begins at free_head; those of a
 * chain are linked the same way. free_head and the used position are moved
 * step by step and their old_ twins follow at the end: a death in between
 * either is rolled back, or, when the ring shows that the driver has got the
 * batch, carried through.
 *
 * Entries go back to the list when their batch is published and not before:
 * a chain taken between giving and publishing would else overwrite a request
 * that the driver has not got yet. The used position is compared with its
 * wrap counter, since a batch may go once around the ring.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base.h"
#include "lib/inflight_region.h"

static void store_used(struct rh_region_packed *region,
		       struct rh_packed_place used, struct rh_packed_place old)
{
	const union rh_region_used position = {
		.used_idx = used.index,
		.old_used_idx = old.index,
		.used_wrap_counter = used.wrap,
		.old_used_wrap_counter = old.wrap,
	};

	rh_region_store(region->used.word, position.word);
}

static void load_used(const struct rh_region_packed *region,
		      struct rh_packed_place *used, struct rh_packed_place *old)
{
	union rh_region_used position;

	position.word = rh_region_load(region->used.word);
	used->index = position.used_idx;
	used->wrap = position.used_wrap_counter;
	old->index = position.old_used_idx;
	old->wrap = position.old_used_wrap_counter;
}

void rh_record_new_packed(struct rh_record *record, const struct rh_ring *ring)
{
	struct rh_region_packed *region = record->region;
	uint16_t nr = record->nr_entries;

	for (uint16_t i = 0; i < nr; i++) {
		record->next[i] = i + 1;
		rh_region_store(region->desc[i].inflight, 0);
		rh_region_store(region->desc[i].next, record->next[i]);
	}
	record->free_head = 0;
	rh_region_store(region->features, 0);
	rh_region_store(region->desc_num, nr);
	rh_region_store(region->free_head, 0);
	rh_region_store(region->old_free_head, 0);
	record->used = ring->packed.next_used;
	store_used(region, record->used, record->used);
	/* Only now: a part that is half set up is still a new one. */
	rh_region_store(region->version, RH_INFLIGHT_VERSION);
}

static bool same_place(struct rh_packed_place a, struct rh_packed_place b)
{
	return a.index == b.index && a.wrap == b.wrap;
}

static int refuse(struct rh_record *record, const char *fault)
{
	record->fault = fault;
	return -EPROTO;
}

/* Carry the last batch through, or roll it back. */
static int finish_batch(struct rh_record *record, const struct rh_ring *ring)
{
	struct rh_region_packed *region = record->region;
	uint16_t free_head = rh_region_load(region->free_head);
	struct rh_packed_place used;
	struct rh_packed_place old;

	load_used(region, &used, &old);
	if (used.index >= ring->size || old.index >= ring->size)
		return refuse(record, "the used position in its in-flight "
				      "record is not below its size");
	if (!same_place(used, old) &&
	    !rh_packed_is_available(&ring->packed, old)) {
		rh_region_store(region->old_free_head, free_head);
		store_used(region, used, used);
		old = used;
	}
	record->free_head = rh_region_load(region->old_free_head);
	rh_region_store(region->free_head, record->free_head);
	store_used(region, old, old);
	record->used = old;
	return 0;
}

/* Walk the list of free entries; each is visited once. Returns how many. */
static unsigned int walk_free(struct rh_record *record, bool *seen)
{
	struct rh_region_packed *region = record->region;
	uint16_t i = record->free_head;
	unsigned int nr = 0;

	while (i < record->nr_entries && !seen[i]) {
		seen[i] = true;
		nr++;
		if (rh_region_load(region->desc[i].inflight))
			rh_region_store(region->desc[i].inflight, 0);
		record->next[i] = rh_region_load(region->desc[i].next);
		i = record->next[i];
	}
	return nr;
}

/* The chain whose first entry is head. Returns how long it is, or -EPROTO. */
static int walk_chain(struct rh_record *record, bool *seen, uint16_t head)
{
	const struct rh_region_packed *region = record->region;
	uint16_t nr = rh_region_load(region->desc[head].num);
	uint16_t i = head;

	if (!nr || nr > record->size || record->nr_owed == record->size)
		return -EPROTO;
	for (uint16_t k = 0; k < nr; k++) {
		if (i >= record->nr_entries || seen[i])
			return -EPROTO;
		seen[i] = true;
		record->next[i] = rh_region_load(region->desc[i].next);
		i = record->next[i];
	}
	rh_record_owe(record, rh_region_load(region->desc[head].counter), head,
		      nr);
	return nr;
}

/* *nr_desc: of all chains under way. */
static int collect(struct rh_record *record, bool *seen, unsigned int *nr_desc)
{
	struct rh_region_packed *region = record->region;
	unsigned int nr_free = walk_free(record, seen);
	unsigned int nr = 0;
	uint8_t inflight;
	int length;

	for (uint16_t i = 0; i < record->nr_entries; i++) {
		inflight = rh_region_load(region->desc[i].inflight);
		if (inflight > 1)
			rh_region_store(region->desc[i].inflight, 0);
		if (inflight != 1)
			continue;
		length = walk_chain(record, seen, i);
		if (length < 0)
			return length;
		nr += (unsigned int)length;
	}
	*nr_desc = nr;
	return nr_free + nr == record->nr_entries && nr <= record->size ?
		       0 :
		       -EPROTO;
}

/*
 * The position of a packed ring stands nowhere but in its record. A ring that
 * was never used cannot be the one of which the record tells: its driver began
 * anew while there was nobody to be told of it.
 */
int rh_record_recover_packed(struct rh_record *record, struct rh_ring *ring)
{
	cleanup_free bool *seen = calloc(record->nr_entries, sizeof(*seen));
	unsigned int nr_desc;
	int error;

	if (!seen)
		return refuse(record, "out of memory for its in-flight record");
	if (rh_packed_is_blank(&ring->packed)) {
		rh_record_new_packed(record, ring);
		return 0;
	}
	error = finish_batch(record, ring);
	if (error)
		return error;
	if (collect(record, seen, &nr_desc) < 0)
		return refuse(record, "the lists in its in-flight record are "
				      "damaged");
	rh_packed_resume(&ring->packed, record->used, (uint16_t)nr_desc);
	return 0;
}

static void copy_desc(struct rh_desc_packed *to, const struct pvirtq_desc *from)
{
	rh_region_store(to->addr, le64_get(from->addr));
	rh_region_store(to->len, le32_get(from->len));
	rh_region_store(to->flags, le16_get(from->flags));
	rh_region_store(to->id, le16_get(from->id));
}

void rh_record_take_packed(struct rh_record *record, const struct rh_ring *ring,
			   uint16_t head)
{
	struct rh_region_packed *region = record->region;
	uint16_t nr = ring->packed.nr_taken;
	uint16_t first = record->free_head;
	uint16_t i = first;

	assert(first < record->nr_entries);
	rh_region_store(region->desc[first].num, 0);
	rh_region_store(region->desc[first].counter, record->counter++);
	rh_region_store(region->desc[first].inflight, 1);
	for (uint16_t k = 0; k < nr; k++) {
		i = record->free_head;
		assert(i < record->nr_entries);
		if (k == nr - 1)
			rh_region_store(region->desc[first].last, i);
		rh_region_store(region->desc[first].num, k + 1);
		copy_desc(&region->desc[i], &ring->packed.chain[k]);
		record->free_head = record->next[i];
		rh_region_store(region->free_head, record->free_head);
	}
	rh_region_store(region->old_free_head, record->free_head);
	record->entry[head] = first;
	record->last[head] = i;
}

int rh_record_retake_packed(struct rh_record *record, struct rh_ring *ring,
			    const struct rh_owed *owed, uint16_t *head)
{
	const struct rh_region_packed *region = record->region;
	struct pvirtq_desc *chain = ring->packed.chain;
	uint16_t i = owed->entry;
	uint16_t last = i;
	uint16_t id;

	for (uint16_t k = 0; k < owed->nr_desc; k++) {
		const struct rh_desc_packed *desc = &region->desc[i];

		chain[k].addr = le64_make(rh_region_load(desc->addr));
		chain[k].len = le32_make(rh_region_load(desc->len));
		chain[k].flags = le16_make(rh_region_load(desc->flags));
		chain[k].id = le16_make(rh_region_load(desc->id));
		last = i;
		i = record->next[i];
	}
	id = le16_get(chain[owed->nr_desc - 1].id);
	if (id >= record->size)
		return refuse(record, "an id in its in-flight record is not "
				      "below its size");
	ring->packed.nr_taken = owed->nr_desc;
	record->entry[id] = owed->entry;
	record->last[id] = last;
	*head = id;
	return 1;
}

/* Give the batch's entries back to the list. */
static void free_batch(struct rh_record *record)
{
	struct rh_region_packed *region = record->region;

	for (unsigned int i = 0; i < record->nr_given; i++) {
		uint16_t head = record->given[i];
		uint16_t last = record->last[head];

		record->next[last] = record->free_head;
		rh_region_store(region->desc[last].next, record->free_head);
		record->free_head = record->entry[head];
		rh_region_store(region->free_head, record->free_head);
	}
}

bool rh_record_publish_packed(struct rh_record *record, struct rh_ring *ring)
{
	struct rh_region_packed *region = record->region;
	struct rh_packed_place used = ring->packed.next_used;
	bool notify;

	free_batch(record);
	store_used(region, used, record->used);
	notify = rh_ring_publish(ring);
	for (unsigned int i = 0; i < record->nr_given; i++) {
		uint16_t entry = record->entry[record->given[i]];

		rh_region_store(region->desc[entry].inflight, 0);
	}
	rh_region_store(region->old_free_head, record->free_head);
	store_used(region, used, used);
	record->used = used;
	return notify;
}

/* SPDX-License-Identifier: MIT */
/*
 * iotlb - what a guest's IOMMU has allowed the device to reach, and where
 *
 * Entries are sorted by address and do not overlap. Neighbours that also lie
 * next to each other in one region, with the same permission, are one entry.
 *
 * A sequence number guards the table: odd while the control thread changes
 * it, and another one afterwards. A reader that saw an even number, and the
 * same number after its last load, saw no half of a change: all its loads came
 * from one state of the table. Every word is an atomic, so that a load beside
 * a store is no race; the fences keep loads and stores of entries between
 * those of the number (C11, 7.17.4). A reader never waits for the writer: after
 * a few tries it calls the address a miss, and whoever handles misses, which is
 * the writer's own thread, finds that there is nothing to ask.
 *
 * Indices and the count are valid in any mixture of states that a reader can
 * see, since the array never moves and the count never exceeds it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/iotlb.h"

#define MIN_ENTRIES 2048
#define MAX_ENTRIES 16384
/* RH_CHAIN_MAX_IOV pieces, and the pages of an indirect table and the rings */
#define ENTRIES_A_QUEUE 1088
/* A change makes this many entries more, at most. */
#define ENTRIES_A_CHANGE 2
/* What a miss speaks for: no IOMMU has smaller pages. */
#define PAGE_BYTES 4096
#define TRIES	   4

struct entry {
	_Atomic uint64_t first;
	_Atomic uint64_t last;
	_Atomic(uint8_t *) host; /* of first */
	atomic_uint permission;
	uint32_t age; /* the control thread's */
};

/* An entry outside the table */
struct range {
	uint64_t first;
	uint64_t last;
	uint8_t *host;
	unsigned int permission;
	uint32_t age;
};

struct rh_iotlb {
	atomic_uint sequence;
	atomic_uint nr_entries;
	unsigned int capacity; /* fixed */
	uint32_t next_age;     /* the control thread's */
	struct entry entries[];
};

int rh_iotlb_create(unsigned int nr_queues, struct rh_iotlb **ret)
{
	unsigned int capacity =
		MIN(MAX(nr_queues * ENTRIES_A_QUEUE, (unsigned int)MIN_ENTRIES),
		    (unsigned int)MAX_ENTRIES);
	struct rh_iotlb *iotlb;

	iotlb = calloc(1, sizeof(*iotlb) + capacity * sizeof(struct entry));
	if (!iotlb)
		return -ENOMEM;
	iotlb->capacity = capacity;
	*ret = iotlb;
	return 0;
}

void rh_iotlb_destroy(struct rh_iotlb *iotlb)
{
	free(iotlb);
}

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value)                                                    \
	atomic_store_explicit(&(field), (value), memory_order_relaxed)

static struct range load_entry(const struct entry *entry)
{
	return (struct range){
		.first = LOAD(entry->first),
		.last = LOAD(entry->last),
		.host = LOAD(entry->host),
		.permission = LOAD(entry->permission),
	};
}

static void store_entry(struct entry *entry, const struct range *range)
{
	STORE(entry->first, range->first);
	STORE(entry->last, range->last);
	STORE(entry->host, range->host);
	STORE(entry->permission, range->permission);
	entry->age = range->age;
}

static struct range get(const struct rh_iotlb *iotlb, unsigned int i)
{
	struct range range = load_entry(&iotlb->entries[i]);

	range.age = iotlb->entries[i].age;
	return range;
}

/* Pairs with the acquire load and the fence in rh_iotlb_find(). */
static void begin_change(struct rh_iotlb *iotlb)
{
	STORE(iotlb->sequence, LOAD(iotlb->sequence) + 1);
	atomic_thread_fence(memory_order_release);
}

static void end_change(struct rh_iotlb *iotlb)
{
	atomic_store_explicit(&iotlb->sequence, LOAD(iotlb->sequence) + 1,
			      memory_order_release);
}

void rh_iotlb_clear(struct rh_iotlb *iotlb)
{
	begin_change(iotlb);
	STORE(iotlb->nr_entries, 0);
	end_change(iotlb);
}

/* The first entry that ends at address or behind it. */
static unsigned int lower_bound(const struct rh_iotlb *iotlb, uint64_t address)
{
	unsigned int low = 0;
	unsigned int high = LOAD(iotlb->nr_entries);

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (LOAD(iotlb->entries[middle].last) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void move_entries(struct rh_iotlb *iotlb, unsigned int to,
			 unsigned int from)
{
	unsigned int nr = LOAD(iotlb->nr_entries) - from;

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int step = to < from ? i : nr - 1 - i;
		struct range range = get(iotlb, from + step);

		store_entry(&iotlb->entries[to + step], &range);
	}
}

/* Put nr ranges in the place of entries begin to end - 1; there is room. */
static void replace(struct rh_iotlb *iotlb, unsigned int begin,
		    unsigned int end, const struct range *ranges,
		    unsigned int nr)
{
	unsigned int nr_entries = LOAD(iotlb->nr_entries);

	if (begin + nr != end)
		move_entries(iotlb, begin + nr, end);
	for (unsigned int i = 0; i < nr; i++)
		store_entry(&iotlb->entries[begin + i], &ranges[i]);
	STORE(iotlb->nr_entries, nr_entries - (end - begin) + nr);
}

/* Ages are counted from now backwards, so that a wrap does no harm. */
static void drop_oldest(struct rh_iotlb *iotlb)
{
	unsigned int nr_entries = LOAD(iotlb->nr_entries);
	unsigned int oldest = 0;
	uint32_t most = 0;

	for (unsigned int i = 0; i < nr_entries; i++) {
		uint32_t age = iotlb->next_age - iotlb->entries[i].age;

		if (age > most) {
			most = age;
			oldest = i;
		}
	}
	replace(iotlb, oldest, oldest + 1, NULL, 0);
}

static void make_room(struct rh_iotlb *iotlb)
{
	while (LOAD(iotlb->nr_entries) + ENTRIES_A_CHANGE > iotlb->capacity)
		drop_oldest(iotlb);
}

/* What is left of range in front of address, and behind it, if anything */
static bool cut_front(struct range range, uint64_t address, struct range *left)
{
	if (range.first >= address)
		return false;
	*left = range;
	left->last = MIN(range.last, address - 1);
	return true;
}

static bool cut_back(struct range range, uint64_t address, struct range *left)
{
	if (range.last <= address)
		return false;
	*left = range;
	if (range.first <= address) {
		left->first = address + 1;
		left->host += left->first - range.first;
	}
	return true;
}

static bool lies_in(const struct range *range, const struct rh_region *region)
{
	uint64_t region_bytes = region->guest_end - region->guest_start;
	uint64_t offset =
		(uint64_t)((uintptr_t)range->host - (uintptr_t)region->host);

	return offset < region_bytes &&
	       range->last - range->first < region_bytes - offset;
}

/* True if b goes on where a ends, for the guest and inside the region. */
static bool goes_on(const struct range *a, const struct range *b,
		    const struct rh_region *region)
{
	return a->last + 1 == b->first && a->permission == b->permission &&
	       lies_in(a, region) && lies_in(b, region) &&
	       a->host + (b->first - a->first) == b->host;
}

/*
 * Put range, which lies in region, in the place of what was there, joined with
 * its neighbours if it can be. region: NULL to take only out.
 */
static void change(struct rh_iotlb *iotlb, struct range range,
		   const struct rh_region *region)
{
	unsigned int begin = lower_bound(iotlb, range.first);
	unsigned int nr_entries = LOAD(iotlb->nr_entries);
	unsigned int end = begin;
	struct range before = { 0 };
	struct range after = { 0 };
	struct range ranges[3];
	unsigned int nr = 0;
	bool has_before = false;
	bool has_after = false;

	while (end < nr_entries &&
	       LOAD(iotlb->entries[end].first) <= range.last)
		end++;
	if (begin < end) {
		has_before = cut_front(get(iotlb, begin), range.first, &before);
		has_after = cut_back(get(iotlb, end - 1), range.last, &after);
	}
	if (region && !has_before && begin > 0) {
		before = get(iotlb, --begin);
		has_before = true;
	}
	if (region && !has_after && end < nr_entries) {
		after = get(iotlb, end++);
		has_after = true;
	}
	if (region && has_before && goes_on(&before, &range, region)) {
		range.first = before.first;
		range.host = before.host;
		has_before = false;
	}
	if (region && has_after && goes_on(&range, &after, region)) {
		range.last = after.last;
		has_after = false;
	}
	if (has_before)
		ranges[nr++] = before;
	if (region)
		ranges[nr++] = range;
	if (has_after)
		ranges[nr++] = after;
	replace(iotlb, begin, end, ranges, nr);
}

static uint64_t user_addr_of(const struct rh_map *map,
			     const struct range *range)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		const struct rh_region *region = &map->regions[i];

		if (lies_in(range, region))
			return region->frontend_start +
			       (uint64_t)(range->host - region->host);
	}
	return UINT64_MAX; /* in none, which an update would not say */
}

bool rh_iotlb_entry(const struct rh_iotlb *iotlb, const struct rh_map *map,
		    unsigned int i, struct vhost_user_iotlb *ret)
{
	struct range range;

	if (i >= LOAD(iotlb->nr_entries))
		return false;
	range = get(iotlb, i);
	memset(ret, 0, sizeof(*ret));
	ret->iova = range.first;
	ret->size_bytes = range.last - range.first + 1;
	ret->user_addr = user_addr_of(map, &range);
	ret->permission = (uint8_t)range.permission;
	ret->type = VHOST_IOTLB_UPDATE;
	return true;
}

/* Change the table region by region; without insert only look. */
static int walk_update(struct rh_iotlb *iotlb, const struct rh_map *map,
		       const struct vhost_user_iotlb *update, bool insert)
{
	struct frontend_addr addr = { update->user_addr };
	uint64_t iova = update->iova;
	uint64_t left = update->size_bytes;

	while (left) {
		const struct rh_region *region =
			rh_map_frontend_region(map, addr);
		uint64_t offset;
		uint64_t bytes;

		if (!region)
			return -EFAULT;
		offset = addr.value - region->frontend_start;
		bytes = MIN(left,
			    region->guest_end - region->guest_start - offset);
		if (insert) {
			make_room(iotlb);
			change(iotlb,
			       (struct range){
				       .first = iova,
				       .last = iova + (bytes - 1),
				       .host = region->host + offset,
				       .permission = update->permission,
				       .age = iotlb->next_age++,
			       },
			       region);
		}
		iova += bytes;
		addr.value += bytes;
		left -= bytes;
	}
	return 0;
}

static bool range_valid(const struct vhost_user_iotlb *message)
{
	uint64_t last;

	return message->size_bytes &&
	       !add_overflows(message->iova, message->size_bytes - 1, &last);
}

int rh_iotlb_update(struct rh_iotlb *iotlb, const struct rh_map *map,
		    const struct vhost_user_iotlb *update)
{
	int error;

	if (!range_valid(update) || !update->permission ||
	    update->permission & ~VHOST_ACCESS_RW)
		return -EINVAL;
	error = walk_update(iotlb, map, update, false);
	if (error)
		return error;
	begin_change(iotlb);
	walk_update(iotlb, map, update, true);
	end_change(iotlb);
	return 0;
}

int rh_iotlb_invalid_range(const struct vhost_user_iotlb *invalidation,
			   struct iova *first, struct iova *last)
{
	bool all = !invalidation->iova && !invalidation->size_bytes;

	if (!all && !range_valid(invalidation))
		return -EINVAL;
	first->value = invalidation->iova;
	/* Without a sum that wraps; 0 - 1 is the last of all addresses. */
	last->value = invalidation->iova + (invalidation->size_bytes - 1);
	return 0;
}

void rh_iotlb_invalidate(struct rh_iotlb *iotlb, struct iova first,
			 struct iova last)
{
	begin_change(iotlb);
	make_room(iotlb);
	change(iotlb,
	       (struct range){ .first = first.value, .last = last.value },
	       NULL);
	end_change(iotlb);
}

/* What the entries say now, or half of what they say. */
static int look(const struct rh_iotlb *iotlb, struct rh_reach reach,
		struct range *found)
{
	unsigned int i = lower_bound(iotlb, reach.iova.value);

	if (i >= LOAD(iotlb->nr_entries))
		return -EAGAIN;
	*found = load_entry(&iotlb->entries[i]);
	if (found->first > reach.iova.value || found->last < reach.iova.value)
		return -EAGAIN;
	return (reach.permission & ~found->permission) ? -EFAULT : 0;
}

int rh_iotlb_find(const struct rh_iotlb *iotlb, struct rh_reach reach,
		  uint8_t **host, uint64_t *contiguous)
{
	uint64_t last;

	if (add_overflows(reach.iova.value, reach.bytes - 1, &last)) {
		*contiguous = reach.bytes;
		return -EFAULT;
	}
	for (int i = 0; i < TRIES; i++) {
		unsigned int sequence = atomic_load_explicit(
			&iotlb->sequence, memory_order_acquire);
		struct range found = { 0 };
		int result;

		result = look(iotlb, reach, &found);
		/* pairs with begin_change() */
		atomic_thread_fence(memory_order_acquire);
		if (sequence & 1 || LOAD(iotlb->sequence) != sequence)
			continue;
		if (result == -EAGAIN)
			break;
		*contiguous =
			MIN(reach.bytes - 1, found.last - reach.iova.value) + 1;
		if (!result)
			*host = found.host + (reach.iova.value - found.first);
		return result;
	}
	*contiguous =
		MIN(reach.bytes, PAGE_BYTES - reach.iova.value % PAGE_BYTES);
	return -EAGAIN;
}

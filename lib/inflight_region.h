/* SPDX-License-Identifier: MIT */
/*
 * inflight_region - the layouts of a queue's part of the in-flight region
 *
 * vhost-user, Inflight I/O tracking: the fields under the document's names, in
 * the machine's byte order. Private to inflight*.c. With split.c and packed.c
 * the only room with atomics on a peer's memory.
 */
#ifndef LIB_INFLIGHT_REGION_H
#define LIB_INFLIGHT_REGION_H

#include <stddef.h>

#include "lib/inflight.h"

/* Where features, version and desc_num lie in both layouts */
struct rh_region_head {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
};

/* DescStateSplit and QueueRegionSplit */
struct rh_desc_split {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct rh_region_split {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct rh_desc_split desc[];
};

/* DescStatePacked and QueueRegionPacked */
struct rh_desc_packed {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/*
 * The four fields of the used position share an aligned word, and are stored
 * as one: stored one after the other they would name, for a moment, a place
 * at which the ring never was.
 */
union rh_region_used {
	struct {
		uint16_t used_idx;
		uint16_t old_used_idx;
		uint8_t used_wrap_counter;
		uint8_t old_used_wrap_counter;
		uint8_t padding[2];
	};
	uint64_t word;
};

struct rh_region_packed {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	union rh_region_used used;
	uint8_t padding[8];
	struct rh_desc_packed desc[];
};

_Static_assert(sizeof(struct rh_desc_split) == 16, "DescStateSplit");
_Static_assert(offsetof(struct rh_region_split, desc) == 16, "split region");
_Static_assert(sizeof(struct rh_desc_packed) == 32, "DescStatePacked");
_Static_assert(offsetof(struct rh_region_packed, used) == 16, "used position");
_Static_assert(offsetof(struct rh_region_packed, desc) == 32, "packed region");

#define rh_region_load(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define rh_region_store(field, value)                                          \
	__atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

/* Why a part that is not new cannot be read, or NULL. */
const char *rh_region_fault(const struct rh_inflight_part *part);

/* A chain that is under way, found while the part is read. */
void rh_record_owe(struct rh_record *record, uint64_t counter, uint16_t entry,
		   uint16_t nr_desc);

/* The two layouts; contracts as in inflight.h. */
void rh_record_new_split(struct rh_record *record, const struct rh_ring *ring,
			 uint16_t nr_entries);
int rh_record_recover_split(struct rh_record *record, struct rh_ring *ring,
			    uint16_t nr_entries);
void rh_record_take_split(struct rh_record *record, uint16_t head);
bool rh_record_publish_split(struct rh_record *record, struct rh_ring *ring);

void rh_record_new_packed(struct rh_record *record, const struct rh_ring *ring);
int rh_record_recover_packed(struct rh_record *record, struct rh_ring *ring);
void rh_record_take_packed(struct rh_record *record, const struct rh_ring *ring,
			   uint16_t head);
int rh_record_retake_packed(struct rh_record *record, struct rh_ring *ring,
			    const struct rh_owed *owed, uint16_t *head);
bool rh_record_publish_packed(struct rh_record *record, struct rh_ring *ring);

#endif

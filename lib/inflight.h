/* SPDX-License-Identifier: MIT */
/*
 * inflight - the record of requests under way, which survives us
 *
 * A region of shared memory that the front-end keeps while back-ends come and
 * go (vhost-user, Inflight I/O tracking). One part for each queue says which
 * chains were taken and not given back, so that the next back-end carries
 * them out before anything new, in the order in which they were taken.
 *
 * The region is the front-end's memory: it is read when a queue starts, and
 * of what is read each number is checked; while the queue runs it is only
 * written, from what we know ourselves. A record that cannot be is refused.
 *
 * A process that is killed leaves memory as its instructions have left it, in
 * their order. So what matters is the order of stores as the compiler emits
 * them, and each store into the region is a release: no instruction more on
 * x86, and a reader in another process sees the same order.
 *
 * struct rh_inflight: control thread. struct rh_record: that of its queue.
 */
#ifndef LIB_INFLIGHT_H
#define LIB_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory.h"
#include "lib/range.h"
#include "lib/ring.h"

#define RH_INFLIGHT_VERSION 1

/* The whole region, of one session. All zero: the front-end gave none. */
struct rh_inflight {
	struct rh_range range;
	uint16_t nr_queues;
	uint16_t queue_size; /* entries of each queue's part */
	bool has_run;	     /* a queue was started on it */
};

/* One queue's part of it. */
struct rh_inflight_part {
	void *address;
	uint16_t nr_entries;
};

/* A chain that an earlier back-end took and did not give back. */
struct rh_owed {
	uint64_t counter;
	uint16_t entry;	  /* split: the head; packed: of the first descriptor */
	uint16_t nr_desc; /* only of a packed ring */
};

/* What a running queue knows of its part, none of it from there. */
struct rh_record {
	bool is_packed;
	bool has_taken;	   /* since the start */
	bool retakes;	   /* the chain taken last was owed */
	uint16_t size;	   /* of the ring */
	void *region;	   /* not owned */
	const char *fault; /* a clause: why a take returned -EPROTO */
	uint64_t counter;
	unsigned int nr_recorded; /* chains marked as under way */
	unsigned int nr_owed;
	unsigned int next_owed; /* equal to nr_owed: none waits */
	struct rh_owed *owed;	/* by counter; size of them */
	unsigned int nr_given;
	uint16_t *given; /* heads, since the last publish; size of them */
	/* Of a split ring */
	uint16_t last_head; /* last_batch_head */
	/* Of a packed ring */
	uint16_t free_head;
	struct rh_packed_place used; /* as published */
	uint16_t nr_entries;
	uint16_t *next;	 /* links between entries; nr_entries of them */
	uint16_t *entry; /* where the chain of this head begins; size of them */
	uint16_t *last;	 /* and where it ends */
};

/*
 * Bytes of one queue's part, and of a region that has room for either layout;
 * queue_size: 1 to 32768.
 */
uint64_t rh_inflight_part_bytes(bool is_packed, uint16_t queue_size);
uint64_t rh_inflight_bytes(uint16_t nr_queues, uint16_t queue_size);

/*
 * The part of queue index, whose ring has this layout and size. Returns false
 * where the region has no room for it.
 */
bool rh_inflight_part(const struct rh_inflight *inflight, unsigned int index,
		      bool is_packed, uint32_t size,
		      struct rh_inflight_part *ret);

/* What the part of queue index says is believed no more: it is a new one. */
void rh_inflight_forget(const struct rh_inflight *inflight, unsigned int index,
			bool is_packed);

/* Unmap; harmless when there is none. */
void rh_inflight_drop(struct rh_inflight *inflight);

/*
 * Open a part for a ring that was started: set it up if it is new, else
 * finish what a death has interrupted, and move the ring behind what it says
 * is under way, which is then owed.
 *
 * Returns 1 if the part has decided on the ring's position, 0 if it was new,
 * or -errno: -ENOMEM, or -EPROTO with *why set to a clause; *ret is set
 * unless it failed.
 */
int rh_record_open(const struct rh_inflight_part *part, struct rh_ring *ring,
		   struct rh_record **ret, const char **why);

/* NULL is accepted. */
void rh_record_close(struct rh_record *record);

/* True while chains of an earlier back-end wait to be taken. */
static inline bool rh_record_owes(const struct rh_record *record)
{
	return record->next_owed != record->nr_owed;
}

/*
 * As rh_ring_take(), with what is owed first. fault is set where the region is
 * to blame. Either of the next two follows: it was handed out and is recorded
 * from now on, or it waits where it was.
 */
int rh_record_take(struct rh_record *record, struct rh_ring *ring,
		   uint16_t *head);
void rh_record_taken(struct rh_record *record, const struct rh_ring *ring,
		     uint16_t head);
void rh_record_untake(struct rh_record *record, struct rh_ring *ring);

/* rh_ring_publish(), after which nothing that was given is under way. */
bool rh_record_publish(struct rh_record *record, struct rh_ring *ring);

/* Note a head that rh_ring_give() has put into the ring. */
void rh_record_give(struct rh_record *record, uint16_t head);

#endif

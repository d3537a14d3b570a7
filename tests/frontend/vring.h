/* SPDX-License-Identifier: MIT */
/*
 * vring - the driver's side of a virtqueue, split or packed (virtio 1.3, 2.7
 * and 2.8)
 *
 * The usual way: add buffers, publish, kick, then take used entries. What the
 * device writes is checked: an entry for a chain that is not under way, or
 * one that claims more bytes than the chain had room for, or comes before its
 * turn where IN_ORDER was accepted, is -EPROTO. The
 * raw way, for rings that no driver should make: all members may be read and
 * written, and the ring itself lies in guest memory: a split one at desc,
 * avail and used, a packed one at packed.desc, .driver and .device.
 *
 * Functions return 0 or -errno. Owner: one thread a vring.
 */
#ifndef FRONTEND_VRING_H
#define FRONTEND_VRING_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "tests/frontend/memory.h"
#include "tests/frontend/packed.h"

struct fe_buffer {
	uint64_t guest_addr;
	uint32_t bytes;
};

/* Buffers for the device to read, then those for it to write. */
struct fe_buffers {
	const struct fe_buffer *array;
	unsigned int nr_readable;
	unsigned int nr_writable;
	uint64_t table; /* 0, or the address of room for an indirect table */
};

/* The driver's own record of a chain under way, by its head. */
struct fe_chain {
	void *token; /* NULL: no chain of this head is under way */
	uint64_t writable_bytes;
	uint16_t nr_desc;
	uint16_t last;
	uint16_t turn; /* counts the chains that were added */
};

struct fe_vring {
	struct fe_memory *memory; /* not owned */
	uint32_t index;
	uint32_t size;
	bool is_packed, event_idx, in_order;

	uint64_t desc_addr; /* guest addresses of the three parts */
	uint64_t avail_addr;
	uint64_t used_addr;
	struct vring_desc *desc; /* a split ring in this process */
	struct vring_avail *avail;
	struct vring_used *used;
	struct fe_packed packed;

	int kick_fd; /* -1: none, here and below */
	int call_fd;
	int err_fd;

	uint16_t next_avail; /* avail->idx at the next publication */
	uint16_t published;  /* avail->idx as the device sees it */
	uint16_t next_used;  /* the first used entry not taken */
	uint16_t free_head; /* a list through own_next; of a packed ring, ids */
	uint16_t free_tail; /* its end, where IN_ORDER was accepted */
	uint16_t nr_free;   /* descriptors */
	uint16_t next_turn, used_turn; /* of the next chain added, and used */
	uint16_t *own_next;
	struct fe_chain *chains;
};

/*
 * Lay out a ring of size entries, a power of two if it is split, in a region
 * of memory, with three eventfds. features: those accepted, which also say of
 * what kind it is. deinit is harmless after failure.
 */
int fe_vring_init(struct fe_vring *vring, struct fe_memory *memory,
		  unsigned int region, uint32_t size, uint64_t features);
void fe_vring_deinit(struct fe_vring *vring);

/* An empty ring again, as after a reset; chains under way are forgotten. */
void fe_vring_reset(struct fe_vring *vring);

/*
 * Add a chain, not visible until fe_vring_publish().
 *
 * token: not NULL; comes back with the used entry.
 * Returns the head (of a packed ring, the id), or -ENOSPC.
 */
int fe_vring_add(struct fe_vring *vring, const struct fe_buffers *buffers,
		 void *token);

/*
 * Add a head as it is, without a look at what its descriptors say; to a split
 * ring.
 */
void fe_vring_add_head(struct fe_vring *vring, uint16_t head);

/* Say that the table of the indirect chain added last lies elsewhere. */
void fe_vring_move_table(struct fe_vring *vring, uint64_t table);

/*
 * Make all that was added visible with one store. Returns true when the
 * device wants a kick for it.
 */
bool fe_vring_publish(struct fe_vring *vring);

void fe_vring_kick(struct fe_vring *vring);

/* Publish, and kick where it is wanted. */
void fe_vring_submit(struct fe_vring *vring);

/*
 * Take the next used entry. Returns 1 with *token and *used_bytes set, 0 when
 * there is none, or -EPROTO.
 */
int fe_vring_take(struct fe_vring *vring, void **token, uint32_t *used_bytes);

/* True when fe_vring_take() would find something. */
bool fe_vring_has_used(const struct fe_vring *vring);

/* Ask for no notifications: this driver polls. */
void fe_vring_suppress_calls(struct fe_vring *vring);

/* Ask for a notification of the next used entry; true if one is there. */
bool fe_vring_expect_calls(struct fe_vring *vring);

/*
 * The same, but of the used entry that comes when nr_more others have come
 * before it (descriptors skipped in a packed ring count). Without EVENT_IDX
 * there is no difference.
 */
bool fe_vring_expect_calls_behind(struct fe_vring *vring, uint16_t nr_more);

/*
 * Sleep until there is a used entry, as a driver with interrupts does.
 * Returns 0, -ETIMEDOUT, or -EPIPE when the device signalled the error fd.
 */
int fe_vring_wait(struct fe_vring *vring, int timeout_msec);

/* The driver's position in the form of GET_VRING_BASE. */
uint32_t fe_vring_base(const struct fe_vring *vring);

#endif

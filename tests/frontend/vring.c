/* SPDX-License-Identifier: MIT */
/*
 * vring - the driver's side of a virtqueue, split or packed (virtio 1.3, 2.7
 * and 2.8)
 *
 * The device's bytes are read once; the free list and the record of what is
 * under way are the driver's own and never in shared memory, so that no
 * device can break the driver. Here is what both kinds have in common, and
 * all about split rings; packed ones are in packed.c.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/vring.h"
#include "tests/frontend/wire.h"

static uint16_t load16(const uint16_t *where)
{
	return le16toh(__atomic_load_n(where, __ATOMIC_ACQUIRE));
}

static void store16(uint16_t *where, uint16_t value)
{
	__atomic_store_n(where, htole16(value), __ATOMIC_RELEASE);
}

static uint16_t *used_event(const struct fe_vring *vring)
{
	return &vring->avail->ring[vring->size];
}

static uint16_t *avail_event(const struct fe_vring *vring)
{
	return (uint16_t *)&vring->used->ring[vring->size];
}

static int lay_out(struct fe_vring *vring, unsigned int region)
{
	uint64_t desc_bytes = vring->size * sizeof(struct vring_desc);
	uint64_t avail_bytes = 6 + vring->size * sizeof(uint16_t);
	uint64_t used_bytes = 6 + vring->size * sizeof(struct vring_used_elem);
	int error;

	error = fe_memory_alloc(vring->memory, region, desc_bytes, 16,
				&vring->desc_addr);
	if (!error)
		error = fe_memory_alloc(vring->memory, region, avail_bytes, 2,
					&vring->avail_addr);
	if (!error)
		error = fe_memory_alloc(vring->memory, region, used_bytes, 4,
					&vring->used_addr);
	if (error)
		return error;
	vring->desc =
		fe_memory_pointer(vring->memory, vring->desc_addr, desc_bytes);
	vring->avail = fe_memory_pointer(vring->memory, vring->avail_addr,
					 avail_bytes);
	vring->used =
		fe_memory_pointer(vring->memory, vring->used_addr, used_bytes);
	return 0;
}

int fe_vring_init(struct fe_vring *vring, struct fe_memory *memory,
		  unsigned int region, uint32_t size, uint64_t features)
{
	int error;

	*vring = (struct fe_vring){
		.memory = memory,
		.size = size,
		.is_packed = features & FE_FEATURE_PACKED,
		.event_idx = features & FE_FEATURE_EVENT_IDX,
		.in_order = features & FE_FEATURE_IN_ORDER,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
	};
	vring->own_next = calloc(size, sizeof(*vring->own_next));
	vring->chains = calloc(size, sizeof(*vring->chains));
	if (!vring->own_next || !vring->chains)
		return -ENOMEM;
	vring->kick_fd = rh_eventfd_create();
	vring->call_fd = rh_eventfd_create();
	vring->err_fd = rh_eventfd_create();
	if (vring->kick_fd < 0 || vring->call_fd < 0 || vring->err_fd < 0)
		return -EMFILE;
	error = vring->is_packed ? fe_packed_lay_out(vring, region) :
				   lay_out(vring, region);
	if (error)
		return error;
	fe_vring_reset(vring);
	return 0;
}

void fe_vring_deinit(struct fe_vring *vring)
{
	free(vring->own_next);
	free(vring->chains);
	vring->own_next = NULL;
	vring->chains = NULL;
	rh_fd_close(&vring->kick_fd);
	rh_fd_close(&vring->call_fd);
	rh_fd_close(&vring->err_fd);
}

static void clear_split(struct fe_vring *vring)
{
	memset(vring->desc, 0, vring->size * sizeof(*vring->desc));
	memset(vring->avail, 0, 6 + vring->size * sizeof(uint16_t));
	memset(vring->used, 0,
	       6 + vring->size * sizeof(struct vring_used_elem));
}

void fe_vring_reset(struct fe_vring *vring)
{
	if (vring->is_packed)
		fe_packed_reset(vring);
	else
		clear_split(vring);
	memset(vring->chains, 0, vring->size * sizeof(*vring->chains));
	for (uint32_t i = 0; i < vring->size; i++)
		vring->own_next[i] = (uint16_t)(i + 1);
	vring->free_head = 0;
	vring->free_tail = (uint16_t)(vring->size - 1);
	vring->nr_free = (uint16_t)vring->size;
	vring->next_turn = 0;
	vring->used_turn = 0;
	vring->next_avail = 0;
	vring->published = 0;
	vring->next_used = 0;
}

static struct vring_desc make_desc(const struct fe_buffer *buffer,
				   uint16_t flags, uint16_t next)
{
	return (struct vring_desc){
		.addr = htole64(buffer->guest_addr),
		.len = htole32(buffer->bytes),
		.flags = htole16(flags),
		.next = htole16(flags & VRING_DESC_F_NEXT ? next : 0),
	};
}

static uint16_t flags_of(unsigned int i, unsigned int nr_readable,
			 unsigned int nr)
{
	return (i + 1 < nr ? VRING_DESC_F_NEXT : 0) |
	       (i >= nr_readable ? VRING_DESC_F_WRITE : 0);
}

static int fill_table(struct fe_vring *vring, const struct fe_buffers *buffers,
		      unsigned int nr)
{
	struct vring_desc *desc = fe_memory_pointer(
		vring->memory, buffers->table, nr * sizeof(*desc));

	if (!desc)
		return -EFAULT;
	for (unsigned int i = 0; i < nr; i++)
		desc[i] = make_desc(&buffers->array[i],
				    flags_of(i, buffers->nr_readable, nr),
				    (uint16_t)(i + 1));
	return 0;
}

/* Returns the chain's last descriptor. */
static uint16_t fill_direct(struct fe_vring *vring,
			    const struct fe_buffers *buffers, unsigned int nr)
{
	uint16_t i = vring->free_head;
	uint16_t last = i;

	for (unsigned int k = 0; k < nr; k++) {
		vring->desc[i] =
			make_desc(&buffers->array[k],
				  flags_of(k, buffers->nr_readable, nr),
				  vring->own_next[i]);
		last = i;
		i = vring->own_next[i];
	}
	return last;
}

int fe_vring_add(struct fe_vring *vring, const struct fe_buffers *buffers,
		 void *token)
{
	unsigned int nr = buffers->nr_readable + buffers->nr_writable;
	uint16_t head = vring->free_head;
	struct fe_chain chain = {
		.token = token,
		.nr_desc = (uint16_t)(buffers->table ? 1 : nr),
		.last = head,
		.turn = vring->next_turn,
	};
	int error;

	if (vring->is_packed)
		return fe_packed_add(vring, buffers, token);
	if (!nr)
		return -EINVAL;
	if (chain.nr_desc > vring->nr_free)
		return -ENOSPC;
	for (unsigned int i = buffers->nr_readable; i < nr; i++)
		chain.writable_bytes += buffers->array[i].bytes;
	if (buffers->table) {
		error = fill_table(vring, buffers, nr);
		if (error)
			return error;
		vring->desc[head] = (struct vring_desc){
			.addr = htole64(buffers->table),
			.len = htole32(nr * (uint32_t)sizeof(*vring->desc)),
			.flags = htole16(VRING_DESC_F_INDIRECT),
		};
	} else {
		chain.last = fill_direct(vring, buffers, nr);
	}
	vring->free_head = vring->own_next[chain.last];
	vring->nr_free -= chain.nr_desc;
	vring->next_turn++;
	vring->chains[head] = chain;
	fe_vring_add_head(vring, head);
	return head;
}

void fe_vring_add_head(struct fe_vring *vring, uint16_t head)
{
	vring->avail->ring[vring->next_avail % vring->size] = htole16(head);
	vring->next_avail++;
}

void fe_vring_move_table(struct fe_vring *vring, uint64_t table)
{
	uint16_t last = vring->next_avail - 1;

	if (vring->is_packed)
		fe_packed_move_table(vring, table);
	else
		vring->desc[le16toh(vring->avail->ring[last % vring->size])]
			.addr = htole64(table);
}

bool fe_vring_publish(struct fe_vring *vring)
{
	uint16_t old = vring->published;

	if (vring->is_packed)
		return fe_packed_publish(vring);
	store16(&vring->avail->idx, vring->next_avail);
	vring->published = vring->next_avail;
	/* pairs with the device's: it asks for kicks, then looks at idx */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vring->event_idx)
		return vring_need_event(load16(avail_event(vring)),
					vring->published, old);
	return !(load16(&vring->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void fe_vring_kick(struct fe_vring *vring)
{
	if (vring->kick_fd >= 0)
		rh_eventfd_signal(vring->kick_fd);
}

void fe_vring_submit(struct fe_vring *vring)
{
	if (fe_vring_publish(vring))
		fe_vring_kick(vring);
}

bool fe_vring_has_used(const struct fe_vring *vring)
{
	if (vring->is_packed)
		return fe_packed_has_used(vring);
	return load16(&vring->used->idx) != vring->next_used;
}

/*
 * Who gets chains back in order must use descriptors in the order of the
 * table (virtio 1.3, 2.7.5): first freed, first used.
 */
static void free_chain(struct fe_vring *vring, uint16_t head,
		       const struct fe_chain *chain)
{
	if (!vring->in_order) {
		vring->own_next[chain->last] = vring->free_head;
		vring->free_head = head;
	} else if (vring->nr_free) {
		vring->own_next[vring->free_tail] = head;
	} else {
		vring->free_head = head;
	}
	vring->free_tail = chain->last;
	vring->nr_free += chain->nr_desc;
}

static int take_split(struct fe_vring *vring, void **token,
		      uint32_t *used_bytes)
{
	uint16_t nr_waiting = load16(&vring->used->idx) - vring->next_used;
	const struct vring_used_elem *elem;
	struct fe_chain *chain;
	uint32_t head;
	uint32_t bytes;

	if (!nr_waiting)
		return 0;
	if (nr_waiting > vring->size)
		return -EPROTO;
	elem = &vring->used->ring[vring->next_used % vring->size];
	head = le32toh(elem->id);
	bytes = le32toh(elem->len);
	if (head >= vring->size || !vring->chains[head].token)
		return -EPROTO;
	chain = &vring->chains[head];
	if (bytes > chain->writable_bytes ||
	    (vring->in_order && chain->turn != vring->used_turn))
		return -EPROTO;
	*token = chain->token;
	*used_bytes = bytes;
	chain->token = NULL;
	free_chain(vring, (uint16_t)head, chain);
	vring->used_turn++;
	vring->next_used++;
	return 1;
}

int fe_vring_take(struct fe_vring *vring, void **token, uint32_t *used_bytes)
{
	return vring->is_packed ? fe_packed_take(vring, token, used_bytes) :
				  take_split(vring, token, used_bytes);
}

void fe_vring_suppress_calls(struct fe_vring *vring)
{
	if (vring->is_packed)
		fe_packed_suppress_calls(vring);
	else if (vring->event_idx)
		/* as far off as can be: the device may be behind or ahead */
		store16(used_event(vring), vring->next_used - 0x8000);
	else
		store16(&vring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

bool fe_vring_expect_calls(struct fe_vring *vring)
{
	return fe_vring_expect_calls_behind(vring, 0);
}

bool fe_vring_expect_calls_behind(struct fe_vring *vring, uint16_t nr_more)
{
	if (vring->is_packed)
		return fe_packed_expect_calls(vring, nr_more);
	if (vring->event_idx)
		store16(used_event(vring), vring->next_used + nr_more);
	else
		store16(&vring->avail->flags, 0);
	/* pairs with the device's: it moves idx, then looks at our wish */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return fe_vring_has_used(vring);
}

int fe_vring_wait(struct fe_vring *vring, int timeout_msec)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	struct pollfd pollfds[] = {
		{ .fd = vring->call_fd, .events = POLLIN },
		{ .fd = vring->err_fd, .events = POLLIN },
	};
	int nr;

	while (!fe_vring_expect_calls(vring)) {
		nr = poll(pollfds, 2, fe_remaining_msec(deadline));
		if (nr < 0 && errno != EINTR)
			return -errno;
		if (nr == 0)
			return -ETIMEDOUT;
		if (nr > 0 && pollfds[0].revents)
			rh_eventfd_drain(vring->call_fd);
		else if (nr > 0 && !fe_vring_has_used(vring))
			return -EPIPE;
	}
	return 0;
}

uint32_t fe_vring_base(const struct fe_vring *vring)
{
	return vring->is_packed ? fe_packed_base(vring) : vring->published;
}

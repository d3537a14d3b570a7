/* SPDX-License-Identifier: MIT */
/*
 * ring-memory - guest memory with a split ring, and the driver's side of it
 *
 * For unit tests of whatever works on a queue. The memory is a memfd, mapped
 * once by the test, as the guest sees it, and once through an rh_map, as the
 * library does. The rings lie at its beginning; ring_alloc() hands out the
 * rest. One struct rh_queue is ready to be started on it.
 *
 *	struct ring_memory ring;
 *
 *	ring_init(&ring, 8);
 *	ring_start(&ring, RING_EVENT_IDX);
 *	ring_add(&ring, 0, buffers, ARRAY_SIZE(buffers));
 *	... rh_queue_pop(&ring.queue, &chain) and so on
 *	ring_deinit(&ring);
 */
#ifndef TESTS_UNIT_RING_MEMORY_H
#define TESTS_UNIT_RING_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/fd.h"
#include "lib/memory.h"
#include "lib/queue.h"

/* Where the guest and the front-end see the memory. */
#define RING_GUEST_BASE	   UINT64_C(0x40000000)
#define RING_FRONTEND_BASE UINT64_C(0x7e0000000000)
#define RING_MEMORY_BYTES  (UINT64_C(8) << 20)

#define RING_EVENT_IDX	   FEATURE_BIT(VIRTIO_F_RING_EVENT_IDX)

struct ring_buffer {
	uint64_t addr; /* guest address */
	uint32_t len;
	bool writable;
};

struct ring_memory {
	int fd;
	uint8_t *bytes; /* the guest's view of the first region */
	struct rh_map *map;
	uint16_t size;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint64_t next_free; /* offset, for ring_alloc() */
	uint16_t avail_idx; /* the driver's own positions */
	uint16_t used_idx;
	struct rh_queue queue;
	int wake_fd;
};

/* One region more; the caller closes *fd. guest: its address. */
static inline void ring_map_add(struct ring_memory *ring, int fd,
				uint64_t guest, uint64_t bytes)
{
	struct vhost_user_region region = {
		.guest_addr = guest,
		.size_bytes = bytes,
		.user_addr = guest - RING_GUEST_BASE + RING_FRONTEND_BASE,
	};
	struct rh_map *next;

	assert_int_equal(rh_map_add(ring->map, &region, fd, &next), 0);
	rh_map_put(ring->map);
	ring->map = next;
}

/* A new region at this guest address. Returns the guest's view of it. */
static inline uint8_t *ring_add_region(struct ring_memory *ring, uint64_t guest,
				       uint64_t bytes)
{
	int fd = rh_memfd_create("region", bytes);
	void *view;

	assert_true(fd >= 0);
	view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(view, MAP_FAILED);
	ring_map_add(ring, fd, guest, bytes);
	rh_fd_close(&fd);
	return view;
}

/* bytes of guest memory at this alignment, a power of two; all zero. */
static inline uint64_t ring_alloc(struct ring_memory *ring, uint64_t bytes,
				  uint64_t align)
{
	uint64_t offset = align_down(ring->next_free + align - 1, align);

	ring->next_free = offset + bytes;
	assert_true(ring->next_free <= RING_MEMORY_BYTES);
	return RING_GUEST_BASE + offset;
}

/* The guest's view of an address in the first region. */
static inline void *ring_at(const struct ring_memory *ring, uint64_t guest)
{
	assert_in_range(guest, RING_GUEST_BASE,
			RING_GUEST_BASE + RING_MEMORY_BYTES - 1);
	return ring->bytes + (guest - RING_GUEST_BASE);
}

/* The address at which the library has what the guest has at guest. */
static inline void *ring_host(const struct ring_memory *ring, uint64_t guest)
{
	uint64_t contiguous;

	return rh_map_guest(ring->map, (struct guest_addr){ guest }, 1,
			    &contiguous);
}

static inline struct frontend_addr
ring_frontend_addr(const struct ring_memory *ring, const void *view)
{
	uint64_t offset = (uint64_t)((const uint8_t *)view - ring->bytes);

	return (struct frontend_addr){ RING_FRONTEND_BASE + offset };
}

/* size: of the ring. The queue has all it needs, and is not started. */
static inline void ring_init_device(struct ring_memory *ring, uint16_t size,
				    bool keep_bad_chains)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = rh_memfd_create("guest", RING_MEMORY_BYTES);
	assert_true(ring->fd >= 0);
	ring->bytes = mmap(NULL, RING_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED, ring->fd, 0);
	assert_ptr_not_equal(ring->bytes, MAP_FAILED);
	assert_int_equal(rh_map_create(&ring->map), 0);
	ring_map_add(ring, ring->fd, RING_GUEST_BASE, RING_MEMORY_BYTES);

	ring->size = size;
	ring->desc = ring_at(ring, ring_alloc(ring, rh_split_desc_bytes(size),
					      VIRTQ_DESC_ALIGN));
	ring->avail = ring_at(ring, ring_alloc(ring, rh_split_avail_bytes(size),
					       VIRTQ_AVAIL_ALIGN));
	ring->used = ring_at(ring, ring_alloc(ring, rh_split_used_bytes(size),
					      VIRTQ_USED_ALIGN));

	ring->wake_fd = rh_eventfd_create();
	assert_true(ring->wake_fd >= 0);
	rh_queue_init(&ring->queue, "test", 0, ring->wake_fd, keep_bad_chains);
	ring->queue.size = size;
	ring->queue.has_addr = true;
	ring->queue.has_kick = true;
	ring->queue.enabled = true;
	ring->queue.desc_addr = ring_frontend_addr(ring, ring->desc);
	ring->queue.avail_addr = ring_frontend_addr(ring, ring->avail);
	ring->queue.used_addr = ring_frontend_addr(ring, ring->used);
}

/* For a device without RH_DEVICE_BAD_CHAINS. */
static inline void ring_init(struct ring_memory *ring, uint16_t size)
{
	ring_init_device(ring, size, false);
}

/* Start the queue as the device does; features: RING_EVENT_IDX or 0. */
static inline void ring_start(struct ring_memory *ring, uint64_t features)
{
	assert_int_equal(rh_queue_start(&ring->queue, ring->map, features), 0);
	ring->queue.state = RH_QUEUE_RUNNING;
}

/* Give the queue back and take it down, as its owner and the device do. */
static inline void ring_stop(struct ring_memory *ring)
{
	rh_queue_stopped(&ring->queue);
	assert_true(atomic_load(&ring->queue.given_back));
	rh_queue_finish(&ring->queue);
}

/* Every popped chain was pushed; stops the queue if it runs. */
static inline void ring_deinit(struct ring_memory *ring)
{
	if (ring->queue.state == RH_QUEUE_RUNNING)
		ring_stop(ring);
	rh_queue_deinit(&ring->queue);
	rh_map_put(ring->map);
	munmap(ring->bytes, RING_MEMORY_BYTES);
	rh_fd_close(&ring->fd);
	rh_fd_close(&ring->wake_fd);
}

static inline struct virtq_desc ring_desc(uint64_t addr, uint32_t len,
					  uint16_t flags, uint16_t next)
{
	return (struct virtq_desc){
		.addr = le64_make(addr),
		.len = le32_make(len),
		.flags = le16_make(flags),
		.next = le16_make(next),
	};
}

/* Fill table from entry first on with a chain of these buffers. */
static inline void ring_fill(struct virtq_desc *table, uint16_t first,
			     const struct ring_buffer *buffers, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint16_t at = (uint16_t)(first + i);
		uint16_t flags = buffers[i].writable ? VIRTQ_DESC_F_WRITE : 0;

		if (i + 1 < nr)
			flags |= VIRTQ_DESC_F_NEXT;
		table[at] = ring_desc(buffers[i].addr, buffers[i].len, flags,
				      (uint16_t)(at + 1));
	}
}

/* Put head into the available ring, without showing it yet. */
static inline void ring_queue_head(struct ring_memory *ring, uint16_t head)
{
	uint16_t slot = ring->avail_idx++ & (ring->size - 1);

	__atomic_store_n(&ring->avail->ring[slot].raw, htole16(head),
			 __ATOMIC_RELAXED);
}

/* Show the device all heads queued so far. */
static inline void ring_show(struct ring_memory *ring)
{
	__atomic_store_n(&ring->avail->idx.raw, htole16(ring->avail_idx),
			 __ATOMIC_RELEASE);
}

static inline void ring_make_available(struct ring_memory *ring, uint16_t head)
{
	ring_queue_head(ring, head);
	ring_show(ring);
}

/* A chain in the queue's own table, from descriptor first on; available. */
static inline void ring_add(struct ring_memory *ring, uint16_t first,
			    const struct ring_buffer *buffers, unsigned int nr)
{
	ring_fill(ring->desc, first, buffers, nr);
	ring_make_available(ring, first);
}

/* The same in an indirect table that the descriptor head refers to. */
static inline void ring_add_indirect(struct ring_memory *ring, uint16_t head,
				     const struct ring_buffer *buffers,
				     unsigned int nr)
{
	uint64_t table = ring_alloc(ring, nr * sizeof(struct virtq_desc), 16);

	ring_fill(ring_at(ring, table), 0, buffers, nr);
	ring->desc[head] =
		ring_desc(table, nr * (uint32_t)sizeof(struct virtq_desc),
			  VIRTQ_DESC_F_INDIRECT, 0);
	ring_make_available(ring, head);
}

/* What the driver sees in used->idx. */
static inline uint16_t ring_used_idx(const struct ring_memory *ring)
{
	return le16toh(__atomic_load_n(&ring->used->idx.raw, __ATOMIC_ACQUIRE));
}

/* The next used entry, if there is one. */
static inline bool ring_take_used(struct ring_memory *ring, uint32_t *id,
				  uint32_t *len)
{
	struct virtq_used_elem *entry;

	if (ring_used_idx(ring) == ring->used_idx)
		return false;
	entry = &ring->used->ring[ring->used_idx++ & (ring->size - 1)];
	*id = le32toh(__atomic_load_n(&entry->id.raw, __ATOMIC_RELAXED));
	*len = le32toh(__atomic_load_n(&entry->len.raw, __ATOMIC_RELAXED));
	return true;
}

/* The driver's side of the notification fields. */
static inline struct le16 *ring_used_event(const struct ring_memory *ring)
{
	return &ring->avail->ring[ring->size];
}

static inline struct le16 *ring_avail_event(const struct ring_memory *ring)
{
	return (struct le16 *)&ring->used->ring[ring->size];
}

#endif

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
 *
 * What fails in here fails the test that called it.
 */
#ifndef TESTS_UNIT_RING_MEMORY_H
#define TESTS_UNIT_RING_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/memory.h"
#include "lib/queue.h"

/* Where the guest and the front-end see the first region. */
#define RING_GUEST_BASE	   UINT64_C(0x40000000)
#define RING_FRONTEND_BASE UINT64_C(0x7e0000000000)
#define RING_MEMORY_BYTES  (UINT64_C(8) << 20)

#define RING_EVENT_IDX	   FEATURE_BIT(VIRTIO_F_RING_EVENT_IDX)

/* part of a chain; addr: a guest address */
struct ring_buffer {
	uint64_t addr;
	uint32_t len;
	bool writable;
};

struct ring_memory {
	int fd;
	int wake_fd;
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
};

/*
 * size: of the ring. The queue has all it needs, and is not started; the
 * second form is that of a device with RH_DEVICE_BAD_CHAINS.
 */
void ring_init(struct ring_memory *ring, uint16_t size);
void ring_init_keeping_bad_chains(struct ring_memory *ring, uint16_t size);

/* Every popped chain was pushed; stops the queue if it runs. */
void ring_deinit(struct ring_memory *ring);

/* Start the queue as the device does; features: RING_EVENT_IDX or 0. */
void ring_start(struct ring_memory *ring, uint64_t features);

/* Give the queue back and take it down, as its owner and the device do. */
void ring_stop(struct ring_memory *ring);

/* A new region at this guest address. Returns the guest's view of it. */
uint8_t *ring_add_region(struct ring_memory *ring, uint64_t guest,
			 uint64_t bytes);

/* bytes of guest memory at this alignment, a power of two; all zero. */
uint64_t ring_alloc(struct ring_memory *ring, uint64_t bytes, uint64_t align);

/* The guest's view of an address in the first region. */
void *ring_at(const struct ring_memory *ring, uint64_t guest);

/* Where the library has what the guest has at this address; NULL: nowhere */
void *ring_host(const struct ring_memory *ring, uint64_t guest);

struct virtq_desc ring_desc(uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next);

/* Fill table from entry first on with a chain of these buffers. */
void ring_fill(struct virtq_desc *table, uint16_t first,
	       const struct ring_buffer *buffers, unsigned int nr);

/* A chain in the queue's own table, from descriptor first on; available. */
void ring_add(struct ring_memory *ring, uint16_t first,
	      const struct ring_buffer *buffers, unsigned int nr);

/* The same in an indirect table that the descriptor head refers to. */
void ring_add_indirect(struct ring_memory *ring, uint16_t head,
		       const struct ring_buffer *buffers, unsigned int nr);

/* Put head into the available ring; it is shown with the next ring_show(). */
void ring_queue_head(struct ring_memory *ring, uint16_t head);
void ring_show(struct ring_memory *ring);

/* Both of them. */
void ring_make_available(struct ring_memory *ring, uint16_t head);

/* What the driver sees in used->idx. */
uint16_t ring_used_idx(const struct ring_memory *ring);

/* The next used entry, if there is one. */
bool ring_take_used(struct ring_memory *ring, uint32_t *id, uint32_t *len);

/* The fields behind the rings: the driver's, and the device's. */
struct le16 *ring_used_event(const struct ring_memory *ring);
struct le16 *ring_avail_event(const struct ring_memory *ring);

/* Loads and stores of the driver on fields that both sides use. */
uint16_t ring_load(const struct le16 *field);
void ring_store(struct le16 *field, uint16_t value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * packed-memory - guest memory with a packed ring, for tests of chain, queue
 *
 * A ring_memory whose queue was given the parts of a packed ring, and the
 * driver's side of that ring. The functions of ring-memory that look into a
 * split ring make no sense here.
 */
#ifndef TESTS_UNIT_PACKED_MEMORY_H
#define TESTS_UNIT_PACKED_MEMORY_H

#include <string.h>

#include "tests/unit/packed-side.h"
#include "tests/unit/ring-memory.h"

#define RING_PACKED FEATURE_BIT(VIRTIO_F_RING_PACKED)

struct packed_memory {
	struct ring_memory ring;
	struct packed_side driver;
};

static inline struct frontend_addr packed_memory_frontend(uint64_t guest)
{
	return (struct frontend_addr){ guest - RING_GUEST_BASE +
				       RING_FRONTEND_BASE };
}

static inline void packed_memory_rewind(struct packed_memory *memory)
{
	struct packed_side *driver = &memory->driver;

	memset(driver->desc, 0, rh_packed_desc_bytes(driver->size));
	memset(driver->driver_event, 0, sizeof(*driver->driver_event));
	memset(driver->device_event, 0, sizeof(*driver->device_event));
	driver->avail = (struct rh_packed_place){ 0, true };
	driver->used = (struct rh_packed_place){ 0, true };
}

/* All that ring_init() does, for a packed ring; ring_deinit() ends it. */
static inline void packed_memory_init(struct packed_memory *memory,
				      uint16_t size)
{
	struct ring_memory *ring = &memory->ring;
	uint64_t desc;
	uint64_t driver;
	uint64_t device;

	ring_init(ring, 1);
	desc = ring_alloc(ring, rh_packed_desc_bytes(size), PVIRTQ_DESC_ALIGN);
	driver = ring_alloc(ring, 4, PVIRTQ_EVENT_ALIGN);
	device = ring_alloc(ring, 4, PVIRTQ_EVENT_ALIGN);
	ring->size = size;
	ring->queue.size = size;
	ring->queue.desc_addr = packed_memory_frontend(desc);
	ring->queue.avail_addr = packed_memory_frontend(driver);
	ring->queue.used_addr = packed_memory_frontend(device);
	memory->driver = (struct packed_side){
		.desc = ring_at(ring, desc),
		.driver_event = ring_at(ring, driver),
		.device_event = ring_at(ring, device),
		.size = size,
	};
	packed_memory_rewind(memory);
}

static inline struct pvirtq_desc packed_buffer(struct ring_buffer buffer)
{
	return packed_side_desc(buffer.addr, buffer.len, 0,
				buffer.writable ? VIRTQ_DESC_F_WRITE : 0);
}

#define PACKED_MEMORY_MOST 16

/* A chain of these buffers, at most PACKED_MEMORY_MOST; available. */
static inline void packed_memory_add(struct packed_memory *memory, uint16_t id,
				     const struct ring_buffer *buffers,
				     unsigned int nr)
{
	struct pvirtq_desc desc[PACKED_MEMORY_MOST] = { 0 };

	assert_in_range(nr, 1, PACKED_MEMORY_MOST);
	for (unsigned int i = 0; i < nr; i++)
		desc[i] = packed_buffer(buffers[i]);
	packed_side_add(&memory->driver, id, desc, nr);
}

/*
 * The same in an indirect table, whose ids and other flags are spoilt: they
 * are reserved (virtio 1.3, 2.8.7).
 */
static inline void packed_memory_add_indirect(struct packed_memory *memory,
					      uint16_t id,
					      const struct ring_buffer *buffers,
					      unsigned int nr)
{
	uint32_t bytes = nr * (uint32_t)sizeof(struct pvirtq_desc);
	uint64_t addr = ring_alloc(&memory->ring, bytes, 16);
	struct pvirtq_desc *table = ring_at(&memory->ring, addr);
	struct pvirtq_desc desc =
		packed_side_desc(addr, bytes, 0, VIRTQ_DESC_F_INDIRECT);

	for (unsigned int i = 0; i < nr; i++) {
		table[i] = packed_buffer(buffers[i]);
		table[i].id = le16_make(0xffff);
		table[i].flags.raw |= htole16(OWNER_FLAGS | VIRTQ_DESC_F_NEXT);
	}
	packed_side_add(&memory->driver, id, &desc, 1);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ring-memory - guest memory with a split ring, and the driver's side of it
 *
 * The driver here works as virtio 1.3, 2.7.13 says, and keeps positions of
 * its own. Tests that misbehave write to the rings directly.
 */
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "tests/unit/ring-memory.h"

static void add_to_map(struct ring_memory *ring, int fd, uint64_t guest,
		       uint64_t bytes)
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

static uint8_t *view_of(int fd, uint64_t bytes)
{
	void *view =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(view, MAP_FAILED);
	return view;
}

uint8_t *ring_add_region(struct ring_memory *ring, uint64_t guest,
			 uint64_t bytes)
{
	int fd = rh_memfd_create("region", bytes);
	uint8_t *view;

	assert_true(fd >= 0);
	view = view_of(fd, bytes);
	add_to_map(ring, fd, guest, bytes);
	rh_fd_close(&fd);
	return view;
}

uint64_t ring_alloc(struct ring_memory *ring, uint64_t bytes, uint64_t align)
{
	uint64_t offset = align_down(ring->next_free + align - 1, align);

	ring->next_free = offset + bytes;
	assert_true(ring->next_free <= RING_MEMORY_BYTES);
	return RING_GUEST_BASE + offset;
}

void *ring_at(const struct ring_memory *ring, uint64_t guest)
{
	assert_in_range(guest, RING_GUEST_BASE,
			RING_GUEST_BASE + RING_MEMORY_BYTES - 1);
	return ring->bytes + (guest - RING_GUEST_BASE);
}

void *ring_host(const struct ring_memory *ring, uint64_t guest)
{
	uint64_t contiguous;

	return rh_map_guest(ring->map, (struct guest_addr){ guest }, 1,
			    &contiguous);
}

static struct frontend_addr frontend_addr_of(uint64_t guest)
{
	return (struct frontend_addr){ guest - RING_GUEST_BASE +
				       RING_FRONTEND_BASE };
}

static void place_rings(struct ring_memory *ring)
{
	uint64_t desc = ring_alloc(ring, rh_split_desc_bytes(ring->size),
				   VIRTQ_DESC_ALIGN);
	uint64_t avail = ring_alloc(ring, rh_split_avail_bytes(ring->size),
				    VIRTQ_AVAIL_ALIGN);
	uint64_t used = ring_alloc(ring, rh_split_used_bytes(ring->size),
				   VIRTQ_USED_ALIGN);

	ring->desc = ring_at(ring, desc);
	ring->avail = ring_at(ring, avail);
	ring->used = ring_at(ring, used);
	ring->queue.desc_addr = frontend_addr_of(desc);
	ring->queue.avail_addr = frontend_addr_of(avail);
	ring->queue.used_addr = frontend_addr_of(used);
}

static void init(struct ring_memory *ring, uint16_t size, bool keep_bad_chains)
{
	memset(ring, 0, sizeof(*ring));
	ring->size = size;
	ring->fd = rh_memfd_create("guest", RING_MEMORY_BYTES);
	assert_true(ring->fd >= 0);
	ring->bytes = view_of(ring->fd, RING_MEMORY_BYTES);
	assert_int_equal(rh_map_create(&ring->map), 0);
	add_to_map(ring, ring->fd, RING_GUEST_BASE, RING_MEMORY_BYTES);

	ring->wake_fd = rh_eventfd_create();
	assert_true(ring->wake_fd >= 0);
	rh_queue_init(&ring->queue, "test", 0, ring->wake_fd, keep_bad_chains);
	ring->queue.size = size;
	ring->queue.has_addr = true;
	ring->queue.has_kick = true;
	ring->queue.enabled = true;
	place_rings(ring);
}

void ring_init(struct ring_memory *ring, uint16_t size)
{
	init(ring, size, false);
}

void ring_init_keeping_bad_chains(struct ring_memory *ring, uint16_t size)
{
	init(ring, size, true);
}

void ring_start(struct ring_memory *ring, uint64_t features)
{
	assert_int_equal(rh_queue_start(&ring->queue, ring->map, features), 0);
	ring->queue.state = RH_QUEUE_RUNNING;
}

void ring_stop(struct ring_memory *ring)
{
	rh_queue_stopped(&ring->queue);
	assert_true(atomic_load(&ring->queue.given_back));
	rh_queue_finish(&ring->queue);
}

void ring_deinit(struct ring_memory *ring)
{
	if (ring->queue.state == RH_QUEUE_RUNNING)
		ring_stop(ring);
	rh_queue_deinit(&ring->queue);
	rh_map_put(ring->map);
	munmap(ring->bytes, RING_MEMORY_BYTES);
	rh_fd_close(&ring->fd);
	rh_fd_close(&ring->wake_fd);
}

struct virtq_desc ring_desc(uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	return (struct virtq_desc){
		.addr = le64_make(addr),
		.len = le32_make(len),
		.flags = le16_make(flags),
		.next = le16_make(next),
	};
}

void ring_fill(struct virtq_desc *table, uint16_t first,
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

void ring_add(struct ring_memory *ring, uint16_t first,
	      const struct ring_buffer *buffers, unsigned int nr)
{
	ring_fill(ring->desc, first, buffers, nr);
	ring_make_available(ring, first);
}

void ring_add_indirect(struct ring_memory *ring, uint16_t head,
		       const struct ring_buffer *buffers, unsigned int nr)
{
	uint32_t bytes = nr * (uint32_t)sizeof(struct virtq_desc);
	uint64_t table = ring_alloc(ring, bytes, sizeof(struct virtq_desc));

	ring_fill(ring_at(ring, table), 0, buffers, nr);
	ring->desc[head] = ring_desc(table, bytes, VIRTQ_DESC_F_INDIRECT, 0);
	ring_make_available(ring, head);
}

uint16_t ring_load(const struct le16 *field)
{
	return le16toh(__atomic_load_n(&field->raw, __ATOMIC_SEQ_CST));
}

void ring_store(struct le16 *field, uint16_t value)
{
	__atomic_store_n(&field->raw, htole16(value), __ATOMIC_SEQ_CST);
}

void ring_queue_head(struct ring_memory *ring, uint16_t head)
{
	uint16_t slot = ring->avail_idx++ & (ring->size - 1);

	ring_store(&ring->avail->ring[slot], head);
}

void ring_show(struct ring_memory *ring)
{
	ring_store(&ring->avail->idx, ring->avail_idx);
}

void ring_make_available(struct ring_memory *ring, uint16_t head)
{
	ring_queue_head(ring, head);
	ring_show(ring);
}

uint16_t ring_used_idx(const struct ring_memory *ring)
{
	return ring_load(&ring->used->idx);
}

bool ring_take_used(struct ring_memory *ring, uint32_t *id, uint32_t *len)
{
	struct virtq_used_elem *entry;

	if (ring_used_idx(ring) == ring->used_idx)
		return false;
	entry = &ring->used->ring[ring->used_idx++ & (ring->size - 1)];
	*id = le32toh(__atomic_load_n(&entry->id.raw, __ATOMIC_RELAXED));
	*len = le32toh(__atomic_load_n(&entry->len.raw, __ATOMIC_RELAXED));
	return true;
}

struct le16 *ring_used_event(const struct ring_memory *ring)
{
	return &ring->avail->ring[ring->size];
}

struct le16 *ring_avail_event(const struct ring_memory *ring)
{
	return (struct le16 *)&ring->used->ring[ring->size];
}

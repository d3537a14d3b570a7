/* SPDX-License-Identifier: MIT */
/*
 * guest - a driver that gives its disk the same requests again and again
 *
 * A slot's descriptors in a split ring are written once, since no device
 * changes them; those of a packed ring with each round.
 */
#include <linux/virtio_blk.h>

#include "tests/count/guest.h"

#define RING_SIZE   256
#define MAX_BUFFERS (GUEST_MAX_SEGMENTS + 2)
#define DATA_BYTES  (GUEST_MAX_SEGMENTS * GUEST_SEGMENT_BYTES)
#define UNANSWERED  0xff

/* Of a slot, in a table of its own */
static unsigned int list_buffers(const struct guest *guest, unsigned int slot,
				 struct ring_buffer *buffers)
{
	uint64_t header = guest->request[slot];
	unsigned int nr = 0;

	buffers[nr++] = (struct ring_buffer){ header, 16, false };
	for (unsigned int i = 0; i < guest->shape.nr_segments; i++)
		buffers[nr++] = (struct ring_buffer){
			guest->data[slot] + (uint64_t)i * GUEST_SEGMENT_BYTES,
			GUEST_SEGMENT_BYTES,
			!guest->shape.writes,
		};
	buffers[nr++] = (struct ring_buffer){ header + 16, 1, true };
	return nr;
}

/* First descriptor of a slot in a split ring. */
static uint16_t head_of(unsigned int slot)
{
	return (uint16_t)(slot * (RING_SIZE / GUEST_DEPTH));
}

static void fill_split(struct guest *guest, unsigned int slot)
{
	struct ring_memory *ring = &guest->memory.ring;
	struct ring_buffer buffers[MAX_BUFFERS];
	unsigned int nr = list_buffers(guest, slot, buffers);
	uint32_t bytes = nr * (uint32_t)sizeof(struct virtq_desc);
	uint64_t table;

	if (!guest->shape.is_indirect) {
		assert_in_range(nr, 1, RING_SIZE / GUEST_DEPTH);
		ring_fill(ring->desc, head_of(slot), buffers, nr);
		return;
	}
	table = ring_alloc(ring, bytes, sizeof(struct virtq_desc));
	ring_fill(ring_at(ring, table), 0, buffers, nr);
	ring->desc[head_of(slot)] =
		ring_desc(table, bytes, VIRTQ_DESC_F_INDIRECT, 0);
}

static uint32_t type_of(const struct guest_shape *shape)
{
	if (shape->flushes)
		return VIRTIO_BLK_T_FLUSH;
	return shape->writes ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
}

static void fill_slot(struct guest *guest, unsigned int slot)
{
	struct ring_memory *ring = &guest->memory.ring;
	struct virtio_blk_outhdr *header;

	guest->request[slot] = ring_alloc(ring, 32, 32);
	guest->data[slot] = ring_alloc(ring, DATA_BYTES, GUEST_SEGMENT_BYTES);
	header = ring_at(ring, guest->request[slot]);
	*header = (struct virtio_blk_outhdr){
		.type = htole32(type_of(&guest->shape)),
		.sector = htole64(slot * 8),
	};
	if (!guest->shape.is_packed)
		fill_split(guest, slot);
}

void guest_init(struct guest *guest, struct guest_shape shape)
{
	struct ring_memory *ring = &guest->memory.ring;

	*guest = (struct guest){ .shape = shape };
	if (shape.is_packed)
		packed_memory_init(&guest->memory, RING_SIZE);
	else
		ring_init(ring, RING_SIZE);
	ring_add_region(ring, 0, 4096);
	ring_add_region(ring, RING_GUEST_BASE / 2, 4096);
	for (unsigned int i = 0; i < GUEST_DEPTH; i++)
		fill_slot(guest, i);
	ring->queue.keep_bad_chains = true;
}

void guest_deinit(struct guest *guest)
{
	ring_deinit(&guest->memory.ring);
}

uint64_t guest_features(const struct guest *guest)
{
	return RING_EVENT_IDX | (guest->shape.is_packed ? RING_PACKED : 0);
}

static uint8_t *status_of(const struct guest *guest, unsigned int slot)
{
	return ring_at(&guest->memory.ring, guest->request[slot] + 16);
}

static void check_answers(struct guest *guest)
{
	for (unsigned int i = 0; i < GUEST_DEPTH; i++)
		assert_int_equal(*status_of(guest, i), VIRTIO_BLK_S_OK);
}

static void check_length(const struct guest *guest, uint32_t len)
{
	unsigned int data_bytes =
		guest->shape.nr_segments * GUEST_SEGMENT_BYTES;

	assert_int_equal(len, (guest->shape.writes ? 0 : data_bytes) + 1);
}

static unsigned int descriptors_of(const struct guest *guest)
{
	return guest->shape.is_indirect ? 1 : guest->shape.nr_segments + 2;
}

static void take_packed(struct guest *guest)
{
	struct packed_side *driver = &guest->memory.driver;
	struct pvirtq_desc used;

	while (!(driver->used.index == driver->avail.index &&
		 driver->used.wrap == driver->avail.wrap)) {
		if (!packed_side_take_used(driver, &used))
			return;
		check_length(guest, le32_get(used.len));
		packed_side_skip(driver, descriptors_of(guest));
	}
}

static bool has_all_packed(const struct guest *guest)
{
	const struct packed_side *driver = &guest->memory.driver;

	return driver->used.index == driver->avail.index &&
	       driver->used.wrap == driver->avail.wrap;
}

bool guest_is_answered(struct guest *guest)
{
	struct ring_memory *ring = &guest->memory.ring;
	uint32_t head;
	uint32_t len;

	if (guest->shape.is_packed) {
		take_packed(guest);
		if (!has_all_packed(guest))
			return false;
	} else {
		while (ring_take_used(ring, &head, &len))
			check_length(guest, len);
		if (ring->used_idx != ring->avail_idx)
			return false;
	}
	check_answers(guest);
	return true;
}

/* One event index is the other's twin: where the next notification is due. */
static bool ask_split(struct guest *guest)
{
	struct ring_memory *ring = &guest->memory.ring;
	uint16_t old = ring->avail_idx;
	uint16_t event;

	ring_store(ring_used_event(ring), ring->used_idx);
	for (unsigned int i = 0; i < GUEST_DEPTH; i++)
		ring_queue_head(ring, head_of(i));
	ring_show(ring);
	event = ring_load(ring_avail_event(ring));
	return (uint16_t)(ring->avail_idx - event - 1) <
	       (uint16_t)(ring->avail_idx - old);
}

static void add_packed(struct guest *guest, unsigned int slot)
{
	struct ring_buffer buffers[MAX_BUFFERS];
	unsigned int nr = list_buffers(guest, slot, buffers);

	if (guest->shape.is_indirect)
		packed_memory_add_indirect(&guest->memory, (uint16_t)slot,
					   buffers, nr);
	else
		packed_memory_add(&guest->memory, (uint16_t)slot, buffers, nr);
}

/* The whole ring was the guest's, so the device's place is where it was. */
static bool ask_packed(struct guest *guest)
{
	struct packed_side *driver = &guest->memory.driver;
	struct rh_packed_place place = driver->avail;
	uint16_t at = place.index | (place.wrap ? PVIRTQ_WRAP : 0);

	packed_side_store(&driver->driver_event->desc, at);
	packed_side_store(&driver->driver_event->flags, RING_EVENT_FLAGS_DESC);
	for (unsigned int i = 0; i < GUEST_DEPTH; i++)
		add_packed(guest, i);
	return packed_side_load(&driver->device_event->flags) !=
		       RING_EVENT_FLAGS_DESC ||
	       packed_side_load(&driver->device_event->desc) == at;
}

bool guest_ask(struct guest *guest)
{
	for (unsigned int i = 0; i < GUEST_DEPTH; i++)
		*status_of(guest, i) = UNANSWERED;
	return guest->shape.is_packed ? ask_packed(guest) : ask_split(guest);
}

/* SPDX-License-Identifier: MIT */
/*
 * hand-device - the device's side of a vq, one step at a time
 */
#include "tests/unit/hand-device.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1 << VRING_PACKED_DESC_F_USED)

static void add_piece(struct hand_request *request, uint64_t addr,
		      uint32_t bytes, uint16_t flags)
{
	assert_true(request->nr_pieces < HAND_MAX_PIECES);
	request->pieces[request->nr_pieces++] = (struct hand_piece){
		le64toh(addr),
		le32toh(bytes),
		le16toh(flags) & VRING_DESC_F_WRITE,
	};
}

static void walk_split(const struct vring_desc *table, uint16_t i,
		       struct hand_request *request)
{
	uint16_t flags;

	do {
		flags = le16toh(table[i].flags);
		add_piece(request, table[i].addr, table[i].len, table[i].flags);
		i = le16toh(table[i].next);
	} while (flags & VRING_DESC_F_NEXT);
}

static bool take_split(struct hand_device *device, struct hand_request *ret)
{
	const struct fe_vring *vring = &device->vq->vring;
	const struct vring_desc *desc;

	if ((uint16_t)device->avail == le16toh(vring->avail->idx))
		return false;
	ret->id = le16toh(vring->avail->ring[device->avail++ % vring->size]);
	assert_true(ret->id < vring->size);
	desc = &vring->desc[ret->id];
	if (le16toh(desc->flags) & VRING_DESC_F_INDIRECT)
		walk_split(fe_memory_pointer(vring->memory, le64toh(desc->addr),
					     le32toh(desc->len)),
			   0, ret);
	else
		walk_split(vring->desc, (uint16_t)ret->id, ret);
	return true;
}

/* In each odd round of a packed ring, counted from 1, the bits are set. */
static bool wraps(const struct fe_vring *vring, uint32_t position)
{
	return position / vring->size % 2 == 0;
}

static bool is_avail(const struct fe_vring *vring, uint32_t at)
{
	uint16_t flags = le16toh(vring->packed.desc[at % vring->size].flags);

	return (flags & (AVAIL | USED)) == (wraps(vring, at) ? AVAIL : USED);
}

static void walk_table(const struct vring_packed_desc *table, uint32_t bytes,
		       struct hand_request *request)
{
	for (uint32_t i = 0; i < bytes / sizeof(*table); i++)
		add_piece(request, table[i].addr, table[i].len, table[i].flags);
}

static bool take_packed(struct hand_device *device, struct hand_request *ret)
{
	const struct fe_vring *vring = &device->vq->vring;
	const struct vring_packed_desc *desc;
	uint16_t flags;

	if (!is_avail(vring, device->avail))
		return false;
	do {
		assert_true(is_avail(vring, device->avail));
		desc = &vring->packed.desc[device->avail++ % vring->size];
		flags = le16toh(desc->flags);
		ret->nr_entries++;
		if (flags & VRING_DESC_F_INDIRECT)
			walk_table(fe_memory_pointer(vring->memory,
						     le64toh(desc->addr),
						     le32toh(desc->len)),
				   le32toh(desc->len), ret);
		else
			add_piece(ret, desc->addr, desc->len, desc->flags);
	} while (flags & VRING_DESC_F_NEXT);
	ret->id = le16toh(desc->id); /* the last one's counts */
	return true;
}

bool hand_take(struct hand_device *device, struct hand_request *ret)
{
	memset(ret, 0, sizeof(*ret));
	return device->vq->vring.is_packed ? take_packed(device, ret) :
					     take_split(device, ret);
}

void hand_use(struct hand_device *device, uint32_t id, uint32_t bytes)
{
	struct fe_vring *vring = &device->vq->vring;
	uint32_t at = device->used;

	if (!vring->is_packed) {
		vring->used->ring[at % vring->size] = (struct vring_used_elem){
			.id = htole32(id),
			.len = htole32(bytes),
		};
		vring->used->idx = htole16((uint16_t)++device->used);
		return;
	}
	vring->packed.desc[at % vring->size].id = htole16((uint16_t)id);
	vring->packed.desc[at % vring->size].len = htole32(bytes);
	vring->packed.desc[at % vring->size].flags = htole16(
		VRING_DESC_F_WRITE | (wraps(vring, at) ? AVAIL | USED : 0));
	device->used += device->vq->nr_pieces;
}

void *hand_pointer(const struct hand_device *device,
		   const struct hand_piece *piece)
{
	return fe_memory_pointer(device->vq->vring.memory, piece->addr,
				 piece->bytes);
}

void hand_complete(struct hand_device *device,
		   const struct hand_request *request, uint8_t status)
{
	uint32_t bytes = 0;

	for (unsigned int i = 0; i < request->nr_pieces; i++)
		if (request->pieces[i].writable)
			bytes += request->pieces[i].bytes;
	*(uint8_t *)hand_pointer(
		device, &request->pieces[request->nr_pieces - 1]) = status;
	hand_use(device, request->id, bytes);
}

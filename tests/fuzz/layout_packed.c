/* SPDX-License-Identifier: MIT */
/* layout_packed - a packed ring as a driver has it, or should not */
#include <string.h>

#include "common/base.h"
#include "tests/fuzz/layouts.h"

#define OWNER_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

static uint16_t choose_size(uint8_t choice)
{
	static const uint16_t sizes[] = { 8, 1, 2, 3, 5, 13, 16, 32 };

	return sizes[choice % ARRAY_SIZE(sizes)];
}

static void put_u16(struct fuzz_world *w, uint64_t addr, uint16_t value)
{
	const struct le16 raw = le16_make(value);

	guest_write(&w->guest, addr, &raw, sizeof(raw));
}

static void put_desc(struct fuzz_world *w, uint64_t table, uint16_t i,
		     struct pvirtq_desc desc)
{
	guest_write(&w->guest, table + i * sizeof(desc), &desc, sizeof(desc));
}

static void advance(const struct fuzz_world *w, uint16_t *index, bool *wrap,
		    unsigned int nr)
{
	while (nr--) {
		if (++*index == w->size) {
			*index = 0;
			*wrap = !*wrap;
		}
	}
}

/* A ring that is new, or was in use, or has been moved on by somebody else */
static uint32_t start(struct fuzz_world *w)
{
	uint8_t where = w->is_kept ? 0 : fuzz_u8(&w->in);

	w->is_honest &= w->is_kept || !w->is_used;
	if (where & 1) {
		w->next_used = fuzz_u8(&w->in) % w->size;
		w->used_wrap = where & 2;
	} else if (!w->is_used) {
		w->next_used = 0;
		w->used_wrap = true;
	}
	w->is_used = true;
	if (!w->is_kept) {
		w->next_avail = w->next_used;
		w->avail_wrap = w->used_wrap;
	}
	if (where & 4)
		advance(w, &w->next_avail, &w->avail_wrap,
			(where >> 4) % w->size);
	if (!(w->next_used | (w->used_wrap ? PVIRTQ_WRAP : 0))) {
		w->next_used = w->next_avail;
		w->used_wrap = w->avail_wrap;
	}
	return w->next_avail | (w->avail_wrap ? PVIRTQ_WRAP : 0u) |
	       (uint32_t)(w->next_used | (w->used_wrap ? PVIRTQ_WRAP : 0))
		       << 16;
}

static struct pvirtq_desc desc_of(struct world_buffer buffer, uint16_t id,
				  unsigned int flags)
{
	if (buffer.is_writable)
		flags |= VIRTQ_DESC_F_WRITE;
	return (struct pvirtq_desc){
		.addr = le64_make(buffer.addr),
		.len = le32_make(buffer.len),
		.id = le16_make(id),
		.flags = le16_make((uint16_t)flags),
	};
}

static uint16_t next_id(struct fuzz_world *w)
{
	return w->next_desc++ % w->size;
}

/* What does not fit overwrites what the driver has just written. */
static void put_chain(struct fuzz_world *w, const struct world_buffer *list,
		      unsigned int nr, unsigned int flags)
{
	uint16_t id = next_id(w);

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int owner =
			w->avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
		unsigned int next = i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0;

		put_desc(w, WORLD_DESC, w->next_avail,
			 desc_of(list[i], id, owner | next | flags));
		advance(w, &w->next_avail, &w->avail_wrap, 1);
	}
}

static void add(struct fuzz_world *w, const struct world_buffer *list,
		unsigned int nr, bool is_shown)
{
	uint16_t first = w->next_avail;

	put_chain(w, list, nr, 0);
	if (!is_shown)
		put_u16(w, WORLD_DESC + first * 16u + 14, 0);
}

static void add_indirect(struct fuzz_world *w, const struct world_buffer *list,
			 unsigned int nr)
{
	uint8_t where = fuzz_u8(&w->in);
	uint64_t table = where & 1 ? WORLD_TABLES + (where >> 1) * 16u :
				     GUEST_SECOND - (where >> 1);
	const struct world_buffer whole = { table, nr * 16, false };

	for (uint16_t i = 0; i < nr; i++)
		put_desc(w, table, i, desc_of(list[i], 0xffff, where & 0x11));
	put_chain(w, &whole, 1, VIRTQ_DESC_F_INDIRECT);
}

/* Flags as they come, of one descriptor ahead of the device or anywhere */
static void spoil_desc(struct fuzz_world *w, uint8_t how)
{
	struct fuzz_input *in = &w->in;
	uint16_t i =
		(how & 8 ? w->next_used + fuzz_u8(in) : fuzz_u8(in)) % w->size;
	uint64_t desc = WORLD_DESC + i * 16u;
	uint8_t flags = fuzz_u8(in);

	if (how & 16)
		put_u16(w, desc + 8, fuzz_u16(in));
	if (how & 32)
		put_u16(w, desc + 12, fuzz_u8(in));
	put_u16(w, desc + 14,
		(flags & 7) | (flags & 8 ? VIRTQ_DESC_F_AVAIL : 0) |
			(flags & 16 ? VIRTQ_DESC_F_USED : 0));
}

static void spoil(struct fuzz_world *w)
{
	struct fuzz_input *in = &w->in;
	uint8_t how = fuzz_u8(in);

	switch (how % 8) {
	case 0:
		put_u16(w, WORLD_DRIVER, fuzz_u16(in));
		break;
	case 1:
		put_u16(w, WORLD_DRIVER,
			(w->next_used + how / 8) |
				(how & 64 ? PVIRTQ_WRAP : 0));
		put_u16(w, WORLD_DRIVER + 2, RING_EVENT_FLAGS_DESC);
		break;
	case 2:
		put_u16(w, WORLD_DRIVER + 2, how / 8);
		break;
	case 3:
		put_u16(w, WORLD_DEVICE + how / 64 * 2u, fuzz_u16(in));
		break;
	case 4:
		advance(w, &w->next_avail, &w->avail_wrap, how / 8);
		break;
	case 5:
		w->next_desc = fuzz_u16(in); /* an id again */
		break;
	default:
		spoil_desc(w, how);
	}
}

static void open_ring(struct fuzz_world *w)
{
	guest_open(&w->guest, WORLD_DESC, w->size * 16u);
	guest_open(&w->guest, WORLD_DEVICE, 4);
}

static void check_one(const struct fuzz_world *w, const struct disk_used *used)
{
	struct pvirtq_desc desc;
	uint16_t flags = (w->used_wrap ? OWNER_FLAGS : 0) |
			 (used->bytes ? VIRTQ_DESC_F_WRITE : 0);

	memcpy(&desc, guest_at(&w->guest, WORLD_DESC + w->next_used * 16u, 16),
	       sizeof(desc));
	FUZZ_CHECK(le16_get(desc.id) == used->head);
	FUZZ_CHECK(le32_get(desc.len) == used->bytes);
	FUZZ_CHECK(le16_get(desc.flags) == flags);
}

static void check_used(struct fuzz_world *w, const struct disk_used *used,
		       unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		FUZZ_CHECK(used[i].nr_desc && used[i].nr_desc <= w->size);
		if (world_ring_is_ours(w))
			check_one(w, &used[i]);
		advance(w, &w->next_used, &w->used_wrap, used[i].nr_desc);
	}
}

const struct world_layout layout_packed = {
	.features = FEATURE_BIT(VIRTIO_F_RING_PACKED),
	.size = choose_size,
	.start = start,
	.add = add,
	.add_indirect = add_indirect,
	.spoil = spoil,
	.open = open_ring,
	.check_used = check_used,
};

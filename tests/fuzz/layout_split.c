/* SPDX-License-Identifier: MIT */
/* layout_split - a split ring as a driver has it, or should not */
#include <string.h>

#include "common/base.h"
#include "tests/fuzz/layouts.h"

#define AVAIL_RING 4 /* flags and idx come before it */
#define USED_RING  4

static uint16_t choose_size(uint8_t choice)
{
	return (uint16_t)(1u << choice % 6);
}

static void put_u16(struct fuzz_world *w, uint64_t addr, uint16_t value)
{
	const struct le16 raw = le16_make(value);

	guest_write(&w->guest, addr, &raw, sizeof(raw));
}

static uint16_t get_u16(struct fuzz_world *w, uint64_t addr)
{
	struct le16 raw;

	memcpy(&raw, guest_at(&w->guest, addr, sizeof(raw)), sizeof(raw));
	return le16_get(raw);
}

static uint32_t get_u32(struct fuzz_world *w, uint64_t addr)
{
	return get_u16(w, addr) | (uint32_t)get_u16(w, addr + 2) << 16;
}

/* Where the driver is, mostly; now and then far from it */
static uint32_t start(struct fuzz_world *w)
{
	uint8_t where = w->is_kept ? 0 : fuzz_u8(&w->in);

	w->is_honest &= w->is_kept || !w->is_used;
	w->is_used = true;
	if (where & 1) {
		put_u16(w, WORLD_DEVICE + 2, fuzz_u16(&w->in));
		put_u16(w, WORLD_DRIVER + 2,
			get_u16(w, WORLD_DEVICE + 2) + (where >> 4));
	}
	w->next_used = get_u16(w, WORLD_DEVICE + 2);
	w->next_avail = get_u16(w, WORLD_DRIVER + 2);
	if (!w->is_kept)
		w->next_desc = 0;
	return (uint16_t)(where & 2 ? w->next_avail :
			  where & 4 ? w->next_used + (where >> 4) :
				      w->next_used);
}

static void put_desc(struct fuzz_world *w, uint64_t table, uint16_t i,
		     struct virtq_desc desc)
{
	guest_write(&w->guest, table + i * sizeof(desc), &desc, sizeof(desc));
}

static struct virtq_desc desc_of(struct world_buffer buffer, uint16_t flags,
				 uint16_t next)
{
	return (struct virtq_desc){
		.addr = le64_make(buffer.addr),
		.len = le32_make(buffer.len),
		.flags = le16_make(
			flags | (buffer.is_writable ? VIRTQ_DESC_F_WRITE : 0)),
		.next = le16_make(next),
	};
}

/* In a ring that is too small the end of the chain wraps onto its begin. */
static void put_chain(struct fuzz_world *w, uint64_t table, uint16_t first,
		      const struct world_buffer *list, unsigned int nr)
{
	uint16_t mask = table == WORLD_DESC ? w->size - 1 : 0xffff;

	for (unsigned int i = 0; i < nr; i++)
		put_desc(w, table, (uint16_t)(first + i) & mask,
			 desc_of(list[i], i + 1 < nr ? VIRTQ_DESC_F_NEXT : 0,
				 (uint16_t)(first + i + 1) & mask));
}

static void show(struct fuzz_world *w)
{
	put_u16(w, WORLD_DRIVER + 2, w->next_avail);
}

static void make_available(struct fuzz_world *w, uint16_t head)
{
	put_u16(w,
		WORLD_DRIVER + AVAIL_RING + (w->next_avail & (w->size - 1)) * 2,
		head);
	w->next_avail++;
}

static uint16_t take_descs(struct fuzz_world *w, unsigned int nr)
{
	uint16_t first = w->next_desc & (w->size - 1);

	w->next_desc += (uint16_t)nr;
	return first;
}

static void add(struct fuzz_world *w, const struct world_buffer *list,
		unsigned int nr, bool is_shown)
{
	uint16_t first = take_descs(w, nr);

	put_chain(w, WORLD_DESC, first, list, nr);
	make_available(w, first);
	if (is_shown)
		show(w);
}

/* The table lies at one of a few places, or across the end of a region. */
static void add_indirect(struct fuzz_world *w, const struct world_buffer *list,
			 unsigned int nr)
{
	uint8_t where = fuzz_u8(&w->in);
	uint64_t table = where & 1 ? WORLD_TABLES + (where >> 1) * 16u :
				     GUEST_SECOND - (where >> 1);
	const struct world_buffer whole = { table, nr * 16, false };
	uint16_t head = take_descs(w, 1);

	put_chain(w, table, 0, list, nr);
	put_desc(w, WORLD_DESC, head, desc_of(whole, VIRTQ_DESC_F_INDIRECT, 0));
	make_available(w, head);
	show(w);
}

static void spoil_desc(struct fuzz_world *w)
{
	struct fuzz_input *in = &w->in;
	uint16_t i = fuzz_u8(in) & (w->size - 1);
	uint64_t table = WORLD_DESC;
	uint8_t how = fuzz_u8(in);

	if (how & 8)
		table = WORLD_TABLES;
	if (how & 1)
		put_u16(w, table + i * 16u + 12, fuzz_u8(in) & 7);
	if (how & 2)
		put_u16(w, table + i * 16u + 14, fuzz_u8(in));
	if (how & 4)
		put_u16(w, table + i * 16u + 8, fuzz_u16(in));
}

static void spoil(struct fuzz_world *w)
{
	struct fuzz_input *in = &w->in;
	uint8_t how = fuzz_u8(in);

	switch (how % 8) {
	case 0: /* a head again, or one that is none */
		make_available(w, fuzz_u8(in));
		show(w);
		break;
	case 1:
		put_u16(w, WORLD_DRIVER + 2, w->next_avail + fuzz_u16(in));
		break;
	case 2:
		put_u16(w, WORLD_DRIVER, how / 8);
		break;
	case 3: /* used_event */
		put_u16(w, WORLD_DRIVER + AVAIL_RING + w->size * 2u,
			w->next_used + how / 8);
		break;
	case 4:
		put_u16(w, WORLD_DEVICE + how / 8 * 2u, fuzz_u16(in));
		break;
	case 5:
		show(w);
		break;
	default:
		spoil_desc(w);
	}
}

static void open_ring(struct fuzz_world *w)
{
	guest_open(&w->guest, WORLD_DEVICE, USED_RING + w->size * 8u + 2);
}

/* Of more than the ring has only the last ones are there to be seen. */
static void check_used(struct fuzz_world *w, const struct disk_used *used,
		       unsigned int nr)
{
	unsigned int first = nr > w->size ? nr - w->size : 0;

	if (!world_ring_is_ours(w))
		first = nr;
	else if (nr)
		FUZZ_CHECK(get_u16(w, WORLD_DEVICE + 2) ==
			   (uint16_t)(w->next_used + nr));
	for (unsigned int i = first; i < nr; i++) {
		uint16_t slot = (uint16_t)(w->next_used + i) & (w->size - 1);
		uint64_t entry = WORLD_DEVICE + USED_RING + slot * 8u;

		FUZZ_CHECK(get_u32(w, entry) == used[i].head);
		FUZZ_CHECK(get_u32(w, entry + 4) == used[i].bytes);
	}
	w->next_used += (uint16_t)nr;
}

const struct world_layout layout_split = {
	.size = choose_size,
	.start = start,
	.add = add,
	.add_indirect = add_indirect,
	.spoil = spoil,
	.open = open_ring,
	.check_used = check_used,
};

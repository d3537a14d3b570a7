/* SPDX-License-Identifier: MIT */
/*
 * request - a request of the guest, in a form that the input chooses
 *
 * Most of what it makes is nearly sound: a fuzzer that had to find a header,
 * three descriptors and a status by chance would not get far.
 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "common/base.h"
#include "common/endian.h"
#include "tests/fuzz/world.h"

#define NR_HEADERS 64

/* Bits of the byte that shapes a request */
#define SHAPE_PIECES	   0x03
#define SHAPE_IN	   0x04 /* the data is written by the device */
#define SHAPE_CUT_HEADER   0x08
#define SHAPE_JOINT_STATUS 0x10 /* no buffer of its own */
#define SHAPE_INDIRECT	   0x20
#define SHAPE_ODD	   0x40 /* one more buffer, anywhere */
#define SHAPE_HIDDEN	   0x80 /* shown with the next one */

struct list {
	unsigned int nr;
	struct world_buffer buffers[WORLD_MAX_BUFFERS];
};

struct header {
	struct le32 type;
	struct le32 ioprio;
	struct le64 sector;
};

struct segment {
	struct le64 sector;
	struct le32 nr_sectors;
	struct le32 flags;
};

static const uint32_t types[] = {
	VIRTIO_BLK_T_IN,
	VIRTIO_BLK_T_OUT,
	VIRTIO_BLK_T_FLUSH,
	VIRTIO_BLK_T_GET_ID,
	VIRTIO_BLK_T_DISCARD,
	VIRTIO_BLK_T_WRITE_ZEROES,
	14, /* secure erase */
	VIRTIO_BLK_T_IN | 0x80000000u,
	VIRTIO_BLK_T_OUT | 0x80000000u,
	2,
	3,
	6,
	0xffffffffu,
};

static const uint32_t lengths[] = {
	512,  1024, 4096, 1,	 0,	     15,	 16,	     17,
	32,   20,   511,  513,	 2048,	     8192,	 0x10000,    0x1800,
	1536, 3072, 21,	  0x480, 0xffffffff, 0x80000000, 0x7fffffff, 2,
};

static void append(struct list *list, uint64_t addr, uint32_t len,
		   bool is_writable)
{
	if (list->nr == WORLD_MAX_BUFFERS)
		return;
	list->buffers[list->nr++] = (struct world_buffer){
		.addr = addr,
		.len = len,
		.is_writable = is_writable,
	};
}

static uint64_t pick_addr(struct fuzz_input *in, uint8_t where)
{
	switch (where) {
	default:
		return WORLD_DATA + (uint64_t)fuzz_u8(in) * 32;
	case 4:
		return GUEST_SECOND - 1 - fuzz_u8(in);
	case 5:
		return GUEST_SECOND + GUEST_SECOND_BYTES - fuzz_u8(in);
	case 6:
		return GUEST_THIRD + GUEST_THIRD_BYTES - 4u * fuzz_u8(in);
	case 7:
		return GUEST_BASE + fuzz_u16(in);
	case 8:
		return UINT64_MAX - fuzz_u8(in);
	case 9:
		return fuzz_u64(in);
	}
}

static void add_piece(struct list *list, struct fuzz_input *in, bool is_in)
{
	uint8_t choice = fuzz_u8(in);
	uint32_t len = lengths[choice % ARRAY_SIZE(lengths)];
	uint64_t addr = pick_addr(in, choice / ARRAY_SIZE(lengths));

	append(list, addr, len, is_in);
}

static uint64_t pick_sector(const struct fuzz_world *world,
			    struct fuzz_input *in)
{
	const uint64_t end = world->disk.model.size_bytes / 512;
	uint8_t choice = fuzz_u8(in);

	switch (choice) {
	default:
		return choice;
	case 0xf8:
		return end - 1;
	case 0xf9:
		return end;
	case 0xfa:
		return end + 1;
	case 0xfb:
		return UINT64_MAX;
	case 0xfc:
		return UINT64_C(1) << 55;
	case 0xfd:
		return UINT64_MAX / 512;
	case 0xfe:
		return fuzz_u64(in);
	}
}

static uint32_t pick_count(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);

	switch (choice) {
	default:
		return choice;
	case 0xfd:
		return 0xffffffff;
	case 0xfe:
		return 0x800001;
	case 0xff:
		return fuzz_u32(in);
	}
}

/* A discard's or a write-zeroes' segments, in a piece of data */
static void add_segments(struct fuzz_world *world, struct list *list)
{
	struct fuzz_input *in = &world->in;
	uint8_t choice = fuzz_u8(in);
	unsigned int nr = choice % 4 == 3 ? choice / 4 : choice % 4;
	uint64_t addr = WORLD_DATA + (uint64_t)fuzz_u8(in) * 16;

	for (unsigned int i = 0; i < nr; i++) {
		struct segment segment = {
			.sector = le64_make(pick_sector(world, in)),
			.nr_sectors = le32_make(pick_count(in)),
			.flags = le32_make(fuzz_u8(in) % 8 / 3),
		};

		guest_write(&world->guest, addr + i * sizeof(segment), &segment,
			    sizeof(segment));
	}
	append(list, addr, nr * (uint32_t)sizeof(struct segment), false);
}

static uint64_t write_header(struct fuzz_world *world, uint32_t type)
{
	uint64_t addr = WORLD_HEADERS +
			world->nr_requests % NR_HEADERS * sizeof(struct header);
	struct header header = {
		.type = le32_make(type),
		.sector = le64_make(pick_sector(world, &world->in)),
	};

	guest_write(&world->guest, addr, &header, sizeof(header));
	return addr;
}

static void add_header(struct fuzz_world *world, struct list *list,
		       uint32_t type, bool is_cut)
{
	uint64_t addr = write_header(world, type);
	uint32_t left = sizeof(struct header);

	for (int i = 0; is_cut && i < 3; i++) {
		uint32_t bytes = fuzz_u8(&world->in) % 8;

		bytes = MIN(bytes, left);
		append(list, addr, bytes, false);
		addr += bytes;
		left -= bytes;
	}
	append(list, addr, left, false);
}

static void add_data(struct fuzz_world *world, struct list *list, uint32_t type,
		     uint8_t shape)
{
	if (type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES)
		add_segments(world, list);
	for (int i = shape & SHAPE_PIECES; i > 0; i--)
		add_piece(list, &world->in, shape & SHAPE_IN);
}

/* Many small ones, of which none is like the other */
static void add_many(struct list *list, struct fuzz_input *in)
{
	unsigned int nr = fuzz_u8(in) % WORLD_MAX_BUFFERS;
	uint8_t first = fuzz_u8(in);

	for (unsigned int i = 0; i < nr; i++)
		append(list, WORLD_DATA + (first + i * 37) % 0x2000,
		       1 + i % 3 * 511, first & 1);
}

void world_request(struct fuzz_world *world)
{
	struct fuzz_input *in = &world->in;
	struct list list = { 0 };
	uint8_t shape = fuzz_u8(in);
	uint8_t choice = fuzz_u8(in);
	uint32_t type = choice < ARRAY_SIZE(types) * 4 ?
				types[choice % ARRAY_SIZE(types)] :
				choice;
	uint64_t status = WORLD_STATUS + world->nr_requests % NR_HEADERS;

	add_header(world, &list, type, shape & SHAPE_CUT_HEADER);
	add_data(world, &list, type, shape);
	if (shape & SHAPE_ODD) {
		uint8_t odd = fuzz_u8(in);

		if (odd & 2)
			add_many(&list, in);
		else
			add_piece(&list, in, odd & 1);
	}
	guest_write(&world->guest, status, "\xee", 1);
	if (!(shape & SHAPE_JOINT_STATUS))
		append(&list, status, 1, true);
	world->nr_requests++;
	if (shape & SHAPE_INDIRECT)
		world->layout->add_indirect(world, list.buffers, list.nr);
	else
		world->layout->add(world, list.buffers, list.nr,
				   !(shape & SHAPE_HIDDEN));
}

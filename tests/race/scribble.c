/* SPDX-License-Identifier: MIT */
/*
 * scribble - a guest's second CPU, which rewrites what the first has written
 *
 * Layouts and numbers are written down anew, as a guest has them. An
 * address is a multiple of 16 from base, at most 63 pages into the data, and a
 * length 64 KiB at most or 8 MiB at least, which is what makes any address and
 * any length a pair that keeps the promise.
 */
#include <endian.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include "common/base.h"
#include "tests/race/scribble.h"

#define PAGE_BYTES   4096
#define NR_PAGES     64
#define HEADER_BYTES 32 /* with the status at 16 */
#define SEGMENTS     (SCRIBBLE_HEADERS + 4096)
#define FAR	     UINT64_C(0x7000000000000000)
#define DESC_AVAIL   (1 << 7)
#define DESC_USED    (1 << 15)

uint64_t scribble_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool one_in(uint64_t *state, unsigned int n)
{
	return scribble_random(state) % n == 0;
}

/* Of what would break the ring: it is to run now and then. */
static bool breaks(const struct scribble *scribble, uint64_t *state,
		   unsigned int n)
{
	return one_in(state, n * scribble->rarity);
}

static unsigned int below(uint64_t *state, unsigned int n)
{
	return (unsigned int)(scribble_random(state) >> 8) % n;
}

static void store16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELAXED);
}

static void store32(uint8_t *at, uint32_t value)
{
	__atomic_store_n((uint32_t *)at, htole32(value), __ATOMIC_RELAXED);
}

static void store64(uint8_t *at, uint64_t value)
{
	__atomic_store_n((uint64_t *)at, htole64(value), __ATOMIC_RELAXED);
}

static uint64_t header_of(const struct scribble *scribble, unsigned int i)
{
	return scribble->base + SCRIBBLE_HEADERS + (uint64_t)i * HEADER_BYTES;
}

static uint64_t table_of(const struct scribble *scribble, unsigned int i)
{
	return scribble->base + SCRIBBLE_TABLES +
	       (uint64_t)i * SCRIBBLE_DESCS * 16;
}

static uint8_t *at(const struct scribble *scribble, uint64_t guest)
{
	return scribble->memory + (guest - scribble->base);
}

static uint64_t any_page(const struct scribble *scribble, uint64_t *state)
{
	return scribble->base + SCRIBBLE_DATA +
	       (uint64_t)below(state, NR_PAGES) * PAGE_BYTES;
}

static uint64_t odd_address(const struct scribble *scribble, uint64_t *state)
{
	switch (below(state, 6)) {
	case 0:
		return 0;
	case 1:
		return ~UINT64_C(0) - 15;
	case 2:
		return FAR;
	case 3:
		return scribble->base; /* where the rings are */
	case 4:
		return table_of(scribble, below(state, scribble->nr_chains));
	default:
		return scribble->base + SEGMENTS;
	}
}

static uint64_t address_for(const struct scribble *scribble, unsigned int role,
			    uint64_t *state)
{
	unsigned int i = below(state, scribble->nr_chains);

	if (one_in(state, 8))
		return odd_address(scribble, state);
	if (role == 0)
		return header_of(scribble, i);
	if (role == SCRIBBLE_DESCS - 1)
		return header_of(scribble, i) + 16;
	return any_page(scribble, state);
}

static uint32_t length_for(unsigned int role, uint64_t *state)
{
	static const uint32_t data[] = { 512, 4096, 16384, 65536 };
	static const uint32_t odd[] = {
		0, 1, 15, 17, 64, 65536, 8 << 20, 0x7fffffff, 0xfffffff0,
	};

	if (one_in(state, 8))
		return odd[below(state, ARRAY_SIZE(odd))];
	if (role == 0)
		return 16;
	if (role == SCRIBBLE_DESCS - 1)
		return 1;
	return data[below(state, ARRAY_SIZE(data))];
}

static uint16_t flags_for(const struct scribble *scribble, unsigned int role,
			  uint64_t *state)
{
	uint16_t flags = role == SCRIBBLE_DESCS - 1 ? 0 : VRING_DESC_F_NEXT;

	if (role == SCRIBBLE_DESCS - 1 || (role && one_in(state, 2)))
		flags |= VRING_DESC_F_WRITE;
	if (breaks(scribble, state, 16))
		flags ^= 1 << below(state, 3);
	return flags;
}

static uint32_t any_type(uint64_t *state)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID,
		VIRTIO_BLK_T_DISCARD,
		VIRTIO_BLK_T_WRITE_ZEROES,
		0xffff,
	};

	return types[below(state, ARRAY_SIZE(types))];
}

static uint64_t any_sector(uint64_t *state)
{
	static const uint64_t odd[] = {
		UINT64_MAX,
		UINT64_MAX / 512,
		UINT64_C(1) << 55,
		1 << 30,
	};

	if (one_in(state, 8))
		return odd[below(state, ARRAY_SIZE(odd))];
	return below(state, SCRIBBLE_SECTORS);
}

static void scribble_header(const struct scribble *scribble, uint64_t *state)
{
	unsigned int i = below(state, scribble->nr_chains);
	uint8_t *header = at(scribble, header_of(scribble, i));

	if (one_in(state, 2))
		store32(header, any_type(state));
	else
		store64(header + 8, any_sector(state));
}

static void scribble_segment(const struct scribble *scribble, uint64_t *state)
{
	static const uint32_t odd[] = { 0, 0xffffffff, 1 << 23 };
	uint8_t *segment =
		scribble->memory + SEGMENTS + below(state, 64) * (size_t)16;

	switch (below(state, 3)) {
	case 0:
		store64(segment, any_sector(state));
		break;
	case 1:
		store32(segment + 8,
			one_in(state, 4) ? odd[below(state, ARRAY_SIZE(odd))] :
					   below(state, 64));
		break;
	default:
		store32(segment + 12, one_in(state, 4) ? below(state, 4) : 0);
		break;
	}
}

static uint16_t any_next(const struct scribble *scribble, unsigned int entry,
			 uint64_t *state)
{
	if (breaks(scribble, state, 16))
		return (uint16_t)below(state, 65536);
	if (breaks(scribble, state, 8))
		return (uint16_t)below(state, scribble->size);
	if (scribble->is_indirect)
		return (uint16_t)(entry % SCRIBBLE_DESCS + 1);
	return (uint16_t)(entry + 1);
}

/* Entry of a split table, or of one's own; role: entry % SCRIBBLE_DESCS */
static void scribble_desc(const struct scribble *scribble, uint8_t *table,
			  unsigned int entry, uint64_t *state)
{
	unsigned int role = entry % SCRIBBLE_DESCS;
	uint8_t *desc = table + (size_t)entry * 16;
	uint16_t old = le16toh(
		__atomic_load_n((uint16_t *)(desc + 14), __ATOMIC_RELAXED));

	switch (below(state, 4)) {
	case 0:
		store64(desc, address_for(scribble, role, state));
		break;
	case 1:
		store32(desc + 8, length_for(role, state));
		break;
	case 2:
		/* virtio 1.3, 2.8.13: id, then flags, which say whose it is */
		if (scribble->is_packed)
			store16(desc + 14,
				(old & (DESC_AVAIL | DESC_USED)) |
					flags_for(scribble, role, state));
		else
			store16(desc + 12, flags_for(scribble, role, state));
		break;
	default:
		if (!scribble->is_packed)
			store16(desc + 14, any_next(scribble, entry, state));
		else if (breaks(scribble, state, 16))
			store16(desc + 14, (uint16_t)below(state, 65536));
		else if (breaks(scribble, state, 1))
			store16(desc + 12,
				(uint16_t)below(state, scribble->size + 1));
		break;
	}
}

/* The descriptor of a table */
static void scribble_reference(const struct scribble *scribble, uint64_t *state)
{
	static const uint32_t odd[] = { 0, 16, 17, 48, 1024, 8 << 20 };
	uint8_t *desc =
		scribble->desc + (size_t)below(state, scribble->size) * 16;
	unsigned int i = below(state, scribble->nr_chains);

	if (one_in(state, 2))
		store64(desc, breaks(scribble, state, 8) ?
				      odd_address(scribble, state) :
				      table_of(scribble, i));
	else
		store32(desc + 8, breaks(scribble, state, 4) ?
					  odd[below(state, ARRAY_SIZE(odd))] :
					  SCRIBBLE_DESCS * 16);
}

static void scribble_driver(const struct scribble *scribble, uint64_t *state)
{
	uint8_t *ring = scribble->driver + 4;
	unsigned int size = scribble->size;

	if (scribble->is_packed) {
		store16(scribble->driver, (uint16_t)below(state, 65536));
		store16(scribble->driver + 2, (uint16_t)below(state, 4));
		return;
	}
	if (one_in(state, 8))
		store16(ring + 2 * size, (uint16_t)below(state, 65536));
	else if (breaks(scribble, state, 64))
		store16(scribble->driver + 2, (uint16_t)below(state, 65536));
	else if (breaks(scribble, state, 64))
		store16(ring + 2 * below(state, size),
			(uint16_t)below(state, 65536));
	else if (breaks(scribble, state, 1)) /* a head twice, perhaps */
		store16(ring + 2 * below(state, size),
			(uint16_t)(below(state, scribble->nr_chains) *
				   SCRIBBLE_DESCS));
}

/* What the device has written; the driver may do to it what it likes. */
static void scribble_device(const struct scribble *scribble, uint64_t *state)
{
	unsigned int words = scribble->is_packed ? 2 : 3 + 4 * scribble->size;

	store16(scribble->device + 2 * below(state, words),
		(uint16_t)below(state, 65536));
}

static void scribble_record(const struct scribble *scribble, uint64_t *state)
{
	size_t where =
		below(state, (unsigned int)scribble->inflight_bytes / 2) * 2;

	if (one_in(state, 2))
		store16(scribble->inflight + where,
			(uint16_t)below(state, 65536));
	else
		store16(scribble->inflight + where,
			(uint16_t)below(state, 2 * scribble->size));
}

static void scribble_chain(const struct scribble *scribble, uint64_t *state)
{
	unsigned int nr_used = scribble->nr_chains * SCRIBBLE_DESCS;
	unsigned int nr_entries =
		scribble->is_packed ? scribble->size : nr_used;

	if (!scribble->is_indirect)
		scribble_desc(scribble, scribble->desc,
			      below(state, nr_entries), state);
	else if (one_in(state, 4))
		scribble_reference(scribble, state);
	else
		scribble_desc(scribble, scribble->memory + SCRIBBLE_TABLES,
			      below(state, nr_used), state);
}

void scribble_once(const struct scribble *scribble, uint64_t *state)
{
	switch (below(state, 8)) {
	case 0:
	case 1:
		scribble_header(scribble, state);
		break;
	case 2:
		scribble_segment(scribble, state);
		break;
	case 3:
		scribble_driver(scribble, state);
		break;
	case 4:
		scribble_device(scribble, state);
		break;
	case 5:
		if (scribble->inflight)
			scribble_record(scribble, state);
		break;
	default:
		scribble_chain(scribble, state);
		break;
	}
}

struct piece {
	uint64_t addr;
	uint32_t len;
	uint16_t flags; /* NEXT and WRITE */
};

static bool writes_data(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

static bool has_segments(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static void make_pieces(const struct scribble *scribble, unsigned int i,
			struct piece pieces[SCRIBBLE_DESCS], uint64_t *state)
{
	uint8_t *header = at(scribble, header_of(scribble, i));
	uint32_t type = any_type(state);

	store32(header, type);
	store64(header + 8, below(state, SCRIBBLE_SECTORS));
	header[16] = 0xff;
	pieces[0] =
		(struct piece){ header_of(scribble, i), 16, VRING_DESC_F_NEXT };
	for (unsigned int n = 1; n <= 2; n++) {
		pieces[n] = (struct piece){
			any_page(scribble, state),
			512u << below(state, 4),
			VRING_DESC_F_NEXT |
				(writes_data(type) ? VRING_DESC_F_WRITE : 0),
		};
		if (has_segments(type))
			pieces[n] = (struct piece){
				scribble->base + SEGMENTS +
					below(state, 32) * UINT64_C(16),
				16u << below(state, 2), VRING_DESC_F_NEXT
			};
	}
	pieces[3] = (struct piece){ header_of(scribble, i) + 16, 1,
				    VRING_DESC_F_WRITE };
}

static void put_desc(uint8_t *desc, const struct piece *piece)
{
	store64(desc, piece->addr);
	store32(desc + 8, piece->len);
}

/* first: of the entries, as their links count them */
static void put_split(uint8_t *table, unsigned int first,
		      const struct piece *pieces)
{
	for (unsigned int n = 0; n < SCRIBBLE_DESCS; n++) {
		uint8_t *desc = table + (size_t)(first + n) * 16;

		put_desc(desc, &pieces[n]);
		store16(desc + 12, pieces[n].flags);
		store16(desc + 14, (uint16_t)(first + n + 1));
	}
}

static void put_packed_table(uint8_t *table, const struct piece *pieces)
{
	for (unsigned int n = 0; n < SCRIBBLE_DESCS; n++) {
		put_desc(table + n * (size_t)16, &pieces[n]);
		store16(table + n * (size_t)16 + 14, pieces[n].flags);
	}
}

void scribble_split_request(const struct scribble *scribble, unsigned int i,
			    uint64_t *state)
{
	struct piece pieces[SCRIBBLE_DESCS];
	uint8_t *desc = scribble->desc + (size_t)i * SCRIBBLE_DESCS * 16;

	make_pieces(scribble, i, pieces, state);
	if (!scribble->is_indirect) {
		put_split(scribble->desc, i * SCRIBBLE_DESCS, pieces);
		return;
	}
	put_split(at(scribble, table_of(scribble, i)), 0, pieces);
	put_desc(desc,
		 &(struct piece){ table_of(scribble, i), SCRIBBLE_DESCS * 16 });
	store16(desc + 12, VRING_DESC_F_INDIRECT);
}

static uint16_t available(bool wrap)
{
	return wrap ? DESC_AVAIL : DESC_USED;
}

unsigned int scribble_packed_request(const struct scribble *scribble,
				     unsigned int i, uint16_t first, bool wrap,
				     uint64_t *state)
{
	struct piece table = { table_of(scribble, i), SCRIBBLE_DESCS * 16,
			       VRING_DESC_F_INDIRECT };
	struct piece pieces[SCRIBBLE_DESCS];
	unsigned int nr = scribble->is_indirect ? 1 : SCRIBBLE_DESCS;

	make_pieces(scribble, i, pieces, state);
	if (scribble->is_indirect)
		put_packed_table(at(scribble, table.addr), pieces);
	for (unsigned int n = nr; n-- > 0;) {
		unsigned int entry = first + n;
		bool around = entry >= scribble->size;
		uint8_t *desc =
			scribble->desc + (size_t)(entry % scribble->size) * 16;
		const struct piece *piece =
			scribble->is_indirect ? &table : &pieces[n];

		put_desc(desc, piece);
		store16(desc + 12, (uint16_t)i);
		__atomic_store_n((uint16_t *)(desc + 14),
				 htole16(piece->flags |
					 available(wrap != around)),
				 __ATOMIC_RELEASE);
	}
	return nr;
}

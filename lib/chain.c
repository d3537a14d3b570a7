/* SPDX-License-Identifier: MIT */
/*
 * chain - descriptors copied, bounded, checked, turned into iovecs
 *
 * One walk serves the queue's own table and an indirect one; packed layout has
 * a walk of its own, from the first entry to the last. The pieces go into one
 * array, readable ones in front, which is why a readable buffer
 * behind a writable one is left out. The array is the slot's own until it is
 * full, then the spill area.
 *
 * Nearly every buffer lies whole in the region that had the one before, is on
 * the side that it should be, and finds room: add_buffer() sees that in a few
 * comparisons, and add_odd_buffer() does all the rest. A chain that is not
 * sound, and each one behind an IOMMU, goes that long way to its end: for it
 * no region is near.
 *
 * A chain that is too large keeps the last byte of its last writable buffer
 * as its last piece, and one that has a buffer outside guest memory is walked
 * to its end: a device that reports errors in a final byte finds that byte.
 *
 * Behind an IOMMU a chain is walked to its end, too: only one that is
 * well-formed has its first miss asked for.
 */
#include <errno.h>
#include <string.h>

#include "lib/chain.h"

/* A descriptor as two words, which the layouts cut up in different ways */
struct raw_descriptor {
	uint64_t first;
	uint64_t second;
};

struct descriptor {
	struct guest_addr addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* not in packed layout */
};

/* entries: NULL if the table is cut by the end of a region */
struct table {
	const uint8_t *entries;
	uint32_t nr_entries;
};

/* What the short way changes with each buffer; a walk has it in registers. */
struct pieces {
	const struct rh_region *near; /* no_region: take the long way */
	struct iovec *next;	      /* where the next piece goes */
	struct iovec *end;	      /* of the room for them */
	struct iovec *writable;	      /* the first one, or NULL */
	uint64_t bytes;		      /* in all of them */
};

struct walk {
	struct rh_chains *chains;
	struct rh_chain_slot *slot;
	struct iovec *first;
	struct pieces pieces;  /* up to date on the long way, and at the end */
	uint32_t most_entries; /* of an indirect table; 0: inside one */
	struct guest_addr table_addr; /* of one that is cut */
	uint64_t readable_bytes;      /* as soon as a piece is writable */
	uint64_t left_out_bytes;
	int error;
	bool too_large;
	bool misses; /* what is in these: */
	struct rh_reach missing;
};

/* Nothing is in it. */
static const struct rh_region no_region;

/* In either layout */
#define DESC_BYTES sizeof(struct virtq_desc)

/* At any address; a volatile load happens once, so nothing is read twice. */
struct unaligned_word {
	uint64_t raw;
} __attribute__((packed));

static inline struct raw_descriptor
load(const volatile struct unaligned_word *words)
{
	return (struct raw_descriptor){
		.first = le64toh(words[0].raw),
		.second = le64toh(words[1].raw),
	};
}

static inline struct descriptor decode_split(struct raw_descriptor raw)
{
	return (struct descriptor){
		.addr = { raw.first },
		.len = (uint32_t)raw.second,
		.flags = (uint16_t)(raw.second >> 32),
		.next = (uint16_t)(raw.second >> 48),
	};
}

static inline struct descriptor decode_packed(struct raw_descriptor raw)
{
	return (struct descriptor){
		.addr = { raw.first },
		.len = (uint32_t)raw.second,
		.flags = (uint16_t)(raw.second >> 48),
	};
}

static void note_miss(struct walk *walk, struct rh_reach reach)
{
	if (walk->misses)
		return;
	walk->misses = true;
	walk->missing = reach;
}

/*
 * As rh_map_guest(). NULL is a miss, too: as long as one is noted, the chain is
 * not handed out.
 */
static uint8_t *locate(struct walk *walk, struct guest_addr addr,
		       uint64_t bytes, bool writable, uint64_t *contiguous)
{
	const struct rh_reach reach = {
		.iova = { addr.value },
		.bytes = bytes,
		.permission = writable ? VHOST_ACCESS_WO : VHOST_ACCESS_RO,
	};
	struct rh_miss *miss = walk->chains->miss;
	uint8_t *host = NULL;
	int result;

	if (!miss)
		return rh_map_guest(walk->chains->map, addr, bytes, contiguous);
	result = rh_miss_find(miss, reach, &host, contiguous);
	if (result == -EAGAIN)
		note_miss(walk, reach);
	else if (result)
		rh_miss_report_fault(miss, reach);
	return host;
}

/*
 * The table lies in guest memory as a whole: open_indirect() saw to it. Only
 * the IOTLB may have lost a part of it since, which is a miss.
 */
static cold_code struct raw_descriptor fetch_cut(struct walk *walk, uint32_t i)
{
	uint8_t copy[DESC_BYTES] = { 0 };
	struct guest_addr addr = walk->table_addr;
	uint64_t done = 0;

	addr.value += (uint64_t)i * sizeof(copy);
	while (done < sizeof(copy)) {
		uint64_t contiguous;
		const volatile uint8_t *from;

		from = locate(walk, addr, sizeof(copy) - done, false,
			      &contiguous);
		if (!from)
			return (struct raw_descriptor){ 0 };
		for (uint64_t n = 0; n < contiguous; n++)
			copy[done + n] = from[n];
		done += contiguous;
		addr.value += contiguous;
	}
	return load((const struct unaligned_word *)copy);
}

static inline struct raw_descriptor fetch(struct walk *walk,
					  const struct table *table, uint32_t i)
{
	if (likely(table->entries))
		return load((const void *)(table->entries +
					   (uint64_t)i * DESC_BYTES));
	return fetch_cut(walk, i);
}

/* Something is wrong with the chain: no shorter way for the rest of it. */
static void set_error(struct walk *walk, int error)
{
	walk->pieces.near = &no_region;
	if (!walk->error)
		walk->error = error;
}

/* Make room for one piece more. False if the chain has its most. */
static bool has_room(struct walk *walk)
{
	struct rh_chain_slot *slot = walk->slot;
	struct pieces *pieces = &walk->pieces;

	if (pieces->next < pieces->end)
		return true;
	if (walk->first == slot->spill)
		return false;
	memcpy(slot->spill, slot->iov, sizeof(slot->iov));
	walk->first = slot->spill;
	pieces->next = slot->spill + RH_CHAIN_INLINE_IOV;
	pieces->end = slot->spill + RH_CHAIN_MAX_IOV;
	if (pieces->writable)
		pieces->writable = slot->spill + (pieces->writable - slot->iov);
	return true;
}

static inline void append(struct walk *walk, struct pieces *pieces, void *base,
			  uint64_t bytes, bool writable)
{
	if (writable && !pieces->writable) {
		pieces->writable = pieces->next;
		walk->readable_bytes = pieces->bytes;
	}
	pieces->next->iov_base = base;
	pieces->next->iov_len = bytes;
	pieces->next++;
	pieces->bytes += bytes;
}

static void drop_last(struct pieces *pieces)
{
	pieces->next--;
	pieces->bytes -= pieces->next->iov_len;
}

/* Of a buffer that exceeds the bounds: its last byte, if it is writable. */
static void add_excess(struct walk *walk, struct guest_addr addr, uint32_t len,
		       bool writable)
{
	uint64_t contiguous;
	struct guest_addr last;
	void *base = NULL;

	walk->too_large = true;
	set_error(walk, -EMSGSIZE);
	if (!writable)
		return;
	if (!add_overflows(addr.value, len - 1, &last.value))
		base = locate(walk, last, 1, true, &contiguous);
	if (walk->pieces.writable || !has_room(walk))
		drop_last(&walk->pieces);
	append(walk, &walk->pieces, base, 1, true);
}

/* A buffer that ends in another region than it begins, or in none. */
static void add_cut(struct walk *walk, struct guest_addr addr, uint32_t len,
		    bool writable)
{
	struct guest_addr at = addr;
	uint64_t left = len;

	while (left) {
		uint64_t contiguous = left;
		void *base = locate(walk, at, left, writable, &contiguous);

		if (!has_room(walk)) {
			add_excess(walk, addr, len, writable);
			return;
		}
		if (!base)
			set_error(walk, -EFAULT);
		append(walk, &walk->pieces, base, contiguous, writable);
		at.value += contiguous;
		left -= contiguous;
	}
}

/* The next buffer may well lie where this one does. */
static void move_near(struct walk *walk, struct guest_addr addr)
{
	const struct rh_region *region;

	if (walk->pieces.near == &no_region)
		return;
	region = rh_map_region(walk->chains->map, addr);
	if (!region)
		return;
	walk->pieces.near = region;
	walk->chains->near = region;
}

/* A buffer that is empty, far from the last one, or not as it should be. */
static out_of_line void add_odd_buffer(struct walk *walk,
				       struct guest_addr addr, uint32_t len,
				       bool writable)
{
	const struct pieces *pieces = &walk->pieces;

	if (!len)
		return;
	if (walk->too_large ||
	    pieces->bytes + walk->left_out_bytes + len > UINT32_MAX) {
		add_excess(walk, addr, len, writable);
	} else if (!writable && pieces->writable) {
		walk->left_out_bytes += len;
		set_error(walk, -EPROTO);
	} else {
		move_near(walk, addr);
		add_cut(walk, addr, len, writable);
	}
}

static inline bool holds(const struct rh_region *region, struct guest_addr addr,
			 uint32_t len)
{
	return addr.value >= region->guest_start &&
	       addr.value < region->guest_end &&
	       len <= region->guest_end - addr.value;
}

static inline void *host_of(const struct rh_region *region,
			    struct guest_addr addr)
{
	return region->host + (addr.value - region->guest_start);
}

/* False: it has to go the long way, and nothing has changed. */
static inline bool add_whole(struct walk *walk, struct pieces *pieces,
			     struct descriptor desc)
{
	bool writable = desc.flags & VIRTQ_DESC_F_WRITE;

	if (unlikely(!desc.len || pieces->next == pieces->end ||
		     pieces->bytes + desc.len > UINT32_MAX ||
		     (!writable && pieces->writable) ||
		     !holds(pieces->near, desc.addr, desc.len)))
		return false;
	append(walk, pieces, host_of(pieces->near, desc.addr), desc.len,
	       writable);
	return true;
}

static inline void add_buffer(struct walk *walk, struct pieces *pieces,
			      struct descriptor desc)
{
	if (likely(add_whole(walk, pieces, desc)))
		return;
	walk->pieces = *pieces;
	add_odd_buffer(walk, desc.addr, desc.len,
		       desc.flags & VIRTQ_DESC_F_WRITE);
	*pieces = walk->pieces;
}

/* True if no byte of a table is outside guest memory. */
static bool is_mapped(struct walk *walk, struct guest_addr addr, uint64_t bytes)
{
	while (bytes) {
		uint64_t contiguous;

		if (!locate(walk, addr, bytes, false, &contiguous))
			return false;
		addr.value += contiguous;
		bytes -= contiguous;
	}
	return true;
}

/* The entries of a table for which no region is near; NULL if it is cut. */
static cold_code const uint8_t *
locate_table(struct walk *walk, struct guest_addr addr, uint32_t len)
{
	uint64_t contiguous;
	const uint8_t *entries = locate(walk, addr, len, false, &contiguous);

	return entries && contiguous == len ? entries : NULL;
}

/*
 * virtio 1.3, 2.7.5.3.1 forbids an indirect descriptor with NEXT. A table may
 * be longer than the queue, since Windows makes such ones; its WRITE flag has
 * no meaning, and it need not have been negotiated (Windows again).
 */
static inline int open_indirect(struct walk *walk, struct descriptor desc,
				struct table *table)
{
	const struct rh_region *near = walk->chains->near;

	if (desc.flags & VIRTQ_DESC_F_NEXT || desc.len < DESC_BYTES ||
	    desc.len % DESC_BYTES || desc.len / DESC_BYTES > walk->most_entries)
		return -EPROTO;
	walk->most_entries = 0;
	walk->table_addr = desc.addr;
	table->nr_entries = desc.len / DESC_BYTES;
	table->entries = likely(holds(near, desc.addr, desc.len)) ?
				 host_of(near, desc.addr) :
				 locate_table(walk, desc.addr, desc.len);
	if (likely(table->entries) || is_mapped(walk, desc.addr, desc.len))
		return 0;
	return walk->misses ? -EAGAIN : -EPROTO;
}

static inline void begin(struct walk *walk, struct rh_chains *chains,
			 uint16_t queue_size, struct rh_chain_slot *slot)
{
	walk->chains = chains;
	walk->slot = slot;
	walk->first = slot->iov;
	walk->most_entries = MAX(queue_size, RH_CHAIN_MAX_IOV);
	walk->left_out_bytes = 0;
	walk->error = 0;
	walk->too_large = false;
	walk->misses = false;
}

static inline struct pieces no_pieces(const struct walk *walk)
{
	return (struct pieces){
		.near = walk->chains->near,
		.next = walk->slot->iov,
		.end = walk->slot->iov + RH_CHAIN_INLINE_IOV,
	};
}

/* result: of the walk */
static inline int finish(struct walk *walk, int result)
{
	struct rh_chain *chain = &walk->slot->chain;
	struct pieces *pieces = &walk->pieces;

	if (unlikely(result && result != -EAGAIN))
		return result;
	if (unlikely(walk->misses)) {
		rh_miss_want(walk->chains->miss, walk->missing);
		return -EAGAIN;
	}
	if (!pieces->writable) {
		pieces->writable = pieces->next;
		walk->readable_bytes = pieces->bytes;
	}
	chain->readable = walk->first;
	chain->writable = pieces->writable;
	chain->readable_bytes = walk->readable_bytes;
	chain->writable_bytes = pieces->bytes - walk->readable_bytes;
	chain->nr_readable = (unsigned int)(pieces->writable - walk->first);
	chain->nr_writable = (unsigned int)(pieces->next - pieces->writable);
	chain->error = walk->error;
	return 0;
}

/*
 * Follow the descriptors from entry i on, into an indirect table if they end
 * in one. A table has no more steps than entries.
 */
static inline int walk_split(struct walk *walk, struct table table, uint32_t i)
{
	struct pieces pieces = no_pieces(walk);
	uint32_t nr_left = table.nr_entries;

	for (;;) {
		struct descriptor desc = decode_split(fetch(walk, &table, i));

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			int error = open_indirect(walk, desc, &table);

			if (unlikely(error))
				return error;
			nr_left = table.nr_entries;
			i = 0;
			continue;
		}
		add_buffer(walk, &pieces, desc);
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			break;
		i = desc.next;
		if (unlikely(i >= table.nr_entries || !--nr_left))
			return -EPROTO;
	}
	walk->pieces = pieces;
	return 0;
}

/*
 * The same for tables in packed layout, which end with their last entry. An
 * indirect descriptor may not be linked to any other one (virtio 1.3, 2.8.19),
 * so it is the only one.
 */
static inline int walk_packed(struct walk *walk, struct table table)
{
	struct pieces pieces = no_pieces(walk);
	uint32_t i = 0;

	while (i < table.nr_entries) {
		struct descriptor desc = decode_packed(fetch(walk, &table, i));

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			int error = table.nr_entries == 1 ?
					    open_indirect(walk, desc, &table) :
					    -EPROTO;

			if (unlikely(error))
				return error;
			continue;
		}
		add_buffer(walk, &pieces, desc);
		i++;
	}
	walk->pieces = pieces;
	return 0;
}

void rh_chains_init(struct rh_chains *chains, const struct rh_map *map,
		    struct rh_miss *miss)
{
	bool is_plain = !miss && map->nr_regions;

	chains->map = map;
	chains->miss = miss;
	chains->near = is_plain ? &map->regions[0] : &no_region;
}

int rh_chain_walk(struct rh_chains *chains, const struct virtq_desc *desc,
		  uint16_t size, uint16_t head, struct rh_chain_slot *slot)
{
	const struct table table = {
		.entries = (const uint8_t *)desc,
		.nr_entries = size,
	};
	struct walk walk;

	begin(&walk, chains, size, slot);
	return finish(&walk, walk_split(&walk, table, head));
}

int rh_chain_walk_packed(struct rh_chains *chains,
			 const struct pvirtq_desc *desc, uint16_t size,
			 struct rh_chain_slot *slot)
{
	const struct table table = {
		.entries = (const uint8_t *)desc,
		.nr_entries = slot->nr_desc,
	};
	struct walk walk;

	begin(&walk, chains, size, slot);
	return finish(&walk, walk_packed(&walk, table));
}

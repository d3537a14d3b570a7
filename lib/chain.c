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
 * A chain that is too large keeps the last byte of its last writable buffer
 * as its last piece, and one that has a buffer outside guest memory is walked
 * to its end: a device that reports errors in a final byte finds that byte.
 *
 * Behind an IOMMU no buffer takes the short way in add_buffer(), so that others
 * pay nothing for it. A chain is walked to its end there, too: only one that is
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
	struct guest_addr addr; /* only of a table that is cut */
	uint32_t nr_entries;
};

struct walk {
	const struct rh_map *map;
	struct rh_chain_slot *slot;
	struct iovec *iov;
	unsigned int capacity;
	unsigned int quick_capacity; /* the same; 0 behind an IOMMU */
	unsigned int nr_readable;
	unsigned int nr_writable;
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	uint64_t total_bytes; /* of all buffers, left out or not */
	bool too_large;
	bool misses; /* what is in these: */
	struct rh_reach missing;
	int error;
};

/* A walk has met a descriptor that refers to an indirect table. */
#define AT_INDIRECT 1

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
	struct rh_miss *miss = walk->slot->miss;
	uint8_t *host = NULL;
	int result;

	if (!miss)
		return rh_map_guest(walk->map, addr, bytes, contiguous);
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
static cold_code struct raw_descriptor
fetch_cut(struct walk *walk, const struct table *table, uint32_t i)
{
	uint8_t copy[DESC_BYTES] = { 0 };
	struct guest_addr addr = table->addr;
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
		return load((const struct unaligned_word *)(table->entries +
							    i * DESC_BYTES));
	return fetch_cut(walk, table, i);
}

static void set_error(struct walk *walk, int error)
{
	if (!walk->error)
		walk->error = error;
}

/* Make room for one piece more. False if the chain has its most. */
static bool has_room(struct walk *walk)
{
	unsigned int nr = walk->nr_readable + walk->nr_writable;

	if (likely(nr < walk->capacity))
		return true;
	if (walk->capacity == RH_CHAIN_MAX_IOV)
		return false;
	memcpy(walk->slot->spill, walk->iov, nr * sizeof(struct iovec));
	walk->iov = walk->slot->spill;
	walk->capacity = RH_CHAIN_MAX_IOV;
	if (walk->quick_capacity)
		walk->quick_capacity = RH_CHAIN_MAX_IOV;
	return true;
}

static inline void append(struct walk *walk, void *base, uint64_t bytes,
			  bool writable)
{
	struct iovec *iov = &walk->iov[walk->nr_readable + walk->nr_writable];

	iov->iov_base = base;
	iov->iov_len = bytes;
	if (writable) {
		walk->nr_writable++;
		walk->writable_bytes += bytes;
	} else {
		walk->nr_readable++;
		walk->readable_bytes += bytes;
	}
}

/* Take the last piece out again: a writable one, unless there is none. */
static void drop_last(struct walk *walk)
{
	struct iovec *iov =
		&walk->iov[walk->nr_readable + walk->nr_writable - 1];

	if (walk->nr_writable) {
		walk->nr_writable--;
		walk->writable_bytes -= iov->iov_len;
	} else {
		walk->nr_readable--;
		walk->readable_bytes -= iov->iov_len;
	}
}

/* Of a buffer that exceeds the bounds: its last byte, if it is writable. */
static void add_excess(struct walk *walk, const struct descriptor *desc)
{
	uint64_t contiguous;
	struct guest_addr last;
	void *base = NULL;

	walk->too_large = true;
	set_error(walk, -EMSGSIZE);
	if (!(desc->flags & VIRTQ_DESC_F_WRITE))
		return;
	if (!add_overflows(desc->addr.value, desc->len - 1, &last.value))
		base = locate(walk, last, 1, true, &contiguous);
	if (walk->nr_writable || !has_room(walk))
		drop_last(walk);
	append(walk, base, 1, true);
}

/* A buffer that ends in another region than it begins, or in none. */
static void add_cut(struct walk *walk, const struct descriptor *desc)
{
	bool writable = desc->flags & VIRTQ_DESC_F_WRITE;
	struct guest_addr addr = desc->addr;
	uint64_t left = desc->len;

	while (left) {
		uint64_t contiguous = left;
		void *base = locate(walk, addr, left, writable, &contiguous);

		if (!has_room(walk)) {
			add_excess(walk, desc);
			return;
		}
		if (!base)
			set_error(walk, -EFAULT);
		append(walk, base, contiguous, writable);
		addr.value += contiguous;
		left -= contiguous;
	}
}

/* A buffer that is empty, or not as all buffers should be. */
static cold_code void add_odd_buffer(struct walk *walk,
				     const struct descriptor *desc)
{
	if (!desc->len)
		return;
	walk->total_bytes += desc->len;
	if (walk->total_bytes > UINT32_MAX || walk->too_large)
		add_excess(walk, desc);
	else if (!(desc->flags & VIRTQ_DESC_F_WRITE) && walk->nr_writable)
		set_error(walk, -EPROTO);
	else
		add_cut(walk, desc);
}

/* Inline, with the rest elsewhere, since two walks run this for each buffer */
static inline void add_buffer(struct walk *walk, const struct descriptor *desc)
{
	unsigned int nr = walk->nr_readable + walk->nr_writable;
	uint64_t total_bytes = walk->total_bytes + desc->len;
	bool writable = desc->flags & VIRTQ_DESC_F_WRITE;
	uint64_t contiguous = 0;
	void *base = NULL;

	if (likely(desc->len && nr < walk->quick_capacity && !walk->too_large &&
		   total_bytes <= UINT32_MAX &&
		   (writable || !walk->nr_writable)))
		base = rh_map_guest(walk->map, desc->addr, desc->len,
				    &contiguous);
	if (unlikely(!base || contiguous != desc->len)) {
		add_odd_buffer(walk, desc);
		return;
	}
	walk->total_bytes = total_bytes;
	append(walk, base, contiguous, writable);
}

/*
 * Follow the descriptors from entry i on. Returns 0 at the chain's end,
 * AT_INDIRECT with *ret set, or -EPROTO.
 */
static int walk_table(struct walk *walk, const struct table *table, uint32_t i,
		      struct raw_descriptor *ret)
{
	for (uint32_t step = 0; step < table->nr_entries; step++) {
		struct raw_descriptor raw = fetch(walk, table, i);
		struct descriptor desc = decode_split(raw);

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			*ret = raw;
			return AT_INDIRECT;
		}
		add_buffer(walk, &desc);
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		i = desc.next;
		if (unlikely(i >= table->nr_entries))
			return -EPROTO;
	}
	return -EPROTO;
}

/*
 * The same for a table in packed layout. An indirect descriptor may not be
 * linked to any other one (virtio 1.3, 2.8.19), so it is the only one.
 */
static int walk_packed_table(struct walk *walk, const struct table *table,
			     struct raw_descriptor *ret)
{
	for (uint32_t i = 0; i < table->nr_entries; i++) {
		struct raw_descriptor raw = fetch(walk, table, i);
		struct descriptor desc = decode_packed(raw);

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			*ret = raw;
			return table->nr_entries == 1 ? AT_INDIRECT : -EPROTO;
		}
		add_buffer(walk, &desc);
	}
	return 0;
}

/* True if no byte of a table is outside guest memory. */
static cold_code bool is_mapped(struct walk *walk, struct guest_addr addr,
				uint64_t bytes)
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

/*
 * virtio 1.3, 2.7.5.3.1 forbids an indirect descriptor with NEXT. A table may
 * be longer than the queue, since Windows makes such ones; its WRITE flag has
 * no meaning, and it need not have been negotiated (Windows again).
 */
static inline int open_indirect(struct walk *walk, uint16_t queue_size,
				struct descriptor desc, struct table *table)
{
	uint32_t most = MAX((uint32_t)queue_size, (uint32_t)RH_CHAIN_MAX_IOV);
	uint64_t contiguous;

	if (desc.flags & VIRTQ_DESC_F_NEXT || desc.len < DESC_BYTES ||
	    desc.len % DESC_BYTES || desc.len / DESC_BYTES > most)
		return -EPROTO;
	table->nr_entries = desc.len / DESC_BYTES;
	table->addr = desc.addr;
	table->entries = locate(walk, desc.addr, desc.len, false, &contiguous);
	if (likely(table->entries && contiguous == desc.len))
		return 0;
	table->entries = NULL;
	if (is_mapped(walk, desc.addr, desc.len))
		return 0;
	return walk->misses ? -EAGAIN : -EPROTO;
}

static inline void begin(struct walk *walk, const struct rh_map *map,
			 struct rh_chain_slot *slot)
{
	*walk = (struct walk){
		.map = map,
		.slot = slot,
		.iov = slot->iov,
		.capacity = RH_CHAIN_INLINE_IOV,
		.quick_capacity = slot->miss ? 0 : RH_CHAIN_INLINE_IOV,
	};
}

/* result: of the walk; AT_INDIRECT is an indirect table inside another one. */
static inline int finish(const struct walk *walk, int result)
{
	struct rh_chain *chain = &walk->slot->chain;

	if (unlikely(result && result != -EAGAIN))
		return -EPROTO;
	if (unlikely(walk->misses)) {
		rh_miss_want(walk->slot->miss, walk->missing);
		return -EAGAIN;
	}
	chain->readable = walk->iov;
	chain->writable = walk->iov + walk->nr_readable;
	chain->readable_bytes = walk->readable_bytes;
	chain->writable_bytes = walk->writable_bytes;
	chain->nr_readable = walk->nr_readable;
	chain->nr_writable = walk->nr_writable;
	chain->error = walk->error;
	return 0;
}

int rh_chain_walk(const struct rh_map *map, const struct virtq_desc *desc,
		  uint16_t size, uint16_t head, struct rh_chain_slot *slot)
{
	struct table table = {
		.entries = (const uint8_t *)desc,
		.nr_entries = size,
	};
	struct raw_descriptor indirect;
	struct walk walk;
	int result;

	begin(&walk, map, slot);
	result = walk_table(&walk, &table, head, &indirect);
	if (result == AT_INDIRECT) {
		result = open_indirect(&walk, size, decode_split(indirect),
				       &table);
		if (!result)
			result = walk_table(&walk, &table, 0, &indirect);
	}
	return finish(&walk, result);
}

int rh_chain_walk_packed(const struct rh_map *map,
			 const struct pvirtq_desc *desc, uint16_t size,
			 struct rh_chain_slot *slot)
{
	struct table table = {
		.entries = (const uint8_t *)desc,
		.nr_entries = slot->nr_desc,
	};
	struct raw_descriptor indirect;
	struct walk walk;
	int result;

	begin(&walk, map, slot);
	result = walk_packed_table(&walk, &table, &indirect);
	if (result == AT_INDIRECT) {
		result = open_indirect(&walk, size, decode_packed(indirect),
				       &table);
		if (!result)
			result = walk_packed_table(&walk, &table, &indirect);
	}
	return finish(&walk, result);
}

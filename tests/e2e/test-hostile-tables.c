/* SPDX-License-Identifier: MIT */
/*
 * hostile-tables - indirect tables that no driver should make, and odd ones
 * that have to work, on split and packed rings
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/chain.h"

#define NEXT	  VRING_DESC_F_NEXT
#define WRITE	  VRING_DESC_F_WRITE
#define INDIRECT  VRING_DESC_F_INDIRECT
#define TABLE_MAX 1024u
#define PAGE	  4096u
#define FAR_AWAY  (UINT64_C(1) << 40)

static void set_table_bytes(struct chain *chain, uint64_t bytes)
{
	chain_set_len(chain, CHAIN_TABLE, (uint32_t)bytes);
}

static void set_table_addr(struct chain *chain, uint64_t addr)
{
	chain_set_addr(chain, CHAIN_TABLE, addr);
}

static void nest(struct chain *chain, uint64_t i)
{
	uint64_t table = chain->request->table_addr;

	chain_set_addr(chain, (int)i, table);
	chain_set_len(chain, (int)i, 48);
	chain_set_flags(chain, (int)i, INDIRECT);
}

static void flag_table(struct chain *chain, uint64_t flags)
{
	chain_add_flags(chain, CHAIN_TABLE, (uint16_t)flags);
}

/* virtio 1.3, 2.7.5.3 and 2.8.8 */
static void a_table_that_cannot_be_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "bytes", NULL, set_table_bytes, 0, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 1, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 15, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 17, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 24, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 47, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 49, BREAKS, ON_TABLE },
		{ "bytes", NULL, set_table_bytes, (TABLE_MAX + 1) * 16, BREAKS,
		  ON_TABLE },
		{ "bytes", NULL, set_table_bytes, 0xfffffff0, BREAKS,
		  ON_TABLE },
		{ "one entry only", NULL, set_table_bytes, 16, BREAKS,
		  ON_TABLE },
		{ "nested", NULL, nest, 0, BREAKS, ON_TABLE },
		{ "nested", NULL, nest, 1, BREAKS, ON_TABLE },
		{ "nested", NULL, nest, 2, BREAKS, ON_TABLE },
		{ "with NEXT", NULL, flag_table, NEXT, BREAKS, ON_TABLE },
	};

	TRY_CHAINS(rows);
}

static void copy_to_guest(struct chain *chain, uint64_t addr, const void *from,
			  size_t bytes)
{
	const uint8_t *byte = from;
	uint8_t *to;

	for (size_t i = 0; i < bytes; i++) {
		to = fe_memory_pointer(&chain->client.memory, addr + i, 1);
		assert_non_null(to);
		*to = byte[i];
	}
}

static void move_table(struct chain *chain, uint64_t addr)
{
	copy_to_guest(chain, addr, chain->table, 48);
	memset(chain->table, 0, 48);
	chain_set_addr(chain, CHAIN_TABLE, addr);
}

/* The chain needs three entries, and these are there. */
static void say_one_entry_more(struct chain *chain, uint64_t addr)
{
	move_table(chain, addr);
	set_table_bytes(chain, 64);
}

/* R-12, G-11: all of it has to be there, whether or not it is looked at */
static void a_table_outside_memory_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "at", NULL, set_table_addr, CHAIN_MEMORY_END, BREAKS,
		  ON_TABLE },
		{ "at", NULL, set_table_addr, CHAIN_MEMORY_END - 16, BREAKS,
		  ON_TABLE },
		{ "at", NULL, set_table_addr, CHAIN_MEMORY_END - 47, BREAKS,
		  ON_TABLE },
		{ "at", NULL, set_table_addr, FAR_AWAY, BREAKS, ON_TABLE },
		{ "at", NULL, set_table_addr, UINT64_MAX - 47, BREAKS,
		  ON_TABLE },
		{ "at", NULL, set_table_addr, UINT64_MAX - 15, BREAKS,
		  ON_TABLE },
		{ "at", NULL, set_table_addr, UINT64_MAX, BREAKS, ON_TABLE },
		{ "an entry more, at", NULL, say_one_entry_more,
		  CHAIN_MEMORY_END - 48, BREAKS, ON_TABLE },
		{ "a byte too many, at", NULL, say_one_entry_more,
		  CHAIN_MEMORY_END - 63, BREAKS, ON_TABLE },
	};

	TRY_CHAINS(rows);
}

/* The region behind the first one, in other pages of this process */
static void with_next_region(struct chain *chain, uint64_t value)
{
	(void)value;
	chain_add_region(chain, CHAIN_MEMORY_END, 2 * PAGE);
}

/* virtio 1.3, 2.7.5.3: there is no rule of alignment */
static void a_table_may_lie_anywhere(void **state)
{
	static const struct chain_row rows[] = {
		{ "unaligned", NULL, move_table, CHAIN_MEMORY_END - 4095,
		  GOES_WELL, ON_TABLE },
		{ "unaligned", NULL, move_table, CHAIN_MEMORY_END - 4088,
		  GOES_WELL, ON_TABLE },
		{ "across pages", NULL, move_table,
		  CHAIN_MEMORY_END - PAGE - 21, GOES_WELL, ON_TABLE },
		{ "up to the end", NULL, move_table, CHAIN_MEMORY_END - 48,
		  GOES_WELL, ON_TABLE },
		{ "in two regions", with_next_region, move_table,
		  CHAIN_MEMORY_END - 16, GOES_WELL, ON_TABLE },
		{ "in two regions", with_next_region, move_table,
		  CHAIN_MEMORY_END - 1, GOES_WELL, ON_TABLE },
		{ "in two regions", with_next_region, move_table,
		  CHAIN_MEMORY_END - 39, GOES_WELL, ON_TABLE },
	};

	TRY_CHAINS(rows);
}

/* The data and the status in a table that a descriptor behind the header has */
static void end_in_table(struct chain *chain, uint64_t value)
{
	struct vring_packed_desc *packed = chain->packed_table;

	(void)value;
	for (unsigned int i = 1; i < 3; i++) {
		const struct piece *piece = &chain->pieces[i];

		if (chain_is_packed(chain))
			packed[i - 1] = (struct vring_packed_desc){
				htole64(piece->addr), htole32(piece->bytes), 0,
				htole16(WRITE)
			};
		else
			chain->table[i - 1] = (struct vring_desc){
				htole64(piece->addr), htole32(piece->bytes),
				htole16(i < 2 ? WRITE | NEXT : WRITE), 1
			};
	}
	chain_remove(chain, 2);
	chain->pieces[1] =
		(struct piece){ chain->request->table_addr, 32, INDIRECT };
}

/*
 * virtio 1.3, 2.7.5, 2.7.5.3.2; in a packed ring a table stands
 * alone
 */
static void odd_flags_are_ignored_and_a_table_may_be_last(void **state)
{
	static const struct chain_row rows[] = {
		{ "WRITE with INDIRECT", NULL, flag_table, WRITE, GOES_WELL,
		  ON_TABLE },
		{ "unknown ones with INDIRECT", NULL, flag_table, 0x7f78,
		  GOES_WELL, ON_TABLE },
		{ "direct, then a table", end_in_table, NULL, 0, GOES_WELL,
		  1u << SPLIT_DIRECT },
		{ "direct, then a table", end_in_table, NULL, 0, BREAKS,
		  1u << PACKED_DIRECT },
	};

	TRY_CHAINS(rows);
}

/*
 * The data in so many pieces and the status, in a table behind the header. All
 * pieces but the last one are whole sectors, too.
 */
static void end_in_long_table(struct chain *chain, uint64_t nr)
{
	struct piece data = chain->pieces[1];
	struct piece status = chain->pieces[2];
	uint64_t addr = data.addr;

	for (unsigned int i = 0; i <= nr; i++) {
		uint32_t bytes = 1;

		if (i == 0)
			bytes = data.bytes - 512 - ((uint32_t)nr - 2);
		else if (i == nr - 1)
			bytes = 512;
		chain->table[i] = (struct vring_desc){
			.addr = htole64(i < nr ? addr : status.addr),
			.len = htole32(bytes),
			.flags = htole16(i < nr ? WRITE | NEXT : WRITE),
			.next = htole16((uint16_t)(i + 1)),
		};
		addr += bytes;
	}
	chain_remove(chain, 2);
	chain->pieces[1] = (struct piece){ chain->request->table_addr,
					   ((uint32_t)nr + 1) * 16, INDIRECT };
}

/* R-07, B-10: what lies in the ring and what lies in a table counts together */
static void a_chain_has_1024_pieces_at_most(void **state)
{
	static const struct chain_row rows[] = {
		{ "as many as there may be", end_in_long_table, NULL,
		  TABLE_MAX - 2, GOES_WELL, 1u << SPLIT_DIRECT },
		{ "one more", end_in_long_table, NULL, TABLE_MAX - 1, FAILS,
		  1u << SPLIT_DIRECT },
	};

	TRY_CHAINS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(a_table_that_cannot_be_breaks_the_ring),
		HOSTILE(a_table_outside_memory_breaks_the_ring),
		HOSTILE(a_table_may_lie_anywhere),
		HOSTILE(odd_flags_are_ignored_and_a_table_may_be_last),
		HOSTILE(a_chain_has_1024_pieces_at_most),
	};

	return hostile_run("hostile-tables", tests, ARRAY_SIZE(tests));
}

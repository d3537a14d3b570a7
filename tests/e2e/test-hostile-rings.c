/* SPDX-License-Identifier: MIT */
/*
 * hostile-rings - chains that no driver should make, in each layout of a ring
 *
 * What is the same for split and packed rings, with descriptors in the ring
 * and in a table: lengths, addresses, tables, flags.
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
#include "tests/e2e/probe.h"
#include "tests/frontend/inflight.h"

#define NEXT	   VRING_DESC_F_NEXT
#define WRITE	   VRING_DESC_F_WRITE
#define TABLE_MAX  1024u
#define PAGE	   4096u
#define FAR_AWAY   (UINT64_C(1) << 40)
#define NR_TWICE   12 /* times that a head is given twice */
#define HUGE_BYTES (UINT64_C(1) << 31)

/* Piece 1 is the data; it goes on in so many more, all to the same page. */
static void add_pieces(struct chain *chain, uint64_t nr)
{
	while (nr--)
		chain_insert(chain, 1, (struct piece){ .flags = WRITE });
}

/* Cut the data so that the chain has exactly nr descriptors. */
static void have_pieces(struct chain *chain, uint64_t nr)
{
	struct piece byte = { chain->request->data_addr, 1, WRITE };

	while (chain->nr < nr) {
		chain_insert(chain, chain->nr - 2, byte);
		byte.addr++;
		chain->pieces[chain->nr - 2].addr++;
		chain->pieces[chain->nr - 2].bytes--;
	}
}

/* R-07, B-10 */
static void a_chain_has_as_many_pieces_as_it_may(void **state)
{
	static const struct chain_row rows[] = {
		{ "all of the ring", have_pieces, NULL, CLIENT_QUEUE_SIZE,
		  GOES_WELL, 0 },
		{ "more than the ring", have_pieces, NULL,
		  CLIENT_QUEUE_SIZE + 1, GOES_WELL, ON_TABLE },
		{ "a full table", have_pieces, NULL, TABLE_MAX, GOES_WELL,
		  ON_TABLE },
		{ "more than any table", have_pieces, NULL, TABLE_MAX + 1,
		  BREAKS, ON_TABLE },
		{ "many that are empty", add_pieces, NULL,
		  CLIENT_QUEUE_SIZE - 3, GOES_WELL, 0 },
	};

	TRY_CHAINS(rows);
}

static void insert_empty(struct chain *chain, uint64_t i, uint64_t addr)
{
	uint16_t flags = i > 1 ? WRITE : 0;

	chain_insert(chain, (unsigned int)i,
		     (struct piece){ .addr = addr, .flags = flags });
}

static void insert_empty_first(struct chain *chain, uint64_t addr)
{
	insert_empty(chain, 0, addr);
}

static void insert_empty_behind_header(struct chain *chain, uint64_t addr)
{
	insert_empty(chain, 1, addr);
}

static void insert_empty_behind_data(struct chain *chain, uint64_t addr)
{
	insert_empty(chain, 2, addr);
}

static void insert_empty_last(struct chain *chain, uint64_t addr)
{
	insert_empty(chain, 3, addr);
}

static void empty_all(struct chain *chain, uint64_t value)
{
	(void)value;
	for (unsigned int i = 0; i < chain->nr; i++)
		chain->pieces[i].bytes = 0;
}

/* R-21, G-02, G-12: in each position, at any address */
static void descriptors_of_no_bytes_are_left_out(void **state)
{
	static const struct chain_row rows[] = {
		{ "first", insert_empty_first, NULL, 0, GOES_WELL, 0 },
		{ "first", insert_empty_first, NULL, FAR_AWAY, GOES_WELL, 0 },
		{ "first", insert_empty_first, NULL, UINT64_MAX, GOES_WELL, 0 },
		{ "second", insert_empty_behind_header, NULL, PAGE, GOES_WELL,
		  0 },
		{ "second", insert_empty_behind_header, NULL, UINT64_MAX,
		  GOES_WELL, 0 },
		{ "third", insert_empty_behind_data, NULL, PAGE, GOES_WELL, 0 },
		{ "third", insert_empty_behind_data, NULL, UINT64_MAX,
		  GOES_WELL, 0 },
		{ "last", insert_empty_last, NULL, PAGE, GOES_WELL, 0 },
		{ "last", insert_empty_last, NULL, UINT64_MAX, GOES_WELL, 0 },
		{ "all", empty_all, NULL, 0, BREAKS, 0 },
	};

	TRY_CHAINS(rows);
}

/* In 2 GiB, which cost nothing as long as nobody touches them */
static void have_huge_pieces(struct chain *chain, unsigned int nr,
			     uint64_t bytes)
{
	chain_add_region(chain, 2 * HUGE_BYTES, HUGE_BYTES);
	chain_remove(chain, 1);
	while (nr--)
		chain_insert(chain, 1,
			     (struct piece){ 2 * HUGE_BYTES, (uint32_t)bytes,
					     WRITE });
}

static void have_two_huge_pieces(struct chain *chain, uint64_t bytes)
{
	have_huge_pieces(chain, 2, bytes);
}

static void have_sixty_huge_pieces(struct chain *chain, uint64_t bytes)
{
	have_huge_pieces(chain, 60, bytes);
}

static void have_eight_huge_pieces(struct chain *chain, uint64_t bytes)
{
	have_huge_pieces(chain, 8, bytes);
}

/*
 * R-08, B-10, G-18, G-23: nothing is added up in 32 bits, or allocated for it
 */
static void a_chain_of_4_gib_is_an_error(void **state)
{
	static const struct chain_row rows[] = {
		{ "4 GiB", have_two_huge_pieces, NULL, HUGE_BYTES, FAILS, 0 },
		{ "4 GiB - 2", have_two_huge_pieces, NULL, HUGE_BYTES - 1,
		  FAILS, 0 },
		{ "120 GiB", have_sixty_huge_pieces, NULL, HUGE_BYTES, FAILS,
		  0 },
		{ "2^32 + 512", have_eight_huge_pieces, NULL, 0x20000040, FAILS,
		  0 },
	};

	TRY_CHAINS(rows);
}

static void swap_first(struct chain *chain, uint64_t value)
{
	struct piece header = chain->pieces[0];

	(void)value;
	chain_remove(chain, 0);
	chain_insert(chain, 1, header);
}

static void put_header_last(struct chain *chain, uint64_t value)
{
	struct piece header = chain->pieces[0];

	(void)value;
	chain_remove(chain, 0);
	chain_insert(chain, chain->nr, header);
}

/* Data for a read, then some that can only be read, then the status */
static void put_readable_in_between(struct chain *chain, uint64_t bytes)
{
	struct piece between = { chain->request->data_addr, (uint32_t)bytes,
				 0 };

	chain_insert(chain, 2, between);
}

/*
 * virtio 1.3, 2.7.4.2: the status byte can be reached, so it says so;
 * and what is out of place is not just left out
 */
static void writable_before_readable_is_an_error(void **state)
{
	static const struct chain_row rows[] = {
		{ "data, header, status", swap_first, NULL, 0, FAILS, 0 },
		{ "data, status, header", put_header_last, NULL, 0,
		  FAILS | BREAKS, 0 },
		{ "header, data, more of it, status", put_readable_in_between,
		  NULL, 512, FAILS, 0 },
	};

	TRY_CHAINS(rows);
}

static void flag_all(struct chain *chain, uint64_t flags)
{
	for (unsigned int i = 0; i < chain->nr; i++)
		chain_add_flags(chain, (int)i, (uint16_t)flags);
}

/* */
static void unknown_flags_are_ignored(void **state)
{
	static const struct chain_row rows[] = {
		{ "all of them", NULL, flag_all, 0x7f78, GOES_WELL, 0 },
		{ "one of them", NULL, flag_all, 8, GOES_WELL, 0 },
		{ "one of them", NULL, flag_all, 0x4000, GOES_WELL, 0 },
		{ "those of packed rings", NULL, flag_all, 0x8080, GOES_WELL,
		  ON_SPLIT },
	};

	TRY_CHAINS(rows);
}

static void set_header_addr(struct chain *chain, uint64_t addr)
{
	chain->pieces[0].addr = addr;
}

static void set_data_addr(struct chain *chain, uint64_t addr)
{
	chain->pieces[1].addr = addr;
}

static void set_status_addr(struct chain *chain, uint64_t addr)
{
	chain->pieces[2].addr = addr;
}

/* Its last byte is where the one of the other rows is. */
static void set_long_status_addr(struct chain *chain, uint64_t addr)
{
	chain->pieces[2].addr = addr - 2;
	chain->pieces[2].bytes = 3;
}

static void set_data_in_hole(struct chain *chain, uint64_t addr)
{
	chain_add_region(chain, CHAIN_MEMORY_END + 2 * PAGE, PAGE);
	chain->pieces[1].addr = addr;
}

/* R-18, F-01, G-11, G-21 */
static void a_buffer_outside_memory_is_an_error(void **state)
{
	static const struct chain_row rows[] = {
		{ "data up to the end", set_data_addr, NULL,
		  CHAIN_MEMORY_END - CHAIN_DATA_BYTES, GOES_WELL, 0 },
		{ "data at the end", set_data_addr, NULL,
		  CHAIN_MEMORY_END - CHAIN_DATA_BYTES + 1, FAILS, 0 },
		{ "data beyond it", set_data_addr, NULL, CHAIN_MEMORY_END,
		  FAILS, 0 },
		{ "data far away", set_data_addr, NULL, FAR_AWAY, FAILS, 0 },
		{ "data that wraps", set_data_addr, NULL, UINT64_MAX - 100,
		  FAILS, 0 },
		{ "data that wraps to 0", set_data_addr, NULL,
		  UINT64_MAX - CHAIN_DATA_BYTES + 1, FAILS, 0 },
		{ "data that begins at the end", set_data_addr, NULL,
		  UINT64_MAX, FAILS, 0 },
		{ "data in a hole", set_data_in_hole, NULL, CHAIN_MEMORY_END,
		  FAILS, 0 },
		{ "data into a hole", set_data_in_hole, NULL,
		  CHAIN_MEMORY_END - PAGE + 512, FAILS, 0 },
		{ "data out of a hole", set_data_in_hole, NULL,
		  CHAIN_MEMORY_END + 2 * PAGE - 512, FAILS, 0 },
		{ "header outside", set_header_addr, NULL, FAR_AWAY, BREAKS,
		  0 },
		{ "header half outside", set_header_addr, NULL,
		  CHAIN_MEMORY_END - 15, BREAKS, 0 },
		{ "status outside", set_status_addr, NULL, CHAIN_MEMORY_END,
		  BREAKS, 0 },
		{ "status outside", set_status_addr, NULL, UINT64_MAX, BREAKS,
		  0 },
		{ "long status outside", set_long_status_addr, NULL, FAR_AWAY,
		  BREAKS, 0 },
		{ "long status half outside", set_long_status_addr, NULL,
		  CHAIN_MEMORY_END, BREAKS, 0 },
	};

	TRY_CHAINS(rows);
}

static void share_page(struct chain *chain, uint64_t nr)
{
	uint32_t bytes = CHAIN_DATA_BYTES / (uint32_t)nr;
	struct piece piece = { chain->request->data_addr, bytes, WRITE };

	chain_remove(chain, 1);
	while (nr--)
		chain_insert(chain, 1, piece);
}

/* R-20, D-16: Windows puts the same page into several buffers of one read */
static void one_page_may_be_in_many_buffers(void **state)
{
	static const struct chain_row rows[] = {
		{ "twice", share_page, NULL, 2, GOES_WELL, 0 },
		{ "8 times", share_page, NULL, 8, GOES_WELL, 0 },
		{ "32 times", share_page, NULL, 32, GOES_WELL, 0 },
	};

	TRY_CHAINS(rows);
}

/* What the data of a request may be laid over */
static uint64_t place_of_ours(const struct chain *chain, unsigned int i)
{
	const uint64_t places[] = {
		chain->vring->desc_addr,
		chain->vring->avail_addr,
		chain->vring->used_addr,
		chain->request->table_addr,
		chain->request->data_addr - FE_BLK_HEADER_BYTES,
		chain->request->data_addr + CHAIN_DATA_BYTES,
		chain->request->data_addr + CHAIN_DATA_BYTES - 100,
	};

	return i < ARRAY_SIZE(places) ? places[i] : UINT64_MAX;
}

/* Whatever becomes of it, and of the ring: all else goes on. */
static void push_and_look_away(struct chain *chain, uint64_t detail)
{
	chain_lay(chain);
	chain_push(chain);
	fe_vring_wait(chain->vring, 50);
	probe_expect(layout_names[chain->layout], detail,
		     fe_session_sync(&chain->client.session), 0);
	probe_expect(layout_names[chain->layout], detail,
		     client_check_io(&chain->client, 1, 1), 0);
	chain_close(chain);
}

/*
 * virtio 1.3, 2.7.5.1: the ring, the status byte, the descriptor itself
 */
static void data_may_lie_over_what_describes_it(void **state)
{
	static struct chain chain;
	uint64_t addr = 0;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		for (unsigned int i = 0; addr != UINT64_MAX; i++) {
			chain_open(&chain, chain_server(state), (enum layout)k);
			addr = place_of_ours(&chain, i);
			chain.pieces[1].addr = addr;
			chain.pieces[1].bytes = 512;
			push_and_look_away(&chain, i);
		}
		addr = 0;
	}
	probe_verdict();
}

/*
 * The same with the record of requests under way, shared from guest
 * memory
 */
static void data_may_lie_over_the_record_of_requests(void **state)
{
	static struct chain chain;
	struct fe_inflight inflight;
	uint64_t addr;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		assert_int_equal(fe_memory_alloc(&chain.client.memory, 0, 65536,
						 PAGE, &addr),
				 0);
		fe_inflight_init(&inflight);
		inflight.wire = (struct fe_wire_inflight){
			.mmap_bytes = 65536,
			.mmap_offset = addr,
			.nr_queues = 2,
			.queue_size = CLIENT_QUEUE_SIZE,
		};
		inflight.fd = chain.client.memory.regions[0].fd;
		chain_stop(&chain);
		assert_int_equal(fe_session_set_inflight(&chain.client.session,
							 &inflight),
				 0);
		chain_start(&chain);
		/* both have read their part of it by then */
		assert_int_equal(chain_check(&chain), 0);
		assert_int_equal(client_check_io(&chain.client, 1, 1), 0);
		chain.pieces[1].addr = addr;
		push_and_look_away(&chain, k);
	}
	probe_verdict();
}

/* Two chains of the same head or id, made available at once. */
static void lay_twice(struct chain *chain)
{
	struct fe_packed *packed = &chain->vring->packed;
	uint16_t nr_first, first_flags;

	chain_lay(chain);
	if (!chain_is_packed(chain)) {
		fe_vring_add_head(chain->vring, 0);
		return;
	}
	/* the second chain's first flags are not those that wait */
	nr_first = packed->nr_added;
	first_flags = packed->first_flags;
	chain_lay(chain);
	packed->desc[packed->published.index + nr_first].flags =
		htole16(packed->first_flags);
	packed->first_flags = first_flags;
}

/*
 * G-04: accepted once, and the ring breaks; or both are answered
 * safely, the second one perhaps with the status that the first has left. Data
 * that is not aligned goes through a buffer of the server's own where it
 * bypasses the cache, which must not be freed by one while the other one uses
 * it.
 */
static void a_head_given_twice_is_harmless(void **state)
{
	static struct chain chain;
	unsigned int first;

	for (unsigned int k = 0; k < NR_LAYOUTS; k++) {
		for (unsigned int i = 0; i < NR_TWICE; i++) {
			chain_open(&chain, chain_server(state), (enum layout)k);
			chain.pieces[1].addr -= i % 2;
			lay_twice(&chain);
			chain_push(&chain);
			first = chain_wait(&chain);
			assert_true(first &
				    (GOES_WELL | BREAKS | OUT_OF_SHAPE));
			assert_int_equal(client_check_io(&chain.client, 1, 1),
					 0);
			chain_close(&chain);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(a_chain_has_as_many_pieces_as_it_may),
		HOSTILE(descriptors_of_no_bytes_are_left_out),
		HOSTILE(a_chain_of_4_gib_is_an_error),
		HOSTILE(writable_before_readable_is_an_error),
		HOSTILE(unknown_flags_are_ignored),
		HOSTILE(a_buffer_outside_memory_is_an_error),
		HOSTILE(one_page_may_be_in_many_buffers),
		HOSTILE(data_may_lie_over_what_describes_it),
		HOSTILE(data_may_lie_over_the_record_of_requests),
		HOSTILE(a_head_given_twice_is_harmless),
	};

	return hostile_run("hostile-rings", tests, ARRAY_SIZE(tests));
}

/* SPDX-License-Identifier: MIT */
/*
 * hostile-split - available rings, heads and links that cannot be
 *
 * What only split rings have; packed ones are in hostile-packed.
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

#define NEXT  VRING_DESC_F_NEXT
#define SIZE  CLIENT_QUEUE_SIZE
#define TRIES 3

/* So that there is something behind the index. */
static void some_before(struct chain *chain, uint64_t value)
{
	(void)value;
	for (unsigned int i = 0; i < TRIES; i++)
		assert_int_equal(chain_check(chain), 0);
}

static void move_index(struct chain *chain, uint64_t by)
{
	chain->vring->next_avail = (uint16_t)(chain->vring->published + by);
}

/*
 * G-03: were a head taken again, there would be a used entry for it
 */
static void an_index_that_jumps_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "by", some_before, move_index, SIZE + 1, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, SIZE + 2, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, 1000, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, 32767, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, 32768, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, 65533, BREAKS, ON_SPLIT },
		{ "by", some_before, move_index, 65535, BREAKS, ON_SPLIT },
		{ "by nothing", some_before, move_index, 0, NOT_SEEN,
		  ON_SPLIT },
	};

	TRY_CHAINS(rows);
}

static void set_head(struct chain *chain, uint64_t head)
{
	struct fe_vring *vring = chain->vring;

	vring->avail->ring[(vring->next_avail - 1u) % vring->size] =
		htole16((uint16_t)head);
}

/* */
static void a_head_beyond_the_ring_breaks_it(void **state)
{
	static const struct chain_row rows[] = {
		{ "head", some_before, set_head, SIZE, BREAKS, ON_SPLIT },
		{ "head", some_before, set_head, SIZE + 1, BREAKS, ON_SPLIT },
		{ "head", some_before, set_head, 32768, BREAKS, ON_SPLIT },
		{ "head", some_before, set_head, 65535, BREAKS, ON_SPLIT },
	};

	TRY_CHAINS(rows);
}

static void set_next_of_0(struct chain *chain, uint64_t next)
{
	chain_add_flags(chain, 0, NEXT);
	chain_set_next(chain, 0, (uint16_t)next);
}

static void set_next_of_1(struct chain *chain, uint64_t next)
{
	chain_add_flags(chain, 1, NEXT);
	chain_set_next(chain, 1, (uint16_t)next);
}

static void set_next_of_2(struct chain *chain, uint64_t next)
{
	chain_add_flags(chain, 2, NEXT);
	chain_set_next(chain, 2, (uint16_t)next);
}

/* */
static void a_next_beyond_its_table_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "next", NULL, set_next_of_0, SIZE, BREAKS, ON_SPLIT },
		{ "next", NULL, set_next_of_1, SIZE, BREAKS, ON_SPLIT },
		{ "next", NULL, set_next_of_2, SIZE, BREAKS, ON_SPLIT },
		{ "next", NULL, set_next_of_1, 32768, BREAKS, ON_SPLIT },
		{ "next", NULL, set_next_of_1, 65535, BREAKS, ON_SPLIT },
		{ "next", NULL, set_next_of_1, 3, BREAKS,
		  1u << SPLIT_INDIRECT },
		{ "next", NULL, set_next_of_2, 3, BREAKS,
		  1u << SPLIT_INDIRECT },
	};

	TRY_CHAINS(rows);
}

/* R-06, G-01: itself, the head, two that name each other */
static void a_loop_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "0 to", NULL, set_next_of_0, 0, BREAKS, ON_SPLIT },
		{ "1 to", NULL, set_next_of_1, 0, BREAKS, ON_SPLIT },
		{ "1 to", NULL, set_next_of_1, 1, BREAKS, ON_SPLIT },
		{ "2 to", NULL, set_next_of_2, 0, BREAKS, ON_SPLIT },
		{ "2 to", NULL, set_next_of_2, 1, BREAKS, ON_SPLIT },
		{ "2 to", NULL, set_next_of_2, 2, BREAKS, ON_SPLIT },
	};

	TRY_CHAINS(rows);
}

/* All descriptors of the ring, or of a table, and on to the first */
static void all_in_a_circle(struct chain *chain, uint64_t nr)
{
	for (unsigned int i = 3; i < nr; i++) {
		chain_set_addr(chain, (int)i, chain->request->data_addr);
		chain_set_len(chain, (int)i, 1);
		chain_set_flags(chain, (int)i, VRING_DESC_F_WRITE | NEXT);
		chain_set_next(chain, (int)i, (uint16_t)((i + 1) % nr));
	}
	set_next_of_2(chain, 3);
	if (chain_is_indirect(chain))
		chain_set_len(chain, CHAIN_TABLE, (uint32_t)nr * 16);
}

/* G-01, R-06 */
static void a_circle_of_all_descriptors_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "all in a circle", NULL, all_in_a_circle, SIZE, BREAKS,
		  ON_SPLIT },
		{ "all in a circle", NULL, all_in_a_circle, 1024, BREAKS,
		  1u << SPLIT_INDIRECT },
	};

	TRY_CHAINS(rows);
}

/* The ring begins anew at this index, as if so much had gone before. */
static void begin_at(struct chain *chain, uint64_t base)
{
	struct fe_vring *vring = chain->vring;

	chain_stop(chain);
	vring->next_avail = (uint16_t)base;
	vring->published = (uint16_t)base;
	vring->next_used = (uint16_t)base;
	vring->avail->idx = htole16((uint16_t)base);
	vring->used->idx = htole16((uint16_t)base);
	chain_start(chain);
	for (unsigned int i = 0; i < 2 * SIZE; i++)
		assert_int_equal(chain_check(chain), 0);
}

/* */
static void the_index_wraps_at_65536(void **state)
{
	static const struct chain_row rows[] = {
		{ "from", begin_at, NULL, 32767, GOES_WELL, ON_SPLIT },
		{ "from", begin_at, NULL, 65500, GOES_WELL, ON_SPLIT },
		{ "from", begin_at, NULL, 65535, GOES_WELL, ON_SPLIT },
		{ "jump, from", begin_at, move_index, 65500, BREAKS, ON_SPLIT },
	};

	TRY_CHAINS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(an_index_that_jumps_breaks_the_ring),
		HOSTILE(a_head_beyond_the_ring_breaks_it),
		HOSTILE(a_next_beyond_its_table_breaks_the_ring),
		HOSTILE(a_loop_breaks_the_ring),
		HOSTILE(a_circle_of_all_descriptors_breaks_the_ring),
		HOSTILE(the_index_wraps_at_65536),
	};

	return hostile_run("hostile-split", tests, ARRAY_SIZE(tests));
}

/* SPDX-License-Identifier: MIT */
/*
 * hostile-packed - descriptor rings, ids and wrap counters that cannot be
 *
 * What only packed rings have; split ones are in hostile-split.
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
#include "tests/frontend/clock.h"

#define MOST_CPU_MSEC 50
#define NR_LOOKS      5
#define NEXT	      VRING_DESC_F_NEXT
#define WRITE	      VRING_DESC_F_WRITE
#define INDIRECT      VRING_DESC_F_INDIRECT
#define AVAIL	      (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED	      (1 << VRING_PACKED_DESC_F_USED)
#define SIZE	      CLIENT_QUEUE_SIZE

/* The last descriptor's id is the chain's; a table's own is its. */
static void set_id(struct chain *chain, uint64_t id)
{
	chain_set_id(chain, chain_is_indirect(chain) ? CHAIN_TABLE : 2,
		     (uint16_t)id);
}

/* R-26, G-05 */
static void an_id_beyond_the_ring_breaks_it(void **state)
{
	static const struct chain_row rows[] = {
		{ "id", NULL, set_id, SIZE, BREAKS, ON_PACKED },
		{ "id", NULL, set_id, SIZE + 1, BREAKS, ON_PACKED },
		{ "id", NULL, set_id, 32768, BREAKS, ON_PACKED },
		{ "id", NULL, set_id, 65535, BREAKS, ON_PACKED },
	};

	TRY_CHAINS(rows);
}

static void set_other_ids(struct chain *chain, uint64_t id)
{
	chain_set_id(chain, 0, (uint16_t)id);
	chain_set_id(chain, 1, (uint16_t)(id + 1));
	if (chain_is_indirect(chain))
		chain_set_id(chain, 2, (uint16_t)(id + 2));
}

/* virtio 1.3, 2.8.6: only that of the last descriptor means something */
static void ids_inside_a_chain_mean_nothing(void **state)
{
	static const struct chain_row rows[] = {
		{ "id", NULL, set_other_ids, 5, GOES_WELL, ON_PACKED },
		{ "id", NULL, set_other_ids, SIZE, GOES_WELL, ON_PACKED },
		{ "id", NULL, set_other_ids, 65533, GOES_WELL, ON_PACKED },
	};

	TRY_CHAINS(rows);
}

static void go_on(struct chain *chain, uint64_t value)
{
	(void)value;
	chain_add_flags(chain, chain_is_indirect(chain) ? CHAIN_TABLE : 2,
			NEXT);
}

/* So many chains that the next one is laid up to the end of the ring. */
static void come_to_the_end(struct chain *chain, uint64_t nr_left)
{
	while (chain->vring->packed.next_avail.index != SIZE - nr_left)
		assert_int_equal(chain_check(chain), 0);
	chain_cut(chain, VIRTIO_BLK_T_IN, CHAIN_SECTOR, CHAIN_DATA_BYTES);
}

/* The chain goes round the whole ring, and all of it is available. */
static void go_on_for_ever(struct chain *chain, uint64_t value)
{
	(void)value;
	for (int i = 2; i < (int)SIZE; i++) {
		chain_set_addr(chain, i, chain->request->data_addr);
		chain_set_len(chain, i, 1);
		chain_set_flags(chain, i, WRITE | NEXT);
	}
}

/* G-06, G-01 */
static void a_chain_that_is_not_closed_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "the next is not available", NULL, go_on, 2, BREAKS,
		  ON_PACKED },
		{ "NEXT on the last slot", come_to_the_end, go_on, 4, BREAKS,
		  1u << PACKED_DIRECT },
		{ "NEXT on the last slot", come_to_the_end, go_on, 1, BREAKS,
		  1u << PACKED_INDIRECT },
		{ "all are available", NULL, go_on_for_ever, 0, BREAKS,
		  1u << PACKED_DIRECT },
	};

	TRY_CHAINS(rows);
}

static void hide(struct chain *chain, uint64_t i)
{
	chain_desc_flags(chain, (int)i, 0);
}

static void put_in_another_round(struct chain *chain, uint64_t i)
{
	chain_desc_flags(chain, (int)i, USED | NEXT | WRITE);
}

static void mark_as_used(struct chain *chain, uint64_t i)
{
	chain_desc_flags(chain, (int)i, AVAIL | USED | NEXT | WRITE);
}

/* virtio 1.3, 2.8.17: a driver makes the first one available last */
static void a_head_before_the_rest_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "hidden", NULL, hide, 1, BREAKS, 1u << PACKED_DIRECT },
		{ "hidden", NULL, hide, 2, BREAKS, 1u << PACKED_DIRECT },
		{ "of another round", NULL, put_in_another_round, 1, BREAKS,
		  1u << PACKED_DIRECT },
		{ "of another round", NULL, put_in_another_round, 2, BREAKS,
		  1u << PACKED_DIRECT },
		{ "used", NULL, mark_as_used, 1, BREAKS, 1u << PACKED_DIRECT },
		{ "used", NULL, mark_as_used, 2, BREAKS, 1u << PACKED_DIRECT },
	};

	TRY_CHAINS(rows);
}

/* What the device must not see, and nobody may spin for */
static const struct {
	const char *what;
	uint16_t owner;
} wrong_owners[] = {
	{ "of the round before", USED },
	{ "used", AVAIL | USED },
	{ "neither", 0 },
};

/* Asked again: see server_is_idle() */
static bool kicks_cost_little(struct chain *chain, const struct server *server)
{
	int64_t cpu_msec = MOST_CPU_MSEC;
	int64_t before;

	for (int i = 0; i < NR_LOOKS && cpu_msec >= MOST_CPU_MSEC; i++) {
		before = server_cpu_msec(server);
		for (unsigned int kick = 0; kick < 50; kick++) {
			fe_vring_kick(chain->vring);
			assert_int_equal(
				fe_session_sync(&chain->client.session), 0);
		}
		assert_int_equal(client_check_io(&chain->client, 1, 3), 0);
		cpu_msec = server_cpu_msec(server) - before;
	}
	return cpu_msec < MOST_CPU_MSEC;
}

/*
 * virtio 1.3, 2.8.1 and G-06: kicks cost nothing, and with right flags it
 * is served as if nothing had been
 */
static void a_wrong_wrap_counter_is_not_available(void **state)
{
	const struct server *server = chain_server(state);
	static struct chain chain;
	uint16_t right;

	for (unsigned int k = PACKED_DIRECT; k < NR_LAYOUTS; k++) {
		for (size_t i = 0; i < ARRAY_SIZE(wrong_owners); i++) {
			chain_open(&chain, server, (enum layout)k);
			chain_lay(&chain);
			right = chain.vring->packed.first_flags;
			chain.vring->packed.first_flags =
				(uint16_t)((right & ~(AVAIL | USED)) |
					   wrong_owners[i].owner);
			fe_vring_publish(chain.vring);
			assert_true(kicks_cost_little(&chain, server));
			assert_int_equal(*chain.request->status_byte,
					 FE_BLK_NO_STATUS);
			chain_desc_flags(&chain, CHAIN_TABLE, right);
			chain_try(&chain, wrong_owners[i].what, 0, GOES_WELL);
			chain_close(&chain);
		}
	}
	probe_verdict();
}

static void set_fields(struct chain *chain, uint64_t flags)
{
	for (int i = 0; i < (int)chain->nr; i++) {
		chain_set_id(chain, i, (uint16_t)(65535 - i));
		chain_add_flags(chain, i, (uint16_t)flags);
	}
}

/* virtio 1.3, 2.8.7: all entries of a table are the chain */
static void reserved_fields_of_a_table_mean_nothing(void **state)
{
	static const struct chain_row rows[] = {
		{ "flags", NULL, set_fields, AVAIL | USED, GOES_WELL,
		  1u << PACKED_INDIRECT },
		{ "flags", NULL, set_fields, NEXT, GOES_WELL,
		  1u << PACKED_INDIRECT },
		{ "flags", NULL, set_fields, 0xfff9, GOES_WELL,
		  1u << PACKED_INDIRECT },
	};

	TRY_CHAINS(rows);
}

static void point_to_table(struct chain *chain, uint64_t i)
{
	chain_set_addr(chain, (int)i, chain->request->table_addr);
	chain_set_len(chain, (int)i, 16);
	chain_add_flags(chain, (int)i, INDIRECT);
}

/* virtio 1.3, 2.8.19 */
static void a_table_inside_a_chain_breaks_the_ring(void **state)
{
	static const struct chain_row rows[] = {
		{ "at", NULL, point_to_table, 0, BREAKS, 1u << PACKED_DIRECT },
		{ "at", NULL, point_to_table, 1, BREAKS, 1u << PACKED_DIRECT },
		{ "at", NULL, point_to_table, 2, BREAKS, 1u << PACKED_DIRECT },
	};

	TRY_CHAINS(rows);
}

/* Through all of the ring twice, which is both of its wrap counters */
static void both_wrap_counters_are_served(void **state)
{
	static const struct chain_row rows[] = {
		{ "laid across the end", come_to_the_end, NULL, 1, GOES_WELL,
		  1u << PACKED_DIRECT },
		{ "laid up to the end", come_to_the_end, NULL, 4, GOES_WELL,
		  1u << PACKED_DIRECT },
		{ "in the last place", come_to_the_end, NULL, 1, GOES_WELL,
		  1u << PACKED_INDIRECT },
	};
	static struct chain chain;

	TRY_CHAINS(rows);
	for (unsigned int k = PACKED_DIRECT; k < NR_LAYOUTS; k++) {
		chain_open(&chain, chain_server(state), (enum layout)k);
		for (unsigned int i = 0; i < 3 * SIZE; i++)
			assert_int_equal(chain_check(&chain), 0);
		chain_close(&chain);
	}
}

/* virtio 1.3, 2.8.14: an event that cannot come is one that has come */
static void odd_events_are_taken_for_enabled(void **state)
{
	static const struct {
		uint16_t flags;
		uint16_t off_wrap;
	} rows[] = { { 2, SIZE },	   { 2, 0x7fff },   { 2, 0xffff },
		     { 2, SIZE | 0x8000 }, { 3, 0 },	    { 0xfffc, 0 },
		     { 0xfffe, 0xffff },   { 0xffff, 0x7f } };
	struct vring_packed_desc_event *event;
	static struct chain chain;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		chain_open(&chain, chain_server(state), PACKED_INDIRECT);
		event = chain.vring->packed.driver;
		assert_int_equal(chain_check(&chain), 0);
		assert_int_equal(client_settle(&chain.client, 0), 0);
		chain_lay(&chain);
		event->off_wrap = htole16(rows[i].off_wrap);
		event->flags = htole16(rows[i].flags);
		chain_push(&chain);
		probe_expect("event", rows[i].off_wrap,
			     (int)fe_eventfd_wait(chain.vring->call_fd,
						  FE_PATIENCE_MSEC),
			     1);
		assert_int_equal(chain_wait(&chain), GOES_WELL);
		chain_close(&chain);
	}
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(an_id_beyond_the_ring_breaks_it),
		HOSTILE(ids_inside_a_chain_mean_nothing),
		HOSTILE(a_chain_that_is_not_closed_breaks_the_ring),
		HOSTILE(a_head_before_the_rest_breaks_the_ring),
		HOSTILE(a_wrong_wrap_counter_is_not_available),
		HOSTILE(reserved_fields_of_a_table_mean_nothing),
		HOSTILE(a_table_inside_a_chain_breaks_the_ring),
		HOSTILE(both_wrap_counters_are_served),
		HOSTILE(odd_events_are_taken_for_enabled),
	};

	return hostile_run("hostile-packed", tests, ARRAY_SIZE(tests));
}

/* SPDX-License-Identifier: MIT */
/* packed-rings - packed virtqueues of all sizes, and as no driver makes them */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/ring.h"
#include "tests/frontend/clock.h"

#define MOST_CPU_MSEC 50
#define NR_LOOKS      5
#define SIZE	      16
#define NEXT	      VRING_DESC_F_NEXT
#define INDIRECT      VRING_DESC_F_INDIRECT
#define AVAIL	      (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED	      (1 << VRING_PACKED_DESC_F_USED)
#define WRAP	      (1 << VRING_PACKED_EVENT_F_WRAP_CTR)

static const struct client_options small = {
	.packed = true,
	.nr_queues = 2,
	.queue_size = SIZE,
};

/*
 * A read on queue 0 that a test may spoil before the device may see it: in
 * descriptors 0, 1, 2, or in a table that descriptor 0 names.
 */
struct spoilt {
	struct client client;
	struct fe_vring *vring;
	struct fe_blk_request *request;
	struct vring_packed_desc *desc;
	struct vring_packed_desc *table;
};

static struct fe_blk_request *add_read(struct client *client, bool indirect)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	assert_non_null(request);
	request->data_bytes = RING_DATA_BYTES;
	request->framing.indirect = indirect;
	assert_true(fe_blk_add(request) >= 0);
	return request;
}

static void make(struct spoilt *spoilt, const struct server *server,
		 bool indirect)
{
	assert_int_equal(client_open(&spoilt->client, server, &small), 0);
	spoilt->vring = &spoilt->client.vrings[0];
	spoilt->request = add_read(&spoilt->client, indirect);
	spoilt->desc = spoilt->vring->packed.desc;
	spoilt->table = fe_memory_pointer(&spoilt->client.memory,
					  spoilt->request->table_addr,
					  3 * sizeof(*spoilt->table));
}

static void push(struct fe_vring *vring)
{
	fe_vring_publish(vring);
	fe_vring_kick(vring);
}

static void push_and_expect_broken(struct spoilt *spoilt, const char *what,
				   uint64_t detail)
{
	push(spoilt->vring);
	probe_expect(what, detail, ring_is_broken(&spoilt->client), 0);
	client_close(&spoilt->client);
}

static void push_and_expect(struct spoilt *spoilt, const char *what,
			    uint64_t detail, int expected)
{
	int outcome;

	push(spoilt->vring);
	outcome = fe_blk_wait(spoilt->request, FE_PATIENCE_MSEC);
	if (!outcome)
		outcome = fe_blk_result(spoilt->request);
	probe_expect(what, detail, outcome, expected);
	probe_expect(what, detail, client_check_io(&spoilt->client, 1, 1), 0);
	client_close(&spoilt->client);
}

/* G-05 */
static void an_id_beyond_the_ring_breaks_it(void **state)
{
	const uint16_t ids[] = { SIZE, SIZE + 1, 32768, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		make(&spoilt, *state, false);
		spoilt.desc[2].id = htole16(ids[i]);
		push_and_expect_broken(&spoilt, "id", ids[i]);
		make(&spoilt, *state, true);
		spoilt.desc[0].id = htole16(ids[i]);
		push_and_expect_broken(&spoilt, "id of a table", ids[i]);
	}
	probe_verdict();
}

/* 2.8.6: that of the last descriptor is the chain's */
static void ids_inside_a_chain_mean_nothing(void **state)
{
	struct spoilt spoilt;

	make(&spoilt, *state, false);
	spoilt.desc[0].id = htole16(65535);
	spoilt.desc[1].id = htole16(1);
	push_and_expect(&spoilt, "ids inside a chain", 0, 0);
	probe_verdict();
}

/*
 * G-05, G-04: either the ring breaks, or the first was answered before the
 * second one came.
 */
static void an_id_given_twice_is_harmless(void **state)
{
	struct spoilt spoilt;
	int first;

	make(&spoilt, *state, false);
	add_read(&spoilt.client, false);
	spoilt.desc[5].id = spoilt.desc[2].id;
	push(spoilt.vring);
	first = fe_blk_wait(spoilt.request, FE_PATIENCE_MSEC);
	assert_true(first == 0 || first == -EPIPE || first == -EPROTO);
	assert_int_equal(client_check_io(&spoilt.client, 1, 1), 0);
	client_close(&spoilt.client);
	assert_int_equal(client_fresh_io(*state), 0);
}

/* Returns milliseconds of CPU time. */
static int64_t cost_of_a_chain_without_end(const struct server *server)
{
	struct spoilt spoilt;
	int64_t before;

	make(&spoilt, server, false);
	spoilt.desc[2].flags |= htole16(NEXT);
	for (unsigned int i = 3; i < SIZE; i++) {
		spoilt.desc[i] = spoilt.desc[1];
		spoilt.desc[i].flags |= htole16(NEXT);
	}
	before = server_cpu_msec(server);
	push_and_expect_broken(&spoilt, "all are available", 0);
	return server_cpu_msec(server) - before;
}

/* G-06: it breaks, and costs no CPU from then on */
static void a_chain_that_is_not_closed_breaks_the_ring(void **state)
{
	const struct server *server = *state;
	struct spoilt spoilt;
	int64_t cpu_msec = MOST_CPU_MSEC;

	make(&spoilt, server, false);
	spoilt.desc[2].flags |= htole16(NEXT);
	push_and_expect_broken(&spoilt, "the next one is not available", 0);

	for (int i = 0; i < NR_LOOKS && cpu_msec >= MOST_CPU_MSEC; i++)
		cpu_msec = cost_of_a_chain_without_end(server);
	assert_true(cpu_msec < MOST_CPU_MSEC);
	probe_verdict();
}

/* 2.8.17: the driver makes the head available last */
static void a_head_before_the_rest_breaks_the_ring(void **state)
{
	struct spoilt spoilt;

	for (unsigned int i = 1; i < 3; i++) {
		make(&spoilt, *state, false);
		spoilt.desc[i].flags = 0;
		push_and_expect_broken(&spoilt, "not available", i);
		make(&spoilt, *state, false);
		spoilt.desc[i].flags ^= htole16(AVAIL | USED);
		push_and_expect_broken(&spoilt, "of another round", i);
	}
	probe_verdict();
}

/* Asked again: see server_is_idle() */
static bool kicks_cost_little(struct spoilt *spoilt,
			      const struct server *server)
{
	int64_t cpu_msec = MOST_CPU_MSEC;
	int64_t before;

	for (int i = 0; i < NR_LOOKS && cpu_msec >= MOST_CPU_MSEC; i++) {
		before = server_cpu_msec(server);
		for (unsigned int kick = 0; kick < 20; kick++) {
			push(spoilt->vring);
			assert_int_equal(
				fe_session_sync(&spoilt->client.session), 0);
		}
		cpu_msec = server_cpu_msec(server) - before;
	}
	return cpu_msec < MOST_CPU_MSEC;
}

/* 2.8.1, G-06: it is not there, whatever is kicked, and nobody spins */
static void a_wrong_wrap_counter_is_not_available(void **state)
{
	const uint16_t wrong[] = { USED, AVAIL | USED, 0 };
	const struct server *server = *state;
	struct spoilt spoilt;
	uint16_t right;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make(&spoilt, server, false);
		right = spoilt.vring->packed.first_flags;
		spoilt.vring->packed.first_flags =
			(uint16_t)((right & ~(AVAIL | USED)) | wrong[i]);
		assert_true(kicks_cost_little(&spoilt, server));
		assert_int_equal(*spoilt.request->status_byte,
				 FE_BLK_NO_STATUS);
		/* with its right flags it is served as if nothing had been */
		spoilt.desc[0].flags = htole16(right);
		push_and_expect(&spoilt, "flags", wrong[i], 0);
	}
	probe_verdict();
}

/* 2.8.7, 2.8.19 */
static void a_bad_table_breaks_the_ring(void **state)
{
	const uint32_t sizes[] = { 0,  1,  15,	      17,	 24,
				   47, 49, 16 * 1025, 0xfffffff0 };
	const uint64_t addrs[] = { RING_MEMORY_END, RING_MEMORY_END - 47,
				   UINT64_C(1) << 40, UINT64_MAX - 47,
				   UINT64_MAX };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make(&spoilt, *state, true);
		spoilt.desc[0].len = htole32(sizes[i]);
		push_and_expect_broken(&spoilt, "table bytes", sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		make(&spoilt, *state, true);
		spoilt.desc[0].addr = htole64(addrs[i]);
		push_and_expect_broken(&spoilt, "table address", addrs[i]);
	}
	make(&spoilt, *state, true);
	spoilt.table[1].flags |= htole16(INDIRECT);
	spoilt.table[1].addr = htole64(spoilt.request->table_addr);
	spoilt.table[1].len = htole32(48);
	push_and_expect_broken(&spoilt, "a table in a table", 0);
	probe_verdict();
}

/* 2.8.19: an indirect descriptor stands alone */
static void a_table_inside_a_chain_breaks_the_ring(void **state)
{
	struct spoilt spoilt;

	for (unsigned int i = 0; i < 3; i++) {
		make(&spoilt, *state, false);
		spoilt.desc[i].addr = htole64(spoilt.request->table_addr);
		spoilt.desc[i].len = htole32(16);
		if (i)
			spoilt.desc[i].flags |= htole16(INDIRECT);
		else
			spoilt.vring->packed.first_flags |= INDIRECT;
		push_and_expect_broken(&spoilt, "INDIRECT at", i);
	}
	make(&spoilt, *state, true);
	spoilt.vring->packed.first_flags |= NEXT;
	push_and_expect_broken(&spoilt, "INDIRECT and NEXT", 0);
	probe_verdict();
}

/* 2.8.7 */
static void reserved_fields_of_a_table_mean_nothing(void **state)
{
	struct spoilt spoilt;

	make(&spoilt, *state, true);
	for (unsigned int i = 0; i < 3; i++) {
		spoilt.table[i].id = htole16((uint16_t)(65535 - i));
		spoilt.table[i].flags |= htole16(AVAIL | USED | NEXT | 0x0ff8);
	}
	push_and_expect(&spoilt, "reserved fields", 0, 0);
	probe_verdict();
}

/* G-11, G-21: the status byte can be reached, so it says so */
static void data_outside_memory_is_answered_with_an_error(void **state)
{
	struct spoilt spoilt;

	make(&spoilt, *state, false);
	spoilt.desc[1].addr = htole64(UINT64_C(1) << 40);
	push_and_expect(&spoilt, "data outside", 0, -EIO);
	make(&spoilt, *state, false);
	spoilt.desc[2].addr = htole64(UINT64_C(1) << 40);
	push_and_expect_broken(&spoilt, "status outside", 0);
	probe_verdict();
}

/* 2.8.14: an event that cannot come, and flags that nobody has defined */
static void odd_events_are_taken_for_enabled(void **state)
{
	const struct {
		uint16_t flags;
		uint16_t off_wrap;
	} rows[] = { { 2, SIZE },	 { 2, 0x7fff }, { 2, 0xffff },
		     { 2, SIZE | WRAP }, { 3, 0 },	{ 0xfffc, 0 } };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vring_packed_desc_event *event;

		make(&spoilt, *state, false);
		event = spoilt.vring->packed.driver;
		fe_eventfd_wait(spoilt.vring->call_fd, 0);
		event->off_wrap = htole16(rows[i].off_wrap);
		event->flags = htole16(rows[i].flags);
		push(spoilt.vring);
		assert_true(fe_eventfd_wait(spoilt.vring->call_fd,
					    FE_PATIENCE_MSEC) > 0);
		push_and_expect(&spoilt, "event", rows[i].off_wrap, 0);
	}
	probe_verdict();
}

static int fill_and_drain(struct client *client, unsigned int nr,
			  unsigned int nr_rounds)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request;
	int error = 0;

	for (unsigned int round = 0; round < nr_rounds && !error; round++) {
		for (unsigned int i = 0; i < nr; i++)
			add_read(client, true);
		fe_vring_submit(blk->vring);
		while (blk->nr_under_way && !error) {
			error = fe_vring_wait(blk->vring, FE_PATIENCE_MSEC);
			while (!error && fe_blk_reap(blk, &request) > 0) {
				error = fe_blk_result(request);
				fe_blk_put(request);
			}
		}
	}
	return error;
}

/* Rings of each size that are full of tables, round after round */
static void full_rings_of_odd_sizes_are_served(void **state)
{
	const uint32_t sizes[] = { 1, 2, 3, 5, 7, 33, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct client_options options = {
			.packed = true,
			.queue_size = sizes[i],
			.depth = sizes[i],
			.data_bytes = RING_DATA_BYTES,
		};
		struct client client;

		assert_int_equal(client_open(&client, *state, &options), 0);
		probe_expect("ring size", sizes[i],
			     fill_and_drain(&client, sizes[i], 30), 0);
		client_close(&client);
	}
	probe_verdict();
}

/* Up to 32768 entries, beyond both borders of its wrap counter */
static void the_largest_ring_is_served(void **state)
{
	const uint32_t size = server_is_ringhost() ? 1024 : 32768;
	const struct server_options largest = {
		.options = { server_is_ringhost() ? NULL :
						    "--queue-size=32768" },
	};
	const struct client_options options = {
		.packed = true,
		.queue_size = size,
		.depth = 64,
		.data_bytes = RING_DATA_BYTES,
	};
	struct client client;
	struct server server;
	struct fe_place place = { (uint16_t)(size - 68), false };

	(void)state;
	assert_int_equal(server_start(&server, &largest), 0);
	assert_int_equal(client_connect(&client, &server, &options), 0);
	assert_int_equal(client_prepare(&client, &options), 0);
	client.vrings[0].packed.next_avail = place;
	client.vrings[0].packed.published = place;
	client.vrings[0].packed.next_used = place;
	for (uint32_t i = place.index; i < size; i++)
		client.vrings[0].packed.desc[i].flags = htole16(AVAIL | USED);
	assert_int_equal(client_start(&client), 0);
	/* from the end of one round to the beginning of the next but one */
	assert_int_equal(fill_and_drain(&client, 64, size / 64 + 8), 0);
	assert_false(client.vrings[0].packed.next_avail.wrap);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

struct scribbler {
	struct spoilt *spoilt;
	atomic_bool stop;
};

/* Rewrite every field of the ring and of a table, over and over. */
static void *scribble(void *opaque)
{
	struct scribbler *scribbler = opaque;
	volatile struct vring_packed_desc *desc = scribbler->spoilt->desc;
	volatile struct vring_packed_desc *table = scribbler->spoilt->table;
	uint64_t good = scribbler->spoilt->request->data_addr;
	unsigned int seed = 1;

	while (!atomic_load(&scribbler->stop)) {
		volatile struct vring_packed_desc *at =
			rand_r(&seed) % 4 ? &desc[rand_r(&seed) % SIZE] :
					    &table[rand_r(&seed) % 3];

		at->addr = rand_r(&seed) % 4 ? good :
					       (uint64_t)rand_r(&seed) << 20;
		at->len = (uint32_t)rand_r(&seed) % 8192;
		at->id = (uint16_t)(rand_r(&seed) % (SIZE + 1));
		at->flags = (uint16_t)(rand_r(&seed) % 8 |
				       (rand_r(&seed) % 4 ? AVAIL : USED));
	}
	return NULL;
}

/* R-24, G-08: each field is looked at once */
static void fields_that_change_all_the_time_are_harmless(void **state)
{
	uint64_t deadline = fe_deadline(3000);
	struct spoilt spoilt;
	struct scribbler scribbler = { .spoilt = &spoilt };
	struct fe_vring *vring;
	pthread_t thread;
	uint32_t base;
	int error = 0;

	make(&spoilt, *state, true);
	vring = spoilt.vring;
	assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler),
			 0);
	while (!error && fe_now_usec() < deadline) {
		fe_vring_kick(vring);
		fe_eventfd_wait(vring->err_fd, 5);
		error = fe_session_get_base(&spoilt.client.session, 0, &base);
		if (!error)
			error = fe_session_start_vring(&spoilt.client.session,
						       vring, 0,
						       FE_PACKED_FIRST_BASE);
	}
	if (!error)
		error = client_check_io(&spoilt.client, 1, 1);
	atomic_store(&scribbler.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(error, 0);
	client_close(&spoilt.client);
	assert_int_equal(client_fresh_io(*state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(an_id_beyond_the_ring_breaks_it),
		WITH_SERVER(ids_inside_a_chain_mean_nothing),
		WITH_SERVER(an_id_given_twice_is_harmless),
		WITH_SERVER(a_chain_that_is_not_closed_breaks_the_ring),
		WITH_SERVER(a_head_before_the_rest_breaks_the_ring),
		WITH_SERVER(a_wrong_wrap_counter_is_not_available),
		WITH_SERVER(a_bad_table_breaks_the_ring),
		WITH_SERVER(a_table_inside_a_chain_breaks_the_ring),
		WITH_SERVER(reserved_fields_of_a_table_mean_nothing),
		WITH_SERVER(data_outside_memory_is_answered_with_an_error),
		WITH_SERVER(odd_events_are_taken_for_enabled),
		WITH_SERVER(full_rings_of_odd_sizes_are_served),
		cmocka_unit_test(the_largest_ring_is_served),
		WITH_SERVER(fields_that_change_all_the_time_are_harmless),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("packed-rings", tests, NULL, NULL);
}

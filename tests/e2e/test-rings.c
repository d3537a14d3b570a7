/* SPDX-License-Identifier: MIT */
/* rings - what no driver should write into a ring, and what it may */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/ring.h"
#include "tests/frontend/clock.h"

#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static void expect_broken(struct ring *ring, const char *what, uint64_t detail)
{
	probe_expect(what, detail, ring_is_broken(&ring->client), 0);
	ring_close(ring);
}

/* Push head 0 as it is now. */
static void push_and_expect_broken(struct ring *ring, const char *what,
				   uint64_t detail)
{
	ring_push(ring, 0);
	expect_broken(ring, what, detail);
}

static void push_and_expect(struct ring *ring, const char *what,
			    uint64_t detail, int expected)
{
	ring_push(ring, 0);
	probe_expect(what, detail, ring_wait(ring), expected);
	probe_expect(what, detail, client_check_io(&ring->client, 1, 1), 0);
	ring_close(ring);
}

/* G-03 */
static void an_index_that_jumps_breaks_the_ring(void **state)
{
	const uint16_t jumps[] = { CLIENT_QUEUE_SIZE + 1, 1000, 32768, 65534,
				   65535 };
	struct fe_vring *vring;
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		ring_open(&ring, *state);
		vring = &ring.client.vrings[0];
		assert_int_equal(client_check_io(&ring.client, 0, 1), 0);
		vring->next_avail += jumps[i];
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		expect_broken(&ring, "index + ", jumps[i]);
	}
	probe_verdict();
}

static void a_head_beyond_the_ring_breaks_it(void **state)
{
	const uint16_t heads[] = { CLIENT_QUEUE_SIZE, CLIENT_QUEUE_SIZE + 1,
				   32768, 65535 };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		ring_open(&ring, *state);
		ring_push(&ring, heads[i]);
		expect_broken(&ring, "head", heads[i]);
	}
	probe_verdict();
}

static void a_next_beyond_the_ring_breaks_it(void **state)
{
	const uint16_t nexts[] = { CLIENT_QUEUE_SIZE, 32768, 65535 };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(nexts); i++) {
		ring_open(&ring, *state);
		ring.desc[1].next = nexts[i];
		push_and_expect_broken(&ring, "next", nexts[i]);
		ring_open(&ring, *state);
		ring_use_table(&ring);
		ring.table[1].next = nexts[i];
		push_and_expect_broken(&ring, "next in a table", nexts[i]);
	}
	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring.table[1].next = 3;
	push_and_expect_broken(&ring, "next in a table", 3);
	probe_verdict();
}

/* G-01 */
static void a_loop_of_descriptors_breaks_the_ring(void **state)
{
	const struct {
		unsigned int at;
		uint16_t next;
	} rows[] = { { 0, 0 }, { 1, 1 }, { 1, 0 }, { 2, 1 }, { 2, 2 } };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ring_open(&ring, *state);
		ring.desc[rows[i].at].flags |= NEXT;
		ring.desc[rows[i].at].next = rows[i].next;
		push_and_expect_broken(&ring, "loop", i);
		ring_open(&ring, *state);
		ring_use_table(&ring);
		ring.table[rows[i].at].flags |= NEXT;
		ring.table[rows[i].at].next = rows[i].next;
		push_and_expect_broken(&ring, "loop in a table", i);
	}
	probe_verdict();
}

/* 2.7.5.3: no multiple of 16, none at all, more than any driver makes */
static void an_indirect_table_of_a_wrong_size_breaks_the_ring(void **state)
{
	const uint32_t sizes[] = { 0,  1,  15,	      17,	 24,
				   47, 49, 16 * 1025, 0xfffffff0 };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ring_open(&ring, *state);
		ring_use_table(&ring);
		ring.desc[0].len = sizes[i];
		push_and_expect_broken(&ring, "table bytes", sizes[i]);
	}
	probe_verdict();
}

/* G-11 */
static void an_indirect_table_outside_memory_breaks_the_ring(void **state)
{
	const uint64_t addrs[] = { RING_MEMORY_END,   RING_MEMORY_END - 47,
				   UINT64_C(1) << 40, UINT64_MAX - 47,
				   UINT64_MAX - 15,   UINT64_MAX };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		ring_open(&ring, *state);
		ring_use_table(&ring);
		ring.desc[0].addr = addrs[i];
		push_and_expect_broken(&ring, "table address", addrs[i]);
	}
	probe_verdict();
}

/* 2.7.5.3.1 */
static void nested_and_continued_tables_break_the_ring(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring_set(&ring.table[1], ring.table_addr + 48, 48, INDIRECT, 0);
	push_and_expect_broken(&ring, "nested", 0);
	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring_set(&ring.table[0], ring.table_addr, 48, INDIRECT, 0);
	push_and_expect_broken(&ring, "nested in itself", 0);
	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring.desc[0].flags |= NEXT;
	ring.desc[0].next = 1;
	push_and_expect_broken(&ring, "INDIRECT and NEXT", 0);
	probe_verdict();
}

/* G-04: either the ring breaks, or both are answered, safely */
static void a_head_given_twice_is_harmless(void **state)
{
	struct ring ring;
	struct fe_vring *vring = &ring.client.vrings[0];
	int first;

	ring_open(&ring, *state);
	fe_vring_add_head(vring, 0);
	ring_push(&ring, 0);
	first = ring_wait(&ring);
	if (!first)
		first = ring_wait(&ring);
	/* the second answer may find the status that the first has left */
	assert_true(first == -EPIPE || first == 0 || first == -EBADMSG);
	assert_int_equal(client_check_io(&ring.client, 1, 1), 0);
	ring_close(&ring);
	assert_int_equal(client_fresh_io(*state), 0);
}

/* 2.7.5.3.2, 2.7.5: what a device has to put up with */
static void odd_but_legal_chains_work(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	push_and_expect(&ring, "as it is", 0, 0);

	ring_open(&ring, *state);
	ring_use_table(&ring);
	push_and_expect(&ring, "in a table", 0, 0);

	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring.desc[0].flags |= WRITE;
	push_and_expect(&ring, "WRITE with INDIRECT", 0, 0);

	ring_open(&ring, *state);
	ring_set(&ring.table[0], ring.request->data_addr, RING_DATA_BYTES,
		 NEXT | WRITE, 1);
	ring.table[1] = ring.desc[2];
	ring_set(&ring.desc[1], ring.table_addr, 32, INDIRECT, 0);
	push_and_expect(&ring, "direct, then INDIRECT", 0, 0);

	ring_open(&ring, *state);
	for (unsigned int i = 0; i < 3; i++)
		ring.desc[i].flags |= 0xfff0;
	push_and_expect(&ring, "unknown flags", 0, 0);

	ring_open(&ring, *state);
	ring_use_table(&ring);
	for (unsigned int i = 0; i < 3; i++)
		ring.table[i].flags |= 0xfff0;
	push_and_expect(&ring, "unknown flags in a table", 0, 0);

	/* the table is longer than the chain in it */
	ring_open(&ring, *state);
	ring_use_table(&ring);
	ring.desc[0].len = 16 * 200;
	push_and_expect(&ring, "a table longer than the ring", 0, 0);
	probe_verdict();
}

/* G-02, G-12: zero bytes at any address, in each place */
static void descriptors_of_no_bytes_are_left_out(void **state)
{
	const uint64_t addrs[] = { 0, 4096, UINT64_C(1) << 50, UINT64_MAX };
	struct ring ring;

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		ring_open(&ring, *state);
		ring_set(&ring.desc[5], addrs[i], 0, NEXT, 0);
		ring_push(&ring, 5);
		probe_expect("in front", addrs[i], ring_wait(&ring), 0);
		ring_close(&ring);
		for (uint16_t at = 0; at < 2; at++) {
			ring_open(&ring, *state);
			ring_set(&ring.desc[5], addrs[i], 0,
				 (uint16_t)(NEXT | (at ? WRITE : 0)),
				 (uint16_t)(at + 1));
			ring.desc[at].next = 5;
			push_and_expect(&ring, "inside", addrs[i], 0);
		}
		ring_open(&ring, *state);
		ring_set(&ring.desc[5], addrs[i], 0, WRITE, 0);
		ring.desc[2].flags |= NEXT;
		ring.desc[2].next = 5;
		push_and_expect(&ring, "behind", addrs[i], 0);
	}
	probe_verdict();
}

/* G-28: INDIRECT that was not negotiated (Windows) */
static void indirect_works_unnegotiated(void **state)
{
	const struct client_options options = {
		.refused_features = FE_FEATURE_INDIRECT,
	};
	struct client client;

	assert_int_equal(client_open(&client, *state, &options), 0);
	client.blks[0].framing.indirect = true;
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

/* 2.7.4.2: the status byte can be reached, so it says so */
static void writable_before_readable_is_answered_with_an_error(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	ring_set(&ring.desc[0], ring.request->data_addr, RING_DATA_BYTES,
		 NEXT | WRITE, 1);
	ring_set(&ring.desc[1], ring.request->data_addr - FE_BLK_HEADER_BYTES,
		 FE_BLK_HEADER_BYTES, NEXT, 2);
	push_and_expect(&ring, "writable first", 0, -EIO);
	probe_verdict();
}

/* G-18: 4 GiB in one chain */
static void a_chain_of_4_gib_is_refused(void **state)
{
	struct ring ring;
	int outcome;

	ring_open(&ring, *state);
	if (fe_memory_add(&ring.client.memory, UINT64_C(1) << 32,
			  UINT64_C(1) << 31) != 1) {
		ring_close(&ring);
		skip();
	}
	assert_int_equal(fe_session_add_region(&ring.client.session,
					       &ring.client.memory.regions[1]),
			 0);
	for (uint16_t i = 3; i < 7; i++)
		ring_set(&ring.desc[i], UINT64_C(1) << 32, 0x7fffffff,
			 NEXT | WRITE, (uint16_t)(i < 6 ? i + 1 : 2));
	ring.desc[0].next = 3;
	ring_push(&ring, 0);
	outcome = ring_wait(&ring);
	assert_true(outcome == -EIO || outcome == -EPIPE);
	assert_int_equal(client_check_io(&ring.client, 1, 1), 0);
	ring_close(&ring);
}

/* Run n I/Os from this index on. */
static int io_from(const struct server *server, uint16_t base)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	int error = client_connect(&client, server, NULL);

	if (!error)
		error = client_prepare(&client, NULL);
	if (!error)
		error = fe_session_set_memory(&client.session, &client.memory);
	vring->next_avail = base;
	vring->published = base;
	vring->next_used = base;
	vring->avail->idx = base;
	vring->used->idx = base;
	if (!error)
		error = fe_session_start_vring(&client.session, vring, 0, base);
	for (uint8_t i = 0; i < 100 && !error; i++)
		error = client_check_io(&client, 0, i);
	client_close(&client);
	return error;
}

static void the_index_wraps(void **state)
{
	const uint16_t bases[] = { 1, 32767, 65500, 65535 };

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		probe_expect("base", bases[i], io_from(*state, bases[i]), 0);
	probe_verdict();
}

/* G-25: as many as there are entries, at once, over and over */
static void a_full_ring_is_served(void **state)
{
	const struct client_options options = {
		.queue_size = 16,
		.depth = 16,
		.data_bytes = 4096,
	};
	struct client client;
	struct fe_blk *blk = &client.blks[0];
	struct fe_blk_request *request;

	assert_int_equal(client_open(&client, *state, &options), 0);
	for (unsigned int round = 0; round < 200; round++) {
		while ((request = fe_blk_get(blk))) {
			request->data_bytes = 512;
			request->framing.indirect = true;
			assert_true(fe_blk_add(request) >= 0);
		}
		assert_int_equal(client.vrings[0].nr_free, 0);
		fe_vring_submit(&client.vrings[0]);
		while (blk->nr_under_way) {
			assert_int_equal(
				fe_vring_wait(blk->vring, FE_PATIENCE_MSEC), 0);
			while (fe_blk_reap(blk, &request) > 0) {
				assert_int_equal(fe_blk_result(request), 0);
				fe_blk_put(request);
			}
		}
	}
	client_close(&client);
}

/* 2.7.7.2, 2.7.8: what a guest writes there hurts only itself */
static void the_used_ring_and_the_flags_may_be_scribbled_on(void **state)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];

	assert_int_equal(client_open(&client, *state, NULL), 0);
	for (uint8_t i = 0; i < 200; i++) {
		vring->used->flags = (uint16_t)(i * 257);
		vring->avail->flags = (uint16_t)(i << 1);
		memset(&vring->used->ring[(vring->next_used + 1) % vring->size],
		       0xff, sizeof(vring->used->ring[0]));
		assert_int_equal(client_check_io(&client, 0, i), 0);
	}
	/* our own index is lost now, the device's is not */
	vring->used->idx += 100;
	assert_int_equal(fe_session_sync(&client.session), 0);
	client_close(&client);
	assert_int_equal(client_fresh_io(*state), 0);
}

/* S-34: data = the ring, the status byte, the descriptor: memory-safe */
static void data_may_lie_over_the_ring_itself(void **state)
{
	struct ring ring;
	struct fe_vring *vring = &ring.client.vrings[0];
	uint64_t addrs[5];

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		ring_open(&ring, *state);
		addrs[0] = vring->desc_addr;
		addrs[1] = vring->avail_addr;
		addrs[2] = vring->used_addr;
		addrs[3] = ring.request->data_addr + RING_DATA_BYTES;
		addrs[4] = ring.request->data_addr - FE_BLK_HEADER_BYTES;
		ring.desc[1].addr = addrs[i];
		ring.desc[1].len = 512;
		ring_push(&ring, 0);
		/* whatever becomes of it */
		fe_vring_wait(vring, 200);
		probe_expect("data over the ring", i,
			     fe_session_sync(&ring.client.session), 0);
		probe_expect("data over the ring", i,
			     client_check_io(&ring.client, 1, 1), 0);
		ring_close(&ring);
	}
	assert_int_equal(client_fresh_io(*state), 0);
	probe_verdict();
}

/* D-16: Windows puts the same page into several buffers of one read */
static void one_page_may_be_in_many_buffers(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	ring_set(&ring.desc[3], ring.request->data_addr, 2048, NEXT | WRITE, 4);
	ring_set(&ring.desc[4], ring.request->data_addr, 2048, NEXT | WRITE, 2);
	ring.desc[0].next = 3;
	push_and_expect(&ring, "the same page twice", 0, 0);
	probe_verdict();
}

/* G-20: malformed requests that are answered cost no slot */
static void ten_thousand_bad_chains_lose_no_slot(void **state)
{
	struct ring ring;

	ring_open(&ring, *state);
	ring.desc[1].addr = UINT64_C(1) << 40;
	for (unsigned int i = 0; i < 10000; i++) {
		ring_push(&ring, 0);
		assert_int_equal(ring_wait(&ring), -EIO);
	}
	ring.desc[1].addr = ring.request->data_addr;
	push_and_expect(&ring, "good at last", 0, 0);
	probe_verdict();
}

struct scribbler {
	struct ring *ring;
	atomic_bool stop;
};

/* Rewrite every field of the chain, over and over. */
static void *scribble(void *opaque)
{
	struct scribbler *scribbler = opaque;
	volatile struct vring_desc *desc = scribbler->ring->desc;
	volatile struct vring_desc *table = scribbler->ring->table;
	uint64_t good = scribbler->ring->request->data_addr;
	unsigned int seed = 1;

	while (!atomic_load(&scribbler->stop)) {
		volatile struct vring_desc *at =
			rand_r(&seed) % 2 ? &desc[rand_r(&seed) % 3] :
					    &table[rand_r(&seed) % 3];

		at->addr = rand_r(&seed) % 4 ? good :
					       (uint64_t)rand_r(&seed) << 20;
		at->len = (uint32_t)rand_r(&seed) % 8192;
		at->flags = (uint16_t)(rand_r(&seed) % 8);
		at->next = (uint16_t)(rand_r(&seed) % 4);
	}
	return NULL;
}

/* R-24, G-08: each field is looked at once */
static void fields_that_change_all_the_time_are_harmless(void **state)
{
	uint64_t deadline = fe_deadline(3000);
	struct ring ring;
	struct scribbler scribbler = { .ring = &ring };
	struct fe_vring *vring = &ring.client.vrings[0];
	pthread_t thread;
	uint32_t base;

	ring_open(&ring, *state);
	ring_use_table(&ring);
	assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler),
			 0);
	while (fe_now_usec() < deadline) {
		ring_push(&ring, (uint16_t)(vring->next_avail % 3));
		if (fe_vring_wait(vring, 20) == 0) {
			vring->next_used = vring->used->idx;
			continue;
		}
		/* broken: set it up anew */
		assert_int_equal(
			fe_session_get_base(&ring.client.session, 0, &base), 0);
		fe_vring_reset(vring);
		fe_eventfd_wait(vring->err_fd, 0);
		assert_int_equal(fe_session_start_vring(&ring.client.session,
							vring, 0, 0),
				 0);
	}
	assert_int_equal(client_check_io(&ring.client, 1, 1), 0);
	atomic_store(&scribbler.stop, true);
	pthread_join(thread, NULL);
	ring_close(&ring);
	assert_int_equal(client_fresh_io(*state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(an_index_that_jumps_breaks_the_ring),
		WITH_SERVER(a_head_beyond_the_ring_breaks_it),
		WITH_SERVER(a_next_beyond_the_ring_breaks_it),
		WITH_SERVER(a_loop_of_descriptors_breaks_the_ring),
		WITH_SERVER(an_indirect_table_of_a_wrong_size_breaks_the_ring),
		WITH_SERVER(an_indirect_table_outside_memory_breaks_the_ring),
		WITH_SERVER(nested_and_continued_tables_break_the_ring),
		WITH_SERVER(a_head_given_twice_is_harmless),
		WITH_SERVER(odd_but_legal_chains_work),
		WITH_SERVER(descriptors_of_no_bytes_are_left_out),
		WITH_SERVER(indirect_works_unnegotiated),
		WITH_SERVER(writable_before_readable_is_answered_with_an_error),
		WITH_SERVER(a_chain_of_4_gib_is_refused),
		WITH_SERVER(the_index_wraps),
		WITH_SERVER(a_full_ring_is_served),
		WITH_SERVER(the_used_ring_and_the_flags_may_be_scribbled_on),
		WITH_SERVER(data_may_lie_over_the_ring_itself),
		WITH_SERVER(one_page_may_be_in_many_buffers),
		WITH_SERVER(ten_thousand_bad_chains_lose_no_slot),
		WITH_SERVER(fields_that_change_all_the_time_are_harmless),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("rings", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* memory - the map changes under load, and requests cross its borders */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define MIB (UINT64_C(1) << 20)

/* S-29: the ring's own memory goes and comes back */
static void the_region_of_a_live_ring_may_be_removed(void **state)
{
	const struct server *server = *state;
	struct client client;
	const struct fe_region *region = &client.memory.regions[0];
	struct fe_blk_request *request;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(client_check_io(&client, 0, (uint8_t)i), 0);
		assert_int_equal(
			fe_session_remove_region(&client.session, region), 0);
		request = fe_blk_get(&client.blks[0]);
		request->data_bytes = 512;
		assert_true(fe_blk_add(request) >= 0);
		fe_vring_submit(&client.vrings[0]);
		assert_int_equal(fe_session_sync(&client.session), 0);
		assert_false(fe_vring_has_used(&client.vrings[0]));
		/* it cannot run without memory, and says so */
		assert_int_equal(fe_eventfd_wait(client.vrings[0].err_fd,
						 FE_PATIENCE_MSEC),
				 1);
		assert_int_equal(fe_session_add_region(&client.session, region),
				 0);
		assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
		assert_int_equal(fe_blk_result(request), 0);
		fe_blk_put(request);
	}
	client_close(&client);
}

#define CHANGES	     10000
#define CHANGES_MSEC 10000 /* as many as go into that */

struct loader {
	pthread_t thread;
	struct client *client;
	atomic_uint nr_rounds;
	atomic_int error;
	atomic_bool stop;
};

static void *load(void *opaque)
{
	struct loader *loader = opaque;

	while (!loader->error && !atomic_load(&loader->stop)) {
		loader->error = client_load(loader->client, 0, 64);
		loader->nr_rounds++;
	}
	return NULL;
}

static void begin_load(struct loader *loader, struct client *client)
{
	*loader = (struct loader){ .client = client };
	assert_int_equal(pthread_create(&loader->thread, NULL, load, loader),
			 0);
}

/* Once it has come through something, while what is tested went on. */
static bool has_worked(struct loader *loader)
{
	return atomic_load(&loader->nr_rounds) > 1 ||
	       atomic_load(&loader->error);
}

static void end_load(struct loader *loader)
{
	atomic_store(&loader->stop, true);
	pthread_join(loader->thread, NULL);
	assert_int_equal(loader->error, 0);
}

/* F-17, D-07, S-30: the same memory mapped anew, again and again, under load */
static void the_table_is_replaced_under_load(void **state)
{
	const struct client_options options = {
		.refused_protocol = FE_PROTOCOL_MEM_SLOTS,
	};
	uint64_t deadline = fe_deadline(CHANGES_MSEC);
	struct client client;
	struct loader loader;

	assert_int_equal(client_open(&client, *state, &options), 0);
	begin_load(&loader, &client);
	for (unsigned int i = 0;
	     (i < CHANGES && fe_now_usec() < deadline) || !has_worked(&loader);
	     i++)
		assert_int_equal(fe_session_set_table(&client.session,
						      &client.memory),
				 0);
	end_load(&loader);
	client_close(&client);
}

/* S-30: regions come and go while I/O runs in another one */
static void regions_come_and_go_under_load(void **state)
{
	const struct server *server = *state;
	uint64_t deadline;
	struct client client;
	struct loader loader;
	struct footprint before;
	struct fe_region *region;

	/* so that all threads that it ever has are there */
	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_load(&client, 0, 1000), 0);
	client_close(&client);
	assert_int_equal(client_footprint(server, &before), 0);
	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_memory_add(&client.memory, 1024 * MIB, MIB), 1);
	region = &client.memory.regions[1];
	begin_load(&loader, &client);
	deadline = fe_deadline(CHANGES_MSEC);
	for (unsigned int i = 0;
	     (i < CHANGES && fe_now_usec() < deadline) || !has_worked(&loader);
	     i++) {
		assert_int_equal(fe_session_add_region(&client.session, region),
				 0);
		assert_int_equal(
			fe_session_remove_region(&client.session, region), 0);
	}
	end_load(&loader);
	client_close(&client);
	assert_true(client_footprint_same(server, &before));
}

/* Read and write with data at addr, directly or through an indirect table. */
static int io_at(struct client *client, uint64_t addr, uint32_t bytes,
		 uint64_t table)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	int error;

	request->type = VIRTIO_BLK_T_IN;
	request->data_bytes = bytes;
	error = fe_blk_cut(request, pieces, &buffers);
	if (error)
		return error;
	pieces[1].guest_addr = addr;
	buffers.table = table;
	error = fe_vring_add(&client->vrings[0], &buffers, request);
	if (error < 0)
		return error;
	client->blks[0].nr_under_way++;
	fe_vring_submit(&client->vrings[0]);
	error = fe_blk_wait(request, FE_PATIENCE_MSEC);
	if (error)
		return error;
	error = fe_blk_result(request);
	if (!error && request->used_bytes != bytes + 1)
		error = -EBADMSG;
	fe_blk_put(request);
	return error;
}

/* Two regions that meet in the guest and nowhere else. */
static void open_with_meeting_regions(struct client *client,
				      const struct server *server)
{
	assert_int_equal(client_connect(client, server, NULL), 0);
	assert_int_equal(client_prepare(client, NULL), 0);
	assert_int_equal(fe_memory_add(&client->memory, 64 * MIB, 2 * MIB), 1);
	assert_int_equal(fe_memory_add(&client->memory, 66 * MIB, 2 * MIB), 2);
	assert_int_equal(client_start(client), 0);
}

/* F-01, G-11 */
static void a_buffer_across_regions_is_split(void **state)
{
	const struct server *server = *state;
	const uint64_t border = 66 * MIB;
	struct client client;
	uint8_t data[8192];
	uint8_t in[8192];

	open_with_meeting_regions(&client, server);
	client_fill(data, sizeof(data), 5);
	assert_int_equal(fe_blk_write(&client.blks[0], 0, data, sizeof(data)),
			 0);
	for (uint32_t before = 1; before < 8192; before += 511) {
		assert_int_equal(io_at(&client, border - before, sizeof(in), 0),
				 0);
		memcpy(in,
		       fe_memory_pointer(&client.memory, border - before,
					 before),
		       before);
		memcpy(in + before,
		       fe_memory_pointer(&client.memory, border,
					 sizeof(in) - before),
		       sizeof(in) - before);
		assert_true(client_filled(in, sizeof(in), 5));
	}
	client_close(&client);
}

/* F-01: a table in two regions, at any alignment */
static void an_indirect_table_across_regions_works(void **state)
{
	const struct server *server = *state;
	const uint64_t border = 66 * MIB;
	struct client client;
	struct fe_blk_request *request;
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	uint8_t table[64];
	uint64_t at;

	open_with_meeting_regions(&client, server);
	for (uint32_t before = 1; before < 48; before++) {
		request = fe_blk_get(&client.blks[0]);
		request->data_bytes = 4096;
		assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
		buffers.table = 64 * MIB;
		assert_true(fe_vring_add(&client.vrings[0], &buffers,
					 request) >= 0);
		client.blks[0].nr_under_way++;
		/* move the table to where the regions meet */
		memcpy(table, fe_memory_pointer(&client.memory, 64 * MIB, 48),
		       48);
		at = border - before;
		memcpy(fe_memory_pointer(&client.memory, at, before), table,
		       before);
		memcpy(fe_memory_pointer(&client.memory, border, 48 - before),
		       table + before, 48 - before);
		fe_vring_move_table(&client.vrings[0], at);
		fe_vring_submit(&client.vrings[0]);
		assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC), 0);
		assert_int_equal(fe_blk_result(request), 0);
		fe_blk_put(request);
	}
	client_close(&client);
}

/* F-01, G-11, G-12: in a hole, past the end, wrapping */
static void a_buffer_outside_memory_fails_that_request_alone(void **state)
{
	const struct server *server = *state;
	const uint64_t rows[] = {
		68 * MIB - 4096 + 1, /* one byte past the end */
		68 * MIB,	     /* right behind */
		UINT64_C(1) << 40,   /* in no region */
		64 * MIB - 1,	     /* begins in a hole */
		UINT64_MAX,
		UINT64_MAX - 4095,
		UINT64_MAX - 2048,
	};
	struct client client;

	open_with_meeting_regions(&client, server);
	assert_int_equal(io_at(&client, 68 * MIB - 4096, 4096, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		probe_expect("address", rows[i],
			     io_at(&client, rows[i], 4096, 0), -EIO);
		probe_expect("address, indirect", rows[i],
			     io_at(&client, rows[i], 4096, 64 * MIB), -EIO);
	}
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(the_region_of_a_live_ring_may_be_removed),
		WITH_SERVER(the_table_is_replaced_under_load),
		WITH_SERVER(regions_come_and_go_under_load),
		WITH_SERVER(a_buffer_across_regions_is_split),
		WITH_SERVER(an_indirect_table_across_regions_works),
		WITH_SERVER(a_buffer_outside_memory_fails_that_request_alone),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

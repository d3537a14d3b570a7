/* SPDX-License-Identifier: MIT */
/* ring-features - what a driver may ask of its rings beyond the usual */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

/* Reads and writes of all sizes, and flushes, which take longer. */
static void choose(struct fe_blk_request *request)
{
	static const uint32_t bytes[] = { 512, 65536, 4096, 16384, 1024 };
	unsigned int chance = (unsigned int)random();

	request->sector = chance % 512 * 8;
	request->data_bytes = bytes[chance % ARRAY_SIZE(bytes)];
	request->type = chance % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->framing.indirect = chance % 7 == 0;
	if (chance % 11 == 0) {
		request->type = VIRTIO_BLK_T_FLUSH;
		request->data_bytes = 0;
	}
}

static unsigned int add_some(struct fe_blk *blk, unsigned int most)
{
	struct fe_blk_request *request;
	unsigned int nr = 0;

	while (nr < most && (request = fe_blk_get(blk))) {
		choose(request);
		if (fe_blk_add(request) == -ENOSPC) {
			fe_blk_put(request);
			break;
		}
		nr++;
	}
	if (nr)
		fe_vring_submit(blk->vring);
	return nr;
}

/* Returns how many are done, or -errno; the vring sees to their order. */
static int reap_some(struct fe_blk *blk)
{
	struct fe_blk_request *request;
	int error = fe_vring_wait(blk->vring, FE_PATIENCE_MSEC);
	int nr = 0;
	int ret;

	while (!error && (ret = fe_blk_reap(blk, &request)) != 0) {
		error = ret < 0 ? ret : fe_blk_result(request);
		if (ret > 0)
			fe_blk_put(request);
		nr++;
	}
	return error ? error : nr;
}

static int mixed_load(struct client *client, unsigned int queue,
		      unsigned int nr)
{
	struct fe_blk *blk = &client->blks[queue];
	unsigned int nr_added = 0;
	unsigned int nr_done = 0;
	int ret;

	while (nr_done < nr) {
		nr_added += add_some(blk, nr - nr_added);
		ret = reap_some(blk);
		if (ret < 0)
			return ret;
		nr_done += (unsigned int)ret;
	}
	return 0;
}

static void open_with(struct client *client, const struct server *server,
		      uint64_t features, unsigned int nr_queues)
{
	const struct client_options options = {
		.unusual_features = features,
		.nr_queues = nr_queues,
		.memory_bytes = 64u << 20,
	};

	assert_int_equal(client_open(client, server, &options), 0);
	assert_int_equal(client->session.features & features, features);
}

/* virtio 1.3, 2.7.9 and 2.8.8; what is out of order fails the load */
static void chains_come_back_in_order(void **state)
{
	struct client client;

	srandom(1);
	open_with(&client, *state, FE_FEATURE_IN_ORDER, 4);
	for (unsigned int queue = 0; queue < 4; queue++)
		assert_int_equal(mixed_load(&client, queue, 1000), 0);
	client_close(&client);
}

/* Nothing that was pushed early is left behind when the ring stops. */
static void a_ring_in_order_stops_with_all_it_has(void **state)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint32_t base;

	srandom(2);
	open_with(&client, *state, FE_FEATURE_IN_ORDER, 1);
	for (unsigned int round = 0; round < 50; round++) {
		unsigned int nr = add_some(&client.blks[0], CLIENT_DEPTH);
		int ret;

		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		assert_true(client_is_drained(vring, base));
		while (client.blks[0].nr_under_way && nr) {
			if (!fe_vring_has_used(vring))
				break; /* not taken: it comes after the start */
			ret = reap_some(&client.blks[0]);
			assert_true(ret > 0);
			nr -= (unsigned int)ret;
		}
		assert_int_equal(fe_session_start_vring(&client.session, vring,
							0, base),
				 0);
		while (nr) {
			int more = reap_some(&client.blks[0]);

			assert_true(more > 0);
			nr -= (unsigned int)more;
		}
	}
	client_close(&client);
}

/* A chain that is rejected breaks its ring, which then begins anew. */
static void a_ring_in_order_breaks_and_begins_anew(void **state)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	struct fe_buffer header = { 0, 16 };
	const struct fe_buffers buffers = { .array = &header,
					    .nr_readable = 1 };
	uint32_t base;

	srandom(3);
	open_with(&client, *state, FE_FEATURE_IN_ORDER, 1);
	for (unsigned int round = 0; round < 10; round++) {
		add_some(&client.blks[0], 8);
		assert_true(fe_vring_add(vring, &buffers, vring) >= 0);
		fe_vring_submit(vring);
		add_some(&client.blks[0], 8);
		assert_int_equal(
			fe_eventfd_wait(vring->err_fd, FE_PATIENCE_MSEC), 1);
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		fe_vring_reset(vring);
		fe_blk_deinit(&client.blks[0]);
		assert_int_equal(fe_blk_init(&client.blks[0], vring, 0,
					     CLIENT_DEPTH, CLIENT_DATA_BYTES),
				 0);
		assert_int_equal(fe_session_start_vring(&client.session, vring,
							0,
							fe_vring_base(vring)),
				 0);
		assert_int_equal(mixed_load(&client, 0, 50), 0);
	}
	client_close(&client);
}

struct load {
	struct client *client;
	unsigned int queue;
	atomic_bool stop;
	int error;
	unsigned int nr_rounds;
	pthread_t thread;
};

static void *keep_loaded(void *opaque)
{
	struct load *load = opaque;

	do {
		load->error = client_load(load->client, load->queue, 50);
		load->nr_rounds++;
	} while (!load->error && !atomic_load(&load->stop));
	return NULL;
}

/* Behind all that the loads write */
#define OWN_SECTOR 10000

static int check_own_io(struct client *client, uint64_t seed)
{
	uint8_t data[4096];
	int error;

	client_fill(data, sizeof(data), seed);
	error = fe_blk_write(&client->blks[0], OWN_SECTOR, data, sizeof(data));
	memset(data, 0, sizeof(data));
	if (!error)
		error = fe_blk_read(&client->blks[0], OWN_SECTOR, data,
				    sizeof(data));
	if (error)
		return error;
	return client_filled(data, sizeof(data), seed) ? 0 : -EILSEQ;
}

/*
 * What a front-end does when the driver resets queue 0, with requests under
 * way, and then enables it. Returns 0 or -errno, since others load the client.
 */
static int reset_queue_0(struct client *client, uint32_t size)
{
	struct fe_vring *vring = &client->vrings[0];
	struct fe_vring before;
	uint64_t used_state;
	uint32_t base;
	int error;

	add_some(&client->blks[0], 4);
	error = fe_session_get_base(&client->session, 0, &base);
	before = *vring;
	used_state = client_used_state(&before);
	fe_blk_deinit(&client->blks[0]);
	fe_vring_deinit(vring);
	if (!error)
		error = fe_vring_init(vring, &client->memory, 0, size,
				      client->session.features);
	if (!error)
		error = fe_blk_init(&client->blks[0], vring, 0, 4, 65536);
	if (!error)
		error = fe_session_start_vring(&client->session, vring, 0,
					       fe_vring_base(vring));
	if (!error)
		error = check_own_io(client, size);
	/* nobody has an interest in the old ring any more */
	if (!error && (client_used_state(&before) != used_state ||
		       vring->desc_addr == before.desc_addr))
		error = -EBUSY;
	return error;
}

/*
 * virtio 1.3, 2.6.1: one queue is reset, and set up anew with another size at
 * another place, while the others run.
 */
static void a_queue_is_reset_while_its_siblings_run(void **state)
{
	static const uint32_t sizes[] = { 64, 8, 256, 4, 128, 16 };
	struct client client;
	struct load loads[2];
	int error = 0;

	srandom(4);
	open_with(&client, *state, FE_FEATURE_RING_RESET, 3);
	for (unsigned int i = 0; i < 2; i++) {
		loads[i] = (struct load){ .client = &client, .queue = i + 1 };
		assert_int_equal(pthread_create(&loads[i].thread, NULL,
						keep_loaded, &loads[i]),
				 0);
	}
	for (unsigned int round = 0; round < 60 && !error; round++)
		error = reset_queue_0(&client,
				      sizes[round % ARRAY_SIZE(sizes)]);
	for (unsigned int i = 0; i < 2; i++) {
		atomic_store(&loads[i].stop, true);
		assert_int_equal(pthread_join(loads[i].thread, NULL), 0);
		assert_int_equal(loads[i].error, 0);
		assert_true(loads[i].nr_rounds > 0);
	}
	assert_int_equal(error, 0);
	client_close(&client);
}

/* A queue that broke is whole after a reset, its siblings never notice. */
static void a_reset_mends_a_broken_queue(void **state)
{
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	struct fe_buffer header = { 0, 16 };
	const struct fe_buffers buffers = { .array = &header,
					    .nr_readable = 1 };

	open_with(&client, *state, FE_FEATURE_RING_RESET, 2);
	for (unsigned int round = 0; round < 5; round++) {
		assert_true(fe_vring_add(vring, &buffers, vring) >= 0);
		fe_vring_submit(vring);
		assert_int_equal(
			fe_eventfd_wait(vring->err_fd, FE_PATIENCE_MSEC), 1);
		assert_int_equal(reset_queue_0(&client, 32), 0);
		assert_int_equal(client_check_io(&client, 1, 1), 0);
	}
	client_close(&client);
}

/* The data stay with the front-end: a kick is one on an eventfd as ever. */
static void a_driver_may_put_data_into_its_kicks(void **state)
{
	struct client client;

	open_with(&client, *state, FE_FEATURE_NOTIFICATION_DATA, 2);
	for (unsigned int queue = 0; queue < 2; queue++)
		assert_int_equal(client_load(&client, queue, 200), 0);
	client_close(&client);
}

/* Completes one request with calls suppressed; returns what came of it. */
static int64_t calls_when_suppressed(struct client *client)
{
	struct fe_vring *vring = &client->vrings[0];
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	int64_t calls;

	fe_vring_suppress_calls(vring);
	assert_int_equal(client_settle(client, 0), 0);
	request->data_bytes = 512;
	assert_true(fe_blk_add(request) >= 0);
	fe_vring_submit(vring);
	while (!fe_vring_has_used(vring) && fe_now_usec() < deadline)
		sched_yield();
	assert_true(fe_vring_has_used(vring));
	/* whatever the device decided on is done when the ring has stopped */
	assert_int_equal(fe_session_set_state(&client->session,
					      FE_SET_VRING_ENABLE, 0, 0),
			 0);
	calls = fe_eventfd_wait(vring->call_fd, 0);
	assert_int_equal(fe_session_set_state(&client->session,
					      FE_SET_VRING_ENABLE, 0, 1),
			 0);
	assert_int_equal(fe_blk_reap(&client->blks[0], &request), 1);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
	return calls;
}

/*
 * virtio 1.3, 6.3: for legacy drivers, whose rings are split. On a packed ring
 * it has no effect.
 */
static void an_empty_ring_notifies_an_old_driver(void **state)
{
	int64_t calls = client_rings_are_packed() ? -ETIMEDOUT : 1;
	struct client client;

	open_with(&client, *state, FE_FEATURE_NOTIFY_ON_EMPTY, 1);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(calls_when_suppressed(&client), calls);
	client_close(&client);

	/* without it, suppressed means suppressed (but for the first) */
	assert_int_equal(
		client_open(&client, *state,
			    &(const struct client_options){
				    .refused_features = FE_FEATURE_EVENT_IDX }),
		0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(calls_when_suppressed(&client), -ETIMEDOUT);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(chains_come_back_in_order),
		WITH_SERVER(a_ring_in_order_stops_with_all_it_has),
		WITH_SERVER(a_ring_in_order_breaks_and_begins_anew),
		WITH_SERVER(a_queue_is_reset_while_its_siblings_run),
		WITH_SERVER(a_reset_mends_a_broken_queue),
		WITH_SERVER(a_driver_may_put_data_into_its_kicks),
		WITH_SERVER(an_empty_ring_notifies_an_old_driver),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("ring-features", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * endurance - what happens again and again leaves nothing behind
 *
 * Catalogue F-02, F-17, G-22. Sessions come and go, rings stop and start under
 * load, memory comes and goes under load; fds, mappings and resident memory
 * are then what they were, and the next front-end is served.
 *
 * RINGHOST_SOAK=1: the full numbers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/hostile.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define QUEUES	   2
#define EXTRA_ADDR (UINT64_C(1) << 32)

static const struct client_options options = {
	.nr_queues = QUEUES,
	.data_bytes = 16384,
};

/* What was done and has left nothing behind, for the last line */
static char summary[256];

static void fill_queue(struct client *client, unsigned int queue, uint64_t i)
{
	struct fe_blk *blk = &client->blks[queue];
	struct fe_blk_request *request;

	while ((request = fe_blk_get(blk))) {
		request->type = i % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		request->sector = i++ % 512 * 8;
		request->data_bytes = 16384;
		assert_int_equal(fe_blk_add(request), 0);
	}
	fe_vring_submit(blk->vring);
}

/* All that was asked comes back well. */
static void reap_queue(struct client *client, unsigned int queue)
{
	struct fe_blk *blk = &client->blks[queue];
	struct fe_blk_request *request;

	while (blk->nr_under_way) {
		assert_int_equal(fe_vring_wait(blk->vring, FE_PATIENCE_MSEC),
				 0);
		while (fe_blk_reap(blk, &request) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
	}
}

static void open_client(struct client *client, const struct server *server)
{
	assert_int_equal(client_open(client, server, &options), 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_int_equal(client_check_io(client, i, (uint8_t)i), 0);
}

static void assert_flat(const struct server *server,
			const struct footprint *before, const char *what,
			unsigned int nr)
{
	struct footprint after;

	assert_int_equal(client_footprint(server, &after), 0);
	printf("# %u %s: fds %d -> %d, mappings %d -> %d, resident %lld -> "
	       "%lld KiB\n",
	       nr, what, before->nr_fds, after.nr_fds, before->nr_maps,
	       after.nr_maps, (long long)before->rss_bytes / 1024,
	       (long long)after.rss_bytes / 1024);
	assert_true(client_footprint_same(server, before));
	snprintf(summary + strlen(summary), sizeof(summary) - strlen(summary),
		 "%s%u %s", summary[0] ? ", " : "", nr, what);
}

/* A session, I/O on two rings, its end; each third one in the middle of it. */
static void sessions_leave_nothing_behind(void **state)
{
	const unsigned int nr = hostile_volume(150, 10000);
	const struct server *server = *state;
	struct footprint before;
	struct client client;

	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < nr; i++) {
		open_client(&client, server);
		if (i % 3 == 0)
			fill_queue(&client, i % QUEUES, i);
		client_close(&client);
	}
	assert_flat(server, &before, "sessions", nr);
}

/* F-13: all that was taken is answered when the ring has stopped. */
static void rings_that_stop_under_load_leave_nothing_behind(void **state)
{
	const unsigned int nr = hostile_volume(60, 1000);
	const struct server *server = *state;
	struct footprint before;
	struct client client;
	uint32_t base;

	assert_int_equal(client_footprint(server, &before), 0);
	open_client(&client, server);
	for (unsigned int i = 0; i < nr; i++) {
		fill_queue(&client, 0, i);
		fill_queue(&client, 1, i);
		assert_int_equal(fe_session_get_base(&client.session,
						     i % QUEUES, &base),
				 0);
		assert_int_equal(
			fe_session_start_vring(&client.session,
					       &client.vrings[i % QUEUES],
					       i % QUEUES, base),
			0);
		reap_queue(&client, 0);
		reap_queue(&client, 1);
	}
	client_close(&client);
	assert_flat(server, &before, "stops of a ring under load", nr);
}

/* F-17: a map that is replaced while requests use it */
static void memory_that_comes_and_goes_leaves_nothing_behind(void **state)
{
	const unsigned int nr = hostile_volume(30, 500);
	const struct server *server = *state;
	struct footprint before;
	struct client client;

	assert_int_equal(client_footprint(server, &before), 0);
	open_client(&client, server);
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(
			fe_memory_add(&client.memory, EXTRA_ADDR, 1u << 20), 1);
		fill_queue(&client, 0, i);
		fill_queue(&client, 1, i);
		assert_int_equal(
			fe_session_add_region(&client.session,
					      &client.memory.regions[1]),
			0);
		reap_queue(&client, 0);
		fill_queue(&client, 0, i);
		assert_int_equal(
			fe_session_remove_region(&client.session,
						 &client.memory.regions[1]),
			0);
		reap_queue(&client, 0);
		reap_queue(&client, 1);
		fe_memory_remove_last(&client.memory);
	}
	client_close(&client);
	assert_flat(server, &before, "changes of memory under load", 2 * nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(sessions_leave_nothing_behind),
		WITH_SERVER(rings_that_stop_under_load_leave_nothing_behind),
		WITH_SERVER(memory_that_comes_and_goes_leaves_nothing_behind),
	};
	int nr_failed;

	if (server_is_missing())
		return 0;
	nr_failed = cmocka_run_group_tests_name("endurance", tests, NULL, NULL);
	printf("# endurance: flat after %s\n",
	       summary[0] ? summary : "nothing");
	return nr_failed;
}

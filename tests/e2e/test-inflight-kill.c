/* SPDX-License-Identifier: MIT */
/*
 * inflight-kill - the server is killed under load, and its successor goes on
 *
 * D-03, D-04. Each request slot of the driver has a place of its own on the
 * disk and writes to it again and again, one number higher each time, at
 * times reading back. A request that was lost never completes. A write that
 * is done again after it had completed puts back an old number, or whatever
 * its buffer holds by then; so after each recovery the image must hold the
 * last number that each slot has seen completed, and no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/client.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/inflight.h"

#define DEPTH	    16
#define PLACE_BYTES 4096u
#define KILLS	    12
#define MOST_LOAD   400 /* completions before a kill */

struct place {
	uint64_t written; /* the last number that completed */
	uint64_t under_way;
	bool reads;
	bool busy;
};

struct load {
	struct server server;
	struct client client;
	struct fe_inflight inflight;
	struct client_options options;
	bool indirect;
	uint64_t protocol; /* besides the usual ones */
	unsigned int seed;
	uint64_t nr_done;
	struct place places[CLIENT_MAX_QUEUES][DEPTH];
};

static uint64_t place_number(const struct load *load, const struct place *place)
{
	return (uint64_t)(place - &load->places[0][0]);
}

/* What a place holds after the write with this number. */
static uint64_t content(uint64_t place, uint64_t number)
{
	return number ? place << 40 | number : 0;
}

static bool holds(const void *data, uint64_t value)
{
	const uint64_t *words = data;

	for (unsigned int i = 0; i < PLACE_BYTES / sizeof(*words); i++) {
		if (words[i] != value)
			return false;
	}
	return true;
}

static void add_one(struct load *load, struct fe_blk_request *request)
{
	struct place *place = request->user;
	uint64_t number = place_number(load, place);
	uint64_t *words = (uint64_t *)request->data;

	place->reads = rand_r(&load->seed) % 4 == 0;
	place->busy = true;
	place->under_way = place->reads ? place->written : place->written + 1;
	request->sector = number * PLACE_BYTES / 512;
	request->data_bytes = PLACE_BYTES;
	request->type = place->reads ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->framing = (struct fe_framing){
		.indirect = load->indirect && rand_r(&load->seed) % 2,
		.data_piece_bytes = rand_r(&load->seed) % 2 ? 1024 : 0,
	};
	for (unsigned int i = 0; i < PLACE_BYTES / sizeof(*words); i++)
		words[i] = place->reads ? UINT64_MAX :
					  content(number, place->under_way);
	assert_int_equal(fe_blk_add(request), 0);
}

static void finish_one(struct load *load, struct fe_blk_request *request)
{
	struct place *place = request->user;

	assert_int_equal(fe_blk_result(request), 0);
	if (place->reads)
		assert_true(
			holds(request->data, content(place_number(load, place),
						     place->written)));
	place->written = place->under_way;
	place->busy = false;
	/* what a buffer holds afterwards must never get to the disk */
	memset(request->data, 0xee, PLACE_BYTES);
	load->nr_done++;
}

/* Take what is done, and put new requests in its place if it goes on. */
static unsigned int turn(struct load *load, unsigned int queue, bool go_on)
{
	struct fe_blk *blk = &load->client.blks[queue];
	struct fe_blk_request *request;
	unsigned int nr = 0;
	int ret;

	while ((ret = fe_blk_reap(blk, &request)) > 0) {
		finish_one(load, request);
		if (go_on)
			add_one(load, request);
		nr++;
	}
	assert_int_equal(ret, 0);
	if (go_on && nr)
		fe_vring_submit(blk->vring);
	return nr;
}

static void begin_load(struct load *load)
{
	for (unsigned int q = 0; q < load->client.nr_queues; q++) {
		struct fe_blk *blk = &load->client.blks[q];

		for (unsigned int i = 0; i < DEPTH; i++) {
			struct fe_blk_request *request = &blk->slots[i];

			request->user = &load->places[q][i];
			add_one(load, request);
		}
		fe_vring_submit(blk->vring);
	}
}

static void run_load(struct load *load, uint64_t nr)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint64_t end = load->nr_done + nr;

	while (load->nr_done < end) {
		unsigned int done = 0;

		for (unsigned int q = 0; q < load->client.nr_queues; q++)
			done += turn(load, q, true);
		if (done)
			deadline = fe_deadline(FE_PATIENCE_MSEC);
		assert_true(fe_now_usec() < deadline);
	}
}

static bool any_busy(const struct load *load)
{
	for (unsigned int q = 0; q < load->client.nr_queues; q++) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			if (load->places[q][i].busy)
				return true;
		}
	}
	return false;
}

static void finish_load(struct load *load)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (any_busy(load)) {
		for (unsigned int q = 0; q < load->client.nr_queues; q++)
			turn(load, q, false);
		assert_true(fe_now_usec() < deadline);
	}
}

static void check_image(const struct load *load)
{
	cleanup_close int fd = open(load->server.image, O_RDONLY | O_CLOEXEC);
	uint8_t data[PLACE_BYTES] __attribute__((aligned(8)));

	assert_true(fd >= 0);
	for (unsigned int q = 0; q < load->client.nr_queues; q++) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			const struct place *place = &load->places[q][i];
			uint64_t number = place_number(load, place);

			assert_int_equal(pread(fd, data, sizeof(data),
					       (off_t)(number * PLACE_BYTES)),
					 sizeof(data));
			assert_true(
				holds(data, content(number, place->written)));
		}
	}
}

static void negotiate(struct load *load)
{
	struct fe_session *session = &load->client.session;
	uint64_t features = FE_USUAL_FEATURES;

	if (client_rings_are_packed())
		features |= FE_FEATURE_PACKED;
	assert_int_equal(fe_session_connect(session, load->server.socket), 0);
	assert_int_equal(fe_session_negotiate(session, features,
					      FE_USUAL_PROTOCOL |
						      load->protocol),
			 0);
	assert_true(session->protocol & FE_PROTOCOL_INFLIGHT);
}

static void open_load(struct load *load, unsigned int nr_queues, bool indirect)
{
	load->indirect = indirect;
	load->seed = nr_queues;
	load->options.nr_queues = nr_queues;
	/* room for header, four pieces and status of all, direct */
	load->options.queue_size = 128;
	load->options.depth = DEPTH;
	fe_inflight_init(&load->inflight);
	assert_int_equal(server_start(&load->server, NULL), 0);
	negotiate(load);
	assert_int_equal(fe_session_get_inflight(&load->client.session,
						 (uint16_t)nr_queues, 128,
						 &load->inflight),
			 0);
	assert_int_equal(fe_session_set_inflight(&load->client.session,
						 &load->inflight),
			 0);
	assert_int_equal(client_prepare(&load->client, &load->options), 0);
	assert_int_equal(client_start(&load->client), 0);
}

static void close_load(struct load *load)
{
	client_close(&load->client);
	fe_inflight_deinit(&load->inflight);
	assert_int_equal(server_stop(&load->server), 0);
}

/* The base that a VMM knows of a back-end that died: the one before it ran. */
static void reconnect(struct load *load)
{
	struct client *client = &load->client;
	uint32_t base = client_rings_are_packed() ? 0x80008000u : 0;

	fe_session_deinit(&client->session);
	negotiate(load);
	assert_int_equal(
		fe_session_set_inflight(&client->session, &load->inflight), 0);
	assert_int_equal(
		fe_session_set_memory(&client->session, &client->memory), 0);
	for (unsigned int q = 0; q < client->nr_queues; q++)
		assert_int_equal(fe_session_start_vring(&client->session,
							&client->vrings[q], q,
							base),
				 0);
}

static void kill_under_load(unsigned int nr_queues, bool indirect)
{
	struct load *load = calloc(1, sizeof(*load));

	assert_non_null(load);
	open_load(load, nr_queues, indirect);
	for (unsigned int i = 0; i < KILLS; i++) {
		begin_load(load);
		run_load(load, (uint64_t)rand_r(&load->seed) % MOST_LOAD);
		assert_int_equal(server_kill_and_restart(&load->server, NULL),
				 0);
		reconnect(load);
		/* what it takes up, and new requests behind it */
		if (i % 2)
			run_load(load, 2 * DEPTH);
		finish_load(load);
		check_image(load);
	}
	close_load(load);
	free(load);
}

/* D-03, D-04 */
static void a_queue_survives_its_server(void **state)
{
	(void)state;
	kill_under_load(1, false);
}

/* D-04 */
static void a_queue_of_indirect_tables_survives_its_server(void **state)
{
	(void)state;
	kill_under_load(1, true);
}

/* D-04 */
static void four_queues_survive_their_server(void **state)
{
	(void)state;
	kill_under_load(4, false);
}

/* D-04 */
static void four_queues_of_indirect_tables_survive_their_server(void **state)
{
	(void)state;
	kill_under_load(4, true);
}

/* D-03: killed before it has got as far as anything, and again and again */
static void kills_in_a_row_are_survived(void **state)
{
	struct load *load = calloc(1, sizeof(*load));

	(void)state;
	assert_non_null(load);
	open_load(load, 2, true);
	begin_load(load);
	for (unsigned int i = 0; i < KILLS; i++) {
		assert_int_equal(server_kill_and_restart(&load->server, NULL),
				 0);
		reconnect(load);
		run_load(load, i % 3);
	}
	finish_load(load);
	check_image(load);
	close_load(load);
	free(load);
}

static void stop_rings(struct load *load, uint32_t bases[CLIENT_MAX_QUEUES])
{
	struct client *client = &load->client;

	for (unsigned int q = 0; q < client->nr_queues; q++)
		assert_int_equal(
			fe_session_get_base(&client->session, q, &bases[q]), 0);
}

static void start_rings(struct load *load, uint32_t bases[CLIENT_MAX_QUEUES])
{
	struct client *client = &load->client;

	for (unsigned int q = 0; q < client->nr_queues; q++)
		assert_int_equal(fe_session_start_vring(&client->session,
							&client->vrings[q], q,
							bases[q]),
				 0);
}

/* Each stop leaves in the record what was not finished, and no byte moves. */
static void rings_stop_without_draining_and_lose_nothing(void **state)
{
	struct load *load = calloc(1, sizeof(*load));
	uint64_t used[CLIENT_MAX_QUEUES];
	uint32_t bases[CLIENT_MAX_QUEUES];

	(void)state;
	assert_non_null(load);
	load->protocol = FE_PROTOCOL_BASE_INFLIGHT;
	open_load(load, 4, true);
	assert_true(load->client.session.protocol & FE_PROTOCOL_BASE_INFLIGHT);
	begin_load(load);
	for (unsigned int i = 0; i < 60; i++) {
		run_load(load, (uint64_t)rand_r(&load->seed) % 100);
		stop_rings(load, bases);
		for (unsigned int q = 0; q < 4; q++)
			used[q] = client_used_state(&load->client.vrings[q]);
		usleep(2000);
		for (unsigned int q = 0; q < 4; q++)
			assert_int_equal(
				used[q],
				client_used_state(&load->client.vrings[q]));
		start_rings(load, bases);
	}
	finish_load(load);
	check_image(load);
	close_load(load);
	free(load);
}

static void stopping_without_draining_needs_the_record(void **state)
{
	struct fe_session session;
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	assert_int_equal(fe_session_connect(&session, server.socket), 0);
	assert_int_equal(fe_session_negotiate(&session, FE_USUAL_FEATURES,
					      FE_PROTOCOL_REPLY_ACK),
			 0);
	assert_int_equal(fe_session_set(&session, FE_SET_PROTOCOL_FEATURES,
					FE_PROTOCOL_REPLY_ACK |
						FE_PROTOCOL_BASE_INFLIGHT),
			 -EREMOTEIO);
	fe_session_deinit(&session);
	assert_int_equal(server_stop(&server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_survives_its_server),
		cmocka_unit_test(
			a_queue_of_indirect_tables_survives_its_server),
		cmocka_unit_test(four_queues_survive_their_server),
		cmocka_unit_test(
			four_queues_of_indirect_tables_survive_their_server),
		cmocka_unit_test(kills_in_a_row_are_survived),
		cmocka_unit_test(rings_stop_without_draining_and_lose_nothing),
		cmocka_unit_test(stopping_without_draining_needs_the_record),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* inflight - the record of requests under way, as a front-end sees it */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/inflight.h"

#define QUEUES	     2
#define MANY	     10000
#define SHORT_MSEC   100
#define PART_VERSION 8 /* offsets in both layouts */
#define PART_DESCS   10

struct world {
	struct client client;
	struct fe_inflight inflight;
};

static const struct client_options options = { .nr_queues = QUEUES };

static void connect_world(struct world *world, const struct server *server)
{
	memset(&world->client, 0, sizeof(world->client));
	fe_inflight_init(&world->inflight);
	assert_int_equal(client_connect(&world->client, server, &options), 0);
	assert_true(world->client.session.protocol & FE_PROTOCOL_INFLIGHT);
}

static int get_region(struct world *world)
{
	return fe_session_get_inflight(&world->client.session, QUEUES,
				       CLIENT_QUEUE_SIZE, &world->inflight);
}

static int set_region(struct world *world)
{
	return fe_session_set_inflight(&world->client.session,
				       &world->inflight);
}

/* Connected, with a region, and rings that are not started yet. */
static void prepare_world(struct world *world, const struct server *server)
{
	connect_world(world, server);
	assert_int_equal(get_region(world), 0);
	assert_int_equal(set_region(world), 0);
	assert_int_equal(client_prepare(&world->client, &options), 0);
}

static void close_world(struct world *world)
{
	client_close(&world->client);
	fe_inflight_deinit(&world->inflight);
}

static void get_inflight_fd_gives_a_region_of_zeroes(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
	struct world world;

	connect_world(&world, *state);
	assert_int_equal(get_region(&world), 0);
	assert_int_equal(world.inflight.wire.nr_queues, QUEUES);
	assert_int_equal(world.inflight.wire.queue_size, CLIENT_QUEUE_SIZE);
	assert_true(world.inflight.wire.mmap_bytes >=
		    QUEUES * (16 + CLIENT_QUEUE_SIZE * 16));
	for (uint64_t i = 0; i < world.inflight.wire.mmap_bytes; i++)
		assert_int_equal(world.inflight.bytes[i], 0);
	assert_int_equal(fcntl(world.inflight.fd, F_GET_SEALS) & seals, seals);
	close_world(&world);
}

/* F-05 */
static void asking_for_regions_again_and_again_holds_one(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct world world;
	int nr_maps;
	int nr_fds;

	assert_int_equal(client_footprint(server, &before), 0);
	connect_world(&world, server);
	assert_int_equal(get_region(&world), 0);
	/* the answer means that the message before is done with */
	assert_int_equal(fe_session_sync(&world.client.session), 0);
	nr_fds = server_nr_fds(server);
	nr_maps = server_nr_maps(server);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(get_region(&world), 0);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(set_region(&world), 0);
	assert_int_equal(fe_session_sync(&world.client.session), 0);
	assert_true(server_nr_fds(server) <= nr_fds);
	assert_true(server_nr_maps(server) <= nr_maps);
	close_world(&world);
	assert_true(client_footprint_same(server, &before));
}

static void spoil(struct fe_wire_inflight *wire, unsigned int i)
{
	static const struct fe_wire_inflight wild[] = {
		{ 0, 0, 0, 64, { 0 } },	    { 0, 0, 65535, 64, { 0 } },
		{ 0, 0, QUEUES, 0, { 0 } }, { 0, 0, QUEUES, 65535, { 0 } },
		{ 0, 0, 257, 64, { 0 } },
	};

	wire->nr_queues = wild[i].nr_queues;
	wire->queue_size = wild[i].queue_size;
}

/* F-06, S-43 */
static void queues_that_the_device_has_not_are_refused(void **state)
{
	struct fe_message message;
	struct world world;

	connect_world(&world, *state);
	assert_int_equal(get_region(&world), 0);
	for (unsigned int i = 0; i < 5; i++) {
		fe_message_init(&message, FE_SET_INFLIGHT_FD,
				sizeof(message.payload.inflight));
		message.payload.inflight = world.inflight.wire;
		spoil(&message.payload.inflight, i);
		probe_expect("set", i,
			     probe_message(&world.client, &message,
					   &world.inflight.fd, 1),
			     PROBE_NAK);
		fe_message_init(&message, FE_GET_INFLIGHT_FD,
				sizeof(message.payload.inflight));
		spoil(&message.payload.inflight, i);
		probe_expect("get", i,
			     probe_message(&world.client, &message, NULL, 0),
			     PROBE_NAK);
	}
	close_world(&world);
	probe_verdict();
}

/* F-06, S-43 */
static void a_region_that_is_not_in_its_file_is_refused(void **state)
{
	static const struct {
		uint64_t bytes;
		uint64_t offset;
	} wild[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ UINT64_MAX, 0 },
		{ UINT64_MAX - 4095, 8192 },
		{ 8192, UINT64_MAX - 4095 },
		{ 8192, 1 },
		{ 8192, UINT64_C(1) << 62 },
		{ UINT64_C(1) << 32, 0 },
	};
	struct fe_message message;
	struct world world;

	connect_world(&world, *state);
	assert_int_equal(get_region(&world), 0);
	for (unsigned int i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		fe_message_init(&message, FE_SET_INFLIGHT_FD,
				sizeof(message.payload.inflight));
		message.payload.inflight = world.inflight.wire;
		message.payload.inflight.mmap_bytes = wild[i].bytes;
		message.payload.inflight.mmap_offset = wild[i].offset;
		probe_expect("region", i,
			     probe_message(&world.client, &message,
					   &world.inflight.fd, 1),
			     PROBE_NAK);
	}
	close_world(&world);
	probe_verdict();
}

/* S-09 */
static void the_messages_need_their_feature_and_their_fd(void **state)
{
	const struct client_options without = {
		.refused_protocol = FE_PROTOCOL_INFLIGHT,
	};
	struct world world;
	struct client client;

	prepare_world(&world, *state);
	world.inflight.fd = -1;
	close_world(&world);
	fe_inflight_init(&world.inflight);
	assert_int_equal(client_connect(&client, *state, &without), 0);
	assert_int_equal(fe_session_get_inflight(&client.session, 1, 64,
						 &world.inflight),
			 -EREMOTEIO);
	assert_int_equal(fe_inflight_make(&world.inflight, 65536, 1, 64), 0);
	assert_int_equal(fe_session_set_inflight(&client.session,
						 &world.inflight),
			 -EREMOTEIO);
	fe_inflight_deinit(&world.inflight);
	client_close(&client);
}

static void the_region_does_not_change_under_running_rings(void **state)
{
	struct world world;

	prepare_world(&world, *state);
	assert_int_equal(client_start(&world.client), 0);
	assert_int_equal(client_check_io(&world.client, 0, 1), 0);
	assert_int_equal(set_region(&world), -EREMOTEIO);
	assert_int_equal(get_region(&world), -EREMOTEIO);
	assert_int_equal(client_check_io(&world.client, 0, 1), 0);
	close_world(&world);
}

/* A second session with the same memory, rings and region. */
static void connect_again(struct world *world, const struct server *server)
{
	struct fe_session *session = &world->client.session;
	uint64_t features = session->features;
	uint64_t protocol = session->protocol;

	fe_session_deinit(session);
	assert_int_equal(fe_session_connect(session, server->socket), 0);
	assert_int_equal(fe_session_negotiate(session, features, protocol), 0);
	assert_int_equal(set_region(world), 0);
	assert_int_equal(fe_session_set_memory(session, &world->client.memory),
			 0);
}

/* Start a ring, and ask for its position in the same breath. */
static uint32_t start_and_ask(struct world *world, uint32_t base)
{
	struct fe_session *session = &world->client.session;
	uint8_t bytes[2 * (FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES)];
	struct fe_message message;
	size_t nr_bytes;

	session->features &= ~FE_FEATURE_PROTOCOL; /* not to enable it yet */
	assert_int_equal(fe_session_start_vring(
				 session, &world->client.vrings[0], 0, base),
			 0);
	session->features |= FE_FEATURE_PROTOCOL;
	fe_message_init(&message, FE_SET_VRING_ENABLE,
			sizeof(message.payload.state));
	message.payload.state.num = 1;
	nr_bytes = fe_message_encode(&message, bytes);
	fe_message_init(&message, FE_GET_VRING_BASE,
			sizeof(message.payload.state));
	nr_bytes += fe_message_encode(&message, bytes + nr_bytes);
	assert_int_equal(fe_send_bytes(session->sock, bytes, nr_bytes, NULL, 0),
			 0);
	assert_int_equal(fe_message_receive(session->sock, &message,
					    session->timeout_msec, NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_GET_VRING_BASE);
	return message.payload.state.num;
}

/* What was completed would else be done again by whoever goes on from there. */
static void
a_ring_that_is_asked_at_once_stands_where_its_record_says(void **state)
{
	struct world world;
	uint32_t base;

	prepare_world(&world, *state);
	assert_int_equal(client_start(&world.client), 0);
	assert_int_equal(client_check_io(&world.client, 0, 1), 0);
	connect_again(&world, *state);
	base = start_and_ask(&world,
			     client_rings_are_packed() ? 0x80008000u : 0);
	assert_int_equal(base, fe_vring_base(&world.client.vrings[0]));
	close_world(&world);
}

static uint16_t word_at(const struct world *world, unsigned int offset)
{
	uint16_t value;

	memcpy(&value, world->inflight.bytes + offset, sizeof(value));
	return value;
}

static void a_started_ring_sets_its_part_up(void **state)
{
	struct world world;

	prepare_world(&world, *state);
	assert_int_equal(client_start(&world.client), 0);
	assert_int_equal(client_check_io(&world.client, 1, 1), 0);
	assert_int_equal(word_at(&world, PART_VERSION), 1);
	assert_int_equal(word_at(&world, PART_DESCS), CLIENT_QUEUE_SIZE);
	close_world(&world);
}

/* D-06: all other tests negotiate it and never send the messages, too */
static void without_a_region_all_works(void **state)
{
	struct world world;

	connect_world(&world, *state);
	assert_int_equal(client_prepare(&world.client, &options), 0);
	assert_int_equal(client_start(&world.client), 0);
	assert_int_equal(client_check_io(&world.client, 0, 1), 0);
	close_world(&world);
}

static void rings_stop_and_go_on_with_a_record(void **state)
{
	struct client *client;
	struct world world;
	uint32_t base;

	prepare_world(&world, *state);
	client = &world.client;
	assert_int_equal(client_start(client), 0);
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(client_load(client, 0, 40), 0);
		assert_int_equal(
			fe_session_get_base(&client->session, 0, &base), 0);
		/* every third time the driver begins anew */
		if (i % 3 == 2) {
			fe_vring_reset(&client->vrings[0]);
			base = fe_vring_base(&client->vrings[0]);
		}
		assert_int_equal(fe_session_start_vring(&client->session,
							&client->vrings[0], 0,
							base),
				 0);
	}
	assert_int_equal(client_check_io(client, 0, 1), 0);
	close_world(&world);
}

/* Leave with a region and come back with it. */
static void come_back(struct world *world, const struct server *server)
{
	struct fe_session *session = &world->client.session;

	fe_session_deinit(session);
	assert_int_equal(fe_session_connect(session, server->socket), 0);
	assert_int_equal(
		fe_session_negotiate(session,
				     FE_USUAL_FEATURES |
					     (client_rings_are_packed() ?
						      FE_FEATURE_PACKED :
						      0),
				     FE_USUAL_PROTOCOL),
		0);
}

static void a_ring_goes_on_in_the_next_session(void **state)
{
	struct client *client;
	struct world world;

	prepare_world(&world, *state);
	client = &world.client;
	assert_int_equal(client_start(client), 0);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(client_load(client, 0, 30 + i), 0);
		assert_int_equal(client_load(client, 1, 30), 0);
		come_back(&world, *state);
		assert_int_equal(set_region(&world), 0);
		assert_int_equal(client_start(client), 0);
	}
	assert_int_equal(client_check_io(client, 0, 1), 0);
	close_world(&world);
}

/* The chain at the beginning of the ring; offsets are the document's. */
static void record_packed(uint8_t *part, const struct vring_packed_desc *ring)
{
	const uint16_t last = 2; /* header, data, status */
	uint8_t *desc;

	for (uint16_t i = 0; i < CLIENT_QUEUE_SIZE; i++) {
		uint16_t next = i + 1;

		desc = part + 32 + 32 * i;
		memcpy(desc + 2, &next, sizeof(next));
		if (i > last)
			continue;
		memcpy(desc + 16, &ring[i].id, sizeof(ring[i].id));
		memcpy(desc + 18, &ring[i].flags, sizeof(ring[i].flags));
		memcpy(desc + 20, &ring[i].len, sizeof(ring[i].len));
		memcpy(desc + 24, &ring[i].addr, sizeof(ring[i].addr));
	}
	part[32] = 1;
	part[32 + 4] = last;
	part[32 + 6] = last + 1;
	part[12] = last + 1; /* free_head and its twin */
	part[14] = last + 1;
	part[20] = 1; /* the wrap counters */
	part[21] = 1;
}

/* A write, taken before it is finished by a back-end that is no more. */
static void leave_write_behind(struct world *world, uint8_t seed)
{
	struct fe_blk *blk = &world->client.blks[0];
	struct fe_blk_request *request = fe_blk_get(blk);
	uint8_t *part = world->inflight.bytes;

	request->type = VIRTIO_BLK_T_OUT;
	request->sector = 0;
	request->data_bytes = 4096;
	client_fill(request->data, 4096, seed);
	assert_int_equal(fe_blk_add(request), 0);
	fe_vring_publish(blk->vring);
	part[PART_VERSION] = 1;
	part[PART_DESCS] = CLIENT_QUEUE_SIZE;
	if (blk->vring->is_packed)
		record_packed(part, blk->vring->packed.desc);
	else
		part[16] = 1; /* head 0 */
}

static void what_is_recorded_is_carried_out(void **state)
{
	struct world world;
	struct fe_blk_request *request;
	uint8_t data[4096];

	prepare_world(&world, *state);
	leave_write_behind(&world, 7);
	assert_int_equal(client_start(&world.client), 0);
	assert_int_equal(
		fe_vring_wait(&world.client.vrings[0], FE_PATIENCE_MSEC), 0);
	assert_int_equal(fe_blk_reap(&world.client.blks[0], &request), 1);
	assert_int_equal(fe_blk_result(request), 0);
	fe_blk_put(request);
	assert_int_equal(fe_blk_read(&world.client.blks[0], 0, data, 4096), 0);
	assert_true(client_filled(data, 4096, 7));
	close_world(&world);
}

/* D-05 */
static void what_is_recorded_does_not_survive_a_reset(void **state)
{
	struct client *client;
	struct world world;
	uint8_t data[4096];

	prepare_world(&world, *state);
	client = &world.client;
	leave_write_behind(&world, 9);
	assert_int_equal(fe_session_command(&client->session, FE_RESET_DEVICE),
			 0);
	fe_blk_put(&client->blks[0].slots[0]);
	client->blks[0].nr_under_way = 0;
	fe_vring_reset(&client->vrings[0]);
	assert_int_equal(client_start(client), 0);
	assert_int_equal(fe_vring_wait(&client->vrings[0], SHORT_MSEC),
			 -ETIMEDOUT);
	client_fill(data, sizeof(data), 1);
	assert_int_equal(fe_blk_write(&client->blks[0], 0, data, 4096), 0);
	assert_int_equal(fe_blk_read(&client->blks[0], 0, data, 4096), 0);
	assert_true(client_filled(data, 4096, 1));
	close_world(&world);
}

/* S-43 */
static void a_record_that_cannot_be_breaks_its_ring_alone(void **state)
{
	static const uint8_t versions[] = { 2, 0xff };
	struct client *client;
	struct world world;

	for (unsigned int i = 0; i < sizeof(versions); i++) {
		prepare_world(&world, *state);
		client = &world.client;
		world.inflight.bytes[PART_VERSION] = versions[i];
		assert_int_equal(client_start(client), 0);
		assert_int_equal(fe_eventfd_wait(client->vrings[0].err_fd,
						 FE_PATIENCE_MSEC),
				 1);
		assert_int_equal(client_check_io(client, 1, 1), 0);
		close_world(&world);
	}
	assert_int_equal(client_fresh_io(*state), 0);
}

/* G-08, S-44 */
static void rewriting_the_region_under_load_harms_nobody(void **state)
{
	unsigned int seed = 3;
	struct world world;

	prepare_world(&world, *state);
	assert_int_equal(client_start(&world.client), 0);
	/* it has started: what is written now is not read */
	assert_int_equal(client_check_io(&world.client, 0, 1), 0);
	for (unsigned int i = 0; i < 50; i++) {
		for (uint64_t k = 0; k < world.inflight.wire.mmap_bytes; k++)
			world.inflight.bytes[k] = (uint8_t)rand_r(&seed);
		assert_int_equal(client_load(&world.client, 0, 20), 0);
	}
	close_world(&world);
	assert_int_equal(client_fresh_io(*state), 0);
}

/* S-43: Whatever it says, the process lives, and serves the next one. */
static void random_regions_are_harmless(void **state)
{
	unsigned int seed = 4;
	struct world world;

	for (unsigned int i = 0; i < 50; i++) {
		prepare_world(&world, *state);
		for (uint64_t k = 0; k < world.inflight.wire.mmap_bytes; k++)
			world.inflight.bytes[k] = (uint8_t)(rand_r(&seed) % 3);
		world.inflight.bytes[PART_VERSION] = 1;
		world.inflight.bytes[PART_VERSION + 1] = 0;
		memset(world.inflight.bytes, 0, 8);
		world.inflight.bytes[PART_DESCS] = CLIENT_QUEUE_SIZE;
		world.inflight.bytes[PART_DESCS + 1] = 0;
		assert_int_equal(client_start(&world.client), 0);
		assert_int_equal(fe_session_sync(&world.client.session), 0);
		close_world(&world);
	}
	assert_int_equal(client_fresh_io(*state), 0);
}

static void submit_read(struct client *client)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	request->type = VIRTIO_BLK_T_IN;
	request->data_bytes = 512;
	assert_int_equal(fe_blk_add(request), 0);
	fe_vring_submit(&client->vrings[0]);
}

/* F-24 */
static void a_region_that_is_taken_back_ends_the_session(void **state)
{
	struct client *client;
	struct world world;

	prepare_world(&world, *state);
	client = &world.client;
	assert_int_equal(fe_inflight_make(&world.inflight, 1 << 20, QUEUES,
					  CLIENT_QUEUE_SIZE),
			 0);
	assert_int_equal(set_region(&world), 0);
	assert_int_equal(client_start(client), 0);
	assert_int_equal(client_check_io(client, 0, 1), 0);
	assert_int_equal(ftruncate(world.inflight.fd, 0), 0);
	submit_read(client);
	assert_int_equal(fe_wait_closed(client->session.sock, FE_PATIENCE_MSEC),
			 0);
	close_world(&world);
	assert_int_equal(client_fresh_io(*state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(get_inflight_fd_gives_a_region_of_zeroes),
		WITH_SERVER(asking_for_regions_again_and_again_holds_one),
		WITH_SERVER(queues_that_the_device_has_not_are_refused),
		WITH_SERVER(a_region_that_is_not_in_its_file_is_refused),
		WITH_SERVER(the_messages_need_their_feature_and_their_fd),
		WITH_SERVER(the_region_does_not_change_under_running_rings),
		WITH_SERVER(
			a_ring_that_is_asked_at_once_stands_where_its_record_says),
		WITH_SERVER(a_started_ring_sets_its_part_up),
		WITH_SERVER(without_a_region_all_works),
		WITH_SERVER(rings_stop_and_go_on_with_a_record),
		WITH_SERVER(a_ring_goes_on_in_the_next_session),
		WITH_SERVER(what_is_recorded_is_carried_out),
		WITH_SERVER(what_is_recorded_does_not_survive_a_reset),
		WITH_SERVER(a_record_that_cannot_be_breaks_its_ring_alone),
		WITH_SERVER(rewriting_the_region_under_load_harms_nobody),
		WITH_SERVER(random_regions_are_harmless),
		WITH_SERVER(a_region_that_is_taken_back_ends_the_session),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

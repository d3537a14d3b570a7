/* SPDX-License-Identifier: MIT */
/* hostile-vrings - rings that lie where they should not, or change under load */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/attack.h"
#include "tests/frontend/clock.h"

#define MIB	     (UINT64_C(1) << 20)
#define DEPTH	     128u
#define NR_ROUNDS    300u
#define FULL_ROUNDS  100000u
#define REGION_BYTES 65536u
#define BORDER_ADDR  (64 * MIB) /* where two regions meet, as guests see it */

/* F-13: the first message of a session, for each queue that there may be */
static void any_ring_s_base_may_be_asked_for_first(void **state)
{
	struct hostile *hostile = *state;
	struct fe_session session;
	uint32_t base;
	int error;

	for (uint32_t i = 0; i < 5; i++) {
		base = 1;
		assert_int_equal(fe_session_connect(&session,
						    hostile->server.socket),
				 0);
		error = fe_session_get_base(&session, i, &base);
		if (error)
			assert_int_equal(error, PROBE_CLOSED);
		else
			assert_int_equal(base, 0);
		assert_true(i > 0 || !error);
		fe_session_deinit(&session);
	}
}

/* A load on queue 0, DEPTH requests deep */
struct loader {
	struct client client;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint nr_rounds;
	atomic_int error;
};

/* For two rounds at least, so that some of it comes behind the messages. */
static void *load(void *opaque)
{
	struct loader *loader = opaque;
	int error = 0;

	while (!error && (!atomic_load(&loader->stop) ||
			  atomic_load(&loader->nr_rounds) < 2)) {
		error = client_load(&loader->client, 0, 2 * DEPTH);
		atomic_fetch_add(&loader->nr_rounds, 1);
	}
	atomic_store(&loader->error, error);
	return NULL;
}

static void begin_load(struct loader *loader, const struct server *server)
{
	const struct client_options options = {
		.queue_size = 4 * DEPTH,
		.depth = DEPTH,
		.data_bytes = 4096,
	};

	memset(loader, 0, sizeof(*loader));
	assert_int_equal(client_open(&loader->client, server, &options), 0);
	assert_int_equal(client_check_io(&loader->client, 0, 1), 0);
	assert_int_equal(pthread_create(&loader->thread, NULL, load, loader),
			 0);
}

static void end_load(struct loader *loader)
{
	atomic_store(&loader->stop, true);
	pthread_join(loader->thread, NULL);
	assert_int_equal(atomic_load(&loader->error), 0);
	client_close(&loader->client);
}

/* What a ring has already is accepted, what would change it is not. */
static void send_all(struct loader *loader, unsigned int round)
{
	struct fe_session *session = &loader->client.session;
	struct fe_vring vring = loader->client.vrings[0];

	probe_expect("same features", round,
		     fe_session_set(session, FE_SET_FEATURES,
				    session->features),
		     PROBE_OK);
	probe_expect("other features", round,
		     fe_session_set(session, FE_SET_FEATURES,
				    session->features & ~FE_FEATURE_EVENT_IDX),
		     PROBE_NAK);
	probe_expect("same addresses", round,
		     fe_session_set_vring_addr(session, &vring, 0), PROBE_OK);
	vring.used_addr += 64;
	probe_expect("other addresses", round,
		     fe_session_set_vring_addr(session, &vring, 0), PROBE_NAK);
	probe_expect("same size", round,
		     fe_session_set_state(session, FE_SET_VRING_NUM, 0,
					  vring.size),
		     PROBE_OK);
	probe_expect("other size", round,
		     fe_session_set_state(session, FE_SET_VRING_NUM, 0,
					  vring.size / 2),
		     PROBE_NAK);
	probe_expect("other base", round,
		     fe_session_set_state(session, FE_SET_VRING_BASE, 0,
					  round + 1),
		     PROBE_NAK);
}

/* F-18, S-11, S-33: again and again, with 128 requests under way */
static void a_loaded_ring_is_not_changed(void **state)
{
	const unsigned int nr = hostile_volume(NR_ROUNDS, FULL_ROUNDS);
	struct hostile *hostile = *state;
	struct loader loader;

	begin_load(&loader, &hostile->server);
	for (unsigned int i = 0; i < nr; i++)
		send_all(&loader, i);
	end_load(&loader);
	probe_verdict();
}

/*
 * Two regions that meet in guest and user addresses, and are two mappings; the
 * first one ends where the second one begins.
 */
static uint64_t add_border(struct client *client)
{
	struct fe_memory *memory = &client->memory;

	assert_int_equal(fe_memory_add(memory, BORDER_ADDR - REGION_BYTES,
				       REGION_BYTES),
			 1);
	assert_int_equal(fe_memory_add(memory, BORDER_ADDR, REGION_BYTES), 2);
	memory->regions[1].wire.user_addr = UINT64_C(1) << 50;
	memory->regions[2].wire.user_addr =
		memory->regions[1].wire.user_addr + REGION_BYTES;
	return memory->regions[2].wire.user_addr;
}

static int set_addr(struct client *client, uint64_t desc, uint64_t avail,
		    uint64_t used)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_VRING_ADDR,
			sizeof(message.payload.addr));
	message.payload.addr.desc = desc;
	message.payload.addr.avail = avail;
	message.payload.addr.used = used;
	return fe_session_exchange(&client->session, &message, NULL, 0);
}

/* Addresses while the ring is stopped; then it starts. */
static void start_at(struct client *client, uint64_t desc, uint64_t avail,
		     uint64_t used)
{
	struct fe_vring *vring = &client->vrings[0];
	uint32_t base;

	assert_int_equal(fe_session_get_base(&client->session, 0, &base), 0);
	assert_int_equal(set_addr(client, desc, avail, used), 0);
	assert_int_equal(fe_session_set_vring_fd(&client->session,
						 FE_SET_VRING_KICK, 0,
						 vring->kick_fd),
			 0);
	assert_int_equal(fe_session_sync(&client->session), 0);
}

/* S-34, F-01: each part behind the last byte, and across two regions */
static void a_ring_that_does_not_lie_in_one_region_is_broken(void **state)
{
	/* of 64 entries: where each part ends, and what it is aligned to */
	static const struct {
		uint64_t bytes, align;
	} parts[] = { { 64 * 16, 16 }, { 6 + 64 * 2, 2 }, { 6 + 64 * 8, 4 } };
	struct hostile *hostile = *state;
	struct client client;
	uint64_t border;

	assert_int_equal(client_connect(&client, &hostile->server, NULL), 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	border = add_border(&client);
	assert_int_equal(client_start(&client), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		uint64_t end = border + (i % 2 ? REGION_BYTES : 0);
		uint64_t wrong = end - parts[i / 2].bytes + parts[i / 2].align;
		uint64_t at[3] = { border, border + 4096, border + 8192 };

		/* round up: the part's size need not be a multiple */
		at[i / 2] = wrong & ~(parts[i / 2].align - 1);
		rh_eventfd_drain(client.vrings[0].err_fd);
		start_at(&client, at[0], at[1], at[2]);
		probe_expect(i % 2 ? "past the end" : "across", i / 2,
			     (int)fe_eventfd_wait(client.vrings[0].err_fd,
						  FE_PATIENCE_MSEC),
			     1);
		fe_vring_kick(&client.vrings[0]);
	}
	/* and is as good as new when it is set up anew */
	fe_vring_reset(&client.vrings[0]);
	assert_int_equal(
		fe_session_start_vring(&client.session, &client.vrings[0], 0,
				       fe_vring_base(&client.vrings[0])),
		0);
	assert_int_equal(client_check_io(&client, 0, 2), 0);
	client_close(&client);
	probe_verdict();
}

/* S-34: parts over each other, full of whatever; the guest's own harm */
static void parts_of_a_ring_over_each_other_harm_nobody(void **state)
{
	static const uint64_t offsets[][3] = {
		{ 0, 0, 0 },	   { 0, 2, 4 },	      { 0, 0, 4096 },
		{ 0, 4096, 0 },	   { 4096, 0, 0 },    { 16, 6, 8 },
		{ 0, 1000, 1004 }, { 512, 514, 516 },
	};
	struct hostile *hostile = *state;
	struct client client;
	uint64_t border;

	assert_int_equal(client_connect(&client, &hostile->server, NULL), 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	border = add_border(&client);
	assert_int_equal(client_start(&client), 0);
	for (size_t i = 0; i < 8 * ARRAY_SIZE(offsets); i++) {
		const uint64_t *at = offsets[i / 8];

		client_fill(client.memory.regions[2].host, REGION_BYTES, i);
		/* a head or two that are there, sometimes */
		memset(client.memory.regions[2].host + at[1], (int)(i % 8), 8);
		start_at(&client, border + at[0], border + at[1],
			 border + at[2]);
		fe_vring_kick(&client.vrings[0]);
		assert_int_equal(fe_session_sync(&client.session), 0);
		if (i % 8 == 7)
			assert_true(server_runs(&hostile->server));
	}
	client_close(&client);
}

/* S-36: there is no base that a split ring cannot have. */
static void a_split_ring_may_begin_at_any_base(void **state)
{
	const uint32_t step = hostile_volume(97, 1);
	const struct client_options options = {
		.refused_features = FE_FEATURE_PACKED,
	};
	struct hostile *hostile = *state;
	struct client client;
	uint32_t base;

	assert_int_equal(client_connect(&client, &hostile->server, &options),
			 0);
	for (uint32_t i = 0; i < 65536; i += step) {
		assert_int_equal(fe_session_set_state(&client.session,
						      FE_SET_VRING_BASE, 0, i),
				 0);
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		assert_int_equal(base, i);
	}
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(any_ring_s_base_may_be_asked_for_first),
		HOSTILE(a_loaded_ring_is_not_changed),
		HOSTILE(a_ring_that_does_not_lie_in_one_region_is_broken),
		HOSTILE(parts_of_a_ring_over_each_other_harm_nobody),
		HOSTILE(a_split_ring_may_begin_at_any_base),
	};

	return hostile_run("hostile-vrings", tests, ARRAY_SIZE(tests));
}

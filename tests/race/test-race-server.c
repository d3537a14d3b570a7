/* SPDX-License-Identifier: MIT */
/*
 * race-server - the whole server beside a guest that rewrites everything
 *
 * Catalogue G-08. As test-race.c, on the other side of a socket: one thread
 * makes requests and kicks, another one scribbles over rings, tables, headers,
 * segments, event words and the in-flight region. When a ring has broken or
 * nothing comes any more, it is stopped and started where the server says that
 * it is, now and then on a record that is spoilt meanwhile.
 *
 * Guest memory behind all that addresses and lengths can reach keeps its
 * pattern, and the next front-end is served.
 */
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/hostile.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/inflight.h"
#include "tests/race/scribble.h"

#define MEMORY_BYTES (1u << 20)
#define RING_SIZE    64
#define NR_CHAINS    4
#define BATCHES	     64 /* between two starts */
#define PATTERN	     0x5a
#define SHAPE_MSEC   500
#define SOAK_MSEC    60000

struct match {
	struct server server;
	struct client client;
	struct fe_inflight inflight;
	struct scribble scribble;
	uint64_t random;
	pthread_t thread;
	atomic_bool over;
	atomic_bool waits; /* the other thread is to leave it alone, */
	atomic_bool rests; /* and does */
	unsigned long nr_scribbles;
	unsigned long nr_requests;
	unsigned long nr_starts;
	unsigned long nr_broken;
	uint16_t next; /* where the device is, as far as a guest knows */
	bool wrap;
};

static void *scribble_all_the_time(void *opaque)
{
	struct match *match = opaque;
	uint64_t random = 88172645463325252;

	while (!atomic_load_explicit(&match->over, memory_order_relaxed)) {
		if (atomic_load(&match->waits)) {
			atomic_store(&match->rests, true);
			continue;
		}
		scribble_once(&match->scribble, &random);
		match->nr_scribbles++;
	}
	return NULL;
}

static void init_scribble(struct match *match, bool is_indirect)
{
	struct fe_vring *vring = &match->client.vrings[0];
	struct fe_region *region = &match->client.memory.regions[0];

	match->scribble = (struct scribble){
		.is_packed = vring->is_packed,
		.is_indirect = is_indirect,
		.size = RING_SIZE,
		.nr_chains = NR_CHAINS,
		.rarity = 64,
		.base = region->wire.guest_addr,
		.memory = region->host,
		.desc = fe_memory_pointer(&match->client.memory,
					  vring->desc_addr, 16),
		.driver = fe_memory_pointer(&match->client.memory,
					    vring->avail_addr, 4),
		.device = fe_memory_pointer(&match->client.memory,
					    vring->used_addr, 4),
		.inflight = match->inflight.bytes,
		.inflight_bytes = 4096,
	};
	memset(region->host + SCRIBBLE_REACH, PATTERN,
	       MEMORY_BYTES - SCRIBBLE_REACH);
}

static void open_client(struct match *match, bool is_packed)
{
	const struct client_options options = { .packed = is_packed };
	struct client *client = &match->client;

	assert_int_equal(client_connect(client, &match->server, &options), 0);
	assert_int_equal(fe_memory_add(&client->memory, 0, MEMORY_BYTES), 0);
	client->nr_queues = 1;
	assert_int_equal(fe_vring_init(&client->vrings[0], &client->memory, 0,
				       RING_SIZE, client->session.features),
			 0);
	fe_inflight_init(&match->inflight);
	assert_int_equal(fe_session_get_inflight(&client->session, 1, RING_SIZE,
						 &match->inflight),
			 0);
	assert_int_equal(
		fe_session_set_inflight(&client->session, &match->inflight), 0);
	assert_int_equal(
		fe_session_set_memory(&client->session, &client->memory), 0);
}

static void go_on_at(struct match *match, uint32_t base)
{
	match->next = (uint16_t)base;
	if (match->scribble.is_packed) {
		match->next = base & 0x7fff;
		match->wrap = base & 0x8000;
	}
}

static void start(struct match *match, uint32_t base)
{
	struct fe_vring *vring = &match->client.vrings[0];

	rh_eventfd_drain(vring->err_fd);
	assert_int_equal(fe_session_start_vring(&match->client.session, vring,
						0, base),
			 0);
	go_on_at(match, base);
	match->nr_starts++;
}

/* Half the time onto a record that goes on being overwritten. */
static void start_anew(struct match *match)
{
	bool alone = scribble_random(&match->random) & 1;
	uint32_t base = 0;

	atomic_store(&match->rests, false);
	atomic_store(&match->waits, alone);
	assert_int_equal(fe_session_get_base(&match->client.session, 0, &base),
			 0);
	if (alone) {
		while (!atomic_load(&match->rests))
			sched_yield();
		memset(match->inflight.bytes, 0,
		       match->inflight.wire.mmap_bytes);
	}
	start(match, base);
	atomic_store(&match->waits, false);
}

static void store16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

static void add_batch(struct match *match)
{
	const struct scribble *scribble = &match->scribble;

	/* each once: a head must not be under way twice */
	for (unsigned int i = 0; i < NR_CHAINS; i++) {
		if (!scribble->is_packed) {
			scribble_split_request(scribble, i, &match->random);
			store16(scribble->driver + 4 +
					2 * (match->next++ % RING_SIZE),
				(uint16_t)(i * SCRIBBLE_DESCS));
			continue;
		}
		match->next += scribble_packed_request(
			scribble, i, match->next, match->wrap, &match->random);
		if (match->next >= RING_SIZE) {
			match->next -= RING_SIZE;
			match->wrap = !match->wrap;
		}
	}
	if (!scribble->is_packed)
		store16(scribble->driver + 2, match->next);
	match->nr_requests += NR_CHAINS;
	rh_eventfd_signal(match->client.vrings[0].kick_fd);
}

/* Returns false when the ring is broken. */
static bool wait_a_little(struct match *match)
{
	struct fe_vring *vring = &match->client.vrings[0];
	struct pollfd fds[] = {
		{ .fd = vring->call_fd, .events = POLLIN },
		{ .fd = vring->err_fd, .events = POLLIN },
	};

	poll(fds, ARRAY_SIZE(fds), 1);
	rh_eventfd_drain(vring->call_fd);
	return !fds[1].revents;
}

static void play(struct match *match)
{
	uint64_t deadline =
		fe_deadline((int)hostile_volume(SHAPE_MSEC, SOAK_MSEC));

	while (fe_now_usec() < deadline) {
		for (unsigned int i = 0; i < BATCHES; i++) {
			add_batch(match);
			if (wait_a_little(match))
				continue;
			match->nr_broken++;
			break;
		}
		start_anew(match);
	}
}

static bool is_pattern(const uint8_t *bytes, size_t nr)
{
	return bytes[0] == PATTERN && !memcmp(bytes, bytes + 1, nr - 1);
}

static void run(struct match *match, bool is_packed, bool is_indirect)
{
	match->random = 362436069;
	open_client(match, is_packed);
	init_scribble(match, is_indirect);
	start(match, fe_vring_base(&match->client.vrings[0]));
	assert_int_equal(pthread_create(&match->thread, NULL,
					scribble_all_the_time, match),
			 0);
	play(match);
	atomic_store(&match->over, true);
	pthread_join(match->thread, NULL);
	printf("# %s%s: %lu requests made available, %lu fields overwritten, "
	       "%lu starts, %lu queues broken\n",
	       is_packed ? "packed" : "split", is_indirect ? " indirect" : "",
	       match->nr_requests, match->nr_scribbles, match->nr_starts,
	       match->nr_broken);
	assert_true(is_pattern(match->scribble.memory + SCRIBBLE_REACH,
			       MEMORY_BYTES - SCRIBBLE_REACH));
	client_close(&match->client);
	fe_inflight_deinit(&match->inflight);
	assert_int_equal(client_fresh_io(&match->server), 0);
}

/* G-08 */
static void a_guest_that_rewrites_everything_harms_nobody(void **state)
{
	(void)state;
	for (unsigned int shape = 0; shape < 4; shape++) {
		struct match *match = calloc(1, sizeof(*match));

		assert_non_null(match);
		assert_int_equal(server_start(&match->server, NULL), 0);
		run(match, shape & 1, shape & 2);
		assert_int_equal(server_stop(&match->server), 0);
		free(match);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_rewrites_everything_harms_nobody),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("race-server", tests, NULL, NULL);
}

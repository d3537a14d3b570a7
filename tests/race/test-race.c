/* SPDX-License-Identifier: MIT */
/*
 * race - a guest that rewrites everything while its requests run
 *
 * Catalogue G-08, and 2a "rewrites the inflight region", 2b "every field
 * flipped by another thread between two reads". One thread is the guest and
 * the worker in turns, another one scribbles. Whatever is read, no buffer of a
 * request lies where no address and length can lead, none of its sectors is
 * beyond the disk, and all around stands memory that nobody may touch. A queue
 * that breaks is started again, half the time from its spoilt record.
 *
 * RINGHOST_SOAK=1: 50 million requests in place of a second or so.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "tests/frontend/clock.h"
#include "tests/race/scribble.h"
#include "tests/race/world.h"

#define NR_SHAPES     4
#define SOAK_REQUESTS 50000000
#define BATCH	      4
#define NR_CHAINS     4

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WITH_SANITIZER
#endif

#ifdef WITH_SANITIZER
#define SHAPE_MSEC 5000
#else
#define SHAPE_MSEC 700
#endif

struct match {
	struct world world;
	struct scribble scribble;
	uint64_t random;
	pthread_t thread;
	atomic_bool over;
	atomic_ulong nr_scribbles;
	unsigned long nr_broken;
	unsigned long nr_refused; /* starts from a spoilt record */
};

static void ignore(void *opaque, enum rh_log_level level, const char *tag,
		   const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
}

static void *scribble_all_the_time(void *opaque)
{
	struct match *match = opaque;
	uint64_t random = 88172645463325252;

	while (!atomic_load_explicit(&match->over, memory_order_relaxed)) {
		scribble_once(&match->scribble, &random);
		atomic_fetch_add_explicit(&match->nr_scribbles, 1,
					  memory_order_relaxed);
	}
	return NULL;
}

static void init_scribble(struct match *match, bool is_indirect)
{
	struct world *world = &match->world;
	struct ring_memory *ring = &world->memory.ring;
	struct packed_side *driver = &world->memory.driver;

	match->scribble = (struct scribble){
		.is_packed = world->is_packed,
		.is_indirect = is_indirect,
		.size = WORLD_RING_SIZE,
		.nr_chains = NR_CHAINS,
		.rarity = 1,
		.base = RING_GUEST_BASE,
		.memory = world_guest(world),
		.desc = (uint8_t *)ring->desc,
		.driver = (uint8_t *)ring->avail,
		.device = (uint8_t *)ring->used,
		.inflight = world->inflight.range.address,
		.inflight_bytes = rh_inflight_part_bytes(world->is_packed,
							 WORLD_RING_SIZE),
	};
	if (!world->is_packed)
		return;
	match->scribble.desc = (uint8_t *)driver->desc;
	match->scribble.driver = (uint8_t *)driver->driver_event;
	match->scribble.device = (uint8_t *)driver->device_event;
}

/* Where the device is, since its own memory is all that is left of that. */
static void add_split(struct match *match)
{
	struct ring_memory *ring = &match->world.memory.ring;
	uint16_t next = ring->queue.ring.split.next_avail;

	for (unsigned int n = 0; n < BATCH; n++) {
		unsigned int i = (unsigned int)scribble_random(&match->random) %
				 NR_CHAINS;

		scribble_split_request(&match->scribble, i, &match->random);
		ring_store(&ring->avail->ring[next++ % WORLD_RING_SIZE],
			   (uint16_t)(i * SCRIBBLE_DESCS));
	}
	ring_store(&ring->avail->idx, next);
}

static void add_packed(struct match *match)
{
	struct ring_memory *ring = &match->world.memory.ring;
	struct rh_packed_place place = ring->queue.ring.packed.next_avail;

	for (unsigned int n = 0; n < BATCH; n++) {
		unsigned int i = (unsigned int)scribble_random(&match->random) %
				 NR_CHAINS;

		packed_side_advance(&place,
				    scribble_packed_request(
					    &match->scribble, i, place.index,
					    place.wrap, &match->random),
				    WORLD_RING_SIZE);
	}
}

/* The record may be spoilt again before it is read. */
static void start(struct match *match)
{
	struct world *world = &match->world;

	if (scribble_random(&match->random) & 1)
		rh_inflight_forget(&world->inflight, 0, world->is_packed);
	while (!world_start(world)) {
		match->nr_refused++;
		rh_inflight_forget(&world->inflight, 0, world->is_packed);
	}
}

static void turn(struct match *match)
{
	if (match->world.is_packed)
		add_packed(match);
	else
		add_split(match);
	if (world_turn(&match->world))
		return;
	match->nr_broken++;
	world_stop(&match->world);
	start(match);
}

static uint64_t nr_answered(const struct match *match)
{
	struct blk_counters counters;

	virtio_blk_counters(match->world.blk, &counters);
	return counters.reads + counters.writes + counters.flushes +
	       counters.others;
}

static bool is_over(const struct match *match, uint64_t deadline)
{
	if (getenv("RINGHOST_SOAK"))
		return nr_answered(match) >= SOAK_REQUESTS / NR_SHAPES;
	return fe_now_usec() > deadline;
}

/* Or one of the two threads has stood still. */
static bool is_enough(const struct match *match)
{
	return atomic_load(&match->nr_scribbles) > 1000 &&
	       match->world.nr_requests > 100;
}

static void report(const struct match *match)
{
	printf("# %s%s: %llu requests answered, %lu given to the disk, %lu "
	       "fields overwritten, %lu queues broken, %lu records refused\n",
	       match->world.is_packed ? "packed" : "split",
	       match->scribble.is_indirect ? " indirect" : "",
	       (unsigned long long)nr_answered(match), match->world.nr_requests,
	       atomic_load(&match->nr_scribbles), match->nr_broken,
	       match->nr_refused);
}

/* At last a request of a guest that leaves it alone. */
static void serve_once_more(struct match *match)
{
	struct world *world = &match->world;
	uint64_t before;

	world_stop(world);
	rh_inflight_forget(&world->inflight, 0, world->is_packed);
	assert_true(world_start(world));
	before = nr_answered(match);
	if (world->is_packed) {
		/* What lies behind the requests may look like another one. */
		memset(world->memory.driver.desc, 0,
		       WORLD_RING_SIZE * sizeof(*world->memory.driver.desc));
		add_packed(match);
	} else {
		add_split(match);
	}
	assert_true(world_turn(world));
	assert_true(nr_answered(match) >= before + BATCH);
}

static void play(bool is_packed, bool is_indirect)
{
	struct match *match = calloc(1, sizeof(*match));
	uint64_t deadline = fe_deadline(SHAPE_MSEC);

	assert_non_null(match);
	match->random = 362436069;
	world_init(&match->world, is_packed);
	init_scribble(match, is_indirect);
	start(match);
	assert_int_equal(pthread_create(&match->thread, NULL,
					scribble_all_the_time, match),
			 0);
	while (!is_over(match, deadline) || !is_enough(match)) {
		for (unsigned int i = 0; i < 256; i++)
			turn(match);
		assert_int_equal(match->world.nr_outside, 0);
		assert_true(world_is_intact(&match->world));
	}
	atomic_store(&match->over, true);
	pthread_join(match->thread, NULL);
	report(match);
	serve_once_more(match);
	world_deinit(&match->world);
	free(match);
}

/* G-08 */
static void a_split_ring_is_rewritten(void **state)
{
	(void)state;
	play(false, false);
}

static void indirect_tables_of_a_split_ring_are_rewritten(void **state)
{
	(void)state;
	play(false, true);
}

/* G-08 */
static void a_packed_ring_is_rewritten(void **state)
{
	(void)state;
	play(true, false);
}

static void indirect_tables_of_a_packed_ring_are_rewritten(void **state)
{
	(void)state;
	play(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[NR_SHAPES] = {
		cmocka_unit_test(a_split_ring_is_rewritten),
		cmocka_unit_test(indirect_tables_of_a_split_ring_are_rewritten),
		cmocka_unit_test(a_packed_ring_is_rewritten),
		cmocka_unit_test(
			indirect_tables_of_a_packed_ring_are_rewritten),
	};

	rh_log_set(ignore, NULL, RH_LOG_ERROR);
	return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}

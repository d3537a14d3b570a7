/* SPDX-License-Identifier: MIT */
/*
 * packed-threads - with the driver in a thread, no wake-up is ever lost
 *
 * Each side waits for nothing but the other one's wake-up, which is a count
 * that goes up. A side that goes to sleep although its partner saw no reason
 * to wake it stays asleep: the deadline below then fails the test.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/packed-ring.h"

#define SIZE	     5
#define NR_USUAL     500000u
#define NR_FULL	     100000000u /* where RINGHOST_SOAK is set */
#define DEADLINE_SEC 180

struct pair {
	struct packed_ring ring;
	atomic_uint nr_kicks;
	atomic_uint nr_calls;
	atomic_bool failed;
	atomic_bool done;
};

static unsigned int nr_requests(void)
{
	const char *soak = getenv("RINGHOST_SOAK");

	return soak && !strcmp(soak, "1") ? NR_FULL : NR_USUAL;
}

static time_t now_sec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Sleep until *count is not *seen any more. False: the wake-up was lost. */
static bool wait_for_change(struct pair *pair, atomic_uint *count,
			    unsigned int *seen)
{
	time_t deadline = now_sec() + DEADLINE_SEC;

	for (unsigned int i = 1; atomic_load(count) == *seen; i++) {
		if (atomic_load(&pair->failed) || atomic_load(&pair->done))
			return false;
		if (i % 64 == 0)
			sched_yield();
		if (i % 65536 == 0 && now_sec() >= deadline) {
			atomic_store(&pair->failed, true);
			return false;
		}
	}
	*seen = atomic_load(count);
	return true;
}

/* A moment of very different lengths, to meet the other side everywhere. */
static void dawdle(unsigned int *seed)
{
	unsigned int nr = (unsigned int)rand_r(seed) % 1024;

	nr >>= (unsigned int)rand_r(seed) % 12;

	for (unsigned int i = 0; i < nr; i++)
		__asm__ volatile("" : : : "memory");
}

/* The device's turn, as <ringhost/queue.h> has it, but for each entry. */
static void take_a_turn(struct pair *pair, unsigned int *seed)
{
	struct rh_packed *device = &pair->ring.device;
	uint16_t id;

	do {
		rh_packed_suppress_kicks(device);
		while (rh_packed_take(device, &id) > 0) {
			rh_packed_give(device, id, device->nr_taken, id);
			dawdle(seed);
			if (rh_packed_publish(device))
				atomic_fetch_add(&pair->nr_calls, 1);
		}
	} while (rh_packed_expect_kicks(device));
}

static void *run_device(void *opaque)
{
	struct pair *pair = opaque;
	unsigned int seen = 0;
	unsigned int seed = 2;

	do {
		take_a_turn(pair, &seed);
	} while (wait_for_change(pair, &pair->nr_kicks, &seen));
	return NULL;
}

struct driver {
	struct pair *pair;
	uint16_t nr_free;	/* descriptors */
	uint16_t nr_desc[SIZE]; /* by id; 0: none is under way */
	unsigned int seen_calls;
	unsigned int seed;
};

/* place: where the chain just added began, nr: its descriptors */
static bool must_kick(const struct packed_ring *ring,
		      struct rh_packed_place place, uint16_t nr)
{
	const struct pvirtq_event_suppress *device = ring->driver.device_event;
	uint16_t flags = packed_side_load(&device->flags);
	uint16_t event = packed_side_load(&device->desc);
	unsigned int ahead;

	if (flags != RING_EVENT_FLAGS_DESC)
		return flags != RING_EVENT_FLAGS_DISABLE;
	ahead = (event & PVIRTQ_INDEX_MASK) + 2 * SIZE - place.index +
		(!(event & PVIRTQ_WRAP) == place.wrap ? SIZE : 0);
	return ahead % (2 * SIZE) < nr;
}

/* A chain of nr descriptors, whose id says how many they are */
static void send(struct driver *driver, uint16_t nr)
{
	struct packed_ring *ring = &driver->pair->ring;
	struct rh_packed_place place = ring->driver.avail;
	uint16_t id = 0;

	while (driver->nr_desc[id])
		id++;
	driver->nr_desc[id] = nr;
	driver->nr_free -= nr;
	packed_side_add_empty(&ring->driver, id, nr);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (must_kick(ring, place, nr))
		atomic_fetch_add(&driver->pair->nr_kicks, 1);
}

/* Take what is used. False when an entry could not be. */
static bool collect(struct driver *driver)
{
	struct packed_side *side = &driver->pair->ring.driver;
	struct pvirtq_desc used;

	while (packed_side_take_used(side, &used)) {
		uint16_t id = le16_get(used.id);

		if (id >= SIZE || !driver->nr_desc[id] ||
		    le32_get(used.len) != id)
			return false;
		packed_side_skip(side, driver->nr_desc[id]);
		driver->nr_free += driver->nr_desc[id];
		driver->nr_desc[id] = 0;
	}
	return true;
}

static uint16_t encode(struct rh_packed_place place)
{
	return place.index | (place.wrap ? PVIRTQ_WRAP : 0);
}

static void set_interrupts(struct driver *driver, bool on)
{
	struct packed_ring *ring = &driver->pair->ring;
	struct pvirtq_event_suppress *event = ring->driver.driver_event;

	if (on && ring->device.event_idx) {
		packed_side_store(&event->desc, encode(ring->driver.used));
		packed_side_store(&event->flags, RING_EVENT_FLAGS_DESC);
	} else {
		packed_side_store(&event->flags, on ? RING_EVENT_FLAGS_ENABLE :
						      RING_EVENT_FLAGS_DISABLE);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* All that was sent comes back; sleeps whenever nothing is there. */
static bool receive_all(struct driver *driver)
{
	struct pair *pair = driver->pair;

	while (driver->nr_free < SIZE) {
		uint16_t before = driver->nr_free;

		set_interrupts(driver, false);
		if (!collect(driver))
			return false;
		if (driver->nr_free == SIZE)
			return true;
		set_interrupts(driver, true);
		if (!collect(driver))
			return false;
		if (driver->nr_free == before &&
		    !wait_for_change(pair, &pair->nr_calls,
				     &driver->seen_calls))
			return false;
	}
	return true;
}

static unsigned int run_driver(struct driver *driver)
{
	unsigned int nr_done = 0;

	while (nr_done < nr_requests()) {
		while (driver->nr_free) {
			unsigned int nr =
				1 + (unsigned int)rand_r(&driver->seed) %
					    driver->nr_free;

			send(driver, (uint16_t)nr);
			dawdle(&driver->seed);
			nr_done++;
			if (nr_done % 3 == 0)
				break;
		}
		if (!receive_all(driver))
			break;
	}
	return nr_done;
}

static void hammer(bool event_idx)
{
	struct pair pair = { .ring = packed_ring(SIZE, event_idx) };
	struct driver driver = { .pair = &pair, .nr_free = SIZE, .seed = 1 };
	pthread_t device;
	unsigned int nr_done;

	assert_int_equal(pthread_create(&device, NULL, run_device, &pair), 0);
	nr_done = run_driver(&driver);
	atomic_store(&pair.done, true);
	pthread_join(device, NULL);
	assert_false(atomic_load(&pair.failed));
	assert_true(nr_done >= nr_requests());
	print_message("# %u requests, %u kicks, %u calls\n", nr_done,
		      atomic_load(&pair.nr_kicks), atomic_load(&pair.nr_calls));
	packed_ring_free(&pair.ring);
}

/* G-26 */
static void no_wake_up_is_lost_with_flags(void **state)
{
	(void)state;
	hammer(false);
}

/* G-26 */
static void no_wake_up_is_lost_with_event_idx(void **state)
{
	(void)state;
	hammer(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wake_up_is_lost_with_flags),
		cmocka_unit_test(no_wake_up_is_lost_with_event_idx),
	};

	return cmocka_run_group_tests_name("packed-threads", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * split-threads - with the driver in a thread, no wake-up is ever lost
 *
 * Each side waits for nothing but the other one's wake-up, which is a count
 * that goes up. A side that goes to sleep although its partner saw no reason
 * to wake it stays asleep: the deadline below then fails the test.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/split.h"

#define SIZE	     4
#define NR_USUAL     500000u
#define NR_FULL	     100000000u /* where RINGHOST_SOAK is set */
#define DEADLINE_SEC 180

struct pair {
	struct rh_split split;
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
	struct rh_split *split = &pair->split;
	uint16_t head;

	do {
		rh_split_suppress_kicks(split);
		while (rh_split_take(split, &head) > 0) {
			rh_split_give(split, head, head);
			dawdle(seed);
			if (rh_split_publish(split))
				atomic_fetch_add(&pair->nr_calls, 1);
		}
	} while (rh_split_expect_kicks(split));
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
	uint16_t avail_idx;
	uint16_t used_idx;
	unsigned int seen_calls;
	unsigned int seed;
};

static uint16_t load(const struct le16 *field)
{
	return le16toh(__atomic_load_n(&field->raw, __ATOMIC_ACQUIRE));
}

static void store(struct le16 *field, uint16_t value)
{
	__atomic_store_n(&field->raw, htole16(value), __ATOMIC_RELEASE);
}

static bool must_kick(const struct rh_split *split, uint16_t new, uint16_t old)
{
	const struct le16 *event =
		(const struct le16 *)&split->used->ring[SIZE];

	if (!split->event_idx)
		return !(load(&split->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
	return (uint16_t)(new - load(event) - 1) < (uint16_t)(new - old);
}

static void send(struct driver *driver)
{
	struct rh_split *split = &driver->pair->split;
	uint16_t old = driver->avail_idx;
	uint16_t slot = driver->avail_idx++ % SIZE;

	store(&split->avail->ring[slot], slot);
	store(&split->avail->idx, driver->avail_idx);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (must_kick(split, driver->avail_idx, old))
		atomic_fetch_add(&driver->pair->nr_kicks, 1);
}

/* Take what is used. False when an index could not be. */
static bool collect(struct driver *driver)
{
	struct rh_split *split = &driver->pair->split;
	uint16_t idx = load(&split->used->idx);
	uint16_t nr_new = idx - driver->used_idx;
	uint16_t nr_outstanding = driver->avail_idx - driver->used_idx;

	/* G-24: a half-written index would be far away. */
	if (nr_new > nr_outstanding)
		return false;
	while (driver->used_idx != idx) {
		uint16_t slot = driver->used_idx++ % SIZE;
		uint32_t id = le32toh(__atomic_load_n(
			&split->used->ring[slot].id.raw, __ATOMIC_RELAXED));

		if (id != slot)
			return false;
	}
	return true;
}

static void set_interrupts(struct driver *driver, bool on)
{
	struct rh_split *split = &driver->pair->split;

	if (!split->event_idx)
		store(&split->avail->flags,
		      on ? 0 : VIRTQ_AVAIL_F_NO_INTERRUPT);
	else if (on)
		store(&split->avail->ring[SIZE], driver->used_idx);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* All that was sent comes back; sleeps whenever nothing is there. */
static bool receive_all(struct driver *driver)
{
	struct pair *pair = driver->pair;

	while (driver->used_idx != driver->avail_idx) {
		uint16_t before = driver->used_idx;

		set_interrupts(driver, false);
		if (!collect(driver))
			return false;
		if (driver->used_idx == driver->avail_idx)
			return true;
		set_interrupts(driver, true);
		if (!collect(driver))
			return false;
		if (driver->used_idx == before &&
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
		unsigned int nr =
			1 + (unsigned int)rand_r(&driver->seed) % SIZE;

		for (unsigned int i = 0; i < nr; i++) {
			send(driver);
			dawdle(&driver->seed);
		}
		if (!receive_all(driver))
			break;
		nr_done += nr;
	}
	return nr_done;
}

static void hammer(bool event_idx)
{
	struct pair pair = {
		.split = {
			.desc = calloc(1, rh_split_desc_bytes(SIZE)),
			.avail = calloc(1, rh_split_avail_bytes(SIZE)),
			.used = calloc(1, rh_split_used_bytes(SIZE)),
			.size = SIZE,
			.event_idx = event_idx,
		},
	};
	struct driver driver = { .pair = &pair, .seed = 1 };
	pthread_t device;
	unsigned int nr_done;

	rh_split_start(&pair.split, 0);
	assert_int_equal(pthread_create(&device, NULL, run_device, &pair), 0);
	nr_done = run_driver(&driver);
	atomic_store(&pair.done, true);
	pthread_join(device, NULL);
	assert_false(atomic_load(&pair.failed));
	assert_true(nr_done >= nr_requests());
	print_message("# %u requests, %u kicks, %u calls\n", nr_done,
		      atomic_load(&pair.nr_kicks), atomic_load(&pair.nr_calls));
	free(pair.split.desc);
	free(pair.split.avail);
	free(pair.split.used);
}

/* G-24, G-26 */
static void no_wake_up_is_lost_with_flags(void **state)
{
	(void)state;
	hammer(false);
}

/* G-24, G-26 */
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

	return cmocka_run_group_tests_name("split-threads", tests, NULL, NULL);
}

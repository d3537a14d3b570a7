/* SPDX-License-Identifier: MIT */
/*
 * index-threads - a driver that looks all the time never sees half an index
 *
 * A device counts on and on while a driver reads what it stores, as fast as
 * both can. Each step is so large that both bytes of the index change. Before
 * the store the device says what it is going to be, and after it what it is;
 * what the driver reads is one of the values between the two, and half of one
 * and half of another is none. The other way round the driver counts and the
 * device reads: it refuses a ring whose index cannot be.
 *
 * A million times, and a thousand million where RINGHOST_SOAK is set.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "lib/packed.h"
#include "lib/split.h"

#define SIZE	    256u
#define STEP	    257u
#define NR_USUAL    1000000u
#define NR_FULL	    1000000000u
#define MOST_BEHIND 64u	  /* steps between two looks that are looked at */
#define READS_YIELD 4096u /* where there is one processor only */

/* What is counted, and who reads it */
struct counter {
	atomic_uint before; /* the next store is of this number at most */
	atomic_uint after;  /* the last one was of this number at least */
	atomic_bool done;
	const struct le16 *field;
	uint16_t (*value_of)(unsigned int count);
	uint64_t nr_reads;
	bool failed;
};

static unsigned int nr_steps(void)
{
	const char *soak = getenv("RINGHOST_SOAK");

	return soak && !strcmp(soak, "1") ? NR_FULL : NR_USUAL;
}

static bool is_between(const struct counter *counter, uint16_t value,
		       unsigned int after, unsigned int before)
{
	for (unsigned int i = after; i != before + 1; i++)
		if (counter->value_of(i) == value)
			return true;
	return false;
}

static void *read_on(void *opaque)
{
	struct counter *counter = opaque;
	unsigned int before, after;
	uint16_t value;

	while (!atomic_load(&counter->done) && !counter->failed) {
		after = atomic_load(&counter->after);
		value = le16toh(__atomic_load_n(&counter->field->raw,
						__ATOMIC_ACQUIRE));
		before = atomic_load(&counter->before);
		/* who slept in between cannot tell */
		if (before - after > MOST_BEHIND)
			continue;
		counter->nr_reads++;
		counter->failed = !is_between(counter, value, after, before);
	}
	return NULL;
}

static uint16_t index_of(unsigned int count)
{
	return (uint16_t)(count * STEP);
}

/* A place of a packed ring of 32768, with its wrap counter */
static uint16_t place_of(unsigned int count)
{
	return (uint16_t)(count * STEP) ^ 0x8000;
}

static void begin(struct counter *counter, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, read_on, counter), 0);
}

static void end(struct counter *counter, pthread_t thread)
{
	atomic_store(&counter->done, true);
	pthread_join(thread, NULL);
	assert_false(counter->failed);
	assert_true(counter->nr_reads > 0);
	print_message("# %llu reads\n", (unsigned long long)counter->nr_reads);
}

static void make_split(struct rh_split *split, bool event_idx)
{
	*split = (struct rh_split){
		.desc = calloc(1, rh_split_desc_bytes(SIZE)),
		.avail = calloc(1, rh_split_avail_bytes(SIZE)),
		.used = calloc(1, rh_split_used_bytes(SIZE)),
		.size = SIZE,
		.event_idx = event_idx,
	};
	rh_split_start(split, 0);
}

static void unmake_split(struct rh_split *split)
{
	free(split->desc);
	free(split->avail);
	free(split->used);
}

/* G-24 */
static void no_half_used_index_is_ever_seen(void **state)
{
	struct rh_split split;
	struct counter counter = { .value_of = index_of };
	pthread_t thread;

	(void)state;
	make_split(&split, true);
	counter.field = &split.used->idx;
	begin(&counter, &thread);
	for (unsigned int i = 1; i <= nr_steps(); i++) {
		atomic_store_explicit(&counter.before, i, memory_order_relaxed);
		split.next_used = index_of(i);
		rh_split_publish(&split);
		atomic_store_explicit(&counter.after, i, memory_order_release);
	}
	end(&counter, thread);
	unmake_split(&split);
}

/* G-24 */
static void no_half_event_index_is_ever_seen(void **state)
{
	struct rh_split split;
	struct counter counter = { .value_of = index_of };
	pthread_t thread;

	(void)state;
	make_split(&split, true);
	counter.field = (struct le16 *)&split.used->ring[SIZE];
	begin(&counter, &thread);
	for (unsigned int i = 1; i <= nr_steps(); i++) {
		atomic_store_explicit(&counter.before, i, memory_order_relaxed);
		split.next_avail = index_of(i);
		rh_split_expect_kicks(&split);
		atomic_store_explicit(&counter.after, i, memory_order_release);
	}
	end(&counter, thread);
	unmake_split(&split);
}

/* G-24: with its wrap counter, it turns over where an index does */
static void no_half_place_of_a_packed_ring_is_ever_seen(void **state)
{
	struct pvirtq_desc *desc = calloc(32768, sizeof(*desc));
	struct pvirtq_event_suppress driver = { 0 }, device = { 0 };
	struct rh_packed packed = {
		.desc = desc,
		.driver_event = &driver,
		.device_event = &device,
		.size = 32768,
		.event_idx = true,
	};
	struct counter counter = {
		.value_of = place_of,
		.field = &device.desc,
	};
	pthread_t thread;

	(void)state;
	rh_packed_start(&packed, RH_PACKED_FIRST_BASE);
	begin(&counter, &thread);
	for (unsigned int i = 1; i <= nr_steps(); i++) {
		atomic_store_explicit(&counter.before, i, memory_order_relaxed);
		packed.next_avail.index = place_of(i) & 0x7fff;
		packed.next_avail.wrap = place_of(i) & 0x8000;
		rh_packed_expect_kicks(&packed);
		atomic_store_explicit(&counter.after, i, memory_order_release);
	}
	end(&counter, thread);
	free(desc);
}

struct driver {
	struct rh_split *split;
	atomic_uint nr_taken;
	unsigned int nr;
};

/* Always as far ahead as the ring allows, in one store of the index. */
static void *run_ahead(void *opaque)
{
	struct driver *driver = opaque;
	struct le16 *idx = &driver->split->avail->idx;
	unsigned int nr_yields = 0;
	unsigned int nr_added = 0;
	unsigned int nr_taken;

	while (nr_added < driver->nr) {
		nr_taken = atomic_load_explicit(&driver->nr_taken,
						memory_order_acquire);
		if (nr_taken + SIZE == nr_added) {
			if (++nr_yields % READS_YIELD == 0)
				sched_yield();
			continue;
		}
		nr_added = MIN(nr_taken + SIZE, driver->nr);
		__atomic_store_n(&idx->raw, htole16((uint16_t)nr_added),
				 __ATOMIC_RELEASE);
	}
	return NULL;
}

/* G-24: the driver's index is read whole */
static void no_half_available_index_is_ever_read(void **state)
{
	struct rh_split split;
	struct driver driver = { .split = &split, .nr = nr_steps() };
	unsigned int nr_yields = 0;
	pthread_t thread;
	uint16_t head;
	int taken;

	(void)state;
	make_split(&split, true);
	assert_int_equal(pthread_create(&thread, NULL, run_ahead, &driver), 0);
	for (unsigned int i = 0; i < driver.nr; i += (unsigned int)taken) {
		taken = rh_split_take(&split, &head);
		assert_in_range(taken, 0, 1);
		if (taken)
			atomic_store_explicit(&driver.nr_taken, i + 1,
					      memory_order_release);
		else if (++nr_yields % READS_YIELD == 0)
			sched_yield();
	}
	pthread_join(thread, NULL);
	unmake_split(&split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_half_used_index_is_ever_seen),
		cmocka_unit_test(no_half_event_index_is_ever_seen),
		cmocka_unit_test(no_half_place_of_a_packed_ring_is_ever_seen),
		cmocka_unit_test(no_half_available_index_is_ever_read),
	};

	return cmocka_run_group_tests_name("index-threads", tests, NULL, NULL);
}

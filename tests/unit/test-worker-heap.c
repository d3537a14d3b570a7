/* SPDX-License-Identifier: MIT */
/*
 * worker - serving requests takes nothing from the heap
 *
 * Linked with --wrap, so that each call of the library and of the server for
 * memory passes through here and is counted.
 */
#include <stdlib.h>

#include "tests/unit/worker-bench.h"

static enum engine_kind kinds[] = { ENGINE_URING, ENGINE_THREADS };
static atomic_uint nr_allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	atomic_fetch_add(&nr_allocations, 1);
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	atomic_fetch_add(&nr_allocations, 1);
	return __real_calloc(nr, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	atomic_fetch_add(&nr_allocations, 1);
	return __real_realloc(old, bytes);
}

/* G-23, behaviour 25, and a fault of a peer: two allocations a request */
static void no_request_allocates(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	unsigned int nr_before;

	assert_int_not_equal(atomic_load(&nr_allocations), 0);
	guest_start(guest);
	guest_keep_busy(guest, 100, BENCH_NR_SLOTS);
	nr_before = atomic_load(&nr_allocations);
	for (unsigned int depth = 1; depth <= BENCH_NR_SLOTS; depth++)
		guest_keep_busy(guest, 1000, depth);
	assert_int_equal(atomic_load(&nr_allocations), nr_before);
	guest_stop(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "no_request_allocates on io_uring", no_request_allocates,
		  bench_set_up, bench_tear_down, &kinds[0] },
		{ "no_request_allocates on threads", no_request_allocates,
		  bench_set_up, bench_tear_down, &kinds[1] },
	};

	return cmocka_run_group_tests_name("worker-heap", tests, NULL, NULL);
}

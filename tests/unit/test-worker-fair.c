/* SPDX-License-Identifier: MIT */
/*
 * worker-fair - what a queue that is never empty costs the others
 *
 * Nothing here depends on how fast anybody is: the driver itself, on the
 * worker's thread, makes the next request of the first queue available while
 * the one before is handed to it. So that queue is never empty, and a worker
 * that would serve it as long as there is something never came to the second.
 */
#include <stdlib.h>

#include "common/fd.h"
#include "tests/unit/worker-bench.h"

#define NR_BEFORE     100   /* of the first queue, when the second one asks */
#define MOST_BETWEEN  256   /* until the second one is served: some turns */
#define NR_IF_STARVED 10000 /* so that there is an end in any case */

static struct bench *running;
static unsigned int nr_of_first;   /* submitted; the worker's, as all here */
static unsigned int nr_at_request; /* when the second queue asked */
static unsigned int nr_at_service; /* when it was served; 0: not yet */

static bool is_of_second(const struct blk_request *request)
{
	struct guest *second = &running->guests[1];
	uint64_t contiguous;
	struct guest_addr addr = { second->data[0] };

	return request->iov->iov_base ==
	       rh_map_guest(second->ring.map, addr, 512, &contiguous);
}

static void submitted(struct blk_request *request)
{
	if (is_of_second(request)) {
		nr_at_service = nr_of_first;
		return;
	}
	nr_of_first++;
	if (nr_of_first == NR_BEFORE) {
		nr_at_request = nr_of_first;
		guest_read(&running->guests[1], 0);
	}
	if (!nr_at_service && nr_of_first < NR_IF_STARVED)
		guest_add(&running->guests[0], nr_of_first % BENCH_NR_SLOTS);
}

/* G-19 */
static void a_queue_that_is_never_empty_lets_another_one_through(void **state)
{
	struct bench *bench = bench_of(state);

	running = bench;
	nr_of_first = 0;
	nr_at_request = 0;
	nr_at_service = 0;
	bench->driver.at_once = true;
	bench->driver.submitted = submitted;
	guest_add(&bench->guests[0], 0);
	guest_start(&bench->guests[1]);
	guest_start(&bench->guests[0]);
	assert_int_equal(guest_wait(&bench->guests[1]), 0);
	guest_stop(&bench->guests[0]);
	guest_stop(&bench->guests[1]);
	assert_int_equal(nr_at_request, NR_BEFORE);
	assert_in_range(nr_at_service - nr_at_request, 0, MOST_BETWEEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(
			a_queue_that_is_never_empty_lets_another_one_through),
	};

	return cmocka_run_group_tests_name("worker-fair", tests, NULL, NULL);
}

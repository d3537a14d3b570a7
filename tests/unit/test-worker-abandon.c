/* SPDX-License-Identifier: MIT */
/* worker - what a queue has taken, and a front-end that wants it to stop now */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "tests/unit/worker-bench.h"

#define REGION_BYTES 65536

static struct rh_inflight inflight;

/* A guest whose requests are recorded, and which leaves them there. */
static struct guest *guest_with_record(struct bench *bench)
{
	struct guest *guest = &bench->guests[0];
	int fd = rh_memfd_create("inflight", REGION_BYTES);

	assert_true(fd >= 0);
	assert_int_equal(
		rh_range_map(fd, 0, REGION_BYTES, NULL, &inflight.range), 0);
	rh_fd_close(&fd);
	inflight.nr_queues = 1;
	inflight.queue_size = BENCH_RING_SIZE;
	guest->ring.queue.inflight = &inflight;
	return guest;
}

static void ask_back_at_once(struct guest *guest)
{
	atomic_store(&guest->ring.queue.may_abandon, true);
	guest_ask_back(guest);
}

static void what_the_driver_has_not_got_is_abandoned(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = guest_with_record(bench);
	bool seen[4] = { false };
	unsigned int slot;

	bench->driver.held = true;
	bench->driver.limit = 1;
	for (unsigned int i = 0; i < 4; i++)
		guest_add(guest, i);
	guest_start(guest);
	bench_wait_submitted(bench, 1);
	ask_back_at_once(guest);
	/* the driver's one ends as usual, the others never get there */
	bench_let_go(bench, 1);
	guest_wait_given_back(guest);
	assert_int_equal(atomic_load(&bench->driver.nr_submitted), 1);
	assert_true(guest_take(guest, &slot));
	seen[slot] = true;
	assert_false(guest_take(guest, &slot));

	bench_let_go(bench, 3);
	guest_start(guest);
	for (unsigned int i = 0; i < 3; i++) {
		slot = guest_wait(guest);
		assert_false(seen[slot]);
		seen[slot] = true;
	}
	guest_stop(guest);
	rh_inflight_drop(&inflight);
}

/* D-04: without leave to abandon them, they are finished first. */
static void what_is_owed_is_finished_before_the_stop(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = guest_with_record(bench);
	unsigned int slot;

	bench->driver.held = true;
	bench->driver.limit = 1;
	for (unsigned int i = 0; i < 3; i++)
		guest_add(guest, i);
	guest_start(guest);
	bench_wait_submitted(bench, 1);
	ask_back_at_once(guest);
	bench_let_go(bench, 1);
	guest_wait_given_back(guest);
	assert_true(guest_take(guest, &slot));

	guest_start(guest);
	guest_ask_back(guest);
	bench_let_go(bench, 2);
	guest_wait_given_back(guest);
	assert_true(guest_take(guest, &slot));
	assert_true(guest_take(guest, &slot));
	rh_inflight_drop(&inflight);
}

/* Not const: cmocka takes a void pointer. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(what_the_driver_has_not_got_is_abandoned),
		ON_BOTH_ENGINES(what_is_owed_is_finished_before_the_stop),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}

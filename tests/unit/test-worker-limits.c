/* SPDX-License-Identifier: MIT */
/* worker-limits - a worker sleeps until a disk may go on, and no longer */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/nsec.h"
#include "tests/unit/worker-bench.h"

#define REGION_BYTES 65536

static struct rh_inflight inflight;

static void set_limit(struct guest *guest, enum throttle_kind kind,
		      uint64_t avg)
{
	struct throttle_limits limits = THROTTLE_NO_LIMITS;

	limits.rates[kind].avg = avg;
	assert_int_equal(virtio_blk_set_limits(guest->blk, &limits), 0);
	worker_look_again(guest->worker);
}

static void add_all(struct guest *guest, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		guest_add(guest, i);
}

static void wait_all(struct guest *guest, unsigned int nr)
{
	while (nr--)
		guest_wait(guest);
}

/* Six of them at once, the others one after the other. */
static void requests_go_when_their_time_has_come(void **state)
{
	static const enum throttle_kind kinds[] = { THROTTLE_IOPS_TOTAL,
						    THROTTLE_IOPS_READ };
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	bench->driver.at_once = true;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t begin_nsec = nsec_now();

		set_limit(guest, kinds[i], 50);
		add_all(guest, 10);
		guest_start(guest);
		wait_all(guest, 10);
		assert_true(nsec_now() - begin_nsec >= 79 * NSEC_PER_MSEC);
		guest_stop(guest);
	}
}

static void another_disk_of_the_worker_is_not_held_up(void **state)
{
	static const struct virtio_blk_options options = {
		.name = "other",
		.nr_queues = 2,
		.queue_size = BENCH_RING_SIZE,
	};
	struct bench *bench = bench_of(state);
	struct guest *limited = &bench->guests[0];
	struct guest *other = &bench->guests[1];

	bench->driver.at_once = true;
	assert_int_equal(virtio_blk_create(&options, &bench->driver.driver,
					   &other->blk),
			 0);
	set_limit(limited, THROTTLE_IOPS_TOTAL, 1);
	add_all(limited, 4);
	guest_start(limited);
	guest_start(other);
	guest_keep_busy(other, 1000, 4);
	assert_true(atomic_load(&bench->driver.nr_submitted) >= 1000);
	guest_stop(other);
	guest_stop(limited);
	virtio_blk_destroy(other->blk);
	other->blk = bench->blk;
}

/* Under a byte a second a request waits for the one before for minutes. */
#define HELD_NSEC (512 * NSEC_PER_SEC)

/* Which would take hours. */
static void a_limit_that_goes_is_noticed_at_once(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	uint64_t begin_nsec = nsec_now();

	bench->driver.at_once = true;
	set_limit(guest, THROTTLE_BPS_TOTAL, 1);
	add_all(guest, BENCH_NR_SLOTS);
	guest_start(guest);
	guest_wait(guest);
	set_limit(guest, THROTTLE_BPS_TOTAL, 0);
	wait_all(guest, BENCH_NR_SLOTS - 1);
	assert_true(nsec_now() - begin_nsec < HELD_NSEC);
	guest_stop(guest);
}

/* The rest is in the ring, for whoever has the queue next. */
static void a_stop_waits_for_no_limit(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	uint64_t begin_nsec = nsec_now();
	unsigned int slot;

	bench->driver.at_once = true;
	set_limit(guest, THROTTLE_BPS_TOTAL, 1);
	add_all(guest, BENCH_NR_SLOTS);
	guest_start(guest);
	guest_wait(guest);
	guest_stop(guest);
	assert_true(nsec_now() - begin_nsec < HELD_NSEC);
	assert_int_equal(atomic_load(&bench->driver.nr_submitted), 1);
	while (guest_take(guest, &slot))
		;
}

/* Reads that were taken, and wait for the limit of reads. */
static void what_is_held_is_abandoned_where_that_is_allowed(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	int fd = rh_memfd_create("inflight", REGION_BYTES);

	assert_true(fd >= 0);
	assert_int_equal(
		rh_range_map(fd, 0, REGION_BYTES, NULL, &inflight.range), 0);
	rh_fd_close(&fd);
	inflight.nr_queues = 1;
	inflight.queue_size = BENCH_RING_SIZE;
	guest->ring.queue.inflight = &inflight;

	bench->driver.at_once = true;
	set_limit(guest, THROTTLE_IOPS_READ, 1);
	add_all(guest, 4);
	guest_start(guest);
	guest_wait(guest);
	atomic_store(&guest->ring.queue.may_abandon, true);
	guest_ask_back(guest);
	guest_wait_given_back(guest);
	assert_int_equal(atomic_load(&bench->driver.nr_submitted), 1);

	set_limit(guest, THROTTLE_IOPS_READ, 0);
	guest_start(guest);
	wait_all(guest, 3);
	guest_stop(guest);
	rh_inflight_drop(&inflight);
}

/* Not const: cmocka takes a void pointer. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(requests_go_when_their_time_has_come),
		ON_BOTH_ENGINES(another_disk_of_the_worker_is_not_held_up),
		ON_BOTH_ENGINES(a_limit_that_goes_is_noticed_at_once),
		ON_BOTH_ENGINES(a_stop_waits_for_no_limit),
		ON_BOTH_ENGINES(
			what_is_held_is_abandoned_where_that_is_allowed),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}

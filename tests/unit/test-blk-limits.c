/* SPDX-License-Identifier: MIT */
/* blk-limits - a disk is kept to its limits, and nothing gets stuck there */
#include <errno.h>
#include <string.h>

#include "common/nsec.h"
#include "tests/unit/blk-disk.h"

#define BEGIN (1000 * NSEC_PER_SEC)

static struct blk_disk disk;
static struct throttle_limits limits;

static int set_up(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ 0 });
	disk.clock.now_nsec = BEGIN;
	limits = THROTTLE_NO_LIMITS;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

static void set_limit(enum throttle_kind kind, uint64_t avg)
{
	limits.rates[kind].avg = avg;
	assert_int_equal(virtio_blk_set_limits(disk.blk, &limits), 0);
}

/* Requests of one sector, each with a place of its own. */
static void send(uint32_t type, unsigned int nr)
{
	static unsigned int i;

	while (nr--) {
		uint64_t place = disk.data + i++ % 64 * UINT64_C(1024);
		const struct ring_buffer buffers[] = {
			{ place + 512, 16, false },
			{ place, 512, type == VIRTIO_BLK_T_IN },
			{ place + 528, 1, true },
		};

		disk_header(&disk, type, 0);
		memcpy(ring_at(&disk.ring, place + 512),
		       ring_at(&disk.ring, disk.header), 16);
		disk_send(&disk, buffers, ARRAY_SIZE(buffers));
	}
}

/* So many get to the driver in a turn at this time. */
static unsigned int turn_at(uint64_t nsec)
{
	unsigned int nr_before = disk.nr_calls;
	unsigned int budget = 1000;

	disk.clock.now_nsec = BEGIN + nsec;
	blk_queue_take(disk.queue, &budget);
	blk_queue_flush(disk.queue);
	return disk.nr_calls - nr_before;
}

static void assert_waits_until(uint64_t nsec)
{
	assert_int_equal(blk_queue_waits_until(disk.queue), BEGIN + nsec);
}

static void assert_waits_for_nothing(void)
{
	assert_false(blk_queue_waits(disk.queue));
	assert_int_equal(blk_queue_waits_until(disk.queue), UINT64_MAX);
}

static void a_disk_at_its_limit_leaves_requests_in_the_ring(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_TOTAL, 10);
	send(VIRTIO_BLK_T_IN, 2);
	send(VIRTIO_BLK_T_OUT, 2);
	assert_int_equal(turn_at(0), 2); /* a tenth of a second, and one */
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	assert_true(blk_queue_waits(disk.queue));
	assert_waits_until(100 * NSEC_PER_MSEC);
	assert_int_equal(turn_at(99 * NSEC_PER_MSEC), 0);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 1);
	assert_int_equal(turn_at(250 * NSEC_PER_MSEC), 1);
	assert_waits_for_nothing();
}

static void reads_wait_while_writes_go_on(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_READ, 10);
	send(VIRTIO_BLK_T_IN, 4);
	send(VIRTIO_BLK_T_OUT, 3);
	assert_int_equal(turn_at(0), 5);
	assert_int_equal(blk_queue_under_way(disk.queue), 2);
	assert_false(blk_queue_waits(disk.queue)); /* kicks are of interest */
	assert_waits_until(100 * NSEC_PER_MSEC);
	send(VIRTIO_BLK_T_OUT, 1);
	assert_int_equal(turn_at(50 * NSEC_PER_MSEC), 1);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 1);
	assert_int_equal(turn_at(200 * NSEC_PER_MSEC), 1);
	assert_int_equal(disk.calls[disk.nr_calls - 1].op, BLK_READ);
	assert_waits_for_nothing();
}

static void where_both_wait_nothing_more_is_taken(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_READ, 10);
	set_limit(THROTTLE_BPS_WRITE, 5120);
	send(VIRTIO_BLK_T_IN, 3);
	send(VIRTIO_BLK_T_OUT, 3);
	send(VIRTIO_BLK_T_IN, 5);
	assert_int_equal(turn_at(0), 4);
	assert_int_equal(blk_queue_under_way(disk.queue), 2);
	assert_true(blk_queue_waits(disk.queue));
	assert_waits_until(100 * NSEC_PER_MSEC);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 2);
	assert_int_equal(turn_at(600 * NSEC_PER_MSEC), 2);
	for (unsigned int i = 7; i < 10; i++)
		assert_int_equal(turn_at(i * 100 * NSEC_PER_MSEC), 1);
	assert_waits_for_nothing();
}

/* Several in the bucket at once, and then none for as long. */
static void a_queue_that_stops_waits_no_more_but_the_next_one_does(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_WRITE, 10);
	send(VIRTIO_BLK_T_OUT, 12);
	assert_int_equal(turn_at(0), 2);
	assert_int_equal(blk_queue_under_way(disk.queue), 10);
	blk_queue_hurry(disk.queue);
	disk.clock.now_nsec = BEGIN;
	assert_true(blk_queue_retry(disk.queue));
	assert_int_equal(disk.nr_calls, 12);
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	blk_queue_flush(disk.queue);
	disk_pause(&disk);
	disk_resume(&disk);

	send(VIRTIO_BLK_T_IN, 1); /* or who stops often had no limit */
	assert_int_equal(turn_at(0), 0);
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	assert_waits_until(1100 * NSEC_PER_MSEC);
	assert_int_equal(turn_at(1100 * NSEC_PER_MSEC), 1);
}

static void a_queue_that_stops_takes_no_more_than_it_may(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_TOTAL, 10);
	send(VIRTIO_BLK_T_IN, 4);
	blk_queue_hurry(disk.queue);
	assert_int_equal(turn_at(0), 2);
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	assert_int_equal(turn_at(200 * NSEC_PER_MSEC), 2);
}

static void new_limits_hold_for_what_waits(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_TOTAL, 1);
	set_limit(THROTTLE_IOPS_READ, 1);
	send(VIRTIO_BLK_T_IN, 4);
	assert_int_equal(turn_at(0), 1);
	assert_waits_until(900 * NSEC_PER_MSEC);
	limits = THROTTLE_NO_LIMITS;
	set_limit(THROTTLE_IOPS_READ, 10);
	assert_int_equal(turn_at(0), 2);
	assert_int_equal(blk_queue_under_way(disk.queue), 1);
	set_limit(THROTTLE_IOPS_READ, 0);
	assert_int_equal(turn_at(0), 1);
	assert_waits_for_nothing();
	send(VIRTIO_BLK_T_IN, 40);
	assert_int_equal(turn_at(0), 40);
}

/* Seconds, at one request in each, that a request of this kind takes. */
static unsigned int weigh(uint32_t type, unsigned int nr_segments)
{
	unsigned int seconds = 0;
	struct disk_reply reply;

	set_limit(THROTTLE_IOPS_TOTAL, 1);
	for (unsigned int i = 0; i < nr_segments; i++)
		disk_segment(&disk, i, i, 1, 0);
	disk.clock.now_nsec = BEGIN;
	reply = nr_segments ? disk_ranges(&disk, type, nr_segments) :
			      disk_request(&disk, type, 0, 0, false);
	assert_true(reply.done);
	send(VIRTIO_BLK_T_IN, 1);
	while (!turn_at(seconds * NSEC_PER_SEC))
		assert_true(++seconds < 100);
	while (ring_take_used(&disk.ring, &(uint32_t){ 0 }, &(uint32_t){ 0 }))
		;
	return seconds;
}

static void what_moves_no_data_counts_as_requests(void **state)
{
	(void)state;
	assert_int_equal(weigh(VIRTIO_BLK_T_FLUSH, 0), 1);
	assert_int_equal(weigh(VIRTIO_BLK_T_DISCARD, 1), 1);
	assert_int_equal(weigh(VIRTIO_BLK_T_DISCARD, 32), 32);
	assert_int_equal(weigh(VIRTIO_BLK_T_WRITE_ZEROES, 5), 5);
	assert_int_equal(weigh(VIRTIO_BLK_T_SECURE_ERASE, 0), 1);
	assert_int_equal(weigh(VIRTIO_BLK_T_IN, 0), 1);
	assert_int_equal(weigh(77, 0), 1);
	limits = THROTTLE_NO_LIMITS;
	set_limit(THROTTLE_BPS_TOTAL, 1);
	disk_segment(&disk, 0, 0, 100, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 1),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(turn_at(0), 0);
	send(VIRTIO_BLK_T_IN, 1);
	assert_int_equal(turn_at(0), 1);
	send(VIRTIO_BLK_T_IN, 1);
	assert_int_equal(turn_at(511 * NSEC_PER_SEC), 0);
	assert_int_equal(turn_at(512 * NSEC_PER_SEC), 1);
}

/* What makes room in the driver is what it waits for then. */
static void behind_a_busy_driver_no_limit_wakes_anybody(void **state)
{
	(void)state;
	set_limit(THROTTLE_IOPS_READ, 10);
	send(VIRTIO_BLK_T_IN, 3);
	assert_int_equal(turn_at(0), 2);
	disk.nr_busy = 2;
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 0);
	assert_true(blk_queue_waits(disk.queue));
	assert_int_equal(blk_queue_waits_until(disk.queue), UINT64_MAX);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 0);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 1);
	assert_waits_for_nothing();
}

static void a_disk_obeys_its_group_as_well(void **state)
{
	struct throttle *group;
	struct virtio_blk *blk = disk.blk;
	struct virtio_blk_options options = {
		.name = "grouped",
		.nr_queues = 1,
		.queue_size = DISK_RING_SIZE,
		.groups = &group,
		.nr_groups = 1,
	};

	(void)state;
	assert_int_equal(throttle_create(1, &group), 0);
	assert_int_equal(virtio_blk_create(&options, &disk.driver, &disk.blk),
			 0);
	disk_pause(&disk);
	disk_resume(&disk);
	assert_int_equal(virtio_blk_create(&options, &disk.driver,
					   &(struct virtio_blk *){ NULL }),
			 -ENOSPC);
	limits.rates[THROTTLE_IOPS_TOTAL].avg = 10;
	throttle_set(group, &limits);
	send(VIRTIO_BLK_T_IN, 7);
	assert_int_equal(turn_at(0), 2);
	set_limit(THROTTLE_IOPS_TOTAL, 5);
	assert_int_equal(turn_at(100 * NSEC_PER_MSEC), 1);
	assert_waits_until(200 * NSEC_PER_MSEC);
	assert_int_equal(turn_at(200 * NSEC_PER_MSEC), 1);
	assert_waits_until(400 * NSEC_PER_MSEC);
	limits = THROTTLE_NO_LIMITS;
	throttle_set(group, &limits);
	assert_int_equal(turn_at(400 * NSEC_PER_MSEC), 1);
	set_limit(THROTTLE_IOPS_TOTAL, 0);
	assert_int_equal(turn_at(400 * NSEC_PER_MSEC), 2);
	disk_pause(&disk);
	virtio_blk_destroy(disk.blk);
	throttle_destroy(group);
	disk.blk = blk;
	disk_resume(&disk);
}

int main(void)
{
#define LIMITS_TEST(test)                                                      \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		LIMITS_TEST(a_disk_at_its_limit_leaves_requests_in_the_ring),
		LIMITS_TEST(reads_wait_while_writes_go_on),
		LIMITS_TEST(where_both_wait_nothing_more_is_taken),
		LIMITS_TEST(
			a_queue_that_stops_waits_no_more_but_the_next_one_does),
		LIMITS_TEST(a_queue_that_stops_takes_no_more_than_it_may),
		LIMITS_TEST(new_limits_hold_for_what_waits),
		LIMITS_TEST(what_moves_no_data_counts_as_requests),
		LIMITS_TEST(behind_a_busy_driver_no_limit_wakes_anybody),
		LIMITS_TEST(a_disk_obeys_its_group_as_well),
	};

	return cmocka_run_group_tests_name("blk-limits", tests, NULL, NULL);
}

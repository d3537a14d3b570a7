/* SPDX-License-Identifier: MIT */
/* blk-counts - what the requests of a queue add to its statistics */
#include <errno.h>
#include <string.h>

#include "tests/unit/blk-disk.h"

static struct blk_disk disk;

static int usual_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ 0 });
	return 0;
}

static int no_disk_left(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

/* A request that the driver keeps. */
static void begin(uint32_t type)
{
	const struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, 512, type == VIRTIO_BLK_T_IN },
		{ disk.status, 1, true },
	};

	disk_header(&disk, type, 0);
	disk_send(&disk, buffers, ARRAY_SIZE(buffers));
	disk_turn(&disk);
}

static void counters_tell_what_was_done(void **state)
{
	struct blk_counters counters;

	(void)state;
	disk_read(&disk, 0, 1024);
	disk_read(&disk, 1, 512);
	disk_write(&disk, 1, 4096);
	disk_write(&disk, UINT64_MAX, 4096);
	disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0, 20, true);
	disk_request(&disk, 99, 0, 20, true);
	virtio_blk_counters(disk.blk, &counters);
	assert_int_equal(counters.reads, 2);
	assert_int_equal(counters.read_bytes, 1536);
	assert_int_equal(counters.writes, 2);
	assert_int_equal(counters.written_bytes, 4096);
	assert_int_equal(counters.flushes, 1);
	assert_int_equal(counters.others, 2);
	assert_int_equal(counters.errors, 2);
}

static struct blk_kind_sum sum_of(enum blk_kind kind)
{
	struct blk_kind_sum sum = { 0 };

	blk_stats_sum(virtio_blk_stats(disk.blk, 0), kind, &sum);
	return sum;
}

/* And whoever knows the time already is not asked for it again. */
static void latency_lasts_from_the_take_to_the_turn_of_the_end(void **state)
{
	struct blk_kind_sum reads;

	(void)state;
	disk.answer = DRIVER_QUEUED;
	disk.clock.now_nsec = 1000;
	for (unsigned int i = 0; i < 3; i++)
		begin(VIRTIO_BLK_T_IN);
	assert_int_equal(
		atomic_load(&virtio_blk_stats(disk.blk, 0)->nr_under_way), 3);
	assert_int_equal(sum_of(BLK_KIND_READ).nr, 0);
	disk.clock.now_nsec = 51000;
	disk_complete(&disk, 1, 0);
	disk_complete(&disk, 2, 0);
	disk_turn(&disk);
	disk.clock.now_nsec = 101000;
	disk_complete(&disk, 0, 0);
	disk_turn(&disk);
	assert_int_equal(disk.clock.now_nsec, 101000);

	reads = sum_of(BLK_KIND_READ);
	assert_int_equal(reads.nr, 3);
	assert_int_equal(reads.bytes, 3 * 512);
	assert_int_equal(reads.sum_nsec, 50000 + 50000 + 100000);
	assert_int_equal(reads.max_nsec, 100000);
	assert_int_equal(
		atomic_load(&virtio_blk_stats(disk.blk, 0)->nr_under_way), 0);
}

static void a_request_that_fails_has_a_latency_and_no_bytes(void **state)
{
	struct blk_kind_sum writes;

	(void)state;
	disk.answer = DRIVER_QUEUED;
	disk.clock.now_nsec = 1000;
	begin(VIRTIO_BLK_T_OUT);
	disk.clock.now_nsec = 3000;
	disk_complete(&disk, 0, -EIO);
	disk_turn(&disk);
	writes = sum_of(BLK_KIND_WRITE);
	assert_int_equal(writes.nr, 1);
	assert_int_equal(writes.nr_failed, 1);
	assert_int_equal(writes.nr_invalid, 0);
	assert_int_equal(writes.bytes, 0);
	assert_int_equal(writes.sum_nsec, 2000);
}

static void what_is_refused_for_what_it_asks_counts_as_invalid(void **state)
{
	(void)state;
	disk_read(&disk, UINT64_MAX, 512);
	disk_request(&disk, 99, 0, 20, true);
	disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0, 20, true);
	assert_int_equal(sum_of(BLK_KIND_READ).nr_invalid, 1);
	assert_int_equal(sum_of(BLK_KIND_READ).nr_failed, 1);
	assert_int_equal(sum_of(BLK_KIND_OTHER).nr, 2);
	assert_int_equal(sum_of(BLK_KIND_OTHER).nr_invalid, 1);
}

static void discarded_bytes_are_those_of_all_segments(void **state)
{
	struct blk_kind_sum discards;
	struct virtio_blk_discard_write_zeroes *segments =
		(void *)((uint8_t *)disk_data(&disk));

	(void)state;
	segments[0] = (struct virtio_blk_discard_write_zeroes){
		.sector = htole64(8), .num_sectors = htole32(3)
	};
	segments[1] = (struct virtio_blk_discard_write_zeroes){
		.sector = htole64(80), .num_sectors = htole32(2)
	};
	disk_request(&disk, VIRTIO_BLK_T_DISCARD, 0, 32, false);
	discards = sum_of(BLK_KIND_DISCARD);
	assert_int_equal(discards.nr, 1);
	assert_int_equal(discards.bytes, 5 * 512);
	assert_int_equal(sum_of(BLK_KIND_WRITE_ZEROES).nr, 0);
}

static void counters_go_on_when_the_queue_is_started_again(void **state)
{
	(void)state;
	disk_read(&disk, 0, 1024);
	disk_pause(&disk);
	disk_resume(&disk);
	assert_int_equal(sum_of(BLK_KIND_READ).nr, 1);
	assert_int_equal(sum_of(BLK_KIND_READ).bytes, 1024);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, usual_disk, no_disk_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_tell_what_was_done),
		TEST(latency_lasts_from_the_take_to_the_turn_of_the_end),
		TEST(a_request_that_fails_has_a_latency_and_no_bytes),
		TEST(what_is_refused_for_what_it_asks_counts_as_invalid),
		TEST(discarded_bytes_are_those_of_all_segments),
		TEST(counters_go_on_when_the_queue_is_started_again),
	};

	return cmocka_run_group_tests_name("blk-counts", tests, NULL, NULL);
}

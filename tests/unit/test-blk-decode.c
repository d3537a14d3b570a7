/* SPDX-License-Identifier: MIT */
/*
 * blk-decode - what each request asks for, and which answer the bad ones get
 *
 * Framing: test-blk-decode-framing.c. Discard and write-zeroes:
 * test-blk-decode-ranges.c.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/blk-disk.h"

static struct blk_disk disk;

static uint8_t *storage_at(uint64_t sector)
{
	return disk.storage + sector * 512;
}

/* Neither the driver nor the disk has noticed anything. */
static void assert_untouched(void)
{
	assert_int_equal(disk.nr_calls, 0);
}

static int usual_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .serial = "ringhost-serial" });
	return 0;
}

static int disk_of_4096_byte_blocks(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .block_bytes = 4096 });
	return 0;
}

static int read_only_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .read_only = true });
	return 0;
}

static int no_disk_left(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

/* Behaviour 29, G-15 */
static void a_read_fills_its_buffer_and_counts_the_status(void **state)
{
	(void)state;
	assert_reply(disk_read(&disk, 3, 4096), VIRTIO_BLK_S_OK, 4097);
	assert_memory_equal(disk_data(&disk), storage_at(3), 4096);
}

/* Behaviour 29, G-15 */
static void a_write_reaches_the_disk_and_counts_the_status_only(void **state)
{
	(void)state;
	assert_reply(disk_write(&disk, 5, 1024), VIRTIO_BLK_S_OK, 1);
	assert_memory_equal(storage_at(5), disk_data(&disk), 1024);
	assert_int_equal(disk.calls[0].offset_bytes, 5 * 512);
	assert_int_equal(disk.calls[0].bytes, 1024);
}

/* G-15 */
static void only_the_status_byte_is_written_beside_the_data(void **state)
{
	const uint8_t *status = ring_at(&disk.ring, disk.status);
	const uint8_t *data = disk_data(&disk);

	(void)state;
	disk.result = -EIO;
	assert_ioerr(disk_read(&disk, 0, 512));
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0, 20, true),
		     VIRTIO_BLK_S_OK, 21);
	for (int i = 1; i <= 8; i++) {
		assert_int_equal(status[-i], DISK_PATTERN);
		assert_int_equal(status[i], DISK_PATTERN);
	}
	for (int i = 20; i < 1024; i++)
		assert_int_equal(data[i], DISK_PATTERN);
}

/* Behaviour 27, G-13 */
static void lengths_that_are_not_whole_sectors_are_an_error(void **state)
{
	const uint32_t bad[] = { 1, 511, 513, 1023, 1536 - 1 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_ioerr(disk_read(&disk, 0, bad[i]));
		assert_ioerr(disk_write(&disk, 0, bad[i]));
	}
	assert_untouched();
}

/* Behaviour 27, G-13 */
static void lengths_and_places_must_be_whole_blocks(void **state)
{
	(void)state;
	assert_ioerr(disk_read(&disk, 0, 512));
	assert_ioerr(disk_write(&disk, 0, 4096 + 512));
	assert_ioerr(disk_read(&disk, 1, 4096));
	assert_ioerr(disk_write(&disk, 7, 4096));
	assert_untouched();
	assert_reply(disk_write(&disk, 8, 4096), VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[0].offset_bytes, 4096);
}

/* Behaviour 27 */
static void a_request_for_no_data_is_answered_with_an_error(void **state)
{
	(void)state;
	assert_ioerr(disk_read(&disk, 0, 0));
	assert_ioerr(disk_write(&disk, 0, 0));
	assert_untouched();
}

/* Behaviour 26 */
static void data_in_the_wrong_direction_is_an_error(void **state)
{
	(void)state;
	assert_ioerr(disk_request(&disk, VIRTIO_BLK_T_IN, 0, 512, false));
	assert_ioerr(disk_request(&disk, VIRTIO_BLK_T_OUT, 0, 512, true));
	assert_untouched();
}

/* Behaviour 27, G-16, G-17 */
static void what_lies_beyond_the_disk_is_an_error(void **state)
{
	const uint64_t capacity = DISK_BYTES / 512;
	const uint64_t bad[] = { capacity,
				 capacity + 1,
				 UINT64_MAX,
				 UINT64_C(1) << 55,
				 (UINT64_C(1) << 55) - 1,
				 (UINT64_C(1) << 63) / 512,
				 UINT64_MAX / 512 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_ioerr(disk_read(&disk, bad[i], 512));
		assert_ioerr(disk_write(&disk, bad[i], 512));
	}
	assert_ioerr(disk_read(&disk, capacity - 1, 1024));
	assert_ioerr(disk_write(&disk, 1, DISK_BYTES));
	assert_untouched();
	assert_reply(disk_read(&disk, capacity - 1, 512), VIRTIO_BLK_S_OK, 513);
	assert_reply(disk_write(&disk, 0, DISK_BYTES), VIRTIO_BLK_S_OK, 1);
}

/* G-16 */
static void all_buffers_together_must_fit_the_disk(void **state)
{
	struct ring_buffer buffers[DISK_RING_SIZE];

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_OUT, DISK_BYTES / 512 - 1);
	buffers[0] = (struct ring_buffer){ disk.header, 16, false };
	for (unsigned int nr = 2; nr <= DISK_RING_SIZE - 2; nr++) {
		for (unsigned int i = 0; i < nr; i++)
			buffers[1 + i] =
				(struct ring_buffer){ disk.data + i * 512, 512,
						      false };
		buffers[1 + nr] = (struct ring_buffer){ disk.status, 1, true };
		assert_ioerr(disk_run(&disk, buffers, nr + 2));
	}
	assert_untouched();
}

static void a_smaller_disk_refuses_what_was_cut_off(void **state)
{
	(void)state;
	disk.driver.info.size_bytes = DISK_BYTES / 2;
	virtio_blk_resize(disk.blk);
	assert_ioerr(disk_write(&disk, DISK_BYTES / 1024, 512));
	assert_untouched();
	assert_reply(disk_write(&disk, DISK_BYTES / 1024 - 1, 512),
		     VIRTIO_BLK_S_OK, 1);
}

/* Behaviour 28, G-27 */
static void a_read_only_disk_changes_by_no_request(void **state)
{
	const uint32_t types[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
				   VIRTIO_BLK_T_WRITE_ZEROES,
				   VIRTIO_BLK_T_SECURE_ERASE };

	(void)state;
	virtio_blk_features_set(disk.blk, 0); /* RO was not accepted */
	disk_segment(&disk, 0, 0, 8, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		assert_ioerr(disk_request(&disk, types[i], 0, 512, false));
		assert_ioerr(disk_request(&disk, types[i], 0, 16, false));
		assert_ioerr(disk_request(
			&disk, types[i] | VIRTIO_BLK_T_BARRIER, 0, 512, false));
	}
	assert_untouched();
}

/* Behaviour 28, G-28 */
static void a_read_only_disk_reads_and_flushes(void **state)
{
	(void)state;
	assert_reply(disk_read(&disk, 1, 512), VIRTIO_BLK_S_OK, 513);
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 0, false),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[1].op, BLK_FLUSH);
}

/* Behaviour 24, G-28 */
static void a_flush_is_performed_whatever_comes_with_it(void **state)
{
	(void)state;
	virtio_blk_features_set(disk.blk, 0); /* FLUSH was not accepted */
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 0, false),
		     VIRTIO_BLK_S_OK, 1);
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_FLUSH, 99, 0, false),
		     VIRTIO_BLK_S_OK, 1);
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 700, false),
		     VIRTIO_BLK_S_OK, 1);
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 700, true),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.nr_calls, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(disk.calls[i].op, BLK_FLUSH);
}

/* Behaviour 29, G-15 */
static void the_id_fills_twenty_bytes_at_most(void **state)
{
	static const uint8_t id[20] = "ringhost-serial";
	const uint32_t sizes[] = { 1, 19, 20, 21, 4096 };
	uint8_t *data = disk_data(&disk);

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t filled = MIN(sizes[i], UINT32_C(20));

		memset(data, DISK_PATTERN, 8192);
		assert_reply(disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0,
					  sizes[i], true),
			     VIRTIO_BLK_S_OK, filled + 1);
		assert_memory_equal(data, id, filled);
		for (uint32_t n = filled; n < 8192; n++)
			assert_int_equal(data[n], DISK_PATTERN);
	}
	assert_untouched();
}

/* Behaviour 29 */
static void the_id_may_be_split_over_buffers(void **state)
{
	static const uint8_t id[20] = "ringhost-serial";
	uint8_t *data = disk_data(&disk);
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },	{ disk.data, 3, true },
		{ disk.data + 100, 1, true },	{ disk.data + 200, 30, true },
		{ disk.data + 300, 512, true }, { disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_GET_ID, 0);
	assert_reply(disk_run(&disk, buffers, 6), VIRTIO_BLK_S_OK, 21);
	assert_memory_equal(data, id, 3);
	assert_memory_equal(data + 100, id + 3, 1);
	assert_memory_equal(data + 200, id + 4, 16);
	assert_int_equal(data[216], DISK_PATTERN);
	assert_int_equal(data[300], DISK_PATTERN);
}

/* Behaviour 29 */
static void an_id_without_room_is_an_error(void **state)
{
	(void)state;
	assert_ioerr(disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0, 0, true));
	assert_ioerr(disk_request(&disk, VIRTIO_BLK_T_GET_ID, 0, 20, false));
}

/* Behaviour 29, G-14, D-18 */
static void unknown_requests_are_unsupported(void **state)
{
	const uint32_t types[] = { 2,	  3,	    5,		6,	   7,
				   9,	  10,	    12,		14,	   15,
				   16,	  17,	    18,		20,	   22,
				   24,	  26,	    27,		99,	   256,
				   65536, 1u << 30, 0x7fffffff, 0xffffffff };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		assert_unsupp(disk_request(&disk, types[i], 0, 512, true));
		assert_unsupp(disk_request(&disk, types[i], 0, 512, false));
		assert_unsupp(disk_request(&disk, types[i], 0, 0, false));
	}
	assert_untouched();
	assert_int_equal(((uint8_t *)disk_data(&disk))[0], DISK_PATTERN);
}

/* Behaviour 29 */
static void the_barrier_bit_is_ignored(void **state)
{
	(void)state;
	assert_reply(disk_request(&disk, VIRTIO_BLK_T_IN | VIRTIO_BLK_T_BARRIER,
				  1, 512, true),
		     VIRTIO_BLK_S_OK, 513);
	assert_reply(disk_request(&disk,
				  VIRTIO_BLK_T_OUT | VIRTIO_BLK_T_BARRIER, 1,
				  512, false),
		     VIRTIO_BLK_S_OK, 1);
	assert_unsupp(
		disk_request(&disk, 2 | VIRTIO_BLK_T_BARRIER, 1, 512, false));
}

static void rewrite_the_header(struct blk_disk *of)
{
	disk_header(of, VIRTIO_BLK_T_OUT, UINT64_MAX);
}

/* G-08 */
static void a_header_that_changes_later_changes_nothing(void **state)
{
	(void)state;
	disk.at_submit = rewrite_the_header;
	assert_reply(disk_read(&disk, 3, 512), VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(disk_data(&disk), storage_at(3), 512);
}

/* G-20, G-22 */
static void ten_thousand_bad_requests_leave_the_queue_whole(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2500; i++) {
		assert_ioerr(disk_read(&disk, UINT64_MAX, 512));
		assert_ioerr(disk_write(&disk, 0, 511));
		assert_unsupp(disk_request(&disk, 77, 0, 512, true));
		assert_ioerr(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 0));
	}
	assert_untouched();
	assert_reply(disk_read(&disk, 0, 512), VIRTIO_BLK_S_OK, 513);
}

#define TEST_ON(setup, name)                                                   \
	cmocka_unit_test_setup_teardown(name, setup, no_disk_left)
#define TEST(name) TEST_ON(usual_disk, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_fills_its_buffer_and_counts_the_status),
		TEST(a_write_reaches_the_disk_and_counts_the_status_only),
		TEST(only_the_status_byte_is_written_beside_the_data),
		TEST(lengths_that_are_not_whole_sectors_are_an_error),
		TEST_ON(disk_of_4096_byte_blocks,
			lengths_and_places_must_be_whole_blocks),
		TEST(a_request_for_no_data_is_answered_with_an_error),
		TEST(data_in_the_wrong_direction_is_an_error),
		TEST(what_lies_beyond_the_disk_is_an_error),
		TEST(all_buffers_together_must_fit_the_disk),
		TEST(a_smaller_disk_refuses_what_was_cut_off),
		TEST_ON(read_only_disk, a_read_only_disk_changes_by_no_request),
		TEST_ON(read_only_disk, a_read_only_disk_reads_and_flushes),
		TEST(a_flush_is_performed_whatever_comes_with_it),
		TEST(the_id_fills_twenty_bytes_at_most),
		TEST(the_id_may_be_split_over_buffers),
		TEST(an_id_without_room_is_an_error),
		TEST(unknown_requests_are_unsupported),
		TEST(the_barrier_bit_is_ignored),
		TEST(a_header_that_changes_later_changes_nothing),
		TEST(ten_thousand_bad_requests_leave_the_queue_whole),
	};

	return cmocka_run_group_tests_name("blk-decode", tests, NULL, NULL);
}

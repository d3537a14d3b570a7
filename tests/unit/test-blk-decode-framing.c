/* SPDX-License-Identifier: MIT */
/* blk-decode-framing - a request may lie in any buffers, but reachable ones */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

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

static int huge_disk(void **state)
{
	(void)state;
	disk_init(&disk,
		  &(struct disk_setup){ .size_bytes = UINT64_C(1) << 50 });
	return 0;
}

static int no_disk_left(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

/* Behaviour 26, G-10 */
static void a_header_in_sixteen_pieces_works(void **state)
{
	struct ring_buffer buffers[20];
	unsigned int nr = 0;

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 2);
	while (nr < 16) {
		buffers[nr] =
			(struct ring_buffer){ disk.header + nr, 1, false };
		nr++;
	}
	buffers[nr++] = (struct ring_buffer){ disk.data, 13, true };
	buffers[nr++] = (struct ring_buffer){ disk.data + 13, 1000, true };
	buffers[nr++] = (struct ring_buffer){ disk.data + 1013, 11, true };
	buffers[nr++] = (struct ring_buffer){ disk.status, 1, true };
	assert_reply(disk_run(&disk, buffers, nr), VIRTIO_BLK_S_OK, 1025);
	assert_memory_equal(disk_data(&disk), storage_at(2), 1024);
	assert_int_equal(disk.calls[0].nr_iov, 3);
}

/* Behaviour 26, G-10 */
static void header_and_data_may_share_a_buffer(void **state)
{
	uint8_t *area = disk_data(&disk);
	struct ring_buffer buffers[] = {
		{ disk.data, 16 + 700, false },
		{ disk.data + 716, 324, false },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_OUT, 7);
	memcpy(area, ring_at(&disk.ring, disk.header), 16);
	memset(area + 16, 0x77, 1024);
	assert_reply(disk_run(&disk, buffers, 3), VIRTIO_BLK_S_OK, 1);
	assert_memory_equal(storage_at(7), area + 16, 1024);
}

/* Behaviour 26, G-10 */
static void data_and_status_may_share_a_buffer(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, 513, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 9);
	assert_reply(disk_run(&disk, buffers, 2), VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(disk_data(&disk), storage_at(9), 512);
}

/* B-04, behaviour 26 */
static void only_the_last_byte_of_a_long_status_buffer_is_status(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, 505, true },
		{ disk.data + 505, 8, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 9);
	assert_reply(disk_run(&disk, buffers, 3), VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(disk_data(&disk), storage_at(9), 512);
}

/* Behaviour 26 */
static void everything_may_lie_in_two_buffers(void **state)
{
	uint8_t *area = disk_data(&disk);
	struct ring_buffer buffers[] = {
		{ disk.data, 16 + 512, false },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_OUT, 0);
	memcpy(area, ring_at(&disk.ring, disk.header), 16);
	assert_reply(disk_run(&disk, buffers, 2), VIRTIO_BLK_S_OK, 1);
	assert_memory_equal(storage_at(0), area + 16, 512);
}

/* Behaviour 26, G-02, G-12 */
static void buffers_of_no_length_are_skipped_anywhere(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.data, 0, false },      { disk.header, 5, false },
		{ UINT64_MAX, 0, false },     { disk.header + 5, 11, false },
		{ UINT64_MAX, 0, true },      { disk.data, 512, true },
		{ disk.data + 512, 0, true }, { disk.status, 1, true },
		{ UINT64_MAX, 0, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 1);
	assert_reply(disk_run(&disk, buffers, ARRAY_SIZE(buffers)),
		     VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(disk_data(&disk), storage_at(1), 512);
}

/* Behaviour 26 */
static void data_in_several_hundred_pieces_works(void **state)
{
	struct ring_buffer buffers[514] = { { disk.header, 16, false } };

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 4);
	for (unsigned int i = 0; i < 512; i++)
		buffers[1 + i] = (struct ring_buffer){ disk.data + i, 1, true };
	buffers[513] = (struct ring_buffer){ disk.status, 1, true };
	ring_add_indirect(&disk.ring, 0, buffers, 514);
	disk_turn(&disk);
	assert_int_equal(*(uint8_t *)ring_at(&disk.ring, disk.status),
			 VIRTIO_BLK_S_OK);
	assert_memory_equal(disk_data(&disk), storage_at(4), 512);
}

/* D-16 */
static void one_page_may_be_several_buffers_of_a_read(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, 4096, true },
		{ disk.data, 4096, true },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 0);
	assert_reply(disk_run(&disk, buffers, 4), VIRTIO_BLK_S_OK, 8193);
	assert_memory_equal(disk_data(&disk), storage_at(8), 4096);
}

static void assert_breaks_the_queue(const struct ring_buffer *buffers,
				    unsigned int nr)
{
	struct disk_reply reply = disk_run(&disk, buffers, nr);

	assert_false(reply.done);
	assert_int_equal(reply.status, DISK_STATUS_UNSET);
	assert_true(rh_queue_broken(&disk.ring.queue));
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	assert_untouched();
	assert_false(disk_turn(&disk));
}

/* G-20, G-21 */
static void a_request_without_a_writable_byte_breaks_the_queue(void **state)
{
	struct ring_buffer buffers[] = { { disk.header, 16, false },
					 { disk.data, 512, false } };

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_OUT, 0);
	assert_breaks_the_queue(buffers, 2);
}

/* G-20, G-21 */
static void a_status_outside_guest_memory_breaks_the_queue(void **state)
{
	struct ring_buffer buffers[] = { { disk.header, 16, false },
					 { disk.data, 512, true },
					 { UINT64_C(1) << 60, 8, true } };

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 0);
	assert_breaks_the_queue(buffers, 3);
}

/* F-01, G-21 */
static void a_header_outside_guest_memory_breaks_the_queue(void **state)
{
	struct ring_buffer buffers[] = {
		{ RING_GUEST_BASE + RING_MEMORY_BYTES - 15, 16, false },
		{ disk.data, 512, true },
		{ disk.status, 1, true }
	};

	(void)state;
	assert_breaks_the_queue(buffers, 3);
}

/* Behaviour 26, G-21 */
static void a_short_header_is_an_error(void **state)
{
	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_FLUSH, 0);
	for (uint32_t bytes = 0; bytes < 16; bytes++) {
		struct ring_buffer buffers[] = {
			{ disk.header, bytes, false },
			{ disk.status, 1, true },
		};

		assert_ioerr(disk_run(&disk, buffers, 2));
	}
	assert_untouched();
}

/* Behaviour 26 */
static void a_header_in_writable_memory_is_an_error(void **state)
{
	struct ring_buffer buffers[] = { { disk.header, 16, true },
					 { disk.status, 1, true } };

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_FLUSH, 0);
	assert_ioerr(disk_run(&disk, buffers, 2));
	assert_untouched();
}

/* Behaviour 26 */
static void a_writable_buffer_before_a_readable_one_is_an_error(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data + 512, 512, true },
		{ disk.data, 512, false },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_OUT, 0);
	assert_ioerr(disk_run(&disk, buffers, 4));
	assert_untouched();
}

/* F-01, G-11, G-21 */
static void data_outside_guest_memory_is_an_error(void **state)
{
	const uint64_t end = RING_GUEST_BASE + RING_MEMORY_BYTES;
	const uint64_t bad[] = { 0,
				 end,
				 end - 511,
				 1ull << 60,
				 UINT64_MAX - 511,
				 UINT64_MAX - 100 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ring_buffer buffers[] = {
			{ disk.header, 16, false },
			{ bad[i], 512, true },
			{ disk.status, 1, true },
		};

		disk_header(&disk, VIRTIO_BLK_T_IN, 0);
		assert_ioerr(disk_run(&disk, buffers, 3));
		buffers[1].writable = false;
		disk_header(&disk, VIRTIO_BLK_T_OUT, 0);
		assert_ioerr(disk_run(&disk, buffers, 3));
	}
	assert_untouched();
}

/* G-11 */
static void data_up_to_the_last_byte_of_guest_memory_works(void **state)
{
	const uint64_t end = RING_GUEST_BASE + RING_MEMORY_BYTES;
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ end - 512, 512, true },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 6);
	assert_reply(disk_run(&disk, buffers, 3), VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(ring_at(&disk.ring, end - 512), storage_at(6), 512);
}

/* F-01 */
static void buffers_across_two_regions_work(void **state)
{
	const uint64_t seam = RING_GUEST_BASE + RING_MEMORY_BYTES;
	uint8_t *second;
	struct ring_buffer buffers[] = {
		{ seam - 7, 16, false },
		{ seam - 200, 512, true },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_pause(&disk);
	second = ring_add_region(&disk.ring, seam, 4096);
	disk_resume(&disk);
	disk_header(&disk, VIRTIO_BLK_T_IN, 6);
	memcpy(ring_at(&disk.ring, seam - 7), ring_at(&disk.ring, disk.header),
	       7);
	memcpy(second, (uint8_t *)ring_at(&disk.ring, disk.header) + 7, 9);
	assert_reply(disk_run(&disk, buffers, 3), VIRTIO_BLK_S_OK, 513);
	assert_memory_equal(ring_at(&disk.ring, seam - 200), storage_at(6),
			    200);
	assert_memory_equal(second, storage_at(6) + 200, 312);
	munmap(second, 4096);
}

/* G-18 */
static void four_gibibytes_and_more_are_an_error(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, UINT32_C(1) << 31, true },
		{ disk.data, UINT32_C(1) << 31, true },
		{ disk.status, 1, true },
	};

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 0);
	assert_ioerr(disk_run(&disk, buffers, 4));
	assert_untouched();
}

/* More than one call of the host moves, though all of it is guest memory. */
static void data_of_two_gibibytes_is_an_error(void **state)
{
	const uint64_t far = UINT64_C(1) << 40;
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ far, UINT32_C(1) << 30, false },
		{ far, (UINT32_C(1) << 30) - 4096, false },
		{ far, 512, false },
		{ disk.status, 1, true },
	};
	uint8_t *region;

	(void)state;
	disk_pause(&disk);
	region = ring_add_region(&disk.ring, far, UINT64_C(1) << 30);
	disk_resume(&disk);
	disk_header(&disk, VIRTIO_BLK_T_OUT, DISK_BYTES / 512);
	assert_ioerr(disk_run(&disk, buffers, 5));
	assert_untouched();
	buffers[3].len = 0;
	assert_reply(disk_run(&disk, buffers, 5), VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[0].bytes, (UINT64_C(2) << 30) - 4096);
	munmap(region, UINT64_C(1) << 30);
}

#define TEST_ON(setup, name)                                                   \
	cmocka_unit_test_setup_teardown(name, setup, no_disk_left)
#define TEST(name) TEST_ON(usual_disk, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_header_in_sixteen_pieces_works),
		TEST(header_and_data_may_share_a_buffer),
		TEST(data_and_status_may_share_a_buffer),
		TEST(only_the_last_byte_of_a_long_status_buffer_is_status),
		TEST(everything_may_lie_in_two_buffers),
		TEST(buffers_of_no_length_are_skipped_anywhere),
		TEST(data_in_several_hundred_pieces_works),
		TEST(one_page_may_be_several_buffers_of_a_read),
		TEST(a_request_without_a_writable_byte_breaks_the_queue),
		TEST(a_status_outside_guest_memory_breaks_the_queue),
		TEST(a_header_outside_guest_memory_breaks_the_queue),
		TEST(a_short_header_is_an_error),
		TEST(a_header_in_writable_memory_is_an_error),
		TEST(a_writable_buffer_before_a_readable_one_is_an_error),
		TEST(data_outside_guest_memory_is_an_error),
		TEST(data_up_to_the_last_byte_of_guest_memory_works),
		TEST(buffers_across_two_regions_work),
		TEST(four_gibibytes_and_more_are_an_error),
		TEST_ON(huge_disk, data_of_two_gibibytes_is_an_error),
	};

	return cmocka_run_group_tests_name("blk-decode-framing", tests, NULL,
					   NULL);
}

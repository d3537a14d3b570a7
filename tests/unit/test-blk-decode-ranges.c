/* SPDX-License-Identifier: MIT */
/* blk-decode-ranges - discard and write-zeroes, segment by segment */
#include <string.h>

#include "tests/unit/blk-disk.h"

static struct blk_disk disk;

static const uint32_t both[] = { VIRTIO_BLK_T_DISCARD,
				 VIRTIO_BLK_T_WRITE_ZEROES };

#define CAPACITY (DISK_BYTES / 512)

static int usual_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ 0 });
	return 0;
}

static int limited_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .max_range_bytes = 64 * 512 });
	return 0;
}

static int disk_of_4096_byte_blocks(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .block_bytes = 4096 });
	return 0;
}

static int disk_of_5_gib(void **state)
{
	(void)state;
	disk_init(&disk,
		  &(struct disk_setup){ .size_bytes = UINT64_C(5) << 30 });
	return 0;
}

static int disk_that_can_do_neither(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .cannot_discard = true,
					       .cannot_write_zeroes = true });
	return 0;
}

static int disk_that_cannot_discard(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .cannot_discard = true });
	return 0;
}

static int no_disk_left(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

/* Behaviour 30, D-18 */
static void zeroes_are_written_where_asked_and_nowhere_else(void **state)
{
	static uint8_t expected[DISK_BYTES];

	(void)state;
	memcpy(expected, disk.storage, DISK_BYTES);
	memset(expected + 3 * 512, 0, 5 * 512);
	disk_segment(&disk, 0, 3, 5, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1),
		     VIRTIO_BLK_S_OK, 1);
	assert_memory_equal(disk.storage, expected, DISK_BYTES);
	assert_int_equal(disk.calls[0].op, BLK_WRITE_ZEROES);
	assert_int_equal(disk.calls[0].flags, 0);
}

/* Behaviour 30 */
static void unmap_is_passed_on(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 3, 5, 1);
	disk_segment(&disk, 1, 9, 5, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 2),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[0].flags, BLK_UNMAP);
	assert_int_equal(disk.calls[1].flags, 0);
}

/* Behaviour 30 */
static void unmap_is_allowed_where_nothing_can_be_unmapped(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 3, 5, 1);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[0].op, BLK_WRITE_ZEROES);
	assert_int_equal(disk.calls[0].flags, 0);
}

/* Behaviour 30 */
static void all_segments_are_carried_out(void **state)
{
	(void)state;
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		disk.nr_calls = 0;
		for (unsigned int i = 0; i < 32; i++)
			disk_segment(&disk, i, i * 10, i + 1, 0);
		assert_reply(disk_ranges(&disk, both[t], 32), VIRTIO_BLK_S_OK,
			     1);
		assert_int_equal(disk.nr_calls, 32);
		for (unsigned int i = 0; i < 32; i++) {
			assert_int_equal(disk.calls[i].op,
					 t ? BLK_WRITE_ZEROES : BLK_DISCARD);
			assert_int_equal(disk.calls[i].offset_bytes,
					 i * 10 * 512);
			assert_int_equal(disk.calls[i].bytes, (i + 1) * 512);
		}
	}
}

/* Behaviour 30, G-09 */
static void a_payload_that_is_not_whole_segments_is_an_error(void **state)
{
	const uint32_t bad[] = { 0, 1, 8, 15, 17, 31, 33, 16 * 33 + 1 };

	(void)state;
	disk_segment(&disk, 0, 0, 8, 0);
	disk_segment(&disk, 1, 0, 8, 0);
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
			assert_ioerr(
				disk_request(&disk, both[t], 0, bad[i], false));
		assert_ioerr(disk_request(&disk, both[t], 0, 16, true));
	}
	assert_int_equal(disk.nr_calls, 0);
}

/* Behaviour 26, 30 */
static void a_segment_may_be_split_over_buffers(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },   { disk.data, 7, false },
		{ disk.data + 7, 2, false },  { disk.data + 9, 20, false },
		{ disk.data + 29, 3, false }, { disk.status, 1, true },
	};

	(void)state;
	disk_segment(&disk, 0, 0x123, 0x45, 0);
	disk_segment(&disk, 1, 0x234, 0x56, 0);
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		disk.nr_calls = 0;
		disk_header(&disk, both[t], 0);
		assert_reply(disk_run(&disk, buffers, 6), VIRTIO_BLK_S_OK, 1);
		assert_int_equal(disk.nr_calls, 2);
		assert_int_equal(disk.calls[0].offset_bytes, 0x123 * 512);
		assert_int_equal(disk.calls[1].bytes, 0x56 * 512);
	}
}

/* Behaviour 30 */
static void more_segments_than_offered_are_unsupported(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 33; i++)
		disk_segment(&disk, i, 0, 1, 0);
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		assert_unsupp(disk_ranges(&disk, both[t], 33));
		assert_unsupp(disk_ranges(&disk, both[t], 4096));
	}
	assert_int_equal(disk.nr_calls, 0);
}

/* Behaviour 30: 0; the maximum; more */
static void a_segment_has_the_offered_maximum_at_most(void **state)
{
	const uint32_t bad[] = { 65, 128, 0x7fffffff, 0x80000000, 0xffffffff };

	(void)state;
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		disk.nr_calls = 0;
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			disk_segment(&disk, 0, 0, bad[i], 0);
			assert_ioerr(disk_ranges(&disk, both[t], 1));
		}
		assert_int_equal(disk.nr_calls, 0);
		disk_segment(&disk, 0, 0, 64, 0);
		assert_reply(disk_ranges(&disk, both[t], 1), VIRTIO_BLK_S_OK,
			     1);
		assert_int_equal(disk.calls[0].bytes, 64 * 512);
	}
}

/* Behaviour 30 */
static void an_empty_segment_is_done_at_once(void **state)
{
	(void)state;
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		disk.nr_calls = 0;
		disk_segment(&disk, 0, 5, 0, 0);
		assert_reply(disk_ranges(&disk, both[t], 1), VIRTIO_BLK_S_OK,
			     1);
		assert_int_equal(disk.nr_calls, 0);
		disk_segment(&disk, 1, 7, 2, 0);
		disk_segment(&disk, 2, 9, 0, 0);
		assert_reply(disk_ranges(&disk, both[t], 3), VIRTIO_BLK_S_OK,
			     1);
		assert_int_equal(disk.nr_calls, 1);
		assert_int_equal(disk.calls[0].offset_bytes, 7 * 512);
	}
}

/* Behaviour 30, G-17 */
static void a_segment_beyond_the_disk_is_an_error(void **state)
{
	const struct {
		uint64_t sector;
		uint32_t num_sectors;
	} bad[] = {
		{ CAPACITY, 1 },
		{ CAPACITY - 1, 2 },
		{ CAPACITY + 1, 0 },
		{ 0, CAPACITY + 1 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 0xffffffff },
		{ UINT64_C(1) << 55, 8 },
		{ (UINT64_C(1) << 55) - 1, 8 },
		{ (UINT64_C(1) << 63) / 512, 1 },
		{ 0, 0xffffffff },
		{ 0, 0x800000 },
	};

	(void)state;
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			disk_segment(&disk, 0, bad[i].sector,
				     bad[i].num_sectors, 0);
			assert_ioerr(disk_ranges(&disk, both[t], 1));
		}
	}
	assert_int_equal(disk.nr_calls, 0);
	disk_segment(&disk, 0, CAPACITY - 1, 1, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 1),
		     VIRTIO_BLK_S_OK, 1);
}

/* Behaviour 30 */
static void one_bad_segment_leaves_the_others_undone(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 0, 8, 0);
	disk_segment(&disk, 1, CAPACITY, 8, 0);
	disk_segment(&disk, 2, 16, 8, 0);
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++)
		assert_ioerr(disk_ranges(&disk, both[t], 3));
	assert_int_equal(disk.nr_calls, 0);
}

/* Behaviour 27 */
static void segments_must_be_whole_blocks(void **state)
{
	(void)state;
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++) {
		disk_segment(&disk, 0, 4, 8, 0);
		assert_ioerr(disk_ranges(&disk, both[t], 1));
		disk_segment(&disk, 0, 8, 4, 0);
		assert_ioerr(disk_ranges(&disk, both[t], 1));
	}
	assert_int_equal(disk.nr_calls, 0);
	disk_segment(&disk, 0, 8, 8, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 1),
		     VIRTIO_BLK_S_OK, 1);
}

/* Behaviour 30 */
static void flags_that_mean_nothing_are_unsupported(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 0, 8, 1);
	assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 1));
	for (unsigned int bit = 1; bit < 32; bit++) {
		disk_segment(&disk, 0, 0, 8, UINT32_C(1) << bit);
		assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 1));
		assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1));
	}
	/* in an empty segment, and behind a good one */
	disk_segment(&disk, 0, 0, 0, 2);
	assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1));
	disk_segment(&disk, 0, 0, 8, 1);
	disk_segment(&disk, 1, 0, 8, 3);
	assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 2));
	assert_int_equal(disk.nr_calls, 0);
}

/* Behaviour 30: sizes, counts, ranges, flags */
static void what_is_checked_first_decides_the_answer(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 33; i++)
		disk_segment(&disk, i, UINT64_MAX, 1, 0xff);
	/* size before count */
	assert_ioerr(disk_request(&disk, VIRTIO_BLK_T_DISCARD, 0, 33 * 16 + 1,
				  false));
	/* count before range */
	assert_unsupp(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 33));
	/* range before flags, in whichever segment */
	assert_ioerr(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 32));
	disk_segment(&disk, 0, 0, 1, 0xff);
	assert_ioerr(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 2));
	assert_int_equal(disk.nr_calls, 0);
}

/* G-18: 32 bits of bytes would make this 512 */
static void zeroing_more_than_4_gib_is_never_done_in_part(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 0, 0x800001, 0);
	assert_ioerr(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1));
	assert_int_equal(disk.nr_calls, 0);
	disk_segment(&disk, 0, 0, 0x400000, 0);
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 1),
		     VIRTIO_BLK_S_OK, 1);
	assert_int_equal(disk.calls[0].bytes, UINT64_C(2) << 30);
}

/* D-18 */
static void what_the_driver_cannot_do_is_unsupported(void **state)
{
	(void)state;
	disk_segment(&disk, 0, 0, 8, 0);
	for (unsigned int t = 0; t < ARRAY_SIZE(both); t++)
		assert_unsupp(disk_ranges(&disk, both[t], 1));
	assert_int_equal(disk.nr_calls, 0);
}

static void rewrite_the_segments(struct blk_disk *of)
{
	for (unsigned int i = 0; i < 3; i++)
		disk_segment(of, i, UINT64_MAX, 0xffffffff, 0xffffffff);
}

/* G-08 */
static void segments_that_change_later_change_nothing(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		disk_segment(&disk, i, i * 8, 8, 0);
	disk.at_submit = rewrite_the_segments;
	assert_reply(disk_ranges(&disk, VIRTIO_BLK_T_DISCARD, 3),
		     VIRTIO_BLK_S_OK, 1);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(disk.calls[i].offset_bytes, i * 8 * 512);
		assert_int_equal(disk.calls[i].bytes, 8 * 512);
		assert_int_equal(disk.calls[i].flags, 0);
	}
}

#define TEST_ON(setup, name)                                                   \
	cmocka_unit_test_setup_teardown(name, setup, no_disk_left)
#define TEST(name) TEST_ON(usual_disk, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zeroes_are_written_where_asked_and_nowhere_else),
		TEST(unmap_is_passed_on),
		TEST_ON(disk_that_cannot_discard,
			unmap_is_allowed_where_nothing_can_be_unmapped),
		TEST(all_segments_are_carried_out),
		TEST(a_payload_that_is_not_whole_segments_is_an_error),
		TEST(a_segment_may_be_split_over_buffers),
		TEST(more_segments_than_offered_are_unsupported),
		TEST_ON(limited_disk,
			a_segment_has_the_offered_maximum_at_most),
		TEST(an_empty_segment_is_done_at_once),
		TEST(a_segment_beyond_the_disk_is_an_error),
		TEST(one_bad_segment_leaves_the_others_undone),
		TEST_ON(disk_of_4096_byte_blocks,
			segments_must_be_whole_blocks),
		TEST(flags_that_mean_nothing_are_unsupported),
		TEST(what_is_checked_first_decides_the_answer),
		TEST_ON(disk_of_5_gib,
			zeroing_more_than_4_gib_is_never_done_in_part),
		TEST_ON(disk_that_can_do_neither,
			what_the_driver_cannot_do_is_unsupported),
		TEST(segments_that_change_later_change_nothing),
	};

	return cmocka_run_group_tests_name("blk-decode-ranges", tests, NULL,
					   NULL);
}

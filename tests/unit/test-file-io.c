/* SPDX-License-Identifier: MIT */
/*
 * file-io - what is written is read back, however it is asked for
 *
 * usage: test-file-io [threads|uring]
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/drivers/bounce.h"
#include "tests/unit/disk.h"

#define MIB	    (1u << 20)
#define IMAGE_BYTES (4 * MIB)

static enum engine_kind kind = ENGINE_FAKE;
static char image[64];
static struct disk disk;
static uint8_t *data;
static uint8_t *found;

static int open_disk(enum driver_cache cache)
{
	struct driver_options options;

	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	options = disk_options(image);
	options.cache = cache;
	data = disk_memory(IMAGE_BYTES);
	found = disk_memory(IMAGE_BYTES);
	return disk_open(&disk, &options, kind);
}

static int open_writeback(void **state)
{
	(void)state;
	return open_disk(DRIVER_CACHE_WRITEBACK);
}

static int open_writethrough(void **state)
{
	(void)state;
	return open_disk(DRIVER_CACHE_WRITETHROUGH);
}

static int open_direct(void **state)
{
	(void)state;
	return open_disk(DRIVER_CACHE_NONE);
}

static int close_disk(void **state)
{
	(void)state;
	disk_close(&disk);
	unlink(image);
	free(data);
	free(found);
	return 0;
}

static int do_io(enum blk_op op, uint64_t offset_bytes, void *memory,
		 uint64_t bytes)
{
	return disk_do(&disk, op, offset_bytes, memory, bytes);
}

/* The image's bytes, past the driver. */
static void expect_in_image(uint64_t offset_bytes, const uint8_t *expected,
			    size_t bytes)
{
	cleanup_close int fd = open(image, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, found, bytes, (off_t)offset_bytes), bytes);
	assert_memory_equal(found, expected, bytes);
}

static void what_is_written_is_read_back(void **state)
{
	static const struct {
		uint64_t offset_bytes;
		uint64_t bytes;
	} cases[] = {
		{ 0, 512 },	    { 512, 512 },
		{ 4096, 4096 },	    { MIB - 512, MIB + 1024 },
		{ 0, IMAGE_BYTES }, { IMAGE_BYTES - 512, 512 },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t offset = cases[i].offset_bytes;
		uint64_t bytes = cases[i].bytes;

		disk_fill(data, offset, bytes, i);
		assert_int_equal(do_io(BLK_WRITE, offset, data, bytes), 0);
		assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
		memset(found, 0xee, bytes);
		assert_int_equal(do_io(BLK_READ, offset, found, bytes), 0);
		assert_memory_equal(found, data, bytes);
		expect_in_image(offset, data, bytes);
	}
}

static void nothing_is_done_for_no_bytes(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_READ, 0, data, 0), 0);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES, data, 0), 0);
	assert_int_equal(do_io(BLK_DISCARD, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 0), 0);
}

static void what_lies_behind_the_end_is_refused(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_READ, IMAGE_BYTES, data, 512), -EIO);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES - 512, data, 1024), -EIO);
	assert_int_equal(do_io(BLK_DISCARD, IMAGE_BYTES, NULL, 512), -EIO);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, IMAGE_BYTES, NULL, 512), -EIO);
}

/* Move bytes of the image through pieces of the given lengths, in turn. */
static void do_pieces(enum blk_op op, uint8_t *memory, size_t bytes,
		      const size_t *lengths, size_t nr_lengths)
{
	struct disk_request *request = malloc(sizeof(*request));
	unsigned int nr = 0;

	disk_prepare(request, op, 512, memory, bytes);
	while (bytes) {
		size_t length = MIN(bytes, lengths[nr % nr_lengths]);

		assert_true(nr < DISK_MAX_IOV);
		request->iov[nr].iov_base = memory;
		request->iov[nr++].iov_len = length;
		memory += length;
		bytes -= length;
	}
	request->blk.nr_iov = nr;
	disk_start(&disk, request);
	assert_int_equal(disk_wait(&disk, request), 0);
	free(request);
}

static void check_pieces(const size_t *lengths, size_t nr_lengths, size_t skip)
{
	size_t bytes = MIB;

	disk_fill(data + skip, 512, bytes, 3);
	do_pieces(BLK_WRITE, data + skip, bytes, lengths, nr_lengths);
	expect_in_image(512, data + skip, bytes);
	memset(found, 0xee, bytes + skip + 1);
	do_pieces(BLK_READ, found + skip, bytes, lengths, nr_lengths);
	assert_memory_equal(found + skip, data + skip, bytes);
	assert_int_equal(found[skip + bytes], 0xee);
}

/* More than one call may take (1024). */
static void requests_come_in_thousands_of_pieces(void **state)
{
	static const size_t sectors[] = { 512 };

	(void)state;
	check_pieces(sectors, 1, 0);
}

static void buffers_may_lie_and_end_anywhere(void **state)
{
	static const size_t whole[] = { MIB };
	static const size_t odd[] = { 511, 1, 513, 7777, 4096, 3 };

	(void)state;
	check_pieces(whole, ARRAY_SIZE(whole), 1);
	check_pieces(whole, ARRAY_SIZE(whole), 8);
	check_pieces(odd, ARRAY_SIZE(odd), 0);
	check_pieces(odd, ARRAY_SIZE(odd), 5);
}

static void more_odd_requests_than_bounce_buffers_take_turns(void **state)
{
	enum {
		NR = 3 * BOUNCE_NR,
		BYTES = 8192
	};
	struct disk_request *requests = calloc(NR, sizeof(*requests));

	(void)state;
	for (unsigned int i = 0; i < NR; i++) {
		uint8_t *memory = data + i * (BYTES + 1) + 1;

		disk_fill(memory, i * BYTES, BYTES, 4);
		disk_prepare(&requests[i], BLK_WRITE, i * BYTES, memory, BYTES);
		disk_start(&disk, &requests[i]);
	}
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(disk_wait(&disk, &requests[i]), 0);
	disk_fill(data, 0, NR * BYTES, 4);
	expect_in_image(0, data, NR * BYTES);
	free(requests);
}

/* D-16 */
static void one_buffer_may_stand_twice_in_a_read(void **state)
{
	struct disk_request request;

	(void)state;
	disk_fill(data, 0, 1024, 5);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 1024), 0);
	disk_prepare(&request, BLK_READ, 0, found, 512);
	request.iov[1] = request.iov[0];
	request.blk.nr_iov = 2;
	request.blk.bytes = 1024;
	disk_start(&disk, &request);
	assert_int_equal(disk_wait(&disk, &request), 0);
	assert_true(!memcmp(found, data, 512) ||
		    !memcmp(found, data + 512, 512));
}

static blkcnt_t allocated(void)
{
	struct stat status;

	assert_int_equal(stat(image, &status), 0);
	return status.st_blocks;
}

static void fill_image(void)
{
	disk_fill(data, 0, IMAGE_BYTES, 6);
	assert_int_equal(do_io(BLK_WRITE, 0, data, IMAGE_BYTES), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
}

/* D-18, behaviour 30 */
static void zeroes_are_read_after_write_zeroes(void **state)
{
	static const uint32_t flags[] = { 0, BLK_UNMAP, BLK_FUA,
					  BLK_UNMAP | BLK_FUA };
	static const struct {
		uint64_t offset_bytes;
		uint64_t bytes;
	} ranges[] = {
		{ 512, 512 },
		{ 8192 + 512, 65536 },
		{ MIB, MIB },
		{ IMAGE_BYTES - 1024, 1024 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		fill_image();
		for (size_t j = 0; j < ARRAY_SIZE(ranges); j++) {
			uint64_t offset = ranges[j].offset_bytes;
			uint64_t bytes = ranges[j].bytes;

			assert_int_equal(disk_do_flags(&disk, BLK_WRITE_ZEROES,
						       flags[i], offset, bytes),
					 0);
			memset(data + offset, 0, bytes);
		}
		assert_int_equal(do_io(BLK_READ, 0, found, IMAGE_BYTES), 0);
		assert_memory_equal(found, data, IMAGE_BYTES);
		expect_in_image(0, data, IMAGE_BYTES);
	}
}

static void unmapped_zeroes_take_no_space_and_others_keep_it(void **state)
{
	blkcnt_t before;

	(void)state;
	fill_image();
	before = allocated();
	if (!disk.driver->info.can_discard)
		skip();
	assert_int_equal(disk_do_flags(&disk, BLK_WRITE_ZEROES, 0, 0, MIB), 0);
	assert_true(allocated() >= before);
	assert_int_equal(
		disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_UNMAP, 0, MIB), 0);
	assert_true(allocated() <= before - MIB / 512 + 64);
}

static void discarded_space_is_given_back(void **state)
{
	blkcnt_t before;
	struct stat status;

	(void)state;
	fill_image();
	before = allocated();
	if (!disk.driver->info.can_discard)
		skip();
	assert_int_equal(do_io(BLK_DISCARD, MIB, NULL, 2 * MIB), 0);
	assert_true(allocated() <= before - 2 * MIB / 512 + 64);
	expect_in_image(0, data, MIB);
	expect_in_image(3 * MIB, data + 3 * MIB, MIB);
	assert_int_equal(stat(image, &status), 0);
	assert_int_equal(status.st_size, IMAGE_BYTES);
}

/* Behaviour 25 */
static void many_requests_are_under_way_at_once(void **state)
{
	enum {
		NR = 128,
		BYTES = 4096
	};
	struct disk_request *requests = calloc(2 * NR, sizeof(*requests));

	(void)state;
	disk_fill(data, 0, NR * BYTES, 7);
	for (unsigned int i = 0; i < NR; i++) {
		disk_prepare(&requests[i], BLK_WRITE, i * BYTES,
			     data + i * BYTES, BYTES);
		disk_start(&disk, &requests[i]);
		disk_prepare(&requests[NR + i], BLK_FLUSH, 0, NULL, 0);
		disk_start(&disk, &requests[NR + i]);
	}
	for (unsigned int i = 0; i < 2 * NR; i++)
		assert_int_equal(disk_wait(&disk, &requests[i]), 0);
	expect_in_image(0, data, NR * BYTES);
	free(requests);
}

#define IO_TEST(function, open)                                                \
	{                                                                      \
#function " (" #open ")", function, open, close_disk, NULL     \
	}

#define IO_TESTS(open)                                                         \
	IO_TEST(what_is_written_is_read_back, open),                           \
		IO_TEST(nothing_is_done_for_no_bytes, open),                   \
		IO_TEST(what_lies_behind_the_end_is_refused, open),            \
		IO_TEST(requests_come_in_thousands_of_pieces, open),           \
		IO_TEST(buffers_may_lie_and_end_anywhere, open),               \
		IO_TEST(more_odd_requests_than_bounce_buffers_take_turns,      \
			open),                                                 \
		IO_TEST(one_buffer_may_stand_twice_in_a_read, open),           \
		IO_TEST(zeroes_are_read_after_write_zeroes, open),             \
		IO_TEST(unmapped_zeroes_take_no_space_and_others_keep_it,      \
			open),                                                 \
		IO_TEST(discarded_space_is_given_back, open),                  \
		IO_TEST(many_requests_are_under_way_at_once, open)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IO_TESTS(open_writeback),
		IO_TESTS(open_writethrough),
		IO_TESTS(open_direct),
	};

	if (argc > 1)
		kind = disk_engine_kind(argv[1]);
	return cmocka_run_group_tests_name("file-io", tests, NULL, NULL);
}

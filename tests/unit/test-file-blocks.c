/* SPDX-License-Identifier: MIT */
/*
 * file-blocks - block devices, and sectors of 4096 bytes written in parts of 512
 *
 * usage: test-file-blocks [threads|uring]. Needs loop devices, that is, root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/disk.h"

#define MIB	    (1u << 20)
#define IMAGE_BYTES (2 * MIB)
#define BLOCK_BYTES 4096
#define SECTORS	    8 /* of a block */

static enum engine_kind kind = ENGINE_FAKE;
static char image[64];
static char device[64];
static bool has_loop;
static int open_error;
static struct disk disk;
static uint8_t *shadow; /* what the disk must hold */
static uint8_t *memory;

static int open_device(enum driver_cache cache)
{
	struct driver_options options = disk_options(device);

	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	shadow = disk_memory(IMAGE_BYTES);
	memory = disk_memory(IMAGE_BYTES + BLOCK_BYTES);
	has_loop = disk_make_loop(device, image, BLOCK_BYTES);
	options.cache = cache;
	options.cache_given = true;
	open_error = has_loop ? disk_open(&disk, &options, kind) : -ENODEV;
	return 0;
}

static int open_direct(void **state)
{
	(void)state;
	return open_device(DRIVER_CACHE_NONE);
}

static int open_writeback(void **state)
{
	(void)state;
	return open_device(DRIVER_CACHE_WRITEBACK);
}

static int close_device(void **state)
{
	(void)state;
	if (!open_error)
		disk_close(&disk);
	if (has_loop)
		disk_remove_loop();
	unlink(image);
	free(shadow);
	free(memory);
	return 0;
}

static void need_device(void)
{
	if (!has_loop)
		skip();
	if (open_error)
		fail_msg("%s: %s", strerror(-open_error), disk_logged(""));
}

static void expect_shadow(void)
{
	memset(memory, 0xee, IMAGE_BYTES);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, memory, IMAGE_BYTES), 0);
	assert_memory_equal(memory, shadow, IMAGE_BYTES);
}

static void a_device_tells_what_it_is(void **state)
{
	const struct driver_info *info;

	(void)state;
	need_device();
	info = &disk.driver->info;
	assert_int_equal(info->size_bytes, IMAGE_BYTES);
	assert_int_equal(info->logical_block_bytes, BLOCK_BYTES);
	assert_true(info->physical_block_bytes >= BLOCK_BYTES);
	assert_true(info->discard_align_bytes >= BLOCK_BYTES);
	assert_true(info->can_write_zeroes);
	assert_null(disk_logged(""));
}

static void write_sectors(uint64_t offset_bytes, uint64_t bytes, size_t skip)
{
	static unsigned int seed;

	disk_fill(shadow + offset_bytes, offset_bytes, bytes, ++seed);
	memcpy(memory + skip, shadow + offset_bytes, bytes);
	assert_int_equal(disk_do(&disk, BLK_WRITE, offset_bytes, memory + skip,
				 bytes),
			 0);
}

static void every_sector_can_be_written_alone(void **state)
{
	(void)state;
	need_device();
	for (uint64_t offset = 0; offset < 3 * BLOCK_BYTES; offset += 512) {
		for (uint64_t sectors = 1; sectors <= 2 * SECTORS + 1;
		     sectors++)
			write_sectors(offset, sectors * 512, offset % 1024);
		expect_shadow();
	}
	write_sectors(IMAGE_BYTES - 512, 512, 0);
	write_sectors(512, IMAGE_BYTES - 1024, 0);
	write_sectors(1024, IMAGE_BYTES - 2048, 8);
	expect_shadow();
}

static void every_sector_can_be_read_alone(void **state)
{
	(void)state;
	need_device();
	write_sectors(0, IMAGE_BYTES, 0);
	for (uint64_t offset = 0; offset < 2 * BLOCK_BYTES; offset += 512) {
		for (uint64_t bytes = 512; bytes <= 3 * BLOCK_BYTES;
		     bytes += 512) {
			size_t skip = bytes % 1024;

			memset(memory, 0xee, bytes + skip + 1);
			assert_int_equal(disk_do(&disk, BLK_READ, offset,
						 memory + skip, bytes),
					 0);
			assert_memory_equal(memory + skip, shadow + offset,
					    bytes);
			assert_int_equal(memory[skip + bytes], 0xee);
		}
	}
}

/* D-18 */
static void every_sector_can_be_zeroed_alone(void **state)
{
	static const uint32_t flags[] = { 0, BLK_UNMAP, BLK_FUA };

	(void)state;
	need_device();
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		for (uint64_t first = 0; first < SECTORS; first++) {
			uint64_t offset = first * 512;
			uint64_t bytes = (2 * SECTORS + 1) * 512;

			write_sectors(0, 8 * BLOCK_BYTES, 0);
			for (uint64_t end = 1; end <= 3; end++) {
				assert_int_equal(
					disk_do_flags(&disk, BLK_WRITE_ZEROES,
						      flags[i], offset,
						      bytes * end / 2 & ~511u),
					0);
				memset(shadow + offset, 0,
				       bytes * end / 2 & ~511u);
			}
			expect_shadow();
		}
	}
}

static void its_own_tool_resizes_it(void **state)
{
	const struct driver_ops *ops;

	(void)state;
	need_device();
	ops = disk.driver->ops;
	assert_int_equal(ops->resize(disk.driver, IMAGE_BYTES), 0);
	assert_int_equal(ops->resize(disk.driver, IMAGE_BYTES / 2),
			 -EOPNOTSUPP);
	assert_non_null(disk_logged("lvextend"));
}

static void a_discard_leaves_parts_of_blocks_alone(void **state)
{
	struct stat before;
	struct stat after;

	(void)state;
	need_device();
	if (!disk.driver->info.can_discard)
		skip();
	write_sectors(0, IMAGE_BYTES, 0);
	assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 512, NULL, 512), 0);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 512, NULL, 4096), 0);
	expect_shadow();

	assert_int_equal(stat(image, &before), 0);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 512, NULL, MIB), 0);
	assert_int_equal(stat(image, &after), 0);
	assert_true(after.st_blocks < before.st_blocks - (MIB / 512) / 2);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, memory, BLOCK_BYTES), 0);
	assert_memory_equal(memory, shadow, BLOCK_BYTES);
	assert_int_equal(disk_do(&disk, BLK_READ, MIB, memory, BLOCK_BYTES), 0);
	assert_memory_equal(memory, shadow + MIB, BLOCK_BYTES);
}

/* One of the writers of the same blocks, in a thread of its own. */
struct writer {
	void (*write)(struct writer *writer);
	struct disk disk;
	unsigned int number;
	unsigned int nr_errors;
};

enum {
	NR_WRITERS = 4,
	NR_BLOCKS = 8,
	NR_ROUNDS = 60
};

static void start_sector(struct writer *writer, struct disk_request *request,
			 unsigned int sector, unsigned int round)
{
	uint64_t offset = (uint64_t)sector * 512;
	uint8_t *data = request->blk.driver_data;

	disk_fill(data, offset, 512, round);
	disk_prepare(request, BLK_WRITE, offset, data, 512);
	disk_start(&writer->disk, request);
}

/* Writes its sectors of all blocks at once, again and again. */
static void write_my_sectors(struct writer *writer)
{
	enum {
		NR = NR_BLOCKS * SECTORS / NR_WRITERS
	};
	struct disk_request *requests = calloc(NR, sizeof(*requests));
	uint8_t *data = disk_memory(NR * 512);

	for (unsigned int round = 1; round <= NR_ROUNDS; round++) {
		for (unsigned int i = 0; i < NR; i++) {
			requests[i].blk.driver_data = data + i * 512;
			start_sector(writer, &requests[i],
				     i * NR_WRITERS + writer->number, round);
		}
		for (unsigned int i = 0; i < NR; i++)
			if (disk_wait(&writer->disk, &requests[i]))
				writer->nr_errors++;
	}
	free(data);
	free(requests);
}

/* An engine stays with one thread, from attach to detach. */
static void *attach_and_write(void *opaque)
{
	struct writer *writer = opaque;

	disk_attach(&writer->disk, disk.driver, kind);
	writer->write(writer);
	disk_detach(&writer->disk);
	return NULL;
}

static void run_writers(void (*write)(struct writer *writer))
{
	struct writer writers[NR_WRITERS] = { 0 };
	pthread_t threads[NR_WRITERS];

	for (unsigned int i = 0; i < NR_WRITERS; i++) {
		writers[i].number = i;
		writers[i].write = write;
		assert_int_equal(pthread_create(&threads[i], NULL,
						attach_and_write, &writers[i]),
				 0);
	}
	for (unsigned int i = 0; i < NR_WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < NR_WRITERS; i++)
		assert_int_equal(writers[i].nr_errors, 0);
}

static void writers_of_one_block_lose_nothing(void **state)
{
	(void)state;
	need_device();
	run_writers(write_my_sectors);
	disk_fill(shadow, 0, NR_BLOCKS * BLOCK_BYTES, NR_ROUNDS);
	expect_shadow();
}

/*
 * The first writer writes a whole block and reads it back, while the others
 * write its last sectors: the rest must be what it wrote.
 */
static void write_whole_and_parts(struct writer *writer)
{
	uint8_t *data = disk_memory(BLOCK_BYTES);
	uint8_t *found = disk_memory(BLOCK_BYTES);
	size_t mine = BLOCK_BYTES - (NR_WRITERS - 1) * 512;
	uint64_t offset = 0;
	uint64_t bytes = BLOCK_BYTES;

	if (writer->number) {
		offset = BLOCK_BYTES - writer->number * 512;
		bytes = 512;
	}
	for (unsigned int round = 1; round <= 4 * NR_ROUNDS; round++) {
		disk_fill(data, offset, bytes, round);
		if (disk_do(&writer->disk, BLK_WRITE, offset, data, bytes) ||
		    disk_do(&writer->disk, BLK_READ, offset, found, bytes) ||
		    (!writer->number && memcmp(found, data, mine)))
			writer->nr_errors++;
	}
	free(data);
	free(found);
}

static void whole_blocks_and_parts_of_them_lose_nothing(void **state)
{
	(void)state;
	need_device();
	run_writers(write_whole_and_parts);
}

/* Behaviour 21 */
static void a_write_protected_device_is_served_read_only(void **state)
{
	struct driver_options options = disk_options(device);
	struct disk second;
	int on = 1;
	int fd;

	(void)state;
	need_device();
	fd = open(device, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, BLKROSET, &on), 0);
	close(fd);
	assert_true(disk_open(&second, &options, kind) < 0);
	assert_non_null(disk_logged("serve it with --read-only"));
	options.read_only = true;
	assert_int_equal(disk_open(&second, &options, kind), 0);
	disk_close(&second);
}

#define BLOCK_TEST(function, open)                                             \
	{                                                                      \
#function " (" #open ")", function, open, close_device, NULL   \
	}

#define BLOCK_TESTS(open)                                                      \
	BLOCK_TEST(a_device_tells_what_it_is, open),                           \
		BLOCK_TEST(every_sector_can_be_written_alone, open),           \
		BLOCK_TEST(every_sector_can_be_read_alone, open),              \
		BLOCK_TEST(every_sector_can_be_zeroed_alone, open),            \
		BLOCK_TEST(a_discard_leaves_parts_of_blocks_alone, open),      \
		BLOCK_TEST(its_own_tool_resizes_it, open),                     \
		BLOCK_TEST(writers_of_one_block_lose_nothing, open),           \
		BLOCK_TEST(whole_blocks_and_parts_of_them_lose_nothing, open)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BLOCK_TESTS(open_direct),
		BLOCK_TESTS(open_writeback),
		BLOCK_TEST(a_write_protected_device_is_served_read_only,
			   open_direct),
	};

	if (argc > 1)
		kind = disk_engine_kind(argv[1]);
	return cmocka_run_group_tests_name("file-blocks", tests, NULL, NULL);
}

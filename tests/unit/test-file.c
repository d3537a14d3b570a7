/* SPDX-License-Identifier: MIT */
/* file - images are opened with care, and hold what is written to them */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/disk.h"

#define MIB	    (UINT64_C(1) << 20)
#define IMAGE_BYTES (4 * MIB)

static char image[64];

static int make_image(void **state)
{
	(void)state;
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	return 0;
}

static int remove_image(void **state)
{
	(void)state;
	unlink(image);
	return 0;
}

static struct disk open_image(const struct driver_options *options)
{
	struct disk disk = { 0 };

	assert_int_equal(disk_open(&disk, options, ENGINE_FAKE), 0);
	return disk;
}

static struct disk open_direct(void)
{
	struct driver_options options = disk_options(image);
	struct disk disk = { 0 };

	options.cache = DRIVER_CACHE_NONE;
	options.cache_given = true;
	if (disk_open(&disk, &options, ENGINE_FAKE))
		skip();
	return disk;
}

static int refused(const struct driver_options *options)
{
	struct disk disk = { 0 };
	int error = disk_open(&disk, options, ENGINE_FAKE);

	if (!error)
		disk_close(&disk);
	return error;
}

static void expect(struct disk *disk, uint64_t offset_bytes,
		   const uint8_t *data, size_t bytes)
{
	uint8_t *found = disk_memory(bytes);

	memset(found, 0xee, bytes);
	assert_int_equal(disk_do(disk, BLK_READ, offset_bytes, found, bytes),
			 0);
	assert_memory_equal(found, data, bytes);
	free(found);
}

static void write_and_read_back(struct disk *disk)
{
	uint8_t *data = disk_memory(MIB);

	disk_fill(data, 0, MIB, 1);
	assert_int_equal(disk_do(disk, BLK_WRITE, MIB, data, MIB), 0);
	expect(disk, MIB, data, MIB);
	disk_fill(data, 0, 512, 2);
	assert_int_equal(disk_do(disk, BLK_WRITE, IMAGE_BYTES - 512, data, 512),
			 0);
	expect(disk, IMAGE_BYTES - 512, data, 512);
	assert_int_equal(disk_do(disk, BLK_FLUSH, 0, NULL, 0), 0);
	free(data);
}

static void what_is_written_is_read_back(void **state)
{
	static const enum driver_cache caches[] = { DRIVER_CACHE_WRITEBACK,
						    DRIVER_CACHE_WRITETHROUGH };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caches); i++) {
		struct driver_options options = disk_options(image);
		struct disk disk;

		options.cache = caches[i];
		disk = open_image(&options);
		assert_int_equal(disk.driver->info.cache, caches[i]);
		assert_int_equal(disk.driver->info.size_bytes, IMAGE_BYTES);
		write_and_read_back(&disk);
		disk_close(&disk);
	}
}

static void without_the_page_cache_as_well(void **state)
{
	struct disk disk = open_direct();

	(void)state;
	assert_int_equal(disk.driver->info.cache, DRIVER_CACHE_NONE);
	write_and_read_back(&disk);
	disk_close(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back,
						make_image, remove_image),
		cmocka_unit_test_setup_teardown(without_the_page_cache_as_well,
						make_image, remove_image),
	};

	(void)refused;
	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}

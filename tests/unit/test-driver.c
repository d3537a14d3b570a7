/* SPDX-License-Identifier: MIT */
/* driver - drivers are found by name; null is the smallest of them */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/disk.h"

static struct disk open_null(bool read_only, uint64_t size_bytes)
{
	struct driver_options options = {
		.name = "disk0",
		.read_only = read_only,
		.size_bytes = size_bytes,
	};
	struct disk disk = { 0 };

	assert_int_equal(driver_find("null")->open(&options, &disk.driver), 0);
	disk_attach(&disk, disk.driver, ENGINE_FAKE);
	return disk;
}

static void drivers_are_found_by_name(void **state)
{
	(void)state;
	assert_string_equal(driver_find("file")->name, "file");
	assert_string_equal(driver_find("null")->name, "null");
	assert_null(driver_find("nul"));
	assert_null(driver_find(""));
}

static void null_has_the_size_that_it_is_given(void **state)
{
	struct disk disk = open_null(false, 4096);

	(void)state;
	assert_int_equal(disk.driver->info.size_bytes, 4096);
	disk_close(&disk);
	disk = open_null(false, 0);
	assert_int_equal(disk.driver->info.size_bytes, UINT64_C(1) << 40);
	disk_close(&disk);
}

static void null_has_any_size_that_it_is_told_later(void **state)
{
	struct disk disk = open_null(false, 4096);
	const struct driver_ops *ops = disk.driver->ops;
	uint64_t size_bytes = 0;

	(void)state;
	assert_int_equal(ops->resize(disk.driver, 1 << 20), 0);
	assert_int_equal(ops->refresh(disk.driver, &size_bytes), 0);
	assert_int_equal(size_bytes, 1 << 20);
	assert_int_equal(disk.driver->info.size_bytes, 4096);
	disk_close(&disk);
}

static void null_refuses_half_a_sector(void **state)
{
	struct driver_options options = { .name = "disk0", .size_bytes = 1000 };
	struct driver *driver = NULL;

	(void)state;
	disk_listen_to_log();
	assert_int_equal(driver_find("null")->open(&options, &driver), -EINVAL);
	assert_non_null(disk_logged("give a multiple of 512"));
}

/* D-18 */
static void null_reads_zeros_whatever_was_written(void **state)
{
	struct disk disk = open_null(false, 0);
	uint8_t zeros[1024] = { 0 };
	uint8_t data[1024];

	(void)state;
	memset(data, 0x55, sizeof(data));
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, sizeof(data)), 0);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, sizeof(data)), 0);
	assert_memory_equal(data, zeros, sizeof(data));
	assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 0, NULL, 512), 0);
	assert_int_equal(disk_do(&disk, BLK_WRITE_ZEROES, 0, NULL, 512), 0);
	disk_close(&disk);
}

/* Behaviour 28 */
static void a_read_only_null_only_reads_and_flushes(void **state)
{
	struct disk disk = open_null(true, 0);
	uint8_t data[512];

	(void)state;
	assert_true(disk.driver->info.read_only);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, sizeof(data)), 0);
	assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, sizeof(data)),
			 -EROFS);
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(disk_do(&disk, BLK_WRITE_ZEROES, 0, NULL, 512),
			 -EROFS);
	disk_close(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drivers_are_found_by_name),
		cmocka_unit_test(null_has_the_size_that_it_is_given),
		cmocka_unit_test(null_has_any_size_that_it_is_told_later),
		cmocka_unit_test(null_refuses_half_a_sector),
		cmocka_unit_test(null_reads_zeros_whatever_was_written),
		cmocka_unit_test(a_read_only_null_only_reads_and_flushes),
	};

	return cmocka_run_group_tests_name("driver", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* file-speed - what may be done in the worker's own thread, and what not */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define MIB (1u << 20)

static struct disk disk;
static int image = -1;
static uint8_t *data;
static bool was_prompt;
static int rw_flags;

static bool look(void *opaque, struct io_op *op, int *result)
{
	(void)opaque;
	(void)result;
	was_prompt = op->pace;
	rw_flags = op->rw_flags;
	return false;
}

/* An image in memory, whatever the tests' folder lies on */
static int open_disk(enum driver_cache cache)
{
	struct driver_options options;
	char path[64];

	image = rh_memfd_create("image", 8 * MIB);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	options = disk_options(path);
	options.cache = cache;
	data = disk_memory(4 * MIB);
	if (disk_open(&disk, &options, ENGINE_FAKE) < 0)
		return -1;
	fake_engine_intercept(disk.engine, look, NULL);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return open_disk(DRIVER_CACHE_WRITEBACK);
}

static int set_up_writethrough(void **state)
{
	(void)state;
	return open_disk(DRIVER_CACHE_WRITETHROUGH);
}

static int tear_down(void **state)
{
	(void)state;
	disk_close(&disk);
	rh_fd_close(&image);
	free(data);
	return 0;
}

static void small_transfers_in_memory_are_prompt(void **state)
{
	(void)state;
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096), 0);
	assert_true(was_prompt);
	was_prompt = false;
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, MIB), 0);
	assert_true(was_prompt);
}

static void large_ones_leave_the_thread_to_others(void **state)
{
	(void)state;
	was_prompt = true;
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, MIB + 512), 0);
	assert_false(was_prompt);
	was_prompt = true;
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 4 * MIB), 0);
	assert_false(was_prompt);
}

static void other_operations_are_not_prompt(void **state)
{
	(void)state;
	was_prompt = true;
	assert_int_equal(disk_do(&disk, BLK_DISCARD, 0, NULL, MIB), 0);
	assert_false(was_prompt);
}

static void
no_write_waits_for_durability_that_memory_does_not_have(void **state)
{
	(void)state;
	rw_flags = -1;
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096), 0);
	assert_int_equal(rw_flags, 0);
	assert_true(was_prompt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			small_transfers_in_memory_are_prompt, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			large_ones_leave_the_thread_to_others, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(other_operations_are_not_prompt,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			no_write_waits_for_durability_that_memory_does_not_have,
			set_up_writethrough, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

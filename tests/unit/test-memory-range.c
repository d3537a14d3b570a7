/* SPDX-License-Identifier: MIT */
/* memory - the parts of a peer's file that are no guest memory */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <ringhost/device.h>

#include "common/fd.h"
#include "lib/memory.h"
#include "lib/range.h"

#define PAGE UINT64_C(4096)

static int memfd_of(uint64_t bytes)
{
	int fd = rh_memfd_create("test", bytes);

	assert_true(fd >= 0);
	return fd;
}

static void a_range_is_these_bytes_of_the_file(void **state)
{
	int fd = memfd_of(3 * PAGE);
	struct rh_range range = { 0 };
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(rh_range_map(fd, PAGE, PAGE + 1, NULL, &range), 0);
	assert_int_equal(range.bytes, PAGE + 1);
	range.address[PAGE] = 0x5a;
	assert_int_equal(pread(fd, &byte, 1, 2 * PAGE), 1);
	assert_int_equal(byte, 0x5a);
	rh_range_unmap(&range);
	assert_null(range.address);
	rh_range_unmap(&range);
	assert_false(rh_range_lost(&range));
	close(fd);
}

/* F-03, F-06, F-11 */
static void a_range_that_cannot_be_is_refused(void **state)
{
	static const struct {
		uint64_t offset;
		uint64_t bytes;
	} bad[] = {
		{ 0, 0 },
		{ 0, 2 * PAGE + 1 },
		{ PAGE, PAGE + 1 },
		{ 2 * PAGE, 1 },
		{ 1, 8 },
		{ 8, 8 },
		{ 8192, UINT64_MAX - 4095 },
		{ UINT64_MAX - 4095, 8192 },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
		{ 0, UINT64_MAX },
	};
	int fd = memfd_of(2 * PAGE);
	struct rh_range range = { .bytes = 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rh_range_map(fd, bad[i].offset, bad[i].bytes,
					      NULL, &range),
				 -EINVAL);
		assert_int_equal(range.bytes, 77);
	}
	close(fd);
}

static void a_file_that_cannot_be_mapped_for_writing_is_refused(void **state)
{
	struct rh_range range = { 0 };
	int event_fd = eventfd(0, EFD_CLOEXEC);
	int zero_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(rh_range_map(event_fd, 0, PAGE, NULL, &range) < 0);
	assert_true(rh_range_map(zero_fd, 0, PAGE, NULL, &range) < 0);
	assert_null(range.mapping);
	close(event_fd);
	close(zero_fd);
}

/* F-24: what its owner takes back reads as zeros, and somebody is told. */
static void a_range_that_is_taken_back_is_lost(void **state)
{
	int fd = memfd_of(2 * PAGE);
	int wake_fd = rh_eventfd_create();
	struct rh_map like = { .nr_refs = 1 };
	struct rh_range range = { 0 };
	uint64_t count = 0;

	(void)state;
	assert_int_equal(rh_device_guard_memory(), 0);
	like.wake_fd = wake_fd;
	assert_int_equal(rh_range_map(fd, 0, 2 * PAGE, &like, &range), 0);
	range.address[PAGE] = 1;
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(rh_range_lost(&range));
	range.address[PAGE] = 2;
	assert_true(rh_range_lost(&range));
	assert_int_equal(range.address[0], 0);
	assert_int_equal(read(wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	rh_range_unmap(&range);
	close(wake_fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_is_these_bytes_of_the_file),
		cmocka_unit_test(a_range_that_cannot_be_is_refused),
		cmocka_unit_test(
			a_file_that_cannot_be_mapped_for_writing_is_refused),
		cmocka_unit_test(a_range_that_is_taken_back_is_lost),
	};

	return cmocka_run_group_tests_name("memory-range", tests, NULL, NULL);
}

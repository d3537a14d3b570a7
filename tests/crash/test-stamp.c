/* SPDX-License-Identifier: MIT */
/* stamp - 512 bytes that say who wrote them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/crash/stamp.h"

static void a_stamp_says_who_wrote_it(void **state)
{
	const struct stamp stamp = { 77, 12, stamp_writer(3, 5), true };
	uint8_t sector[STAMP_BYTES];
	struct stamp got;

	(void)state;
	stamp_write(&stamp, sector);
	assert_int_equal(stamp_read(sector, &got), STAMP_WHOLE);
	assert_int_equal(got.sequence, 77);
	assert_int_equal(got.sector, 12);
	assert_int_equal(got.writer, (uint64_t)3 << 32 | 5);
	assert_true(got.is_spent);
}

static void zeroes_are_no_stamp(void **state)
{
	uint8_t sector[STAMP_BYTES] = { 0 };
	struct stamp got;

	(void)state;
	assert_int_equal(stamp_read(sector, &got), STAMP_ZEROES);
	sector[STAMP_BYTES - 1] = 1;
	assert_int_equal(stamp_read(sector, &got), STAMP_BROKEN);
}

static void any_other_byte_breaks_a_stamp(void **state)
{
	const struct stamp stamp = { .sequence = 1, .sector = 2 };
	uint8_t sector[STAMP_BYTES];
	struct stamp got;

	(void)state;
	stamp_write(&stamp, sector);
	for (unsigned int i = 0; i < STAMP_BYTES; i++) {
		sector[i] ^= 1;
		assert_int_equal(stamp_read(sector, &got), STAMP_BROKEN);
		sector[i] ^= 1;
	}
	assert_int_equal(stamp_read(sector, &got), STAMP_WHOLE);
}

static void a_run_counts_sectors(void **state)
{
	const struct stamp stamp = { .sequence = 9, .sector = 100 };
	uint8_t data[4 * STAMP_BYTES];
	struct stamp got;

	(void)state;
	memset(data, 0xff, sizeof(data));
	stamp_write_run(&stamp, data, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(stamp_read(data + i * STAMP_BYTES, &got),
				 STAMP_WHOLE);
		assert_int_equal(got.sequence, 9);
		assert_int_equal(got.sector, 100 + i);
	}
	assert_int_equal(data[3 * STAMP_BYTES], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stamp_says_who_wrote_it),
		cmocka_unit_test(zeroes_are_no_stamp),
		cmocka_unit_test(any_other_byte_breaks_a_stamp),
		cmocka_unit_test(a_run_counts_sectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* endian - the bytes in memory are little-endian, whatever the host is */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/endian.h"

static void the_low_byte_comes_first(void **state)
{
	static const uint8_t bytes[] = { 0x88, 0x77, 0x66, 0x55,
					 0x44, 0x33, 0x22, 0x11 };
	struct le16 half = le16_make(0x7788);
	struct le32 word = le32_make(0x55667788);
	struct le64 both = le64_make(UINT64_C(0x1122334455667788));

	(void)state;
	assert_memory_equal(&half, bytes, sizeof(half));
	assert_memory_equal(&word, bytes, sizeof(word));
	assert_memory_equal(&both, bytes, sizeof(both));
}

static void what_was_made_is_got_back(void **state)
{
	(void)state;
	assert_int_equal(le16_get(le16_make(0xfedc)), 0xfedc);
	assert_int_equal(le32_get(le32_make(0xfedcba98)), 0xfedcba98);
	assert_true(le64_get(le64_make(UINT64_C(0xfedcba9876543210))) ==
		    UINT64_C(0xfedcba9876543210));
}

static void the_types_add_neither_size_nor_padding(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct le16), 2);
	assert_int_equal(sizeof(struct le32), 4);
	assert_int_equal(sizeof(struct le64), 8);
	assert_int_equal(_Alignof(struct le16), 2);
	assert_int_equal(_Alignof(struct le32), 4);
	assert_int_equal(_Alignof(struct le64), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_low_byte_comes_first),
		cmocka_unit_test(what_was_made_is_got_back),
		cmocka_unit_test(the_types_add_neither_size_nor_padding),
	};

	return cmocka_run_group_tests_name("endian", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* sizes - numbers of bytes as people write and read them */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/sizes.h"

static void assert_parses(const char *text, uint64_t bytes)
{
	uint64_t parsed = 1;

	assert_int_equal(sizes_parse(text, &parsed), 0);
	assert_int_equal(parsed, bytes);
}

static void assert_refused(const char *text)
{
	uint64_t parsed = 77;

	assert_int_equal(sizes_parse(text, &parsed), -EINVAL);
	assert_int_equal(parsed, 77);
}

static void a_plain_number_is_in_bytes(void **state)
{
	(void)state;
	assert_parses("0", 0);
	assert_parses("512", 512);
	assert_parses("18446744073709551615", UINT64_MAX);
}

static void suffixes_are_powers_of_1024_in_both_cases(void **state)
{
	(void)state;
	assert_parses("4k", 4096);
	assert_parses("4K", 4096);
	assert_parses("3m", 3ull << 20);
	assert_parses("10G", 10ull << 30);
	assert_parses("2T", 2ull << 40);
}

static void anything_else_is_refused(void **state)
{
	static const char *const texts[] = {
		"",    "k",    "-1",  "+1",   " 1",  "1 ", "1.5G",
		"10x", "10kB", "0x1", "10GG", "1\n", "١",  "inf",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_refused(texts[i]);
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	assert_refused("18446744073709551616");
	assert_refused("16777216T");
	assert_parses("16777215T", UINT64_C(16777215) << 40);
}

static void exact_numbers_have_no_decimal(void **state)
{
	(void)state;
	assert_string_equal(sizes_format(0).text, "0 bytes");
	assert_string_equal(sizes_format(512).text, "512 bytes");
	assert_string_equal(sizes_format(1024).text, "1 KiB");
	assert_string_equal(sizes_format(10ull << 30).text, "10 GiB");
}

static void others_have_one_decimal(void **state)
{
	(void)state;
	assert_string_equal(sizes_format(1536).text, "1.5 KiB");
	assert_string_equal(sizes_format(3ull << 29).text, "1.5 GiB");
	assert_string_equal(sizes_format(UINT64_MAX).text, "16.0 EiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_number_is_in_bytes),
		cmocka_unit_test(suffixes_are_powers_of_1024_in_both_cases),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(exact_numbers_have_no_decimal),
		cmocka_unit_test(others_have_one_decimal),
	};

	return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* bench-pattern - a written block says what it is, and damage shows */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/pattern.h"
#include "common/base.h"

#define BYTES 4096

static const struct pattern_stamp stamp = { 8 * BYTES, 3, 77 };
static uint64_t block[BYTES / 8];

static int set_up(void **state)
{
	(void)state;
	pattern_fill(block, BYTES, stamp);
	return 0;
}

static void what_was_written_is_good(void **state)
{
	(void)state;
	assert_int_equal(pattern_check(block, BYTES, stamp), PATTERN_GOOD);
	pattern_fill(block, PATTERN_MIN_BYTES, stamp);
	assert_int_equal(pattern_check(block, PATTERN_MIN_BYTES, stamp),
			 PATTERN_GOOD);
}

static void each_flipped_bit_shows(void **state)
{
	uint8_t *bytes = (uint8_t *)block;

	(void)state;
	for (unsigned int i = 0; i < BYTES * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(pattern_check(block, BYTES, stamp),
				     PATTERN_GOOD);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(pattern_check(block, BYTES, stamp), PATTERN_GOOD);
}

static void swapped_words_are_damage(void **state)
{
	uint64_t word = block[100];

	(void)state;
	block[100] = block[200];
	block[200] = word;
	assert_int_equal(pattern_check(block, BYTES, stamp), PATTERN_DAMAGED);
}

static void half_of_another_write_is_damage(void **state)
{
	uint64_t other[BYTES / 8];

	(void)state;
	pattern_fill(other, BYTES, (struct pattern_stamp){ 8 * BYTES, 4, 77 });
	memcpy(block, other, BYTES / 2);
	assert_int_equal(pattern_check(block, BYTES, stamp), PATTERN_DAMAGED);
}

static void zeroes_were_never_written(void **state)
{
	(void)state;
	memset(block, 0, BYTES);
	assert_int_equal(pattern_check(block, BYTES, stamp), PATTERN_FOREIGN);
}

static void a_block_of_another_place_time_or_run_is_told_apart(void **state)
{
	struct pattern_stamp other = stamp;

	(void)state;
	other.offset += BYTES;
	assert_int_equal(pattern_check(block, BYTES, other), PATTERN_MISPLACED);
	other = stamp;
	other.sequence++;
	assert_int_equal(pattern_check(block, BYTES, other), PATTERN_STALE);
	other = stamp;
	other.run++;
	assert_int_equal(pattern_check(block, BYTES, other), PATTERN_OTHER_RUN);
}

static void no_two_blocks_are_filled_alike(void **state)
{
	uint64_t other[BYTES / 8];

	(void)state;
	pattern_fill(other, BYTES, (struct pattern_stamp){ 9 * BYTES, 3, 77 });
	assert_memory_not_equal(block + 8, other + 8, 64);
	pattern_fill(other, BYTES, (struct pattern_stamp){ 8 * BYTES, 4, 77 });
	assert_memory_not_equal(block + 8, other + 8, 64);
}

static void each_verdict_has_words(void **state)
{
	(void)state;
	for (int i = PATTERN_GOOD; i <= PATTERN_STALE; i++)
		assert_true(strlen(pattern_words((enum pattern_verdict)i)) >
			    10);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_good),
		TEST(each_flipped_bit_shows),
		TEST(swapped_words_are_damage),
		TEST(half_of_another_write_is_damage),
		TEST(zeroes_were_never_written),
		TEST(a_block_of_another_place_time_or_run_is_told_apart),
		TEST(no_two_blocks_are_filled_alike),
		TEST(each_verdict_has_words),
	};

	return cmocka_run_group_tests_name("bench-pattern", tests, NULL, NULL);
}

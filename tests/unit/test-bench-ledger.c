/* SPDX-License-Identifier: MIT */
/* bench-ledger - who has a block, and what was written to it last */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/ledger.h"

static int set_up(void **state)
{
	static struct ledger ledger;

	*state = &ledger;
	return ledger_init(&ledger, (struct job_range){ 100, 4 });
}

static int tear_down(void **state)
{
	ledger_deinit(*state);
	return 0;
}

static void a_block_is_had_by_one_at_a_time(void **state)
{
	struct ledger *ledger = *state;
	uint64_t block = 102;

	assert_true(ledger_get(ledger, &block));
	assert_int_equal(block, 102);
	assert_true(ledger_get(ledger, &block)); /* the next one */
	assert_int_equal(block, 103);
	assert_true(ledger_get(ledger, &block)); /* from the start again */
	assert_int_equal(block, 100);
	assert_true(ledger_get(ledger, &block));
	assert_int_equal(block, 101);
	assert_false(ledger_get(ledger, &block));
	ledger_put(ledger, 103, 0);
	assert_true(ledger_get(ledger, &block));
	assert_int_equal(block, 103);
}

static void the_last_sequence_is_remembered(void **state)
{
	struct ledger *ledger = *state;
	uint64_t block = 101;

	assert_int_equal(ledger_sequence(ledger, block), 0);
	assert_true(ledger_get(ledger, &block));
	assert_int_equal(ledger_sequence(ledger, block), 0);
	ledger_put(ledger, block, 17);
	assert_true(ledger_get(ledger, &block));
	assert_int_equal(ledger_sequence(ledger, block), 17);
	ledger_put(ledger, block, 0);
	assert_int_equal(ledger_sequence(ledger, block), 0);
}

static void each_written_block_is_found_once(void **state)
{
	struct ledger *ledger = *state;
	uint64_t block;

	ledger_put(ledger, 101, 5);
	ledger_put(ledger, 103, 6);
	assert_true(ledger_next_written(ledger, &block));
	assert_int_equal(block, 101);
	ledger_put(ledger, block, 5);
	assert_true(ledger_next_written(ledger, &block));
	assert_int_equal(block, 103);
	assert_false(ledger_next_written(ledger, &block));
}

static void a_block_that_somebody_has_is_waited_for(void **state)
{
	struct ledger *ledger = *state;
	uint64_t block = 102;

	assert_true(ledger_get(ledger, &block)); /* a write under way */
	assert_false(ledger_next_written(ledger, &block));
	ledger_put(ledger, 102, 9);
	assert_true(ledger_next_written(ledger, &block));
	assert_int_equal(block, 102);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_block_is_had_by_one_at_a_time),
		TEST(the_last_sequence_is_remembered),
		TEST(each_written_block_is_found_once),
		TEST(a_block_that_somebody_has_is_waited_for),
	};

	return cmocka_run_group_tests_name("bench-ledger", tests, NULL, NULL);
}

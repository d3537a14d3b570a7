/* SPDX-License-Identifier: MIT */
/* rmw - of two writers that share a block the second one waits */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "server/driver.h"
#include "server/drivers/rmw.h"

#define BLOCK_BYTES 4096

static struct driver_context *woken[8];
static unsigned int nr_woken;

static struct driver_context one;
static struct driver_context two;

static void wake(struct driver_context *context)
{
	woken[nr_woken++] = context;
}

static struct rmw_table *create(void)
{
	struct rmw_table *table = NULL;

	nr_woken = 0;
	assert_int_equal(rmw_create(BLOCK_BYTES, &table), 0);
	return table;
}

static struct blk_request range(uint64_t offset_bytes, uint64_t bytes)
{
	return (struct blk_request){
		.offset_bytes = offset_bytes,
		.bytes = bytes,
		.context = &one,
	};
}

static void different_blocks_do_not_wait(void **state)
{
	struct blk_request a = range(0, 512);
	struct blk_request b = range(4096, 8192);
	struct rmw_table *table = create();

	(void)state;
	assert_true(rmw_enter(table, &a));
	assert_true(rmw_enter(table, &b));
	rmw_leave(table, &a, wake);
	rmw_leave(table, &b, wake);
	assert_int_equal(nr_woken, 0);
	rmw_destroy(table);
}

static void parts_of_one_block_wait_for_each_other(void **state)
{
	struct blk_request a = range(0, 512);
	struct blk_request b = range(3584, 512);
	struct rmw_table *table = create();

	(void)state;
	assert_true(rmw_enter(table, &a));
	assert_false(rmw_enter(table, &b));
	assert_null(rmw_take_granted(table, &one));
	rmw_leave(table, &a, wake);
	assert_int_equal(nr_woken, 1);
	assert_ptr_equal(rmw_take_granted(table, &one), &b);
	assert_null(rmw_take_granted(table, &one));
	rmw_leave(table, &b, wake);
	rmw_destroy(table);
}

static void an_aligned_writer_waits_as_well(void **state)
{
	struct blk_request part = range(8192 + 512, 512);
	struct blk_request whole = range(4096, 3 * 4096);
	struct rmw_table *table = create();

	(void)state;
	assert_true(rmw_enter(table, &part));
	assert_false(rmw_enter(table, &whole));
	rmw_leave(table, &part, wake);
	assert_ptr_equal(rmw_take_granted(table, &one), &whole);
	assert_false(rmw_enter(table, &part));
	rmw_leave(table, &whole, wake);
	assert_ptr_equal(rmw_take_granted(table, &one), &part);
	rmw_leave(table, &part, wake);
	rmw_destroy(table);
}

static void the_order_of_arrival_is_kept(void **state)
{
	struct blk_request running = range(0, 512);
	struct blk_request wide = range(0, 8192);
	struct blk_request late = range(4096, 512);
	struct rmw_table *table = create();

	(void)state;
	assert_true(rmw_enter(table, &running));
	assert_false(rmw_enter(table, &wide));
	/* Free of the one that runs, but not of the one that came before. */
	assert_false(rmw_enter(table, &late));
	rmw_leave(table, &running, wake);
	assert_ptr_equal(rmw_take_granted(table, &one), &wide);
	assert_null(rmw_take_granted(table, &one));
	rmw_leave(table, &wide, wake);
	assert_ptr_equal(rmw_take_granted(table, &one), &late);
	rmw_leave(table, &late, wake);
	rmw_destroy(table);
}

static void one_that_leaves_frees_all_that_can_go(void **state)
{
	struct blk_request wide = range(0, 65536);
	struct blk_request a = range(0, 512);
	struct blk_request b = range(8192, 512);
	struct rmw_table *table = create();

	(void)state;
	assert_true(rmw_enter(table, &wide));
	assert_false(rmw_enter(table, &a));
	assert_false(rmw_enter(table, &b));
	rmw_leave(table, &wide, wake);
	assert_int_equal(nr_woken, 2);
	assert_ptr_equal(rmw_take_granted(table, &one), &a);
	assert_ptr_equal(rmw_take_granted(table, &one), &b);
	rmw_leave(table, &a, wake);
	rmw_leave(table, &b, wake);
	rmw_destroy(table);
}

static void a_grant_goes_to_the_thread_of_its_request(void **state)
{
	struct blk_request a = range(0, 512);
	struct blk_request b = range(512, 512);
	struct blk_request c = range(1024, 512);
	struct rmw_table *table = create();

	(void)state;
	b.context = &two;
	assert_true(rmw_enter(table, &a));
	assert_false(rmw_enter(table, &b));
	rmw_leave(table, &a, wake);
	assert_ptr_equal(woken[0], &two);
	assert_null(rmw_take_granted(table, &one));
	/* Granted but not yet noticed counts as running. */
	assert_false(rmw_enter(table, &c));
	assert_ptr_equal(rmw_take_granted(table, &two), &b);
	rmw_leave(table, &b, wake);
	assert_ptr_equal(rmw_take_granted(table, &one), &c);
	rmw_leave(table, &c, wake);
	rmw_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(different_blocks_do_not_wait),
		cmocka_unit_test(parts_of_one_block_wait_for_each_other),
		cmocka_unit_test(an_aligned_writer_waits_as_well),
		cmocka_unit_test(the_order_of_arrival_is_kept),
		cmocka_unit_test(one_that_leaves_frees_all_that_can_go),
		cmocka_unit_test(a_grant_goes_to_the_thread_of_its_request),
	};

	return cmocka_run_group_tests_name("rmw", tests, NULL, NULL);
}

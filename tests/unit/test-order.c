/* SPDX-License-Identifier: MIT */
/* order - whatever is pushed first, what was taken first comes first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "lib/order.h"

#define SIZE 8

static struct rh_order new_order(void)
{
	struct rh_order order;

	assert_int_equal(rh_order_init(&order, SIZE), 0);
	assert_true(rh_order_is_kept(&order));
	return order;
}

static void assert_next(struct rh_order *order, uint16_t head, uint32_t bytes)
{
	uint32_t written_bytes = 0;
	uint16_t next = SIZE;

	assert_true(rh_order_next(order, &next, &written_bytes));
	assert_int_equal(next, head);
	assert_int_equal(written_bytes, bytes);
	assert_false(rh_order_has(order, head));
}

static void assert_none(struct rh_order *order)
{
	uint32_t written_bytes;
	uint16_t head;

	assert_false(rh_order_next(order, &head, &written_bytes));
}

static void an_order_of_zeroes_is_not_kept(void **state)
{
	struct rh_order order = { 0 };

	(void)state;
	assert_false(rh_order_is_kept(&order));
	rh_order_deinit(&order);
	order = new_order();
	rh_order_deinit(&order);
	assert_false(rh_order_is_kept(&order));
	rh_order_deinit(&order);
}

static void what_is_pushed_early_waits_for_its_turn(void **state)
{
	static const uint16_t taken[] = { 5, 0, 7, 2 };
	struct rh_order order = new_order();

	(void)state;
	assert_none(&order);
	for (unsigned int i = 0; i < ARRAY_SIZE(taken); i++)
		rh_order_take(&order, taken[i]);
	assert_none(&order);
	rh_order_push(&order, 7, 70);
	rh_order_push(&order, 0, 10);
	assert_none(&order);
	assert_true(rh_order_has(&order, 7));
	rh_order_push(&order, 5, 50);
	assert_next(&order, 5, 50);
	assert_next(&order, 0, 10);
	assert_next(&order, 7, 70);
	assert_none(&order);
	rh_order_push(&order, 2, 20);
	assert_next(&order, 2, 20);
	assert_none(&order);
	rh_order_deinit(&order);
}

/* all heads, over and over, pushed last to first or by chance */
static void every_permutation_comes_out_as_it_went_in(void **state)
{
	struct rh_order order = new_order();
	uint16_t taken[SIZE];

	(void)state;
	srandom(1);
	for (uint16_t i = 0; i < SIZE; i++)
		taken[i] = i;
	for (unsigned int round = 0; round < 500; round++) {
		uint16_t pushed[SIZE];

		for (uint16_t i = 0; i < SIZE; i++) {
			uint16_t k = (uint16_t)(random() % (i + 1));

			pushed[i] = pushed[k];
			pushed[k] = i;
			rh_order_take(&order, taken[i]);
		}
		for (uint16_t i = 0; i < SIZE; i++)
			rh_order_push(&order, pushed[i], pushed[i]);
		for (uint16_t i = 0; i < SIZE; i++)
			assert_next(&order, taken[i], taken[i]);
		assert_none(&order);
		for (uint16_t i = 0; i < SIZE; i++)
			taken[i] = pushed[i];
	}
	rh_order_deinit(&order);
}

static void what_never_comes_back_holds_those_behind_it(void **state)
{
	struct rh_order order = new_order();

	(void)state;
	for (uint16_t head = 0; head < 4; head++)
		rh_order_take(&order, head);
	rh_order_push(&order, 3, 0);
	rh_order_push(&order, 2, 0);
	rh_order_push(&order, 0, 0);
	assert_next(&order, 0, 0);
	assert_none(&order);
	for (uint16_t head = 1; head < 4; head++)
		assert_true(rh_order_has(&order, head));
	rh_order_deinit(&order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_of_zeroes_is_not_kept),
		cmocka_unit_test(what_is_pushed_early_waits_for_its_turn),
		cmocka_unit_test(every_permutation_comes_out_as_it_went_in),
		cmocka_unit_test(what_never_comes_back_holds_those_behind_it),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}

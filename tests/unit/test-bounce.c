/* SPDX-License-Identifier: MIT */
/* bounce - buffers that are aligned, and nobody else's business */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/drivers/bounce.h"
#include "tests/unit/dumped.h"

static void buffers_are_aligned_and_run_out(void **state)
{
	struct bounce *bounces[BOUNCE_NR];
	struct bounce_pool pool = { 0 };

	(void)state;
	assert_int_equal(bounce_pool_init(&pool), 0);
	for (unsigned int i = 0; i < BOUNCE_NR; i++) {
		bounces[i] = bounce_get(&pool);
		assert_non_null(bounces[i]);
		assert_true(is_aligned((uintptr_t)bounces[i]->data,
				       BOUNCE_MAX_ALIGN));
	}
	assert_null(bounce_get(&pool));
	for (unsigned int i = 0; i < BOUNCE_NR; i++)
		bounce_put(&pool, bounces[i]);
	bounce_pool_deinit(&pool);
}

static void a_guest_s_data_is_not_in_core_dumps(void **state)
{
	struct bounce_pool pool = { 0 };
	struct bounce *bounce;

	(void)state;
	assert_int_equal(bounce_pool_init(&pool), 0);
	bounce = bounce_get(&pool);
	memset(bounce->data, 1, BOUNCE_BYTES);
	assert_false(is_dumped(bounce->data));
	assert_false(is_dumped(bounce->data + BOUNCE_BYTES - 1));
	bounce_put(&pool, bounce);
	bounce_pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_aligned_and_run_out),
		cmocka_unit_test(a_guest_s_data_is_not_in_core_dumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

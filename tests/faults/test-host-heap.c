/* SPDX-License-Identifier: MIT */
/*
 * host-heap - each allocation of a server fails in turn
 *
 *	test-host-heap start|serve [OPTION]
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/faults/drive.h"

static struct drive drive;

static void such_a_server_allocates(void **state)
{
	(void)state;
	assert_true(drive_run_unharmed(&drive));
	assert_true(drive.nr_calls[0] > 10);
}

static void a_failed_allocation_harms_nobody_else(void **state)
{
	const struct drive_fault fault = { .error = ENOMEM, .each = true };

	(void)state;
	assert_true(drive_sweep(&drive, &fault, 0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(such_a_server_allocates),
		cmocka_unit_test(a_failed_allocation_harms_nobody_else),
	};
	int ret;

	if (server_is_missing())
		return 0;
	if (drive_init(&drive, getenv("FAILING_HEAP"),
		       argc > 1 ? argv[1] : NULL))
		return 1;
	drive.plan->nr_rows = 1;
	drive.options[0] = argc > 2 ? argv[2] : NULL;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	drive_deinit(&drive);
	return ret;
}

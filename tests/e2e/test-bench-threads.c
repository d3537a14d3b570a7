/* SPDX-License-Identifier: MIT */
/*
 * bench-threads - `ringhost bench` with several queues, in several threads
 *
 * Apart from test-bench, so that the thread sanitizer sees this and not the
 * tests that depend on how long something takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/command.h"

#define MAX_TRIES 5

/* False if nothing was done, as it is on a machine that stands still. */
static void bench(const struct server *server, const char *options,
		  const char *expression)
{
	snprintf(output, sizeof(output), "False\n");
	for (unsigned int i = 0; i < MAX_TRIES && !strcmp(output, "False\n");
	     i++)
		expect(run("%s bench --runtime=1 --output-format=json %s %s | "
			   "python3 -c 'import json, sys; "
			   "r = json.load(sys.stdin); print(%s)' 2>&1",
			   program(), options, server->socket, expression),
		       0);
	if (strcmp(output, "True\n"))
		fail_msg("%s: %s is %s", options, expression, output);
}

static void several_queues_are_driven_by_several_threads(void **state)
{
	const struct server *server = *state;

	bench(server, "--numjobs=4 --threads=2 --rw=randrw --verify=pattern",
	      "r[\"total\"][\"requests\"] > 0 if "
	      "r[\"job\"][\"threads\"] == 2 and "
	      "r[\"verify\"][\"mismatches\"] == 0 else r");
}

static void one_thread_drives_several_queues(void **state)
{
	const struct server *server = *state;

	bench(server, "--numjobs=4 --rw=write --bs=64k --iodepth=2",
	      "r[\"write\"][\"requests\"] > 0 if "
	      "r[\"read\"][\"requests\"] == 0 else r");
}

static void more_queues_than_there_are_are_refused(void **state)
{
	const struct server *server = *state;

	expect(run("%s bench --numjobs=200 %s 2>&1", program(), server->socket),
	       1);
	has("queues, the job wants 200: give --numjobs=");
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(several_queues_are_driven_by_several_threads),
		TEST(one_thread_drives_several_queues),
		TEST(more_queues_than_there_are_are_refused),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("bench-threads", tests, NULL, NULL);
}

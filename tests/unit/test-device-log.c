/* SPDX-License-Identifier: MIT */
/* device-log - what a front-end does at will does not fill the log */
#include <string.h>
#include <sys/socket.h>

#include <ringhost/log.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/device-world.h"

/* More than the lines of one interval, in case the test spans two. */
#define REPEATS	  (20 * LOG_LIMIT_BURST)
#define MAX_LINES (3 * LOG_LIMIT_BURST)

static void count(void *opaque, enum rh_log_level level, const char *tag,
		  const char *line)
{
	unsigned int *nr_lines = opaque;

	(void)level;
	(void)tag;
	(void)line;
	(*nr_lines)++;
}

static void sessions_that_begin_and_end_do_not_flood_the_log(void **state)
{
	unsigned int nr_lines = 0;
	struct world world;

	(void)state;
	rh_log_set(count, &nr_lines, RH_LOG_INFO);
	world_create(&world);
	for (int i = 0; i < REPEATS; i++) {
		world_attach(&world);
		/* every other one ends badly */
		if (i % 2)
			send(world.front_end, "", 1, 0);
		rh_fd_close(&world.front_end);
		world_run(&world);
	}
	assert_int_equal(world.nr_disconnected, REPEATS);
	assert_in_range(nr_lines, 1, MAX_LINES);
	world_destroy(&world);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

static void channels_that_fail_do_not_flood_the_log(void **state)
{
	unsigned int nr_lines = 0;
	struct world world;
	int fds[2];

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	rh_log_set(count, &nr_lines, RH_LOG_WARNING);
	for (int i = 0; i < REPEATS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		send(fds[0], "wrong answer", 12, 0);
		world_ask(&world, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0,
			  fds[1]);
		close(fds[0]);
		close(fds[1]);
		world_run(&world);
	}
	assert_in_range(nr_lines, 1, MAX_LINES);
	world_destroy(&world);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			sessions_that_begin_and_end_do_not_flood_the_log),
		cmocka_unit_test(channels_that_fail_do_not_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

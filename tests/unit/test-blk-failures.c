/* SPDX-License-Identifier: MIT */
/* blk-failures - what storage has failed to do is told beside I/O */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/blk_failures.h"

static struct blk_failures *failures;
static int timer_fd;

static int set_up(void **state)
{
	(void)state;
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return blk_failures_create(3, &failures);
}

static int take_down(void **state)
{
	(void)state;
	blk_failures_destroy(failures);
	close(timer_fd);
	return 0;
}

static bool timer_is_set(void)
{
	struct itimerspec spec;
	uint64_t nr_expired;

	/* A nanosecond is over when it is looked at. */
	usleep(1);
	assert_int_equal(timerfd_gettime(timer_fd, &spec), 0);
	assert_true(!spec.it_value.tv_sec && !spec.it_value.tv_nsec);
	return read(timer_fd, &nr_expired, sizeof(nr_expired)) > 0;
}

static void what_has_failed_is_counted_and_taken_once(void **state)
{
	struct blk_failure failure;

	(void)state;
	assert_false(blk_failures_take(failures, &failure));
	blk_failures_note(failures, 1, BLK_WRITE, -ENOSPC);
	blk_failures_note(failures, 1, BLK_WRITE, -ENOSPC);
	assert_true(blk_failures_take(failures, &failure));
	assert_int_equal(failure.queue, 1);
	assert_int_equal(failure.op, BLK_WRITE);
	assert_int_equal(failure.error, -ENOSPC);
	assert_int_equal(failure.nr, 2);
	assert_false(blk_failures_take(failures, &failure));
	blk_failures_note(failures, 0, BLK_READ, -EIO);
	blk_failures_note(failures, 2, BLK_FLUSH, -EIO);
	assert_true(blk_failures_take(failures, &failure));
	assert_int_equal(failure.nr, 2);
	assert_int_equal(failure.queue, 2);
	assert_int_equal(failure.op, BLK_FLUSH);
}

static void only_the_first_one_wakes_who_listens(void **state)
{
	(void)state;
	blk_failures_note(failures, 0, BLK_READ, -EIO);
	assert_false(timer_is_set());
	blk_failures_tell(failures, timer_fd);
	blk_failures_note(failures, 0, BLK_READ, -EIO);
	assert_true(timer_is_set());
	blk_failures_note(failures, 0, BLK_READ, -EIO);
	assert_false(timer_is_set());
	blk_failures_listen(failures, true);
	blk_failures_note(failures, 2, BLK_READ, -EIO);
	assert_true(timer_is_set());
	blk_failures_listen(failures, false);
	blk_failures_note(failures, 2, BLK_READ, -EIO);
	assert_false(timer_is_set());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_has_failed_is_counted_and_taken_once, set_up,
			take_down),
		cmocka_unit_test_setup_teardown(
			only_the_first_one_wakes_who_listens, set_up,
			take_down),
	};

	return cmocka_run_group_tests_name("blk-failures", tests, NULL, NULL);
}

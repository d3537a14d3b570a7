/* SPDX-License-Identifier: MIT */
/* fd - closing, flags, eventfds that never block, memfds */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"

/* What is in an eventfd; 0 if nothing is. */
static uint64_t count_of(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void a_close_empties_the_variable_and_keeps_errno(void **state)
{
	int fd = rh_eventfd_create();
	int number = fd;

	(void)state;
	errno = ENOSPC;
	rh_fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fcntl(number, F_GETFD), -1);
	rh_fd_close(&fd);
	assert_int_equal(fd, -1);
}

static void non_blocking_is_set_beside_the_other_flags(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);

	(void)state;
	assert_int_equal(rh_fd_set_nonblocking(fd), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND),
			 O_NONBLOCK | O_APPEND);
	assert_int_equal(rh_fd_set_nonblocking(fd), 0);
	rh_fd_close(&fd);
	assert_int_equal(rh_fd_set_nonblocking(-1), -EBADF);
}

static void an_eventfd_is_empty_non_blocking_and_closed_on_exec(void **state)
{
	int fd = rh_eventfd_create();

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(count_of(fd) == 0);
	rh_fd_close(&fd);
}

static void signals_add_up_and_a_drain_takes_them_all(void **state)
{
	int fd = rh_eventfd_create();

	(void)state;
	rh_eventfd_signal(fd);
	rh_eventfd_signal(fd);
	assert_true(count_of(fd) == 2);
	rh_eventfd_signal(fd);
	rh_eventfd_drain(fd);
	rh_eventfd_drain(fd);
	assert_true(count_of(fd) == 0);
	rh_fd_close(&fd);
}

static void a_full_counter_is_left_as_it_is(void **state)
{
	int fd = rh_eventfd_create();
	const uint64_t most = UINT64_MAX - 1;

	(void)state;
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	rh_eventfd_signal(fd);
	assert_true(count_of(fd) == most);
	rh_fd_close(&fd);
}

static void a_memfd_has_its_size_and_is_all_zero(void **state)
{
	int fd = rh_memfd_create("test", 4096);
	struct stat file;
	char byte = 1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &file), 0);
	assert_int_equal(file.st_size, 4096);
	assert_int_equal(pread(fd, &byte, 1, 4095), 1);
	assert_int_equal(byte, 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	rh_fd_close(&fd);
}

static void a_memfd_that_cannot_be_leaves_no_fd(void **state)
{
	int next = dup(STDERR_FILENO);

	(void)state;
	close(next);
	assert_true(rh_memfd_create("test", SIZE_MAX) < 0);
	assert_int_equal(dup(STDERR_FILENO), next);
	close(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_close_empties_the_variable_and_keeps_errno),
		cmocka_unit_test(non_blocking_is_set_beside_the_other_flags),
		cmocka_unit_test(
			an_eventfd_is_empty_non_blocking_and_closed_on_exec),
		cmocka_unit_test(signals_add_up_and_a_drain_takes_them_all),
		cmocka_unit_test(a_full_counter_is_left_as_it_is),
		cmocka_unit_test(a_memfd_has_its_size_and_is_all_zero),
		cmocka_unit_test(a_memfd_that_cannot_be_leaves_no_fd),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}

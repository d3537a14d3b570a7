/* SPDX-License-Identifier: MIT */
/* peerfd - whatever a peer does to its eventfd, nothing here blocks */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"

#define FULL (UINT64_MAX - 1)

/* SIGALRM ends the program if something blocks after all. */
#define PATIENCE_SECONDS 20

static uint64_t take(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

static void each_signal_adds_one(void **state)
{
	int fd = rh_eventfd_create();

	(void)state;
	for (int i = 0; i < 1000; i++)
		rh_peerfd_signal(fd);
	assert_int_equal(take(fd), 1000);
	close(fd);
}

/* F-20: the front-end has made it blocking again and filled it */
static void a_full_counter_does_not_block(void **state)
{
	uint64_t full = FULL;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	alarm(PATIENCE_SECONDS);
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	for (int i = 0; i < 100; i++)
		rh_peerfd_signal(fd);
	assert_true(take(fd) >= FULL);
	rh_peerfd_signal(fd);
	assert_int_equal(take(fd), 1);
	alarm(0);
	close(fd);
}

static void an_empty_counter_does_not_block(void **state)
{
	int fd = eventfd(3, EFD_CLOEXEC);

	(void)state;
	alarm(PATIENCE_SECONDS);
	rh_peerfd_drain(fd);
	rh_peerfd_drain(fd);
	rh_peerfd_signal(fd);
	assert_int_equal(take(fd), 1);
	alarm(0);
	close(fd);
}

static void a_semaphore_gives_one_at_a_time(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);

	(void)state;
	rh_peerfd_signal(fd);
	rh_peerfd_signal(fd);
	assert_int_equal(take(fd), 1);
	assert_int_equal(take(fd), 1);
	assert_int_equal(take(fd), 0);
	close(fd);
}

static void *signal_often(void *opaque)
{
	for (int i = 0; i < 10000; i++)
		rh_peerfd_signal(*(int *)opaque);
	return NULL;
}

static void threads_lose_no_signal(void **state)
{
	int fd = rh_eventfd_create();
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signal_often,
						&fd),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(take(fd), 4 * 10000);
	close(fd);
}

static void a_forked_process_signals_too(void **state)
{
	int fd = rh_eventfd_create();
	int status;
	pid_t child;

	(void)state;
	rh_peerfd_signal(fd);
	child = fork();
	if (child == 0) {
		rh_peerfd_signal(fd);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(take(fd), 2);
	close(fd);
}

static void only_an_eventfd_is_one(void **state)
{
	int fd = rh_eventfd_create();
	int others[6];
	int pair[2];

	(void)state;
	assert_true(rh_peerfd_is_eventfd(fd));
	others[0] = rh_memfd_create("test", 4096);
	others[1] = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	others[2] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	others[3] = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	others[4] = pair[0];
	others[5] = pair[1];
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_true(others[i] >= 0);
		assert_false(rh_peerfd_is_eventfd(others[i]));
		close(others[i]);
	}
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_false(rh_peerfd_is_eventfd(pair[0]));
	close(pair[0]);
	close(pair[1]);
	assert_false(rh_peerfd_is_eventfd(-1));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_signal_adds_one),
		cmocka_unit_test(a_full_counter_does_not_block),
		cmocka_unit_test(an_empty_counter_does_not_block),
		cmocka_unit_test(a_semaphore_gives_one_at_a_time),
		cmocka_unit_test(threads_lose_no_signal),
		cmocka_unit_test(a_forked_process_signals_too),
		cmocka_unit_test(only_an_eventfd_is_one),
	};

	return cmocka_run_group_tests_name("peerfd", tests, NULL, NULL);
}

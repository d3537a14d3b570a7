/* SPDX-License-Identifier: MIT */
/* guard - a front-end takes back memory; faults elsewhere stay faults */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/guard.h"
#include "tests/unit/device-world.h"
#include "tests/unit/dumped.h"

#define PAGE_BYTES 4096

/* In each test, since the framework has a handler of its own. */
static void guard_memory(void)
{
	assert_int_equal(rh_device_guard_memory(), 0);
}

static void take_back(struct world *world)
{
	assert_int_equal(ftruncate(world->memory_fd, 0), 0);
}

/* F-24, on ring pages */
static void memory_taken_back_ends_the_session(void **state)
{
	struct rh_chain *chain;
	struct world world;

	(void)state;
	guard_memory();
	world_create_running(&world);
	take_back(&world);
	assert_int_equal(rh_queue_pop(&world.device->queues[0], &chain), 0);
	rh_queue_suppress_kicks(&world.device->queues[0]);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -EFAULT);
	rh_fd_close(&world.front_end);

	/* the next front-end has memory of its own, and is not held to it */
	assert_int_equal(ftruncate(world.memory_fd, WORLD_MEMORY_BYTES), 0);
	world_attach(&world);
	world_negotiate(&world);
	world_share_memory(&world);
	world_start_queue(&world, 0);
	assert_int_equal(rh_queue_pop(&world.device->queues[0], &chain), 0);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	world_destroy(&world);
}

/* Whoever uses it is to fail, not to go on with zeros. */
static void what_is_revoked_fails_in_the_kernel(void **state)
{
	int fd = rh_memfd_create("memory", 2 * PAGE_BYTES);
	int file = rh_memfd_create("file", 0);
	uint8_t *memory = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);
	struct rh_guard *guard = NULL;

	(void)state;
	guard_memory();
	assert_true(memory != MAP_FAILED);
	memset(memory, 0xaa, 2 * PAGE_BYTES);
	assert_int_equal(rh_guard_create(memory, 2 * PAGE_BYTES, -1, &guard),
			 0);
	rh_guard_revoke(guard);
	assert_true(rh_guard_lost(guard));
	assert_int_equal(write(file, memory, PAGE_BYTES), -1);
	assert_int_equal(errno, EFAULT);
	assert_false(is_dumped(memory));
	/* and a touch of ours changes nothing for the page beside it */
	assert_int_equal(memory[7], 0);
	memory[7] = 1;
	assert_false(is_dumped(memory));
	assert_int_equal(write(file, memory + PAGE_BYTES, PAGE_BYTES), -1);
	assert_int_equal(errno, EFAULT);
	rh_guard_release(guard);
	munmap(memory, 2 * PAGE_BYTES);
	close(file);
	close(fd);
}

/* F-25: the file is long enough, its file system is not */
static void what_is_lost_reads_as_zeros(void **state)
{
	int fd = rh_memfd_create("lost", 2 * PAGE_BYTES);
	uint8_t *memory = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);
	struct rh_guard *guard = NULL;

	(void)state;
	guard_memory();
	assert_true(memory != MAP_FAILED);
	memset(memory, 0xaa, 2 * PAGE_BYTES);
	assert_int_equal(rh_guard_create(memory, 2 * PAGE_BYTES, -1, &guard),
			 0);
	assert_false(rh_guard_lost(guard));
	assert_int_equal(ftruncate(fd, PAGE_BYTES), 0);
	assert_int_equal(memory[0], 0xaa);
	assert_false(rh_guard_lost(guard));
	assert_int_equal(memory[2 * PAGE_BYTES - 1], 0);
	assert_true(rh_guard_lost(guard));
	memory[PAGE_BYTES] = 1;
	rh_guard_release(guard);
	munmap(memory, 2 * PAGE_BYTES);
	close(fd);
}

/* F-24: else it would go on with zeros, for instance onto a disk */
static void what_is_lost_fails_in_the_kernel(void **state)
{
	int fd = rh_memfd_create("lost", 3 * PAGE_BYTES);
	int file = rh_memfd_create("file", 0);
	uint8_t *memory = mmap(NULL, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);
	struct rh_guard *guard = NULL;

	(void)state;
	guard_memory();
	assert_true(memory != MAP_FAILED);
	assert_int_equal(rh_guard_create(memory, 3 * PAGE_BYTES, -1, &guard),
			 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(memory[PAGE_BYTES], 0);
	assert_true(rh_guard_lost(guard));
	assert_int_equal(write(file, memory, PAGE_BYTES), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(write(file, memory + 2 * PAGE_BYTES, PAGE_BYTES), -1);
	assert_int_equal(errno, EFAULT);
	rh_guard_release(guard);
	munmap(memory, 3 * PAGE_BYTES);
	close(file);
	close(fd);
}

static void guards_are_used_again(void **state)
{
	struct rh_guard *first = NULL;
	struct rh_guard *second = NULL;
	char byte;

	(void)state;
	assert_int_equal(rh_guard_create(&byte, 1, -1, &first), 0);
	rh_guard_release(first);
	assert_int_equal(rh_guard_create(&byte, 1, -1, &second), 0);
	assert_ptr_equal(first, second);
	assert_false(rh_guard_lost(second));
	rh_guard_release(second);
}

static void touch_what_is_not_guarded(void)
{
	int fd = rh_memfd_create("lost", PAGE_BYTES);
	volatile uint8_t *memory =
		mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	if (ftruncate(fd, 0) == 0)
		(void)memory[0];
}

/* A child's end; NULL: by default */
static int fault_after(void (*handler)(int signal))
{
	struct sigaction action = { .sa_handler = handler };
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (!pid) {
		sigaction(SIGBUS, &action, NULL);
		rh_device_guard_memory();
		rh_device_guard_memory(); /* twice is no circle */
		touch_what_is_not_guarded();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void exit_7(int signal)
{
	(void)signal;
	_exit(7);
}

static void faults_elsewhere_mean_what_they_meant(void **state)
{
	int status;

	(void)state;
	status = fault_after(SIG_DFL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = fault_after(exit_7);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_taken_back_ends_the_session),
		cmocka_unit_test(what_is_revoked_fails_in_the_kernel),
		cmocka_unit_test(what_is_lost_reads_as_zeros),
		cmocka_unit_test(what_is_lost_fails_in_the_kernel),
		cmocka_unit_test(guards_are_used_again),
		cmocka_unit_test(faults_elsewhere_mean_what_they_meant),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}

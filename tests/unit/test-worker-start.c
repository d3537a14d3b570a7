/* SPDX-License-Identifier: MIT */
/*
 * worker - starts and stops on a host that has no memory at the moment
 *
 * Linked with --wrap, so that what the control thread says to the worker
 * passes through here.
 */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "server/worker_internal.h"
#include "tests/unit/worker-bench.h"

ssize_t __real_write(int fd, const void *data, size_t bytes);
ssize_t __wrap_write(int fd, const void *data, size_t bytes);
ssize_t __real_read(int fd, void *data, size_t bytes);
ssize_t __wrap_read(int fd, void *data, size_t bytes);

static enum engine_kind kind = ENGINE_THREADS;
static atomic_uint nr_to_fail;
static const struct worker *failing; /* whose pipe finds no memory then */
static atomic_uint nr_to_interrupt;
static const struct worker *interrupted; /* whose commands are then */

ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
	if (atomic_load(&nr_to_fail) && fd == failing->command_fds[1]) {
		atomic_fetch_sub(&nr_to_fail, 1);
		errno = ENOMEM;
		return -1;
	}
	return __real_write(fd, data, bytes);
}

ssize_t __wrap_read(int fd, void *data, size_t bytes)
{
	unsigned int one = 1;

	if (atomic_load(&nr_to_interrupt) &&
	    fd == interrupted->command_fds[0] &&
	    atomic_compare_exchange_strong(&nr_to_interrupt, &one, 0)) {
		errno = EINTR;
		return -1;
	}
	return __real_read(fd, data, bytes);
}

static void fail_commands(const struct worker *worker, unsigned int nr)
{
	failing = worker;
	atomic_store(&nr_to_fail, nr);
}

static int refuse_turn(struct engine *engine, uint64_t wait_nsec)
{
	(void)engine;
	(void)wait_nsec;
	return -ENOMEM;
}

static void a_worker_whose_engine_does_not_work_does_not_start(void **state)
{
	struct engine_ops ops;
	struct worker *worker;

	(void)state;
	assert_int_equal(worker_create("w", kind, 0, &worker), 0);
	ops = *worker->engine->ops;
	ops.turn = refuse_turn;
	worker->engine->ops = &ops;
	assert_int_equal(worker_start(worker), -ENOMEM);
	worker_destroy(worker);
}

static void a_stop_and_an_end_wait_for_memory(void **state)
{
	struct bench *bench = bench_of(state);

	guest_start(&bench->guests[0]);
	guest_keep_busy(&bench->guests[0], 10, 2);
	fail_commands(bench->worker, 3);
	guest_stop(&bench->guests[0]);
	assert_int_equal(nr_to_fail, 0);
	fail_commands(bench->worker, 3);
}

static void a_command_is_not_lost_to_a_signal(void **state)
{
	struct bench *bench = bench_of(state);

	interrupted = bench->worker;
	atomic_store(&nr_to_interrupt, 1);
	guest_start(&bench->guests[0]);
	guest_keep_busy(&bench->guests[0], 10, 2);
	assert_int_equal(atomic_load(&nr_to_interrupt), 0);
	guest_stop(&bench->guests[0]);
	interrupted = NULL;
}

static int end_without_memory(void **state)
{
	int error = bench_tear_down(state);

	return error || nr_to_fail;
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_worker_whose_engine_does_not_work_does_not_start),
		cmocka_unit_test_prestate_setup_teardown(
			a_stop_and_an_end_wait_for_memory, bench_set_up,
			end_without_memory, &kind),
		cmocka_unit_test_prestate_setup_teardown(
			a_command_is_not_lost_to_a_signal, bench_set_up,
			bench_tear_down, &kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

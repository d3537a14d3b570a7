/* SPDX-License-Identifier: MIT */
/* engine - operations complete with their result, on every engine */
#include "tests/unit/engine-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct task {
	struct io_op op;
	struct iovec iov[4];
	struct fixture *fixture;
	unsigned int nr_done;
	unsigned int nr_left; /* times to start it again */
	int result;
};

static void note(struct io_op *op, int result)
{
	struct task *task = container_of(op, struct task, op);

	task->nr_done++;
	task->result = result;
}

static struct task task_of(struct fixture *fixture, enum io_kind kind)
{
	return (struct task){
		.fixture = fixture,
		.op = { .kind = kind, .fd = fixture->file, .done = note },
	};
}

static void start(struct task *task)
{
	int result;

	while ((result = engine_submit(task->fixture->engine, &task->op)) ==
	       -EAGAIN)
		turn(task->fixture, false);
	assert_int_equal(result, 0);
}

static int finish(struct task *task)
{
	while (!task->nr_done)
		turn(task->fixture, true);
	assert_int_equal(task->nr_done, 1);
	return task->result;
}

static int run(struct task *task)
{
	start(task);
	return finish(task);
}

static int transfer(struct fixture *fixture, enum io_kind kind, void *data,
		    size_t bytes, uint64_t offset_bytes)
{
	struct task task = task_of(fixture, kind);

	task.iov[0] = (struct iovec){ data, bytes };
	task.op.iov = task.iov;
	task.op.nr_iov = 1;
	task.op.offset_bytes = offset_bytes;
	return run(&task);
}

static void what_was_written_is_read_back(void **state)
{
	struct fixture *fixture = fixture_of(state);
	char out[512] = "something";
	char in[512] = "";

	assert_int_equal(transfer(fixture, IO_WRITE, out, 512, 1024), 512);
	assert_int_equal(transfer(fixture, IO_READ, in, 512, 1024), 512);
	assert_memory_equal(in, out, 512);
}

static void several_buffers_are_one_operation(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_WRITE);
	char text[] = "abcdefghi";
	char in[10] = "";

	task.iov[0] = (struct iovec){ text, 2 };
	task.iov[1] = (struct iovec){ text + 2, 3 };
	task.iov[2] = (struct iovec){ text + 5, 4 };
	task.op.iov = task.iov;
	task.op.nr_iov = 3;
	assert_int_equal(run(&task), 9);
	assert_int_equal(pread(fixture->file, in, 9, 0), 9);
	assert_string_equal(in, text);

	memset(text, 0, sizeof(text));
	task.op.kind = IO_READ;
	task.nr_done = 0;
	assert_int_equal(run(&task), 9);
	assert_string_equal(text, "abcdefghi");
}

/* D-15 */
static void a_short_transfer_says_how_short(void **state)
{
	struct fixture *fixture = fixture_of(state);
	char data[4096];

	assert_int_equal(ftruncate(fixture->file, 5000), 0);
	assert_int_equal(transfer(fixture, IO_READ, data, 4096, 4096), 904);
	assert_int_equal(transfer(fixture, IO_READ, data, 4096, 5000), 0);
}

static void a_failure_is_the_result(void **state)
{
	struct fixture *fixture = fixture_of(state);
	cleanup_close int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	struct task task = task_of(fixture, IO_DATASYNC);
	char data[512] = "";

	task.op.fd = -1;
	assert_int_equal(run(&task), -EBADF);

	task = task_of(fixture, IO_WRITE);
	task.iov[0] = (struct iovec){ data, sizeof(data) };
	task.op.fd = full;
	task.op.iov = task.iov;
	task.op.nr_iov = 1;
	assert_int_equal(run(&task), -ENOSPC);
}

static void the_flags_of_a_transfer_are_obeyed(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_WRITE);
	char data[512] = "x";

	task.iov[0] = (struct iovec){ data, sizeof(data) };
	task.op.iov = task.iov;
	task.op.nr_iov = 1;
	task.op.rw_flags = RWF_DSYNC;
	assert_int_equal(run(&task), 512);

	task.nr_done = 0;
	task.op.rw_flags = 1 << 30;
	assert_int_equal(run(&task), -EOPNOTSUPP);
}

static void a_hole_is_punched_and_the_file_synced(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_FALLOCATE);
	char data[8192];
	struct stat before;
	struct stat after;

	memset(data, 'x', sizeof(data));
	assert_int_equal(pwrite(fixture->file, data, 8192, 0), 8192);
	fstat(fixture->file, &before);
	task.op.fallocate_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	task.op.offset_bytes = 4096;
	task.op.bytes = 4096;
	assert_int_equal(run(&task), 0);
	fstat(fixture->file, &after);
	assert_int_equal(after.st_size, 8192);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(pread(fixture->file, data, 8192, 0), 8192);
	assert_int_equal(data[4095], 'x');
	assert_int_equal(data[4096], 0);

	task = task_of(fixture, IO_DATASYNC);
	assert_int_equal(run(&task), 0);
}

/* D-14: more than fits into the submission and the completion queue. */
static void thousands_of_operations_all_complete(void **state)
{
	enum {
		NR = 6000
	};
	struct fixture *fixture = fixture_of(state);
	struct task *tasks = calloc(NR, sizeof(*tasks));
	uint32_t *numbers = calloc(NR, sizeof(*numbers));
	uint32_t in;

	for (uint32_t i = 0; i < NR; i++) {
		numbers[i] = i;
		tasks[i] = task_of(fixture, IO_WRITE);
		tasks[i].iov[0] = (struct iovec){ &numbers[i], 4 };
		tasks[i].op.iov = tasks[i].iov;
		tasks[i].op.nr_iov = 1;
		tasks[i].op.offset_bytes = 4 * i;
		start(&tasks[i]);
	}
	for (uint32_t i = 0; i < NR; i++) {
		assert_int_equal(finish(&tasks[i]), 4);
		assert_int_equal(pread(fixture->file, &in, 4, 4 * i), 4);
		assert_int_equal(in, i);
	}
	free(tasks);
	free(numbers);
}

static void start_again(struct io_op *op, int result)
{
	struct task *task = container_of(op, struct task, op);

	assert_int_equal(result, 0);
	task->nr_done = !task->nr_left;
	if (task->nr_left) {
		task->nr_left--;
		start(task);
	}
}

static void a_completion_may_start_the_next_operation(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_DATASYNC);

	task.op.done = start_again;
	task.nr_left = 200;
	start(&task);
	while (!task.nr_done)
		turn(fixture, true);
	assert_int_equal(task.nr_left, 0);
}

static void nothing_completes_outside_of_a_turn(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[10];

	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = task_of(fixture, IO_DATASYNC);
		start(&tasks[i]);
		assert_int_equal(tasks[i].nr_done, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		assert_int_equal(finish(&tasks[i]), 0);
}

static pthread_t caller;
static pthread_barrier_t barrier;

static int say_who_calls(struct io_op *op)
{
	(void)op;
	caller = pthread_self();
	return -EXDEV;
}

static void a_call_runs_in_another_thread(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_CALL);

	caller = pthread_self();
	task.op.call = say_who_calls;
	assert_int_equal(run(&task), -EXDEV);
	assert_false(pthread_equal(caller, pthread_self()));
}

static int be_interrupted_twice(struct io_op *op)
{
	struct task *task = container_of(op, struct task, op);

	return task->nr_left-- ? -EINTR : 17;
}

/* D-13 */
static void a_call_that_was_interrupted_is_made_again(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = task_of(fixture, IO_CALL);

	task.op.call = be_interrupted_twice;
	task.nr_left = 2;
	assert_int_equal(run(&task), 17);
}

static int meet_the_others(struct io_op *op)
{
	(void)op;
	pthread_barrier_wait(&barrier);
	return 0;
}

static void calls_run_side_by_side(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[8];

	pthread_barrier_init(&barrier, NULL, ARRAY_SIZE(tasks));
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
			tasks[i] = task_of(fixture, IO_CALL);
			tasks[i].op.call = meet_the_others;
			start(&tasks[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
			assert_int_equal(finish(&tasks[i]), 0);
	}
	pthread_barrier_destroy(&barrier);
}

static void *write_in_this_thread(void *opaque)
{
	struct fixture *fixture = opaque;
	char data[512] = "";

	assert_int_equal(transfer(fixture, IO_WRITE, data, 512, 0), 512);
	return NULL;
}

static void another_thread_than_its_creator_may_own_it(void **state)
{
	struct fixture *fixture = fixture_of(state);
	pthread_t thread;
	struct stat info;

	assert_int_equal(pthread_create(&thread, NULL, write_in_this_thread,
					fixture),
			 0);
	pthread_join(thread, NULL);
	fstat(fixture->file, &info);
	assert_int_equal(info.st_size, 512);
}

static void an_engine_has_a_name(void **state)
{
	struct engine *engine;

	(void)state;
	engine_destroy(NULL);
	assert_int_equal(engine_create(ENGINE_THREADS, &engine), 0);
	assert_string_equal(engine_name(engine), "threads");
	engine_destroy(engine);
	if (engine_create(ENGINE_URING, &engine) < 0)
		skip();
	assert_string_equal(engine_name(engine), "io_uring");
	engine_destroy(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL_ENGINES(what_was_written_is_read_back),
		ON_ALL_ENGINES(several_buffers_are_one_operation),
		ON_ALL_ENGINES(a_short_transfer_says_how_short),
		ON_ALL_ENGINES(a_failure_is_the_result),
		ON_ALL_ENGINES(the_flags_of_a_transfer_are_obeyed),
		ON_ALL_ENGINES(a_hole_is_punched_and_the_file_synced),
		ON_ALL_ENGINES(thousands_of_operations_all_complete),
		ON_ALL_ENGINES(a_completion_may_start_the_next_operation),
		ON_ALL_ENGINES(nothing_completes_outside_of_a_turn),
		ON_ALL_ENGINES(a_call_runs_in_another_thread),
		ON_ALL_ENGINES(a_call_that_was_interrupted_is_made_again),
		ON_ALL_ENGINES(calls_run_side_by_side),
		ON_ALL_ENGINES(another_thread_than_its_creator_may_own_it),
		cmocka_unit_test(an_engine_has_a_name),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}

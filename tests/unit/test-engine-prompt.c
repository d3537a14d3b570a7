/* SPDX-License-Identifier: MIT */
/* engine-prompt - operations at the speed of memory, on every engine */
#include "tests/unit/engine-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MANY 300 /* more than an engine carries out in one call */

struct task {
	struct io_op op;
	struct iovec iov[2];
	char data[16];
	unsigned int nr_done;
	int result;
};

static struct pace pace;

static void note(struct io_op *op, int result)
{
	struct task *task = container_of(op, struct task, op);

	task->nr_done++;
	task->result = result;
}

static void prepare(struct fixture *fixture, struct task *task,
		    enum io_kind kind, uint64_t offset_bytes)
{
	task->iov[0] = (struct iovec){ task->data, 7 };
	task->iov[1] = (struct iovec){ task->data + 7, 9 };
	task->op = (struct io_op){
		.kind = kind,
		.fd = fixture->file,
		.offset_bytes = offset_bytes,
		.bytes = 16,
		.iov = task->iov,
		.nr_iov = 2,
		.pace = &pace,
		.done = note,
	};
	task->nr_done = 0;
}

static void start(struct fixture *fixture, struct task *task)
{
	int result;

	while ((result = engine_submit(fixture->engine, &task->op)) == -EAGAIN)
		turn(fixture, false);
	assert_int_equal(result, 0);
}

static int finish(struct fixture *fixture, struct task *task)
{
	while (!task->nr_done)
		turn(fixture, true);
	assert_int_equal(task->nr_done, 1);
	return task->result;
}

static struct task *start_many(struct fixture *fixture, enum io_kind kind)
{
	struct task *tasks = calloc(MANY, sizeof(*tasks));

	for (uint64_t i = 0; i < MANY; i++) {
		if (kind == IO_WRITE)
			snprintf(tasks[i].data, sizeof(tasks[i].data),
				 "number %llu", (unsigned long long)i);
		prepare(fixture, &tasks[i], kind, i * 16);
		start(fixture, &tasks[i]);
	}
	return tasks;
}

static void finish_many(struct fixture *fixture, struct task *tasks)
{
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(finish(fixture, &tasks[i]), 16);
		assert_int_equal(strtol(tasks[i].data + 7, NULL, 10), i);
	}
	free(tasks);
}

static int begin(void **state)
{
	pace = (struct pace){ 0 };
	return fixture_set_up(state);
}

static void what_was_written_is_read_back(void **state)
{
	struct fixture *fixture = fixture_of(state);

	finish_many(fixture, start_many(fixture, IO_WRITE));
	finish_many(fixture, start_many(fixture, IO_READ));
}

static void one_buffer_or_two_make_no_difference(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[2] = { { .data = "fifteen letters" },
				 { .data = "two in one turn" } };

	for (unsigned int i = 0; i < 2; i++) {
		prepare(fixture, &tasks[i], IO_WRITE, i * 16);
		tasks[i].op.nr_iov = 1;
		start(fixture, &tasks[i]);
	}
	assert_int_equal(finish(fixture, &tasks[0]), 7);
	assert_int_equal(finish(fixture, &tasks[1]), 7);
}

static void a_short_transfer_says_how_short(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[3];

	assert_int_equal(ftruncate(fixture->file, 21), 0);
	for (unsigned int i = 0; i < 3; i++) {
		prepare(fixture, &tasks[i], IO_READ, i * 16);
		start(fixture, &tasks[i]);
	}
	assert_int_equal(finish(fixture, &tasks[0]), 16);
	assert_int_equal(finish(fixture, &tasks[1]), 5);
	assert_int_equal(finish(fixture, &tasks[2]), 0);
}

/* Wherever it stands among its neighbours, which are done all the same */
static void a_failure_is_the_result_of_one_operation_alone(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[3];

	for (unsigned int bad = 0; bad < 3; bad++) {
		for (unsigned int i = 0; i < 3; i++) {
			prepare(fixture, &tasks[i], IO_WRITE, i * 16);
			if (i == bad)
				tasks[i].op.fd = -1;
			start(fixture, &tasks[i]);
		}
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(finish(fixture, &tasks[i]),
					 i == bad ? -EBADF : 16);
	}
}

static void two_paces_do_not_mix(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct pace other = { 0 };
	struct task tasks[6];

	for (unsigned int i = 0; i < 6; i++) {
		prepare(fixture, &tasks[i], IO_WRITE, i * 16);
		tasks[i].op.pace = i % 4 < 2 ? &pace : &other;
		start(fixture, &tasks[i]);
	}
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(finish(fixture, &tasks[i]), 16);
}

static void a_closed_pace_does_not_keep_operations_from_their_end(void **state)
{
	struct fixture *fixture = fixture_of(state);

	pace = (struct pace){ .closed = true, .reopens_nsec = UINT64_MAX };
	finish_many(fixture, start_many(fixture, IO_WRITE));
	assert_true(pace.closed);
}

static void chain(struct io_op *op, int result)
{
	struct task *task = container_of(op, struct task, op);
	struct fixture *fixture = *(struct fixture **)task->data;

	assert_int_equal(result, 16);
	task->result++;
	if (task->result < 200)
		assert_int_equal(engine_submit(fixture->engine, op), 0);
	else
		task->nr_done = 1;
}

static void a_completion_may_start_the_next_operation(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task task = { .result = 0 };

	prepare(fixture, &task, IO_WRITE, 0);
	memcpy(task.data, &fixture, sizeof(fixture));
	task.op.done = chain;
	start(fixture, &task);
	assert_int_equal(finish(fixture, &task), 200);
}

/* What it is for: the next turn has them all, and need not wait. */
static void on_io_uring_the_next_turn_completes_them(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct task tasks[32];

	for (unsigned int i = 0; i < 32; i++) {
		prepare(fixture, &tasks[i], IO_WRITE, i * 16);
		start(fixture, &tasks[i]);
		assert_int_equal(tasks[i].nr_done, 0);
	}
	turn(fixture, true);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(tasks[i].nr_done, 1);
}

#define ON_ALL(test)                                                           \
	PROMPT_ON(test, "io_uring", FIXTURE_URING),                            \
		PROMPT_ON(test, "a tiny io_uring", FIXTURE_TINY_URING),        \
		PROMPT_ON(test, "threads", FIXTURE_THREADS)

#define PROMPT_ON(test, engine, kind)                                          \
	{                                                                      \
#test " on " engine, test, begin, fixture_tear_down,           \
			&fixture_kinds[kind]                                   \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(what_was_written_is_read_back),
		ON_ALL(one_buffer_or_two_make_no_difference),
		ON_ALL(a_short_transfer_says_how_short),
		ON_ALL(a_failure_is_the_result_of_one_operation_alone),
		ON_ALL(two_paces_do_not_mix),
		ON_ALL(a_closed_pace_does_not_keep_operations_from_their_end),
		ON_ALL(a_completion_may_start_the_next_operation),
		PROMPT_ON(on_io_uring_the_next_turn_completes_them, "io_uring",
			  FIXTURE_URING),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * engine-refused - what the engines do when the kernel says no
 *
 * Each test runs in a child with a system call filter. A child has no test
 * framework: it exits with 0, or with the line at which it was not content.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/engine.h"
#include "server/uring.h"

#define ANY_NUMBER UINT32_MAX

#define require(condition)                                                     \
	do {                                                                   \
		if (!(condition))                                              \
			_exit(__LINE__ % 255 + 1);                             \
	} while (0)

static void run_in_child(void (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/*
 * From now on this system call fails with error in this process, if its second
 * argument is number.
 */
static void refuse_if(long call, uint32_t number, int error)
{
	uint8_t any = number == ANY_NUMBER;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, !any),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void refuse(long call, int error)
{
	refuse_if(call, ANY_NUMBER, error);
}

struct task {
	struct io_op op;
	struct iovec iov;
	uint64_t value;
	unsigned int nr_done;
	int result;
};

static void note(struct io_op *op, int result)
{
	struct task *task = container_of(op, struct task, op);

	task->nr_done++;
	task->result = result;
}

static int start(struct engine *engine, struct task *task, uint64_t value)
{
	*task = (struct task){
		.op = {
			.kind = IO_WRITE,
			.fd = rh_memfd_create("test", 0),
			.iov = &task->iov,
			.nr_iov = 1,
			.done = note,
		},
		.iov = { &task->value, sizeof(task->value) },
		.value = value,
	};
	return engine_submit(engine, &task->op);
}

static void finish(struct engine *engine, struct task *task)
{
	uint64_t value = 0;

	while (!task->nr_done)
		require(engine_turn(engine, true) == 0);
	require(task->nr_done == 1);
	require(task->result == sizeof(value));
	require(pread(task->op.fd, &value, sizeof(value), 0) == sizeof(value));
	require(value == task->value);
}

static int create_uring(void)
{
	struct engine *engine;

	return engine_create(ENGINE_URING, &engine);
}

static void without_permission(void)
{
	refuse(__NR_io_uring_setup, EPERM);
	require(create_uring() == -EPERM);
}

static void on_an_old_kernel(void)
{
	refuse(__NR_io_uring_setup, ENOSYS);
	require(create_uring() == -ENOSYS);
}

static void without_memory(void)
{
	refuse(__NR_io_uring_setup, ENOMEM);
	require(create_uring() == -ENOMEM);
}

static void a_host_without_io_uring_is_told_by_errno(void **state)
{
	(void)state;
	run_in_child(without_permission);
	run_in_child(on_an_old_kernel);
	run_in_child(without_memory);
}

static void refuse_three(int error)
{
	struct task tasks[4];
	struct engine *engine;

	require(engine_create(ENGINE_URING, &engine) == 0);
	refuse_if(__NR_io_uring_enter, 3, error);
	for (unsigned int i = 0; i < 3; i++)
		require(start(engine, &tasks[i], 100 + i) == 0);
	/* comes back, though nothing has happened */
	for (unsigned int i = 0; i < 10; i++)
		require(engine_turn(engine, true) == 0);
	for (unsigned int i = 0; i < 3; i++)
		require(tasks[i].nr_done == 0);
	require(start(engine, &tasks[3], 103) == 0);
	for (unsigned int i = 0; i < 4; i++)
		finish(engine, &tasks[i]);
	engine_destroy(engine);
}

static void three_are_too_many(void)
{
	refuse_three(EAGAIN);
}

static void three_need_room(void)
{
	refuse_three(EBUSY);
}

static void three_are_interrupted(void)
{
	refuse_three(EINTR);
}

static void three_need_memory(void)
{
	refuse_three(ENOMEM);
}

static bool have_uring(void)
{
	struct engine *engine = NULL;
	bool have = engine_create(ENGINE_URING, &engine) == 0;

	engine_destroy(engine);
	return have;
}

/* D-14 */
static void a_refused_submission_is_made_again_whole(void **state)
{
	(void)state;
	if (!have_uring())
		skip();
	run_in_child(three_are_too_many);
	run_in_child(three_need_room);
	run_in_child(three_are_interrupted);
	run_in_child(three_need_memory);
}

static void fill_up(void)
{
	int call = rh_eventfd_create();
	uint64_t count = 0;
	struct task tasks[2];
	struct engine *engine;

	require(uring_create(1, &engine) == 0);
	refuse_if(__NR_io_uring_enter, 1, EAGAIN);
	require(start(engine, &tasks[0], 1) == 0);
	require(start(engine, &tasks[1], 2) == -EAGAIN);
	/* who was told so may try in the next turn, which does not sleep */
	require(engine_turn(engine, true) == 0);
	require(start(engine, &tasks[1], 2) == -EAGAIN);
	/* a signal cannot be refused */
	engine_signal(engine, call);
	require(engine_turn(engine, true) == 0);
	require(read(call, &count, sizeof(count)) == sizeof(count));
	require(count == 1);
}

/* D-14 */
static void a_full_engine_says_so_and_goes_on(void **state)
{
	(void)state;
	if (!have_uring())
		skip();
	run_in_child(fill_up);
}

/* By then the fd may be closed, and its number that of another file. */
static void signal_in_time(void)
{
	int call = rh_eventfd_create();
	uint64_t count = 0;
	struct task task;
	struct engine *engine;

	require(engine_create(ENGINE_URING, &engine) == 0);
	refuse_if(__NR_io_uring_enter, 1, EAGAIN);
	engine_signal(engine, call);
	require(engine_turn(engine, false) == 0);
	require(read(call, &count, sizeof(count)) == sizeof(count));
	require(count == 1);
	require(start(engine, &task, 1) == 0);
	finish(engine, &task);
	require(read(call, &count, sizeof(count)) < 0);
	engine_destroy(engine);
}

static void a_signal_is_not_kept_for_a_later_turn(void **state)
{
	(void)state;
	if (!have_uring())
		skip();
	run_in_child(signal_in_time);
}

/* Four that are expected to be prompt, where the host allows it or not */
static void start_and_finish_prompt_ones(struct engine *engine)
{
	struct pace pace = { 0 };
	struct task tasks[4];

	for (unsigned int i = 0; i < 4; i++) {
		tasks[i] = (struct task){ 0 };
		require(start(engine, &tasks[i], 100 + i) == 0);
		finish(engine, &tasks[i]);
		tasks[i].nr_done = 0;
		tasks[i].op.pace = &pace;
		require(engine_submit(engine, &tasks[i].op) == 0);
	}
	for (unsigned int i = 0; i < 4; i++)
		finish(engine, &tasks[i]);
	engine_destroy(engine);
}

static void without_aio(void)
{
	struct engine *engine;

	require(engine_create(ENGINE_URING, &engine) == 0);
	refuse(__NR_io_setup, ENOSYS);
	start_and_finish_prompt_ones(engine);
}

static void without_aio_later(void)
{
	struct engine *engine;

	require(engine_create(ENGINE_URING, &engine) == 0);
	refuse(__NR_io_submit, EAGAIN);
	start_and_finish_prompt_ones(engine);
}

/* Put off, which the ring's operation, another system call, is not */
static void without_memory_at_first(void)
{
	struct pace pace = { 0 };
	struct engine *engine;
	struct task task;

	require(engine_create(ENGINE_URING, &engine) == 0);
	require(start(engine, &task, 1) == 0);
	finish(engine, &task);
	refuse(__NR_pwritev, ENOMEM);
	task.nr_done = 0;
	task.op.pace = &pace;
	require(engine_submit(engine, &task.op) == 0);
	finish(engine, &task);
	engine_destroy(engine);
}

static void operations_that_cannot_be_prompt_are_done_all_the_same(void **state)
{
	(void)state;
	if (!have_uring())
		skip();
	run_in_child(without_aio);
	run_in_child(without_aio_later);
	run_in_child(without_memory_at_first);
}

static void break_the_ring(void)
{
	struct engine *engine;

	require(engine_create(ENGINE_URING, &engine) == 0);
	refuse(__NR_io_uring_enter, EBADF);
	require(engine_turn(engine, true) == -EBADF);
}

static void a_lost_engine_says_so(void **state)
{
	(void)state;
	if (!have_uring())
		skip();
	run_in_child(break_the_ring);
}

static int never_called(struct io_op *op)
{
	(void)op;
	_exit(1);
}

static void refuse_threads(void)
{
	refuse(__NR_clone3, ENOSYS);
	refuse(__NR_clone, EAGAIN);
}

static void call_without_threads(enum engine_kind kind)
{
	struct task task = { .op = { .kind = IO_CALL, .done = note } };
	struct engine *engine;

	require(engine_create(kind, &engine) == 0);
	refuse_threads();
	task.op.call = never_called;
	require(engine_submit(engine, &task.op) == 0);
	require(task.nr_done == 0);
	require(engine_turn(engine, true) == 0);
	require(task.nr_done == 1);
	require(task.result == -EAGAIN);
	engine_destroy(engine);
}

static void call_on_uring(void)
{
	call_without_threads(ENGINE_URING);
}

static void call_on_threads(void)
{
	call_without_threads(ENGINE_THREADS);
}

static void a_call_without_a_thread_for_it_fails(void **state)
{
	(void)state;
	run_in_child(call_on_threads);
	if (!have_uring())
		skip();
	run_in_child(call_on_uring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_without_io_uring_is_told_by_errno),
		cmocka_unit_test(a_refused_submission_is_made_again_whole),
		cmocka_unit_test(a_full_engine_says_so_and_goes_on),
		cmocka_unit_test(a_signal_is_not_kept_for_a_later_turn),
		cmocka_unit_test(
			operations_that_cannot_be_prompt_are_done_all_the_same),
		cmocka_unit_test(a_lost_engine_says_so),
		cmocka_unit_test(a_call_without_a_thread_for_it_fails),
	};

	return cmocka_run_group_tests_name("engine-refused", tests, NULL, NULL);
}

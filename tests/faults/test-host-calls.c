/* SPDX-License-Identifier: MIT */
/*
 * host-calls - each system call of a server's control path fails in turn
 *
 *	test-host-calls start|serve|stop [CALL]
 *
 * A server that nothing happens to tells which of the calls below it makes,
 * and one that only says its version which of them the loader makes, which is
 * no business of ours. The others fail one by one, at what is the beginning, in
 * sessions, or at the end of a server. A call that is not made here is no test.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/faults/drive.h"

/* How a call fails where memory, fds, room or rights are out. */
struct fault {
	const char *name;
	struct plan_row row;
	int error;
	bool more;    /* for a thorough run */
	bool at_ends; /* not in sessions, where luck decides whether it is made */
};

#define FAULT(of, how, ...)                                                    \
	{                                                                      \
		.name = #of ": " #how, .error = (how),                         \
		.row = {.call = SYS_##of,                                      \
			__VA_ARGS__ }                                          \
	}

/* One that takes the same way as another, in all likelihood. */
#define MORE(of, how, ...)                                                     \
	{                                                                      \
		.name = #of ": " #how, .error = (how), .more = true,           \
		.row = {.call = SYS_##of,                                      \
			__VA_ARGS__ }                                          \
	}

#define SECOND(is) .by_value = true, .value = (is)

static const struct fault faults[] = {
	FAULT(accept4, EINTR),
	FAULT(accept4, EMFILE),
	FAULT(accept4, ENOMEM),
	FAULT(bind, EADDRINUSE),
	MORE(bind, ENOSPC),
	FAULT(capset, EPERM),
	FAULT(chmod, EPERM),
	FAULT(clone, EAGAIN),
	FAULT(clone3, EAGAIN),
	FAULT(connect, ECONNREFUSED),
	FAULT(dup3, EMFILE),
	FAULT(epoll_create1, EMFILE),
	FAULT(epoll_ctl, ENOSPC, SECOND(EPOLL_CTL_ADD)),
	MORE(epoll_ctl, ENOMEM, SECOND(EPOLL_CTL_ADD)),
	FAULT(epoll_wait, EINTR),
	FAULT(eventfd2, EMFILE),
	FAULT(faccessat2, EACCES),
	MORE(fallocate, ENOSPC),
	FAULT(fallocate, EOPNOTSUPP),
	FAULT(fcntl, EMFILE, SECOND(F_DUPFD_CLOEXEC)),
	FAULT(fcntl, ENOLCK, SECOND(F_OFD_SETLK)),
	MORE(fcntl, EAGAIN, SECOND(F_OFD_SETLK)),
	FAULT(fcntl, ENOLCK, SECOND(F_OFD_GETLK)),
	FAULT(fdatasync, EIO),
	FAULT(fstat, ENOMEM),
	FAULT(fstatfs, EIO),
	FAULT(ftruncate, ENOSPC),
	FAULT(getsockopt, ENOBUFS),
	FAULT(io_getevents, EINTR),
	FAULT(io_setup, EAGAIN),
	FAULT(io_submit, EAGAIN),
	FAULT(io_uring_enter, EINTR),
	FAULT(io_uring_enter, EAGAIN),
	MORE(io_uring_enter, ENOMEM),
	FAULT(io_uring_register, ENOMEM),
	MORE(io_uring_register, EPERM),
	FAULT(io_uring_setup, ENOMEM),
	FAULT(io_uring_setup, EPERM),
	FAULT(ioctl, ENOTTY),
	FAULT(landlock_add_rule, ENOMEM),
	MORE(landlock_create_ruleset, ENOMEM),
	FAULT(landlock_create_ruleset, EOPNOTSUPP),
	FAULT(landlock_restrict_self, EPERM),
	FAULT(listen, EADDRINUSE),
	FAULT(madvise, EINVAL),
	FAULT(memfd_create, EMFILE),
	FAULT(mmap, ENOMEM),
	FAULT(mprotect, ENOMEM),
	FAULT(munmap, ENOMEM),
	FAULT(newfstatat, EIO),
	FAULT(openat, EMFILE),
	MORE(openat, ENOMEM),
	FAULT(pipe2, EMFILE),
	FAULT(poll, EINTR),
	FAULT(ppoll, EINTR),
	FAULT(prctl, EINVAL),
	FAULT(pread64, EIO),
	FAULT(preadv2, EINTR),
	FAULT(preadv2, EIO, .file = "/"),
	FAULT(prlimit64, EPERM),
	FAULT(read, EINTR),
	FAULT(read, EIO, .file = "/"),
	FAULT(pwritev2, EIO, .file = "/"),
	FAULT(readlink, EACCES),
	FAULT(recvmsg, EINTR),
	FAULT(recvmsg, ENOMEM),
	FAULT(seccomp, EINVAL),
	MORE(seccomp, ENOMEM),
	FAULT(sendmsg, EINTR),
	FAULT(sendmsg, ENOBUFS),
	FAULT(setsockopt, ENOMEM),
	FAULT(shutdown, ENOTCONN),
	FAULT(signalfd4, EMFILE),
	FAULT(socket, EMFILE),
	MORE(socket, ENOBUFS),
	FAULT(statx, EIO),
	FAULT(timerfd_create, EMFILE),
	FAULT(unlinkat, EACCES),
	FAULT(write, EINTR),
	FAULT(write, ENOMEM, .file = "pipe:"),
	/* the log, where only so many lines a second are written */
	{
		.name = "write: ENOSPC",
		.row = { .call = SYS_write, .file = "/" },
		.error = ENOSPC,
		.at_ends = true,
	},
};

/*
 * What is made and not failed: it cannot fail where its arguments are right,
 * there is nothing that could be done, or it is no call of ours.
 */
static const uint32_t asides[] = {
	SYS_brk,   /* says it by what it returns; malloc(3) then maps */
	SYS_close, /* the fd is gone whatever it returns */
	SYS_timerfd_settime, /* no errno but for wrong arguments */
	SYS_rt_sigaction,    /* likewise */
	SYS_rt_sigprocmask,  /* likewise */
	SYS_rt_sigpending,   /* likewise */
	SYS_rt_sigtimedwait, /* of a signal that waits already */
	SYS_sigaltstack,     /* the C library's */
	SYS_futex,	     /* the C library's */
	SYS_exit,	     /* does not return */
	SYS_exit_group,	     /* likewise */
	SYS_rt_sigreturn,    /* likewise */
	SYS_getpid,	     /* cannot fail */
	SYS_gettid,	     /* likewise */
	SYS_geteuid,	     /* likewise */
	SYS_getuid,	     /* likewise */
	SYS_sched_yield,     /* likewise */
	SYS_io_destroy,	     /* it is gone whatever it returns */
	SYS_execve,	     /* the loader's, this and the rest */
	SYS_access,
	SYS_arch_prctl,
	SYS_getrandom,
	SYS_rseq,
	SYS_set_robust_list,
	SYS_set_tid_address,
	SYS_clock_nanosleep,
	SYS_restart_syscall,
};

/* Without these in it the list of calls is not one of a server's life. */
static const uint32_t must_occur[][8] = {
	[DRIVE_START] = { SYS_bind, SYS_clone, SYS_epoll_ctl, SYS_listen,
			  SYS_mmap, SYS_openat, SYS_signalfd4, SYS_socket },
	[DRIVE_SERVE] = { SYS_accept4, SYS_epoll_ctl, SYS_eventfd2, SYS_fcntl,
			  SYS_mmap, SYS_recvmsg, SYS_sendmsg, SYS_write },
	[DRIVE_STOP] = { SYS_read, SYS_munmap, SYS_unlinkat, SYS_write },
};

static struct drive drive;
static unsigned int nr_made[ARRAY_SIZE(faults)];
static unsigned int nr_spared[ARRAY_SIZE(faults)]; /* the loader's */

/* What it takes to load the program and to end it. Returns its status. */
static int count_loader(void)
{
	char *const argv[] = { "ringhost", "--version", NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execv(getenv("SERVER"), argv);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return EXIT_FAILURE;
	if (status)
		return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	if (drive.phase != DRIVE_START)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (faults[i].row.call != SYS_write) /* of the version */
			nr_spared[i] = atomic_load(&drive.plan->rows[i].count);
	return 0;
}

/* Returns 0, or an exit status of the test. */
static int prepare(const char *phase)
{
	int status;

	if (drive_init(&drive, getenv("FAILING_CALLS"), phase))
		return EXIT_FAILURE;
	drive.plan->see_all = true;
	drive.plan->nr_rows = ARRAY_SIZE(faults);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		memcpy(&drive.plan->rows[i], &faults[i].row,
		       sizeof(faults[i].row));
	status = count_loader();
	if (status)
		return status;
	if (!drive_run_unharmed(&drive))
		return EXIT_FAILURE;
	memcpy(nr_made, drive.nr_calls, sizeof(nr_made));
	drive.plan->see_all = false;
	return 0;
}

static bool is_listed(uint32_t call)
{
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (faults[i].row.call == call)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(asides); i++)
		if (asides[i] == call)
			return true;
	return false;
}

static void each_call_that_is_made_is_listed_here(void **state)
{
	unsigned int nr_unknown = 0;

	(void)state;
	for (uint32_t call = 0; call < PLAN_MAX_NUMBERS; call++)
		if (atomic_load(&drive.plan->made[call]) && !is_listed(call)) {
			fprintf(stderr, "# system call %u is not\n", call);
			nr_unknown++;
		}
	assert_int_equal(nr_unknown, 0);
}

static bool occurs(uint32_t call)
{
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (faults[i].row.call == call && nr_made[i] > nr_spared[i])
			return true;
	return false;
}

static void what_such_a_server_does_is_among_them(void **state)
{
	const uint32_t *calls = must_occur[drive.phase];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(must_occur[0]) && calls[i]; i++)
		if (!occurs(calls[i]))
			fail_msg("no system call %u", calls[i]);
}

static void a_failed_call_harms_nobody_else(void **state)
{
	const struct fault *fault = *state;
	size_t row = (size_t)(fault - faults);
	const struct drive_fault what = {
		.row = (unsigned int)row,
		.error = fault->error,
		.keeps_maps = fault->row.call == SYS_munmap,
	};

	assert_true(drive_sweep(&drive, &what, nr_spared[row]));
}

static bool is_wanted(size_t fault, const char *begin)
{
	return nr_made[fault] > nr_spared[fault] &&
	       (!faults[fault].more || drive_is_thorough()) &&
	       !(faults[fault].at_ends && drive.phase == DRIVE_SERVE) &&
	       !strncmp(begin, faults[fault].name, strlen(begin));
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_SIZE(faults) + 2] = {
		cmocka_unit_test(each_call_that_is_made_is_listed_here),
		cmocka_unit_test(what_such_a_server_does_is_among_them),
	};
	size_t nr = 2;
	int ret;

	if (server_is_missing())
		return 0;
	ret = prepare(argc > 1 ? argv[1] : NULL);
	if (ret == PLAN_NO_FAULTS) {
		printf("1..0 # SKIP nobody may watch system calls here\n");
		return 0;
	}
	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (is_wanted(i, argc > 2 ? argv[2] : ""))
			tests[nr++] = (struct CMUnitTest){
				.name = faults[i].name,
				.test_func = a_failed_call_harms_nobody_else,
				.initial_state = (void *)&faults[i],
			};
	ret = _cmocka_run_group_tests("host-calls", tests, nr, NULL, NULL);
	drive_deinit(&drive);
	return ret;
}

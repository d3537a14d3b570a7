/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what somebody who has taken over a thread can no longer do
 *
 * Of a server, which opens nothing while it serves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/attempt.h"

#define LANDLOCK_VERSION 1u /* a flag of landlock_create_ruleset(2) */
#define SCOPES_SINCE	 6
#define TCP_SINCE	 4

static int child_pipe[2]; /* keeps a child alive */

static int whole_sandbox(const struct sandbox_options *options,
			 const char **why)
{
	(void)why;
	return sandbox_enter(options);
}

static int landlock_alone(const struct sandbox_options *options,
			  const char **why)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return sandbox_enter_landlock(options, why);
}

static int try_it(attempt_fn attempt)
{
	return attempt_with(whole_sandbox, 0, attempt);
}

static int remove_other(void)
{
	return attempt_outcome(unlinkat(attempt_directory_fd, "other", 0));
}

static int remove_path(void)
{
	return attempt_outcome(unlink("/etc/passwd.not-there"));
}

static int start_process_with_vfork(void)
{
	return attempt_outcome(syscall(SYS_vfork));
}

static int start_process_with_clone3(void)
{
	return attempt_outcome(syscall(SYS_clone3, NULL, 0));
}

static int send_signals_for_a_file(void)
{
	return attempt_outcome(fcntl(STDIN_FILENO, F_SETOWN, getppid()));
}

static int become_traceable(void)
{
	return attempt_outcome(
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0));
}

static int fail_assert(void)
{
	abort();
}

static int use_heap(void)
{
	char *text = malloc(64 << 20);

	if (!text)
		return ENOMEM;
	memset(text, 1, 64 << 20);
	free(text);
	return 0;
}

static void what_only_an_attack_does_is_the_end(void **state)
{
	static const struct {
		const char *name;
		attempt_fn attempt;
	} attempts[] = {
		{ "execve", attempt_execute },
		{ "fork", attempt_start_process },
		{ "vfork", start_process_with_vfork },
		{ "unshare", attempt_make_namespace },
		{ "socket", attempt_make_socket },
		{ "socketpair", attempt_make_pair },
		{ "ptrace", attempt_trace_parent },
		{ "process_vm_readv", attempt_read_parent },
		{ "mmap to attempt_execute", attempt_make_code },
		{ "mprotect to attempt_execute", attempt_turn_into_code },
		{ "io_uring_setup", attempt_make_ring },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int became = try_it(attempts[i].attempt);

		if (became != ATTEMPT_KILLED)
			fail_msg("%s: %d", attempts[i].name, became);
	}
}

static void what_is_no_part_of_serving_is_refused(void **state)
{
	static const struct {
		const char *name;
		attempt_fn attempt;
	} attempts[] = {
		{ "open to read", attempt_open_to_read },
		{ "open to write", attempt_open_to_write },
		{ "open what may be removed", attempt_open_removable },
		{ "remove another file", remove_other },
		{ "remove a path", remove_path },
		{ "mkdir", attempt_make_directory },
		{ "kill", attempt_signal_parent },
		{ "io_uring_register", attempt_register_more },
		{ "TIOCSTI", attempt_take_terminal },
		{ "F_SETOWN", send_signals_for_a_file },
		{ "PR_SET_PTRACER", become_traceable },
		{ "setuid", attempt_become_root },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int became = try_it(attempts[i].attempt);

		if (became != EPERM)
			fail_msg("%s: %d", attempts[i].name, became);
	}
}

/* Its flags lie in memory, where no filter can see them. */
static void clone3_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(try_it(start_process_with_clone3), ENOSYS);
}

static void what_serving_takes_goes_on(void **state)
{
	(void)state;
	assert_int_equal(try_it(attempt_start_thread), 0);
	assert_int_equal(try_it(use_heap), 0);
}

static void a_failed_assert_still_says_so(void **state)
{
	(void)state;
	assert_int_equal(try_it(fail_assert), 256 + SIGABRT);
}

static void the_one_file_can_be_removed(void **state)
{
	(void)state;
	assert_int_equal(
		faccessat(attempt_directory_fd, ATTEMPT_REMOVABLE, F_OK, 0), 0);
	assert_int_equal(try_it(attempt_remove_own), 0);
	assert_int_equal(faccessat(attempt_directory_fd, ATTEMPT_REMOVABLE,
				   F_OK, 0),
			 -1);
}

static pid_t child_of_child;

static int end_child(void)
{
	int status;

	if (kill(child_of_child, SIGTERM) < 0 ||
	    waitpid(child_of_child, &status, 0) != child_of_child)
		return errno;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : EIO;
}

static int signal_parent_instead(void)
{
	return attempt_outcome(kill(getppid(), 0));
}

static int enter_with_child(const struct sandbox_options *options,
			    const char **why)
{
	struct sandbox_options with_child = *options;

	(void)why;
	child_of_child = fork();
	if (!child_of_child) {
		char byte;

		close(child_pipe[1]);
		_exit((int)read(child_pipe[0], &byte, 1));
	}
	with_child.child = child_of_child;
	return sandbox_enter(&with_child);
}

/* `ringhost run` started it before. */
static void the_one_child_can_be_ended(void **state)
{
	(void)state;
	assert_int_equal(pipe2(child_pipe, O_CLOEXEC), 0);
	assert_int_equal(attempt_with(enter_with_child, 0, end_child), 0);
	assert_int_equal(attempt_with(enter_with_child, 0,
				      signal_parent_instead),
			 EPERM);
	close(child_pipe[0]);
	close(child_pipe[1]);
}

/* Each part by itself, so that one does not hide the other's absence */

static int look_at_capabilities(void)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");
	unsigned int nr_empty = 0;
	bool none_new = false;

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long long set;

		if (sscanf(line, "Cap%*3s: %llx", &set) == 1)
			nr_empty += set == 0;
		none_new |= !strcmp(line, "NoNewPrivs:\t1\n");
	}
	return nr_empty == 5 && none_new ? 0 : EIO;
}

static int open_of_another_user(void)
{
	return attempt_outcome(
		openat(attempt_directory_fd, "private", O_RDONLY));
}

static void no_privilege_is_left(void **state)
{
	(void)state;
	if (!geteuid())
		assert_int_equal(attempt_with(sandbox_drop_privileges, 0,
					      look_at_capabilities),
				 0);
	assert_int_equal(attempt_with(sandbox_drop_privileges, 0,
				      open_of_another_user),
			 EACCES);
}

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0UL,
		       LANDLOCK_VERSION);
}

static int connect_to_port(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return attempt_outcome(
		connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void landlock_closes_every_path_but_one(void **state)
{
	(void)state;
	assert_int_equal(attempt_with(landlock_alone, 0, attempt_open_to_read),
			 EACCES);
	assert_int_equal(attempt_with(landlock_alone, 0, attempt_open_to_write),
			 EACCES);
	assert_int_equal(attempt_with(landlock_alone, 0,
				      attempt_open_removable),
			 EACCES);
	assert_int_equal(attempt_with(landlock_alone, 0,
				      attempt_make_directory),
			 EACCES);
	assert_int_equal(attempt_with(landlock_alone, 0, attempt_execute),
			 EACCES);
	assert_int_equal(attempt_with(landlock_alone, 0, attempt_trace_parent),
			 EPERM);
	assert_int_equal(attempt_with(landlock_alone, 0, attempt_remove_own),
			 0);
	if (landlock_version() >= TCP_SINCE)
		assert_int_equal(attempt_with(landlock_alone, 0,
					      connect_to_port),
				 EACCES);
	if (landlock_version() >= SCOPES_SINCE)
		assert_int_equal(attempt_with(landlock_alone, 0,
					      attempt_signal_parent),
				 EPERM);
}

#define IN_DIRECTORY(test)                                                     \
	cmocka_unit_test_setup_teardown(test, attempt_set_up, attempt_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(what_only_an_attack_does_is_the_end),
		IN_DIRECTORY(what_is_no_part_of_serving_is_refused),
		IN_DIRECTORY(clone3_is_not_there),
		IN_DIRECTORY(what_serving_takes_goes_on),
		IN_DIRECTORY(a_failed_assert_still_says_so),
		IN_DIRECTORY(the_one_file_can_be_removed),
		IN_DIRECTORY(the_one_child_can_be_ended),
		IN_DIRECTORY(no_privilege_is_left),
		IN_DIRECTORY(landlock_closes_every_path_but_one),
	};

	if (landlock_version() < 1) {
		printf("1..0 # SKIP this host has no Landlock\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what somebody who has taken over a thread can no longer do
 *
 * Each attempt runs in a child that enters the sandbox first, all of it or one
 * part, and then does one thing. It exits with 0 when that was possible, with
 * the error when it was refused, or is killed for it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/sandbox_internal.h"

#define KILLED		 (256 + SIGSYS)
#define LANDLOCK_VERSION 1u /* a flag of landlock_create_ruleset(2) */
#define NOBODY		 65534
#define SCOPES_SINCE	 6
#define TCP_SINCE	 4

/* Returns 0, or an errno. */
typedef int (*attempt_fn)(void);
typedef int (*sandbox_part)(const struct sandbox_options *options,
			    const char **why);

static char directory[64];
static int directory_fd;
static const char removable[] = "socket";
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

/* In the child; does not return. */
static void enter_and_try(sandbox_part part, pid_t child, attempt_fn attempt)
{
	const struct sandbox_options options = {
		.mode = SANDBOX_ON,
		.directory_fd = directory_fd,
		.file_name = removable,
		.child = child,
	};
	const char *why = NULL;

	if (part(&options, &why) < 0)
		_exit(255);
	_exit(attempt());
}

/* What became of it: 0, an errno, or 256 and the signal that killed it. */
static int try_with(sandbox_part part, pid_t child, attempt_fn attempt)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		enter_and_try(part, child, attempt);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return 256 + WTERMSIG(status);
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static int try_it(attempt_fn attempt)
{
	return try_with(whole_sandbox, 0, attempt);
}

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

static int open_to_read(void)
{
	return outcome(open("/etc/passwd", O_RDONLY));
}

static int open_to_write(void)
{
	return outcome(openat(directory_fd, "new", O_CREAT | O_WRONLY, 0600));
}

static int open_removable(void)
{
	return outcome(openat(directory_fd, removable, O_RDONLY));
}

static int remove_other(void)
{
	return outcome(unlinkat(directory_fd, "other", 0));
}

static int remove_own(void)
{
	return outcome(unlinkat(directory_fd, removable, 0));
}

static int remove_path(void)
{
	return outcome(unlink("/etc/passwd.not-there"));
}

static int make_directory(void)
{
	return outcome(mkdirat(directory_fd, "new", 0700));
}

static int execute(void)
{
	char *argv[] = { "true", NULL };

	return outcome(execv("/bin/true", argv));
}

static int start_process(void)
{
	return outcome(fork());
}

static int start_process_with_vfork(void)
{
	return outcome(syscall(SYS_vfork));
}

static int start_process_with_clone3(void)
{
	return outcome(syscall(SYS_clone3, NULL, 0));
}

static int make_namespace(void)
{
	return outcome(unshare(CLONE_NEWUSER));
}

static int make_socket(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int make_pair(void)
{
	int fds[2];

	return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static int trace_parent(void)
{
	return outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_parent(void)
{
	char byte;
	struct iovec local = { &byte, 1 };
	struct iovec remote = { (void *)directory, 1 };

	return outcome(process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
}

static int signal_parent(void)
{
	return outcome(kill(getppid(), 0));
}

static int make_code(void)
{
	return outcome((long)mmap(NULL, 4096,
				  PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int turn_into_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int make_ring(void)
{
	struct io_uring_params params = { 0 };

	return outcome(syscall(SYS_io_uring_setup, 1, &params));
}

static int register_more(void)
{
	return outcome(syscall(SYS_io_uring_register, 99, IORING_REGISTER_FILES,
			       NULL, 0));
}

static int take_terminal(void)
{
	return outcome(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

static int send_signals_for_a_file(void)
{
	return outcome(fcntl(STDIN_FILENO, F_SETOWN, getppid()));
}

static int become_traceable(void)
{
	return outcome(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0));
}

static int become_root(void)
{
	return outcome(setuid(0));
}

static int fail_assert(void)
{
	abort();
}

static void *return_number(void *opaque)
{
	*(int *)opaque = 7;
	return opaque;
}

static int start_thread(void)
{
	pthread_t thread;
	int number = 0;
	int error = pthread_create(&thread, NULL, return_number, &number);

	if (error)
		return error;
	pthread_join(thread, NULL);
	return number == 7 ? 0 : EIO;
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
		{ "execve", execute },
		{ "fork", start_process },
		{ "vfork", start_process_with_vfork },
		{ "unshare", make_namespace },
		{ "socket", make_socket },
		{ "socketpair", make_pair },
		{ "ptrace", trace_parent },
		{ "process_vm_readv", read_parent },
		{ "mmap to execute", make_code },
		{ "mprotect to execute", turn_into_code },
		{ "io_uring_setup", make_ring },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int became = try_it(attempts[i].attempt);

		if (became != KILLED)
			fail_msg("%s: %d", attempts[i].name, became);
	}
}

static void what_is_no_part_of_serving_is_refused(void **state)
{
	static const struct {
		const char *name;
		attempt_fn attempt;
	} attempts[] = {
		{ "open to read", open_to_read },
		{ "open to write", open_to_write },
		{ "open what may be removed", open_removable },
		{ "remove another file", remove_other },
		{ "remove a path", remove_path },
		{ "mkdir", make_directory },
		{ "kill", signal_parent },
		{ "io_uring_register", register_more },
		{ "TIOCSTI", take_terminal },
		{ "F_SETOWN", send_signals_for_a_file },
		{ "PR_SET_PTRACER", become_traceable },
		{ "setuid", become_root },
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
	assert_int_equal(try_it(start_thread), 0);
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
	assert_int_equal(faccessat(directory_fd, removable, F_OK, 0), 0);
	assert_int_equal(try_it(remove_own), 0);
	assert_int_equal(faccessat(directory_fd, removable, F_OK, 0), -1);
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
	return outcome(kill(getppid(), 0));
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
	assert_int_equal(try_with(enter_with_child, 0, end_child), 0);
	assert_int_equal(try_with(enter_with_child, 0, signal_parent_instead),
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
	return outcome(openat(directory_fd, "private", O_RDONLY));
}

static void no_privilege_is_left(void **state)
{
	(void)state;
	if (!geteuid())
		assert_int_equal(try_with(sandbox_drop_privileges, 0,
					  look_at_capabilities),
				 0);
	assert_int_equal(try_with(sandbox_drop_privileges, 0,
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

	return outcome(
		connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void landlock_closes_every_path_but_one(void **state)
{
	(void)state;
	assert_int_equal(try_with(landlock_alone, 0, open_to_read), EACCES);
	assert_int_equal(try_with(landlock_alone, 0, open_to_write), EACCES);
	assert_int_equal(try_with(landlock_alone, 0, open_removable), EACCES);
	assert_int_equal(try_with(landlock_alone, 0, make_directory), EACCES);
	assert_int_equal(try_with(landlock_alone, 0, execute), EACCES);
	assert_int_equal(try_with(landlock_alone, 0, trace_parent), EPERM);
	assert_int_equal(try_with(landlock_alone, 0, remove_own), 0);
	if (landlock_version() >= TCP_SINCE)
		assert_int_equal(try_with(landlock_alone, 0, connect_to_port),
				 EACCES);
	if (landlock_version() >= SCOPES_SINCE)
		assert_int_equal(try_with(landlock_alone, 0, signal_parent),
				 EPERM);
}

static int make_file(const char *name, mode_t mode)
{
	cleanup_close int fd =
		openat(directory_fd, name, O_CREAT | O_RDWR | O_CLOEXEC, mode);

	return fd < 0 ? -1 : 0;
}

static int set_up(void **state)
{
	const struct rlimit no_core = { 0 };

	(void)state;
	setrlimit(RLIMIT_CORE, &no_core);
	snprintf(directory, sizeof(directory), "/tmp/ringhost-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0 || make_file(removable, 0600) ||
	    make_file("other", 0600) || make_file("private", 0))
		return -1;
	if (!geteuid())
		return fchownat(directory_fd, "private", NOBODY, NOBODY, 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { removable, "other", "private" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(directory_fd, names[i], 0);
	close(directory_fd);
	return rmdir(directory);
}

#define IN_DIRECTORY(test)                                                     \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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

/* SPDX-License-Identifier: MIT */
/* attempt - what somebody may try who has taken over a confined thread */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/attempt.h"

#define NOBODY 65534

char attempt_directory[64];
int attempt_directory_fd;

/* In the child; does not return. */
static void enter_and_try(sandbox_part part, pid_t child, attempt_fn attempt)
{
	const struct sandbox_options options = {
		.mode = SANDBOX_ON,
		.directory_fd = attempt_directory_fd,
		.file_name = ATTEMPT_REMOVABLE,
		.child = child,
	};
	const char *why = NULL;

	if (part(&options, &why) < 0)
		_exit(255);
	_exit(attempt());
}

int attempt_with(sandbox_part part, pid_t child, attempt_fn attempt)
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

int attempt_outcome(long result)
{
	return result < 0 ? errno : 0;
}

int attempt_open_to_read(void)
{
	return attempt_outcome(open("/etc/passwd", O_RDONLY));
}

int attempt_open_to_write(void)
{
	return attempt_outcome(
		openat(attempt_directory_fd, "new", O_CREAT | O_WRONLY, 0600));
}

int attempt_open_removable(void)
{
	return attempt_outcome(
		openat(attempt_directory_fd, ATTEMPT_REMOVABLE, O_RDONLY));
}

int attempt_remove_own(void)
{
	return attempt_outcome(
		unlinkat(attempt_directory_fd, ATTEMPT_REMOVABLE, 0));
}

int attempt_make_directory(void)
{
	return attempt_outcome(mkdirat(attempt_directory_fd, "new", 0700));
}

int attempt_execute(void)
{
	char *argv[] = { "true", NULL };

	return attempt_outcome(execv("/bin/true", argv));
}

int attempt_start_process(void)
{
	return attempt_outcome(fork());
}

int attempt_make_namespace(void)
{
	return attempt_outcome(unshare(CLONE_NEWUSER));
}

int attempt_make_socket(void)
{
	return attempt_outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

int attempt_make_pair(void)
{
	int fds[2];

	return attempt_outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

int attempt_trace_parent(void)
{
	return attempt_outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

int attempt_read_parent(void)
{
	char byte;
	struct iovec local = { &byte, 1 };
	struct iovec remote = { (void *)attempt_directory, 1 };

	return attempt_outcome(
		process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
}

int attempt_signal_parent(void)
{
	return attempt_outcome(kill(getppid(), 0));
}

int attempt_make_code(void)
{
	return attempt_outcome((long)mmap(NULL, 4096,
					  PROT_READ | PROT_WRITE | PROT_EXEC,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int attempt_turn_into_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return attempt_outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

int attempt_make_ring(void)
{
	struct io_uring_params params = { 0 };

	return attempt_outcome(syscall(SYS_io_uring_setup, 1, &params));
}

int attempt_register_more(void)
{
	return attempt_outcome(syscall(SYS_io_uring_register, 99,
				       IORING_REGISTER_FILES, NULL, 0));
}

int attempt_take_terminal(void)
{
	return attempt_outcome(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

int attempt_become_root(void)
{
	return attempt_outcome(setuid(0));
}

static void *return_number(void *opaque)
{
	*(int *)opaque = 7;
	return opaque;
}

int attempt_start_thread(void)
{
	pthread_t thread;
	int number = 0;
	int error = pthread_create(&thread, NULL, return_number, &number);

	if (error)
		return error;
	pthread_join(thread, NULL);
	return number == 7 ? 0 : EIO;
}

static int make_file(const char *name, mode_t mode)
{
	cleanup_close int fd = openat(attempt_directory_fd, name,
				      O_CREAT | O_RDWR | O_CLOEXEC, mode);

	return fd < 0 ? -1 : 0;
}

int attempt_set_up(void **state)
{
	const struct rlimit no_core = { 0 };

	(void)state;
	setrlimit(RLIMIT_CORE, &no_core);
	snprintf(attempt_directory, sizeof(attempt_directory),
		 "/tmp/ringhost-XXXXXX");
	if (!mkdtemp(attempt_directory))
		return -1;
	attempt_directory_fd =
		open(attempt_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (attempt_directory_fd < 0 || make_file(ATTEMPT_REMOVABLE, 0600) ||
	    make_file("other", 0600) || make_file("private", 0))
		return -1;
	if (!geteuid())
		return fchownat(attempt_directory_fd, "private", NOBODY, NOBODY,
				0);
	return 0;
}

int attempt_tear_down(void **state)
{
	static const char *const names[] = { ATTEMPT_REMOVABLE, "other",
					     "private" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(attempt_directory_fd, names[i], 0);
	close(attempt_directory_fd);
	return rmdir(attempt_directory);
}

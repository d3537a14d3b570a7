/* SPDX-License-Identifier: MIT */
/*
 * sandbox-opens - what is left to a process that opens while it serves
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/attempt.h"

#define WHICH_VERSION 1u /* a flag of landlock_create_ruleset(2) */

/* A process that opens images while it serves, in the directory alone. */
static int enter_and_open(const struct sandbox_options *options,
			  enum sandbox_use use)
{
	const struct sandbox_path path = { .fd = attempt_directory_fd,
					   .use = use };
	struct sandbox_options that_opens = *options;

	that_opens.directory_fd = -1;
	that_opens.opens = true;
	that_opens.paths = &path;
	that_opens.nr_paths = 1;
	return sandbox_enter(&that_opens);
}

static int to_serve(const struct sandbox_options *options, const char **why)
{
	(void)why;
	return enter_and_open(options, SANDBOX_SERVE);
}

static int to_read(const struct sandbox_options *options, const char **why)
{
	(void)why;
	return enter_and_open(options, SANDBOX_READ);
}

static int to_keep_state(const struct sandbox_options *options,
			 const char **why)
{
	(void)why;
	return enter_and_open(options, SANDBOX_STATE);
}

static int to_remove(const struct sandbox_options *options, const char **why)
{
	(void)why;
	return enter_and_open(options, SANDBOX_REMOVE);
}

static int open_for_writing(void)
{
	return attempt_outcome(
		openat(attempt_directory_fd, ATTEMPT_REMOVABLE, O_RDWR));
}

static int list_directory(void)
{
	return attempt_outcome(openat(attempt_directory_fd, ".",
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int make_and_rename(void)
{
	int error = attempt_open_to_write();

	return error ? error :
		       attempt_outcome(renameat(attempt_directory_fd, "new",
						attempt_directory_fd,
						ATTEMPT_REMOVABLE));
}

static int make_socket_file(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/made",
		 attempt_directory);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno;
	return attempt_outcome(unlinkat(attempt_directory_fd, "made", 0));
}

static int make_network_socket(void)
{
	return attempt_outcome(socket(AF_INET, SOCK_STREAM, 0));
}

struct
try {
	const char *name;
	sandbox_part part;
	attempt_fn attempt;
	int outcome;
};

static void try_all(const struct try *tries, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		int became = attempt_with(tries[i].part, 0, tries[i].attempt);

		if (became != tries[i].outcome)
			fail_msg("%s: %d", tries[i].name, became);
	}
}

static void it_keeps_the_calls_that_opening_takes_alone(void **state)
{
	static const struct try tries[] = {
		{ "execve", to_serve, attempt_execute, ATTEMPT_KILLED },
		{ "fork", to_serve, attempt_start_process, ATTEMPT_KILLED },
		{ "unshare", to_serve, attempt_make_namespace, ATTEMPT_KILLED },
		{ "socketpair", to_serve, attempt_make_pair, ATTEMPT_KILLED },
		{ "ptrace", to_serve, attempt_trace_parent, ATTEMPT_KILLED },
		{ "process_vm_readv", to_serve, attempt_read_parent,
		  ATTEMPT_KILLED },
		{ "mmap to attempt_execute", to_serve, attempt_make_code,
		  ATTEMPT_KILLED },
		{ "mprotect to attempt_execute", to_serve,
		  attempt_turn_into_code, ATTEMPT_KILLED },
		{ "kill", to_serve, attempt_signal_parent, EPERM },
		{ "socket of IPv4", to_serve, make_network_socket, EPERM },
		{ "setuid", to_serve, attempt_become_root, EPERM },
		{ "io_uring_register", to_serve, attempt_register_more, EPERM },
		{ "TIOCSTI", to_serve, attempt_take_terminal, EPERM },
		{ "io_uring_setup", to_serve, attempt_make_ring, 0 },
		{ "socket", to_serve, attempt_make_socket, 0 },
		{ "start a thread", to_serve, attempt_start_thread, 0 },
	};

	(void)state;
	try_all(tries, ARRAY_SIZE(tries));
}

static void each_path_is_for_its_use_alone(void **state)
{
	static const struct try tries[] = {
		{ "open elsewhere", to_serve, attempt_open_to_read, EACCES },
		{ "open there", to_serve, open_for_writing, 0 },
		{ "list", to_serve, list_directory, 0 },
		{ "make a file", to_serve, attempt_open_to_write, EACCES },
		{ "make a directory", to_serve, attempt_make_directory,
		  EACCES },
		{ "make a socket", to_serve, make_socket_file, 0 },

		{ "open to read", to_read, attempt_open_removable, 0 },
		{ "open to write", to_read, open_for_writing, EACCES },
		{ "list to read", to_read, list_directory, 0 },
		{ "socket to read", to_read, make_socket_file, EACCES },
		{ "remove what is read", to_read, attempt_remove_own, EACCES },

		{ "socket as state", to_keep_state, make_socket_file, EACCES },
		{ "directory as state", to_keep_state, attempt_make_directory,
		  EACCES },
		{ "state", to_keep_state, make_and_rename, 0 },

		{ "open what is removed", to_remove, attempt_open_removable,
		  EACCES },
		{ "make what is removed", to_remove, attempt_open_to_write,
		  EACCES },
		{ "remove", to_remove, attempt_remove_own, 0 },
	};

	(void)state;
	try_all(tries, ARRAY_SIZE(tries));
}

#define IN_DIRECTORY(test)                                                     \
	cmocka_unit_test_setup_teardown(test, attempt_set_up, attempt_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(it_keeps_the_calls_that_opening_takes_alone),
		IN_DIRECTORY(each_path_is_for_its_use_alone),
	};

	if (syscall(SYS_landlock_create_ruleset, NULL, 0UL, WHICH_VERSION) <
	    1) {
		printf("1..0 # SKIP this host has no Landlock\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

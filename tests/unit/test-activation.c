/* SPDX-License-Identifier: MIT */
/* activation - sockets that the service manager has made for the process */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/activation.h"

#define FIRST_FD 3

static struct activation activation;

/* In a child, whose first descriptors these are. */
static void say(unsigned int nr, const char *names)
{
	char text[32];

	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(dup2(STDIN_FILENO, FIRST_FD + (int)i),
				 FIRST_FD + (int)i);
	snprintf(text, sizeof(text), "%u", nr);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	setenv("LISTEN_PID", text, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
}

static int fd_of(const char *name)
{
	const struct activation_socket *found =
		activation_find(&activation, name);

	return found ? found->fd : -1;
}

static bool environment_is_clean(void)
{
	return !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") &&
	       !getenv("LISTEN_FDNAMES");
}

static int names_and_numbers(void)
{
	say(3, "first::first");
	if (activation_take(&activation) || activation.nr != 3)
		return 1;
	if (fd_of("first") != 3 || fd_of("4") != 4 || fd_of("5") != 5)
		return 2;
	if (fd_of("") != -1 || fd_of("second") != -1 || fd_of("6") != -1 ||
	    fd_of("-3") != -1 || fd_of("3x") != -1)
		return 3;
	return environment_is_clean() ? 0 : 4;
}

static int a_number_as_a_name(void)
{
	say(2, "4:other");
	return activation_take(&activation) || fd_of("4") != 3;
}

static int fewer_names_than_sockets(void)
{
	say(2, "one");
	return activation_take(&activation) || fd_of("one") != 3 ||
	       fd_of("4") != 4;
}

static int not_inherited_further(void)
{
	say(1, NULL);
	if (activation_take(&activation))
		return 1;
	return fcntl(3, F_GETFD) == FD_CLOEXEC ? 0 : 2;
}

static int for_another_process(void)
{
	say(1, "one");
	setenv("LISTEN_PID", "1", 1);
	if (activation_take(&activation) || activation.nr)
		return 1;
	if (fcntl(3, F_GETFD) != 0)
		return 2; /* whatever it is, it is not ours to change */
	return environment_is_clean() ? 0 : 3;
}

static int none(void)
{
	return activation_take(&activation) || activation.nr;
}

static int not_open(void)
{
	say(1, NULL);
	setenv("LISTEN_FDS", "2", 1);
	close(4);
	return activation_take(&activation) == -EBADF ? 0 : 1;
}

static int too_many(void)
{
	say(1, NULL);
	setenv("LISTEN_FDS", "257", 1);
	return activation_take(&activation) == -EINVAL ? 0 : 1;
}

static int no_number(void)
{
	say(1, NULL);
	setenv("LISTEN_FDS", "1x", 1);
	return activation_take(&activation) == -EINVAL ? 0 : 1;
}

static void expect(const char *what, int (*function)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		status = function();
		activation_release(&activation);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("%s: %d", what, WEXITSTATUS(status));
}

static void sockets_are_found_by_name_or_number(void **state)
{
	(void)state;
	expect("names and numbers", names_and_numbers);
	expect("a number as a name", a_number_as_a_name);
	expect("fewer names", fewer_names_than_sockets);
	expect("inherited", not_inherited_further);
}

static void what_is_for_others_is_left_alone(void **state)
{
	(void)state;
	expect("another process", for_another_process);
	expect("none", none);
}

static void what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	expect("not open", not_open);
	expect("too many", too_many);
	expect("no number", no_number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_found_by_name_or_number),
		cmocka_unit_test(what_is_for_others_is_left_alone),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

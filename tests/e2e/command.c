/* SPDX-License-Identifier: MIT */
/*
 * command - commands of the program under test, and what they say
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/e2e/command.h"

#define COMMAND_BYTES 2000

char output[1u << 18];

const char *program(void)
{
	static char path[PATH_MAX];
	const char *name = getenv("SERVER");

	if (!name || !realpath(name, path) || access(path, X_OK) < 0)
		fail_msg("SERVER=%s cannot be run (%s): give the path of the "
			 "program to test",
			 name ? name : "", strerror(errno));
	return path;
}

int run(const char *format, ...)
{
	char command[COMMAND_BYTES];
	va_list args;
	FILE *file;
	size_t nr;
	int status;

	va_start(args, format);
	status = vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_in_range(status, 1, sizeof(command) - 1);
	file = popen(command, "re");
	assert_non_null(file);
	nr = fread(output, 1, sizeof(output) - 1, file);
	output[nr] = '\0';
	status = pclose(file);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void expect(int status, int expected)
{
	if (status != expected)
		fail_msg("exit status %d, not %d:\n%s", status, expected,
			 output);
}

void has(const char *part)
{
	if (!strstr(output, part))
		fail_msg("'%s' is not in:\n%s", part, output);
}

/* SPDX-License-Identifier: MIT */
/*
 * command - commands of the program under test, and what they say
 *
 * For the tests of `ringhost check` and `ringhost bench`. A command runs in a
 * shell, which may start further servers beside it.
 *
 *	expect(run("%s bench %s 2>&1", program(), server->socket), 0);
 *	has("  read: IOPS ");
 */
#ifndef E2E_COMMAND_H
#define E2E_COMMAND_H

#include "common/base.h"

/* What the last command has written, cut off at some length. */
extern char output[1u << 18];

/*
 * The program that SERVER names, as a path that holds in any directory; fails
 * the test where there is none.
 */
const char *program(void);

/* Run the shell command, an output as of printf. Returns its exit status. */
PRINTF_LIKE(1, 2)
int run(const char *format, ...);

void expect(int status, int expected);
void has(const char *part);

/* In a command that has started $server: until its d.sock is there. */
#define AWAIT_SOCKET                                                           \
	"until [ -S d.sock ]; do kill -0 $server || exit 9; sleep 0.05; done; "

#endif

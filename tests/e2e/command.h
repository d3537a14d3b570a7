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

/*
 * In a command that has started $server: until it listens on $PWD/d.sock, for
 * which the file being there is not enough.
 */
#define AWAIT_SOCKET                                                           \
	"until grep -q \" 00010000 .* $PWD/d.sock$\" /proc/net/unix; do "      \
	"kill -0 $server || exit 9; sleep 0.05; done; "

/* Until it works: until it has had a fifth of a second of CPU time more. */
#define AWAIT_LOAD                                                             \
	"ticks() { set -- $(cat /proc/$server/stat); "                         \
	"echo $((${14} + ${15})); }; idle=$(ticks); "                          \
	"until [ $(($(ticks) - idle)) -ge 20 ]; do "                           \
	"kill -0 $server || exit 9; sleep 0.02; done; "

#endif

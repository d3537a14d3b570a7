/* SPDX-License-Identifier: MIT */
/*
 * ctl - `ringhost ctl` against a daemon under test
 *
 * Its current directory is the daemon's. In JSON, ' stands for ".
 */
#ifndef E2E_CTL_H
#define E2E_CTL_H

#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"

/* Words behind `ringhost ctl --socket=...`. Returns the exit status. */
PRINTF_LIKE(2, 3)
int ctl(struct daemon *daemon, const char *words, ...);

/* With --json; it has to print this value, and to succeed. */
PRINTF_LIKE(3, 4)
void ctl_tells(struct daemon *daemon, const char *words, const char *json, ...);

/* The object that the last command has printed has these members. */
void ctl_has(const char *members);

/* What the last command has printed, a new reference. */
json_t *ctl_output(void);

#endif

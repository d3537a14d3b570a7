/* SPDX-License-Identifier: MIT */
/*
 * attempt - what somebody may try who has taken over a confined thread
 *
 * Each attempt runs in a child that enters the sandbox first, all of it or one
 * part, and then does one thing. It exits with 0 when that was possible, with
 * the error when it was refused, or is killed for it.
 */
#ifndef UNIT_ATTEMPT_H
#define UNIT_ATTEMPT_H

#include <signal.h>

#include "server/sandbox_internal.h"

#define ATTEMPT_KILLED	  (256 + SIGSYS)
#define ATTEMPT_REMOVABLE "socket" /* the file that serving removes */

/* Returns 0, or an errno. */
typedef int (*attempt_fn)(void);
typedef int (*sandbox_part)(const struct sandbox_options *options,
			    const char **why);

/* With the removable file, one named "other", and "private" of nobody. */
extern char attempt_directory[64];
extern int attempt_directory_fd;

/* Fixtures for cmocka. */
int attempt_set_up(void **state);
int attempt_tear_down(void **state);

/* What became of it: 0, an errno, or 256 and the signal that killed it. */
int attempt_with(sandbox_part part, pid_t child, attempt_fn attempt);

/* Of a system call, as an attempt returns it. */
int attempt_outcome(long result);

int attempt_open_to_read(void);
int attempt_open_to_write(void);
int attempt_open_removable(void);
int attempt_remove_own(void);
int attempt_make_directory(void);
int attempt_execute(void);
int attempt_start_process(void);
int attempt_make_namespace(void);
int attempt_make_socket(void);
int attempt_make_pair(void);
int attempt_trace_parent(void);
int attempt_read_parent(void);
int attempt_signal_parent(void);
int attempt_make_code(void);
int attempt_turn_into_code(void);
int attempt_make_ring(void);
int attempt_register_more(void);
int attempt_take_terminal(void);
int attempt_become_root(void);
int attempt_start_thread(void);

#endif

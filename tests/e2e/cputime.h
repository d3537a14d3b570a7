/* SPDX-License-Identifier: MIT */
/*
 * cputime - what the processors did, and for whom
 *
 * For tests that measure while the machine does other things as well. Any
 * thread.
 */
#ifndef E2E_CPUTIME_H
#define E2E_CPUTIME_H

#include <sys/types.h>

/*
 * Microseconds that all threads of a process have used, in it and in the
 * kernel, to the nanosecond; negative if there is no such process.
 */
double cputime_of(pid_t pid);

/*
 * Microseconds that processors were idle, all together; in ticks of the
 * kernel, and 0 where it does not tell.
 */
double cputime_idle(void);

#endif

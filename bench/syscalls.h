/* SPDX-License-Identifier: MIT */
/*
 * syscalls - counts the system calls of a process that is not ours
 *
 * By the trace point raw_syscalls:sys_enter, one counter a thread, which its
 * later children inherit. Needs a kernel with trace points and the right to
 * use them; without, nothing is counted, and reading says so. Counting makes
 * each system call and each context switch of the process dearer.
 *
 * Owner: one thread.
 */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include <stdint.h>
#include <sys/types.h>

#define SYSCALLS_MAX_THREADS 1024

struct syscalls {
	uint32_t nr_fds; /* 0: nothing is counted */
	int fds[SYSCALLS_MAX_THREADS];
};

/* deinit is harmless for zeroes. */
void syscalls_init(struct syscalls *syscalls, pid_t pid);
void syscalls_deinit(struct syscalls *syscalls);

/* How many so far; -1: they cannot be counted. */
int64_t syscalls_read(const struct syscalls *syscalls);

#endif

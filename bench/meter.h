/* SPDX-License-Identifier: MIT */
/*
 * meter - what the server's process has used up so far, from outside
 *
 * CPU time by the process's own clock, in nanoseconds over all threads, dead
 * ones too; how much of it in the kernel, in ticks; context switches of each
 * thread; system calls, by a trace point, where the kernel permits that.
 *
 * Owner: one thread.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "bench/syscalls.h"

#define METER_MAX_THREADS 1024

struct meter_thread {
	pid_t tid;
	uint64_t nr_switches;
};

struct meter_reading {
	uint64_t cpu_nsec;
	uint64_t user_ticks;
	uint64_t system_ticks;
	int64_t nr_syscalls; /* -1: cannot be known */
	uint64_t rss_bytes;
	uint32_t nr_threads;
	struct meter_thread threads[METER_MAX_THREADS];
};

struct meter {
	pid_t pid;
	clockid_t clock;
	struct syscalls syscalls;
};

/* What went on between two readings */
struct meter_result {
	uint64_t cpu_nsec;
	double system_share; /* of that, 0 to 1; negative: not known */
	uint64_t nr_switches;
	int64_t nr_syscalls; /* -1: not known */
	uint64_t rss_bytes;
};

/*
 * Begin to look at a process. Returns 0 or -errno (logged); deinit is harmless
 * after failure, and for zeroes.
 */
int meter_init(struct meter *meter, pid_t pid);
void meter_deinit(struct meter *meter);

/* What cannot be read, since the process is gone, is 0. */
void meter_read(const struct meter *meter, struct meter_reading *ret);

void meter_subtract(const struct meter_reading *from,
		    const struct meter_reading *to, struct meter_result *ret);

#endif

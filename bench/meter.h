/* SPDX-License-Identifier: MIT */
/*
 * meter - what the server's process has used up so far, from outside
 *
 * CPU time by the process's own clock, in nanoseconds over all threads, dead
 * ones too; how much of it in the kernel, in ticks; context switches of each
 * thread. Looking costs the process nothing; counting its system calls does,
 * and is syscalls.h's.
 *
 * Owner: one thread.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define METER_MAX_THREADS 1024

struct meter_thread {
	pid_t tid;
	uint64_t nr_switches;
};

struct meter_reading {
	uint64_t cpu_nsec;
	uint64_t user_ticks;
	uint64_t system_ticks;
	uint64_t rss_bytes;
	uint32_t nr_threads;
	struct meter_thread threads[METER_MAX_THREADS];
};

struct meter {
	pid_t pid;
	clockid_t clock;
};

/* What went on between two readings */
struct meter_result {
	uint64_t cpu_nsec;
	double system_share; /* of that, 0 to 1; negative: not known */
	uint64_t nr_switches;
	uint64_t rss_bytes;
};

/* Begin to look at a process. Returns 0 or -errno (logged). */
int meter_init(struct meter *meter, pid_t pid);

/* What cannot be read, since the process is gone, is 0. */
void meter_read(const struct meter *meter, struct meter_reading *ret);

void meter_subtract(const struct meter_reading *from,
		    const struct meter_reading *to, struct meter_result *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cputime - what the processors did, and for whom
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/cputime.h"

double cputime_of(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used) < 0)
		return -1;
	return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

double cputime_idle(void)
{
	FILE *file = fopen("/proc/stat", "re");
	unsigned long long idle = 0;
	unsigned long long waiting = 0;

	if (!file)
		return 0;
	if (fscanf(file, "cpu %*u %*u %*u %llu %llu", &idle, &waiting) != 2) {
		idle = 0;
		waiting = 0;
	}
	fclose(file);
	return (double)(idle + waiting) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

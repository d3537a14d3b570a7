/* SPDX-License-Identifier: MIT */
/*
 * crash - how much a crash test does, from which seed, and what came of it
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/crash.h"
#include "tests/frontend/clock.h"

#define IN_MEMORY "/dev/shm"

void crash_set_up_folder(void)
{
	if (access(IN_MEMORY, W_OK) == 0)
		setenv("TMPDIR", IN_MEMORY, 0);
}

unsigned int crash_volume(const char *variable, unsigned int usual,
			  unsigned int soak, unsigned int nr_cases)
{
	const char *text = getenv(variable);
	unsigned int nr = getenv("RINGHOST_SOAK") ? soak : usual;

	if (text)
		nr = (unsigned int)strtoul(text, NULL, 0);
	return (nr + nr_cases - 1) / nr_cases;
}

unsigned int crash_seed(void)
{
	static unsigned int seed;
	const char *text = getenv("RINGHOST_SEED");

	if (!seed) {
		seed = text ? (unsigned int)strtoul(text, NULL, 0) :
			      (unsigned int)fe_now_usec() ^
				       (unsigned int)getpid() << 12;
		seed += !seed;
		printf("# RINGHOST_SEED=%u\n", seed);
	}
	return seed;
}

void crash_kill(const struct server *server)
{
	siginfo_t info;

	kill(server->pid, SIGKILL);
	waitid(P_PID, (id_t)server->pid, &info, WEXITED | WNOWAIT);
}

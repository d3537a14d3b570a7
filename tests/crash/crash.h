/* SPDX-License-Identifier: MIT */
/*
 * crash - how much a crash test does, from which seed, and what came of it
 *
 * Any thread.
 */
#ifndef CRASH_CRASH_H
#define CRASH_CRASH_H

#include <stdbool.h>

#include "tests/crash/load.h"

/* Where images are: in memory, where the host has a folder for that. */
void crash_set_up_folder(void);

/*
 * How often: the number in the environment variable of this name, else soak
 * where RINGHOST_SOAK is set, else usual; in all nr_cases cases together, and
 * so rounded up for each.
 */
unsigned int crash_volume(const char *variable, unsigned int usual,
			  unsigned int soak, unsigned int nr_cases);

/* RINGHOST_SEED, or one of the day, which is printed. */
unsigned int crash_seed(void);

/*
 * Kill the server and wait until nothing of it runs, the kernel's part of its
 * I/O included. It stays a zombie for server_kill_and_restart().
 */
void crash_kill(const struct server *server);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * turns - an engine that lets a guest run between two turns of a worker
 *
 * The worker is the real one, with its thread; the guest runs in that thread
 * too, inside engine_turn(), so that what a turn finds does not depend on
 * time. The guest's rounds come in parts: before each part, and after the
 * last one, count_mark() is called, which is where callgrind begins a new
 * profile.
 *
 * Linked with --wrap=engine_create: the worker gets its engine from here.
 */
#ifndef TESTS_COUNT_TURNS_H
#define TESTS_COUNT_TURNS_H

#include <semaphore.h>

#include "server/engine.h"
#include "tests/count/guest.h"

#define TURNS_NR_PARTS 3

struct turns {
	struct guest *guest;
	bool on_uring; /* else no engine at all stands behind it */
	unsigned int nr_rounds[TURNS_NR_PARTS];

	/* The worker's */
	unsigned int part;
	unsigned int round; /* of the part */
	sem_t over;	    /* posted after the last one */
};

/* The engine of the next worker; its thread ends before turns does. */
void turns_use(struct turns *turns);

void count_mark(void);

#endif

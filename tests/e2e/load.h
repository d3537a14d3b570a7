/* SPDX-License-Identifier: MIT */
/*
 * load - a guest that works all the time, and checks what it reads
 *
 * Each queue has a thread and a part of the disk of its own: it writes as much
 * as there are slots for, reads that back, and compares. What it finds fails
 * the test when the load ends.
 */
#ifndef E2E_LOAD_H
#define E2E_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tests/e2e/client.h"

#define LOAD_DEPTH 16 /* requests of a queue that are under way at once */

struct load;

struct lane {
	struct load *load;
	unsigned int queue;
};

struct load {
	struct client client;
	struct lane lanes[CLIENT_MAX_QUEUES];
	pthread_t threads[CLIENT_MAX_QUEUES];
	unsigned int nr_threads;
	bool keeps_data; /* the disk does */
	atomic_bool ends;
	atomic_ulong nr_rounds;
	_Atomic(const char *) fault; /* NULL: none was found */
};

/* Fails the test if the server does not let it begin. */
void load_begin(struct load *load, const struct server *server,
		unsigned int nr_queues, bool keeps_data);
void load_end(struct load *load);

/* Wait until each queue has done something since, or has found a fault. */
void load_goes_on(struct load *load);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worker-bench - a worker, two guests with a queue each, and their driver
 *
 * For tests of the worker. The test is the guest and the control thread at
 * once; the driver is one whose every answer the test decides. A guest's
 * requests are reads of one sector, in numbered slots.
 */
#ifndef TESTS_UNIT_WORKER_BENCH_H
#define TESTS_UNIT_WORKER_BENCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "server/worker.h"
#include "tests/unit/ring-memory.h"

#define BENCH_RING_SIZE 64
#define BENCH_NR_SLOTS	(BENCH_RING_SIZE / 4) /* of a guest */

/* A driver whose requests succeed, when it is told so. */
struct bench_driver {
	struct driver driver;
	bool at_once; /* DRIVER_COMPLETED */
	/* NULL, or what is called for each, on the worker's thread */
	void (*submitted)(struct blk_request *request);
	unsigned int limit; /* DRIVER_BUSY from here on; 0: never */
	bool held;	    /* each request waits for gate */
	sem_t gate;
	int attach_result;
	unsigned int nr_under_way; /* the worker's, as the next one */
	unsigned int nr_most;
	atomic_uint nr_submitted;
	atomic_uint nr_attached;
	atomic_uint nr_detached;
};

struct guest {
	struct ring_memory ring;
	struct worker *worker;
	struct driver *driver;
	struct virtio_blk *blk;
	int kick;
	int call;
	uint64_t header[BENCH_NR_SLOTS];
	uint64_t data[BENCH_NR_SLOTS];
	uint64_t status[BENCH_NR_SLOTS];
};

struct bench {
	enum engine_kind kind;
	struct worker *worker;
	struct bench_driver driver;
	struct virtio_blk *blk;
	struct guest guests[2];
};

/* Of the workers that bench_set_up() makes from now on. */
extern unsigned int bench_poll_usec;

/* The state of each test, made from an enum engine_kind, and the end of it. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

extern enum engine_kind bench_kinds[2];

/* Two lines of a table of tests. */
#define ON_BOTH_ENGINES(test)                                                  \
	{ #test " on io_uring", test, bench_set_up, bench_tear_down,           \
	  &bench_kinds[0] },                                                   \
	{                                                                      \
#test " on threads", test, bench_set_up, bench_tear_down,      \
			&bench_kinds[1]                                        \
	}

/* Where the engine is not allowed the test counts as skipped. */
struct bench *bench_of(void **state);

/* Let n requests of a driver that holds them go. */
void bench_let_go(struct bench *bench, unsigned int nr);

/* Until the driver has got that many in all. */
void bench_wait_submitted(struct bench *bench, unsigned int nr);

/* Give the queue to the worker; ask it back and wait for it. */
void guest_start(struct guest *guest);
void guest_stop(struct guest *guest);

/* The two halves of the stop. */
void guest_ask_back(struct guest *guest);
bool guest_given_back(struct guest *guest);
void guest_wait_given_back(struct guest *guest);

/* Make a read available, without a kick. */
void guest_add(struct guest *guest, unsigned int slot);

/* The same, and kick as a driver with EVENT_IDX: only if it is wanted. */
void guest_read(struct guest *guest, unsigned int slot);

/* An answer, if there is one; it is checked. */
bool guest_take(struct guest *guest, unsigned int *slot);

/* Sleep until the device signals: a signal that is missing is a hang. */
unsigned int guest_wait(struct guest *guest);

/* nr reads, depth of them at any time. */
void guest_keep_busy(struct guest *guest, unsigned int nr, unsigned int depth);

/* Always as many as fit, in a thread of its own, until it is to end. */
struct flood {
	struct guest *guest;
	pthread_t thread;
	atomic_bool ends;
};

void flood_begin(struct flood *flood, struct guest *guest);
void flood_end(struct flood *flood);

#endif

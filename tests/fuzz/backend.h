/* SPDX-License-Identifier: MIT */
/*
 * backend - a device of no type, which touches all that it is given
 *
 * Its operations do what the input says: give a queue back at once or later,
 * finish what it took or abandon it, fail. It touches the first and the last
 * byte of each buffer, reading or writing, so that a buffer that is not there
 * shows.
 */
#ifndef TESTS_FUZZ_BACKEND_H
#define TESTS_FUZZ_BACKEND_H

#include <ringhost/device.h>

#include "tests/fuzz/fuzz.h"

#define BACKEND_QUEUES	     3
#define BACKEND_QUEUE_SIZE   32
#define BACKEND_CONFIG_BYTES 32
#define BACKEND_MAX_HELD     8

struct backend_queue {
	struct rh_queue *queue; /* NULL: it is the device's */
	bool is_asked_back;
	unsigned int nr_held;
	struct rh_chain *held[BACKEND_MAX_HELD];
};

struct fuzz_backend {
	struct rh_device *device;
	bool is_slow;	    /* queues are given back by backend_act() only */
	bool holds;	    /* some chains are pushed later */
	bool fails;	    /* operations that can */
	bool answers_bad;   /* RH_DEVICE_BAD_CHAINS */
	unsigned int state; /* bytes of it */
	uint8_t config[BACKEND_CONFIG_BYTES];
	struct backend_queue queues[BACKEND_QUEUES];
};

/* choice: which operations it has, and how it behaves */
void backend_create(struct fuzz_backend *backend, uint8_t choice);

/* The session has ended, and all queues are back. */
void backend_destroy(struct fuzz_backend *backend);

/* Until nothing is ready. */
void backend_run(struct fuzz_backend *backend);

/* The device does something by itself. */
void backend_act(struct fuzz_backend *backend, struct fuzz_input *in);

/* Each queue's owner takes a turn. */
void backend_turn(struct fuzz_backend *backend);

/* All queues that were asked back. */
void backend_give_back(struct fuzz_backend *backend);

#endif

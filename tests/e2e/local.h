/* SPDX-License-Identifier: MIT */
/*
 * local - a device on libringhost in this process, in loops of the test's
 *
 * A loop is a thread with an epoll. The device's fd is attached to one loop;
 * its queues are served by the same loop, or by another one that was chosen.
 * The device answers each request with S_OK and data-in of zeroes, at once,
 * or, while held, not before it is let go. It is made of the public headers
 * alone.
 *
 * The test's thread gives orders; each is carried out in the loop's thread
 * and waited for. Functions without an answer assert that it went well.
 */
#ifndef E2E_LOCAL_H
#define E2E_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ringhost/ringhost.h>

#include "tests/e2e/server.h"

#define LOCAL_QUEUES 4
#define LOCAL_DEPTH  64

struct local;

struct local_loop {
	pthread_t thread;
	struct local *local;
	int epoll_fd;
	int wake_fd;
	int done_fd;
	atomic_int order;
};

struct local_queue {
	struct rh_queue *queue;
	_Atomic(struct local_loop *) owner; /* NULL: stopped */
	bool watched;
	atomic_bool stopping;
	unsigned int nr_held;
	struct rh_chain *held[LOCAL_DEPTH];
};

struct local {
	struct server server; /* only its socket, for clients */
	struct rh_device *device;
	struct local_loop loops[3];
	struct local_loop *control;    /* where the device's fd is */
	struct local_loop *queue_loop; /* NULL: where the device's fd is */
	struct local_queue queues[LOCAL_QUEUES];
	atomic_bool hold;
	atomic_uint nr_held;
	atomic_uint nr_paused;
	atomic_uint nr_disconnected;
	atomic_int last_error;
};

/* Listening, attached to loop 0. separate: queues are served by loop 2. */
void local_start(struct local *local, bool separate);

/* Stops the device, waits until it is finished, ends the threads. */
void local_end(struct local *local);

/* Take the device's fd out of its loop and put it into this one. */
void local_move(struct local *local, unsigned int loop);

void local_pause(struct local *local);
void local_resume(struct local *local);
void local_stop(struct local *local);
int local_config_changed(struct local *local);

/* Keep what is popped from now on; or complete all that was kept. */
void local_hold(struct local *local);
void local_let_go(struct local *local);

/* Wait until the counter has reached value; asserts that it does. */
void local_wait(atomic_uint *counter, unsigned int value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * poll - a loop for a device that does all its work in one thread
 *
 * A convenience on top of device.h and queue.h, which a program with a loop
 * of its own does not need. One thread creates, runs and destroys it.
 */
#ifndef RINGHOST_POLL_H
#define RINGHOST_POLL_H

#include <signal.h>

#include <ringhost/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rh_poll;

/* Pops what waits in the queue and pushes what is done. */
typedef void (*rh_serve_fn)(void *opaque, struct rh_queue *queue);

/*
 * serve: called with each started queue, at its start and then after each
 * kick, until nothing waits in it; the loop does the flush, the notification
 * and the suppression of kicks. Everything popped must be pushed before it
 * returns. Returns 0 with *ret set, or -errno. Since 0.1.
 */
RH_API int rh_poll_create(rh_serve_fn serve, void *opaque,
			  struct rh_poll **ret);

/* NULL is accepted. Since 0.1. */
RH_API void rh_poll_destroy(struct rh_poll *poll);

/*
 * The device's queue_start and queue_stop operations; the device's opaque
 * pointer is the loop, or its own operations forward to these. Since 0.1.
 */
RH_API int rh_poll_queue_start(void *poll, struct rh_queue *queue);
RH_API void rh_poll_queue_stop(void *poll, struct rh_queue *queue);

/*
 * Run device until it is finished.
 *
 * stop: the device is stopped when this becomes non-zero, in a signal handler
 * say; NULL if it never does. Block the signal beforehand: it is let in while
 * the loop sleeps, and so cannot slip in just before. Returns 0 or -errno.
 * Since 0.1.
 */
RH_API int rh_poll_run(struct rh_poll *poll, struct rh_device *device,
		       const volatile sig_atomic_t *stop);

#ifdef __cplusplus
}
#endif

#endif

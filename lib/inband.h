/* SPDX-License-Identifier: MIT */
/*
 * inband - calls and errors of queues as messages (vhost-user, In-band
 * notifications)
 *
 * A queue for which the front-end gave no call or error fd signals an eventfd
 * of ours instead, in whatever thread it runs. That is in the device's epoll
 * set; when it is readable the outbox has something to tell. So the owner of
 * a queue sees no difference, and many signals become one message.
 *
 * Control thread.
 */
#ifndef LIB_INBAND_H
#define LIB_INBAND_H

#include "lib/device.h"

/* Returns 0 or -ENOMEM. */
int rh_inband_init(struct rh_device *device);
void rh_inband_deinit(struct rh_device *device);

/* Give each ring that starts its eventfds; take back what is not needed. */
void rh_inband_settle(struct rh_device *device);

/* Note what queues have signalled since, before they are said to be stopped. */
void rh_inband_collect(struct rh_device *device);

/* The eventfd of this kind and queue is readable. */
void rh_inband_ready(struct rh_device *device, enum rh_inband_kind kind,
		     unsigned int index);

#endif

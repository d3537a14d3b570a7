/* SPDX-License-Identifier: MIT */
/*
 * watch - what a device's one fd waits for
 *
 * The epoll set behind rh_device_fd(). An fd is taken out of the set before
 * it is closed, always: a front-end may hold a duplicate of it, and the set
 * would go on reporting events of a file that is no longer ours.
 *
 * Control thread. Each call does nothing when nothing changes.
 */
#ifndef LIB_WATCH_H
#define LIB_WATCH_H

#include "lib/device.h"

/* What an event in the set is about. */
enum rh_source {
	RH_SOURCE_WAKE,
	RH_SOURCE_TIMER,
	RH_SOURCE_LISTENER,
	RH_SOURCE_CONNECTION,
	RH_SOURCE_CHANNEL,
	RH_SOURCE_TRANSFER,
	RH_SOURCE_INBAND_CALL, /* and the next: of a queue */
	RH_SOURCE_INBAND_ERR,
};

/* An event's data: its source, and above that a queue's index. */
#define RH_SOURCE_BITS 8
#define RH_SOURCE_MASK 0xffu

/* Make the set with its wake-up eventfd and timer. Returns 0 or -errno. */
int rh_watch_init(struct rh_device *device);
void rh_watch_deinit(struct rh_device *device);

/*
 * events: EPOLLIN, EPOLLOUT, or 0 to take the connection out. Returns 0, or
 * -errno: -ENOSPC where the user has no watches left, -ENOMEM; what was watched
 * before is watched then. Taking out does not fail.
 */
int rh_watch_connection(struct rh_device *device, uint32_t events);
int rh_watch_listener(struct rh_device *device, bool wanted);

/* One that cannot be watched is closed. */
void rh_watch_channel(struct rh_device *device, bool wanted);

/*
 * As long as a state is under way; out of the set while wanted is false. A
 * transfer that cannot be watched has failed.
 */
void rh_watch_transfer(struct rh_device *device, bool wanted);

/* fd: an eventfd of ours. Returns 0 or -errno. */
int rh_watch_inband(struct rh_device *device, int fd, enum rh_inband_kind kind,
		    unsigned int index);
void rh_unwatch_inband(struct rh_device *device, int fd);

/* Expire once, msec from now; 0 disarms. */
void rh_watch_timer(struct rh_device *device, unsigned int msec);

#endif

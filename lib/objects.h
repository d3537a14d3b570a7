/* SPDX-License-Identifier: MIT */
/*
 * objects - what the device says, and asks, about shared objects
 *
 * A bounded table of what waits to be sent, in the order of the calls, so that
 * an object is not removed before it was added. Each lookup ends in one call
 * of the device's object_found(), whatever becomes of the channel.
 *
 * Control thread.
 */
#ifndef LIB_OBJECTS_H
#define LIB_OBJECTS_H

#include <ringhost/device.h>

#include "lib/channel.h"

#define RH_MAX_WAITING_OBJECTS 32

struct rh_object_message {
	enum vhost_user_backend_request request;
	struct vhost_user_shared shared;
};

struct rh_objects {
	const struct rh_device_config *config; /* not owned */
	struct rh_object_message waiting[RH_MAX_WAITING_OBJECTS];
	unsigned int first;
	unsigned int nr;
	struct log_limit limit;
	struct rh_object_message asked; /* that which is on its way */
};

void rh_objects_init(struct rh_objects *objects,
		     const struct rh_device_config *config);

/* End all that waits. */
void rh_objects_reset(struct rh_objects *objects);

/*
 * Somebody else says what waits. Lookups end, the one that is on its way too
 * if has_asked.
 */
void rh_objects_let_go(struct rh_objects *objects, bool has_asked);

/* Number i of what waits, in order; NULL when there are not so many. */
const struct rh_object_message *
rh_objects_waiting(const struct rh_objects *objects, unsigned int i);

/* Returns 0, or -ENOBUFS when the table is full. */
int rh_objects_add(struct rh_objects *objects,
		   enum vhost_user_backend_request request,
		   const uint8_t uuid[RH_UUID_BYTES]);

/* As of a source of the outbox. */
bool rh_objects_compose(struct rh_objects *objects,
			struct rh_channel_message *message);
void rh_objects_answered(struct rh_objects *objects,
			 struct rh_channel_answer *answer);

#endif

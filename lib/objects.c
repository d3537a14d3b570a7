/* SPDX-License-Identifier: MIT */
/*
 * objects - what the device says, and asks, about shared objects
 */
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "lib/objects.h"

void rh_objects_init(struct rh_objects *objects,
		     const struct rh_device_config *config)
{
	memset(objects, 0, sizeof(*objects));
	objects->config = config;
}

static struct rh_object_message take_first(struct rh_objects *objects)
{
	struct rh_object_message message = objects->waiting[objects->first];

	objects->first = (objects->first + 1) % RH_MAX_WAITING_OBJECTS;
	objects->nr--;
	return message;
}

/* fd: the device's from now on, or -errno. */
static void end_message(struct rh_objects *objects,
			const struct rh_object_message *message, int fd)
{
	const struct rh_device_config *config = objects->config;

	if (message->request == VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP)
		config->ops->object_found(config->opaque, message->shared.uuid,
					  fd);
	else if (fd < 0)
		rh_log_limited(
			&objects->limit, RH_LOG_WARNING, config->name,
			"front-end did not take note of a shared object: %s",
			strerror(-fd));
}

void rh_objects_reset(struct rh_objects *objects)
{
	while (objects->nr) {
		struct rh_object_message message = take_first(objects);

		end_message(objects, &message, -ECONNRESET);
	}
}

static void end_lookup(struct rh_objects *objects,
		       const struct rh_object_message *message)
{
	if (message->request == VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP)
		end_message(objects, message, -ECONNRESET);
}

void rh_objects_let_go(struct rh_objects *objects, bool has_asked)
{
	if (has_asked)
		end_lookup(objects, &objects->asked);
	while (objects->nr) {
		struct rh_object_message message = take_first(objects);

		end_lookup(objects, &message);
	}
}

const struct rh_object_message *
rh_objects_waiting(const struct rh_objects *objects, unsigned int i)
{
	if (i >= objects->nr)
		return NULL;
	return &objects->waiting[(objects->first + i) % RH_MAX_WAITING_OBJECTS];
}

int rh_objects_add(struct rh_objects *objects,
		   enum vhost_user_backend_request request,
		   const uint8_t uuid[RH_UUID_BYTES])
{
	struct rh_object_message *message;

	if (objects->nr == RH_MAX_WAITING_OBJECTS)
		return -ENOBUFS;
	message = &objects->waiting[(objects->first + objects->nr) %
				    RH_MAX_WAITING_OBJECTS];
	message->request = request;
	memcpy(message->shared.uuid, uuid, RH_UUID_BYTES);
	objects->nr++;
	return 0;
}

/* A lookup is always answered, REPLY_ACK or not. */
bool rh_objects_compose(struct rh_objects *objects,
			struct rh_channel_message *message)
{
	if (!objects->nr)
		return false;
	objects->asked = take_first(objects);
	message->request = objects->asked.request;
	message->shared = objects->asked.shared;
	message->size = sizeof(message->shared);
	if (message->request == VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP) {
		message->want_answer = true;
		message->brings_fd = true;
	}
	return true;
}

/* 0 comes with an fd, and anything else does not. */
void rh_objects_answered(struct rh_objects *objects,
			 struct rh_channel_answer *answer)
{
	bool found = !answer->error && !answer->value;
	bool is_lookup = objects->asked.request ==
			 VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP;

	if (answer->error)
		end_message(objects, &objects->asked, answer->error);
	else if (!found || (is_lookup && answer->fd < 0))
		end_message(objects, &objects->asked, -ENOENT);
	else
		end_message(objects, &objects->asked,
			    is_lookup ? steal_fd(&answer->fd) : 0);
}

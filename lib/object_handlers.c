/* SPDX-License-Identifier: MIT */
/*
 * object_handlers - the front-end asks for a shared object
 */
#include "lib/handler.h"

/* The answer repeats the name; an object that is not there comes without fd. */
int rh_handle_get_shared_object(struct rh_request *request)
{
	const struct rh_device_config *config = request->state->config;
	struct rh_answer *answer = request->answer;
	int fd = -1;

	memcpy(&answer->shared, request->incoming->payload,
	       sizeof(answer->shared));
	answer->size = sizeof(answer->shared);
	if (config->ops->object_get)
		fd = config->ops->object_get(config->opaque,
					     answer->shared.uuid);
	answer->fd = fd < 0 ? -1 : fd;
	return 0;
}

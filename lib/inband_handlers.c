/* SPDX-License-Identifier: MIT */
/*
 * inband_handlers - kicks that come as messages
 */
#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/handler.h"

/*
 * vhost-user, Ring states: a kick starts a ring. One that got no kick fd gets
 * an eventfd of ours, so that its owner sees no difference. A ring that is to
 * be polled needs no kick.
 */
int rh_handle_vring_kick(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;
	int fd;

	if (rh_payload_num(request))
		return rh_refuse(request, -EINVAL, "its number is not 0");
	if (!queue->has_kick) {
		fd = rh_eventfd_create();
		if (fd < 0)
			return rh_refuse(request, fd,
					 "there is no file descriptor for it");
		queue->kick_fd = fd;
		queue->has_kick = true;
	}
	if (queue->kick_fd >= 0)
		rh_peerfd_signal(queue->kick_fd);
	return 0;
}

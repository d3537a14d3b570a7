/* SPDX-License-Identifier: MIT */
/*
 * iotlb_handlers - what the front-end says about the guest's IOMMU
 *
 * An update is taken under running queues, one of which may wait for it. For
 * an invalidation all queues are quiet (message.c): a request under way holds
 * pointers into the range, and the acknowledgement says that no one does. A
 * queue whose ring lies there does not start again before it was resolved anew.
 */
#include "lib/handler.h"

static int update(struct rh_request *request,
		  const struct vhost_user_iotlb *message)
{
	struct rh_session_state *state = request->state;
	int error;

	error = rh_iotlb_update(state->iotlb, state->map, message);
	if (error == -EFAULT)
		return rh_refuse(request, error,
				 "its user addresses are not in the memory "
				 "that was shared");
	if (error)
		return rh_refuse(request, error,
				 "its range or its permission is wrong");
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		rh_miss_settle(&state->misses[i]);
		if (state->queues[i].hold == RH_HOLD_UNRESOLVED)
			state->queues[i].hold = RH_HOLD_NONE;
	}
	return 0;
}

static int invalidate(struct rh_request *request,
		      const struct vhost_user_iotlb *message)
{
	struct iova first;
	struct iova last;
	int error;

	error = rh_iotlb_invalid_range(message, &first, &last);
	if (error)
		return rh_refuse(request, error, "its range is wrong");
	rh_iotlb_invalidate(request->state->iotlb, first, last);
	return 0;
}

int rh_handle_iotlb_msg(struct rh_request *request)
{
	struct vhost_user_iotlb message;

	memcpy(&message, request->incoming->payload, sizeof(message));
	switch (message.type) {
	case VHOST_IOTLB_UPDATE:
		return update(request, &message);
	case VHOST_IOTLB_INVALIDATE:
		return invalidate(request, &message);
	}
	return rh_refuse(request, -EINVAL,
			 "it is neither an update nor an invalidation");
}

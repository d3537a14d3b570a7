/* SPDX-License-Identifier: MIT */
/*
 * log_handlers - the messages about the migration log
 *
 * All queues are quiet while the log is exchanged: each has marked all that
 * it wrote in the old bitmap, and goes on with the new one.
 *
 * A front-end that starts a device anew in the middle of a migration asks for
 * logging with its features before it has sent a log, and before its rings
 * run. So that is no fault; to ask for it while rings run is one, since they
 * would go on unlogged.
 */
#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/handler.h"

int rh_handle_set_log_base(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	struct rh_range bitmap = { 0 };
	struct vhost_user_log wire;
	int error;

	memcpy(&wire, request->incoming->payload, sizeof(wire));
	if (!rh_dirty_log_covers(wire.size_bytes, state->map))
		return rh_refuse(request, -EINVAL,
				 "its log is too small for the guest's memory");
	error = rh_range_map(request->incoming->fds[0], wire.mmap_offset,
			     wire.size_bytes, state->empty, &bitmap);
	if (error)
		return rh_refuse(request, error,
				 error == -EINVAL ?
					 "its log is empty, wraps, exceeds its "
					 "file, or does not begin on a page" :
					 "its log cannot be mapped for reading "
					 "and writing");
	rh_range_unmap(&state->log.bitmap);
	state->log.bitmap = bitmap;
	/* The front-end waits for this even where it did not ask for it. */
	request->answer->u64 = 0;
	request->answer->size = sizeof(request->answer->u64);
	return 0;
}

int rh_handle_set_log_fd(struct rh_request *request)
{
	struct rh_incoming *incoming = request->incoming;

	if (!rh_peerfd_is_eventfd(incoming->fds[0]) ||
	    rh_fd_set_nonblocking(incoming->fds[0]) < 0)
		return rh_refuse(request, -EINVAL,
				 "its file descriptor is not an eventfd");
	rh_peerfd_close(&request->state->log.event_fd);
	request->state->log.event_fd = rh_incoming_take_fd(incoming, 0);
	return 0;
}

static bool features_switch_log(const struct rh_session_state *state,
				uint64_t features)
{
	const uint64_t log_all = FEATURE_BIT(VHOST_F_LOG_ALL);

	if ((features ^ state->session.features) != log_all)
		return false;
	return !(features & log_all) || rh_dirty_log_exists(&state->log);
}

static bool addr_switches_log(const struct rh_queue *queue,
			      const struct vhost_user_vring_addr *addr)
{
	bool log_used = addr->flags & VHOST_VRING_F_LOG;

	if (addr->index != queue->index || addr->flags & ~VHOST_VRING_F_LOG ||
	    !rh_queue_has_addr(queue, addr))
		return false;
	return log_used != queue->log_used ||
	       addr->log_guest_addr != queue->log_addr.value;
}

bool rh_switches_log(const struct rh_session_state *state,
		     const struct rh_incoming *incoming,
		     const struct rh_queue *queue)
{
	struct vhost_user_vring_addr addr;
	uint64_t features;

	if (incoming->header.request == VHOST_USER_SET_FEATURES) {
		memcpy(&features, incoming->payload, sizeof(features));
		return features_switch_log(state, features);
	}
	memcpy(&addr, incoming->payload, sizeof(addr));
	return addr_switches_log(queue, &addr);
}

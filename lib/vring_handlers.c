/* SPDX-License-Identifier: MIT */
/*
 * vring_handlers - what each message about one queue does
 *
 * The front-end sets up a ring in any order; it is started, elsewhere, once
 * all is there (rh_queue_ready()).
 */
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/handler.h"

int rh_handle_set_vring_num(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;
	uint32_t num = rh_payload_num(request);

	const char *fault;

	fault = rh_ring_size_fault(request->state->session.features, num);
	if (fault)
		return rh_refuse(request, -EINVAL, fault);
	if (num > request->state->config->max_queue_size)
		return rh_refuse(request, -EINVAL,
				 "its size is larger than the device allows");
	if (queue->state != RH_QUEUE_STOPPED && num != queue->size)
		return rh_refuse_running(request);
	queue->size = num;
	return 0;
}

int rh_handle_set_vring_addr(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;
	struct vhost_user_vring_addr addr;

	memcpy(&addr, request->incoming->payload, sizeof(addr));
	if (addr.flags & ~VHOST_VRING_F_LOG)
		return rh_refuse(request, -EINVAL, "a flag is unknown");
	if (queue->state != RH_QUEUE_STOPPED) {
		/* rh_switches_log() did not find anything new in it */
		return rh_queue_has_addr(queue, &addr) ?
			       0 :
			       rh_refuse_running(request);
	}
	queue->desc_addr.value = addr.desc_user_addr;
	queue->avail_addr.value = addr.avail_user_addr;
	queue->used_addr.value = addr.used_user_addr;
	queue->log_addr.value = addr.log_guest_addr;
	queue->log_used = addr.flags & VHOST_VRING_F_LOG;
	queue->has_addr = true;
	if (queue->hold == RH_HOLD_UNRESOLVED || queue->hold == RH_HOLD_MISS)
		queue->hold = RH_HOLD_NONE;
	return 0;
}

int rh_handle_set_vring_base(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;
	uint32_t base = rh_payload_num(request);
	const char *fault;

	fault = rh_ring_base_fault(request->state->session.features,
				   queue->size, base);
	if (fault)
		return rh_refuse(request, -EINVAL, fault);
	if (queue->state != RH_QUEUE_STOPPED && base != queue->base)
		return rh_refuse_running(request);
	queue->base = base;
	queue->has_base = true;
	return 0;
}

/* vhost-user, Ring states: this is what stops a ring. */
int rh_handle_get_vring_base(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;

	rh_fd_close(&queue->kick_fd);
	queue->has_kick = false;
	queue->hold = RH_HOLD_NONE;
	if (queue->is_settled)
		rh_inflight_forget(
			&request->state->inflight, queue->index,
			rh_ring_is_packed(request->state->session.features));
	request->answer->vring_state.index = queue->index;
	request->answer->vring_state.num =
		queue->has_base ?
			queue->base :
		queue->has_last_base ?
			queue->last_base :
			rh_ring_first_base(request->state->session.features);
	request->answer->size = sizeof(request->answer->vring_state);
	return 0;
}

/* The fd of SET_VRING_KICK, _CALL or _ERR, or -1; non-blocking. */
static int take_vring_fd(struct rh_request *request, int *ret)
{
	struct rh_incoming *incoming = request->incoming;

	if (!incoming->nr_fds) {
		*ret = -1;
		return 0;
	}
	if (!rh_peerfd_is_eventfd(incoming->fds[0]) ||
	    rh_fd_set_nonblocking(incoming->fds[0]) < 0)
		return rh_refuse(request, -EINVAL,
				 "its file descriptor is not an eventfd");
	*ret = rh_incoming_take_fd(incoming, 0);
	return 0;
}

int rh_handle_set_vring_kick(struct rh_request *request)
{
	struct rh_queue *queue = request->queue;
	int error;
	int fd;

	error = take_vring_fd(request, &fd);
	if (error)
		return error;
	rh_fd_close(&queue->kick_fd);
	queue->kick_fd = fd;
	queue->has_kick = true;
	queue->hold = RH_HOLD_NONE;
	return 0;
}

/*
 * The new call fd is signalled once it is in use: what completed between its
 * arrival and the last use of the old one would else go unnoticed.
 */
int rh_handle_set_vring_call(struct rh_request *request)
{
	int error;
	int fd;

	error = take_vring_fd(request, &fd);
	if (error)
		return error;
	rh_signal_fd_set(&request->queue->call, fd);
	request->queue->has_call = true;
	rh_queue_notify(request->queue);
	return 0;
}

int rh_handle_set_vring_err(struct rh_request *request)
{
	int error;
	int fd;

	error = take_vring_fd(request, &fd);
	if (error)
		return error;
	rh_signal_fd_set(&request->queue->err, fd);
	request->queue->has_err = true;
	return 0;
}

int rh_handle_set_vring_enable(struct rh_request *request)
{
	uint32_t num = rh_payload_num(request);

	if (num > 1)
		return rh_refuse(request, -EINVAL, "it is neither 0 nor 1");
	request->queue->enabled = num;
	return 0;
}

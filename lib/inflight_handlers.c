/* SPDX-License-Identifier: MIT */
/*
 * inflight_handlers - the region for requests under way, given out and taken
 *
 * GET_INFLIGHT_FD makes a region, SET_INFLIGHT_FD takes one that the
 * front-end has kept. One is held at a time, as a mapping; its file is the
 * front-end's. It cannot be changed under a running queue, which writes to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/handler.h"

/* What we make nobody shrinks, so that no touch of it is a SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void rh_forget_inflight(struct rh_session_state *state)
{
	bool is_packed = rh_ring_is_packed(state->session.features);

	for (unsigned int i = 0; i < state->session.nr_queues; i++)
		rh_inflight_forget(&state->inflight, i, is_packed);
	state->inflight.has_run = false;
}

static bool any_queue_runs(const struct rh_session_state *state)
{
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (state->queues[i].state != RH_QUEUE_STOPPED)
			return true;
	}
	return false;
}

/* The payload, if it is about queues that the device has. */
static int parse(struct rh_request *request, struct vhost_user_inflight *ret)
{
	const struct rh_session_state *state = request->state;
	uint32_t size = request->incoming->header.size;
	const char *fault;

	/* the padding at its end is sent by some front-ends, and not by all */
	if (size != sizeof(*ret) &&
	    size != offsetof(struct vhost_user_inflight, padding))
		return rh_refuse(request, -EINVAL,
				 "its payload has the wrong size");
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, request->incoming->payload, size);
	if (!ret->nr_queues || ret->nr_queues > state->session.nr_queues)
		return rh_refuse(request, -EINVAL,
				 "the device has not so many queues");
	fault = rh_ring_size_fault(state->session.features, ret->queue_size);
	if (fault)
		return rh_refuse(request, -EINVAL, fault);
	if (ret->queue_size > state->config->max_queue_size)
		return rh_refuse(
			request, -EINVAL,
			"its queues are larger than the device allows");
	if (any_queue_runs(state))
		return rh_refuse_running(request);
	return 0;
}

int rh_use_inflight(struct rh_session_state *state,
		    const struct vhost_user_inflight *wire, int fd)
{
	struct rh_range range;
	int error;

	error = rh_range_map(fd, wire->mmap_offset, wire->mmap_bytes,
			     state->empty, &range);
	if (error)
		return error;
	rh_inflight_drop(&state->inflight);
	state->inflight.range = range;
	state->inflight.nr_queues = wire->nr_queues;
	state->inflight.queue_size = wire->queue_size;
	for (unsigned int i = 0; i < state->session.nr_queues; i++)
		state->queues[i].is_settled = false;
	return 0;
}

static int use_region(struct rh_request *request,
		      const struct vhost_user_inflight *wire, int fd)
{
	int error = rh_use_inflight(request->state, wire, fd);

	if (!error)
		return 0;
	return rh_refuse(request, error,
			 "its region cannot be mapped, or exceeds its file");
}

static int make_file(uint64_t bytes)
{
	cleanup_close int fd = rh_memfd_create("inflight", bytes);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return steal_fd(&fd);
}

int rh_handle_get_inflight_fd(struct rh_request *request)
{
	struct vhost_user_inflight wire;
	cleanup_close int fd = -1;
	int error = parse(request, &wire);

	if (error)
		return error;
	wire.mmap_bytes = rh_inflight_bytes(wire.nr_queues, wire.queue_size);
	wire.mmap_offset = 0;
	fd = make_file(wire.mmap_bytes);
	if (fd < 0)
		return rh_refuse(request, fd,
				 "there is no memory for its region");
	error = use_region(request, &wire, fd);
	if (error)
		return error;
	request->answer->inflight = wire;
	request->answer->size = request->incoming->header.size;
	request->answer->fd = steal_fd(&fd);
	return 0;
}

int rh_handle_set_inflight_fd(struct rh_request *request)
{
	const struct rh_session_state *state = request->state;
	struct vhost_user_inflight wire;
	bool is_packed = rh_ring_is_packed(state->session.features);
	int error = parse(request, &wire);

	if (error)
		return error;
	if (wire.mmap_bytes / wire.nr_queues <
	    rh_inflight_part_bytes(is_packed, wire.queue_size))
		return rh_refuse(request, -EINVAL,
				 "its region is too small for its queues");
	return use_region(request, &wire, request->incoming->fds[0]);
}

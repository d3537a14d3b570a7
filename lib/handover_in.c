/* SPDX-License-Identifier: MIT */
/*
 * handover_in - take a session over from whoever tells it
 *
 * The writer is a program of the same user, yet not trusted more than it needs
 * to be: it may be of another version, or say what it was told by a hostile
 * front-end. The protocol's own messages go through their handlers; ours have
 * a row each, with their size.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <ringhost/handover.h>

#include "common/fd.h"
#include "lib/handover.h"
#include "lib/session.h"

/* A session on its way in. */
struct taking {
	struct rh_device *device;
	struct rh_incoming incoming; /* the message at hand */
	const char *why;	     /* it is refused */
	bool has_begun;
	bool has_ended;
	struct rh_incoming *half; /* whose payload may follow */
	uint8_t *state;		  /* of state_save(); owned */
	size_t nr_state_bytes;
	size_t nr_state_done;
};

static int refuse(struct taking *taking, int error, const char *why)
{
	taking->why = why;
	return error;
}

static int take_begin(struct taking *taking)
{
	struct rh_handover_begin begin;

	memcpy(&begin, taking->incoming.payload, sizeof(begin));
	if (begin.version != RH_HANDOVER_VERSION)
		return refuse(taking, -EPROTONOSUPPORT,
			      "it is of another version");
	if (begin.nr_queues > taking->device->config.nr_queues)
		return refuse(taking, -EPROTO,
			      "the device had more queues than this one");
	if (taking->has_begun)
		return refuse(taking, -EPROTO, "it begins twice");
	if (taking->incoming.nr_fds !=
	    !!begin.has_connection + (unsigned int)!!begin.has_listener)
		return refuse(taking, -EPROTO, "a socket is missing");
	taking->has_begun = true;
	if (begin.has_listener)
		taking->device->listen_fd = rh_incoming_take_fd(
			&taking->incoming, !!begin.has_connection);
	if (begin.has_connection)
		rh_session_begin(taking->device,
				 rh_incoming_take_fd(&taking->incoming, 0));
	return 0;
}

static int take_session(struct taking *taking)
{
	struct rh_session_state *state = &taking->device->session;
	struct rh_handover_session session;

	memcpy(&session, taking->incoming.payload, sizeof(session));
	state->status.needs_reset = session.flags & RH_SESSION_NEEDS_RESET;
	state->status.features_refused =
		session.flags & RH_SESSION_FEATURES_REFUSED;
	state->inflight.has_run = session.flags & RH_SESSION_HAS_RUN;
	state->outbox.config_changed =
		session.flags & RH_SESSION_CONFIG_CHANGED;
	if (session.flags & RH_SESSION_TRANSFERRED)
		rh_transfer_end(&state->transfer,
				MIN(session.transfer_result, 0));
	if (session.asked_queue >= state->session.nr_queues)
		return refuse(taking, -EPROTO, "there is no such queue");
	if ((session.flags & RH_SESSION_ASKED) &&
	    state->outbox.channel.state == RH_CHANNEL_OPEN)
		rh_outbox_await(&state->outbox, session.asked,
				session.flags & RH_SESSION_BRINGS_FD,
				&state->queues[session.asked_queue]);
	if (taking->state || session.nr_state_bytes > RH_MAX_STATE_BYTES)
		return refuse(taking, -EPROTO, "its state cannot be");
	taking->nr_state_bytes = session.nr_state_bytes;
	taking->state = malloc(session.nr_state_bytes + 1);
	return taking->state ? 0 : -ENOMEM;
}

static int take_inflight(struct taking *taking)
{
	struct vhost_user_inflight wire;
	int error;

	memcpy(&wire, taking->incoming.payload, sizeof(wire));
	if (!wire.nr_queues)
		return refuse(taking, -EPROTO, "its in-flight region is empty");
	error = rh_use_inflight(&taking->device->session, &wire,
				taking->incoming.fds[0]);
	if (!error)
		return 0;
	return refuse(taking, error, "its in-flight region cannot be mapped");
}

/* MISS is a question that is asked again. */
static enum rh_queue_hold hold_of(uint32_t flags)
{
	if (flags & RH_QUEUE_UNRESOLVED)
		return RH_HOLD_UNRESOLVED;
	return (flags & RH_QUEUE_HELD_BROKEN) ? RH_HOLD_BROKEN : RH_HOLD_NONE;
}

static int take_queue(struct taking *taking)
{
	const struct rh_device_config *config = &taking->device->config;
	struct rh_handover_queue wire;
	struct rh_queue *queue;

	memcpy(&wire, taking->incoming.payload, sizeof(wire));
	if (wire.index >= config->nr_queues)
		return refuse(taking, -EPROTO, "there is no such queue");
	if (wire.size > config->max_queue_size)
		return refuse(taking, -EPROTO,
			      "a queue is larger than this device allows");
	queue = &taking->device->queues[wire.index];
	queue->enabled = wire.flags & RH_QUEUE_ENABLED;
	queue->size = wire.size;
	queue->has_base = wire.flags & RH_QUEUE_HAS_BASE;
	queue->base = wire.base;
	queue->has_last_base = wire.flags & RH_QUEUE_HAS_LAST_BASE;
	queue->last_base = wire.last_base;
	queue->is_settled = wire.flags & RH_QUEUE_SETTLED;
	queue->tell_call = wire.flags & RH_QUEUE_TELL_CALL;
	queue->tell_err = wire.flags & RH_QUEUE_TELL_ERR;
	queue->broken = wire.flags & RH_QUEUE_BROKEN;
	queue->hold = hold_of(wire.flags);
	return 0;
}

static int take_half_header(struct taking *taking)
{
	struct rh_device *device = taking->device;
	struct rh_incoming *from = &taking->incoming;
	struct rh_handover_half wire;
	struct rh_incoming *half;

	memcpy(&wire, from->payload, sizeof(wire));
	half = wire.of_channel ? &device->session.outbox.channel.answer :
				 &device->incoming;
	if (half->nr_bytes || !wire.nr_bytes ||
	    wire.nr_bytes > sizeof(wire.header) + sizeof(half->payload))
		return refuse(taking, -EPROTO, "half a message cannot be");
	half->header = wire.header;
	half->nr_bytes = MIN((size_t)wire.nr_bytes, sizeof(wire.header));
	half->nr_fds = from->nr_fds;
	for (unsigned int i = 0; i < from->nr_fds; i++)
		half->fds[i] = rh_incoming_take_fd(from, i);
	taking->half = wire.nr_bytes > half->nr_bytes ? half : NULL;
	return 0;
}

/* Less than the whole, else it would not be half a message. */
static int take_half_payload(struct taking *taking)
{
	struct rh_incoming *half = taking->half;
	uint32_t bytes = taking->incoming.header.size;

	taking->half = NULL;
	if (!half || bytes >= half->header.size)
		return refuse(taking, -EPROTO, "half a message cannot be");
	memcpy(half->payload, taking->incoming.payload, bytes);
	half->nr_bytes += bytes;
	return 0;
}

static int take_unsent(struct taking *taking)
{
	struct rh_outgoing *outgoing = &taking->device->outgoing;

	if (!rh_outgoing_empty(outgoing))
		return refuse(taking, -EPROTO, "its answers come twice");
	outgoing->begin = 0;
	outgoing->end = taking->incoming.header.size;
	memcpy(outgoing->bytes, taking->incoming.payload, outgoing->end);
	return 0;
}

static int take_unsent_fd(struct taking *taking)
{
	struct rh_outgoing *outgoing = &taking->device->outgoing;
	uint64_t at;

	memcpy(&at, taking->incoming.payload, sizeof(at));
	if (outgoing->fd >= 0 || at >= outgoing->end)
		return refuse(taking, -EPROTO, "its answer's file cannot be");
	outgoing->fd = rh_incoming_take_fd(&taking->incoming, 0);
	outgoing->fd_at = at;
	return 0;
}

static int take_object(struct taking *taking)
{
	struct rh_handover_object wire;

	memcpy(&wire, taking->incoming.payload, sizeof(wire));
	if (wire.request != VHOST_USER_BACKEND_SHARED_OBJECT_ADD &&
	    wire.request != VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE)
		return refuse(taking, -EPROTO, "that is not said of an object");
	return rh_objects_add(&taking->device->session.outbox.objects,
			      wire.request, wire.shared.uuid);
}

static int take_state(struct taking *taking)
{
	uint32_t bytes = taking->incoming.header.size;

	if (!taking->state ||
	    bytes > taking->nr_state_bytes - taking->nr_state_done)
		return refuse(taking, -EPROTO, "its state cannot be");
	memcpy(taking->state + taking->nr_state_done, taking->incoming.payload,
	       bytes);
	taking->nr_state_done += bytes;
	return 0;
}

static int take_end(struct taking *taking)
{
	const struct rh_device_config *config = &taking->device->config;

	if (taking->device->state != RH_DEVICE_IDLE && !taking->state)
		return refuse(taking, -EPROTO, "the session is not whole");
	if (taking->nr_state_done != taking->nr_state_bytes)
		return refuse(taking, -EPROTO, "its state is not whole");
	taking->has_ended = true;
	if (!taking->nr_state_bytes)
		return 0;
	if (!config->ops->state_load)
		return refuse(taking, -EPROTO,
			      "the device had a state, and this one has none");
	return config->ops->state_load(config->opaque, taking->state,
				       taking->nr_state_bytes);
}

/* What it must look like. */
struct row {
	int (*take)(struct taking *taking);
	uint32_t min_bytes;
	uint32_t max_bytes;
	unsigned int min_fds;
	unsigned int max_fds;
	bool without_session; /* it may come then, too */
};

#define BYTES(number) .min_bytes = (number), .max_bytes = (number)
#define ROW(request)  [RH_HANDOVER_##request - RH_HANDOVER_BEGIN]

static const struct row rows[RH_HANDOVER_REQUEST_END - RH_HANDOVER_BEGIN] = {
	ROW(BEGIN) = {
		.take = take_begin,
		BYTES(sizeof(struct rh_handover_begin)),
		.max_fds = 2,
		.without_session = true,
	},
	ROW(INFLIGHT) = {
		.take = take_inflight,
		BYTES(sizeof(struct vhost_user_inflight)),
		.min_fds = 1,
		.max_fds = 1,
	},
	ROW(SESSION) = {
		.take = take_session,
		BYTES(sizeof(struct rh_handover_session)),
	},
	ROW(QUEUE) = {
		.take = take_queue,
		BYTES(sizeof(struct rh_handover_queue)),
	},
	ROW(HALF_HEADER) = {
		.take = take_half_header,
		BYTES(sizeof(struct rh_handover_half)),
		.max_fds = VHOST_USER_MAX_FDS,
	},
	ROW(HALF_PAYLOAD) = {
		.take = take_half_payload,
		.min_bytes = 1,
		.max_bytes = RH_MAX_PAYLOAD_BYTES,
	},
	ROW(UNSENT) = {
		.take = take_unsent,
		.min_bytes = 1,
		.max_bytes = RH_OUTGOING_BYTES,
	},
	ROW(UNSENT_FD) = {
		.take = take_unsent_fd,
		BYTES(sizeof(uint64_t)),
		.min_fds = 1,
		.max_fds = 1,
	},
	ROW(OBJECT) = {
		.take = take_object,
		BYTES(sizeof(struct rh_handover_object)),
	},
	ROW(STATE) = {
		.take = take_state,
		.min_bytes = 1,
		.max_bytes = RH_MAX_PAYLOAD_BYTES,
	},
	ROW(END) = {
		.take = take_end,
		.without_session = true,
	},
};

static int take_own(struct taking *taking)
{
	const struct rh_incoming *incoming = &taking->incoming;
	uint32_t number = incoming->header.request - RH_HANDOVER_BEGIN;
	const struct row *row = &rows[number];

	if (number >= ARRAY_SIZE(rows))
		return refuse(taking, -EPROTO, "it is not known");
	if (incoming->header.size < row->min_bytes ||
	    incoming->header.size > row->max_bytes ||
	    incoming->nr_fds < row->min_fds || incoming->nr_fds > row->max_fds)
		return refuse(taking, -EPROTO,
			      "its size or its file descriptors are wrong");
	if (!row->without_session && taking->device->state == RH_DEVICE_IDLE)
		return refuse(taking, -EPROTO, "there is no session");
	return row->take(taking);
}

/* The others ask for something, or begin what is not handed over. */
static bool is_told(uint32_t request)
{
	switch (request) {
	case VHOST_USER_SET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_FEATURES:
	case VHOST_USER_SET_BACKEND_REQ_FD:
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_LOG_FD:
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_IOTLB_MSG:
	case VHOST_USER_SET_STATUS:
	case VHOST_USER_SET_VRING_ADDR:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
	case VHOST_USER_SET_VRING_KICK:
		return true;
	}
	return false;
}

/*
 * A message as the front-end has sent it once, with no answer now. Which
 * features it had negotiated by then, perhaps to change them since, is not
 * known.
 */
static int take_protocol(struct taking *taking)
{
	struct rh_session_state *state = &taking->device->session;
	const struct rh_session session = {
		.features = UINT64_MAX,
		.protocol_features = UINT64_MAX,
		.nr_queues = state->session.nr_queues,
	};
	struct rh_answer answer = { .fd = -1 };
	int error;

	if (!is_told(taking->incoming.header.request))
		return refuse(taking, -EPROTO, "it is none of a session's");
	if (taking->device->state == RH_DEVICE_IDLE)
		return refuse(taking, -EPROTO, "there is no session");
	error = rh_message_check(&taking->incoming, &session, &taking->why);
	if (!error)
		error = rh_handle(state, &taking->incoming, &answer,
				  &taking->why);
	rh_fd_close(&answer.fd);
	return error == -EINVAL ? -EPROTO : error;
}

static int64_t any_payload(const struct vhost_user_header *header)
{
	return header->flags == VHOST_USER_VERSION ? RH_MAX_PAYLOAD_BYTES :
						     -EPROTO;
}

/* Returns 0 or -errno. */
static int read_message(struct taking *taking, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int outcome;

	rh_incoming_reset(&taking->incoming);
	while ((outcome = rh_socket_receive(fd, &taking->incoming,
					    any_payload)) == 0) {
		if (poll(&pollfd, 1, (int)taking->device->handover_wait_msec) ==
		    0)
			return -ETIMEDOUT;
	}
	if (outcome > 0)
		return 0;
	return outcome == -ENODATA ? -ECONNRESET : outcome;
}

static int take_message(struct taking *taking)
{
	if (!taking->has_begun &&
	    taking->incoming.header.request != RH_HANDOVER_BEGIN)
		return refuse(taking, -EPROTO, "it does not begin");
	if (taking->incoming.header.request >= RH_HANDOVER_BEGIN)
		return take_own(taking);
	return take_protocol(taking);
}

static int take_over(struct taking *taking, int fd)
{
	int error = 0;

	while (!error && !taking->has_ended) {
		taking->why = NULL;
		error = read_message(taking, fd);
		if (!error)
			error = take_message(taking);
	}
	if (!error && taking->device->incoming.nr_bytes)
		rh_session_arm_timeout(taking->device);
	return error;
}

/* As it was before; whoever was told of a session hears that it is none. */
static void give_up(struct taking *taking, int error)
{
	struct rh_device *device = taking->device;
	const struct rh_device_config *config = &device->config;
	bool has_session = device->state != RH_DEVICE_IDLE;

	rh_log(RH_LOG_ERROR, device->tag,
	       "cannot take the session over, at message %u: %s",
	       taking->incoming.header.request,
	       taking->why ? taking->why : strerror(-error));
	rh_device_let_go(device);
	device->pause = RH_PAUSE_OFF;
	if (has_session && config->ops->disconnected)
		config->ops->disconnected(config->opaque, error);
}

int rh_device_take_over(struct rh_device *device, int fd)
{
	struct taking taking = { .device = device };
	int error;

	if (device->listen_fd >= 0 || device->state != RH_DEVICE_IDLE)
		return -EBUSY;
	rh_incoming_init(&taking.incoming);
	rh_device_enter(device);
	device->pause = RH_PAUSE_ON;
	rh_device_hold(device, true);
	error = take_over(&taking, fd);
	if (error)
		give_up(&taking, error);
	rh_incoming_reset(&taking.incoming);
	free(taking.state);
	rh_device_leave(device);
	return error;
}

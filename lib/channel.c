/* SPDX-License-Identifier: MIT */
/*
 * channel - messages from the back-end to the front-end
 *
 * A message is small and goes into an empty socket at once, or, where no
 * answers are asked for, until the socket is full: then the front-end does not
 * listen, and is not spoken to any more.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/channel.h"

void rh_channel_init(struct rh_channel *channel, const char *tag,
		     const struct rh_channel_owner *owner)
{
	memset(channel, 0, sizeof(*channel));
	channel->state = RH_CHANNEL_CLOSED;
	channel->fd = -1;
	channel->tag = tag;
	channel->owner = *owner;
	rh_incoming_init(&channel->answer);
	rh_outgoing_init(&channel->outgoing);
}

/*
 * A front-end may send the socket that it has sent before, on which an answer
 * is due perhaps.
 */
static bool is_same_socket(int one, int other)
{
	uint64_t cookies[2] = { 0 };
	socklen_t bytes = sizeof(cookies[0]);

	return !getsockopt(one, SOL_SOCKET, SO_COOKIE, &cookies[0], &bytes) &&
	       !getsockopt(other, SOL_SOCKET, SO_COOKIE, &cookies[1], &bytes) &&
	       cookies[0] == cookies[1];
}

static void tell_no_answer(struct rh_channel *channel, uint32_t request,
			   int error)
{
	struct rh_channel_answer answer = {
		.request = request,
		.error = error,
		.fd = -1,
	};

	channel->owner.answered(channel->owner.opaque, &answer);
}

/* The fd stays, since it may be watched. */
static void end_channel(struct rh_channel *channel, int error)
{
	enum rh_channel_state state = channel->state;

	rh_incoming_reset(&channel->answer);
	rh_outgoing_reset(&channel->outgoing);
	channel->state = RH_CHANNEL_CLOSED;
	if (state == RH_CHANNEL_WAITING)
		tell_no_answer(channel, channel->asked, error);
}

void rh_channel_open(struct rh_channel *channel, int fd)
{
	bool same = channel->fd >= 0 && is_same_socket(channel->fd, fd);

	if (same)
		rh_peerfd_close(&channel->fd);
	if (!same || channel->state == RH_CHANNEL_CLOSED) {
		rh_channel_close(channel);
		channel->state = RH_CHANNEL_OPEN;
	}
	channel->fd = fd;
}

void rh_channel_close(struct rh_channel *channel)
{
	rh_socket_close(&channel->fd);
	end_channel(channel, -ECONNRESET);
}

void rh_channel_let_go(struct rh_channel *channel)
{
	rh_fd_close(&channel->fd);
	channel->state = RH_CHANNEL_CLOSED;
	rh_incoming_reset(&channel->answer);
	rh_outgoing_reset(&channel->outgoing);
}

void rh_channel_await(struct rh_channel *channel, uint32_t asked,
		      bool brings_fd)
{
	channel->asked = asked;
	channel->brings_fd = brings_fd;
	channel->state = RH_CHANNEL_WAITING;
}

static int send_message(struct rh_channel *channel,
			const struct rh_channel_message *message)
{
	const struct vhost_user_header header = {
		.request = message->request,
		.flags =
			VHOST_USER_VERSION |
			(message->want_answer ? VHOST_USER_FLAG_NEED_REPLY : 0),
		.size = message->size,
	};
	int outcome;

	outcome = rh_outgoing_append(&channel->outgoing, &header, &message->u64,
				     message->fd);
	if (!outcome)
		outcome = rh_socket_send(channel->fd, &channel->outgoing);
	if (outcome == 1) {
		channel->asked = message->request;
		channel->brings_fd = message->brings_fd;
		if (message->want_answer)
			channel->state = RH_CHANNEL_WAITING;
		return 0;
	}
	rh_log_limited(
		&channel->limit, RH_LOG_WARNING, channel->tag,
		"front-end does not take messages from its device any more");
	outcome = outcome ? outcome : -EAGAIN;
	end_channel(channel, outcome);
	tell_no_answer(channel, message->request, outcome);
	return outcome;
}

int rh_channel_send(struct rh_channel *channel)
{
	int error = 0;

	while (!error && channel->state == RH_CHANNEL_OPEN) {
		struct rh_channel_message message = { .fd = -1 };

		if (!channel->owner.next(channel->owner.opaque, &message))
			break;
		error = send_message(channel, &message);
	}
	return error;
}

static int64_t max_answer(const struct vhost_user_header *header)
{
	const uint32_t flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;

	if ((header->flags & ~VHOST_USER_FLAG_NEED_REPLY) != flags ||
	    header->size != sizeof(uint64_t))
		return -EPROTO;
	return sizeof(uint64_t);
}

/* Returns 1 when the answer is whole, 0 when more must come, or -errno. */
static int receive_answer(struct rh_channel *channel)
{
	int outcome =
		rh_socket_receive(channel->fd, &channel->answer, max_answer);

	if (outcome <= 0)
		return outcome;
	if (channel->state != RH_CHANNEL_WAITING ||
	    channel->answer.header.request != channel->asked ||
	    channel->answer.nr_fds > (channel->brings_fd ? 1u : 0u))
		return -EPROTO;
	return 1;
}

static void pass_on_answer(struct rh_channel *channel)
{
	struct rh_channel_answer answer = {
		.request = channel->asked,
		.fd = -1,
	};

	memcpy(&answer.value, channel->answer.payload, sizeof(answer.value));
	if (channel->answer.nr_fds)
		answer.fd = rh_incoming_take_fd(&channel->answer, 0);
	rh_incoming_reset(&channel->answer);
	channel->state = RH_CHANNEL_OPEN;
	channel->owner.answered(channel->owner.opaque, &answer);
	rh_peerfd_close(&answer.fd);
}

void rh_channel_readable(struct rh_channel *channel)
{
	int outcome;

	if (channel->state == RH_CHANNEL_CLOSED)
		return;
	outcome = receive_answer(channel);
	if (outcome > 0)
		pass_on_answer(channel);
	if (outcome >= 0)
		return;
	if (outcome != -ENODATA)
		rh_log_limited(&channel->limit, RH_LOG_WARNING, channel->tag,
			       "front-end's channel for messages from its "
			       "device is closed: %s",
			       strerror(-outcome));
	end_channel(channel, outcome == -ENODATA ? -ECONNRESET : outcome);
}

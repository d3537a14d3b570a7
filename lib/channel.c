/* SPDX-License-Identifier: MIT */
/*
 * channel - messages from the back-end to the front-end
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/peerfd.h"
#include "lib/channel.h"

void rh_channel_init(struct rh_channel *channel, const char *tag)
{
	memset(channel, 0, sizeof(*channel));
	channel->state = RH_CHANNEL_CLOSED;
	channel->fd = -1;
	channel->tag = tag;
	rh_incoming_init(&channel->answer);
	rh_outgoing_init(&channel->outgoing);
}

/* A front-end may send the socket that it has sent before. */
static bool is_same_socket(int one, int other)
{
	uint64_t cookies[2] = { 0 };
	socklen_t bytes = sizeof(cookies[0]);

	return !getsockopt(one, SOL_SOCKET, SO_COOKIE, &cookies[0], &bytes) &&
	       !getsockopt(other, SOL_SOCKET, SO_COOKIE, &cookies[1], &bytes) &&
	       cookies[0] == cookies[1];
}

void rh_channel_open(struct rh_channel *channel, int fd)
{
	if (channel->fd >= 0 && is_same_socket(channel->fd, fd))
		rh_peerfd_close(&channel->fd);
	rh_channel_close(channel);
	channel->fd = fd;
	channel->state = RH_CHANNEL_OPEN;
}

void rh_channel_close(struct rh_channel *channel)
{
	rh_socket_close(&channel->fd);
	rh_incoming_reset(&channel->answer);
	rh_outgoing_reset(&channel->outgoing);
	channel->state = RH_CHANNEL_CLOSED;
}

static int send_config_change(struct rh_channel *channel, bool want_answer)
{
	const struct vhost_user_header header = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION |
			 (want_answer ? VHOST_USER_FLAG_NEED_REPLY : 0),
	};
	int outcome;

	outcome = rh_outgoing_append(&channel->outgoing, &header, NULL, -1);
	if (!outcome)
		outcome = rh_socket_send(channel->fd, &channel->outgoing);
	if (outcome == 1) {
		channel->state =
			want_answer ? RH_CHANNEL_WAITING : RH_CHANNEL_OPEN;
		return 1;
	}
	rh_log_limited(
		&channel->limit, RH_LOG_WARNING, channel->tag,
		"front-end does not take messages from its device any more");
	rh_channel_close(channel);
	return outcome ? outcome : -EAGAIN;
}

int rh_channel_config_changed(struct rh_channel *channel, bool want_answer)
{
	switch (channel->state) {
	case RH_CHANNEL_CLOSED:
		return 0;
	case RH_CHANNEL_OPEN:
		return send_config_change(channel, want_answer);
	case RH_CHANNEL_WAITING:
	case RH_CHANNEL_WAITING_MORE:
		channel->state = RH_CHANNEL_WAITING_MORE;
		return 1;
	}
	abort();
}

static int64_t max_answer(const struct vhost_user_header *header)
{
	const uint32_t flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;

	if (header->request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG ||
	    (header->flags & ~VHOST_USER_FLAG_NEED_REPLY) != flags ||
	    header->size != sizeof(uint64_t))
		return -EPROTO;
	return sizeof(uint64_t);
}

/* Returns 1 when the answer is whole, 0 when more must come, or -errno. */
static int receive_answer(struct rh_channel *channel)
{
	int outcome =
		rh_socket_receive(channel->fd, &channel->answer, max_answer);

	if (outcome > 0 && channel->answer.nr_fds)
		return -EPROTO;
	if (outcome > 0 && channel->state == RH_CHANNEL_OPEN)
		return -EPROTO; /* nothing was asked */
	return outcome;
}

void rh_channel_readable(struct rh_channel *channel)
{
	enum rh_channel_state state = channel->state;
	int outcome;

	if (state == RH_CHANNEL_CLOSED)
		return;
	outcome = receive_answer(channel);
	if (outcome == 0)
		return;
	if (outcome < 0) {
		if (outcome != -ENODATA)
			rh_log_limited(
				&channel->limit, RH_LOG_WARNING, channel->tag,
				"front-end's channel for messages from its "
				"device is closed: %s",
				strerror(-outcome));
		rh_channel_close(channel);
		return;
	}
	rh_incoming_reset(&channel->answer);
	channel->state = RH_CHANNEL_OPEN;
	if (state == RH_CHANNEL_WAITING_MORE)
		send_config_change(channel, true);
}

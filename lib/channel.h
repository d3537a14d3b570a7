/* SPDX-License-Identifier: MIT */
/*
 * channel - messages from the back-end to the front-end
 *
 * The front-end may hand over a socket for them (SET_BACKEND_REQ_FD). At most
 * one message is on its way; a change that happens meanwhile is sent when the
 * answer has come, so a front-end that never reads costs one message. One
 * that answers wrongly loses the channel; the device goes on without it.
 *
 * Control thread.
 */
#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <stdbool.h>

#include "common/log.h"
#include "lib/socket.h"

enum rh_channel_state {
	RH_CHANNEL_CLOSED,
	RH_CHANNEL_OPEN,
	RH_CHANNEL_WAITING,	 /* for the answer to a message */
	RH_CHANNEL_WAITING_MORE, /* and to send the message again after it */
};

struct rh_channel {
	enum rh_channel_state state;
	int fd; /* -1 when closed */
	const char *tag;
	struct rh_incoming answer;
	struct rh_outgoing outgoing;
	struct log_limit limit;
};

/* tag: for the log; outlives the channel. */
void rh_channel_init(struct rh_channel *channel, const char *tag);

/* Use fd from now on, and close the one before. fd: taken. */
void rh_channel_open(struct rh_channel *channel, int fd);

/* A closed channel is accepted. */
void rh_channel_close(struct rh_channel *channel);

/*
 * Send CONFIG_CHANGE_MSG. want_answer: REPLY_ACK was negotiated.
 * Returns 1 when it is sent or will be, 0 when the channel is closed, or
 * -errno when it failed and was closed.
 */
int rh_channel_config_changed(struct rh_channel *channel, bool want_answer);

/* The fd is readable: take the answer. */
void rh_channel_readable(struct rh_channel *channel);

#endif

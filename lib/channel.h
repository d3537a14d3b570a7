/* SPDX-License-Identifier: MIT */
/*
 * channel - messages from the back-end to the front-end
 *
 * The front-end may hand over a socket for them (SET_BACKEND_REQ_FD). At most
 * one message is on its way, and while it is, none is asked for: a free
 * channel asks its owner for the next one, so nothing is queued here and a
 * front-end that never reads costs one message. One that answers wrongly
 * loses the channel; the device goes on without it.
 *
 * Control thread. A channel that fails is closed but keeps its fd until
 * rh_channel_close(), since the fd may be in an epoll set.
 */
#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <stdbool.h>

#include "common/log.h"
#include "lib/socket.h"

enum rh_channel_state {
	RH_CHANNEL_CLOSED,
	RH_CHANNEL_OPEN,    /* free */
	RH_CHANNEL_WAITING, /* for the answer to a message */
};

struct rh_channel_message {
	uint32_t request; /* enum vhost_user_backend_request */
	uint32_t size;	  /* of the payload */
	union {
		uint64_t u64;
		struct vhost_user_vring_state vring_state;
		struct vhost_user_iotlb iotlb;
		struct vhost_user_shared shared;
	};
	int fd;		  /* sent along and closed; -1: none */
	bool want_answer; /* needs REPLY_ACK */
	bool brings_fd;	  /* the answer may carry one */
};

struct rh_channel_answer {
	uint32_t request; /* of the message */
	int error;	  /* 0, or -errno: there is no answer, and never will */
	uint64_t value;	  /* what the front-end says: 0 is success */
	int fd;		  /* to be taken, else it is closed; -1: none */
};

/* Whoever knows what there is to say. */
struct rh_channel_owner {
	void *opaque;
	/*
	 * The channel is free. Fill in message, which is all zero but for its
	 * fd of -1, and return true, or false when there is nothing to send.
	 */
	bool (*next)(void *opaque, struct rh_channel_message *message);
	/*
	 * The end of each message that next() gave out, but of those that want
	 * no answer and were sent. The channel is free or closed.
	 */
	void (*answered)(void *opaque, struct rh_channel_answer *answer);
};

struct rh_channel {
	enum rh_channel_state state;
	int fd; /* -1: none */
	const char *tag;
	struct rh_channel_owner owner;
	uint32_t asked; /* the message that is on its way */
	bool brings_fd;
	struct rh_incoming answer;
	struct rh_outgoing outgoing;
	struct log_limit limit;
};

/* tag: for the log; it and the owner outlive the channel. */
void rh_channel_init(struct rh_channel *channel, const char *tag,
		     const struct rh_channel_owner *owner);

/* Use fd from now on, and close the one before. fd: taken. */
void rh_channel_open(struct rh_channel *channel, int fd);

/* A closed channel is accepted. */
void rh_channel_close(struct rh_channel *channel);

/* Forget it, and leave it open for another who has it, too. Nobody is told. */
void rh_channel_let_go(struct rh_channel *channel);

/*
 * The answer to a message that somebody else has sent is due. The owner's
 * answered() is called at its end, as if next() had given it out.
 */
void rh_channel_await(struct rh_channel *channel, uint32_t asked,
		      bool brings_fd);

/*
 * Send what the owner has, as long as the channel is free. Never blocks.
 * Returns 0, or -errno when it failed and was closed.
 */
int rh_channel_send(struct rh_channel *channel);

/* The fd is readable: take the answer. */
void rh_channel_readable(struct rh_channel *channel);

#endif

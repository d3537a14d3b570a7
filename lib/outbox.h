/* SPDX-License-Identifier: MIT */
/*
 * outbox - what the device has to tell its front-end, and in which order
 *
 * Each source of messages keeps a flag for what it has to say, so nothing is
 * queued or allocated, and what happens again before it was said is said once.
 * When the channel is free the sources are asked in turn, beginning with the
 * one after the last that spoke: none waits for ever behind a busy one.
 *
 * While the device is suspended, which is when no ring is started, nothing is
 * sent (vhost-user, Suspended device state); it is kept until one is.
 *
 * A new source is a row in outbox.c. Control thread.
 */
#ifndef LIB_OUTBOX_H
#define LIB_OUTBOX_H

#include "lib/channel.h"
#include "lib/message.h"
#include "lib/miss.h"
#include "lib/objects.h"
#include "lib/queue.h"

struct rh_outbox {
	struct rh_channel channel;
	const struct rh_session *session; /* what was negotiated */
	struct rh_queue *queues;	  /* session->nr_queues, not owned */
	unsigned int turn;		  /* the source that is asked first */
	unsigned int queue_turn; /* the queue that is looked at first */
	struct rh_queue *told;	 /* whose message is on its way */
	bool config_changed;
	bool is_held; /* nothing is sent until it is not */
	struct rh_objects objects;
	unsigned int speaker;	/* the source whose message is on its way; one
				 * above all sources: none of ours */
	struct rh_miss *misses; /* nr_misses of them; not owned */
	unsigned int nr_misses;
	unsigned int asking; /* the one that question is of */
	struct vhost_user_iotlb question;
	struct log_limit limit;
};

/* Nothing is owned; all outlive the outbox. tag: for the log. */
void rh_outbox_init(struct rh_outbox *outbox, const struct rh_session *session,
		    struct rh_queue *queues,
		    const struct rh_device_config *config, const char *tag);

/* misses: what to ask for the queues, one each; outlive the outbox. */
void rh_outbox_set_misses(struct rh_outbox *outbox, struct rh_miss *misses,
			  unsigned int nr_misses);

/* Close the channel and forget what was to be said. */
void rh_outbox_reset(struct rh_outbox *outbox);

/*
 * Somebody else has sent this message over the channel, which is open, about
 * this queue if it is about one. Of what was asked for others nobody here waits
 * for the answer, which is received and forgotten.
 */
void rh_outbox_await(struct rh_outbox *outbox, uint32_t asked, bool brings_fd,
		     struct rh_queue *queue);

/*
 * Somebody else goes on with the channel, and with what was to be said but for
 * lookups of objects, which end.
 */
void rh_outbox_let_go(struct rh_outbox *outbox);

/*
 * Send what can be sent. Returns 0, or -errno when the channel failed and was
 * closed.
 */
int rh_outbox_send(struct rh_outbox *outbox);

/*
 * Say or ask something about a shared object. Returns 0, -ENOTCONN without a
 * front-end that takes it, or -ENOBUFS.
 */
int rh_outbox_object(struct rh_outbox *outbox,
		     enum vhost_user_backend_request request,
		     const uint8_t uuid[RH_UUID_BYTES]);

/*
 * Say that the configuration space has changed. Returns 1 when that is sent
 * or will be, 0 when the channel is closed, or -errno as above.
 */
int rh_outbox_config_changed(struct rh_outbox *outbox);

#endif

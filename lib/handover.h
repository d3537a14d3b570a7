/* SPDX-License-Identifier: MIT */
/*
 * handover - a session as messages that make it anew
 *
 * What the front-end has set up is told as it was told by the front-end, in
 * vhost-user's own messages, and so is checked by the same code. What these
 * cannot say has messages of ours, above all numbers of the protocol: no
 * front-end can send them, since they are understood here only. They also say
 * what the protocol's messages would be refused for now, since the front-end
 * has set other features or more memory since.
 *
 * Both ends are on one machine: byte order and alignment are the host's.
 * Control thread.
 */
#ifndef LIB_HANDOVER_H
#define LIB_HANDOVER_H

#include <stdint.h>

#include "lib/wire.h"

#define RH_HANDOVER_VERSION 1

/* In the order in which they come, with those of the protocol in between. */
enum rh_handover_request {
	RH_HANDOVER_BEGIN = 0x10000, /* and the sockets that there are */
	RH_HANDOVER_INFLIGHT,	     /* a struct vhost_user_inflight */
	RH_HANDOVER_SESSION,
	RH_HANDOVER_QUEUE, /* behind the protocol's messages about it */
	/* The beginning of a message that is half there, with its fds */
	RH_HANDOVER_HALF_HEADER,
	RH_HANDOVER_HALF_PAYLOAD, /* of the same: bytes */
	RH_HANDOVER_UNSENT,	  /* bytes that the front-end has not taken */
	RH_HANDOVER_UNSENT_FD,	  /* an fd that goes along with them */
	RH_HANDOVER_OBJECT,	  /* what there is to say of one */
	RH_HANDOVER_STATE,	  /* bytes of state_save(), a part of them */
	RH_HANDOVER_END,
	RH_HANDOVER_REQUEST_END
};

struct rh_handover_begin {
	uint32_t version;
	uint32_t nr_queues;
	uint32_t has_connection; /* its fd comes first */
	uint32_t has_listener;
};

#define RH_SESSION_NEEDS_RESET	    (1u << 0)
#define RH_SESSION_FEATURES_REFUSED (1u << 1)
#define RH_SESSION_HAS_RUN	    (1u << 2) /* on the in-flight region */
#define RH_SESSION_CONFIG_CHANGED   (1u << 3) /* to be told */
#define RH_SESSION_ASKED	    (1u << 4) /* an answer is due */
#define RH_SESSION_BRINGS_FD	    (1u << 5) /* which may carry one */
#define RH_SESSION_TRANSFERRED	    (1u << 6) /* a state, before */

struct rh_handover_session {
	uint32_t flags;
	uint32_t asked;	      /* enum vhost_user_backend_request */
	uint32_t asked_queue; /* that it is about, if it is about one */
	uint32_t nr_state_bytes;
	int32_t transfer_result; /* of the last one */
};

#define RH_QUEUE_HAS_BASE      (1u << 0)
#define RH_QUEUE_HAS_LAST_BASE (1u << 1)
#define RH_QUEUE_ENABLED       (1u << 2)
#define RH_QUEUE_BROKEN	       (1u << 3)
#define RH_QUEUE_UNRESOLVED    (1u << 4) /* RH_HOLD_... */
#define RH_QUEUE_HELD_BROKEN   (1u << 5)
#define RH_QUEUE_SETTLED       (1u << 6) /* is_settled */
#define RH_QUEUE_TELL_CALL     (1u << 7)
#define RH_QUEUE_TELL_ERR      (1u << 8)

/*
 * Size and base may have been set before the features that say what they may
 * be; that is looked at when the ring starts, so they come here.
 */
struct rh_handover_queue {
	uint32_t index;
	uint32_t flags;
	uint32_t size;
	uint32_t base;
	uint32_t last_base;
};

struct rh_handover_half {
	uint32_t of_channel; /* else of the connection */
	uint32_t nr_bytes;   /* header and payload */
	struct vhost_user_header header;
};

struct rh_handover_object {
	uint32_t request; /* VHOST_USER_BACKEND_SHARED_OBJECT_ADD or _REMOVE */
	struct vhost_user_shared shared;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * message - one row for each message of the protocol, and the checks in it
 *
 * The table says what a message must look like and when it may come; what
 * passes rh_message_check() needs no further check of size, fds, state or
 * queue index in its handler. No side effect.
 */
#ifndef LIB_MESSAGE_H
#define LIB_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/socket.h"
#include "lib/wire.h"

/* What the front-end gets back when the message asks for nothing. */
enum rh_reply_kind {
	RH_REPLY_ACK,  /* a u64, and only with NEED_REPLY */
	RH_REPLY_DATA, /* always one of the message's own kind */
};

/* Which queues must have stopped before the handler may run. */
enum rh_quiet {
	RH_QUIET_NONE,
	RH_QUIET_QUEUE, /* the one that the message names */
	RH_QUIET_ALL,
	RH_QUIET_TO_LOG,      /* those whose logging it switches (handlers.h) */
	RH_QUIET_ALL_IF_ZERO, /* all, if the payload is a u64 of 0 */
	RH_QUIET_INVALIDATION, /* all of them, if it is one of the IOTLB */
};

/* Where a message names its queue. */
enum rh_index_kind {
	RH_INDEX_NONE,
	RH_INDEX_U32,	     /* the payload's first 32 bits */
	RH_INDEX_VRING_FILE, /* the low 8 bits of a u64; bit 8: no fd */
};

struct rh_message_row {
	const char *name; /* NULL: not supported */
	uint16_t min_bytes;
	uint16_t max_bytes;
	uint8_t min_fds;
	uint8_t max_fds;
	enum rh_reply_kind reply;
	enum rh_quiet quiet;
	enum rh_index_kind index;
	uint64_t needs_protocol; /* protocol feature bits, all of them */
	uint64_t needs_features; /* feature bits, all of them */
};

/* What the checks depend on. */
struct rh_session {
	uint64_t features;	    /* accepted by the driver */
	uint64_t protocol_features; /* accepted by the front-end */
	unsigned int nr_queues;
};

/* NULL for an unknown request, or one that is not supported. */
const struct rh_message_row *rh_message_row(uint32_t request);

/* For the log; never NULL. */
const char *rh_message_name(uint32_t request);

/* For rh_socket_receive(): the bound on a message's payload, or -EPROTO. */
int64_t rh_message_max_payload(const struct vhost_user_header *header);

/*
 * Check a whole message against its row.
 *
 * Returns 0, or -errno with *why set to a phrase for the log. The message
 * was framed well in any case: the session can go on.
 */
int rh_message_check(const struct rh_incoming *incoming,
		     const struct rh_session *session, const char **why);

/* The quiet that a checked message needs: one of the first four. */
enum rh_quiet rh_message_quiet(const struct rh_incoming *incoming);

/* The queue that a checked message names. */
unsigned int rh_message_queue_index(const struct rh_incoming *incoming);

#endif

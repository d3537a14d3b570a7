/* SPDX-License-Identifier: MIT */
/*
 * session - one connection to a back-end: negotiation, and asking politely
 *
 * A session knows what was offered and what was accepted, and sends messages
 * one at a time, each to its end: with REPLY_ACK it asks for a reply and waits
 * for it. Who wants to misbehave uses fe_session_exchange() with a message of
 * his own, or session->sock with message.h.
 *
 * Functions return 0 or -errno: -EREMOTEIO when the back-end answered that it
 * refuses, -ECONNRESET when it closed the connection, -ETIMEDOUT when it did
 * not answer within session->timeout_msec, -EPROTO when the answer was not
 * one to this message. Owner: one thread.
 */
#ifndef FRONTEND_SESSION_H
#define FRONTEND_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/frontend/memory.h"
#include "tests/frontend/message.h"

struct fe_session {
	int sock;
	int timeout_msec;
	uint64_t offered_features;
	uint64_t features;
	uint64_t offered_protocol;
	uint64_t protocol;
	uint64_t nr_queues; /* of GET_QUEUE_NUM; 1 without MQ */
};

/* Nothing negotiated; sock: taken. */
void fe_session_init(struct fe_session *session, int sock);

/* Connect to path. Returns 0 or -errno; deinit is harmless after failure. */
int fe_session_connect(struct fe_session *session, const char *path);

/* Close the connection; a session of zeroes with sock -1 is accepted. */
void fe_session_deinit(struct fe_session *session);

/*
 * Negotiate as a VMM does: accept, of what is offered, the features and
 * protocol features given here, learn the number of queues, become owner.
 */
int fe_session_negotiate(struct fe_session *session, uint64_t features,
			 uint64_t protocol);

/* What few VMMs accept, though it is offered, and what is for old drivers */
#define FE_UNUSUAL_FEATURES                                                    \
	(FE_FEATURE_LOG_ALL | FE_FEATURE_PLATFORM | FE_FEATURE_PACKED |        \
	 FE_FEATURE_IN_ORDER | FE_FEATURE_NOTIFICATION_DATA |                  \
	 FE_FEATURE_RING_RESET | FE_FEATURE_NOTIFY_ON_EMPTY)
#define FE_USUAL_FEATURES (~FE_UNUSUAL_FEATURES)
#define FE_USUAL_PROTOCOL                                                      \
	(FE_PROTOCOL_MQ | FE_PROTOCOL_REPLY_ACK | FE_PROTOCOL_CONFIG |         \
	 FE_PROTOCOL_RESET_DEVICE | FE_PROTOCOL_MEM_SLOTS |                    \
	 FE_PROTOCOL_BACKEND_REQ | FE_PROTOCOL_INFLIGHT)

/*
 * Send a message that is answered by an acknowledgement at most, and wait for
 * that where REPLY_ACK was negotiated.
 */
int fe_session_exchange(struct fe_session *session, struct fe_message *message,
			const int *fds, unsigned int nr_fds);

/* Send a message and receive the reply, of the same kind, into it. */
int fe_session_query(struct fe_session *session, struct fe_message *message);

/* The messages whose payload, or whose reply's, is one number. */
int fe_session_get(struct fe_session *session, uint32_t request,
		   uint64_t *value);
int fe_session_set(struct fe_session *session, uint32_t request,
		   uint64_t value);

/* A message without payload. */
int fe_session_command(struct fe_session *session, uint32_t request);

/* A vring state message; GET_VRING_BASE is fe_session_get_base(). */
int fe_session_set_state(struct fe_session *session, uint32_t request,
			 uint32_t index, uint32_t num);
int fe_session_get_base(struct fe_session *session, uint32_t index,
			uint32_t *base);

/*
 * A vring's kick, call or error fd; -1: none, and the back-end polls the
 * ring, or does not signal.
 */
int fe_session_set_vring_fd(struct fe_session *session, uint32_t request,
			    uint32_t index, int fd);

/* Wait until all that was sent has been dealt with: ask for something. */
int fe_session_sync(struct fe_session *session);

/*
 * Read and write the configuration space. size: at most FE_MAX_CONFIG_BYTES.
 * get returns -EREMOTEIO where the back-end answers with no data.
 */
int fe_session_get_config(struct fe_session *session, uint32_t offset,
			  void *data, uint32_t size);
int fe_session_set_config(struct fe_session *session, uint32_t offset,
			  const void *data, uint32_t size);

/* Show memory in one SET_MEM_TABLE; at most FE_MAX_TABLE_REGIONS. */
int fe_session_set_table(struct fe_session *session,
			 const struct fe_memory *memory);

int fe_session_add_region(struct fe_session *session,
			  const struct fe_region *region);
int fe_session_remove_region(struct fe_session *session,
			     const struct fe_region *region);

/* Show all memory, in the way that was negotiated. */
int fe_session_set_memory(struct fe_session *session,
			  const struct fe_memory *memory);

/*
 * Give the back-end a channel of its own. Returns 0 with *ret set to our end,
 * which is the caller's.
 */
int fe_session_open_channel(struct fe_session *session, int *ret);

#endif

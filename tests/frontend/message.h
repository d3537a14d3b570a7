/* SPDX-License-Identifier: MIT */
/*
 * message - vhost-user messages from the front-end's side, good ones and bad
 *
 * Any message can be sent, with any fds, in any pieces: this room refuses
 * nothing, since its users ask how a back-end takes what it should not get.
 *
 * Functions return 0 or -errno: -ETIMEDOUT when the peer did nothing in time,
 * -ECONNRESET when it closed the connection, -EPROTO when what it sent is no
 * message. Nothing blocks longer than its time-out. Any thread.
 */
#ifndef FRONTEND_MESSAGE_H
#define FRONTEND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/frontend/wire.h"

/*
 * How long sending waits for a peer that does not read, and connecting for room
 * in its backlog: as tests do, unless a program sets it before it begins.
 */
extern int fe_send_timeout_msec;

struct fe_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
	union {
		uint64_t u64;
		struct fe_vring_state state;
		struct fe_vring_addr addr;
		struct fe_wire_table table;
		struct fe_wire_single single;
		struct fe_wire_config config;
		struct fe_wire_log log;
		struct fe_wire_iotlb iotlb;
		struct fe_wire_inflight inflight;
		struct fe_wire_transfer transfer;
		uint8_t bytes[FE_MAX_PAYLOAD_BYTES];
	} payload;
};

/* A message of the right version with this much zeroed payload. */
void fe_message_init(struct fe_message *message, uint32_t request,
		     uint32_t size);

/* A message whose payload is one number. */
void fe_message_init_u64(struct fe_message *message, uint32_t request,
			 uint64_t value);

/* Its name in the document, for reports; "unknown" for other numbers. */
const char *fe_request_name(uint32_t request);

/*
 * The bytes of the message as they go over the socket, into buffer, which
 * has room for FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES. Returns how many.
 */
size_t fe_message_encode(const struct fe_message *message, uint8_t *buffer);

/*
 * Connect to the socket at path, for which there must be room in its backlog
 * in fe_send_timeout_msec. Returns 0 with *ret set.
 */
int fe_connect(const char *path, int *ret);

/*
 * Send bytes, and with the first of them nr_fds fds, 0 to FE_MAX_SENT_FDS,
 * which stay the caller's.
 */
int fe_send_bytes(int sock, const void *bytes, size_t nr_bytes, const int *fds,
		  unsigned int nr_fds);

int fe_message_send(int sock, const struct fe_message *message, const int *fds,
		    unsigned int nr_fds);

/*
 * Receive one message. fds that came with it are put into fds, which has
 * room for *nr_fds, and *nr_fds is set to how many came; surplus ones are
 * closed. fds and nr_fds may both be NULL.
 */
int fe_message_receive(int sock, struct fe_message *message, int timeout_msec,
		       int *fds, unsigned int *nr_fds);

/* Receive exactly nr_bytes. */
int fe_receive_bytes(int sock, void *bytes, size_t nr_bytes, int timeout_msec);

/*
 * Wait for the peer to close the connection. Returns 0 when it did, -EPROTO
 * when bytes came instead, -ETIMEDOUT while it is open and silent.
 */
int fe_wait_closed(int sock, int timeout_msec);

#endif

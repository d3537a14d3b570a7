/* SPDX-License-Identifier: MIT */
/*
 * socket - whole messages with their fds over a stream socket
 *
 * The only room with sendmsg and recvmsg. A struct rh_incoming collects one
 * message, over as many calls as its bytes need, and owns the fds that came
 * with it until they are taken. Nothing blocks.
 *
 * Control thread.
 */
#ifndef LIB_SOCKET_H
#define LIB_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/wire.h"

/* Above every payload of the protocol, those of other devices included. */
#define RH_MAX_PAYLOAD_BYTES 4096

struct rh_incoming {
	struct vhost_user_header header;
	uint8_t payload[RH_MAX_PAYLOAD_BYTES]
		__attribute__((aligned(sizeof(uint64_t))));
	size_t nr_bytes; /* of header and payload together, so far */
	unsigned int nr_fds;
	int fds[VHOST_USER_MAX_FDS]; /* -1 once taken */
};

void rh_incoming_init(struct rh_incoming *incoming);

/* Close what was not taken and be ready for the next message. */
void rh_incoming_reset(struct rh_incoming *incoming);

/* Move fd number i out to the caller. */
int rh_incoming_take_fd(struct rh_incoming *incoming, unsigned int i);

/*
 * Read on.
 *
 * max_payload: called when the header is complete; returns how large the
 * payload may be, or -errno to refuse the message unread.
 *
 * Returns 1 when the message is whole, 0 when more bytes must come, or
 * -errno: -ENODATA for an end between two messages, -ECONNRESET for one
 * inside a message, -EPROTO for too many fds, for fds that did not come with
 * the header, or for a size above the bound.
 */
int rh_socket_receive(int fd, struct rh_incoming *incoming,
		      int64_t (*max_payload)(const struct vhost_user_header *));

/*
 * Close a connection with all that was not read of it, without waiting for
 * anything, and empty *fd. An empty one is accepted.
 */
void rh_socket_close(int *fd);

/*
 * Plain bytes over any stream socket. Return how many, above 0, or -errno;
 * rh_socket_get() returns 0 when the peer has closed its end.
 */
ssize_t rh_socket_put(int fd, const void *data, size_t bytes);
ssize_t rh_socket_get(int fd, void *data, size_t bytes);

/*
 * A whole message with nr_fds fds, which stay the caller's, into a socket with
 * room for it. Returns 0, -EAGAIN when the peer must read first, -ETOOMANYREFS
 * when too many fds of this user are on their way, or another -errno.
 */
int rh_socket_put_message(int fd, const struct vhost_user_header *header,
			  const void *payload, const int *fds,
			  unsigned int nr_fds);

/*
 * Bytes that wait for the peer to read. Bounded: a peer that asks and never
 * reads the answers runs into -ENOBUFS.
 */
#define RH_OUTGOING_BYTES 4096

struct rh_outgoing {
	size_t begin;
	size_t end;
	int fd;	      /* -1: none; goes with the byte at fd_at */
	size_t fd_at; /* counted as begin and end are */
	uint8_t bytes[RH_OUTGOING_BYTES];
};

void rh_outgoing_init(struct rh_outgoing *outgoing);

/* Forget what was not sent. */
void rh_outgoing_reset(struct rh_outgoing *outgoing);

/*
 * Append a message. fd: sent with its first byte and then closed, -1 for
 * none; taken in any case. Returns 0, or -ENOBUFS when there is no room for
 * the bytes, or for a second fd; then nothing was appended.
 */
int rh_outgoing_append(struct rh_outgoing *outgoing,
		       const struct vhost_user_header *header,
		       const void *payload, int fd);

static inline bool rh_outgoing_empty(const struct rh_outgoing *outgoing)
{
	return outgoing->begin == outgoing->end;
}

/*
 * Write what the socket takes. Returns 1 when all is written, 0 when the
 * peer must read first, or -errno.
 */
int rh_socket_send(int fd, struct rh_outgoing *outgoing);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * socket - whole messages with their fds over a stream socket
 *
 * A message is read in two parts, so that never more is read than belongs to
 * it: fds that come with the next message then cannot be taken for this
 * one's. The kernel hands fds over with the first byte that they were sent
 * with; a front-end sends them with the header, and so they are refused when
 * they come with anything else.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/socket.h"

/* SCM_MAX_FD of the kernel: room to see, and close, all that may come. */
#define KERNEL_MAX_FDS 253

/* More than a socket's buffer holds; one that is no stream may be endless. */
#define MAX_UNREAD 65536

void rh_incoming_init(struct rh_incoming *incoming)
{
	incoming->nr_bytes = 0;
	incoming->nr_fds = 0;
}

void rh_incoming_reset(struct rh_incoming *incoming)
{
	for (unsigned int i = 0; i < incoming->nr_fds; i++)
		rh_peerfd_close(&incoming->fds[i]);
	rh_incoming_init(incoming);
}

int rh_incoming_take_fd(struct rh_incoming *incoming, unsigned int i)
{
	return steal_fd(&incoming->fds[i]);
}

static void close_all(int *fds, size_t nr_fds)
{
	for (size_t i = 0; i < nr_fds; i++)
		rh_peerfd_close(&fds[i]);
}

/* Take the fds of one recvmsg, or close every one of them. */
static int keep_fds(struct rh_incoming *incoming, struct msghdr *message,
		    bool allowed)
{
	int fds[KERNEL_MAX_FDS];
	size_t nr_fds = 0;
	size_t nr_new;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr_new = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		nr_new = MIN(nr_new, ARRAY_SIZE(fds) - nr_fds);
		memcpy(fds + nr_fds, CMSG_DATA(cmsg), nr_new * sizeof(int));
		nr_fds += nr_new;
	}
	if ((nr_fds && !allowed) || nr_fds > VHOST_USER_MAX_FDS ||
	    (message->msg_flags & MSG_CTRUNC)) {
		close_all(fds, nr_fds);
		return -EPROTO;
	}
	if (nr_fds) {
		memcpy(incoming->fds, fds, nr_fds * sizeof(int));
		incoming->nr_fds = (unsigned int)nr_fds;
	}
	return 0;
}

/* Returns the bytes read (above 0), 0 when none are there yet, or -errno. */
static ssize_t receive_some(int fd, struct rh_incoming *incoming, void *buffer,
			    size_t bytes)
{
	union {
		char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buffer, .iov_len = bytes };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t done;
	int error;

	do {
		done = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return errno == EAGAIN ? 0 : -errno;

	error = keep_fds(incoming, &message, !incoming->nr_bytes);
	if (error)
		return error;
	if (done == 0)
		return incoming->nr_bytes ? -ECONNRESET : -ENODATA;
	return done;
}

/* The kernel would close the files in unread messages, and wait for them. */
void rh_socket_close(int *fd)
{
	struct rh_incoming unread = { .nr_bytes = 1 }; /* no fd is allowed */
	ssize_t done = 1;

	if (*fd < 0)
		return;
	shutdown(*fd, SHUT_RDWR);
	for (int i = 0; i < MAX_UNREAD && (done > 0 || done == -EPROTO); i++)
		done = receive_some(*fd, &unread, unread.payload,
				    sizeof(unread.payload));
	rh_peerfd_close(fd);
}

/* Read until nr_bytes is at least end; bytes [begin, end) go to buffer. */
static int receive_until(int fd, struct rh_incoming *incoming, void *buffer,
			 size_t begin, size_t end)
{
	while (incoming->nr_bytes < end) {
		size_t offset = incoming->nr_bytes - begin;
		ssize_t done =
			receive_some(fd, incoming, (uint8_t *)buffer + offset,
				     end - incoming->nr_bytes);

		if (done <= 0)
			return (int)done;
		incoming->nr_bytes += (size_t)done;
	}
	return 1;
}

int rh_socket_receive(int fd, struct rh_incoming *incoming,
		      int64_t (*max_payload)(const struct vhost_user_header *))
{
	const size_t header_bytes = sizeof(incoming->header);
	int64_t bound;
	int outcome;

	outcome =
		receive_until(fd, incoming, &incoming->header, 0, header_bytes);
	if (outcome <= 0)
		return outcome;

	bound = max_payload(&incoming->header);
	if (bound < 0)
		return (int)bound;
	if (incoming->header.size > bound ||
	    incoming->header.size > sizeof(incoming->payload))
		return -EPROTO;
	return receive_until(fd, incoming, incoming->payload, header_bytes,
			     header_bytes + incoming->header.size);
}

/* A stream socket takes what fits into one buffer whole, or not at all. */
int rh_socket_put_message(int fd, const struct vhost_user_header *header,
			  const void *payload, const int *fds,
			  unsigned int nr_fds)
{
	union {
		char bytes[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov[2] = {
		{ .iov_base = (void *)header, .iov_len = sizeof(*header) },
		{ .iov_base = (void *)payload, .iov_len = header->size },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t done;

	assert(nr_fds <= VHOST_USER_MAX_FDS);
	if (nr_fds) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, nr_fds * sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
	}
	do {
		done = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	return (size_t)done == sizeof(*header) + header->size ? 0 : -EIO;
}

ssize_t rh_socket_put(int fd, const void *data, size_t bytes)
{
	ssize_t done = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

	return done < 0 ? -errno : done;
}

ssize_t rh_socket_get(int fd, void *data, size_t bytes)
{
	ssize_t done = recv(fd, data, bytes, MSG_DONTWAIT);

	return done < 0 ? -errno : done;
}

void rh_outgoing_init(struct rh_outgoing *outgoing)
{
	outgoing->begin = 0;
	outgoing->end = 0;
	outgoing->fd = -1;
	outgoing->fd_at = 0;
}

void rh_outgoing_reset(struct rh_outgoing *outgoing)
{
	rh_fd_close(&outgoing->fd);
	rh_outgoing_init(outgoing);
}

int rh_outgoing_append(struct rh_outgoing *outgoing,
		       const struct vhost_user_header *header,
		       const void *payload, int fd)
{
	size_t bytes = sizeof(*header) + header->size;
	size_t waiting = outgoing->end - outgoing->begin;

	if (bytes > sizeof(outgoing->bytes) - waiting ||
	    (fd >= 0 && outgoing->fd >= 0)) {
		rh_fd_close(&fd);
		return -ENOBUFS;
	}
	if (outgoing->fd >= 0)
		outgoing->fd_at -= outgoing->begin;
	if (fd >= 0) {
		outgoing->fd = fd;
		outgoing->fd_at = waiting;
	}
	memmove(outgoing->bytes, outgoing->bytes + outgoing->begin, waiting);
	memcpy(outgoing->bytes + waiting, header, sizeof(*header));
	if (header->size)
		memcpy(outgoing->bytes + waiting + sizeof(*header), payload,
		       header->size);
	outgoing->begin = 0;
	outgoing->end = waiting + bytes;
	return 0;
}

/* The bytes before the fd's own go alone; returns how many went, or -1. */
static ssize_t send_some(int fd, struct rh_outgoing *outgoing)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = {
		.iov_base = outgoing->bytes + outgoing->begin,
		.iov_len = outgoing->end - outgoing->begin,
	};
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t done;

	if (outgoing->fd >= 0 && outgoing->begin < outgoing->fd_at) {
		iov.iov_len = outgoing->fd_at - outgoing->begin;
	} else if (outgoing->fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &outgoing->fd, sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	done = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done > 0 && message.msg_control)
		rh_fd_close(&outgoing->fd);
	return done;
}

int rh_socket_send(int fd, struct rh_outgoing *outgoing)
{
	ssize_t done;

	while (!rh_outgoing_empty(outgoing)) {
		done = send_some(fd, outgoing);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno == EAGAIN ? 0 : -errno;
		outgoing->begin += (size_t)done;
	}
	return 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * message - vhost-user messages from the front-end's side, good ones and bad
 *
 * Each call to sendmsg and recvmsg is non-blocking by flag, and poll(2) waits
 * in between, so that one socket works the same whether it is blocking or not.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/message.h"

_Static_assert(sizeof(struct fe_vring_addr) == 40, "vring address");
_Static_assert(sizeof(struct fe_wire_table) == 264, "memory regions");
_Static_assert(sizeof(struct fe_wire_single) == 40, "single region");
_Static_assert(sizeof(struct fe_wire_config) == 268, "config space");
_Static_assert(offsetof(struct fe_message, size) + 4 == FE_HEADER_BYTES,
	       "header");

int fe_send_timeout_msec = FE_PATIENCE_MSEC;

static const char *const names[] = {
	[FE_GET_FEATURES] = "GET_FEATURES",
	[FE_SET_FEATURES] = "SET_FEATURES",
	[FE_SET_OWNER] = "SET_OWNER",
	[FE_RESET_OWNER] = "RESET_OWNER",
	[FE_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[FE_SET_LOG_BASE] = "SET_LOG_BASE",
	[FE_SET_LOG_FD] = "SET_LOG_FD",
	[FE_SET_VRING_NUM] = "SET_VRING_NUM",
	[FE_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[FE_SET_VRING_BASE] = "SET_VRING_BASE",
	[FE_GET_VRING_BASE] = "GET_VRING_BASE",
	[FE_SET_VRING_KICK] = "SET_VRING_KICK",
	[FE_SET_VRING_CALL] = "SET_VRING_CALL",
	[FE_SET_VRING_ERR] = "SET_VRING_ERR",
	[FE_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[FE_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[FE_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[FE_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[FE_SEND_RARP] = "SEND_RARP",
	[FE_NET_SET_MTU] = "NET_SET_MTU",
	[FE_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[FE_IOTLB_MSG] = "IOTLB_MSG",
	[FE_SET_VRING_ENDIAN] = "SET_VRING_ENDIAN",
	[FE_GET_CONFIG] = "GET_CONFIG",
	[FE_SET_CONFIG] = "SET_CONFIG",
	[FE_CREATE_CRYPTO_SESSION] = "CREATE_CRYPTO_SESSION",
	[FE_CLOSE_CRYPTO_SESSION] = "CLOSE_CRYPTO_SESSION",
	[FE_POSTCOPY_ADVISE] = "POSTCOPY_ADVISE",
	[FE_POSTCOPY_LISTEN] = "POSTCOPY_LISTEN",
	[FE_POSTCOPY_END] = "POSTCOPY_END",
	[FE_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[FE_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	[FE_GPU_SET_SOCKET] = "GPU_SET_SOCKET",
	[FE_RESET_DEVICE] = "RESET_DEVICE",
	[FE_VRING_KICK] = "VRING_KICK",
	[FE_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
	[FE_ADD_MEM_REG] = "ADD_MEM_REG",
	[FE_REM_MEM_REG] = "REM_MEM_REG",
	[FE_SET_STATUS] = "SET_STATUS",
	[FE_GET_STATUS] = "GET_STATUS",
	[FE_GET_SHARED_OBJECT] = "GET_SHARED_OBJECT",
	[FE_SET_DEVICE_STATE_FD] = "SET_DEVICE_STATE_FD",
	[FE_CHECK_DEVICE_STATE] = "CHECK_DEVICE_STATE",
	[FE_GET_SHMEM_CONFIG] = "GET_SHMEM_CONFIG",
};

const char *fe_request_name(uint32_t request)
{
	if (request >= ARRAY_SIZE(names) || !names[request])
		return "unknown";
	return names[request];
}

void fe_message_init(struct fe_message *message, uint32_t request,
		     uint32_t size)
{
	memset(message, 0, sizeof(*message));
	message->request = request;
	message->flags = FE_FLAG_VERSION;
	message->size = size;
}

void fe_message_init_u64(struct fe_message *message, uint32_t request,
			 uint64_t value)
{
	fe_message_init(message, request, sizeof(value));
	message->payload.u64 = value;
}

size_t fe_message_encode(const struct fe_message *message, uint8_t *buffer)
{
	size_t size = MIN(message->size, (uint32_t)FE_MAX_PAYLOAD_BYTES);

	memcpy(buffer, message, FE_HEADER_BYTES);
	memcpy(buffer + FE_HEADER_BYTES, message->payload.bytes, size);
	return FE_HEADER_BYTES + size;
}

int fe_connect(const char *path, int *ret)
{
	const struct timeval timeout = {
		.tv_sec = fe_send_timeout_msec / 1000,
		.tv_usec = fe_send_timeout_msec % 1000 * 1000,
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int sock = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	/* whoever listens may have enough that he does not accept */
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	*ret = steal_fd(&sock);
	return 0;
}

/* Returns 0 when fd is ready for events, or -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int nr;

	do {
		nr = poll(&pollfd, 1, fe_remaining_msec(deadline));
	} while (nr < 0 && errno == EINTR);
	if (nr < 0)
		return -errno;
	return nr ? 0 : -ETIMEDOUT;
}

static ssize_t send_once(int sock, const struct iovec *iov, const int *fds,
			 unsigned int nr_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FE_MAX_SENT_FDS)];
	} control;
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t done;

	if (nr_fds) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
	}
	do {
		done = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

int fe_send_bytes(int sock, const void *bytes, size_t nr_bytes, const int *fds,
		  unsigned int nr_fds)
{
	uint64_t deadline = fe_deadline(fe_send_timeout_msec);
	struct iovec iov = { (void *)bytes, nr_bytes };
	ssize_t done;
	int error;

	if (nr_fds > FE_MAX_SENT_FDS)
		return -EINVAL;
	while (iov.iov_len) {
		done = send_once(sock, &iov, fds, nr_fds);
		if (done == -EAGAIN) {
			error = wait_for(sock, POLLOUT, deadline);
			if (error)
				return error;
			continue;
		}
		if (done == -EPIPE)
			return -ECONNRESET;
		if (done < 0)
			return (int)done;
		iov.iov_base = (uint8_t *)iov.iov_base + done;
		iov.iov_len -= (size_t)done;
		nr_fds = 0;
	}
	return 0;
}

int fe_message_send(int sock, const struct fe_message *message, const int *fds,
		    unsigned int nr_fds)
{
	uint8_t buffer[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];

	return fe_send_bytes(sock, buffer, fe_message_encode(message, buffer),
			     fds, nr_fds);
}

struct received_fds {
	int *fds;
	unsigned int room;
	unsigned int nr;
};

static void keep_fds(const struct cmsghdr *cmsg, struct received_fds *received)
{
	size_t nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (size_t i = 0; i < nr; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
		if (received->nr < received->room)
			received->fds[received->nr++] = fd;
		else
			close(fd);
	}
}

static ssize_t receive_once(int sock, void *bytes, size_t nr_bytes,
			    struct received_fds *received)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FE_MAX_TABLE_REGIONS)];
	} control;
	struct iovec iov = { bytes, nr_bytes };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t done;

	do {
		done = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET &&
		    cmsg->cmsg_type == SCM_RIGHTS)
			keep_fds(cmsg, received);
	return done;
}

static int receive_all(int sock, void *bytes, size_t nr_bytes,
		       uint64_t deadline, struct received_fds *received)
{
	uint8_t *position = bytes;
	ssize_t done;
	int error;

	while (nr_bytes) {
		done = receive_once(sock, position, nr_bytes, received);
		if (done == -EAGAIN) {
			error = wait_for(sock, POLLIN, deadline);
			if (error)
				return error;
			continue;
		}
		if (done == 0)
			return -ECONNRESET;
		if (done < 0)
			return (int)done;
		position += done;
		nr_bytes -= (size_t)done;
	}
	return 0;
}

int fe_receive_bytes(int sock, void *bytes, size_t nr_bytes, int timeout_msec)
{
	struct received_fds none = { NULL, 0, 0 };

	return receive_all(sock, bytes, nr_bytes, fe_deadline(timeout_msec),
			   &none);
}

int fe_message_receive(int sock, struct fe_message *message, int timeout_msec,
		       int *fds, unsigned int *nr_fds)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	struct received_fds received = { fds, nr_fds ? *nr_fds : 0, 0 };
	int error;

	memset(message, 0, sizeof(*message));
	error = receive_all(sock, message, FE_HEADER_BYTES, deadline,
			    &received);
	if (!error && message->size > FE_MAX_PAYLOAD_BYTES)
		error = -EPROTO;
	if (!error)
		error = receive_all(sock, message->payload.bytes, message->size,
				    deadline, &received);
	if (error) {
		while (received.nr)
			close(fds[--received.nr]);
		return error;
	}
	if (nr_fds)
		*nr_fds = received.nr;
	return 0;
}

int fe_wait_closed(int sock, int timeout_msec)
{
	uint8_t byte;
	int error = fe_receive_bytes(sock, &byte, 1, timeout_msec);

	if (!error)
		return -EPROTO;
	return error == -ECONNRESET ? 0 : error;
}

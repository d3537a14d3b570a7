/* SPDX-License-Identifier: MIT */
/* peer - the front-end's end of a session: its files, its messages */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/fuzz/peer.h"

#define ANSWER_FLAGS (VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY)
#define MAX_ANSWER   1024
#define MAX_ANSWERS  65536

/* What a state that is read from it has: chunks, and a rest */
#define SPARSE_READ 200000

static int reopen_read_only(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void peer_create(struct fuzz_peer *peer)
{
	int *files = peer->files;

	files[PEER_MEMORY] = rh_memfd_create("memory", PEER_MEMORY_BYTES);
	files[PEER_SMALL] = rh_memfd_create("small", PEER_SMALL_BYTES);
	for (unsigned int i = PEER_KICK; i <= PEER_FULL; i++)
		files[i] = rh_eventfd_create();
	FUZZ_CHECK(!pipe2(&files[PEER_PIPE_READ], O_CLOEXEC | O_NONBLOCK));
	files[PEER_READ_ONLY] = reopen_read_only(files[PEER_MEMORY]);
	files[PEER_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
	files[PEER_FOLDER] = open("/", O_RDONLY | O_CLOEXEC);
	files[PEER_SPARSE] = rh_memfd_create("sparse", UINT64_C(1) << 32);
	files[PEER_CHANNEL] = -1;
	files[PEER_RECORD] = -1;
	for (unsigned int i = 0; i < PEER_CHANNEL; i++)
		FUZZ_CHECK(files[i] >= 0);
	peer->fd = -1;
	peer->channel = -1;
}

/* Zeros, as many as it has in the beginning, and read from there */
static void reset_file(int fd, uint64_t bytes, uint64_t position)
{
	FUZZ_CHECK(!ftruncate(fd, 0));
	FUZZ_CHECK(!ftruncate(fd, (off_t)bytes));
	FUZZ_CHECK(lseek(fd, (off_t)position, SEEK_SET) == (off_t)position);
}

static void empty_pipe(int fd)
{
	uint8_t dropped[4096];

	while (read(fd, dropped, sizeof(dropped)) > 0)
		;
}

/* Those that were used since they were last set back */
static void reset_eventfds(const int *files)
{
	const uint64_t most = UINT64_MAX - 1;
	struct pollfd used[PEER_PIPE_READ + 1];

	for (unsigned int i = PEER_KICK; i <= PEER_PIPE_READ; i++)
		used[i] = (struct pollfd){ files[i], POLLIN | POLLOUT, 0 };
	FUZZ_CHECK(poll(used + PEER_KICK, PEER_PIPE_READ + 1 - PEER_KICK, 0) >=
		   0);
	for (unsigned int i = PEER_KICK; i < PEER_FULL; i++) {
		if (used[i].revents & POLLIN)
			rh_eventfd_drain(files[i]);
	}
	if (used[PEER_FULL].revents & POLLOUT) {
		rh_eventfd_drain(files[PEER_FULL]);
		FUZZ_CHECK(write(files[PEER_FULL], &most, sizeof(most)) > 0);
	}
	if (used[PEER_PIPE_READ].revents & POLLIN)
		empty_pipe(files[PEER_PIPE_READ]);
}

static void make_channel(struct fuzz_peer *peer)
{
	int fds[2];

	FUZZ_CHECK(!socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
	peer->channel = fds[0];
	peer->files[PEER_CHANNEL] = fds[1];
}

void peer_begin(struct fuzz_peer *peer, struct fuzz_backend *backend)
{
	peer->backend = backend;
	peer->is_mixed = false;
	peer->memory_bytes = PEER_MEMORY_BYTES;
	reset_file(peer->files[PEER_MEMORY], PEER_MEMORY_BYTES, 0);
	reset_file(peer->files[PEER_SMALL], PEER_SMALL_BYTES, 0);
	FUZZ_CHECK(!lseek(peer->files[PEER_READ_ONLY], 0, SEEK_SET));
	FUZZ_CHECK(lseek(peer->files[PEER_SPARSE], -SPARSE_READ, SEEK_END) > 0);
	reset_eventfds(peer->files);
	memset(peer->avail, 0, sizeof(peer->avail));
	peer->files[PEER_RECORD] = rh_eventfd_create();
	make_channel(peer);
	peer_connect(peer);
}

void peer_connect(struct fuzz_peer *peer)
{
	int fds[2];

	peer_disconnect(peer);
	if (!rh_device_finished(peer->backend->device))
		return; /* a queue is still to come back */
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	peer->fd = fds[0];
	peer->nr_sent = 0;
	peer->nr_answered = 0;
	peer->is_framed = true;
	FUZZ_CHECK(!rh_device_connect(peer->backend->device, fds[1]));
}

void peer_disconnect(struct fuzz_peer *peer)
{
	rh_fd_close(&peer->fd);
	backend_run(peer->backend);
}

void peer_end(struct fuzz_peer *peer)
{
	peer_disconnect(peer);
	rh_fd_close(&peer->channel);
	rh_fd_close(&peer->files[PEER_CHANNEL]);
	rh_fd_close(&peer->files[PEER_RECORD]);
}

static void keep_fds(struct fuzz_peer *peer, struct msghdr *message)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);
	int fd;

	if (!cmsg)
		return;
	FUZZ_CHECK(cmsg->cmsg_len == CMSG_LEN(sizeof(fd)));
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	rh_fd_close(&peer->files[PEER_RECORD]);
	peer->files[PEER_RECORD] = fd;
	peer->had_fd = true;
}

/* Of a socket; returns how many bytes came. */
static size_t receive(struct fuzz_peer *peer, int fd, void *to, size_t bytes)
{
	char control[CMSG_SPACE(sizeof(int) * 8)];
	struct iovec iov = { to, bytes };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t done = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (done <= 0)
		return 0;
	keep_fds(peer, &message);
	return (size_t)done;
}

static void check_answer(struct fuzz_peer *peer,
			 const struct vhost_user_header *header)
{
	FUZZ_CHECK(header->flags == ANSWER_FLAGS);
	FUZZ_CHECK(header->size <= MAX_ANSWER);
	if (!peer->is_framed)
		return;
	do {
		FUZZ_CHECK(peer->nr_answered < peer->nr_sent);
	} while (peer->sent[peer->nr_answered++] != header->request);
}

/* Returns whether there were any. */
static bool read_answers(struct fuzz_peer *peer)
{
	static uint8_t bytes[MAX_ANSWERS];
	struct vhost_user_header header;
	size_t nr = 0;
	size_t at = 0;

	if (peer->fd < 0)
		return false;
	do {
		peer->had_fd = false;
		nr += receive(peer, peer->fd, bytes + nr, sizeof(bytes) - nr);
		FUZZ_CHECK(nr < sizeof(bytes));
	} while (peer->had_fd);
	for (; at < nr; at += sizeof(header) + header.size) {
		FUZZ_CHECK(nr - at >= sizeof(header));
		memcpy(&header, bytes + at, sizeof(header));
		check_answer(peer, &header);
	}
	FUZZ_CHECK(at == nr);
	return nr;
}

static void send_bytes(struct fuzz_peer *peer, const void *data, size_t bytes,
		       const struct peer_message *with)
{
	char control[CMSG_SPACE(sizeof(int) * PEER_MAX_FDS)] = { 0 };
	struct iovec iov = { (void *)data, bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg = (struct cmsghdr *)control;

	if (with && with->nr_files) {
		message.msg_control = control;
		message.msg_controllen =
			CMSG_SPACE(sizeof(int) * with->nr_files);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * with->nr_files);
		for (unsigned int i = 0; i < with->nr_files; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int),
			       &peer->files[with->files[i]], sizeof(int));
	}
	sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void settle(struct fuzz_peer *peer)
{
	backend_run(peer->backend);
	if (read_answers(peer))
		backend_run(peer->backend);
}

void peer_send(struct fuzz_peer *peer, const struct peer_message *message)
{
	uint8_t bytes[sizeof(struct vhost_user_header) + PEER_MAX_PAYLOAD];
	const struct vhost_user_header header = { message->request,
						  message->flags,
						  message->size };
	size_t total = sizeof(header) + message->payload_bytes;
	size_t cut = MIN(message->cut, total);

	if (peer->fd < 0)
		return;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), message->payload,
	       message->payload_bytes);
	if (peer->nr_sent < PEER_MAX_SENT)
		peer->sent[peer->nr_sent++] = message->request;
	peer->is_framed &= message->size == message->payload_bytes &&
			   peer->nr_sent < PEER_MAX_SENT;
	send_bytes(peer, bytes, cut ? cut : total, message);
	for (unsigned int i = 0; i < message->nr_files; i++)
		peer->is_mixed |=
			message->files[i] == PEER_CHANNEL &&
			message->request != VHOST_USER_SET_BACKEND_REQ_FD;
	if (cut && cut < total) {
		backend_run(peer->backend);
		send_bytes(peer, bytes + cut, total - cut, NULL);
	}
	settle(peer);
}

void peer_send_raw(struct fuzz_peer *peer, const void *data, size_t bytes)
{
	if (peer->fd < 0 || !bytes)
		return;
	peer->is_framed = false;
	send_bytes(peer, data, bytes, NULL);
	settle(peer);
}

/* Right, or with other flags, another size, another value */
static void answer_one(struct fuzz_peer *peer, struct fuzz_input *in,
		       struct vhost_user_header header)
{
	struct peer_message with = { .files = { PEER_KICK } };
	struct {
		struct vhost_user_header header;
		uint64_t value;
	} answer = { .header = { header.request, ANSWER_FLAGS, 8 } };
	uint8_t how = fuzz_u8(in);
	size_t bytes = sizeof(answer.header) + sizeof(answer.value);

	if (how & 1)
		answer.value = fuzz_u8(in);
	if (how & 2)
		answer.header.flags = fuzz_u8(in);
	if (how & 4)
		answer.header.size = fuzz_u8(in);
	if (how & 8)
		with.nr_files = 1;
	if (how & 16)
		answer.header.request = fuzz_u8(in);
	if (how & 32)
		bytes = how / 64 * 7u;
	if (bytes) {
		int session = peer->fd;

		peer->fd = peer->channel;
		send_bytes(peer, &answer, bytes, &with);
		peer->fd = session;
	}
}

void peer_answer(struct fuzz_peer *peer, struct fuzz_input *in)
{
	struct vhost_user_header header;
	uint8_t payload[MAX_ANSWER];

	while (receive(peer, peer->channel, &header, sizeof(header)) ==
	       sizeof(header)) {
		if (peer->is_mixed)
			continue; /* a state, a signal: it is not framed */
		FUZZ_CHECK((header.flags & ~VHOST_USER_FLAG_NEED_REPLY) ==
			   VHOST_USER_VERSION);
		FUZZ_CHECK(header.size <= MAX_ANSWER);
		if (header.size)
			FUZZ_CHECK(receive(peer, peer->channel, payload,
					   header.size) == header.size);
		if (header.flags & VHOST_USER_FLAG_NEED_REPLY)
			answer_one(peer, in, header);
		settle(peer);
	}
}

void peer_write(struct fuzz_peer *peer, uint64_t offset, const void *data,
		size_t bytes)
{
	if (offset + bytes > peer->memory_bytes)
		return;
	FUZZ_CHECK(pwrite(peer->files[PEER_MEMORY], data, bytes,
			  (off_t)offset) == (ssize_t)bytes);
}

void peer_truncate(struct fuzz_peer *peer, uint64_t bytes)
{
	peer->memory_bytes = bytes;
	FUZZ_CHECK(!ftruncate(peer->files[PEER_MEMORY], (off_t)bytes));
}

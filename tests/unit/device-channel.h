/* SPDX-License-Identifier: MIT */
/*
 * device-channel - the front-end's end of the channel for back-end messages
 *
 * For the tests of a device-world.
 */
#ifndef TESTS_UNIT_DEVICE_CHANNEL_H
#define TESTS_UNIT_DEVICE_CHANNEL_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/device-world.h"

/* Give the device a channel; returns our end of it. */
static inline int channel_open(struct world *world)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(world_ask(world, VHOST_USER_SET_BACKEND_REQ_FD, NULL,
				   0, fds[1]),
			 0);
	close(fds[1]);
	return fds[0];
}

static inline bool channel_is_quiet(int channel)
{
	char byte;

	errno = 0;
	return recv(channel, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1 &&
	       errno == EAGAIN;
}

/* The next message: this one, with NEED_REPLY and size bytes of payload. */
static inline void channel_expect(int channel, uint32_t request, void *payload,
				  uint32_t size)
{
	struct vhost_user_header header;

	assert_int_equal(recv(channel, &header, sizeof(header), MSG_DONTWAIT),
			 sizeof(header));
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 1 | VHOST_USER_FLAG_NEED_REPLY);
	assert_int_equal(header.size, size);
	if (size)
		assert_int_equal(recv(channel, payload, size, MSG_DONTWAIT),
				 size);
}

/* fd: -1 for none. */
static inline void channel_answer(int channel, uint32_t request, uint64_t value,
				  int fd)
{
	struct vhost_user_header header = { request, 1 | VHOST_USER_FLAG_REPLY,
					    sizeof(value) };
	struct iovec iov[2] = { { &header, sizeof(header) },
				{ &value, sizeof(value) } };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(channel, &message, MSG_NOSIGNAL),
			 sizeof(header) + sizeof(value));
}

#endif

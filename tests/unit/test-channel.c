/* SPDX-License-Identifier: MIT */
/* channel - one message at a time, and what happens to each */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/channel.h"

#define REQUEST 8
#define VALUE	UINT64_C(0x1122334455667788)

struct fixture {
	struct rh_channel channel;
	int peer;
	/* what the owner will say, and how */
	unsigned int nr_to_say;
	bool want_answer;
	bool brings_fd;
	int fd;
	/* what it was told */
	unsigned int nr_asked;
	unsigned int nr_answered;
	struct rh_channel_answer last;
};

static bool next(void *opaque, struct rh_channel_message *message)
{
	struct fixture *fixture = opaque;

	fixture->nr_asked++;
	assert_int_equal(message->fd, -1);
	if (!fixture->nr_to_say)
		return false;
	fixture->nr_to_say--;
	message->request = REQUEST;
	message->u64 = VALUE;
	message->size = sizeof(message->u64);
	message->fd = fixture->fd;
	fixture->fd = -1;
	message->want_answer = fixture->want_answer;
	message->brings_fd = fixture->brings_fd;
	return true;
}

static void answered(void *opaque, struct rh_channel_answer *answer)
{
	struct fixture *fixture = opaque;

	fixture->nr_answered++;
	fixture->last = *answer;
	answer->fd = -1;
}

static void open_channel(struct fixture *fixture)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fds),
			 0);
	fixture->peer = fds[0];
	rh_channel_open(&fixture->channel, fds[1]);
}

static void begin(struct fixture *fixture, unsigned int nr_to_say)
{
	const struct rh_channel_owner owner = { fixture, next, answered };

	memset(fixture, 0, sizeof(*fixture));
	fixture->nr_to_say = nr_to_say;
	fixture->want_answer = true;
	fixture->fd = -1;
	rh_channel_init(&fixture->channel, "test", &owner);
	open_channel(fixture);
}

static void end(struct fixture *fixture)
{
	rh_fd_close(&fixture->peer);
	rh_channel_close(&fixture->channel);
}

/* Returns 0 when there is none, else 1 with the fd that came along or -1. */
static int take_message(struct fixture *fixture, uint32_t flags, int *fd)
{
	struct {
		struct vhost_user_header header;
		uint8_t payload[8];
	} message;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &message, sizeof(message) };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	const uint64_t value = VALUE;

	if (recvmsg(fixture->peer, &header, MSG_CMSG_CLOEXEC) <= 0)
		return 0;
	assert_int_equal(message.header.request, REQUEST);
	assert_int_equal(message.header.flags, flags);
	assert_int_equal(message.header.size, sizeof(value));
	assert_memory_equal(message.payload, &value, sizeof(value));
	*fd = -1;
	if (CMSG_FIRSTHDR(&header))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(*fd));
	return 1;
}

static void expect_message(struct fixture *fixture)
{
	int fd;

	assert_int_equal(
		take_message(fixture, 1 | VHOST_USER_FLAG_NEED_REPLY, &fd), 1);
	assert_int_equal(fd, -1);
}

struct reply {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	unsigned int nr_fds;
};

static const struct reply right = { REQUEST, 1 | VHOST_USER_FLAG_REPLY, 8, 0 };

static void send_reply(struct fixture *fixture, const struct reply *reply,
		       uint64_t value)
{
	struct vhost_user_header header = { reply->request, reply->flags,
					    reply->size };
	struct iovec iov[2] = { { &header, sizeof(header) },
				{ &value, sizeof(value) } };
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	const int fds[2] = { fixture->peer, fixture->peer };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	if (reply->nr_fds) {
		message.msg_control = control.bytes;
		message.msg_controllen =
			CMSG_SPACE(reply->nr_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(reply->nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds,
		       reply->nr_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fixture->peer, &message, MSG_NOSIGNAL),
			 sizeof(header) + sizeof(value));
}

static void one_message_at_a_time_waits_for_its_answer(void **state)
{
	struct fixture fixture;
	int fd;

	(void)state;
	begin(&fixture, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rh_channel_send(&fixture.channel), 0);
		assert_int_equal(rh_channel_send(&fixture.channel), 0);
		/* asked once for what is under way, and not again */
		assert_int_equal(fixture.nr_asked, i + 1);
		expect_message(&fixture);
		assert_int_equal(take_message(&fixture, 0, &fd), 0);
		send_reply(&fixture, &right, (uint64_t)i);
		rh_channel_readable(&fixture.channel);
		assert_int_equal(fixture.nr_answered, i + 1);
		assert_int_equal(fixture.last.request, REQUEST);
		assert_int_equal(fixture.last.error, 0);
		assert_int_equal(fixture.last.value, i);
		assert_int_equal(fixture.last.fd, -1);
	}
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	assert_int_equal(fixture.nr_asked, 4);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_OPEN);
	end(&fixture);
	assert_int_equal(fixture.nr_answered, 3);
}

static void messages_without_answers_go_one_after_the_other(void **state)
{
	struct fixture fixture;
	int fd;

	(void)state;
	begin(&fixture, 3);
	fixture.want_answer = false;
	fixture.fd = rh_eventfd_create();
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	assert_int_equal(take_message(&fixture, 1, &fd), 1);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take_message(&fixture, 1, &fd), 1);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(fixture.nr_answered, 0);
	/* nothing was asked, so nothing may be answered */
	send_reply(&fixture, &right, 0);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
	assert_int_equal(fixture.nr_answered, 0);
	end(&fixture);
}

/* A peer that never reads costs what its socket holds, and nobody waits. */
static void a_full_socket_closes_the_channel(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 1000000);
	fixture.want_answer = false;
	assert_int_equal(rh_channel_send(&fixture.channel), -EAGAIN);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
	assert_true(fixture.nr_to_say > 0);
	assert_int_equal(fixture.nr_answered, 1);
	assert_int_equal(fixture.last.error, -EAGAIN);
	/* closed is closed: the owner is not asked any more */
	fixture.nr_asked = 0;
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	assert_int_equal(fixture.nr_asked, 0);
	end(&fixture);
}

static void a_wrong_answer_closes_the_channel(void **state)
{
	static const struct reply wrong[] = {
		{ REQUEST + 1, 1 | VHOST_USER_FLAG_REPLY, 8, 0 },
		{ 0, 1 | VHOST_USER_FLAG_REPLY, 8, 0 },
		{ REQUEST, 1, 8, 0 },
		{ REQUEST, 2 | VHOST_USER_FLAG_REPLY, 8, 0 },
		{ REQUEST, 0x11 | VHOST_USER_FLAG_REPLY, 8, 0 },
		{ REQUEST, 1 | VHOST_USER_FLAG_REPLY, 0, 0 },
		{ REQUEST, 1 | VHOST_USER_FLAG_REPLY, 4, 0 },
		{ REQUEST, 1 | VHOST_USER_FLAG_REPLY, UINT32_MAX, 0 },
		{ REQUEST, 1 | VHOST_USER_FLAG_REPLY, 8, 1 },
	};
	struct fixture fixture;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin(&fixture, 2);
		assert_int_equal(rh_channel_send(&fixture.channel), 0);
		expect_message(&fixture);
		send_reply(&fixture, &wrong[i], 0);
		rh_channel_readable(&fixture.channel);
		assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
		assert_int_equal(fixture.nr_answered, 1);
		assert_int_equal(fixture.last.error, -EPROTO);
		end(&fixture);
		assert_int_equal(fixture.nr_answered, 1);
	}
}

static void an_answer_may_bring_one_fd_where_it_was_asked_for(void **state)
{
	struct reply reply = right;
	struct fixture fixture;

	(void)state;
	begin(&fixture, 2);
	fixture.brings_fd = true;
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	reply.nr_fds = 1;
	send_reply(&fixture, &reply, 0);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.nr_answered, 1);
	assert_true(fixture.last.fd >= 0);
	close(fixture.last.fd);

	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	reply.nr_fds = 2;
	send_reply(&fixture, &reply, 0);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
	assert_int_equal(fixture.last.error, -EPROTO);
	end(&fixture);
}

static void the_same_socket_again_changes_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 2);
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	rh_channel_open(&fixture.channel, dup(fixture.channel.fd));
	assert_int_equal(fixture.nr_answered, 0);
	expect_message(&fixture);
	send_reply(&fixture, &right, 0);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.nr_answered, 1);
	assert_int_equal(fixture.last.error, 0);
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	expect_message(&fixture);

	/* but one that has failed begins anew */
	send_reply(&fixture, &(struct reply){ 1, 1, 8, 0 }, 0);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
	fixture.nr_to_say = 1;
	rh_channel_open(&fixture.channel, dup(fixture.channel.fd));
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	expect_message(&fixture);
	end(&fixture);
}

static void what_was_asked_when_the_channel_ends_has_no_answer(void **state)
{
	struct fixture fixture;
	int first;

	(void)state;
	begin(&fixture, 3);
	/* replaced */
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	first = fixture.peer;
	open_channel(&fixture);
	assert_int_equal(fixture.nr_answered, 1);
	assert_int_equal(fixture.last.error, -ECONNRESET);
	rh_fd_close(&first);

	/* closed by the front-end */
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	rh_fd_close(&fixture.peer);
	rh_channel_readable(&fixture.channel);
	assert_int_equal(fixture.nr_answered, 2);
	assert_int_equal(fixture.channel.state, RH_CHANNEL_CLOSED);
	rh_channel_close(&fixture.channel);

	/* closed by us, and twice */
	open_channel(&fixture);
	assert_int_equal(rh_channel_send(&fixture.channel), 0);
	rh_channel_close(&fixture.channel);
	rh_channel_close(&fixture.channel);
	assert_int_equal(fixture.nr_answered, 3);
	assert_int_equal(fixture.nr_to_say, 0);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_at_a_time_waits_for_its_answer),
		cmocka_unit_test(
			messages_without_answers_go_one_after_the_other),
		cmocka_unit_test(a_full_socket_closes_the_channel),
		cmocka_unit_test(a_wrong_answer_closes_the_channel),
		cmocka_unit_test(
			an_answer_may_bring_one_fd_where_it_was_asked_for),
		cmocka_unit_test(the_same_socket_again_changes_nothing),
		cmocka_unit_test(
			what_was_asked_when_the_channel_ends_has_no_answer),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}

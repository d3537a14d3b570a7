/* SPDX-License-Identifier: MIT */
/*
 * group_messages - the framing of messages, and replies
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "check/groups.h"
#include "check/shape.h"

#define BYTE_USEC   200
#define MANY	    20
#define FLOOD	    200000
#define UNREAD_MSEC 2000
#define RANDOM_SEED UINT64_C(0x9e3779b97f4a7c15)

static void may_come_byte_by_byte(struct check *check)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	struct vm *vm = check_connect(check, NULL);
	struct fe_message message;
	size_t nr;
	int error;

	fe_message_init(&message, FE_GET_CONFIG, FE_CONFIG_HEADER_BYTES + 8);
	message.payload.config.size = 8;
	nr = fe_message_encode(&message, bytes);
	for (size_t i = 0; i < nr; i++) {
		error = fe_send_bytes(vm->session.sock, bytes + i, 1, NULL, 0);
		check_done(check, error, "send byte %zu of GET_CONFIG", i);
		usleep(BYTE_USEC);
	}
	check_done(check,
		   fe_message_receive(vm->session.sock, &message,
				      vm->session.timeout_msec, NULL, NULL),
		   "GET_CONFIG, sent byte by byte");
}

static void header_and_payload_may_come_apart(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);
	struct fe_message message;
	int fd = shape_fd(shape_of(FE_SET_MEM_TABLE), vm);

	shape_make(shape_of(FE_SET_MEM_TABLE), vm, &message);
	check_done(check,
		   fe_send_bytes(vm->session.sock, &message, FE_HEADER_BYTES,
				 &fd, 1),
		   "send the header of SET_MEM_TABLE, with its fd");
	usleep(20 * BYTE_USEC);
	check_done(check,
		   fe_send_bytes(vm->session.sock, message.payload.bytes,
				 message.size, NULL, 0),
		   "send its payload");
	check_done(check, fe_session_sync(&vm->session),
		   "GET_FEATURES after SET_MEM_TABLE in two parts");
	for (unsigned int i = 0; i < vm->nr_queues; i++)
		check_done(check,
			   fe_session_start_vring(&vm->session, &vm->vrings[i],
						  i, 0),
			   "start a ring");
	check_read(check, vm, 0);
}

static void many_may_come_in_one_write(struct check *check)
{
	uint8_t bytes[MANY * FE_HEADER_BYTES];
	struct vm *vm = check_connect(check, NULL);
	struct fe_message message;

	fe_message_init(&message, FE_GET_FEATURES, 0);
	for (unsigned int i = 0; i < MANY; i++)
		memcpy(bytes + i * FE_HEADER_BYTES, &message, FE_HEADER_BYTES);
	check_done(check,
		   fe_send_bytes(vm->session.sock, bytes, sizeof(bytes), NULL,
				 0),
		   "send %d messages", MANY);
	for (unsigned int i = 0; i < MANY; i++)
		check_done(check,
			   fe_message_receive(vm->session.sock, &message,
					      vm->session.timeout_msec, NULL,
					      NULL),
			   "reply %u of %d", i + 1, MANY);
}

static void replies_come_in_order(struct check *check)
{
	const uint32_t requests[] = { FE_GET_FEATURES, FE_GET_PROTOCOL_FEATURES,
				      FE_GET_VRING_BASE, FE_GET_FEATURES };
	struct vm *vm = check_connect(check, NULL);
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		fe_message_init(&message, requests[i],
				shape_of(requests[i])->bytes);
		check_done(check,
			   fe_message_send(vm->session.sock, &message, NULL, 0),
			   "send %s", fe_request_name(requests[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		check_done(check,
			   fe_message_receive(vm->session.sock, &message,
					      vm->session.timeout_msec, NULL,
					      NULL),
			   "the reply to %s", fe_request_name(requests[i]));
		if (message.request != requests[i])
			check_fail(check,
				   "instead of the reply to %s came one to %s",
				   fe_request_name(requests[i]),
				   fe_request_name(message.request));
	}
}

/* Send a good message of each shape and look at what comes back. */
static void ask(struct check *check, const struct shape *shape,
		uint32_t need_reply, struct fe_message *message)
{
	struct vm *vm = shape_prepare(shape, check);
	int fd = shape_fd(shape, vm);

	shape_make(shape, vm, message);
	message->flags |= need_reply;
	check_done(check,
		   fe_message_send(vm->session.sock, message, &fd,
				   shape->nr_fds),
		   "send %s", fe_request_name(shape->request));
	check_done(check,
		   fe_message_receive(vm->session.sock, message,
				      vm->session.timeout_msec, NULL, NULL),
		   "the reply to %s", fe_request_name(shape->request));
}

static void replies_are_well_formed(struct check *check)
{
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (!shapes[i].replies ||
		    !shape_is_known(&shapes[i], check->target))
			continue;
		ask(check, &shapes[i], 0, &message);
		if (message.request != shapes[i].request ||
		    message.flags != (FE_FLAG_VERSION | FE_FLAG_REPLY))
			check_fail(check,
				   "the reply to %s has request %u and flags "
				   "0x%x",
				   fe_request_name(shapes[i].request),
				   message.request, message.flags);
		if (message.size != (shapes[i].bytes ? shapes[i].bytes : 8))
			check_fail(check, "the reply to %s has %u bytes",
				   fe_request_name(shapes[i].request),
				   message.size);
	}
}

static void need_reply_is_answered_once(struct check *check)
{
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (shapes[i].replies ||
		    !shape_is_known(&shapes[i], check->target))
			continue;
		ask(check, &shapes[i], FE_FLAG_NEED_REPLY, &message);
		if (message.request != shapes[i].request || message.size != 8)
			check_fail(check,
				   "%s was acknowledged with request %u and "
				   "%u bytes",
				   fe_request_name(shapes[i].request),
				   message.request, message.size);
		if (message.payload.u64)
			check_fail(check, "%s was answered with failure %llu",
				   fe_request_name(shapes[i].request),
				   (unsigned long long)message.payload.u64);
		/* the next reply is the next message's, not a second one */
		check_done(check, fe_session_sync(&check->vm.session),
			   "GET_FEATURES after %s",
			   fe_request_name(shapes[i].request));
	}
}

static void need_reply_changes_no_reply(struct check *check)
{
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (!shapes[i].replies ||
		    !shape_is_known(&shapes[i], check->target))
			continue;
		ask(check, &shapes[i], FE_FLAG_NEED_REPLY, &message);
		if (message.size != (shapes[i].bytes ? shapes[i].bytes : 8))
			check_fail(check, "the reply to %s has %u bytes",
				   fe_request_name(shapes[i].request),
				   message.size);
		check_done(check, fe_session_sync(&check->vm.session),
			   "GET_FEATURES after %s: there was a second reply?",
			   fe_request_name(shapes[i].request));
	}
}

static void no_reply_comes_unasked(struct check *check)
{
	struct fe_message message;
	struct vm *vm;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (shapes[i].replies ||
		    !shape_is_known(&shapes[i], check->target))
			continue;
		vm = shape_prepare(&shapes[i], check);
		fd = shape_fd(&shapes[i], vm);
		shape_make(&shapes[i], vm, &message);
		check_done(check,
			   fe_message_send(vm->session.sock, &message, &fd,
					   shapes[i].nr_fds),
			   "send %s", fe_request_name(shapes[i].request));
		check_done(check, fe_session_sync(&vm->session),
			   "GET_FEATURES after %s without need_reply",
			   fe_request_name(shapes[i].request));
	}
}

static void channel_is_accepted(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	cleanup_close int end = -1;

	check_done(check, fe_session_open_channel(&vm->session, &end),
		   "SET_BACKEND_REQ_FD");
	check_read(check, vm, 0);
}

static void channel_ends_with_the_session(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	cleanup_close int end = -1;
	int timeout_msec = vm->session.timeout_msec;

	check_done(check, fe_session_open_channel(&vm->session, &end),
		   "SET_BACKEND_REQ_FD");
	vm_close(vm);
	check_done(check, fe_wait_closed(end, timeout_msec),
		   "our end of the channel, after the session");
}

static void half_a_message_does_not_stop_rings(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	check_done(check,
		   fe_send_bytes(vm->session.sock, "\1\0\0\0\1\0", 6, NULL, 0),
		   "send half a header");
	for (unsigned int i = 0; i < MANY; i++)
		check_read(check, vm, 0);
}

static void unknown_messages_are_not_acknowledged(struct check *check)
{
	const uint32_t requests[] = { 0,  19,  20,    23,	 26,
				      45, 255, 65536, UINT32_MAX };
	struct fe_message message;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		vm = check_connect(check, NULL);
		fe_message_init(&message, requests[i], 0);
		check_refused(check,
			      fe_session_exchange(&vm->session, &message, NULL,
						  0),
			      "request %u, which is none of a block device's",
			      requests[i]);
	}
}

static void wrong_versions_do_no_harm(struct check *check)
{
	const uint32_t flags[] = { 0,	      2,    3,	  1 | 4,
				   1 | 4 | 8, 0x11, 0x81, 0x80000001 };
	struct fe_message message;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		vm = check_connect(check, NULL);
		fe_message_init(&message, FE_GET_FEATURES, 0);
		message.flags = flags[i];
		check_done(check,
			   fe_message_send(vm->session.sock, &message, NULL, 0),
			   "send a message");
		check_harmless(check,
			       fe_message_receive(vm->session.sock, &message,
						  vm->session.timeout_msec,
						  NULL, NULL),
			       "GET_FEATURES with flags 0x%x", flags[i]);
	}
}

static void huge_payloads_are_not_awaited(struct check *check)
{
	const uint32_t sizes[] = { 0xffffffff, 0x80000000, 0x7fffffff, 65536 };
	struct fe_message message;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			vm = check_connect(check, NULL);
			fe_message_init(&message, shapes[i].request, sizes[k]);
			fe_send_bytes(vm->session.sock, &message,
				      FE_HEADER_BYTES, NULL, 0);
			check_harmless(
				check,
				fe_wait_closed(vm->session.sock,
					       vm->session.timeout_msec),
				"%s that announces a payload of %u bytes",
				fe_request_name(shapes[i].request), sizes[k]);
		}
	}
}

/* A message of a wrong size may be refused, or taken for what it holds. */
static void try_size(struct check *check, const struct shape *shape,
		     uint32_t size)
{
	struct vm *vm = shape_prepare(shape, check);
	int fd = shape_fd(shape, vm);
	struct fe_message message;

	shape_make(shape, vm, &message);
	message.size = size;
	check_harmless(check, shape_send(vm, &message, &fd, shape->nr_fds),
		       "%s with a payload of %u bytes instead of %u",
		       fe_request_name(shape->request), size, shape->bytes);
}

static void short_payloads_do_no_harm(struct check *check)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		for (uint32_t size = 0; size < shapes[i].bytes; size++)
			if (shape_is_known(&shapes[i], check->target))
				try_size(check, &shapes[i], size);
}

static void long_payloads_do_no_harm(struct check *check)
{
	const uint32_t surplus[] = { 1, 8, 300, 4000 };

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(surplus); k++)
			if (shape_is_known(&shapes[i], check->target))
				try_size(check, &shapes[i],
					 shapes[i].bytes + surplus[k]);
}

/* There is room for more, or comes soon; not while nobody reads. */
static bool is_read(const struct vm *vm)
{
	struct pollfd writable = {
		.fd = vm->session.sock,
		.events = POLLOUT,
	};

	return poll(&writable, 1, MIN(UNREAD_MSEC, vm->session.timeout_msec)) ==
	       1;
}

static void a_flood_without_reading_is_survived(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	struct fe_message message;
	int error = 0;

	fe_message_init(&message, FE_GET_FEATURES, 0);
	for (unsigned int i = 0; i < FLOOD && !error; i++)
		error = is_read(vm) ? fe_message_send(vm->session.sock,
						      &message, NULL, 0) :
				      -ETIMEDOUT;
	if (!error)
		check_fail(check,
			   "%d messages were taken without a reply being "
			   "read: its memory grows without bound",
			   FLOOD);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_messages_do_no_harm(struct check *check)
{
	uint64_t state = RANDOM_SEED;
	struct fe_message message;
	struct vm *vm;
	int fd;

	for (unsigned int i = 0; i < 400; i++) {
		vm = check_prepare(check, NULL);
		fd = vm->vrings[0].call_fd;
		vm->session.timeout_msec = 20;
		for (unsigned int k = 0; k < 10; k++) {
			fe_message_init(&message,
					(uint32_t)(next_random(&state) % 46),
					(uint32_t)(next_random(&state) % 80));
			for (unsigned int j = 0; j < 10; j++)
				memcpy(message.payload.bytes + 8 * j,
				       &(uint64_t){ next_random(&state) >>
						    next_random(&state) % 64 },
				       8);
			if (shape_send(vm, &message, &fd,
				       next_random(&state) % 2))
				break;
		}
	}
}

static const struct check_case cases[] = {
	{ .name = "message-may-come-byte-by-byte",
	  .section = "vhost-user: Header",
	  .promise = "a message is 12 bytes and its payload on a stream, in "
		     "whatever pieces they come",
	  .run = may_come_byte_by_byte },
	{ .name = "header-and-payload-may-come-apart",
	  .section = "vhost-user: Message Specification",
	  .promise =
		  "fds that come with the header belong to the message, also "
		  "when the payload follows later",
	  .run = header_and_payload_may_come_apart },
	{ .name = "many-messages-may-come-in-one-write",
	  .section = "vhost-user: Header",
	  .promise = "each of many messages that come at once is answered",
	  .run = many_may_come_in_one_write },
	{ .name = "replies-come-in-order",
	  .section = "vhost-user: Communication",
	  .promise = "messages are answered in the order in which they came",
	  .run = replies_come_in_order,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "replies-are-well-formed",
	  .section = "vhost-user: Header",
	  .promise = "a reply has its request's number, version 1, the reply "
		     "flag and no other, and the payload of its kind",
	  .run = replies_are_well_formed },
	{ .name = "need-reply-is-answered-once",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "a good message with need_reply is answered with 64 bits "
		     "of zero, once",
	  .run = need_reply_is_answered_once,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "need-reply-changes-no-reply",
	  .section = "vhost-user: REPLY_ACK",
	  .promise =
		  "need_reply changes nothing for a message that has a reply "
		  "of its own",
	  .run = need_reply_changes_no_reply,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "no-reply-comes-unasked",
	  .section = "vhost-user: Communication",
	  .promise = "a message without a reply of its own and without "
		     "need_reply is not answered",
	  .run = no_reply_comes_unasked },
	{ .name = "backend-channel-is-accepted",
	  .section = "vhost-user: SET_BACKEND_REQ_FD",
	  .promise = "the channel is taken, and success told",
	  .run = channel_is_accepted,
	  .protocol = FE_PROTOCOL_BACKEND_REQ },
	{ .name = "backend-channel-ends-with-the-session",
	  .section = "vhost-user: Back-end communication",
	  .promise = "the channel belongs to its session and is closed with it",
	  .run = channel_ends_with_the_session,
	  .protocol = FE_PROTOCOL_BACKEND_REQ },
	{ .name = "half-a-message-does-not-stop-rings",
	  .section = "vhost-user: Ring states",
	  .promise = "rings that are started and enabled are processed, "
		     "whatever the connection waits for",
	  .run = half_a_message_does_not_stop_rings,
	  .flags = CHECK_HOSTILE },
	{ .name = "unknown-messages-are-not-acknowledged",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "success is told of what was done only",
	  .run = unknown_messages_are_not_acknowledged,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "wrong-versions-do-no-harm",
	  .section = "vhost-user: Header",
	  .promise = "a message of another version, or with the reply flag, is "
		     "answered or ends the session",
	  .run = wrong_versions_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "huge-payloads-are-not-awaited",
	  .section = "vhost-user: Header",
	  .promise =
		  "a message that announces more than any payload holds ends "
		  "the session",
	  .run = huge_payloads_are_not_awaited,
	  .flags = CHECK_HOSTILE },
	{ .name = "short-payloads-do-no-harm",
	  .section = "vhost-user: Payload",
	  .promise = "a payload that is too short is answered or ends the "
		     "session",
	  .run = short_payloads_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "long-payloads-do-no-harm",
	  .section = "vhost-user: Payload",
	  .promise = "a payload that is too long is answered or ends the "
		     "session",
	  .run = long_payloads_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "flood-without-reading-is-survived",
	  .section = "vhost-user: Communication",
	  .promise = "a front-end that asks and never reads is stopped or cut "
		     "off",
	  .run = a_flood_without_reading_is_survived,
	  .flags = CHECK_HOSTILE },
	{ .name = "random-messages-do-no-harm",
	  .section = "vhost-user: Communication",
	  .promise = "whatever a session was sent, the next one is served",
	  .run = random_messages_do_no_harm,
	  .flags = CHECK_HOSTILE },
};

const struct check_group group_messages =
	CHECK_GROUP("messages", "framing and replies", cases);

/* SPDX-License-Identifier: MIT */
/*
 * handover - what is no session is refused, and nothing is left of it
 *
 * A whole stream is recorded once, as its messages; what is read then is that
 * one with something changed.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ringhost/log.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/handover.h"
#include "tests/unit/device-channel.h"
#include "tests/unit/handover-world.h"

#define MAX_MESSAGES 64

struct stream {
	unsigned int nr;
	struct rh_incoming messages[MAX_MESSAGES];
};

/* A session, and what was said of it */
struct source {
	struct world world;
	int channel;
	int log_fd;
	struct stream stream;
};

static struct source source;

static void be_silent(void *opaque, enum rh_log_level level, const char *tag,
		      const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
}

static int64_t any_payload(const struct vhost_user_header *header)
{
	(void)header;
	return RH_MAX_PAYLOAD_BYTES;
}

static void record(struct stream *stream, int fd)
{
	do {
		assert_true(stream->nr < MAX_MESSAGES);
		rh_incoming_init(&stream->messages[stream->nr]);
		assert_int_equal(
			rh_socket_receive(fd, &stream->messages[stream->nr],
					  any_payload),
			1);
	} while (stream->messages[stream->nr++].header.request !=
		 RH_HANDOVER_END);
}

static int save_two_pages(void *opaque, void **data, size_t *bytes)
{
	(void)opaque;
	*bytes = 8192;
	*data = calloc(1, *bytes);
	return *data ? 0 : -ENOMEM;
}

static int load_two_pages(void *opaque, const void *data, size_t bytes)
{
	(void)opaque;
	assert_non_null(data);
	assert_int_equal(bytes, 8192);
	return 0;
}

static const struct rh_device_ops *ops_with_state(void)
{
	static struct rh_device_ops ops;

	ops = world_ops;
	ops.state_save = save_two_pages;
	ops.state_load = load_two_pages;
	return &ops;
}

static void ask_for_files(struct world *world)
{
	const struct vhost_user_inflight inflight = {
		rh_inflight_bytes(WORLD_QUEUES, 64), 0, WORLD_QUEUES, 64, { 0 }
	};
	const struct vhost_user_log log = { .size_bytes = 64 };
	uint64_t value;

	source.log_fd = rh_memfd_create("log", 0x10000);
	assert_int_equal(world_ask(world, VHOST_USER_SET_INFLIGHT_FD, &inflight,
				   sizeof(inflight), source.log_fd),
			 0);
	world_tell(world, VHOST_USER_SET_LOG_BASE, &log, sizeof(log),
		   source.log_fd);
	world_run(world);
	assert_int_equal(world_take_reply(world, VHOST_USER_SET_LOG_BASE,
					  &value, sizeof(value)),
			 sizeof(value));
}

/* Paused, so that what is put there stays there */
static void leave_undone(struct rh_device *device)
{
	const struct vhost_user_header header = { VHOST_USER_GET_INFLIGHT_FD, 5,
						  0 };

	assert_int_equal(rh_outgoing_append(&device->outgoing, &header, NULL,
					    rh_eventfd_create()),
			 0);
	assert_int_equal(rh_objects_add(&device->session.outbox.objects,
					VHOST_USER_BACKEND_SHARED_OBJECT_ADD,
					(const uint8_t *)"0123456789abcdef"),
			 0);
}

/* With something of all that there can be */
static int create_source(void **state)
{
	const struct vhost_user_header half = { VHOST_USER_SET_FEATURES, 1, 8 };
	struct world *world = &source.world;
	int fds[2];

	(void)state;
	memset(&source, 0, sizeof(source));
	world_create_flags(world, ops_with_state(), RH_DEVICE_HAND_OVER);
	world_attach(world);
	world_negotiate(world);
	source.channel = channel_open(world);
	world_share_memory(world);
	ask_for_files(world);
	world_start_queue(world, 0);
	assert_int_equal(world_ask_u64(world, VHOST_USER_SET_STATUS, 3), 0);
	assert_int_equal(rh_device_config_changed(world->device), 1);
	assert_int_equal(send(world->front_end, &half, sizeof(half), 0),
			 sizeof(half));
	assert_int_equal(send(world->front_end, "x", 1, 0), 1);
	world_run(world);
	handover_pause(world);
	leave_undone(world->device);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(rh_device_hand_over(world->device, fds[0]), 0);
	record(&source.stream, fds[1]);
	close(fds[0]);
	close(fds[1]);
	rh_log_set(be_silent, NULL, RH_LOG_ERROR);
	return 0;
}

static int destroy_source(void **state)
{
	(void)state;
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	for (unsigned int i = 0; i < source.stream.nr; i++)
		rh_incoming_reset(&source.stream.messages[i]);
	close(source.channel);
	close(source.log_fd);
	rh_device_resume(source.world.device);
	world_destroy(&source.world);
	return 0;
}

/* All messages of the stream, and of some what is to be changed */
struct change {
	unsigned int at; /* which message it is about */
	unsigned int nr; /* how often it comes: 1 unless it is changed */
	unsigned int nr_fds;
	struct vhost_user_header header;
	uint8_t payload[RH_MAX_PAYLOAD_BYTES];
	int fds[VHOST_USER_MAX_FDS];
	bool is_last;
};

static struct change unchanged(unsigned int at)
{
	const struct rh_incoming *message = &source.stream.messages[at];
	struct change change = {
		.at = at,
		.nr = 1,
		.nr_fds = message->nr_fds,
		.header = message->header,
	};

	memcpy(change.payload, message->payload, message->header.size);
	memcpy(change.fds, message->fds, sizeof(change.fds));
	return change;
}

static void send_changed(const struct change *change, int fd)
{
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		const struct rh_incoming *message = &source.stream.messages[i];
		const bool is_it = change->at == i;
		unsigned int nr = is_it ? change->nr : 1;

		for (unsigned int k = 0; k < nr; k++)
			assert_int_equal(
				rh_socket_put_message(fd,
						      is_it ? &change->header :
							      &message->header,
						      is_it ? change->payload :
							      message->payload,
						      is_it ? change->fds :
							      message->fds,
						      is_it ? change->nr_fds :
							      message->nr_fds),
				0);
		if (is_it && change->is_last)
			return;
	}
}

static bool front_end_is_there(void)
{
	struct pollfd pollfd = { source.world.front_end, POLLRDHUP, 0 };

	return poll(&pollfd, 1, 0) == 0;
}

/*
 * What a device says to the bytes that wait at fd. Whatever it is, nothing is
 * left of it, and the front-end does not notice.
 */
static int take(int fd, unsigned int nr_queues)
{
	unsigned int nr_fds = handover_count_fds();
	struct world world;
	int error;

	world_create_flags(&world, ops_with_state(), RH_DEVICE_HAND_OVER);
	world.device->handover_wait_msec = 1;
	world.device->config.nr_queues = nr_queues;
	error = rh_device_take_over(world.device, fd);
	assert_int_equal(world.device->state,
			 error ? RH_DEVICE_IDLE : RH_DEVICE_READING);
	assert_int_equal(world.nr_disconnected, error ? world.nr_connected : 0);
	if (error)
		assert_int_equal(world.device->pause, RH_PAUSE_OFF);
	else
		rh_device_let_go(world.device);
	assert_true(rh_device_finished(world.device));
	world.device->config.nr_queues = WORLD_QUEUES;
	world_destroy(&world);
	assert_int_equal(handover_count_fds(), nr_fds);
	assert_true(front_end_is_there());
	return error;
}

static int take_changed(const struct change *change)
{
	int fds[2];
	int error;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	send_changed(change, fds[0]);
	rh_fd_close(&fds[0]);
	error = take(fds[1], WORLD_QUEUES);
	close(fds[1]);
	return error;
}

static bool is_one_of(uint32_t request, const uint32_t *requests,
		      unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (requests[i] == request)
			return true;
	}
	return false;
}

static void the_stream_as_it_is_is_taken(void **state)
{
	struct change change = unchanged(0);
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(take_changed(&change), 0);
	/* and has each kind of message of ours */
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		uint32_t request = source.stream.messages[i].header.request;

		if (request >= RH_HANDOVER_BEGIN)
			seen |= 1u << (request - RH_HANDOVER_BEGIN);
	}
	assert_int_equal(seen,
			 (1u << (RH_HANDOVER_REQUEST_END - RH_HANDOVER_BEGIN)) -
				 1);
}

static void no_part_of_it_is_a_session(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);

		/* it ends in front of this one, or inside it */
		change.is_last = true;
		change.nr = 0;
		assert_int_equal(take_changed(&change), -ECONNRESET);
		change.nr = 1;
		change.header.size = MAX(change.header.size, 1u) - 1;
		if (change.header.request != RH_HANDOVER_END)
			assert_true(take_changed(&change) < 0);
	}
}

static void what_may_come_once_is_refused_twice(void **state)
{
	const uint32_t once[] = {
		RH_HANDOVER_BEGIN,	 RH_HANDOVER_SESSION,
		RH_HANDOVER_HALF_HEADER, RH_HANDOVER_HALF_PAYLOAD,
		RH_HANDOVER_UNSENT,	 RH_HANDOVER_UNSENT_FD,
		RH_HANDOVER_STATE
	};

	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);
		int error;

		change.nr = 2;
		error = take_changed(&change);
		if (is_one_of(change.header.request, once, ARRAY_SIZE(once)))
			assert_int_equal(error, -EPROTO);
		else if (change.header.request != VHOST_USER_ADD_MEM_REG)
			assert_int_equal(error, 0);
	}
}

static void what_must_come_is_missed(void **state)
{
	const uint32_t must[] = { RH_HANDOVER_BEGIN,  RH_HANDOVER_SESSION,
				  RH_HANDOVER_UNSENT, RH_HANDOVER_HALF_HEADER,
				  RH_HANDOVER_STATE,  RH_HANDOVER_END };

	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);
		int error;

		change.nr = 0;
		error = take_changed(&change);
		if (is_one_of(change.header.request, must, ARRAY_SIZE(must)))
			assert_true(error < 0);
	}
}

static void a_message_of_another_size_is_refused(void **state)
{
	/* bytes, as many as there are */
	const uint32_t any[] = { RH_HANDOVER_HALF_PAYLOAD, RH_HANDOVER_UNSENT,
				 RH_HANDOVER_STATE };

	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);
		uint32_t size = change.header.size;

		change.header.size = size + 1;
		if (size < RH_MAX_PAYLOAD_BYTES &&
		    !is_one_of(change.header.request, any, ARRAY_SIZE(any)))
			assert_int_equal(take_changed(&change), -EPROTO);
		change.header.size = 0;
		if (size)
			assert_int_equal(take_changed(&change), -EPROTO);
		change.header.flags |= VHOST_USER_FLAG_REPLY;
		change.header.size = size;
		assert_int_equal(take_changed(&change), -EPROTO);
	}
}

static void a_message_without_its_files_is_refused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);

		if (!change.nr_fds)
			continue;
		change.nr_fds--;
		assert_int_equal(take_changed(&change), -EPROTO);
	}
}

static void a_message_with_files_that_it_does_not_have_is_refused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		struct change change = unchanged(i);

		/* of half a message nobody knows */
		if (change.header.request == RH_HANDOVER_HALF_HEADER)
			continue;
		for (unsigned int k = change.nr_fds; k < VHOST_USER_MAX_FDS;
		     k++)
			change.fds[k] = source.log_fd;
		change.nr_fds = VHOST_USER_MAX_FDS;
		assert_int_equal(take_changed(&change), -EPROTO);
	}
}

/* An END where it is not: what is sent then is the message itself. */
static void numbers_that_are_no_part_of_a_session_are_refused(void **state)
{
	const uint32_t numbers[] = {
		RH_HANDOVER_REQUEST_END,
		RH_HANDOVER_BEGIN + 0xffff,
		UINT32_MAX,
		VHOST_USER_NONE,
		VHOST_USER_GET_FEATURES,
		VHOST_USER_SET_OWNER,
		VHOST_USER_RESET_DEVICE,
		VHOST_USER_POSTCOPY_ADVISE,
		VHOST_USER_SET_DEVICE_STATE_FD,
		VHOST_USER_SET_VRING_NUM,
		VHOST_USER_GET_VRING_BASE,
		VHOST_USER_VRING_KICK,
		VHOST_USER_REQUEST_END,
		RH_HANDOVER_BEGIN - 1,
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct change change = unchanged(source.stream.nr - 1);

		change.header.request = numbers[i];
		assert_int_equal(take_changed(&change), -EPROTO);
	}
}

static struct change change_of(uint32_t request)
{
	unsigned int i = 0;

	while (source.stream.messages[i].header.request != request)
		i++;
	return unchanged(i);
}

static void another_version_is_refused(void **state)
{
	struct change change = change_of(RH_HANDOVER_BEGIN);

	(void)state;
	change.payload[0]++;
	assert_int_equal(take_changed(&change), -EPROTONOSUPPORT);
}

static void a_device_with_fewer_queues_refuses(void **state)
{
	struct change change = unchanged(0);
	int fds[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	send_changed(&change, fds[0]);
	assert_int_equal(take(fds[1], WORLD_QUEUES - 1), -EPROTO);
	close(fds[0]);
	close(fds[1]);
}

static void a_queue_that_is_too_large_or_not_there_is_refused(void **state)
{
	struct change change = change_of(RH_HANDOVER_QUEUE);
	struct rh_handover_queue queue;

	(void)state;
	memcpy(&queue, change.payload, sizeof(queue));
	queue.size = 512;
	memcpy(change.payload, &queue, sizeof(queue));
	assert_int_equal(take_changed(&change), -EPROTO);
	queue.size = 64;
	queue.index = WORLD_QUEUES;
	memcpy(change.payload, &queue, sizeof(queue));
	assert_int_equal(take_changed(&change), -EPROTO);
}

/* Some of it makes another session, and some none; the device lives. */
static void no_byte_of_it_is_trusted(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < source.stream.nr; i++) {
		unsigned int bytes =
			MIN(source.stream.messages[i].header.size, 40u);

		for (unsigned int k = 0; k < bytes; k++) {
			struct change change = unchanged(i);

			change.payload[k] ^= 0xff;
			take_changed(&change);
			change.payload[k] ^= 0x7f;
			take_changed(&change);
		}
	}
}

static void a_writer_that_stops_is_not_waited_for(void **state)
{
	struct change change = unchanged(source.stream.nr / 2);
	int fds[2];

	(void)state;
	change.is_last = true;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	send_changed(&change, fds[0]);
	assert_int_equal(take(fds[1], WORLD_QUEUES), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stream_as_it_is_is_taken),
		cmocka_unit_test(no_part_of_it_is_a_session),
		cmocka_unit_test(what_may_come_once_is_refused_twice),
		cmocka_unit_test(what_must_come_is_missed),
		cmocka_unit_test(a_message_of_another_size_is_refused),
		cmocka_unit_test(a_message_without_its_files_is_refused),
		cmocka_unit_test(
			a_message_with_files_that_it_does_not_have_is_refused),
		cmocka_unit_test(
			numbers_that_are_no_part_of_a_session_are_refused),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(a_device_with_fewer_queues_refuses),
		cmocka_unit_test(
			a_queue_that_is_too_large_or_not_there_is_refused),
		cmocka_unit_test(no_byte_of_it_is_trusted),
		cmocka_unit_test(a_writer_that_stops_is_not_waited_for),
	};

	return cmocka_run_group_tests_name("handover-stream", tests,
					   create_source, destroy_source);
}

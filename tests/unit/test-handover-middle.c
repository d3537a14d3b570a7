/* SPDX-License-Identifier: MIT */
/* handover - in the middle of messages, in both directions */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "tests/unit/device-channel.h"
#include "tests/unit/handover-world.h"

#define CHANGE	    VHOST_USER_BACKEND_CONFIG_CHANGE_MSG
#define VRING_CALL  VHOST_USER_BACKEND_VRING_CALL
#define HEADER	    sizeof(struct vhost_user_header)
#define MAX_ANSWERS 1000

static struct rh_queue *queue_of(struct world *world, unsigned int index)
{
	return &world->device->queues[index];
}

/* The first bytes of a message, with fd; fd: -1 for none. */
static void send_bytes(int socket, const uint8_t *bytes, size_t nr, int fd)
{
	struct iovec iov = { (void *)bytes, nr };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(socket, &message, 0), nr);
}

static void half_a_message_is_read_on_from_each_byte(void **state)
{
	struct {
		struct vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) message = {
		{ VHOST_USER_SET_VRING_CALL, 1 | VHOST_USER_FLAG_NEED_REPLY,
		  sizeof(uint64_t) },
		0,
	};
	const uint8_t *bytes = (const uint8_t *)&message;
	int call_fd = rh_eventfd_create();
	unsigned int nr_fds = handover_count_fds();
	struct world world;
	uint64_t failed;

	(void)state;
	handover_create_running(&world);
	for (size_t half = 1; half < sizeof(message); half++) {
		send_bytes(world.front_end, bytes, half, call_fd);
		world_run(&world);
		assert_int_equal(world.device->incoming.nr_bytes, half);
		handover(&world);
		assert_int_equal(world.device->incoming.nr_bytes, half);
		assert_true(world.device->timer_armed);
		send_bytes(world.front_end, bytes + half,
			   sizeof(message) - half, -1);
		world_run(&world);
		assert_int_equal(world_take_reply(&world,
						  VHOST_USER_SET_VRING_CALL,
						  &failed, sizeof(failed)),
				 sizeof(failed));
		assert_int_equal(failed, 0);
		rh_eventfd_drain(call_fd);
		rh_queue_notify(queue_of(&world, 0));
		assert_true(rh_eventfd_drain(call_fd));
	}
	world_destroy(&world);
	assert_int_equal(handover_count_fds(), nr_fds);
	close(call_fd);
}

static void a_front_end_that_stops_inside_a_message_is_closed(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	send_bytes(world.front_end, (const uint8_t *)"\1", 1, -1);
	world_run(&world);
	handover(&world);
	world_let_timer_expire(&world);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -ETIMEDOUT);
	world_destroy(&world);
}

/* More than a message holds, with all the files that it may bring */
static void half_of_the_longest_message_goes_along(void **state)
{
	struct vhost_user_memory table = { .nr_regions = 8 };
	const struct vhost_user_header header = { VHOST_USER_SET_MEM_TABLE, 1,
						  sizeof(table) };
	const size_t half = 200;
	struct world world;
	int fds[8];
	char control[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec iov[2] = { { (void *)&header, sizeof(header) },
				{ &table, half } };
	struct msghdr message = { .msg_iov = iov,
				  .msg_iovlen = 2,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	(void)state;
	handover_create_running(&world);
	for (unsigned int i = 0; i < 8; i++) {
		table.regions[i] = (struct vhost_user_region){
			i * 0x1000, 0x1000, WORLD_USER_BASE + i * 0x1000,
			i * 0x1000
		};
		fds[i] = world.memory_fd;
	}
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	assert_int_equal(sendmsg(world.front_end, &message, 0), HEADER + half);
	world_run(&world);
	handover(&world);
	assert_int_equal(world.device->incoming.nr_fds, 8);
	send_bytes(world.front_end, (const uint8_t *)&table + half,
		   sizeof(table) - half, -1);
	world_run(&world);
	assert_int_equal(world.device->session.map->nr_regions, 8);
	world_destroy(&world);
}

/* Ask until answers wait in the device; returns how many were asked for. */
static unsigned int fill_with_answers(struct world *world)
{
	const int least = 1;
	unsigned int nr = 0;

	assert_int_equal(setsockopt(world->device->connection, SOL_SOCKET,
				    SO_SNDBUF, &least, sizeof(least)),
			 0);
	do {
		world_tell(world, VHOST_USER_GET_QUEUE_NUM, NULL, 0, -1);
		world_run(world);
		assert_true(++nr < MAX_ANSWERS);
	} while (rh_outgoing_empty(&world->device->outgoing));
	return nr;
}

static void take_queue_num(struct world *world)
{
	uint64_t value = 0;

	assert_int_equal(world_take_reply(world, VHOST_USER_GET_QUEUE_NUM,
					  &value, sizeof(value)),
			 sizeof(value));
	assert_int_equal(value, WORLD_QUEUES);
	world_run(world);
}

static void answers_that_were_not_read_come_once_and_in_order(void **state)
{
	struct world world;
	unsigned int nr;

	(void)state;
	handover_create_running(&world);
	nr = fill_with_answers(&world);
	handover(&world);
	assert_false(rh_outgoing_empty(&world.device->outgoing));
	for (unsigned int i = 0; i < nr; i++)
		take_queue_num(&world);
	assert_true(rh_outgoing_empty(&world.device->outgoing));
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	world_destroy(&world);
}

/* It is noted in the device as it is there when the peer does not read. */
static void a_file_in_an_answer_that_was_not_read_comes_with_it(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_GET_INFLIGHT_FD,
						  1 | VHOST_USER_FLAG_REPLY,
						  24 };
	const uint8_t payload[24] = { 77 };
	struct rh_incoming answer;
	struct world world;
	unsigned int nr;

	(void)state;
	handover_create_running(&world);
	nr = fill_with_answers(&world);
	assert_int_equal(
		rh_outgoing_append(&world.device->outgoing, &header, payload,
				   fcntl(world.memory_fd, F_DUPFD_CLOEXEC, 0)),
		0);
	handover(&world);
	for (unsigned int i = 0; i < nr; i++)
		take_queue_num(&world);
	assert_int_equal(world_take_reply_fds(&world, &answer), 1);
	assert_int_equal(answer.payload[0], 77);
	assert_int_equal(lseek(answer.fds[0], 0, SEEK_END), WORLD_MEMORY_BYTES);
	rh_incoming_reset(&answer);
	world_destroy(&world);
}

/* It answers before it is paused; pause and message wait for the same queue. */
static void a_message_that_waits_for_queues_is_answered_once(void **state)
{
	struct vhost_user_vring_state vring = { 0 };
	struct world world;

	(void)state;
	handover_create_running(&world);
	world.slow = true;
	world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_run(&world);
	rh_device_pause(world.device);
	world_run(&world);
	assert_int_equal(world.nr_paused, 0);
	assert_int_equal(rh_device_hand_over(world.device, world.front_end),
			 -EBUSY);
	world_give_back(&world);
	assert_int_equal(world.nr_paused, 1);
	handover_paused(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	assert_int_equal(world.nr_started, 0);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	world.slow = false;
	world_destroy(&world);
}

static void an_answer_on_the_channel_is_read_on_from_each_byte(void **state)
{
	const struct {
		struct vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) answer = {
		{ CHANGE, 1 | VHOST_USER_FLAG_REPLY, sizeof(uint64_t) },
		0,
	};
	const uint8_t *bytes = (const uint8_t *)&answer;
	struct world world;
	int channel;

	(void)state;
	handover_create_running(&world);
	channel = channel_open(&world);
	for (size_t half = 0; half < sizeof(answer); half++) {
		assert_int_equal(rh_device_config_changed(world.device), 1);
		channel_expect(channel, CHANGE, NULL, 0);
		if (half)
			send_bytes(channel, bytes, half, -1);
		world_run(&world);
		handover(&world);
		/* which is not said before the answer is there */
		assert_int_equal(rh_device_config_changed(world.device), 1);
		assert_true(channel_is_quiet(channel));
		handover(&world);
		send_bytes(channel, bytes + half, sizeof(answer) - half, -1);
		world_run(&world);
		channel_expect(channel, CHANGE, NULL, 0);
		send_bytes(channel, bytes, sizeof(answer), -1);
		world_run(&world);
		assert_true(channel_is_quiet(channel));
	}
	close(channel);
	world_destroy(&world);
}

/* vhost-user, Suspended device state */
static void a_change_that_waits_for_a_ring_is_told_then(void **state)
{
	struct world world;
	int channel;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	world_share_memory(&world);
	channel = channel_open(&world);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	handover(&world);
	assert_true(channel_is_quiet(channel));
	world_start_queue(&world, 0);
	channel_expect(channel, CHANGE, NULL, 0);
	close(channel);
	world_destroy(&world);
}

/* Queue 0 runs, without any fd from the front-end; returns the channel. */
static int create_inband(struct world *world)
{
	uint64_t protocol;
	int channel;

	handover_create(world);
	world_attach(world);
	world_negotiate(world);
	protocol = world_get_u64(world, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(world_ask_u64(world, VHOST_USER_SET_PROTOCOL_FEATURES,
				       protocol),
			 0);
	world_share_memory(world);
	channel = channel_open(world);
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_NUM, 0, 64), 0);
	assert_int_equal(world_set_addr(world, 0), 0);
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	assert_int_equal(world_ask_state(world, VHOST_USER_VRING_KICK, 0, 0),
			 0);
	assert_int_equal(world->nr_started, 1);
	return channel;
}

static void expect_call(struct world *world, int channel, uint64_t failed)
{
	struct vhost_user_vring_state vring;

	channel_expect(channel, VRING_CALL, &vring, sizeof(vring));
	assert_int_equal(vring.index, 0);
	channel_answer(channel, VRING_CALL, failed, -1);
	world_run(world);
}

/* vhost-user, In-band notifications */
static void kicks_and_calls_that_are_messages_go_on(void **state)
{
	struct world world;
	int channel = create_inband(&world);

	(void)state;
	/* a kick that the owner has not seen, a call that nobody has told */
	rh_queue_notify(queue_of(&world, 0));
	rh_device_pause(world.device);
	handover_paused(&world);
	assert_int_equal(world.nr_started, 1);
	assert_true(rh_eventfd_drain(rh_queue_kick_fd(queue_of(&world, 0))));
	expect_call(&world, channel, 0);
	assert_true(channel_is_quiet(channel));
	assert_int_equal(world_ask_state(&world, VHOST_USER_VRING_KICK, 0, 0),
			 0);
	assert_true(rh_eventfd_drain(rh_queue_kick_fd(queue_of(&world, 0))));
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	expect_call(&world, channel, 0);
	close(channel);
	world_destroy(&world);
}

/* One that was told is not told again, unless the channel then fails. */
static void a_call_on_its_way_is_told_once(void **state)
{
	struct vhost_user_vring_state vring;
	struct world world;
	int channel = create_inband(&world);

	(void)state;
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	handover(&world);
	expect_call(&world, channel, 0);
	assert_true(channel_is_quiet(channel));
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	channel_expect(channel, VRING_CALL, &vring, sizeof(vring));
	handover(&world);
	close(channel);
	world_run(&world);
	channel = channel_open(&world);
	expect_call(&world, channel, 0);
	close(channel);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_a_message_is_read_on_from_each_byte),
		cmocka_unit_test(
			a_front_end_that_stops_inside_a_message_is_closed),
		cmocka_unit_test(half_of_the_longest_message_goes_along),
		cmocka_unit_test(
			answers_that_were_not_read_come_once_and_in_order),
		cmocka_unit_test(
			a_file_in_an_answer_that_was_not_read_comes_with_it),
		cmocka_unit_test(
			a_message_that_waits_for_queues_is_answered_once),
		cmocka_unit_test(
			an_answer_on_the_channel_is_read_on_from_each_byte),
		cmocka_unit_test(a_change_that_waits_for_a_ring_is_told_then),
		cmocka_unit_test(kicks_and_calls_that_are_messages_go_on),
		cmocka_unit_test(a_call_on_its_way_is_told_once),
	};

	return cmocka_run_group_tests_name("handover-middle", tests, NULL,
					   NULL);
}

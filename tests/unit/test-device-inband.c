/* SPDX-License-Identifier: MIT */
/* device - kicks, calls and errors that are messages */
#include <dirent.h>
#include <sys/mman.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "tests/unit/device-channel.h"

#define INBAND	    FEATURE_BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS)
#define REPLY_ACK   FEATURE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)
#define BACKEND_REQ FEATURE_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ)

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static struct rh_queue *queue_of(struct world *world, unsigned int index)
{
	return &world->device->queues[index];
}

static uint64_t kick(struct world *world, uint32_t index)
{
	return world_ask_state(world, VHOST_USER_VRING_KICK, index, 0);
}

/* All but a kick. */
static void set_up_queue(struct world *world, uint32_t index)
{
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_NUM, index, 64), 0);
	assert_int_equal(world_set_addr(world, index), 0);
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_BASE, index, 0), 0);
	assert_int_equal(world_ask_state(world, VHOST_USER_SET_VRING_ENABLE,
					 index, 1),
			 0);
}

static void negotiate(struct world *world)
{
	uint64_t protocol;

	world_negotiate(world);
	protocol = world_get_u64(world, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_true(protocol & INBAND);
	assert_int_equal(world_ask_u64(world, VHOST_USER_SET_PROTOCOL_FEATURES,
				       protocol),
			 0);
}

/* Queue 0 runs, without any fd from the front-end; returns the channel. */
static int create_running(struct world *world)
{
	world_create(world);
	world_attach(world);
	negotiate(world);
	world_share_memory(world);
	set_up_queue(world, 0);
	assert_int_equal(world->nr_started, 0);
	assert_int_equal(kick(world, 0), 0);
	assert_int_equal(world->nr_started, 1);
	return channel_open(world);
}

static uint32_t expect_vring(int channel, uint32_t request)
{
	struct vhost_user_vring_state vring;

	channel_expect(channel, request, &vring, sizeof(vring));
	assert_int_equal(vring.num, 0);
	return vring.index;
}

static void expect_call(int channel, uint32_t index)
{
	assert_int_equal(expect_vring(channel, VHOST_USER_BACKEND_VRING_CALL),
			 index);
}

static void answer_call(struct world *world, int channel)
{
	channel_answer(channel, VHOST_USER_BACKEND_VRING_CALL, 0, -1);
	world_run(world);
}

static uint64_t set_vring_fd(struct world *world, uint32_t request, int fd)
{
	uint64_t value = fd < 0 ? VHOST_USER_VRING_NOFD : 0;

	return world_ask(world, request, &value, sizeof(value), fd);
}

/* vhost-user, In-band notifications */
static void it_is_refused_without_the_features_it_needs(void **state)
{
	const uint64_t bad[] = { INBAND, INBAND | REPLY_ACK,
				 INBAND | BACKEND_REQ };
	struct world world;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		world_create(&world);
		world_attach(&world);
		world_tell(&world, VHOST_USER_SET_PROTOCOL_FEATURES, &bad[i],
			   sizeof(bad[i]), -1);
		world_run(&world);
		assert_int_equal(world.nr_disconnected, 1);
		assert_int_equal(world.last_error, -EPROTO);
		world_destroy(&world);
	}
	world_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_PROTOCOL_FEATURES,
				       INBAND),
			 1);
	assert_int_equal(kick(&world, 0), 1);
	world_destroy(&world);
}

/* vhost-user, Ring states */
static void a_kick_starts_a_ring_and_is_seen_on_its_kick_fd(void **state)
{
	struct world world;
	int channel = create_running(&world);
	struct rh_queue *queue = queue_of(&world, 0);
	int fd = rh_queue_kick_fd(queue);

	(void)state;
	assert_true(fd >= 0);
	assert_true(rh_eventfd_drain(fd));
	assert_false(rh_eventfd_drain(fd));
	/* a flood of kicks is one number in one file */
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(kick(&world, 0), 0);
	assert_true(rh_eventfd_drain(fd));
	assert_false(rh_eventfd_drain(fd));
	assert_int_equal(world.nr_started, 1);

	/* GET_VRING_BASE stops it, the next kick starts it */
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	world_tell(&world, VHOST_USER_GET_VRING_BASE,
		   &(struct vhost_user_vring_state){ 0 }, 8, -1);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &(struct vhost_user_vring_state){ 0 },
					  8),
			 8);
	assert_false(rh_queue_running(queue));
	assert_int_equal(kick(&world, 0), 0);
	assert_true(rh_queue_running(queue));
	close(channel);
	world_destroy(&world);
}

static void a_kick_fd_of_the_front_end_is_used_for_kicks_too(void **state)
{
	struct world world;
	int channel = create_running(&world);
	int fd = rh_eventfd_create();

	(void)state;
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_KICK, fd),
			 0);
	assert_int_equal(kick(&world, 0), 0);
	assert_true(rh_eventfd_drain(fd));
	/* one that is polled needs none */
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_KICK, -1),
			 0);
	assert_int_equal(rh_queue_kick_fd(queue_of(&world, 0)), -1);
	assert_int_equal(kick(&world, 0), 0);
	close(fd);
	close(channel);
	world_destroy(&world);
}

/* F-04 */
static void a_kick_of_nothing_is_refused(void **state)
{
	struct world world;
	int channel = create_running(&world);

	(void)state;
	assert_int_equal(kick(&world, WORLD_QUEUES), 1);
	assert_int_equal(kick(&world, UINT32_MAX), 1);
	assert_int_equal(world_ask_state(&world, VHOST_USER_VRING_KICK, 0, 1),
			 1);
	/* before the ring is set up it is only noted */
	assert_int_equal(kick(&world, 1), 0);
	assert_int_equal(world.nr_started, 1);
	set_up_queue(&world, 1);
	assert_int_equal(world.nr_started, 2);
	close(channel);
	world_destroy(&world);
}

static void many_calls_are_one_message_at_a_time(void **state)
{
	struct world world;
	int channel = create_running(&world);
	struct rh_queue *queue = queue_of(&world, 0);

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		rh_queue_notify(queue);
	world_run(&world);
	expect_call(channel, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		rh_queue_notify(queue);
		world_run(&world);
	}
	assert_true(channel_is_quiet(channel));
	answer_call(&world, channel);
	expect_call(channel, 0);
	answer_call(&world, channel);
	assert_true(channel_is_quiet(channel));
	close(channel);
	world_destroy(&world);
}

static void a_queue_that_breaks_is_told(void **state)
{
	struct world world;
	int channel = create_running(&world);

	(void)state;
	rh_queue_fail(queue_of(&world, 0), "the test says so");
	world_run(&world);
	assert_int_equal(expect_vring(channel, VHOST_USER_BACKEND_VRING_ERR),
			 0);
	channel_answer(channel, VHOST_USER_BACKEND_VRING_ERR, 0, -1);
	/* and one that cannot even start */
	set_up_queue(&world, 1);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_VRING_ADDR,
				   &(struct vhost_user_vring_addr){ 1 }, 40,
				   -1),
			 0);
	assert_int_equal(kick(&world, 1), 0);
	world_run(&world);
	assert_int_equal(expect_vring(channel, VHOST_USER_BACKEND_VRING_ERR),
			 1);
	close(channel);
	world_destroy(&world);
}

static void an_fd_is_preferred_and_none_means_silence(void **state)
{
	struct world world;
	int channel = create_running(&world);
	struct rh_queue *queue = queue_of(&world, 0);
	int call_fd = rh_eventfd_create();
	int err_fd = rh_eventfd_create();

	(void)state;
	assert_int_equal(
		set_vring_fd(&world, VHOST_USER_SET_VRING_CALL, call_fd), 0);
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_ERR, err_fd),
			 0);
	assert_true(rh_eventfd_drain(call_fd));
	rh_queue_notify(queue);
	world_run(&world);
	assert_true(rh_eventfd_drain(call_fd));
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_CALL, -1),
			 0);
	rh_queue_notify(queue);
	rh_queue_fail(queue, "the test says so");
	world_run(&world);
	assert_false(rh_eventfd_drain(call_fd));
	assert_true(rh_eventfd_drain(err_fd));
	assert_true(channel_is_quiet(channel));
	close(call_fd);
	close(err_fd);
	close(channel);
	world_destroy(&world);
}

/* With an eventfd, too, the call comes before the answer. */
static void
the_last_call_comes_before_the_ring_is_said_to_be_stopped(void **state)
{
	struct vhost_user_vring_state vring = { 0 };
	struct world world;
	int channel = create_running(&world);

	(void)state;
	world.slow = true;
	world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_run(&world);
	assert_true(channel_is_quiet(channel));
	rh_queue_notify(queue_of(&world, 0));
	rh_queue_stopped(world.stopping[0]);
	/* one turn, in which both are seen */
	assert_int_equal(rh_device_run(world.device), 0);
	expect_call(channel, 0);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	close(channel);
	world_destroy(&world);
}

/* vhost-user, Suspended device state */
static void a_suspended_device_says_nothing(void **state)
{
	struct world world;
	int channel;

	(void)state;
	world_create(&world);
	world_attach(&world);
	negotiate(&world);
	world_share_memory(&world);
	channel = channel_open(&world);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	world_run(&world);
	assert_true(channel_is_quiet(channel));
	set_up_queue(&world, 0);
	assert_int_equal(kick(&world, 0), 0);
	channel_expect(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, NULL, 0);
	close(channel);
	world_destroy(&world);
}

static void no_queue_waits_behind_a_busy_one(void **state)
{
	unsigned int nr_calls[WORLD_QUEUES] = { 0 };
	unsigned int nr_changes = 0;
	struct world world;
	int channel = create_running(&world);

	(void)state;
	for (uint32_t i = 1; i < WORLD_QUEUES; i++) {
		set_up_queue(&world, i);
		assert_int_equal(kick(&world, i), 0);
	}
	for (unsigned int i = 0; i < 5 * (WORLD_QUEUES + 1); i++) {
		struct {
			struct vhost_user_header header;
			struct vhost_user_vring_state vring;
		} message;

		rh_device_config_changed(world.device);
		for (uint32_t k = 0; k < WORLD_QUEUES; k++)
			rh_queue_notify(queue_of(&world, k));
		world_run(&world);
		assert_true(recv(channel, &message, sizeof(message),
				 MSG_DONTWAIT) > 0);
		if (message.header.size)
			nr_calls[message.vring.index]++;
		else
			nr_changes++;
		channel_answer(channel, message.header.request, 0, -1);
	}
	assert_true(nr_changes >= 5);
	for (unsigned int i = 0; i < WORLD_QUEUES; i++)
		assert_true(nr_calls[i] >= 2);
	close(channel);
	world_destroy(&world);
}

static void a_call_without_a_channel_waits_for_one(void **state)
{
	struct world world;
	int channel = create_running(&world);

	(void)state;
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	expect_call(channel, 0);
	/* nobody knows whether it was understood */
	close(channel);
	world_run(&world);
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	channel = channel_open(&world);
	expect_call(channel, 0);
	answer_call(&world, channel);
	assert_true(channel_is_quiet(channel));
	close(channel);
	world_destroy(&world);
}

static void a_channel_that_answers_wrongly_costs_the_calls_only(void **state)
{
	struct world world;
	int channel = create_running(&world);

	(void)state;
	rh_queue_notify(queue_of(&world, 0));
	world_run(&world);
	expect_call(channel, 0);
	channel_answer(channel, VHOST_USER_BACKEND_VRING_ERR, 0, -1);
	world_run(&world);
	for (unsigned int i = 0; i < 1000; i++) {
		rh_queue_notify(queue_of(&world, 0));
		world_run(&world);
	}
	assert_int_equal(world.nr_disconnected, 0);
	assert_int_equal(world.nr_stop_asked, 0);
	close(channel);
	world_destroy(&world);
}

/* A chain that was pushed and not shown when the queue is asked back */
static void push_one(struct world *world)
{
	struct virtq_avail *avail;
	struct virtq_desc *desc;
	struct rh_chain *chain;
	uint8_t *bytes = mmap(NULL, WORLD_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED, world->memory_fd, 0);

	assert_ptr_not_equal(bytes, MAP_FAILED);
	desc = (struct virtq_desc *)bytes;
	avail = (struct virtq_avail *)(bytes + 0x1000);
	desc[0].addr = le64_make(0x8000);
	desc[0].len = le32_make(16);
	avail->idx = le16_make(1);
	assert_int_equal(rh_queue_pop(queue_of(world, 0), &chain), 1);
	rh_queue_push(queue_of(world, 0), chain, 0);
	munmap(bytes, WORLD_MEMORY_BYTES);
}

static void the_last_call_of_a_session_is_not_told_in_the_next_one(void **state)
{
	struct world world;
	int channel = create_running(&world);

	(void)state;
	push_one(&world);
	close(channel);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	world_attach(&world);
	world_negotiate(&world);
	world_share_memory(&world);
	channel = channel_open(&world);
	world_start_queue(&world, 1);
	assert_true(channel_is_quiet(channel));
	close(channel);
	world_destroy(&world);
}

static void many_sessions_leave_nothing_behind(void **state)
{
	unsigned int nr_fds = count_fds();
	struct world world;
	int channel;

	(void)state;
	channel = create_running(&world);
	for (unsigned int i = 0; i < 20; i++) {
		for (uint32_t k = 0; k < WORLD_QUEUES; k++) {
			set_up_queue(&world, k);
			assert_int_equal(kick(&world, k), 0);
			rh_queue_notify(queue_of(&world, k));
		}
		/* a reset, no further in-band, a stop, or the end */
		if (i % 4 == 0)
			assert_int_equal(world_ask(&world,
						   VHOST_USER_RESET_DEVICE,
						   NULL, 0, -1),
					 0);
		if (i % 4 == 1)
			world_negotiate(&world);
		if (i % 4 == 2)
			assert_int_equal(set_vring_fd(&world,
						      VHOST_USER_SET_VRING_CALL,
						      -1),
					 0);
		close(channel);
		rh_fd_close(&world.front_end);
		world_run(&world);
		assert_int_equal(world.device->nr_inband_fds, 0);
		world_attach(&world);
		negotiate(&world);
		world_share_memory(&world);
		channel = channel_open(&world);
	}
	close(channel);
	world_destroy(&world);
	assert_int_equal(count_fds(), nr_fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_refused_without_the_features_it_needs),
		cmocka_unit_test(
			a_kick_starts_a_ring_and_is_seen_on_its_kick_fd),
		cmocka_unit_test(
			a_kick_fd_of_the_front_end_is_used_for_kicks_too),
		cmocka_unit_test(a_kick_of_nothing_is_refused),
		cmocka_unit_test(many_calls_are_one_message_at_a_time),
		cmocka_unit_test(a_queue_that_breaks_is_told),
		cmocka_unit_test(an_fd_is_preferred_and_none_means_silence),
		cmocka_unit_test(
			the_last_call_comes_before_the_ring_is_said_to_be_stopped),
		cmocka_unit_test(a_suspended_device_says_nothing),
		cmocka_unit_test(no_queue_waits_behind_a_busy_one),
		cmocka_unit_test(a_call_without_a_channel_waits_for_one),
		cmocka_unit_test(
			a_channel_that_answers_wrongly_costs_the_calls_only),
		cmocka_unit_test(
			the_last_call_of_a_session_is_not_told_in_the_next_one),
		cmocka_unit_test(many_sessions_leave_nothing_behind),
	};

	return cmocka_run_group_tests_name("device-inband", tests, NULL, NULL);
}

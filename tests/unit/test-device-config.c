/* SPDX-License-Identifier: MIT */
/* device - configuration space, and the channel that tells of its changes */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-channel.h"

static int get_config(struct world *world, uint32_t offset, uint32_t size,
		      struct vhost_user_config *config)
{
	memset(config, 0, sizeof(*config));
	config->offset = offset;
	config->size = size;
	world_tell(world, VHOST_USER_GET_CONFIG, config, 12 + MIN(size, 256u),
		   -1);
	world_run(world);
	return world_take_reply(world, VHOST_USER_GET_CONFIG, config,
				sizeof(*config));
}

/* Behaviour 22 */
static void config_reads_honour_offset_and_size(void **state)
{
	struct vhost_user_config config;
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	for (unsigned int i = 0; i < WORLD_CONFIG_BYTES; i++)
		world.config[i] = (uint8_t)(i + 1);
	assert_int_equal(get_config(&world, 8, 4, &config), 12 + 4);
	assert_int_equal(config.offset, 8);
	assert_memory_equal(config.region, world.config + 8, 4);
	assert_int_equal(get_config(&world, 0, WORLD_CONFIG_BYTES, &config),
			 12 + WORLD_CONFIG_BYTES);
	/* cloud-hypervisor up to 46 */
	assert_int_equal(get_config(&world, 0x100, 4, &config), 12 + 4);
	assert_memory_equal(config.region, world.config, 4);
	/* beyond the end an error, and nothing of what lies there */
	assert_int_equal(get_config(&world, 0, WORLD_CONFIG_BYTES + 1, &config),
			 0);
	assert_int_equal(get_config(&world, WORLD_CONFIG_BYTES, 1, &config), 0);
	assert_int_equal(get_config(&world, UINT32_MAX, 2, &config), 0);
	assert_int_equal(get_config(&world, 0, 0, &config), 0);
	world_destroy(&world);
}

static uint64_t set_config(struct world *world, uint32_t offset, uint32_t flags)
{
	struct vhost_user_config config = { offset, 1, flags, { 7 } };

	return world_ask(world, VHOST_USER_SET_CONFIG, &config, 13, -1);
}

static void config_writes_are_the_devices_to_allow(void **state)
{
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(set_config(&world, 5, 0), 1);
	assert_int_equal(set_config(&world, 4, 7), 1);
	assert_int_equal(set_config(&world, WORLD_CONFIG_BYTES, 0), 1);
	assert_int_equal(world.config[4], 0);
	assert_int_equal(set_config(&world, 4, 0), 0);
	assert_int_equal(set_config(&world, 4, 1), 0);
	assert_int_equal(world.config[4], 7);
	world_destroy(&world);
}

static void expect_config_change(int channel)
{
	channel_expect(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, NULL, 0);
}

/* Behaviour 19 */
static void a_config_change_is_told_over_the_channel(void **state)
{
	struct world world;
	int channel;
	int second;
	char byte;

	(void)state;
	world_create(&world);
	assert_int_equal(rh_device_config_changed(world.device), 0);
	world_destroy(&world);

	world_create_running(&world);
	assert_int_equal(rh_device_config_changed(world.device), 0);

	channel = channel_open(&world);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	expect_config_change(channel);
	/* three changes before the answer are told once, after it */
	for (int i = 0; i < 3; i++)
		assert_int_equal(rh_device_config_changed(world.device), 1);
	assert_int_equal(recv(channel, &byte, 1, MSG_DONTWAIT), -1);
	channel_answer(channel, 2, 0, -1);
	world_run(&world);
	expect_config_change(channel);
	assert_int_equal(recv(channel, &byte, 1, MSG_DONTWAIT), -1);

	/* a second channel closes the first */
	second = channel_open(&world);
	assert_int_equal(recv(channel, &byte, 1, MSG_DONTWAIT), 0);
	close(channel);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	expect_config_change(second);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), 0);
	close(second);
	world_destroy(&world);
}

static void a_channel_that_answers_wrongly_is_dropped(void **state)
{
	struct world world;
	int channel;
	char byte;

	(void)state;
	world_create_running(&world);
	channel = channel_open(&world);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	expect_config_change(channel);
	channel_answer(channel, 3, 0, -1);
	world_run(&world);
	/* closed, whether or not it had read all */
	errno = 0;
	assert_true(recv(channel, &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_not_equal(errno, EAGAIN);
	close(channel);
	assert_int_equal(rh_device_config_changed(world.device), 0);
	assert_int_equal(world.nr_disconnected, 0);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);

	/* one that is closed, and one that is no socket */
	channel = channel_open(&world);
	close(channel);
	world_run(&world);
	assert_int_equal(rh_device_config_changed(world.device), 0);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_BACKEND_REQ_FD, NULL,
				   0, world.memory_fd),
			 0);
	assert_int_equal(rh_device_config_changed(world.device), 0);
	world_destroy(&world);
}

static void a_channel_may_be_given_twice(void **state)
{
	struct world world;
	int fds[2];

	(void)state;
	world_create_running(&world);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(world_ask(&world,
					   VHOST_USER_SET_BACKEND_REQ_FD, NULL,
					   0, fds[1]),
				 0);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	expect_config_change(fds[0]);
	close(fds[0]);
	close(fds[1]);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_reads_honour_offset_and_size),
		cmocka_unit_test(config_writes_are_the_devices_to_allow),
		cmocka_unit_test(a_config_change_is_told_over_the_channel),
		cmocka_unit_test(a_channel_that_answers_wrongly_is_dropped),
		cmocka_unit_test(a_channel_may_be_given_twice),
	};

	return cmocka_run_group_tests_name("device-config", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* device - sessions, quiet, pause, stop and answers */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-world.h"

static void a_configuration_that_cannot_be_is_refused(void **state)
{
	static const struct rh_device_ops no_start;
	const struct rh_device_config good = { .ops = &world_ops,
					       .nr_queues = 1 };
	struct rh_device_config config;
	struct rh_device *device;

	(void)state;
	config = good;
	config.nr_queues = 0;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	config.nr_queues = RH_MAX_QUEUES + 1;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	config = good;
	config.max_queue_size = 3;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	config.max_queue_size = 65536;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	config = good;
	config.config_bytes = RH_MAX_CONFIG + 1;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	config = good;
	config.ops = &no_start;
	assert_int_equal(rh_device_create(&config, &device), -EINVAL);
	assert_int_equal(rh_device_create(&good, &device), 0);
	rh_device_destroy(device);
	rh_device_destroy(NULL);
}

/* Behaviours 21 and 22: what is told and what is offered agree */
static void the_device_tells_what_it_has(void **state)
{
	struct world world;
	uint64_t features;

	(void)state;
	world_create(&world);
	world_attach(&world);
	features = world_get_u64(&world, VHOST_USER_GET_FEATURES);
	assert_true(features & FEATURE_BIT(5));
	assert_true(features & FEATURE_BIT(VIRTIO_F_VERSION_1));
	assert_true(features & FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_true(features & FEATURE_BIT(VIRTIO_F_RING_PACKED));
	assert_true(features & FEATURE_BIT(VHOST_F_LOG_ALL));
	world_negotiate(&world);
	assert_int_equal(world.features & FEATURE_BIT(5), FEATURE_BIT(5));
	assert_false(world.features & FEATURE_BIT(VHOST_F_LOG_ALL));
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_MAX_MEM_SLOTS),
			 509);
	world_destroy(&world);
}

/* Behaviour 15: one answer, and the truth */
static void what_is_refused_is_acknowledged_as_failed(void **state)
{
	struct world world;
	uint64_t byte;

	(void)state;
	world_create_running(&world);
	assert_int_equal(world_ask_state(&world, VHOST_USER_SET_VRING_NUM,
					 WORLD_QUEUES, 64),
			 1);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_NUM, 1, 3), 1);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_NUM, 1, 512), 1);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 1, 2), 1);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_FEATURES,
				       FEATURE_BIT(60)),
			 1);
	assert_int_equal(world_ask_u64(&world, 200, 0), 1);
	assert_int_equal(world_take_reply(&world, 0, &byte, sizeof(byte)), -1);
	assert_int_equal(world.nr_disconnected, 0);
	world_destroy(&world);
}

static void a_refusal_that_cannot_be_told_ends_the_session(void **state)
{
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_tell(&world, 200, NULL, 0, -1);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -EPROTO);
	world_destroy(&world);
}

/* G-07, F-18 */
static void a_running_queue_keeps_its_size_place_and_position(void **state)
{
	struct world world;
	uint64_t features;

	(void)state;
	world_create_running(&world);
	features = world_get_u64(&world, VHOST_USER_GET_FEATURES) &
		   ~FEATURE_BIT(VIRTIO_F_RING_PACKED) &
		   ~FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_NUM, 0, 32), 1);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_BASE, 0, 9), 1);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_FEATURES,
				       features & ~FEATURE_BIT(5)),
			 1);
	/* to say again what is so changes nothing */
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_NUM, 0, 64), 0);
	assert_int_equal(world_set_addr(&world, 0), 0);
	assert_int_equal(
		world_ask_u64(&world, VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(world.nr_stop_asked, 0);
	world_destroy(&world);
}

/* Behaviours 3 and 33, D-07: the answer comes after the last request */
static void a_message_that_needs_quiet_waits_for_it(void **state)
{
	const struct vhost_user_vring_state vring = { 0, 0 };
	struct vhost_user_vring_state answer = { 9, 9 };
	struct world world;

	(void)state;
	world_create_running(&world);
	world.slow = true;
	world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_tell(&world, VHOST_USER_GET_FEATURES, NULL, 0, -1);
	world_run(&world);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world_take_reply(&world, 11, &answer, sizeof(answer)),
			 -1);
	world_give_back(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(answer.index, 0);
	assert_int_equal(answer.num, 0);
	/* the message behind it was not lost */
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_FEATURES,
					  &answer, sizeof(answer)),
			 8);
	assert_int_equal(world.nr_started, 1);
	world_destroy(&world);
}

static void memory_changes_between_a_stop_and_a_start(void **state)
{
	struct vhost_user_single_region single = world_whole_memory();
	struct world world;

	(void)state;
	world_create_running(&world);
	single.region.guest_addr += WORLD_MEMORY_BYTES;
	single.region.user_addr += WORLD_MEMORY_BYTES;
	assert_int_equal(world_ask(&world, VHOST_USER_ADD_MEM_REG, &single,
				   sizeof(single), world.memory_fd),
			 0);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world.nr_started, 2);

	/* without the region of its ring the queue does not start again */
	single = world_whole_memory();
	assert_int_equal(world_ask(&world, VHOST_USER_REM_MEM_REG, &single,
				   sizeof(single), -1),
			 0);
	assert_int_equal(world.nr_stop_asked, 2);
	assert_int_equal(world.nr_started, 2);

	/* until the region is there again */
	world_share_memory(&world);
	assert_int_equal(world.nr_started, 3);
	world_destroy(&world);
}

static void a_refused_memory_change_leaves_the_queue_running(void **state)
{
	struct vhost_user_single_region single = world_whole_memory();
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(world_ask(&world, VHOST_USER_ADD_MEM_REG, &single,
				   sizeof(single), world.memory_fd),
			 1);
	assert_int_equal(world.nr_started, world.nr_stop_asked + 1);
	world_destroy(&world);
}

static void a_queue_that_is_disabled_stops_and_starts_again(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world.nr_started, 1);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	assert_int_equal(world.nr_started, 2);
	world_destroy(&world);
}

/* Behaviour 32 */
static void without_protocol_features_a_queue_starts_enabled(void **state)
{
	uint64_t none = 0x100;
	struct vhost_user_memory table = {
		.nr_regions = 1,
		.regions = { { 0, WORLD_MEMORY_BYTES, WORLD_USER_BASE, 0 } },
	};
	struct vhost_user_vring_state vring = { 0, 64 };
	const struct vhost_user_vring_addr addr = {
		.desc_user_addr = WORLD_USER_BASE,
		.avail_user_addr = WORLD_USER_BASE + 0x1000,
		.used_user_addr = WORLD_USER_BASE + 0x2000,
	};
	uint64_t features = FEATURE_BIT(VIRTIO_F_VERSION_1);
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_tell(&world, VHOST_USER_SET_FEATURES, &features, 8, -1);
	world_tell(&world, VHOST_USER_SET_MEM_TABLE, &table, 8 + 32,
		   world.memory_fd);
	world_tell(&world, VHOST_USER_SET_VRING_NUM, &vring, 8, -1);
	world_tell(&world, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	world_run(&world);
	assert_int_equal(world.nr_started, 0);
	world_tell(&world, VHOST_USER_SET_VRING_KICK, &none, 8, -1);
	world_run(&world);
	assert_int_equal(world.nr_started, 1);
	assert_int_equal(world.nr_disconnected, 0);
	world_destroy(&world);
}

/* Behaviours 2 and 3 */
static void the_session_ends_after_its_last_request(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(world.nr_connected, 1);
	assert_int_equal(world.peer, getpid());
	world.slow = true;
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world.nr_disconnected, 0);
	assert_false(rh_device_finished(world.device));
	world_give_back(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, 0);
	assert_true(rh_device_finished(world.device));

	/* nothing of it is left for the next front-end */
	world.slow = false;
	world_attach(&world);
	assert_int_equal(world.nr_connected, 2);
	assert_int_equal(world.device->session.map->nr_regions, 0);
	assert_int_equal(world.device->queues[0].size, 0);
	assert_int_equal(world.device->session.session.features, 0);
	world_negotiate(&world);
	world_destroy(&world);
}

static void a_half_message_ends_the_session_with_an_error(void **state)
{
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	assert_int_equal(send(world.front_end, "\1\0\0", 3, 0), 3);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 0);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -ECONNRESET);
	world_destroy(&world);
}

/* Behaviour 18 */
static void a_pause_waits_for_what_runs_and_starts_nothing(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	world.slow = true;
	rh_device_pause(world.device);
	world_run(&world);
	assert_int_equal(world.nr_paused, 0);
	world_give_back(&world);
	assert_int_equal(world.nr_paused, 1);

	world_tell(&world, VHOST_USER_GET_FEATURES, NULL, 0, -1);
	assert_false(
		world_device_ready(&world)); /* nor does it cost anything */
	assert_int_equal(world.nr_started, 1);
	rh_device_resume(world.device);
	assert_int_equal(world.nr_started, 2);
	assert_true(world_device_ready(&world));
	world.slow = false;
	world_destroy(&world);
}

/* Behaviour 7 */
static void a_stop_is_finished_when_the_queues_are_back(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	world.slow = true;
	rh_device_stop(world.device);
	assert_false(rh_device_finished(world.device));
	rh_device_stop(world.device); /* again changes nothing */
	assert_int_equal(world.nr_stop_asked, 1);
	world_give_back(&world);
	assert_true(rh_device_finished(world.device));
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, 0);
	world_destroy(&world);
}

static void a_reset_stops_and_forgets_the_queues(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(
		world_ask(&world, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(world.nr_resets, 1);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world.nr_started, 1);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 2);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_that_cannot_be_is_refused),
		cmocka_unit_test(the_device_tells_what_it_has),
		cmocka_unit_test(what_is_refused_is_acknowledged_as_failed),
		cmocka_unit_test(
			a_refusal_that_cannot_be_told_ends_the_session),
		cmocka_unit_test(
			a_running_queue_keeps_its_size_place_and_position),
		cmocka_unit_test(a_message_that_needs_quiet_waits_for_it),
		cmocka_unit_test(memory_changes_between_a_stop_and_a_start),
		cmocka_unit_test(
			a_refused_memory_change_leaves_the_queue_running),
		cmocka_unit_test(
			a_queue_that_is_disabled_stops_and_starts_again),
		cmocka_unit_test(
			without_protocol_features_a_queue_starts_enabled),
		cmocka_unit_test(the_session_ends_after_its_last_request),
		cmocka_unit_test(a_half_message_ends_the_session_with_an_error),
		cmocka_unit_test(
			a_pause_waits_for_what_runs_and_starts_nothing),
		cmocka_unit_test(a_stop_is_finished_when_the_queues_are_back),
		cmocka_unit_test(a_reset_stops_and_forgets_the_queues),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}

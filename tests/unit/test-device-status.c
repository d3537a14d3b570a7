/* SPDX-License-Identifier: MIT */
/* device - the device status: kept, reset, and what the device says in it */
#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-channel.h"

#define ACKNOWLEDGE 1
#define DRIVER	    2
#define FAILED	    128
#define ALL_OK                                                                 \
	(ACKNOWLEDGE | DRIVER | VIRTIO_STATUS_FEATURES_OK |                    \
	 VIRTIO_STATUS_DRIVER_OK)
#define NEEDS_RESET VIRTIO_STATUS_DEVICE_NEEDS_RESET

static uint64_t set_status(struct world *world, uint64_t status)
{
	return world_ask_u64(world, VHOST_USER_SET_STATUS, status);
}

static uint64_t get_status(struct world *world)
{
	return world_get_u64(world, VHOST_USER_GET_STATUS);
}

static uint32_t get_base(struct world *world)
{
	struct vhost_user_vring_state vring = { 0 };

	world_tell(world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring), -1);
	world_run(world);
	assert_int_equal(world_take_reply(world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	return vring.num;
}

static void the_status_is_kept_for_the_session(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(get_status(&world), 0);
	assert_int_equal(set_status(&world, ACKNOWLEDGE), 0);
	assert_int_equal(get_status(&world), ACKNOWLEDGE);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	assert_int_equal(get_status(&world), ALL_OK);
	/* the driver has given up: no reason for us to do so */
	assert_int_equal(set_status(&world, ALL_OK | FAILED), 0);
	assert_int_equal(get_status(&world), ALL_OK | FAILED);
	assert_int_equal(world.nr_stop_asked, 0);

	rh_fd_close(&world.front_end);
	world_run(&world);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(get_status(&world), 0);
	world_destroy(&world);
}

/* Part 2a, "message before its feature is negotiated" */
static void the_status_needs_its_protocol_feature(void **state)
{
	uint64_t protocol = FEATURE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_tell(&world, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol,
		   sizeof(protocol), -1);
	assert_int_equal(set_status(&world, ALL_OK), 1);
	world_destroy(&world);
}

static void a_status_is_a_byte(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	assert_int_equal(set_status(&world, 0x100), 1);
	assert_int_equal(set_status(&world, 0x100 | ALL_OK), 1);
	assert_int_equal(set_status(&world, UINT64_MAX), 1);
	assert_int_equal(get_status(&world), ALL_OK);
	assert_int_equal(world.nr_stop_asked, 0);
	/* bits that virtio does not know yet mean nothing */
	assert_int_equal(set_status(&world, 0xff & ~NEEDS_RESET), 0);
	assert_int_equal(get_status(&world), 0xff & ~NEEDS_RESET);
	world_destroy(&world);
}

/* D-17: drained first, and the same connection goes on */
static void status_0_stops_and_forgets_the_queues(void **state)
{
	uint64_t zero = 0;
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	world.slow = true;
	world_tell(&world, VHOST_USER_SET_STATUS, &zero, sizeof(zero), -1);
	world_run(&world);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_int_equal(world.device->session.status.byte, ALL_OK);
	world.slow = false;
	world_give_back(&world);
	assert_int_equal(get_status(&world), 0);
	assert_int_equal(world.nr_started, 1);
	/* the device's own state is not for a pause to reset */
	assert_int_equal(world.nr_resets, 0);

	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_FEATURES,
				       world.device->session.session.features),
			 0);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 2);
	world_destroy(&world);
}

static void a_front_end_may_ask_for_positions_after_status_0(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(get_base(&world), 0);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_BASE, 0, 7), 0);
	assert_int_equal(set_status(&world, 0), 0);
	assert_int_equal(set_status(&world, 0), 0);
	assert_int_equal(get_base(&world), 7);
	assert_int_equal(get_base(&world), 7);
	/* told only: the ring begins anew, and a reset device has forgotten */
	assert_false(world.device->queues[0].has_base);
	assert_int_equal(
		world_ask(&world, VHOST_USER_RESET_DEVICE, NULL, 0, -1), 0);
	assert_int_equal(get_base(&world), 0);
	world_destroy(&world);
}

/* virtio 1.3, 3.1.1: the driver reads the bit back to see */
static void features_that_were_refused_are_not_ok(void **state)
{
	uint64_t features;
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	features = world.device->session.session.features;
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_FEATURES,
				       features | FEATURE_BIT(63)),
			 1);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	assert_int_equal(get_status(&world),
			 ALL_OK & ~VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(
		world_ask_u64(&world, VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	assert_int_equal(get_status(&world), ALL_OK);
	world_destroy(&world);
}

/* virtio 1.3, 2.1.2 */
static void a_broken_queue_needs_a_reset_and_the_driver_is_told(void **state)
{
	struct world world;
	int channel;

	(void)state;
	world_create_running(&world);
	channel = channel_open(&world);
	assert_int_equal(set_status(&world, ALL_OK), 0);
	rh_queue_fail(&world.device->queues[0], "the test says so");
	world_run(&world);
	channel_expect(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, NULL, 0);
	channel_answer(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, -1);
	assert_int_equal(get_status(&world), ALL_OK | NEEDS_RESET);
	/* the bit is the device's: the driver neither sets nor clears it */
	assert_int_equal(set_status(&world, ALL_OK), 0);
	assert_int_equal(get_status(&world), ALL_OK | NEEDS_RESET);
	/* told once */
	assert_true(channel_is_quiet(channel));
	assert_int_equal(set_status(&world, 0), 0);
	assert_int_equal(get_status(&world), 0);
	assert_int_equal(set_status(&world, NEEDS_RESET), 0);
	assert_int_equal(get_status(&world), 0);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 2);
	close(channel);
	world_destroy(&world);
}

static void the_device_hears_of_a_broken_queue(void **state)
{
	unsigned int nr_started;
	struct world world;

	(void)state;
	world_create_running(&world);
	world_run(&world);
	assert_int_equal(world.nr_broken, 0);
	rh_queue_fail(&world.device->queues[0], "the test says so");
	rh_queue_fail(&world.device->queues[0], "and once more");
	assert_int_equal(world.nr_broken, 0);
	world_run(&world);
	assert_int_equal(world.nr_broken, 1);
	assert_string_equal(world.why_broken, "the test says so");
	world_run(&world);
	assert_int_equal(world.nr_broken, 1);
	/* Before it starts again */
	world_start_queue(&world, 0);
	nr_started = world.nr_started;
	rh_queue_fail(&world.device->queues[0], "again");
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_broken, 2);
	assert_int_equal(world.nr_started_when_broken, nr_started);
	assert_true(world.nr_started > nr_started);
	assert_string_equal(world.why_broken, "again");
	world_destroy(&world);
}

static void a_driver_that_does_not_run_yet_is_not_told(void **state)
{
	struct world world;
	int channel;

	(void)state;
	world_create_running(&world);
	channel = channel_open(&world);
	assert_int_equal(set_status(&world, ACKNOWLEDGE | DRIVER), 0);
	rh_queue_fail(&world.device->queues[0], "the test says so");
	assert_int_equal(get_status(&world),
			 ACKNOWLEDGE | DRIVER | NEEDS_RESET);
	assert_true(channel_is_quiet(channel));
	close(channel);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_is_kept_for_the_session),
		cmocka_unit_test(the_status_needs_its_protocol_feature),
		cmocka_unit_test(a_status_is_a_byte),
		cmocka_unit_test(status_0_stops_and_forgets_the_queues),
		cmocka_unit_test(
			a_front_end_may_ask_for_positions_after_status_0),
		cmocka_unit_test(features_that_were_refused_are_not_ok),
		cmocka_unit_test(the_device_hears_of_a_broken_queue),
		cmocka_unit_test(
			a_broken_queue_needs_a_reset_and_the_driver_is_told),
		cmocka_unit_test(a_driver_that_does_not_run_yet_is_not_told),
	};

	return cmocka_run_group_tests_name("device-status", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * device-nesting - operations of a device that call into it again
 *
 * What such a call begins must go on by itself: nothing else will make the
 * device's fd readable.
 */
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "tests/unit/device-world.h"

static void stop(struct world *world)
{
	rh_device_stop(world->device);
}

static void pause_device(struct world *world)
{
	rh_device_pause(world->device);
}

static void resume(struct world *world)
{
	rh_device_resume(world->device);
}

static void run(struct world *world)
{
	assert_int_equal(rh_device_run(world->device), 0);
}

static void a_device_may_be_stopped_when_it_is_paused(void **state)
{
	struct world world;

	(void)state;
	/* no queue, which would make the fd readable when it stops */
	world_create(&world);
	world_attach(&world);
	world.on_paused = stop;
	rh_device_pause(world.device);
	world_run(&world);
	assert_int_equal(world.nr_paused, 1);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(rh_device_finished(world.device));
	world_destroy(&world);
}

static void a_device_may_be_resumed_when_it_is_paused(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	world.on_paused = resume;
	rh_device_pause(world.device);
	world_run(&world);
	assert_int_equal(world.nr_paused, 1);
	assert_int_equal(world.nr_started, 2);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	world_destroy(&world);
}

static void a_device_may_be_stopped_when_a_queue_starts(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	world.on_start = stop;
	/* memory changes, so the queue stops and starts */
	world_tell(&world, VHOST_USER_SET_MEM_TABLE, &(uint64_t){ 0 }, 8, -1);
	world_run(&world);
	world_share_memory(&world);
	world_run(&world);
	assert_int_equal(world.nr_started, 2);
	assert_int_equal(world.nr_stop_asked, 2);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(rh_device_finished(world.device));
	world_destroy(&world);
}

static void a_device_may_be_paused_when_a_queue_starts(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	rh_device_pause(world.device);
	world.on_start = pause_device;
	rh_device_resume(world.device);
	world_run(&world);
	assert_int_equal(world.nr_paused, 2);
	world.on_start = NULL;
	rh_device_resume(world.device);
	world_run(&world);
	assert_int_equal(world.nr_started, 3);
	world_destroy(&world);
}

static void a_device_may_be_stopped_when_a_session_has_ended(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	world.on_disconnected = stop;
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(rh_device_finished(world.device));
	world_destroy(&world);
}

/* A message is not overwritten by the next one while it is being handled. */
static void an_operation_that_runs_the_device_does_not_disturb_it(void **state)
{
	struct world world;
	uint64_t value;

	(void)state;
	world_create_running(&world);
	world.on_reset = run;
	world_tell(&world, VHOST_USER_RESET_DEVICE, NULL, 0, -1);
	world_tell(&world, VHOST_USER_GET_QUEUE_NUM, NULL, 0, -1);
	world_run(&world);
	assert_int_equal(world.nr_resets, 1);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_QUEUE_NUM,
					  &value, sizeof(value)),
			 sizeof(value));
	assert_int_equal(value, WORLD_QUEUES);
	assert_int_equal(world.nr_disconnected, 0);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_may_be_stopped_when_it_is_paused),
		cmocka_unit_test(a_device_may_be_resumed_when_it_is_paused),
		cmocka_unit_test(a_device_may_be_stopped_when_a_queue_starts),
		cmocka_unit_test(a_device_may_be_paused_when_a_queue_starts),
		cmocka_unit_test(
			a_device_may_be_stopped_when_a_session_has_ended),
		cmocka_unit_test(
			an_operation_that_runs_the_device_does_not_disturb_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

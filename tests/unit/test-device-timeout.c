/* SPDX-License-Identifier: MIT */
/*
 * device-timeout - a front-end that stops inside a message
 *
 * The device's timer is set forward, so that no test waits for it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "tests/unit/device-world.h"

static void send_bytes(struct world *world, const void *bytes, size_t nr)
{
	assert_int_equal(send(world->front_end, bytes, nr, 0), nr);
}

static void let_the_timer_expire(struct world *world)
{
	const struct itimerspec now = { .it_value.tv_nsec = 1 };
	struct pollfd pollfd = { world->device->timer_fd, POLLIN, 0 };

	assert_true(world->device->timer_armed);
	assert_int_equal(timerfd_settime(pollfd.fd, 0, &now, NULL), 0);
	assert_int_equal(poll(&pollfd, 1, 1000), 1);
}

/* Behaviours 10 and 6 */
static void silence_inside_a_message_ends_the_session(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_GET_FEATURES, 1,
						  0 };
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	send_bytes(&world, &header, 5);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 0);
	let_the_timer_expire(&world);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -ETIMEDOUT);
	world_destroy(&world);
}

/* Both are noticed in one run, and the timer's event is about the first. */
static void the_next_message_has_all_its_time(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_GET_FEATURES, 1,
						  0 };
	struct world world;
	uint64_t features;

	(void)state;
	world_create(&world);
	world_attach(&world);
	send_bytes(&world, &header, 5);
	world_run(&world);
	send_bytes(&world, (const uint8_t *)&header + 5, sizeof(header) - 5);
	send_bytes(&world, &header, 5);
	let_the_timer_expire(&world);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_FEATURES,
					  &features, sizeof(features)),
			 sizeof(features));
	assert_int_equal(world.nr_disconnected, 0);
	assert_true(world.device->timer_armed);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_inside_a_message_ends_the_session),
		cmocka_unit_test(the_next_message_has_all_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* A session in each of the states that a message may come in */
static void be_fresh(struct world *world)
{
	world_create(world);
	world_attach(world);
}

static void have_negotiated(struct world *world)
{
	be_fresh(world);
	world_negotiate(world);
	world_share_memory(world);
}

static void (*const states[])(struct world *world) = {
	be_fresh,
	have_negotiated,
	world_create_running,
};

/* The header is 12 bytes, the payload 8. */
static const struct {
	struct vhost_user_header header;
	uint64_t payload;
} message = { { VHOST_USER_SET_FEATURES, 1, 8 }, 0 };

#define MESSAGE_BYTES (sizeof(message.header) + sizeof(message.payload))

static void stop_after(struct world *world, size_t nr_bytes)
{
	send_bytes(world, &message, nr_bytes);
	world_run(world);
	assert_int_equal(world->nr_disconnected, 0);
	world_let_timer_expire(world);
	world_run(world);
	assert_int_equal(world->nr_disconnected, 1);
	assert_int_equal(world->last_error, -ETIMEDOUT);
	assert_false(world->device->timer_armed);
}

/* S-03. Behaviours 10 and 6: inside the header, behind it, in the payload */
static void silence_inside_a_message_ends_the_session(void **state)
{
	struct world world;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (size_t nr = 1; nr < MESSAGE_BYTES; nr++) {
			states[i](&world);
			stop_after(&world, nr);
			world_destroy(&world);
		}
	}
}

static uint64_t nsec_left(const struct world *world)
{
	struct itimerspec left;

	assert_int_equal(timerfd_gettime(world->device->timer_fd, &left), 0);
	return (uint64_t)left.it_value.tv_sec * 1000000000 +
	       (uint64_t)left.it_value.tv_nsec;
}

/* S-03: One byte after the other, and never a whole message */
static void who_sends_slowly_has_no_more_time(void **state)
{
	const uint8_t *bytes = (const uint8_t *)&message;
	struct world world;
	uint64_t left;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		states[i](&world);
		send_bytes(&world, bytes, 1);
		world_run(&world);
		left = nsec_left(&world);
		assert_in_range(left, 1, 5000000000);
		for (size_t nr = 1; nr < MESSAGE_BYTES - 1; nr++) {
			send_bytes(&world, bytes + nr, 1);
			world_run(&world);
			assert_in_range(nsec_left(&world), 1, left - 1);
			left = nsec_left(&world);
		}
		world_let_timer_expire(&world);
		world_run(&world);
		assert_int_equal(world.last_error, -ETIMEDOUT);
		world_destroy(&world);
	}
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
	world_let_timer_expire(&world);
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
		cmocka_unit_test(who_sends_slowly_has_no_more_time),
		cmocka_unit_test(the_next_message_has_all_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

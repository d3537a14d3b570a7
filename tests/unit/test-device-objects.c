/* SPDX-License-Identifier: MIT */
/* device - objects that devices share: announced, asked for, handed out */
#include <errno.h>
#include <string.h>

#include <ringhost/object.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-channel.h"

#define ADD	   VHOST_USER_BACKEND_SHARED_OBJECT_ADD
#define REMOVE	   VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE
#define LOOKUP	   VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP
#define NR_WAITING 32

static const uint8_t mine[RH_UUID_BYTES] = "the object of A";
static const uint8_t theirs[RH_UUID_BYTES] = "the object of B";

static unsigned int nr_found;
static int last_fd; /* or -errno */
static bool look_again;
static struct rh_device *looking;

static int object_get(void *opaque, const uint8_t uuid[RH_UUID_BYTES])
{
	(void)opaque;
	return memcmp(uuid, mine, sizeof(mine)) ? -ENOENT : rh_eventfd_create();
}

static void object_found(void *opaque, const uint8_t uuid[RH_UUID_BYTES],
			 int fd)
{
	(void)opaque;
	assert_memory_equal(uuid, theirs, sizeof(theirs));
	nr_found++;
	last_fd = fd;
	if (look_again)
		rh_device_object_lookup(looking, theirs);
}

/* A device with objects, a running queue, and a channel, which is returned. */
static int create(struct world *world)
{
	static struct rh_device_ops ops;
	int channel;

	ops = world_ops;
	ops.object_get = object_get;
	ops.object_found = object_found;
	nr_found = 0;
	look_again = false;
	world_create_with(world, &ops);
	looking = world->device;
	assert_int_equal(rh_device_object_add(world->device, mine), -ENOTCONN);
	world_attach(world);
	world_negotiate(world);
	world_share_memory(world);
	world_start_queue(world, 0);
	assert_int_equal(rh_device_object_add(world->device, mine), -ENOTCONN);
	channel = channel_open(world);
	return channel;
}

static void expect(int channel, uint32_t request, const uint8_t *uuid)
{
	struct vhost_user_shared shared;

	channel_expect(channel, request, &shared, sizeof(shared));
	assert_memory_equal(shared.uuid, uuid, RH_UUID_BYTES);
}

static void answer(struct world *world, int channel, uint32_t request,
		   uint64_t value, int fd)
{
	channel_answer(channel, request, value, fd);
	world_run(world);
}

static void objects_are_announced_and_taken_back_in_order(void **state)
{
	struct world world;
	int channel = create(&world);

	(void)state;
	assert_int_equal(rh_device_object_add(world.device, mine), 0);
	assert_int_equal(rh_device_object_remove(world.device, mine), 0);
	assert_int_equal(rh_device_object_add(world.device, mine), 0);
	expect(channel, ADD, mine);
	assert_true(channel_is_quiet(channel));
	answer(&world, channel, ADD, 0, -1);
	expect(channel, REMOVE, mine);
	/* that it was refused is not fatal */
	answer(&world, channel, REMOVE, 1, -1);
	expect(channel, ADD, mine);
	answer(&world, channel, ADD, 0, -1);
	assert_true(channel_is_quiet(channel));
	assert_int_equal(nr_found, 0);
	close(channel);
	world_destroy(&world);
}

static void a_lookup_brings_a_file(void **state)
{
	struct world world;
	int channel = create(&world);
	int fd = rh_eventfd_create();

	(void)state;
	assert_int_equal(rh_device_object_lookup(world.device, theirs), 0);
	expect(channel, LOOKUP, theirs);
	answer(&world, channel, LOOKUP, 0, fd);
	assert_int_equal(nr_found, 1);
	assert_true(last_fd >= 0);
	rh_eventfd_signal(last_fd);
	assert_true(rh_eventfd_drain(fd));
	close(last_fd);

	assert_int_equal(rh_device_object_lookup(world.device, theirs), 0);
	answer(&world, channel, LOOKUP, UINT64_MAX, -1);
	assert_int_equal(last_fd, -ENOENT);
	/* success without a file, and failure with one */
	assert_int_equal(rh_device_object_lookup(world.device, theirs), 0);
	answer(&world, channel, LOOKUP, 0, -1);
	assert_int_equal(last_fd, -ENOENT);
	assert_int_equal(rh_device_object_lookup(world.device, theirs), 0);
	answer(&world, channel, LOOKUP, 1, fd);
	assert_int_equal(last_fd, -ENOENT);
	assert_int_equal(nr_found, 4);
	close(fd);
	close(channel);
	world_destroy(&world);
}

static void an_announcement_brings_no_file(void **state)
{
	struct world world;
	int channel = create(&world);

	(void)state;
	assert_int_equal(rh_device_object_add(world.device, mine), 0);
	answer(&world, channel, ADD, 0, world.memory_fd);
	assert_int_equal(rh_device_object_add(world.device, mine), -ENOTCONN);
	assert_int_equal(world.nr_disconnected, 0);
	close(channel);
	world_destroy(&world);
}

static void each_lookup_ends_whatever_becomes_of_the_channel(void **state)
{
	struct world world;
	int channel = create(&world);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(rh_device_object_lookup(world.device, theirs),
				 0);
	expect(channel, LOOKUP, theirs);
	close(channel);
	world_run(&world);
	assert_int_equal(nr_found, 1);
	assert_int_equal(last_fd, -ECONNRESET);
	/* the next channel takes on what was not sent */
	channel = channel_open(&world);
	expect(channel, LOOKUP, theirs);
	look_again = true;
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(nr_found, 3);
	assert_int_equal(last_fd, -ECONNRESET);
	close(channel);
	world_destroy(&world);
}

static void what_waits_is_bounded(void **state)
{
	struct world world;
	int channel = create(&world);

	(void)state;
	/* one is on its way */
	for (unsigned int i = 0; i < NR_WAITING + 1; i++)
		assert_int_equal(rh_device_object_add(world.device, mine), 0);
	assert_int_equal(rh_device_object_add(world.device, mine), -ENOBUFS);
	expect(channel, ADD, mine);
	answer(&world, channel, ADD, 0, -1);
	assert_int_equal(rh_device_object_add(world.device, mine), 0);
	close(channel);
	world_destroy(&world);
}

static void the_front_end_gets_the_file_of_an_object(void **state)
{
	struct vhost_user_shared shared;
	struct world world;
	int channel = create(&world);
	int nr_fds;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const uint8_t *uuid = i ? theirs : mine;
		struct rh_incoming incoming;

		memcpy(shared.uuid, uuid, sizeof(shared.uuid));
		world_tell(&world, VHOST_USER_GET_SHARED_OBJECT, &shared,
			   sizeof(shared), -1);
		world_run(&world);
		nr_fds = world_take_reply_fds(&world, &incoming);
		assert_int_equal(incoming.header.request,
				 VHOST_USER_GET_SHARED_OBJECT);
		assert_int_equal(incoming.header.size, sizeof(shared));
		assert_memory_equal(incoming.payload, uuid, RH_UUID_BYTES);
		assert_int_equal(nr_fds, i ? 0 : 1);
		rh_incoming_reset(&incoming);
	}
	close(channel);
	world_destroy(&world);
}

static void a_device_without_objects_does_not_offer_them(void **state)
{
	const uint64_t bits =
		FEATURE_BIT(VHOST_USER_PROTOCOL_F_SHARED_OBJECT) |
		FEATURE_BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD);
	const struct vhost_user_shared shared = { { 0 } };
	struct world world;
	int channel;

	(void)state;
	world_create_running(&world);
	channel = channel_open(&world);
	assert_int_equal(
		world_get_u64(&world, VHOST_USER_GET_PROTOCOL_FEATURES) & bits,
		0);
	assert_int_equal(rh_device_object_add(world.device, mine), -ENOTCONN);
	assert_int_equal(rh_device_object_lookup(world.device, mine), -EINVAL);
	assert_int_equal(world_ask(&world, VHOST_USER_GET_SHARED_OBJECT,
				   &shared, sizeof(shared), -1),
			 1);
	close(channel);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_announced_and_taken_back_in_order),
		cmocka_unit_test(a_lookup_brings_a_file),
		cmocka_unit_test(an_announcement_brings_no_file),
		cmocka_unit_test(
			each_lookup_ends_whatever_becomes_of_the_channel),
		cmocka_unit_test(what_waits_is_bounded),
		cmocka_unit_test(the_front_end_gets_the_file_of_an_object),
		cmocka_unit_test(a_device_without_objects_does_not_offer_them),
	};

	return cmocka_run_group_tests_name("device-objects", tests, NULL, NULL);
}

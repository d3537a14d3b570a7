/* SPDX-License-Identifier: MIT */
/* handover - the one that hands over, and goes on if nobody takes it */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringhost/object.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-channel.h"
#include "tests/unit/handover-world.h"

#define CHANGE	    VHOST_USER_BACKEND_CONFIG_CHANGE_MSG
#define ADD	    VHOST_USER_BACKEND_SHARED_OBJECT_ADD
#define REMOVE	    VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE
#define LOOKUP	    VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP
#define STATE_BYTES 10000
#define NOBODY	    65534

static size_t nr_state_bytes;
static unsigned int nr_loads;
static unsigned int nr_found;
static int last_found;

static int state_save(void *opaque, void **data, size_t *bytes)
{
	uint8_t *made = malloc(nr_state_bytes);

	(void)opaque;
	assert_non_null(made);
	for (size_t i = 0; i < nr_state_bytes; i++)
		made[i] = (uint8_t)(i * 7 + i / 251);
	*data = made;
	*bytes = nr_state_bytes;
	return 0;
}

static int state_load(void *opaque, const void *data, size_t bytes)
{
	(void)opaque;
	assert_int_equal(bytes, nr_state_bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(((const uint8_t *)data)[i],
				 (uint8_t)(i * 7 + i / 251));
	nr_loads++;
	return 0;
}

static int object_get(void *opaque, const uint8_t uuid[RH_UUID_BYTES])
{
	(void)opaque;
	(void)uuid;
	return -ENOENT;
}

static void object_found(void *opaque, const uint8_t uuid[RH_UUID_BYTES],
			 int fd)
{
	(void)opaque;
	(void)uuid;
	nr_found++;
	last_found = fd;
}

static const struct rh_device_ops *all_ops(void)
{
	static struct rh_device_ops ops;

	ops = world_ops;
	ops.state_save = state_save;
	ops.state_load = state_load;
	ops.object_get = object_get;
	ops.object_found = object_found;
	nr_state_bytes = STATE_BYTES;
	nr_loads = 0;
	nr_found = 0;
	return &ops;
}

static void make_pair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* To nobody in particular */
static int hand_over(struct world *world)
{
	int fds[2];
	int error;

	make_pair(fds);
	error = rh_device_hand_over(world->device, fds[0]);
	close(fds[0]);
	close(fds[1]);
	return error;
}

static void goes_on(struct world *world)
{
	rh_device_resume(world->device);
	world_run(world);
	assert_int_equal(world->nr_disconnected, 0);
	assert_int_equal(world_get_u64(world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	assert_true(rh_queue_running(&world->device->queues[0]));
}

static void a_device_that_is_not_paused_is_busy(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	assert_int_equal(hand_over(&world), -EBUSY);
	world.slow = true;
	rh_device_pause(world.device);
	assert_int_equal(hand_over(&world), -EBUSY);
	world_give_back(&world);
	assert_int_equal(hand_over(&world), 0);
	world.slow = false;
	goes_on(&world);
	world_destroy(&world);
}

static void a_device_that_has_a_socket_takes_nothing(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	assert_int_equal(rh_device_take_over(world.device, -1), -EBUSY);
	goes_on(&world);
	world_destroy(&world);
}

static void a_transfer_that_goes_on_is_waited_for(void **state)
{
	const struct vhost_user_transfer load = { 1, 0 };
	struct world world;
	uint64_t value;
	int fds[2];

	(void)state;
	world_create_flags(&world, all_ops(), RH_DEVICE_HAND_OVER);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(pipe(fds), 0);
	world_tell(&world, VHOST_USER_SET_DEVICE_STATE_FD, &load, sizeof(load),
		   fds[0]);
	world_run(&world);
	assert_int_equal(world_take_reply(&world,
					  VHOST_USER_SET_DEVICE_STATE_FD,
					  &value, sizeof(value)),
			 sizeof(value));
	handover_pause(&world);
	assert_int_equal(hand_over(&world), -EBUSY);
	nr_state_bytes = 0;
	close(fds[0]);
	close(fds[1]);
	world_run(&world);
	handover_paused(&world);
	assert_int_equal(world_get_u64(&world, VHOST_USER_CHECK_DEVICE_STATE),
			 0);
	world_destroy(&world);
}

/* From the advice on, which the front-end has got a file for */
static void a_postcopy_migration_is_waited_for(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	handover_pause(&world);
	world.device->session.postcopy.phase = RH_POSTCOPY_ADVISED;
	assert_int_equal(hand_over(&world), -EBUSY);
	world.device->session.postcopy.phase = RH_POSTCOPY_OFF;
	goes_on(&world);
	world_destroy(&world);
}

static void memory_whose_file_was_not_kept_stays(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	handover_pause(&world);
	assert_int_equal(hand_over(&world), -EOPNOTSUPP);
	goes_on(&world);
	world_destroy(&world);
}

static void whoever_does_not_read_is_not_waited_for(void **state)
{
	const int least = 1;
	struct world world;
	int fds[2];

	(void)state;
	handover_create_running(&world);
	handover_pause(&world);
	make_pair(fds);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least,
				    sizeof(least)),
			 0);
	world.device->handover_wait_msec = 1;
	assert_int_equal(rh_device_hand_over(world.device, fds[0]), -ETIMEDOUT);
	close(fds[1]);
	assert_int_equal(rh_device_hand_over(world.device, fds[0]), -EPIPE);
	close(fds[0]);
	goes_on(&world);
	world_destroy(&world);
}

/* To a second one, after the first one has failed, without a resume */
static void what_nobody_took_may_be_handed_over_again(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	handover_pause(&world);
	assert_int_equal(hand_over(&world), 0);
	handover_paused(&world);
	assert_int_equal(world.nr_started, 1);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_QUEUE_NUM),
			 WORLD_QUEUES);
	world_destroy(&world);
}

static void
nothing_is_sent_or_read_by_either_before_one_has_let_go(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_GET_QUEUE_NUM, 5,
						  0 };
	struct world from;
	struct world to;
	int channel;

	(void)state;
	handover_create_running(&from);
	channel = channel_open(&from);
	handover_pause(&from);
	/* an answer that waits, a change that is to be told */
	assert_int_equal(rh_outgoing_append(&from.device->outgoing, &header,
					    NULL, -1),
			 0);
	from.device->session.outbox.config_changed = true;
	world_create_flags(&to, &world_ops, RH_DEVICE_HAND_OVER);
	assert_int_equal(handover_tell(&from, &to), 0);
	world_tell(&from, VHOST_USER_GET_QUEUE_NUM, NULL, 0, -1);
	channel_answer(channel, CHANGE, 0, -1);
	assert_int_equal(rh_device_config_changed(from.device), 1);
	assert_int_equal(rh_device_config_changed(to.device), 1);
	world_run(&from);
	world_run(&to);
	assert_int_equal(
		world_take_reply(&from, VHOST_USER_GET_QUEUE_NUM, NULL, 0), -1);
	assert_true(channel_is_quiet(channel));
	assert_int_equal(from.device->session.outbox.channel.state,
			 RH_CHANNEL_OPEN);
	/* the one that takes it gives it up, and the other one goes on */
	rh_device_let_go(to.device);
	world_run(&to);
	assert_int_equal(to.nr_disconnected, 0);
	world_destroy(&to);
	rh_device_resume(from.device);
	world_run(&from);
	assert_int_equal(
		world_take_reply(&from, VHOST_USER_GET_QUEUE_NUM, NULL, 0), 0);
	assert_int_equal(from.nr_disconnected, 0);
	assert_int_equal(from.nr_started, 2);
	close(channel);
	world_destroy(&from);
}

static void
a_change_during_the_handover_is_told_by_whoever_goes_on(void **state)
{
	struct world world;
	int channel;

	(void)state;
	handover_create_running(&world);
	channel = channel_open(&world);
	handover_pause(&world);
	assert_int_equal(hand_over(&world), 0);
	assert_int_equal(rh_device_config_changed(world.device), 1);
	world_run(&world);
	assert_true(channel_is_quiet(channel));
	goes_on(&world);
	channel_expect(channel, CHANGE, NULL, 0);
	close(channel);
	world_destroy(&world);
}

static void a_state_of_many_messages_goes_along(void **state)
{
	struct world world;

	(void)state;
	world_create_flags(&world, all_ops(), RH_DEVICE_HAND_OVER);
	world_attach(&world);
	world_negotiate(&world);
	for (unsigned int i = 0; i < 3; i++) {
		nr_state_bytes = i * 4096 + 1;
		handover(&world);
		assert_int_equal(nr_loads, i + 1);
	}
	nr_state_bytes = RH_MAX_STATE_BYTES + 1;
	handover_pause(&world);
	assert_int_equal(hand_over(&world), -EMSGSIZE);
	world_destroy(&world);
}

/* One that came in by migration */
static void how_a_transfer_ended_is_known_later(void **state)
{
	const int results[] = { 0, -EIO };
	struct world world;

	(void)state;
	world_create_flags(&world, all_ops(), RH_DEVICE_HAND_OVER);
	world_attach(&world);
	world_negotiate(&world);
	for (unsigned int i = 0; i < ARRAY_SIZE(results); i++) {
		rh_transfer_end(&world.device->session.transfer, results[i]);
		handover(&world);
		assert_int_equal(world_get_u64(&world,
					       VHOST_USER_CHECK_DEVICE_STATE),
				 !!results[i]);
	}
	world_destroy(&world);
}

static void expect_object(struct world *world, int channel, uint32_t request)
{
	struct vhost_user_shared shared;

	channel_expect(channel, request, &shared, sizeof(shared));
	channel_answer(channel, request, request == LOOKUP, -1);
	world_run(world);
}

static void what_is_to_be_said_of_objects_is_said_in_order(void **state)
{
	const uint8_t uuid[RH_UUID_BYTES] = "an object";
	struct vhost_user_shared shared;
	struct world world;
	int channel;

	(void)state;
	world_create_flags(&world, all_ops(), RH_DEVICE_HAND_OVER);
	world_attach(&world);
	world_negotiate(&world);
	world_share_memory(&world);
	world_start_queue(&world, 0);
	channel = channel_open(&world);
	assert_int_equal(rh_device_object_lookup(world.device, uuid), 0);
	assert_int_equal(rh_device_object_add(world.device, uuid), 0);
	assert_int_equal(rh_device_object_lookup(world.device, uuid), 0);
	assert_int_equal(rh_device_object_remove(world.device, uuid), 0);
	world_run(&world);
	handover(&world);
	/* where they began they end */
	assert_int_equal(nr_found, 2);
	assert_int_equal(last_found, -ECONNRESET);
	channel_expect(channel, LOOKUP, &shared, sizeof(shared));
	channel_answer(channel, LOOKUP, 1, -1);
	world_run(&world);
	expect_object(&world, channel, ADD);
	expect_object(&world, channel, REMOVE);
	assert_true(channel_is_quiet(channel));
	assert_int_equal(nr_found, 2);
	/* one that is on its way is said once, and one that is asked works */
	assert_int_equal(rh_device_object_add(world.device, uuid), 0);
	handover(&world);
	expect_object(&world, channel, ADD);
	assert_int_equal(rh_device_object_lookup(world.device, uuid), 0);
	world_run(&world);
	expect_object(&world, channel, LOOKUP);
	assert_int_equal(nr_found, 3);
	assert_true(channel_is_quiet(channel));
	close(channel);
	world_destroy(&world);
}

/* Files on their way until there may be no more; true if that came. */
static bool fill_the_way(int fd)
{
	const struct vhost_user_header header = { 0 };
	int fds[VHOST_USER_MAX_FDS];
	int error = 0;

	for (unsigned int i = 0; i < VHOST_USER_MAX_FDS; i++)
		fds[i] = fd;
	for (unsigned int i = 0; !error && i < 1000; i++)
		error = rh_socket_put_message(fd, &header, NULL, fds,
					      VHOST_USER_MAX_FDS);
	return error == -ETOOMANYREFS;
}

/* For a child, without privileges. Returns how far it came, 0 for the end. */
static int hand_over_when_the_way_is_free(struct world *world)
{
	const struct rlimit few = { 16, 16 };
	int fillers[2];
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fillers) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &few) < 0 ||
	    (!geteuid() && setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return 1;
	if (!fill_the_way(fillers[0]))
		return 2;
	world->device->handover_wait_msec = 5;
	if (rh_device_hand_over(world->device, fds[0]) != -ETIMEDOUT)
		return 3;
	/* which are then on their way no more */
	close(fillers[0]);
	close(fillers[1]);
	world->device->handover_wait_msec = 10000;
	return rh_device_hand_over(world->device, fds[0]) ? 4 : 0;
}

/* unix(7), ETOOMANYREFS */
static void too_many_files_on_their_way_are_waited_for(void **state)
{
	struct world world;
	int status = -1;
	pid_t child;

	(void)state;
	handover_create_running(&world);
	handover_pause(&world);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(hand_over_when_the_way_is_free(&world));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	goes_on(&world);
	world_destroy(&world);
}

static void one_that_has_let_go_leaves_nothing_behind(void **state)
{
	unsigned int nr_fds = handover_count_fds();
	struct world from;
	struct world to;

	(void)state;
	handover_create_running(&from);
	handover_pause(&from);
	world_create_flags(&to, &world_ops, RH_DEVICE_HAND_OVER);
	assert_int_equal(handover_tell(&from, &to), 0);
	handover_let_go(&from, &to);
	rh_device_resume(to.device);
	world_destroy(&to);
	assert_int_equal(to.nr_disconnected, 1);
	assert_int_equal(handover_count_fds(), nr_fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_is_not_paused_is_busy),
		cmocka_unit_test(a_device_that_has_a_socket_takes_nothing),
		cmocka_unit_test(a_transfer_that_goes_on_is_waited_for),
		cmocka_unit_test(a_postcopy_migration_is_waited_for),
		cmocka_unit_test(memory_whose_file_was_not_kept_stays),
		cmocka_unit_test(whoever_does_not_read_is_not_waited_for),
		cmocka_unit_test(what_nobody_took_may_be_handed_over_again),
		cmocka_unit_test(
			nothing_is_sent_or_read_by_either_before_one_has_let_go),
		cmocka_unit_test(
			a_change_during_the_handover_is_told_by_whoever_goes_on),
		cmocka_unit_test(a_state_of_many_messages_goes_along),
		cmocka_unit_test(how_a_transfer_ended_is_known_later),
		cmocka_unit_test(
			what_is_to_be_said_of_objects_is_said_in_order),
		cmocka_unit_test(too_many_files_on_their_way_are_waited_for),
		cmocka_unit_test(one_that_has_let_go_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("handover-giver", tests, NULL, NULL);
}

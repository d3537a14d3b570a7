/* SPDX-License-Identifier: MIT */
/*
 * device-watch - a host that lets no more files be waited for
 *
 * Linked with --wrap, so that each file which the library puts into its set
 * passes through here, and can be refused as the kernel does it where the user
 * has all the watches that he may have.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/device-world.h"

int __real_epoll_ctl(int epoll_fd, int operation, int fd,
		     struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd,
		     struct epoll_event *event);

static bool refusing;
static unsigned int nr_refused;

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd,
		     struct epoll_event *event)
{
	if (refusing && operation != EPOLL_CTL_DEL) {
		nr_refused++;
		errno = ENOSPC;
		return -1;
	}
	return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

static void refuse(bool on)
{
	refusing = on;
	nr_refused = 0;
}

/* A socket that listens, at an abstract address; *address is where. */
static int listen_somewhere(struct sockaddr_un *address, socklen_t *bytes)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*bytes = sizeof(*address);
	assert_int_equal(bind(fd, (struct sockaddr *)address,
			      sizeof(address->sun_family)),
			 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, bytes), 0);
	return fd;
}

static int connect_to(const struct sockaddr_un *address, socklen_t bytes)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)address, bytes),
			 0);
	return fd;
}

static void a_device_is_not_made_then(void **state)
{
	const struct rh_device_config config = { .ops = &world_ops,
						 .nr_queues = 1 };
	struct rh_device *device;

	(void)state;
	refuse(true);
	assert_int_equal(rh_device_create(&config, &device), -ENOSPC);
	refuse(false);
}

static void a_socket_is_left_to_who_gave_it(void **state)
{
	struct sockaddr_un address;
	socklen_t bytes;
	struct world world;
	int fd = listen_somewhere(&address, &bytes);
	int pair[2];

	(void)state;
	world_create(&world);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	refuse(true);
	assert_int_equal(rh_device_listen(world.device, fd), -ENOSPC);
	assert_int_equal(rh_device_connect(world.device, pair[0]), -ENOSPC);
	refuse(false);
	assert_true(rh_device_finished(world.device));
	assert_int_equal(world.nr_disconnected, 0);
	assert_int_equal(rh_device_listen(world.device, fd), 0);
	rh_device_stop(world.device);
	close(pair[0]);
	close(pair[1]);
	world_destroy(&world);
}

static void a_session_that_cannot_be_heard_ends_alone(void **state)
{
	struct sockaddr_un address;
	socklen_t bytes;
	struct world world;
	int first;
	char byte;

	(void)state;
	world_create(&world);
	assert_int_equal(rh_device_listen(world.device,
					  listen_somewhere(&address, &bytes)),
			 0);
	first = connect_to(&address, bytes);
	refuse(true);
	world_run(&world);
	assert_int_not_equal(nr_refused, 0);
	refuse(false);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -ENOSPC);
	assert_int_equal(recv(first, &byte, 1, 0), 0);
	close(first);
	if (world.device->timer_armed) {
		world_let_timer_expire(&world);
		world_run(&world);
	}
	world.front_end = connect_to(&address, bytes);
	world_run(&world);
	assert_int_not_equal(world_get_u64(&world, VHOST_USER_GET_FEATURES), 0);
	rh_device_stop(world.device);
	world_destroy(&world);
}

/* What cannot be watched after a session is watched a moment later. */
static void the_next_front_end_is_accepted_once_there_is_room(void **state)
{
	struct sockaddr_un address;
	socklen_t bytes;
	struct world world;
	int first;

	(void)state;
	world_create(&world);
	assert_int_equal(rh_device_listen(world.device,
					  listen_somewhere(&address, &bytes)),
			 0);
	first = connect_to(&address, bytes);
	world_run(&world);
	close(first);
	refuse(true);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_not_equal(nr_refused, 0);
	world.front_end = connect_to(&address, bytes);
	world_let_timer_expire(&world);
	world_run(&world);
	assert_int_equal(world.device->state, RH_DEVICE_IDLE);
	refuse(false);
	world_let_timer_expire(&world);
	world_run(&world);
	assert_int_not_equal(world_get_u64(&world, VHOST_USER_GET_FEATURES), 0);
	rh_device_stop(world.device);
	world_destroy(&world);
}

static void a_session_ends_too_that_cannot_be_answered(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_GET_FEATURES, 1,
						  0 };
	struct world world;

	(void)state;
	world_create(&world);
	world_attach(&world);
	refuse(true);
	/* until no more answers fit, and room for them is waited for */
	for (int i = 0; i < 100000 && !nr_refused; i++) {
		if (send(world.front_end, &header, sizeof(header),
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			assert_int_equal(errno, EAGAIN);
		rh_device_run(world.device);
	}
	assert_int_not_equal(nr_refused, 0);
	refuse(false);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, -ENOSPC);
	world_destroy(&world);
}

static void a_transfer_of_state_fails_that_cannot_be_waited_for(void **state)
{
	const struct vhost_user_transfer load = { .direction = 1 };
	struct rh_device_ops ops = world_ops;
	struct world world;
	uint64_t answer;
	int fds[2];

	(void)state;
	ops.state_save = world_save_nothing;
	ops.state_load = world_load_anything;
	world_create_with(&world, &ops);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(pipe(fds), 0);
	refuse(true);
	world_tell(&world, VHOST_USER_SET_DEVICE_STATE_FD, &load, sizeof(load),
		   fds[0]);
	world_run(&world);
	assert_int_equal(nr_refused, 1);
	refuse(false);
	assert_int_equal(world_take_reply(&world,
					  VHOST_USER_SET_DEVICE_STATE_FD,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(world_get_u64(&world, VHOST_USER_CHECK_DEVICE_STATE),
			 1);
	close(fds[0]);
	close(fds[1]);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_not_made_then),
		cmocka_unit_test(a_socket_is_left_to_who_gave_it),
		cmocka_unit_test(a_session_that_cannot_be_heard_ends_alone),
		cmocka_unit_test(
			the_next_front_end_is_accepted_once_there_is_room),
		cmocka_unit_test(a_session_ends_too_that_cannot_be_answered),
		cmocka_unit_test(
			a_transfer_of_state_fails_that_cannot_be_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * socket-linger - sockets that a peer sends and that take time to close
 *
 * close(2) of a TCP socket with SO_LINGER waits until its data is taken, for
 * as long as whoever made the socket said. The peer here never takes it, and
 * has said: ten seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/device-world.h"

#define LINGER_SECONDS 240

struct tcp {
	int listener;
	int ours; /* its other end is the listener's, not accepted */
};

static bool tcp_open(struct tcp *tcp)
{
	const struct linger linger = { 1, LINGER_SECONDS };
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t bytes = sizeof(address);
	static char data[1 << 16];

	tcp->listener = socket(AF_INET, SOCK_STREAM, 0);
	tcp->ours = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(tcp->listener, (void *)&address, bytes) < 0 ||
	    getsockname(tcp->listener, (void *)&address, &bytes) < 0 ||
	    listen(tcp->listener, 1) < 0 ||
	    connect(tcp->ours, (void *)&address, bytes) < 0 ||
	    setsockopt(tcp->ours, SOL_SOCKET, SO_LINGER, &linger,
		       sizeof(linger)) < 0)
		return false;
	while (send(tcp->ours, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return true;
}

static void tcp_close(struct tcp *tcp)
{
	rh_fd_close(&tcp->ours);
	rh_fd_close(&tcp->listener);
}

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* What a message brings, with the sender's copy of it gone. */
static void tell_and_close(struct world *world, uint32_t request,
			   struct tcp *tcp)
{
	world_tell(world, request, NULL, 0, tcp->ours);
	rh_fd_close(&tcp->ours);
}

static void begin(struct world *world, struct tcp *tcp)
{
	world_create(world);
	world_attach(world);
	world_negotiate(world);
	if (!tcp_open(tcp)) {
		tcp_close(tcp);
		world_destroy(world);
		skip();
	}
}

/* Behaviours 10 and 11 */
static void a_surplus_socket_does_not_hold_up_the_device(void **state)
{
	struct world world;
	struct tcp tcp;
	time_t start;

	(void)state;
	begin(&world, &tcp);
	start = now_seconds();
	tell_and_close(&world, VHOST_USER_SET_OWNER, &tcp);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(now_seconds() - start < LINGER_SECONDS / 2);
	tcp_close(&tcp);
	world_destroy(&world);
}

static void the_channel_does_not_hold_up_the_device(void **state)
{
	struct world world;
	struct tcp tcp;
	time_t start;

	(void)state;
	begin(&world, &tcp);
	start = now_seconds();
	tell_and_close(&world, VHOST_USER_SET_BACKEND_REQ_FD, &tcp);
	world_run(&world);
	rh_device_stop(world.device);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(now_seconds() - start < LINGER_SECONDS / 2);
	tcp_close(&tcp);
	world_destroy(&world);
}

/* The session ends before that message is read. */
static void an_unread_message_does_not_hold_up_the_device(void **state)
{
	struct world world;
	struct tcp tcp;
	time_t start;

	(void)state;
	begin(&world, &tcp);
	start = now_seconds();
	world_tell(&world, 200, NULL, 0, -1);
	tell_and_close(&world, VHOST_USER_SET_OWNER, &tcp);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_true(now_seconds() - start < LINGER_SECONDS / 2);
	tcp_close(&tcp);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_surplus_socket_does_not_hold_up_the_device),
		cmocka_unit_test(the_channel_does_not_hold_up_the_device),
		cmocka_unit_test(an_unread_message_does_not_hold_up_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

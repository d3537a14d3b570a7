/* SPDX-License-Identifier: MIT */
/* socket - whole messages, their fds, and ends of connection at every byte */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/socket.h"

#define PAYLOAD 40

struct pair {
	int peer;
	int ours;
	struct rh_incoming incoming;
};

static void pair_open(struct pair *pair)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pair->peer = fds[0];
	pair->ours = fds[1];
	rh_incoming_init(&pair->incoming);
}

static void pair_close(struct pair *pair)
{
	rh_incoming_reset(&pair->incoming);
	rh_fd_close(&pair->peer);
	rh_fd_close(&pair->ours);
}

static int64_t up_to_payload(const struct vhost_user_header *header)
{
	return header->request == 99 ? -EPROTO : PAYLOAD;
}

static int receive(struct pair *pair)
{
	return rh_socket_receive(pair->ours, &pair->incoming, up_to_payload);
}

static int nr_open_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* nr_fds duplicates of fd 0 go along */
static void send_bytes(struct pair *pair, const void *bytes, size_t nr_bytes,
		       size_t nr_fds)
{
	char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)bytes, nr_bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int event_fd = rh_eventfd_create();

	if (nr_fds) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		for (size_t i = 0; i < nr_fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &event_fd,
			       sizeof(int));
	}
	assert_int_equal(sendmsg(pair->peer, &message, 0), nr_bytes);
	close(event_fd);
}

struct whole {
	struct vhost_user_header header;
	uint8_t payload[PAYLOAD];
};

static struct whole whole_message(uint32_t size)
{
	struct whole whole = { .header = { 8, VHOST_USER_VERSION, size } };

	for (int i = 0; i < PAYLOAD; i++)
		whole.payload[i] = (uint8_t)i;
	return whole;
}

static void a_message_arrives_whole_with_its_fds(void **state)
{
	struct whole whole = whole_message(PAYLOAD);
	struct pair pair;
	int fd;

	(void)state;
	pair_open(&pair);
	assert_int_equal(receive(&pair), 0);
	send_bytes(&pair, &whole, sizeof(whole), 8);
	assert_int_equal(receive(&pair), 1);
	assert_int_equal(pair.incoming.header.size, PAYLOAD);
	assert_memory_equal(pair.incoming.payload, whole.payload, PAYLOAD);
	assert_int_equal(pair.incoming.nr_fds, 8);
	fd = rh_incoming_take_fd(&pair.incoming, 3);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	rh_incoming_reset(&pair.incoming);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* taken, so still open */
	close(fd);
	pair_close(&pair);
}

/* Behaviour 10, F-08 */
static void a_message_may_come_byte_by_byte(void **state)
{
	struct whole whole = whole_message(PAYLOAD);
	const uint8_t *bytes = (const uint8_t *)&whole;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	for (size_t i = 0; i < sizeof(whole); i++) {
		assert_int_equal(receive(&pair), 0);
		send_bytes(&pair, bytes + i, 1, i == 0 ? 2 : 0);
	}
	assert_int_equal(receive(&pair), 1);
	assert_memory_equal(pair.incoming.payload, whole.payload, PAYLOAD);
	assert_int_equal(pair.incoming.nr_fds, 2);
	pair_close(&pair);
}

static void two_messages_in_one_write_stay_apart(void **state)
{
	struct whole both[2] = { whole_message(PAYLOAD),
				 whole_message(PAYLOAD) };
	struct pair pair;

	(void)state;
	pair_open(&pair);
	both[1].header.request = 10;
	send_bytes(&pair, both, sizeof(both), 0);
	assert_int_equal(receive(&pair), 1);
	assert_int_equal(pair.incoming.header.request, 8);
	rh_incoming_reset(&pair.incoming);
	assert_int_equal(receive(&pair), 1);
	assert_int_equal(pair.incoming.header.request, 10);
	rh_incoming_reset(&pair.incoming);
	assert_int_equal(receive(&pair), 0);
	pair_close(&pair);
}

/* Behaviours 4 and 12; F-07 */
static void an_end_at_every_byte_is_told_apart_and_leaks_nothing(void **state)
{
	struct whole whole = whole_message(PAYLOAD);
	int nr_before = nr_open_fds();
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < sizeof(whole); i++) {
		pair_open(&pair);
		if (i)
			send_bytes(&pair, &whole, i, 3);
		rh_fd_close(&pair.peer);
		assert_int_equal(receive(&pair), i ? -ECONNRESET : -ENODATA);
		pair_close(&pair);
		assert_int_equal(nr_open_fds(), nr_before);
	}
}

/* Behaviour 11: the most that the kernel lets through, and all of it closed */
static void more_than_eight_fds_are_refused_and_closed(void **state)
{
	static const size_t numbers[] = { 9, 10, 64, 253 };
	struct whole whole = whole_message(PAYLOAD);
	int nr_before = nr_open_fds();
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		pair_open(&pair);
		send_bytes(&pair, &whole, sizeof(whole), numbers[i]);
		assert_int_equal(receive(&pair), -EPROTO);
		pair_close(&pair);
		assert_int_equal(nr_open_fds(), nr_before);
	}
}

static void fds_that_come_with_the_payload_are_refused(void **state)
{
	struct whole whole = whole_message(PAYLOAD);
	int nr_before = nr_open_fds();
	struct pair pair;

	(void)state;
	pair_open(&pair);
	send_bytes(&pair, &whole, sizeof(whole.header), 1);
	assert_int_equal(receive(&pair), 0);
	send_bytes(&pair, whole.payload, PAYLOAD, 1);
	assert_int_equal(receive(&pair), -EPROTO);
	pair_close(&pair);
	assert_int_equal(nr_open_fds(), nr_before);
}

static void a_payload_above_the_bound_is_refused_unread(void **state)
{
	static const uint32_t sizes[] = { PAYLOAD + 1, 4097, UINT32_MAX };
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct whole whole = whole_message(sizes[i]);

		pair_open(&pair);
		send_bytes(&pair, &whole, sizeof(whole), 0);
		assert_int_equal(receive(&pair), -EPROTO);
		assert_int_equal(pair.incoming.nr_bytes, sizeof(whole.header));
		pair_close(&pair);
	}
}

static void a_header_that_the_caller_refuses_ends_there(void **state)
{
	struct whole whole = whole_message(0);
	struct pair pair;

	(void)state;
	pair_open(&pair);
	whole.header.request = 99;
	send_bytes(&pair, &whole, sizeof(whole.header), 0);
	assert_int_equal(receive(&pair), -EPROTO);
	pair_close(&pair);
}

static struct rh_outgoing *create_outgoing(void)
{
	struct rh_outgoing *outgoing = calloc(1, sizeof(*outgoing));

	assert_non_null(outgoing);
	rh_outgoing_init(outgoing);
	return outgoing;
}

/* Behaviour 14: answers pile up to a bound, in order, and come out in order */
static void what_the_peer_does_not_read_waits_and_is_bounded(void **state)
{
	struct rh_outgoing *outgoing = create_outgoing();
	struct vhost_user_header header = { 1, 5, sizeof(uint64_t) };
	const size_t bytes = sizeof(header) + sizeof(uint64_t);
	uint64_t sent = 0;
	uint64_t got = 0;
	uint64_t value;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	while (rh_outgoing_append(outgoing, &header, &sent, -1) == 0 &&
	       rh_socket_send(pair.ours, outgoing) >= 0)
		sent++;
	assert_true(sent > RH_OUTGOING_BYTES / bytes);
	assert_int_equal(rh_socket_send(pair.ours, outgoing), 0);

	while (got < sent) {
		uint8_t message[sizeof(header) + sizeof(value)];

		assert_int_equal(recv(pair.peer, message, bytes, MSG_WAITALL),
				 bytes);
		memcpy(&value, message + sizeof(header), sizeof(value));
		assert_int_equal(value, got);
		got++;
		assert_true(rh_socket_send(pair.ours, outgoing) >= 0);
	}
	assert_int_equal(rh_socket_send(pair.ours, outgoing), 1);
	assert_true(rh_outgoing_empty(outgoing));
	pair_close(&pair);
	free(outgoing);
}

/* Reads one message; returns 1 when an fd came with it, 0 when none did. */
static int read_with_fd(int peer, size_t bytes)
{
	uint8_t message[64];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { message, bytes };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fd;

	assert_int_equal(recvmsg(peer, &header, MSG_WAITALL), bytes);
	if (!CMSG_FIRSTHDR(&header))
		return 0;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(fd));
	close(fd);
	return 1;
}

static void an_fd_goes_with_its_own_message_however_long_it_waits(void **state)
{
	struct rh_outgoing *outgoing = create_outgoing();
	struct vhost_user_header header = { 1, 5, sizeof(uint64_t) };
	const size_t bytes = sizeof(header) + sizeof(uint64_t);
	uint64_t value = 0;
	unsigned int nr_before = 0;
	struct pair pair;

	(void)state;
	pair_open(&pair);
	do {
		assert_int_equal(
			rh_outgoing_append(outgoing, &header, &value, -1), 0);
		nr_before++;
	} while (rh_socket_send(pair.ours, outgoing) == 1);
	assert_int_equal(rh_outgoing_append(outgoing, &header, &value,
					    rh_eventfd_create()),
			 0);
	/* a second one would have to wait for the first: refused and closed */
	assert_int_equal(rh_outgoing_append(outgoing, &header, &value,
					    rh_eventfd_create()),
			 -ENOBUFS);
	assert_int_equal(rh_outgoing_append(outgoing, &header, &value, -1), 0);
	for (unsigned int i = 0; i < nr_before; i++) {
		assert_int_equal(read_with_fd(pair.peer, bytes), 0);
		assert_true(rh_socket_send(pair.ours, outgoing) >= 0);
	}
	assert_int_equal(read_with_fd(pair.peer, bytes), 1);
	assert_int_equal(outgoing->fd, -1);
	assert_int_equal(read_with_fd(pair.peer, bytes), 0);
	assert_true(rh_outgoing_empty(outgoing));

	/* what is forgotten is closed */
	assert_int_equal(rh_outgoing_append(outgoing, &header, &value,
					    rh_eventfd_create()),
			 0);
	rh_outgoing_reset(outgoing);
	assert_int_equal(outgoing->fd, -1);
	pair_close(&pair);
	free(outgoing);
}

static void sending_to_a_closed_peer_fails_without_a_signal(void **state)
{
	struct vhost_user_header header = { 1, 5, 0 };
	struct rh_outgoing *outgoing = create_outgoing();
	struct pair pair;

	(void)state;
	pair_open(&pair);
	rh_fd_close(&pair.peer);
	assert_int_equal(rh_outgoing_append(outgoing, &header, NULL, -1), 0);
	assert_int_equal(rh_socket_send(pair.ours, outgoing), -EPIPE);
	pair_close(&pair);
	free(outgoing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives_whole_with_its_fds),
		cmocka_unit_test(a_message_may_come_byte_by_byte),
		cmocka_unit_test(two_messages_in_one_write_stay_apart),
		cmocka_unit_test(
			an_end_at_every_byte_is_told_apart_and_leaks_nothing),
		cmocka_unit_test(more_than_eight_fds_are_refused_and_closed),
		cmocka_unit_test(fds_that_come_with_the_payload_are_refused),
		cmocka_unit_test(a_payload_above_the_bound_is_refused_unread),
		cmocka_unit_test(a_header_that_the_caller_refuses_ends_there),
		cmocka_unit_test(
			what_the_peer_does_not_read_waits_and_is_bounded),
		cmocka_unit_test(
			an_fd_goes_with_its_own_message_however_long_it_waits),
		cmocka_unit_test(
			sending_to_a_closed_peer_fails_without_a_signal),
	};

	return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* vring-messages - what the messages about one ring may say, and may not */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/io_uring.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

static void make_state(struct fe_message *message, uint32_t request,
		       uint32_t index, uint32_t num)
{
	fe_message_init(message, request, sizeof(message->payload.state));
	message->payload.state.index = index;
	message->payload.state.num = num;
}

/* Send it to a client with a running ring, which must go on. */
static int probe_running(const struct server *server,
			 struct fe_message *message, const int *fds,
			 unsigned int nr_fds)
{
	struct client client;
	int outcome;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	outcome = probe_message(&client, message, fds, nr_fds);
	if ((outcome == PROBE_NAK || outcome == PROBE_OK) &&
	    client_check_io(&client, 0, 2) != 0)
		outcome = PROBE_STUCK;
	return probe_finish(&client, server, outcome);
}

static uint32_t nr_queues_of(const struct server *server)
{
	struct client client;
	uint32_t nr;

	probe_connect(&client, server);
	nr = (uint32_t)client.session.nr_queues;
	client_close(&client);
	return nr;
}

/* F-04, behaviour 34, S-31: cut to 16 bits or to 8 they would be queue 0 */
static void wild_indices_are_refused(void **state)
{
	const uint32_t requests[] = { FE_SET_VRING_NUM, FE_SET_VRING_BASE,
				      FE_GET_VRING_BASE, FE_SET_VRING_ENABLE };
	const struct server *server = *state;
	const uint32_t indices[] = { nr_queues_of(server), 0x100, 0x10000,
				     0x80000000, 0xffffffff };
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(requests); k++) {
			make_state(&message, requests[k], indices[i], 1);
			probe_expect(fe_request_name(requests[k]), indices[i],
				     probe_running(server, &message, NULL, 0),
				     PROBE_NAK);
		}
		fe_message_init(&message, FE_SET_VRING_ADDR,
				sizeof(message.payload.addr));
		message.payload.addr.index = indices[i];
		probe_expect("SET_VRING_ADDR", indices[i],
			     probe_running(server, &message, NULL, 0),
			     PROBE_NAK);
	}
	probe_verdict();
}

/*
 * F-04, S-17, S-31: kick, call and error fds have 8 bits of index and one
 * flag
 */
static void wild_indices_of_fds_are_refused(void **state)
{
	const uint32_t requests[] = { FE_SET_VRING_KICK, FE_SET_VRING_CALL,
				      FE_SET_VRING_ERR };
	const struct server *server = *state;
	const uint64_t values[] = { nr_queues_of(server),
				    255,
				    0x200,
				    0x10000,
				    UINT64_C(1) << 32,
				    UINT64_C(1) << 63,
				    UINT64_MAX & ~FE_VRING_NO_FD };
	struct footprint before;
	struct fe_message message;
	cleanup_close int fd = rh_eventfd_create();

	assert_int_equal(client_footprint(server, &before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(requests); k++) {
			fe_message_init_u64(&message, requests[k], values[i]);
			probe_expect(fe_request_name(requests[k]), values[i],
				     probe_running(server, &message, &fd, 1),
				     PROBE_NAK);
			fe_message_init_u64(&message, requests[k],
					    values[i] | FE_VRING_NO_FD);
			probe_expect(fe_request_name(requests[k]),
				     values[i] | FE_VRING_NO_FD,
				     probe_running(server, &message, NULL, 0),
				     PROBE_NAK);
		}
	}
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* F-12, S-17: bit 8 says that there is no fd, and must be right */
static void bit_8_and_the_fd_exclude_each_other(void **state)
{
	const uint32_t requests[] = { FE_SET_VRING_KICK, FE_SET_VRING_CALL,
				      FE_SET_VRING_ERR };
	const struct server *server = *state;
	struct fe_message message;
	cleanup_close int fd = rh_eventfd_create();

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		fe_message_init_u64(&message, requests[i], FE_VRING_NO_FD);
		probe_expect(fe_request_name(requests[i]), 0x100,
			     probe(server, &message, NULL, 0), PROBE_OK);
		fe_message_init_u64(&message, requests[i], FE_VRING_NO_FD);
		probe_expect(fe_request_name(requests[i]), 0x101,
			     probe(server, &message, &fd, 1), PROBE_NAK);
		fe_message_init_u64(&message, requests[i], 0);
		probe_expect(fe_request_name(requests[i]), 0,
			     probe(server, &message, NULL, 0), PROBE_NAK);
	}
	probe_verdict();
}

/* G-07, S-32: VIRTIO 2.7: a power of two, and no more than the device can */
static void wrong_ring_sizes_are_refused(void **state)
{
	const uint32_t sizes[] = { 0,	  3,	    1000,      1025,
				   2048,  32768,    32769,     65536,
				   65537, 1u << 31, 0xffffffff };
	const struct server *server = *state;
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		bool good = client_rings_are_packed() && sizes[i] &&
			    sizes[i] <= 1024;

		make_state(&message, FE_SET_VRING_NUM, 0, sizes[i]);
		probe_expect("SET_VRING_NUM", sizes[i],
			     probe(server, &message, NULL, 0),
			     good ? PROBE_OK : PROBE_NAK);
	}
	probe_verdict();
}

static int io_with_ring_of(const struct server *server, uint32_t size)
{
	const struct client_options options = {
		.queue_size = size,
		.depth = 1,
		.refused_features = FE_FEATURE_INDIRECT,
	};
	struct client client;
	int error = client_open(&client, server, &options);

	/* header and data in one descriptor where there are but two */
	client.blks[0].framing.join_header = true;
	client.blks[0].framing.join_status = true;
	if (!error)
		error = client_check_io(&client, 0, 1);
	client_close(&client);
	return error;
}

/* S-32 */
static void each_ring_size_works(void **state)
{
	const struct server *server = *state;

	for (uint32_t size = 2; size <= 1024; size *= 2)
		probe_expect("ring size", size, io_with_ring_of(server, size),
			     PROBE_OK);
	for (uint32_t size = 3; client_rings_are_packed() && size < 1024;
	     size = size * 3 / 2 + 1)
		probe_expect("ring size", size, io_with_ring_of(server, size),
			     PROBE_OK);
	probe_verdict();
}

/* F-22, S-36; of a packed ring all 32 bits count */
static void a_base_is_a_16_bit_index(void **state)
{
	const struct server *server = *state;
	const uint32_t bases[] = { 0, 1, 32767, 32768, 65535 };
	const uint32_t wrong[] = { 65536, 0x80000000, 0xffffffff };
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		make_state(&message, FE_SET_VRING_BASE, 0, bases[i]);
		probe_expect("SET_VRING_BASE", bases[i],
			     probe(server, &message, NULL, 0), PROBE_OK);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make_state(&message, FE_SET_VRING_BASE, 0, wrong[i]);
		probe_expect("SET_VRING_BASE", wrong[i],
			     probe(server, &message, NULL, 0),
			     client_rings_are_packed() ? PROBE_OK : PROBE_NAK);
	}
	probe_verdict();
}

/* S-36: Two places with their wrap counters; size decides when it is known. */
static void a_packed_base_is_two_places_in_the_ring(void **state)
{
	const struct client_options options = { .packed = true };
	const uint32_t good[] = { 0, 0x80008000, 0x80000000, 0x803f003f };
	const uint32_t wrong[] = { 0x40, 0x400000, 0x8000c000, 0xffffffff };
	struct client client;

	assert_int_equal(client_connect(&client, *state, &options), 0);
	/* what is wrong for the size that comes later is found at the start */
	assert_int_equal(fe_session_set_state(&client.session,
					      FE_SET_VRING_BASE, 0, 0xffffffff),
			 0);
	assert_int_equal(fe_session_set_state(&client.session, FE_SET_VRING_NUM,
					      0, CLIENT_QUEUE_SIZE),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		probe_expect("SET_VRING_BASE", good[i],
			     fe_session_set_state(&client.session,
						  FE_SET_VRING_BASE, 0,
						  good[i]),
			     PROBE_OK);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		probe_expect("SET_VRING_BASE", wrong[i],
			     fe_session_set_state(&client.session,
						  FE_SET_VRING_BASE, 0,
						  wrong[i]),
			     PROBE_NAK);
	client_close(&client);
	probe_verdict();
}

/* S-38 */
static void enable_is_0_or_1(void **state)
{
	const struct server *server = *state;
	struct fe_message message;

	make_state(&message, FE_SET_VRING_ENABLE, 0, 2);
	probe_expect("SET_VRING_ENABLE", 2,
		     probe_running(server, &message, NULL, 0), PROBE_NAK);
	make_state(&message, FE_SET_VRING_ENABLE, 0, 0xffffffff);
	probe_expect("SET_VRING_ENABLE", 0xffffffff,
		     probe_running(server, &message, NULL, 0), PROBE_NAK);
	probe_verdict();
}

/* S-38: VU Ring states: ENABLE exists only with bit 30 */
static void enable_without_protocol_features_is_refused(void **state)
{
	const struct server *server = *state;
	struct fe_session session;
	struct fe_message message;

	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	assert_int_equal(
		fe_session_negotiate(&session, FE_FEATURE_VERSION_1, 0), 0);
	make_state(&message, FE_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(fe_message_send(session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_wait_closed(session.sock, FE_PATIENCE_MSEC), 0);
	fe_session_deinit(&session);
	assert_int_equal(client_fresh_io(server), 0);
}

/* G-07, F-18, S-33: size, place and position of a ring that runs */
static void a_running_ring_is_not_changed(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_message message;

	make_state(&message, FE_SET_VRING_NUM, 0, CLIENT_QUEUE_SIZE * 2);
	probe_expect("SET_VRING_NUM", CLIENT_QUEUE_SIZE * 2,
		     probe_running(server, &message, NULL, 0), PROBE_NAK);
	make_state(&message, FE_SET_VRING_NUM, 0, CLIENT_QUEUE_SIZE / 2);
	probe_expect("SET_VRING_NUM", CLIENT_QUEUE_SIZE / 2,
		     probe_running(server, &message, NULL, 0), PROBE_NAK);
	make_state(&message, FE_SET_VRING_BASE, 0, 77);
	probe_expect("SET_VRING_BASE", 77,
		     probe_running(server, &message, NULL, 0), PROBE_NAK);

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client.vrings[0].desc_addr += 4096;
	probe_expect("SET_VRING_ADDR", 0,
		     fe_session_set_vring_addr(&client.session,
					       &client.vrings[0], 0),
		     PROBE_NAK);
	client.vrings[0].desc_addr -= 4096;
	assert_int_equal(client_check_io(&client, 0, 2), 0);
	client_close(&client);
	probe_verdict();
}

/* S-35: VU vring address: LOG is the only flag */
static void unknown_address_flags_are_refused(void **state)
{
	const struct server *server = *state;
	const uint32_t flags[] = { 2, 3, 0x100, 0x80000000 };
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		fe_message_init(&message, FE_SET_VRING_ADDR,
				sizeof(message.payload.addr));
		message.payload.addr.flags = flags[i];
		probe_expect("SET_VRING_ADDR", flags[i],
			     probe(server, &message, NULL, 0), PROBE_NAK);
	}
	probe_verdict();
}

/* S-18: VU platforms: what is no event source is refused */
static void fds_that_signal_nothing_are_refused(void **state)
{
	const uint32_t requests[] = { FE_SET_VRING_KICK, FE_SET_VRING_CALL,
				      FE_SET_VRING_ERR };
	const struct server *server = *state;
	const int fds[] = {
		open(server->image, O_RDWR | O_CLOEXEC),
		open(server->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		memfd_create("no event", MFD_CLOEXEC),
		open("/dev/zero", O_RDWR | O_CLOEXEC),
		open("/dev/full", O_RDWR | O_CLOEXEC),
		open("/dev/null", O_RDWR | O_CLOEXEC),
		open(server->dir, O_PATH | O_CLOEXEC),
	};
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(fds[i] >= 0);
		for (size_t k = 0; k < ARRAY_SIZE(requests); k++) {
			fe_message_init_u64(&message, requests[k], 0);
			probe_expect(fe_request_name(requests[k]), i,
				     probe(server, &message, &fds[i], 1),
				     PROBE_NAK);
		}
		close(fds[i]);
	}
	probe_verdict();
}

static int make_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return (int)syscall(SYS_io_uring_setup, 4, &params);
}

/* Use fd for kick, call and error; then nothing may block or spin. */
static void use_odd_fd(const struct server *server, size_t which, int fd)
{
	struct client client;
	int error = 0;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (uint32_t request = FE_SET_VRING_KICK;
	     request <= FE_SET_VRING_ERR && error != PROBE_CLOSED; request++)
		error = fe_session_set_vring_fd(&client.session, request, 0,
						fd);
	fe_vring_publish(&client.vrings[0]);
	error = fe_session_sync(&client.session);
	probe_expect("odd fd", which, error, PROBE_OK);
	probe_expect("odd fd costs CPU time", which,
		     server_is_idle(server, 100, 50) ? 0 : -EBUSY, 0);
	client_close(&client);
}

/* S-18: VU platforms: accepted or not, they never block and never spin */
static void odd_fds_neither_block_nor_spin(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	int pipe_ends[2];
	int pair[2];
	int fds[5];

	assert_int_equal(client_footprint(server, &before), 0);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pipe_ends[1], "x", 1), 1);
	assert_int_equal(write(pair[1], "x", 1), 1);
	fds[0] = pipe_ends[0];
	fds[1] = pipe_ends[1];
	fds[2] = pair[0];
	fds[3] = epoll_create1(EPOLL_CLOEXEC);
	fds[4] = make_io_uring();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			use_odd_fd(server, i, fds[i]);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	close(pair[0]);
	close(pair[1]);
	rh_fd_close(&fds[3]);
	rh_fd_close(&fds[4]);
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
	probe_verdict();
}

/* S-18: VU platforms: SIGPIPE, or the end of the stream, again and again */
static void fds_with_nobody_at_the_other_end_are_harmless(void **state)
{
	const struct server *server = *state;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	use_odd_fd(server, 0, ends[0]);
	close(ends[0]);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	use_odd_fd(server, 1, ends[1]);
	close(ends[1]);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	use_odd_fd(server, 2, ends[0]);
	close(ends[0]);
	assert_int_equal(client_fresh_io(server), 0);
	probe_verdict();
}

/* S-18: Our own connection as kick, call and error fd */
static void a_session_as_its_own_kick_fd_is_harmless(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct footprint before;

	assert_int_equal(client_footprint(server, &before), 0);
	assert_int_equal(client_open(&client, server, NULL), 0);
	client.session.timeout_msec = 300;
	/* it may take the answers away from us, that is our own affair */
	for (uint32_t request = FE_SET_VRING_KICK; request <= FE_SET_VRING_ERR;
	     request++)
		fe_session_set_vring_fd(&client.session, request, 0,
					client.session.sock);
	client_close(&client);
	/* the connection's other end is in its own hands: it must not leak */
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(wild_indices_are_refused),
		WITH_SERVER(wild_indices_of_fds_are_refused),
		WITH_SERVER(bit_8_and_the_fd_exclude_each_other),
		WITH_SERVER(wrong_ring_sizes_are_refused),
		WITH_SERVER(each_ring_size_works),
		WITH_SERVER(a_base_is_a_16_bit_index),
		WITH_SERVER(a_packed_base_is_two_places_in_the_ring),
		WITH_SERVER(enable_is_0_or_1),
		WITH_SERVER(enable_without_protocol_features_is_refused),
		WITH_SERVER(a_running_ring_is_not_changed),
		WITH_SERVER(unknown_address_flags_are_refused),
		WITH_SERVER(fds_that_signal_nothing_are_refused),
		WITH_SERVER(odd_fds_neither_block_nor_spin),
		WITH_SERVER(fds_with_nobody_at_the_other_end_are_harmless),
		WITH_SERVER(a_session_as_its_own_kick_fd_is_harmless),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("vring-messages", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* vring-states - rings start, stop and go on, in any order, and lose nothing */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define SHORT_MSEC 100 /* long enough for what must not happen */

/* One of the messages that a ring needs; they may come in any order. */
static int send_step(struct client *client, unsigned int step)
{
	struct fe_session *session = &client->session;
	struct fe_vring *vring = &client->vrings[0];

	switch (step) {
	case 0:
		return fe_session_set_state(session, FE_SET_VRING_NUM, 0,
					    vring->size);
	case 1:
		return fe_session_set_vring_addr(session, vring, 0);
	case 2:
		return fe_session_set_state(session, FE_SET_VRING_BASE, 0,
					    fe_vring_base(vring));
	case 3:
		return fe_session_set_vring_fd(session, FE_SET_VRING_KICK, 0,
					       vring->kick_fd);
	case 4:
		return fe_session_set_vring_fd(session, FE_SET_VRING_CALL, 0,
					       vring->call_fd);
	default:
		return fe_session_set_state(session, FE_SET_VRING_ENABLE, 0, 1);
	}
}

#define NR_STEPS	6
#define NR_PERMUTATIONS 720

static void permutation(unsigned int number, unsigned int steps[NR_STEPS])
{
	unsigned int left[NR_STEPS] = { 0, 1, 2, 3, 4, 5 };
	unsigned int pick;

	for (unsigned int i = 0; i < NR_STEPS; i++) {
		pick = number % (NR_STEPS - i);
		number /= NR_STEPS - i;
		steps[i] = left[pick];
		left[pick] = left[NR_STEPS - i - 1];
	}
}

/* F-16 */
static void a_ring_is_set_up_in_any_order(void **state)
{
	const struct server *server = *state;
	unsigned int steps[NR_STEPS];
	struct client client;
	int error;

	for (unsigned int i = 0; i < NR_PERMUTATIONS; i++) {
		permutation(i, steps);
		probe_connect(&client, server);
		assert_int_equal(client_prepare(&client, NULL), 0);
		error = fe_session_set_memory(&client.session, &client.memory);
		for (unsigned int k = 0; k < NR_STEPS && !error; k++)
			error = send_step(&client, steps[k]);
		if (!error)
			error = client_check_io(&client, 0, 1);
		probe_expect("order", i, error, PROBE_OK);
		client_close(&client);
	}
	probe_verdict();
}

/* F-16: the addresses come before the memory that they lie in */
static void memory_may_come_after_the_ring(void **state)
{
	const struct server *server = *state;
	struct client client;

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	for (unsigned int k = 0; k < NR_STEPS; k++)
		assert_int_equal(send_step(&client, k), 0);
	assert_int_equal(fe_session_set_memory(&client.session, &client.memory),
			 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

static void add_read(struct client *client)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	assert_non_null(request);
	request->data_bytes = 4096;
	assert_true(fe_blk_add(request) >= 0);
}

/* Reap until nothing is under way; fails on any error. */
static void reap_all(struct client *client)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request;
	int got;

	while (blk->nr_under_way) {
		assert_int_equal(fe_vring_wait(blk->vring, FE_PATIENCE_MSEC),
				 0);
		while ((got = fe_blk_reap(blk, &request)) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
		assert_int_equal(got, 0);
	}
}

/*
 * Behaviour 32, G-26, S-38, S-40: a kick before ENABLE is not lost, nor acted
 * on
 */
static void a_ring_that_is_not_enabled_waits(void **state)
{
	const struct server *server = *state;
	struct client client;

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	assert_int_equal(fe_session_set_memory(&client.session, &client.memory),
			 0);
	for (unsigned int k = 0; k < NR_STEPS - 1; k++)
		assert_int_equal(send_step(&client, k), 0);
	add_read(&client);
	fe_vring_publish(&client.vrings[0]);
	fe_vring_kick(&client.vrings[0]);
	assert_int_equal(fe_session_sync(&client.session), 0);
	usleep(SHORT_MSEC * 1000);
	assert_false(fe_vring_has_used(&client.vrings[0]));
	assert_int_equal(send_step(&client, NR_STEPS - 1), 0);
	reap_all(&client);
	client_close(&client);
}

/* Behaviour 32, S-39: without bit 30 a ring begins enabled */
static void without_protocol_features_rings_begin_enabled(void **state)
{
	const struct server *server = *state;
	const struct client_options options = {
		.refused_features = FE_FEATURE_PROTOCOL,
	};
	struct client client;

	assert_int_equal(client_open(&client, server, &options), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

/* G-26: requests that wait in the ring when it starts, without any kick */
static void what_waits_in_the_ring_is_served_at_its_start(void **state)
{
	const struct server *server = *state;
	struct client client;

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	for (unsigned int i = 0; i < 8; i++)
		add_read(&client);
	fe_vring_publish(&client.vrings[0]);
	assert_int_equal(client_start(&client), 0);
	reap_all(&client);
	client_close(&client);
}

/* F-12, S-17: the back-end polls the ring, the driver polls the used ring */
static void a_ring_without_kick_and_call_is_polled(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_blk_request *request;
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	unsigned int nr_done = 0;

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	rh_fd_close(&client.vrings[0].kick_fd);
	rh_fd_close(&client.vrings[0].call_fd);
	assert_int_equal(client_start(&client), 0);
	while (nr_done < 200 && fe_now_usec() < deadline) {
		add_read(&client);
		fe_vring_publish(&client.vrings[0]);
		while (!fe_blk_reap(&client.blks[0], &request) &&
		       fe_now_usec() < deadline)
			usleep(50);
		assert_int_equal(fe_blk_result(request), 0);
		fe_blk_put(request);
		nr_done++;
	}
	assert_int_equal(nr_done, 200);
	client_close(&client);
}

/* G-26: Behaviour 31: front-ends rely on it after a reconnect */
static void the_call_fd_is_signalled_once_when_it_arrives(void **state)
{
	const struct server *server = *state;
	struct client client;
	cleanup_close int fd = rh_eventfd_create();

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(
		fe_eventfd_wait(client.vrings[0].call_fd, FE_PATIENCE_MSEC), 1);
	assert_int_equal(fe_session_set_vring_fd(&client.session,
						 FE_SET_VRING_CALL, 0, fd),
			 0);
	assert_int_equal(fe_session_sync(&client.session), 0);
	assert_int_equal(fe_eventfd_wait(fd, FE_PATIENCE_MSEC), 1);
	assert_int_equal(fe_eventfd_wait(fd, SHORT_MSEC), -ETIMEDOUT);
	client_close(&client);
}

/* Behaviour 13, S-19: an eventfd's flags are shared with the front-end's */
static void signal_fds_become_non_blocking(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	int *fds[] = { &vring->kick_fd, &vring->call_fd, &vring->err_fd };

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		close(*fds[i]);
		*fds[i] = eventfd(0, EFD_CLOEXEC);
	}
	assert_int_equal(client_start(&client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_true(fcntl(*fds[i], F_GETFL) & O_NONBLOCK);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

static void fill(int fd)
{
	const uint64_t full = UINT64_MAX - 1;

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
}

/* F-20, S-19: one that counts down by ones, and one that cannot take more */
static void odd_eventfds_do_not_disturb_the_ring(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];

	probe_connect(&client, server);
	assert_int_equal(client_prepare(&client, NULL), 0);
	close(vring->kick_fd);
	vring->kick_fd = eventfd(100, EFD_CLOEXEC | EFD_SEMAPHORE);
	fill(vring->call_fd);
	assert_int_equal(client_start(&client), 0);
	for (uint8_t i = 0; i < 20; i++)
		assert_int_equal(client_check_io(&client, 0, i), 0);
	assert_true(server_is_idle(server, 200, 100));
	client_close(&client);
}

/*
 * F-20, S-19: who fills his own kick counter, so that his kicks fail, is
 * alone
 */
static void a_full_kick_counter_hurts_that_ring_at_most(void **state)
{
	const struct server *server = *state;
	const struct client_options options = { .nr_queues = 2 };
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint32_t base;

	assert_int_equal(client_connect(&client, server, NULL), 0);
	assert_int_equal(client_prepare(&client, &options), 0);
	fill(vring->kick_fd);
	assert_int_equal(client_start(&client), 0);
	add_read(&client);
	fe_vring_submit(vring);
	for (uint8_t i = 0; i < 20; i++)
		assert_int_equal(client_check_io(&client, 1, i), 0);
	assert_true(server_is_idle(server, 200, 100));

	assert_int_equal(fe_session_get_base(&client.session, 0, &base), 0);
	rh_eventfd_drain(vring->kick_fd);
	assert_int_equal(
		fe_session_start_vring(&client.session, vring, 0, base), 0);
	reap_all(&client);
	client_close(&client);
}

/* S-20: ours is a duplicate */
static void our_closing_an_eventfd_changes_nothing(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_blk_request *request;
	uint64_t deadline;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	add_read(&client);
	fe_vring_publish(&client.vrings[0]);
	fe_vring_kick(&client.vrings[0]);
	rh_fd_close(&client.vrings[0].kick_fd);
	rh_fd_close(&client.vrings[0].call_fd);
	deadline = fe_deadline(FE_PATIENCE_MSEC);
	while (!fe_blk_reap(&client.blks[0], &request))
		assert_true(fe_now_usec() < deadline);
	assert_int_equal(fe_blk_result(request), 0);
	client_close(&client);
}

/*
 * Behaviour 9, S-40, 2a: the new fd works, the old one is closed and
 * forgotten
 */
static void a_kick_fd_is_replaced_under_a_running_ring(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	int nr_fds = 0;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int i = 0; i < 100; i++) {
		fe_vring_kick(vring);
		close(vring->kick_fd);
		vring->kick_fd = rh_eventfd_create();
		assert_int_equal(fe_session_set_vring_fd(&client.session,
							 FE_SET_VRING_KICK, 0,
							 vring->kick_fd),
				 0);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)i), 0);
		/* the answer means that the message before is done with */
		assert_int_equal(fe_session_sync(&client.session), 0);
		if (i == 2)
			nr_fds = server_nr_fds(server);
	}
	assert_int_equal(server_nr_fds(server), nr_fds);
	client_close(&client);
}

/* S-40: kicks with nothing to do cost nothing once they are over */
static void a_storm_of_kicks_passes(void **state)
{
	const struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int i = 0; i < 300000; i++)
		fe_vring_kick(&client.vrings[0]);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_true(server_is_idle(server, 300, 50));
	client_close(&client);
}

/* Behaviour 33, S-37: never started, twice, stopped */
static void get_vring_base_always_answers(void **state)
{
	const struct server *server = *state;
	struct client client;
	uint32_t base = 99;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_load(&client, 0, 50), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		assert_int_equal(base, fe_vring_base(&client.vrings[0]));
	}
	assert_int_equal(fe_session_get_base(&client.session, 3, &base), 0);
	assert_int_equal(base, client_rings_are_packed() ? 0x80008000u : 0);
	client_close(&client);
}

/*
 * Behaviour 33, S-37: all that was taken is done, then nothing moves any more
 */
static void get_vring_base_drains_the_ring(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint64_t used;
	uint32_t base;

	for (unsigned int round = 0; round < 50; round++) {
		assert_int_equal(client_open(&client, server, NULL), 0);
		for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
			add_read(&client);
		fe_vring_submit(vring);
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		used = client_used_state(vring);
		rh_eventfd_drain(vring->call_fd);
		assert_true(client_is_drained(vring, base));
		fe_vring_kick(vring);
		assert_int_equal(fe_session_sync(&client.session), 0);
		assert_int_equal(fe_eventfd_wait(vring->call_fd, 2),
				 -ETIMEDOUT);
		assert_int_equal(client_used_state(vring), used);
		client_close(&client);
	}
}

/* Behaviour 33: restarting loses nothing */
static void a_ring_restarted_from_its_base_loses_nothing(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint32_t base;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
			add_read(&client);
		fe_vring_submit(vring);
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		assert_int_equal(fe_session_start_vring(&client.session, vring,
							0, base),
				 0);
		reap_all(&client);
	}
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

/* VU Ring states: ENABLE 0 stops, ENABLE 1 goes on and looks at the ring */
static void disabling_and_enabling_loses_nothing(void **state)
{
	const struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int round = 0; round < 500; round++) {
		for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
			add_read(&client);
		fe_vring_submit(&client.vrings[0]);
		assert_int_equal(fe_session_set_state(&client.session,
						      FE_SET_VRING_ENABLE, 0,
						      0),
				 0);
		assert_int_equal(fe_session_set_state(&client.session,
						      FE_SET_VRING_ENABLE, 0,
						      1),
				 0);
		reap_all(&client);
	}
	client_close(&client);
}

/* D-17, S-48: drained, all rings stopped, the same connection set up anew */
static void a_reset_device_is_set_up_anew(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint64_t used;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < CLIENT_DEPTH; i++)
			add_read(&client);
		fe_vring_submit(vring);
		assert_int_equal(fe_session_command(&client.session,
						    FE_RESET_DEVICE),
				 0);
		used = client_used_state(vring);
		fe_vring_kick(vring);
		assert_int_equal(fe_session_sync(&client.session), 0);
		assert_int_equal(client_used_state(vring), used);

		fe_blk_deinit(&client.blks[0]);
		fe_vring_deinit(vring);
		client.memory.regions[0].allocated_bytes = 0;
		assert_int_equal(fe_vring_init(vring, &client.memory, 0,
					       CLIENT_QUEUE_SIZE,
					       client.session.features),
				 0);
		assert_int_equal(fe_blk_init(&client.blks[0], vring, 0,
					     CLIENT_DEPTH, CLIENT_DATA_BYTES),
				 0);
		assert_int_equal(fe_session_set(&client.session,
						FE_SET_FEATURES,
						client.session.features),
				 0);
		assert_int_equal(fe_session_start_vring(&client.session, vring,
							0,
							fe_vring_base(vring)),
				 0);
		assert_int_equal(client_check_io(&client, 0, 1), 0);
	}
	client_close(&client);
}

/*
 * S-34: outside all regions, misaligned, one byte short: BROKEN, and repaired
 */
static void a_ring_that_lies_wrong_is_broken_until_set_anew(void **state)
{
	const struct server *server = *state;
	const struct {
		int64_t desc;
		int64_t avail;
		int64_t used;
	} rows[] = {
		{ INT64_C(1) << 40, 0, 0 },
		{ 0, INT64_C(1) << 40, 0 },
		{ 0, 0, INT64_C(1) << 40 },
		{ 8, 0, 0 },
		{ 0, 1, 0 },
		{ 0, 0, 2 },
	};
	struct client client;
	struct fe_vring vring;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		probe_connect(&client, server);
		assert_int_equal(client_prepare(&client, NULL), 0);
		assert_int_equal(fe_session_set_memory(&client.session,
						       &client.memory),
				 0);
		vring = client.vrings[0];
		client.memory.nr_regions = 2;
		client.memory.regions[1] = client.memory.regions[0];
		client.memory.regions[1].wire.guest_addr = INT64_C(1) << 40;
		client.memory.regions[1].wire.user_addr = INT64_C(1) << 50;
		vring.desc_addr += (uint64_t)rows[i].desc;
		vring.avail_addr += (uint64_t)rows[i].avail;
		vring.used_addr += (uint64_t)rows[i].used;
		assert_int_equal(fe_session_start_vring(&client.session, &vring,
							0,
							fe_vring_base(&vring)),
				 0);
		probe_expect("error fd", i,
			     (int)fe_eventfd_wait(vring.err_fd,
						  FE_PATIENCE_MSEC),
			     1);
		client.memory.nr_regions = 1;
		assert_int_equal(fe_session_start_vring(&client.session,
							&client.vrings[0], 0,
							fe_vring_base(&vring)),
				 0);
		probe_expect("set anew", i, client_check_io(&client, 0, 1), 0);
		client_close(&client);
	}
	probe_verdict();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_ring_is_set_up_in_any_order),
		WITH_SERVER(memory_may_come_after_the_ring),
		WITH_SERVER(a_ring_that_is_not_enabled_waits),
		WITH_SERVER(without_protocol_features_rings_begin_enabled),
		WITH_SERVER(what_waits_in_the_ring_is_served_at_its_start),
		WITH_SERVER(a_ring_without_kick_and_call_is_polled),
		WITH_SERVER(the_call_fd_is_signalled_once_when_it_arrives),
		WITH_SERVER(signal_fds_become_non_blocking),
		WITH_SERVER(odd_eventfds_do_not_disturb_the_ring),
		WITH_SERVER(a_full_kick_counter_hurts_that_ring_at_most),
		WITH_SERVER(our_closing_an_eventfd_changes_nothing),
		WITH_SERVER(a_kick_fd_is_replaced_under_a_running_ring),
		WITH_SERVER(a_storm_of_kicks_passes),
		WITH_SERVER(get_vring_base_always_answers),
		WITH_SERVER(get_vring_base_drains_the_ring),
		WITH_SERVER(a_ring_restarted_from_its_base_loses_nothing),
		WITH_SERVER(disabling_and_enabling_loses_nothing),
		WITH_SERVER(a_reset_device_is_set_up_anew),
		WITH_SERVER(a_ring_that_lies_wrong_is_broken_until_set_anew),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("vring-states", tests, NULL, NULL);
}

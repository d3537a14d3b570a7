/* SPDX-License-Identifier: MIT */
/*
 * postcopy - a disk works on memory whose pages are still to come
 *
 * The guest has filled its rings before the switch, so that the back-end finds
 * requests whose rings, headers and data are all missing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/pager.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/postcopy.h"

#define QUEUES	      4
#define REQUESTS      8 /* on each queue, before the switch */
#define REQUEST_BYTES 16384u
#define MEMORY_BYTES  (8u << 20)

struct arrival {
	struct client client;
	struct pager pager;
	struct fe_blk_request *requests[QUEUES][REQUESTS];
	uint64_t address; /* where the back-end has the memory */
	int fd;		  /* its userfaultfd, while the pager has it not */
};

static void connect_for(struct arrival *arrival, const struct server *server,
			uint64_t refused_protocol)
{
	uint64_t features = FE_USUAL_FEATURES;
	struct fe_session *session = &arrival->client.session;

	if (client_rings_are_packed())
		features |= FE_FEATURE_PACKED;
	memset(arrival, 0, sizeof(*arrival));
	arrival->fd = -1;
	assert_int_equal(fe_session_connect(session, server->socket), 0);
	assert_int_equal(fe_session_negotiate(session, features,
					      (FE_USUAL_PROTOCOL |
					       FE_PROTOCOL_PAGEFAULT) &
						      ~refused_protocol),
			 0);
	assert_true(session->protocol & FE_PROTOCOL_PAGEFAULT);
}

static uint64_t seed_of(unsigned int queue, unsigned int i)
{
	return queue * 1000 + i;
}

/* Each request has a place of its own on the disk. */
static uint64_t sector_of(unsigned int queue, unsigned int i)
{
	return (queue * REQUESTS + i) * (REQUEST_BYTES / 512);
}

static void prepare_write(struct arrival *arrival, unsigned int queue,
			  unsigned int i)
{
	struct fe_blk_request *request =
		fe_blk_get(&arrival->client.blks[queue]);

	assert_non_null(request);
	request->type = VIRTIO_BLK_T_OUT;
	request->sector = sector_of(queue, i);
	request->data_bytes = REQUEST_BYTES;
	client_fill(request->data, REQUEST_BYTES, seed_of(queue, i));
	assert_int_equal(fe_blk_add(request), 0);
	arrival->requests[queue][i] = request;
}

/* What the guest has done at the source; its memory then stays there. */
static void prepare_guest(struct arrival *arrival)
{
	const struct client_options options = {
		.nr_queues = QUEUES,
		.data_bytes = REQUEST_BYTES,
		.memory_bytes = MEMORY_BYTES,
	};
	struct client *client = &arrival->client;

	assert_int_equal(client_prepare(client, &options), 0);
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		for (unsigned int i = 0; i < REQUESTS; i++)
			prepare_write(arrival, queue, i);
		fe_vring_publish(&client->vrings[queue]);
	}
	pager_init(&arrival->pager, &client->memory.regions[0]);
}

static void listen_for(struct arrival *arrival)
{
	struct fe_session *session = &arrival->client.session;

	assert_int_equal(fe_session_advise_postcopy(session, &arrival->fd), 0);
	assert_int_equal(fe_session_listen_postcopy(session), 0);
}

static void show_memory(struct arrival *arrival)
{
	struct client *client = &arrival->client;

	assert_int_equal(fe_session_show_postcopy(&client->session,
						  &client->memory,
						  &arrival->address),
			 0);
	assert_int_equal(fe_session_confirm_postcopy(&client->session), 0);
}

static void serve_pages(struct arrival *arrival)
{
	pager_serve(&arrival->pager, arrival->fd, arrival->address);
	arrival->fd = -1;
}

static void start_queues(struct arrival *arrival)
{
	struct client *client = &arrival->client;
	const uint32_t base = client_rings_are_packed() ? 0x80008000 : 0;

	for (unsigned int i = 0; i < client->nr_queues; i++)
		assert_int_equal(fe_session_start_vring(&client->session,
							&client->vrings[i], i,
							base),
				 0);
}

static void await_writes(struct arrival *arrival)
{
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		for (unsigned int i = 0; i < REQUESTS; i++) {
			struct fe_blk_request *request =
				arrival->requests[queue][i];

			assert_int_equal(fe_blk_wait(request, FE_PATIENCE_MSEC),
					 0);
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
	}
}

/* Read all by the next queue: pages are missing there as well. */
static void verify_disk(struct arrival *arrival)
{
	uint8_t data[REQUEST_BYTES];

	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		struct fe_blk *blk =
			&arrival->client.blks[(queue + 1) % QUEUES];

		for (unsigned int i = 0; i < REQUESTS; i++) {
			assert_int_equal(fe_blk_read(blk, sector_of(queue, i),
						     data, sizeof(data)),
					 0);
			assert_true(client_filled(data, sizeof(data),
						  seed_of(queue, i)));
		}
	}
}

static void leave(struct arrival *arrival)
{
	client_close(&arrival->client);
	pager_deinit(&arrival->pager);
	rh_fd_close(&arrival->fd);
}

static void work_while_pages_come(const struct server *server,
				  uint64_t refused_protocol)
{
	struct arrival arrival;
	unsigned int nr_faults;

	connect_for(&arrival, server, refused_protocol);
	prepare_guest(&arrival);
	listen_for(&arrival);
	show_memory(&arrival);
	serve_pages(&arrival);
	start_queues(&arrival);
	await_writes(&arrival);
	verify_disk(&arrival);
	for (unsigned int queue = 0; queue < QUEUES; queue++)
		assert_int_equal(client_load(&arrival.client, queue, 200), 0);
	/* rings, headers and data of each queue at least */
	assert_true(atomic_load(&arrival.pager.nr_back_end) > 8 * QUEUES);

	pager_finish(&arrival.pager);
	assert_int_equal(fe_session_end_postcopy(&arrival.client.session), 0);
	nr_faults = atomic_load(&arrival.pager.nr_back_end);
	assert_int_equal(client_check_io(&arrival.client, 0, 77), 0);
	assert_int_equal(client_load(&arrival.client, 1, 200), 0);
	assert_int_equal(atomic_load(&arrival.pager.nr_back_end), nr_faults);
	leave(&arrival);
}

static void a_disk_works_while_its_memory_arrives(void **state)
{
	work_while_pages_come(*state, 0);
	assert_int_equal(client_fresh_io(*state), 0);
}

static void a_disk_works_while_the_memory_of_its_table_arrives(void **state)
{
	work_while_pages_come(*state, FE_PROTOCOL_MEM_SLOTS);
	assert_int_equal(client_fresh_io(*state), 0);
}

/* Messages are answered, and SIGTERM ends the server (the test's end). */
static void pages_that_never_come_hold_up_nobody_else(void **state)
{
	const struct server *server = *state;
	struct footprint before;
	struct arrival arrival;
	uint64_t address;

	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < 4; i++) {
		connect_for(&arrival, server, 0);
		prepare_guest(&arrival);
		listen_for(&arrival);
		show_memory(&arrival);
		start_queues(&arrival);
		assert_true(pager_sees_fault(arrival.fd, &address,
					     FE_PATIENCE_MSEC));
		assert_int_equal(fe_session_sync(&arrival.client.session), 0);
		leave(&arrival);
		assert_int_equal(client_fresh_io(server), 0);
	}
	assert_true(client_footprint_same(server, &before));

	connect_for(&arrival, server, 0);
	prepare_guest(&arrival);
	listen_for(&arrival);
	show_memory(&arrival);
	start_queues(&arrival);
	assert_true(pager_sees_fault(arrival.fd, &address, FE_PATIENCE_MSEC));
	assert_int_equal(server_stop(*state), 0);
	leave(&arrival);
}

/* Serve what the back-end asks for, until it wants a page of this data. */
static void serve_until(struct arrival *arrival, const uint8_t *data,
			uint32_t bytes)
{
	const uint64_t wanted =
		(uint64_t)(data - arrival->client.memory.regions[0].host);
	uint64_t address;
	uint64_t offset;

	arrival->pager.back_end_fd = arrival->fd;
	arrival->pager.back_end = arrival->address;
	for (;;) {
		assert_true(pager_sees_fault(arrival->fd, &address,
					     FE_PATIENCE_MSEC));
		offset = address - arrival->address;
		if (offset >= wanted && offset < wanted + bytes)
			break;
		pager_bring(&arrival->pager, offset);
	}
	arrival->pager.back_end_fd = -1;
}

/* The guest dies on its way; what it had on the disk stays. */
static void data_that_never_comes_is_not_written(void **state)
{
	const struct server *server = *state;
	uint8_t before[REQUEST_BYTES];
	uint8_t after[REQUEST_BYTES];
	struct arrival arrival;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	client_fill(before, sizeof(before), 1234);
	assert_int_equal(
		fe_blk_write(&client.blks[0], 0, before, sizeof(before)), 0);
	client_close(&client);

	connect_for(&arrival, server, 0);
	prepare_guest(&arrival);
	arrival.client.nr_queues = 1;
	listen_for(&arrival);
	show_memory(&arrival);
	start_queues(&arrival);
	serve_until(&arrival, arrival.requests[0][0]->data, REQUEST_BYTES);
	arrival.client.nr_queues = QUEUES;
	leave(&arrival);

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_blk_read(&client.blks[0], 0, after, sizeof(after)),
			 0);
	assert_memory_equal(before, after, sizeof(before));
	client_close(&client);
}

/* S-47: POSTCOPY_LISTEN before ADVISE, POSTCOPY twice, END without start */
static void postcopy_out_of_order_is_refused(void **state)
{
	const uint32_t first[] = { FE_POSTCOPY_LISTEN, FE_POSTCOPY_END };
	const uint32_t then[] = { FE_POSTCOPY_ADVISE, FE_POSTCOPY_END };
	struct fe_message message;
	struct arrival arrival;

	connect_for(&arrival, *state, 0);
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		fe_message_init(&message, first[i], 0);
		probe_expect("before ADVISE", first[i],
			     probe_message(&arrival.client, &message, NULL, 0),
			     PROBE_NAK);
	}
	assert_int_equal(fe_session_advise_postcopy(&arrival.client.session,
						    &arrival.fd),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(then); i++) {
		fe_message_init(&message, then[i], 0);
		probe_expect("after ADVISE", then[i],
			     probe_message(&arrival.client, &message, NULL, 0),
			     PROBE_NAK);
	}
	assert_int_equal(fe_session_listen_postcopy(&arrival.client.session),
			 0);
	fe_message_init(&message, FE_POSTCOPY_LISTEN, 0);
	probe_expect("LISTEN twice", 0,
		     probe_message(&arrival.client, &message, NULL, 0),
		     PROBE_NAK);
	assert_int_equal(fe_session_end_postcopy(&arrival.client.session), 0);
	client_close(&arrival.client);
	rh_fd_close(&arrival.fd);
	probe_verdict();
}

/* S-09: a message before its feature is negotiated */
static void postcopy_needs_its_protocol_feature(void **state)
{
	const uint32_t requests[] = { FE_POSTCOPY_ADVISE, FE_POSTCOPY_LISTEN,
				      FE_POSTCOPY_END };
	struct fe_message message;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		fe_message_init(&message, requests[i], 0);
		probe_expect("without PAGEFAULT", requests[i],
			     probe(*state, &message, NULL, 0), PROBE_NAK);
	}
	probe_verdict();
}

static int tear_down_if_running(void **state)
{
	struct server *server = *state;

	return server->pid > 0 ? server_tear_down(state) : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_disk_works_while_its_memory_arrives),
		WITH_SERVER(a_disk_works_while_the_memory_of_its_table_arrives),
		cmocka_unit_test_setup_teardown(
			pages_that_never_come_hold_up_nobody_else, probe_set_up,
			tear_down_if_running),
		WITH_SERVER(data_that_never_comes_is_not_written),
		WITH_SERVER(postcopy_out_of_order_is_refused),
		WITH_SERVER(postcopy_needs_its_protocol_feature),
	};

	if (server_is_missing() || !pager_possible())
		return 0;
	return cmocka_run_group_tests_name("postcopy", tests, NULL, NULL);
}

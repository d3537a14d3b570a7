/* SPDX-License-Identifier: MIT */
/*
 * lost-memory - a front-end takes back the memory that it has shared
 *
 * F-24 and F-25. What the test has mapped itself is gone then, too, so it
 * touches none of it afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "tests/e2e/probe.h"

#define ROUNDS 20

/* As many requests as there are, of which nothing is published yet. */
static void prepare_requests(struct client *client)
{
	struct fe_blk_request *request;
	uint64_t sector = 0;

	while ((request = fe_blk_get(&client->blks[0]))) {
		request->type =
			sector % 16 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		request->sector = sector;
		request->data_bytes = 4096;
		sector += 8;
		assert_int_equal(fe_blk_add(request), 0);
	}
}

static void take_back(const struct client *client)
{
	for (unsigned int i = 0; i < client->memory.nr_regions; i++)
		assert_int_equal(ftruncate(client->memory.regions[i].fd, 0), 0);
}

/* Only the sockets and mappings: the rings are in what is gone. */
static void leave(struct client *client)
{
	assert_int_equal(fe_wait_closed(client->session.sock, 5000), 0);
	client_close(client);
}

/* F-24, S-26 */
static void memory_taken_back_under_load_ends_one_session(void **state)
{
	struct server *server = *state;
	struct client client;

	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(client_open(&client, server, NULL), 0);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)i), 0);
		prepare_requests(&client);
		fe_vring_submit(&client.vrings[0]);
		take_back(&client);
		rh_eventfd_signal(client.vrings[0].kick_fd);
		leave(&client);
	}
	assert_int_equal(client_fresh_io(server), 0);
}

/* F-24 */
static void memory_taken_back_from_an_idle_ring_ends_one_session(void **state)
{
	struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	take_back(&client);
	rh_eventfd_signal(client.vrings[0].kick_fd);
	leave(&client);
	assert_int_equal(client_fresh_io(server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(memory_taken_back_under_load_ends_one_session),
		WITH_SERVER(
			memory_taken_back_from_an_idle_ring_ends_one_session),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("lost-memory", tests, NULL, NULL);
}

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

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

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
	assert_int_equal(fe_wait_closed(client->session.sock, FE_PATIENCE_MSEC),
			 0);
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

/* A write whose header or data lies in the second region, at this offset */
static void add_write(struct client *client, uint64_t sector, bool header,
		      uint64_t offset)
{
	uint64_t addr = client->memory.regions[1].wire.guest_addr + offset;
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;

	assert_non_null(request);
	request->type = VIRTIO_BLK_T_OUT;
	request->sector = sector;
	request->data_bytes = 4096;
	assert_int_equal(fe_blk_cut(request, pieces, &buffers), 0);
	pieces[header ? 0 : 1].guest_addr = addr;
	assert_true(fe_vring_add(&client->vrings[0], &buffers, request) >= 0);
}

/* Each block of the image is as client_check_io() has left it. */
static void assert_written_before(struct server *server, uint8_t nr)
{
	uint8_t data[4096];
	int fd = open(server->image, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (uint8_t i = 0; i < nr; i++) {
		assert_int_equal(pread(fd, data, sizeof(data), i * 4096),
				 sizeof(data));
		assert_true(client_filled(data, sizeof(data), i));
	}
	close(fd);
}

/*
 * F-24: of a batch of writes the last one's header is missing, and so is the
 * data of the others, which the server has not looked at itself. They may
 * fail; nothing but what the guest wrote may get to the disk.
 */
static void memory_taken_back_does_not_become_zeros_on_the_disk(void **state)
{
	const uint8_t nr = 8;
	struct server *server = *state;
	struct client client;

	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(client_connect(&client, server, NULL), 0);
		assert_int_equal(client_prepare(&client, NULL), 0);
		assert_int_equal(
			fe_memory_add(&client.memory, 1u << 30, 1u << 20), 1);
		assert_int_equal(client_start(&client), 0);
		for (uint8_t n = 0; n < nr; n++)
			assert_int_equal(client_check_io(&client, 0, n), 0);
		for (uint8_t n = 0; n < nr; n++)
			add_write(&client, n * 8u, false, (n + 1) * 4096u);
		add_write(&client, 0, true, 0);
		fe_vring_publish(&client.vrings[0]);
		assert_int_equal(ftruncate(client.memory.regions[1].fd, 0), 0);
		rh_eventfd_signal(client.vrings[0].kick_fd);
		leave(&client);
		assert_written_before(server, nr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(memory_taken_back_under_load_ends_one_session),
		WITH_SERVER(
			memory_taken_back_from_an_idle_ring_ends_one_session),
		WITH_SERVER(
			memory_taken_back_does_not_become_zeros_on_the_disk),
	};

	if (server_is_missing())
		return 0;
	/* a disk that copies data itself touches all that is missing */
	return _cmocka_run_group_tests(
		"lost-memory", tests,
		ARRAY_SIZE(tests) - (server_is_ringhost() ? 0 : 1), NULL, NULL);
}

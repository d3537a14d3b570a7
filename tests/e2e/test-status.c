/* SPDX-License-Identifier: MIT */
/* status - the device status of a whole server, as VMMs use it */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"

#define ALL_OK	    15 /* acknowledge, driver, driver ok, features ok */
#define NEEDS_RESET 64
#define ROUNDS	    50
#define READ_BYTES  4096

static const struct client_options with_status = {
	.more_protocol = FE_PROTOCOL_STATUS,
};

static void fill_the_ring(struct client *client)
{
	for (unsigned int i = 0; i < CLIENT_DEPTH; i++) {
		struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

		assert_non_null(request);
		request->data_bytes = READ_BYTES;
		assert_true(fe_blk_add(request) >= 0);
	}
	fe_vring_submit(&client->vrings[0]);
}

static void reap_all(struct client *client)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request;

	while (blk->nr_under_way) {
		assert_int_equal(fe_vring_wait(blk->vring, FE_PATIENCE_MSEC),
				 0);
		while (fe_blk_reap(blk, &request) > 0) {
			assert_int_equal(fe_blk_result(request), 0);
			fe_blk_put(request);
		}
	}
}

static void set_status(struct client *client, uint64_t status)
{
	assert_int_equal(
		fe_session_set(&client->session, FE_SET_STATUS, status), 0);
}

static uint64_t get_status(struct client *client)
{
	uint64_t status = UINT64_MAX;

	assert_int_equal(
		fe_session_get(&client->session, FE_GET_STATUS, &status), 0);
	return status;
}

/*
 * D-17, S-48: what was taken is answered first, and nothing is touched after
 * it
 */
static void status_0_under_load_drains_the_rings(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring *vring = &client.vrings[0];
	uint32_t base;
	uint64_t used;

	assert_int_equal(client_open(&client, server, &with_status), 0);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		set_status(&client, ALL_OK);
		fill_the_ring(&client);
		set_status(&client, 0);
		used = client_used_state(vring);
		fe_vring_kick(vring);
		assert_int_equal(get_status(&client), 0);
		assert_int_equal(client_used_state(vring), used);
		/* as QEMU up to 8.1, which goes on from there */
		assert_int_equal(fe_session_get_base(&client.session, 0, &base),
				 0);
		assert_true(client_is_drained(vring, base));
		assert_int_equal(fe_session_start_vring(&client.session, vring,
							0, base),
				 0);
		reap_all(&client);
		assert_int_equal(client_check_io(&client, 0, 1), 0);
	}
	client_close(&client);
}

static void a_broken_ring_shows_in_the_status(void **state)
{
	const struct server *server = *state;
	struct client client;
	struct fe_vring vring;

	assert_int_equal(client_connect(&client, server, &with_status), 0);
	assert_int_equal(client_prepare(&client, &with_status), 0);
	assert_int_equal(fe_session_set_memory(&client.session, &client.memory),
			 0);
	set_status(&client, ALL_OK);
	assert_int_equal(get_status(&client), ALL_OK);
	vring = client.vrings[0];
	vring.desc_addr += INT64_C(1) << 40;
	assert_int_equal(fe_session_start_vring(&client.session, &vring, 0,
						fe_vring_base(&vring)),
			 0);
	assert_int_equal(fe_eventfd_wait(vring.err_fd, FE_PATIENCE_MSEC), 1);
	assert_int_equal(get_status(&client), ALL_OK | NEEDS_RESET);
	set_status(&client, 0);
	assert_int_equal(get_status(&client), 0);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(status_0_under_load_drains_the_rings),
		WITH_SERVER(a_broken_ring_shows_in_the_status),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * memory-bound - the most that a connection can make a server hold
 *
 * Catalogue G-23. A front-end that shows as many regions as it may, and
 * starts all rings with as many entries as they may have. Then each entry of
 * each ring carries a request in as many pieces as there may be; half a
 * message is on its way meanwhile, and in the second test all of it is marked
 * in a migration log. Memory of the server's own, which is not that of the
 * guest, stays below what docs/security.md says; and comes close to it, so
 * that what is said is no larger than it has to be.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/server.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/dirty_log.h"

#define NR_QUEUES     4
#define NR_ENTRIES    1024
#define NR_REGIONS    509
#define NR_PIECES     1024 /* header and status included */
#define PIECE_BYTES   256
#define MEMORY_BYTES  (2u << 20)
#define FIRST_ADDR    (UINT64_C(1) << 30) /* of the small regions */
#define REGION_BYTES  4096
#define LEFT_BYTES    (1 << 20)
#define SESSION_BYTES (2 << 20) /* regions and rings before any request */
#define CLOSE_PERCENT 85 /* nothing is discarded, and few are under way */

/* What docs/security.md says of an entry, and with a log */
#define ENTRY_BYTES  (18 << 10)
#define LOGGED_BYTES (34 << 10)

struct peer {
	struct client client; /* its rings are not used */
	struct fe_vring vrings[NR_QUEUES];
	struct fe_dirty_log log;
	uint64_t header, data, status, table;
};

static int64_t own_bytes(const struct server *server)
{
	char line[256];
	long long kib = -1;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", server->pid);
	file = fopen(line, "re");
	assert_non_null(file);
	while (kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "RssAnon: %lld", &kib);
	fclose(file);
	assert_true(kib >= 0);
	return kib * 1024;
}

static void show_memory(struct peer *peer)
{
	struct fe_memory *memory = &peer->client.memory;

	assert_int_equal(fe_memory_add(memory, 0, MEMORY_BYTES), 0);
	for (unsigned int i = 1; i < NR_REGIONS; i++)
		assert_int_equal(
			fe_memory_add(memory, FIRST_ADDR + 2 * i * REGION_BYTES,
				      REGION_BYTES),
			i);
	assert_int_equal(fe_session_set_memory(&peer->client.session, memory),
			 0);
}

static void keep_log(struct peer *peer)
{
	struct fe_session *session = &peer->client.session;

	assert_int_equal(
		fe_dirty_log_init(&peer->log,
				  fe_dirty_log_bytes(&peer->client.memory)),
		0);
	assert_int_equal(fe_session_set_log(session, &peer->log), 0);
	assert_int_equal(fe_session_log_data(session, true), 0);
}

static void start_rings(struct peer *peer)
{
	struct client *client = &peer->client;

	for (unsigned int i = 0; i < NR_QUEUES; i++) {
		struct fe_vring *vring = &peer->vrings[i];

		assert_int_equal(fe_vring_init(vring, &client->memory, 0,
					       NR_ENTRIES,
					       client->session.features),
				 0);
		assert_int_equal(fe_session_start_vring(&client->session, vring,
							i,
							fe_vring_base(vring)),
				 0);
	}
}

static void take_places(struct peer *peer)
{
	struct fe_memory *memory = &peer->client.memory;
	const uint64_t bytes = NR_PIECES * sizeof(struct vring_desc);

	assert_int_equal(fe_memory_alloc(memory, 0, bytes, 16, &peer->table),
			 0);
	assert_int_equal(fe_memory_alloc(memory, 0, PIECE_BYTES, PIECE_BYTES,
					 &peer->data),
			 0);
	assert_int_equal(fe_memory_alloc(memory, 0, 16, 16, &peer->header), 0);
	assert_int_equal(fe_memory_alloc(memory, 0, 1, 1, &peer->status), 0);
}

static void open_peer(struct peer *peer, const struct server *server, bool logs)
{
	const struct client_options options = {
		.unusual_features = FE_FEATURE_LOG_ALL,
		.more_protocol = FE_PROTOCOL_LOG_SHMFD,
	};

	memset(peer, 0, sizeof(*peer));
	assert_int_equal(client_connect(&peer->client, server, &options), 0);
	assert_true(peer->client.session.nr_queues >= NR_QUEUES);
	show_memory(peer);
	if (logs)
		keep_log(peer);
	start_rings(peer);
	take_places(peer);
}

static void close_peer(struct peer *peer)
{
	client_close(&peer->client);
	fe_dirty_log_deinit(&peer->log);
	for (unsigned int i = 0; i < NR_QUEUES; i++)
		fe_vring_deinit(&peer->vrings[i]);
}

/* A read in as many pieces as there may be, from each entry of the ring */
static void use_all_entries(struct peer *peer, struct fe_vring *vring)
{
	static struct fe_buffer pieces[NR_PIECES];
	const struct fe_buffers buffers = {
		.array = pieces,
		.nr_readable = 1,
		.nr_writable = NR_PIECES - 1,
		.table = peer->table,
	};
	unsigned int nr = 0;
	uint32_t used_bytes;
	void *token;

	for (unsigned int i = 0; i < NR_PIECES; i++)
		pieces[i] = (struct fe_buffer){ peer->data, PIECE_BYTES };
	pieces[0] = (struct fe_buffer){ peer->header, FE_BLK_HEADER_BYTES };
	pieces[NR_PIECES - 1] = (struct fe_buffer){ peer->status, 1 };
	for (unsigned int i = 0; i < NR_ENTRIES; i++)
		assert_true(fe_vring_add(vring, &buffers, peer) >= 0);
	fe_vring_submit(vring);
	while (nr < NR_ENTRIES) {
		assert_int_equal(fe_vring_wait(vring, FE_PATIENCE_MSEC), 0);
		while (fe_vring_take(vring, &token, &used_bytes) > 0) {
			assert_int_equal(used_bytes,
					 (NR_PIECES - 2) * PIECE_BYTES + 1);
			nr++;
		}
	}
}

static void send_half_a_message(struct peer *peer)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	struct fe_message message;
	size_t nr_bytes;

	fe_message_init(&message, FE_SET_MEM_TABLE,
			sizeof(message.payload.table));
	nr_bytes = fe_message_encode(&message, bytes);
	assert_int_equal(fe_send_bytes(peer->client.session.sock, bytes,
				       nr_bytes - 1, NULL, 0),
			 0);
}

static void say_hello(const struct server *server)
{
	struct fe_session session;

	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	assert_int_equal(fe_session_sync(&session), 0);
	fe_session_deinit(&session);
}

/* The first use has been then, and what was used before and here has gone. */
static void come_by(const struct server *server)
{
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_session_sync(&client.session), 0);
	client_close(&client);
	/* the answer means that the session before is gone */
	say_hello(server);
}

static void assert_given_back(const struct server *server, int64_t before)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	do
		come_by(server);
	while (own_bytes(server) > before + LEFT_BYTES &&
	       fe_now_usec() < deadline);
	assert_in_range(own_bytes(server), 0, before + LEFT_BYTES);
}

static void fill_and_compare(const struct server *server, bool logs,
			     int64_t entry_bytes)
{
	const int64_t bound = entry_bytes * NR_ENTRIES * NR_QUEUES;
	static struct peer peer;
	int64_t before, session, full;

	come_by(server);
	before = own_bytes(server);
	open_peer(&peer, server, logs);
	session = own_bytes(server) - before;
	for (unsigned int i = 0; i < NR_QUEUES; i++)
		use_all_entries(&peer, &peer.vrings[i]);
	send_half_a_message(&peer);
	full = own_bytes(server) - before;
	printf("# %s: %lld KiB before it came, %lld KiB for its regions and "
	       "rings, %lld KiB with all entries used; %lld bytes an entry\n",
	       logs ? "with a log" : "without a log", (long long)before / 1024,
	       (long long)session / 1024, (long long)full / 1024,
	       (long long)(full - session) / NR_ENTRIES / NR_QUEUES);
	close_peer(&peer);
	assert_in_range(session, 0, SESSION_BYTES);
	assert_in_range(full, bound * CLOSE_PERCENT / 100,
			bound + SESSION_BYTES);
	assert_given_back(server, before);
}

/* G-23 */
static void what_a_connection_can_make_a_server_hold_is_bounded(void **state)
{
	fill_and_compare(*state, false, ENTRY_BYTES);
}

/* G-23 */
static void a_migration_can_make_it_hold_no_more_than_twice_that(void **state)
{
	fill_and_compare(*state, true, LOGGED_BYTES);
}

static int set_up(void **state)
{
	static const struct server_options options = {
		.no_image = true,
		.options = { "--driver=null", "--size=1G", "--num-queues=4" },
	};
	static struct server server;

	*state = &server;
	return server_start(&server, &options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_a_connection_can_make_a_server_hold_is_bounded),
		cmocka_unit_test(
			a_migration_can_make_it_hold_no_more_than_twice_that),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("memory-bound", tests, set_up,
					   server_tear_down);
}

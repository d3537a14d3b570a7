/* SPDX-License-Identifier: MIT */
/*
 * daemon - many disks in one process, changed while guests use them
 *
 * Behaviours 7, 16, 17 and the first rows of what a daemon must not do: a
 * guest notices nothing of what is done to other disks, or to the threads that
 * serve its own.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"

#define NR_MOVES     1000
#define DEPTH	     16
#define BLOCK_BYTES  4096
#define LANE_SECTORS 2048

#define EXPORT                                                                 \
	"type=vhost-user-blk,id=%s,node-name=%s,addr.type=unix,addr.path=%s,"  \
	"writable=on"

static const char *const two_disks[] = {
	"--object",
	"iothread,id=t0",
	"--object",
	"qom-type=iothread,id=t1",
	"--blockdev",
	"driver=file,node-name=file0,filename=a.img",
	"--blockdev",
	"driver=raw,node-name=disk0,file=file0",
	"--blockdev",
	"{\"driver\": \"null-co\", \"node-name\": \"disk1\", \"size\": 8388608}",
	"--export",
	"type=vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
	"addr.path=e0.sock,writable=on,num-queues=4,iothread=t0",
	"--export",
	"vhost-user-blk,id=e1,node-name=disk1,addr.type=unix,"
	"addr.path=e1.sock,writable=on,num-queues=2",
	NULL,
};

/* A guest that works all the time, and checks what it reads. */
struct load {
	struct client client;
	pthread_t threads[CLIENT_MAX_QUEUES];
	unsigned int nr_threads;
	bool keeps_data; /* the disk does */
	atomic_bool ends;
	atomic_ulong nr_rounds;
	_Atomic(const char *) fault; /* NULL: none was found */
};

struct lane {
	struct load *load;
	unsigned int queue;
};

static struct lane lanes[2 * CLIENT_MAX_QUEUES];

/* As many requests as there is room for, all at once. */
static const char *do_round(const struct lane *lane, uint32_t type,
			    uint64_t seed)
{
	struct fe_blk *blk = &lane->load->client.blks[lane->queue];
	struct fe_blk_request *requests[DEPTH];
	const char *fault = NULL;

	for (unsigned int i = 0; i < DEPTH; i++) {
		requests[i] = fe_blk_get(blk);
		requests[i]->type = type;
		requests[i]->sector = lane->queue * LANE_SECTORS + i * 8;
		requests[i]->data_bytes = BLOCK_BYTES;
		if (type == VIRTIO_BLK_T_OUT)
			client_fill(requests[i]->data, BLOCK_BYTES, seed + i);
		if (fe_blk_add(requests[i]) < 0)
			return "there is no room in the ring";
	}
	fe_vring_submit(blk->vring);
	for (unsigned int i = 0; i < DEPTH; i++) {
		if (fe_blk_wait(requests[i], blk->timeout_msec) < 0 ||
		    fe_blk_result(requests[i]) < 0)
			return "a request has failed, or never ends";
		if (type == VIRTIO_BLK_T_IN && lane->load->keeps_data &&
		    !client_filled(requests[i]->data, BLOCK_BYTES, seed + i))
			fault = "what was written is not what is read";
		fe_blk_put(requests[i]);
	}
	return fault;
}

static void *keep_busy(void *opaque)
{
	const struct lane *lane = opaque;
	struct load *load = lane->load;
	const char *fault = NULL;

	for (uint64_t seed = 1; !fault && !atomic_load(&load->ends);
	     seed += DEPTH) {
		fault = do_round(lane, VIRTIO_BLK_T_OUT, seed);
		if (!fault)
			fault = do_round(lane, VIRTIO_BLK_T_IN, seed);
		atomic_fetch_add(&load->nr_rounds, 1);
	}
	if (fault)
		atomic_store(&load->fault, fault);
	return NULL;
}

static void load_begin(struct load *load, struct lane *of,
		       const struct server *server, unsigned int nr_queues,
		       bool keeps_data)
{
	const struct client_options options = { .nr_queues = nr_queues };

	memset(load, 0, sizeof(*load));
	load->keeps_data = keeps_data;
	assert_int_equal(client_open(&load->client, server, &options), 0);
	load->nr_threads = nr_queues;
	for (unsigned int i = 0; i < nr_queues; i++) {
		of[i] = (struct lane){ load, i };
		pthread_create(&load->threads[i], NULL, keep_busy, &of[i]);
	}
}

static void load_end(struct load *load)
{
	const char *fault;

	atomic_store(&load->ends, true);
	for (unsigned int i = 0; i < load->nr_threads; i++)
		pthread_join(load->threads[i], NULL);
	client_close(&load->client);
	fault = atomic_load(&load->fault);
	if (fault)
		fail_msg("%s", fault);
}

/* Until each lane has done something since. */
static void load_goes_on(struct load *load)
{
	unsigned long begun = atomic_load(&load->nr_rounds);

	while (atomic_load(&load->nr_rounds) < begun + 2 * load->nr_threads &&
	       !atomic_load(&load->fault))
		usleep(1000);
}

/* So many more than it has now. */
static void limit_fds(struct daemon *daemon, unsigned int nr_more)
{
	rlim_t nr = (rlim_t)server_nr_fds(&daemon->server) + nr_more;
	const struct rlimit limit = { nr, nr };

	assert_int_equal(
		prlimit(daemon->server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void a_command_line_of_qemu_storage_daemon_is_understood(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, two_disks);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e1.sock"), NULL), 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);
	daemon_stop(&daemon);
}

static void disks_are_added_and_removed_beside_one_that_works(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, two_disks);
	load_begin(&load, lanes, daemon_at(&daemon, "e0.sock"), 2, true);
	for (unsigned int i = 0; i < 20; i++) {
		qmp_do(&daemon.qmp, "blockdev-add",
		       "{'driver': 'raw', 'node-name': 'disk2', 'file': "
		       "{'driver': 'file', 'filename': 'b.img'}}");
		qmp_do(&daemon.qmp, "block-export-add",
		       "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': "
		       "'disk2', 'writable': true, 'addr': {'type': 'unix', "
		       "'path': 'e2.sock'}, 'iothread': 't%u'}",
		       i % 2);
		assert_int_equal(client_fresh_io(daemon_at(&daemon, "e2.sock")),
				 0);
		qmp_do(&daemon.qmp, "block-export-del",
		       "{'id': 'e2', 'mode': 'hard'}");
		assert_string_equal(
			json_string_value(json_object_get(
				qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED"),
				"id")),
			"e2");
		qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'disk2'}");
	}
	load_goes_on(&load);
	load_end(&load);
	daemon_stop(&daemon);
}

/* Behaviours 16 and 17 */
static void a_thousand_moves_under_load_lose_nothing(void **state)
{
	struct daemon daemon;
	struct load file;
	struct load null;

	(void)state;
	daemon_start(&daemon, two_disks);
	load_begin(&file, lanes, daemon_at(&daemon, "e0.sock"), 4, true);
	load_begin(&null, lanes + CLIENT_MAX_QUEUES,
		   daemon_at(&daemon, "e1.sock"), 2, false);
	for (unsigned int i = 0; i < NR_MOVES / 2; i++) {
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'queue': %u, 'iothread': 't%u'}", i % 4,
		       i / 4 % 2);
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e%u', 'iothread': ['t%u', 't%u']}", i % 2,
		       i / 2 % 2, (i / 2 + 1) % 2);
		if (i % 50 == 0)
			load_goes_on(&file);
	}
	load_goes_on(&file);
	load_goes_on(&null);
	load_end(&file);
	load_end(&null);
	daemon_stop(&daemon);
}

/* The first rows of what QEMU's daemon does: the message is not lost. */
static void moves_beside_half_a_message_lose_nothing(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };
	const uint32_t message[] = { FE_GET_FEATURES, FE_FLAG_VERSION, 0 };
	uint32_t answer[3];

	(void)state;
	daemon_start(&daemon, two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	for (unsigned int i = 0; i < 100; i++) {
		size_t half = 1 + i % (sizeof(message) - 1);

		assert_int_equal(send(client.session.sock, message, half, 0),
				 half);
		qmp_do(&daemon.qmp, "x-export-move",
		       "{'id': 'e0', 'iothread': 't%u'}", i % 2);
		assert_int_equal(send(client.session.sock,
				      (const char *)message + half,
				      sizeof(message) - half, 0),
				 sizeof(message) - half);
		assert_int_equal(recv(client.session.sock, answer,
				      sizeof(answer), MSG_WAITALL),
				 sizeof(answer));
		assert_int_equal(answer[0], FE_GET_FEATURES);
		assert_int_equal(answer[2], 8);
		assert_int_equal(
			recv(client.session.sock, answer, 8, MSG_WAITALL), 8);
		assert_int_equal(client_check_io(&client, 0, (uint8_t)i), 0);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

static void a_disk_in_use_is_only_removed_by_force(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, two_disks);
	load_begin(&load, lanes, daemon_at(&daemon, "e0.sock"), 2, true);
	qmp_fails(&daemon.qmp, "still in use", "block-export-del",
		  "{'id': 'e0'}");
	qmp_fails(&daemon.qmp, "in use", "blockdev-del",
		  "{'node-name': 'disk0'}");
	qmp_fails(&daemon.qmp, "in use", "object-del", "{'id': 't0'}");
	load_goes_on(&load);
	load_end(&load);
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e0', 'mode': 'hard'}");
	qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
	qmp_do(&daemon.qmp, "object-del", "{'id': 't0'}");
	qmp_fails(&daemon.qmp, "in use", "blockdev-del",
		  "{'node-name': 'file0'}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'disk0'}");
	qmp_do(&daemon.qmp, "blockdev-del", "{'node-name': 'file0'}");
	daemon_stop(&daemon);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	struct daemon daemon;
	json_t *exports;
	int nr_fds;

	(void)state;
	daemon_start(&daemon, two_disks);
	nr_fds = server_nr_fds(&daemon.server);
	qmp_fails(&daemon.qmp, "Duplicate nodes", "blockdev-add",
		  "{'driver': 'null-co', 'node-name': 'disk0'}");
	qmp_fails(&daemon.qmp, "does not exist", "blockdev-add",
		  "{'driver': 'file', 'node-name': 'x', 'filename': 'none'}");
	qmp_fails(&daemon.qmp, "Unknown driver 'qcow2'", "blockdev-add",
		  "{'driver': 'qcow2', 'node-name': 'x', 'file': 'file0'}");
	qmp_fails(&daemon.qmp, "'filename' is missing", "blockdev-add",
		  "{'driver': 'file', 'node-name': 'x'}");
	qmp_fails(&daemon.qmp, "already exists", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e0', 'node-name': "
		  "'disk1', 'addr': {'type': 'unix', 'path': 'x.sock'}}");
	qmp_fails(&daemon.qmp, "another process listens", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': "
		  "'disk1', 'addr': {'type': 'unix', 'path': 'e0.sock'}}");
	qmp_fails(&daemon.qmp, "power of two", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': "
		  "'disk1', 'logical-block-size': 1000, 'addr': {'type': "
		  "'unix', 'path': 'x.sock'}}");
	qmp_fails(&daemon.qmp, "not found", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': "
		  "'disk1', 'iothread': 't9', 'addr': {'type': 'unix', "
		  "'path': 'x.sock'}}");
	qmp_fails(&daemon.qmp, "unexpected", "query-version", "{'x': 1}");
	qmp_fails(&daemon.qmp, "has not been found", "migrate", "{}");
	exports = qmp_ask(&daemon.qmp, "query-block-exports", "{}");
	assert_int_equal(json_array_size(exports), 2);
	json_decref(exports);
	assert_int_equal(server_nr_fds(&daemon.server), nr_fds);
	daemon_stop(&daemon);
}

static unsigned int nr_greeted(const int *fds, size_t nr)
{
	unsigned int nr_greeted = 0;
	char byte;

	for (size_t i = 0; i < nr; i++)
		nr_greeted += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 1;
	return nr_greeted;
}

static void connect_clients(struct daemon *daemon, int *fds, size_t nr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s",
		 daemon->server.socket);
	for (size_t i = 0; i < nr; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address,
					 sizeof(address)),
				 0);
	}
}

/* They are served when others have gone; until then nobody spins. */
static void clients_that_find_no_room_wait(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };
	int64_t cpu_msec;
	int fds[12];

	(void)state;
	daemon_start(&daemon, two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 6), 0);
	limit_fds(&daemon, 4);
	connect_clients(&daemon, fds, ARRAY_SIZE(fds));
	qmp_do(&daemon.qmp, "query-version", "{}");
	cpu_msec = server_cpu_msec(&daemon.server);
	usleep(500000); /* of which a loop that spins would use all */
	assert_true(server_cpu_msec(&daemon.server) - cpu_msec < 200);
	assert_in_range(nr_greeted(fds, ARRAY_SIZE(fds)), 1, 6);
	qmp_do(&daemon.qmp, "query-version", "{}");
	assert_int_equal(client_check_io(&client, 0, 7), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	connect_clients(&daemon, fds, 1);
	assert_int_equal(recv(fds[0], &cpu_msec, 1, 0), 1);
	close(fds[0]);
	client_close(&client);
	daemon_stop(&daemon);
}

static void sigterm_ends_it_with_guests_connected(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(server_end(&daemon.server), 0);
	assert_false(server_listens(daemon_at(&daemon, "e0.sock")->socket));
	client_close(&client);
	qmp_close(&daemon.qmp);
	server_clean_up(&daemon.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_command_line_of_qemu_storage_daemon_is_understood),
		cmocka_unit_test(
			disks_are_added_and_removed_beside_one_that_works),
		cmocka_unit_test(a_thousand_moves_under_load_lose_nothing),
		cmocka_unit_test(moves_beside_half_a_message_lose_nothing),
		cmocka_unit_test(a_disk_in_use_is_only_removed_by_force),
		cmocka_unit_test(
			what_does_not_fit_is_refused_and_changes_nothing),
		cmocka_unit_test(clients_that_find_no_room_wait),
		cmocka_unit_test(sigterm_ends_it_with_guests_connected),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}

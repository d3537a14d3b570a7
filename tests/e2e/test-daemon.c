/* SPDX-License-Identifier: MIT */
/*
 * daemon - many disks in one process, changed while guests use them
 *
 * Behaviour 7 and what a daemon must not do: a guest notices nothing of what is
 * done to other disks.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
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
#include "tests/e2e/command.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/load.h"

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
	daemon_start(&daemon, daemon_two_disks);
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
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
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

static atomic_bool storm_ends;

static void *connect_again_and_again(void *opaque)
{
	const struct server *at = opaque;
	struct client client;

	while (!atomic_load(&storm_ends)) {
		client_connect(&client, at, NULL);
		client_close(&client);
	}
	return NULL;
}

/* F-20 */
static void a_disk_is_made_again_while_front_ends_connect_to_it(void **state)
{
	struct daemon daemon;
	struct server at;
	struct load load;
	pthread_t storm;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	at = *daemon_at(&daemon, "e1.sock");
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
	atomic_store(&storm_ends, false);
	pthread_create(&storm, NULL, connect_again_and_again, &at);
	for (unsigned int i = 0; i < 200; i++) {
		qmp_do(&daemon.qmp, "block-export-del",
		       "{'id': 'e1', 'mode': 'hard'}");
		qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
		qmp_do(&daemon.qmp, "block-export-add",
		       "{'type': 'vhost-user-blk', 'id': 'e1', 'node-name': "
		       "'disk1', 'writable': true, 'addr': {'type': 'unix', "
		       "'path': 'e1.sock'}}");
		if (i % 50 == 0)
			load_goes_on(&load);
	}
	atomic_store(&storm_ends, true);
	pthread_join(storm, NULL);
	load_end(&load);
	daemon_stop(&daemon);
}

/* What of a node is told again: sizes and cache modes. */
static json_t *node_of(struct daemon *daemon, const char *name)
{
	static json_t *node;

	json_decref(node);
	node = qmp_find(&daemon->qmp, "query-named-block-nodes", "{}",
			"node-name", name);
	if (!node)
		fail_msg("there is no node %s", name);
	return node;
}

static void an_image_inside_gets_what_is_said_outside(void **state)
{
	struct daemon daemon;
	json_t *node;

	(void)state;
	daemon_start(&daemon, NULL);
	qmp_do(&daemon.qmp, "blockdev-add",
	       "{'driver': 'raw', 'node-name': 'n', 'cache': {'direct': true}, "
	       "'read-only': true, 'file': {'driver': 'file', 'filename': "
	       "'a.img'}}");
	node = node_of(&daemon, "n");
	assert_true(json_is_true(
		json_object_get(json_object_get(node, "cache"), "direct")));
	assert_true(json_is_true(json_object_get(node, "ro")));
	qmp_fails(&daemon.qmp, "to be given to the node", "blockdev-add",
		  "{'driver': 'raw', 'node-name': 'm', 'file': 'n', 'discard': "
		  "'ignore'}");
	daemon_stop(&daemon);
}

static json_int_t bytes_of(struct daemon *daemon, const char *name)
{
	json_t *image = json_object_get(node_of(daemon, name), "image");

	return json_integer_value(json_object_get(image, "virtual-size"));
}

static void sigusr1_has_it_look_at_the_sizes(void **state)
{
	struct daemon daemon;
	char path[128];

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	snprintf(path, sizeof(path), "%s/a.img", daemon.server.dir);
	assert_int_equal(truncate(path, 2 * DAEMON_IMAGE_BYTES), 0);
	kill(daemon.server.pid, SIGUSR1);
	AWAIT(bytes_of(&daemon, "disk0") == 2 * DAEMON_IMAGE_BYTES);
	daemon_stop(&daemon);
}

static void a_disk_in_use_is_only_removed_by_force(void **state)
{
	struct daemon daemon;
	struct load load;

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	load_begin(&load, daemon_at(&daemon, "e0.sock"), 2, true);
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
	daemon_start(&daemon, daemon_two_disks);
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
		nr_greeted +=
			recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
	return nr_greeted;
}

static void connect_clients(struct daemon *daemon, int *fds, size_t nr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s",
		 daemon->server.socket);
	for (size_t i = 0; i < nr; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
	char byte;
	int fds[12];

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 6), 0);
	limit_fds(&daemon, 4);
	connect_clients(&daemon, fds, ARRAY_SIZE(fds));
	AWAIT(nr_greeted(fds, ARRAY_SIZE(fds)) > 0);
	assert_true(server_is_idle(&daemon.server, 500, 199));
	assert_in_range(nr_greeted(fds, ARRAY_SIZE(fds)), 1, 6);
	qmp_do(&daemon.qmp, "query-version", "{}");
	assert_int_equal(client_check_io(&client, 0, 7), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	connect_clients(&daemon, fds, 1);
	assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
	close(fds[0]);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Its status tells whether it serves. */
static void in_the_background_it_leaves_a_pidfile(void **state)
{
	(void)state;
	expect(run("cd $(mktemp -d) && %s daemon --daemonize --pidfile pid "
		   "--blockdev null-co,node-name=n --export vhost-user-blk,"
		   "id=e,node-name=n,addr.type=unix,addr.path=e.sock && "
		   "test -S e.sock && kill $(cat pid) && "
		   "for i in $(seq 6000); do [ -e e.sock ] || [ -e pid ] || "
		   "exit 0; sleep 0.01; done; exit 9",
		   program()),
	       0);
	expect(run("cd $(mktemp -d) && %s daemon --daemonize --pidfile pid "
		   "--blockdev file,node-name=n,filename=none 2>&1; s=$?; "
		   "test ! -e pid && exit $s",
		   program()),
	       1);
	has("--blockdev file,node-name=n,filename=none: none does not exist");
	expect(run("%s daemon --nbd-server addr.type=unix 2>&1", program()), 2);
	has("nbdkit serve NBD");
}

/* No signal ends it, and each start that fails says why. */
static void a_start_without_descriptors_fails_with_a_sentence(void **state)
{
	(void)state;
	for (unsigned int nr = 4; nr < 16; nr++) {
		expect(run("exec 2>&1; ulimit -n %u; exec %s daemon --blockdev "
			   "null-co,node-name=n --export vhost-user-blk,id=e,"
			   "node-name=n,addr.type=unix,addr.path=/dev/null/x",
			   nr, program()),
		       1);
		has("ringhost: error: ");
	}
}

static void sigterm_ends_it_with_guests_connected(void **state)
{
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(server_end(&daemon.server), 0);
	assert_false(server_listens(daemon_at(&daemon, "e0.sock")->socket));
	client_close(&client);
	qmp_close(&daemon.qmp);
	server_clean_up(&daemon.server);
}

#define INHERITED_FD 50

/* In the child that becomes the daemon. */
static void listen_for_it(const struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/in.sock",
		 server->dir);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 8) < 0 || dup2(fd, INHERITED_FD) < 0)
		_exit(1);
	close(fd);
}

static json_t *export_on_fd(struct daemon *daemon, const char *id, int fd)
{
	return qmp_ask(&daemon->qmp, "block-export-add",
		       "{'type': 'vhost-user-blk', 'id': '%s', 'node-name': "
		       "'disk0', 'writable': true, 'addr': {'type': 'fd', "
		       "'str': '%d'}}",
		       id, fd);
}

/* Nor is a socket of its own taken from it, such as the client's. */
static void what_was_inherited_is_served_once(void **state)
{
	const struct daemon_how how = { .options = daemon_two_disks,
					.prepare = listen_for_it };
	struct daemon daemon;
	struct qmp other;
	json_t *answer;

	(void)state;
	daemon_start_as(&daemon, &how);
	for (int fd = 3; fd < INHERITED_FD; fd++)
		assert_null(export_on_fd(&daemon, "own", fd));
	answer = export_on_fd(&daemon, "in", INHERITED_FD);
	assert_non_null(answer);
	json_decref(answer);
	assert_null(export_on_fd(&daemon, "again", INHERITED_FD));
	assert_non_null(strstr(qmp_error, "another export serves on it"));
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "in.sock")), 0);
	qmp_event(&daemon.qmp, "X_EXPORT_DISCONNECTED");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'in'}");
	qmp_event(&daemon.qmp, "BLOCK_EXPORT_DELETED");
	qmp_open(&other, daemon.server.socket);
	qmp_close(&other);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	unlink(daemon_at(&daemon, "in.sock")->socket);
	daemon_stop(&daemon);
}

/* Storage that never answers need not be waited for. */
static void sigterm_ends_it_while_it_waits_for_an_image(void **state)
{
	static const char *const options[] = {
		"--take-over", "control,required=off", "--blockdev",
		"file,node-name=n,filename=b.img", NULL
	};
	struct daemon daemon;
	int fd;

	(void)state;
	daemon_prepare(&daemon);
	fd = daemon_hold_image(&daemon, "b.img");
	daemon.server.pid = daemon_start_successor(&daemon, options);
	daemon_await_opener(fd);
	kill(daemon.server.pid, SIGTERM);
	assert_int_equal(server_wait(&daemon.server, SERVER_STOP_MSEC), 1);
	close(fd);
	assert_int_equal(server_log_count(&daemon.server, "signal 15"), 1);
	server_clean_up(&daemon.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_inherited_is_served_once),
		cmocka_unit_test(
			a_command_line_of_qemu_storage_daemon_is_understood),
		cmocka_unit_test(
			disks_are_added_and_removed_beside_one_that_works),
		cmocka_unit_test(
			a_disk_is_made_again_while_front_ends_connect_to_it),
		cmocka_unit_test(an_image_inside_gets_what_is_said_outside),
		cmocka_unit_test(sigusr1_has_it_look_at_the_sizes),
		cmocka_unit_test(in_the_background_it_leaves_a_pidfile),
		cmocka_unit_test(
			a_start_without_descriptors_fails_with_a_sentence),
		cmocka_unit_test(a_disk_in_use_is_only_removed_by_force),
		cmocka_unit_test(
			what_does_not_fit_is_refused_and_changes_nothing),
		cmocka_unit_test(clients_that_find_no_room_wait),
		cmocka_unit_test(sigterm_ends_it_with_guests_connected),
		cmocka_unit_test(sigterm_ends_it_while_it_waits_for_an_image),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}

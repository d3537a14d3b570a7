/* SPDX-License-Identifier: MIT */
/*
 * daemon-sandbox - a daemon opens what it was allowed to, and nothing else
 *
 * That all else goes on is shown by all other tests of the daemon, which is
 * confined there, too; what its filter refuses in tests/unit/test-sandbox.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/confined.h"
#include "tests/e2e/daemon.h"
#include "tests/frontend/clock.h"

#define EXPORT_AT(path)                                                        \
	"{'type': 'vhost-user-blk', 'id': 'e9', 'node-name': 'disk0', "        \
	"'writable': true, 'addr': {'type': 'unix', 'path': '" path "'}}"
#define IMAGE_AT(path)                                                         \
	"{'driver': 'file', 'node-name': 'n9', 'filename': '" path "'}"
#define ALLOW_PATH "--allow-path"

static const char *const on[] = { "--sandbox", "on", NULL };

/* Where the daemon may not open anything, with an image in it. */
static char outside[64];
static char image[128];

static int make_outside(void **state)
{
	int fd;

	(void)state;
	snprintf(outside, sizeof(outside), "/tmp/ringhost-XXXXXX");
	if (!mkdtemp(outside))
		return -1;
	snprintf(image, sizeof(image), "%s/c.img", outside);
	fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, DAEMON_IMAGE_BYTES) < 0)
		return -1;
	return close(fd);
}

static int remove_outside(void **state)
{
	(void)state;
	if (unlink(image) < 0)
		return -1;
	return rmdir(outside); /* fails if a socket was left behind */
}

static void every_thread_is_confined_whenever_it_starts(void **state)
{
	const char *options[32] = { on[0], on[1] };
	struct daemon daemon;
	unsigned int nr;

	(void)state;
	for (unsigned int i = 0; daemon_two_disks[i]; i++)
		options[2 + i] = daemon_two_disks[i];
	daemon_start(&daemon, options);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	nr = confined_count(&daemon.server);
	assert_true(nr >= 4);
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'iothread', 'id': 't2'}");
	assert_true(confined_count(&daemon.server) > nr);
	assert_int_equal(server_log_count(&daemon.server, "sandbox"), 0);
	daemon_stop(&daemon);
}

static void it_opens_nothing_outside_of_what_is_allowed(void **state)
{
	struct daemon daemon;
	char link[128];

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	snprintf(link, sizeof(link), "%s/link", daemon.server.dir);
	assert_int_equal(symlink(image, link), 0);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "blockdev-add", IMAGE_AT("%s"),
		  image);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "blockdev-add", IMAGE_AT("%s/link"),
		  daemon.server.dir);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "blockdev-add",
		  IMAGE_AT("../%s/c.img"), strrchr(outside, '/') + 1);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "blockdev-add",
		  "{'driver': 'file', 'node-name': 'n9', 'read-only': true, "
		  "'filename': '/etc/passwd'}");
	qmp_fails(&daemon.qmp, ALLOW_PATH, "block-export-add",
		  EXPORT_AT("%s/e9.sock"), outside);
	qmp_do(&daemon.qmp, "block-export-add", EXPORT_AT("e9.sock"));
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e9.sock")), 0);
	qmp_do(&daemon.qmp, "blockdev-add", IMAGE_AT("b.img"));
	unlink(link);
	daemon_stop(&daemon);
}

/*
 * Its image is opened again for each I/O thread, and may be by command; its
 * socket goes at the end.
 */
static void what_the_command_line_names_is_served_wherever_it_is(void **state)
{
	char blockdev[256];
	char export[256];
	const char *const options[] = { "--blockdev", blockdev, "--export",
					export, NULL };
	const struct server *at;
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	snprintf(blockdev, sizeof(blockdev), "file,node-name=disk0,filename=%s",
		 image);
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
		 "addr.path=%s/e0.sock,writable=on",
		 outside);
	daemon_start(&daemon, options);
	qmp_do(&daemon.qmp, "object-add",
	       "{'qom-type': 'iothread', 'id': 't0'}");
	at = daemon_at(&daemon, "e0.sock");
	snprintf((char *)at->socket, sizeof(at->socket), "%s/e0.sock", outside);
	assert_int_equal(client_open(&client, at, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	qmp_do(&daemon.qmp, "x-export-move", "{'id': 'e0', 'iothread': 't0'}");
	assert_int_equal(client_check_io(&client, 0, 2), 0);
	assert_int_equal(fe_blk_flush(&client.blks[0]), 0);
	client_close(&client);
	qmp_do(&daemon.qmp, "blockdev-add", IMAGE_AT("%s"), image);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "block-export-add",
		  EXPORT_AT("%s/e9.sock"), outside);
	daemon_stop(&daemon);
}

/* Its sockets are not where it may make any, and come when it is confined. */
static void a_successor_listens_where_the_one_before_did(void **state)
{
	char blockdev[256];
	char export[256];
	char metrics[128];
	const char *const options[] = {
		ALLOW_PATH,
		image,
		"--blockdev",
		blockdev,
		"--export",
		export,
		"--pidfile",
		"pid",
		daemon_has_metrics() ? "--metrics" : NULL,
		metrics,
		"--metrics",
		"127.0.0.1:0",
		NULL
	};
	const struct daemon_how how = { .options = options, .opens_all = true };
	struct daemon daemon;
	struct server at;
	struct client client = { 0 };

	(void)state;
	snprintf(blockdev, sizeof(blockdev), "file,node-name=disk0,filename=%s",
		 image);
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
		 "addr.path=%s/e0.sock,writable=on",
		 outside);
	snprintf(metrics, sizeof(metrics), "unix:%s/metrics", outside);
	daemon_start_as(&daemon, &how);
	at = *daemon_at(&daemon, "e0.sock");
	snprintf(at.socket, sizeof(at.socket), "%s/e0.sock", outside);
	assert_int_equal(client_open(&client, &at, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	for (unsigned int i = 0; i < 2; i++) {
		daemon_succeed_as(&daemon, &how);
		assert_true(confined_count(&daemon.server) >= 1);
		assert_int_equal(client_check_io(&client, 0, 2 + i), 0);
		qmp_do(&daemon.qmp, "query-block-exports", "{}");
	}
	client_close(&client);
	assert_int_equal(client_fresh_io(&at), 0);
	assert_int_equal(server_log_count(&daemon.server, "cannot listen"), 0);
	assert_int_equal(server_log_count(&daemon.server, "--metrics"), 0);
	if (daemon_has_metrics())
		assert_int_equal(server_log_count(&daemon.server,
						  "metrics are at http"),
				 3);
	daemon_stop(&daemon);
}

static void one_image_can_be_allowed(void **state)
{
	const char *const options[] = { "--allow-path", image, NULL };
	const struct daemon_how how = { .options = options, .opens_all = true };
	struct daemon daemon;

	(void)state;
	daemon_start_as(&daemon, &how);
	qmp_do(&daemon.qmp, "blockdev-add", IMAGE_AT("%s"), image);
	qmp_fails(&daemon.qmp, ALLOW_PATH, "blockdev-add",
		  "{'driver': 'file', 'node-name': 'b', 'filename': 'b.img'}");
	daemon_stop(&daemon);
}

static void without_allowed_paths_it_opens_what_its_user_may(void **state)
{
	const struct daemon_how how = { .options = on, .opens_all = true };
	struct daemon daemon;

	(void)state;
	daemon_start_as(&daemon, &how);
	qmp_do(&daemon.qmp, "blockdev-add", IMAGE_AT("%s"), image);
	assert_true(confined_count(&daemon.server) >= 1);
	daemon_stop(&daemon);
}

static void off_gives_up_nothing(void **state)
{
	static const char *const off[] = { "--sandbox=off", NULL };
	struct daemon daemon;
	char path[64];

	(void)state;
	daemon_start(&daemon, off);
	qmp_do(&daemon.qmp, "blockdev-add", IMAGE_AT("%s"), image);
	snprintf(path, sizeof(path), "/proc/%d/status", daemon.server.pid);
	assert_int_equal(confined_rights_of(path).filter,
			 confined_rights_of("/proc/self/status").filter);
	daemon_stop(&daemon);
}

/* No capability is left to give a socket to any group. */
static void a_socket_gets_a_group_of_its_user(void **state)
{
	struct daemon daemon;
	struct stat status;
	gid_t group = getegid();

	(void)state;
	daemon_start(&daemon, daemon_two_disks);
	qmp_fails(&daemon.qmp, "groups that its user is in", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e9', 'node-name': "
		  "'disk0', 'x-socket-group': '54321', 'addr': {'type': "
		  "'unix', 'path': 'e9.sock'}}");
	qmp_fails(&daemon.qmp, "it may be a number", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e9', 'node-name': "
		  "'disk0', 'x-socket-group': 'no-such-group', 'addr': "
		  "{'type': 'unix', 'path': 'e9.sock'}}");
	qmp_do(&daemon.qmp, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e9', 'node-name': 'disk0', "
	       "'x-socket-group': '%u', 'x-socket-mode': '0620', 'addr': "
	       "{'type': 'unix', 'path': 'e9.sock'}}",
	       group);
	assert_int_equal(stat(daemon_at(&daemon, "e9.sock")->socket, &status),
			 0);
	assert_int_equal(status.st_gid, group);
	assert_int_equal(status.st_mode & 0777, 0620);
	daemon_stop(&daemon);
}

static void on_does_not_start_without_a_part(void **state)
{
	const struct daemon_how how = {
		.options = on,
		.prepare = confined_without_landlock,
	};
	struct daemon daemon;

	(void)state;
	/* it listens before it is confined, and so it may be seen to */
	daemon_try(&daemon, &how);
	assert_int_equal(server_wait(&daemon.server, SERVER_STOP_MSEC), 1);
	assert_int_equal(server_log_count(&daemon.server,
					  "--sandbox=on asks for Landlock"),
			 1);
	assert_int_equal(access(daemon.server.socket, F_OK), -1);
	server_clean_up(&daemon.server);
}

static void auto_goes_on_and_says_what_is_missing(void **state)
{
	const struct daemon_how how = {
		.options = daemon_two_disks,
		.prepare = confined_without_landlock,
	};
	struct daemon daemon;

	(void)state;
	daemon_start_as(&daemon, &how);
	assert_true(confined_count(&daemon.server) >= 4);
	assert_int_equal(server_log_count(&daemon.server,
					  "goes without Landlock rules"),
			 1);
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	daemon_stop(&daemon);
}

#define WITH_OUTSIDE(test)                                                     \
	cmocka_unit_test_setup_teardown(test, make_outside, remove_outside)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_is_confined_whenever_it_starts),
		WITH_OUTSIDE(it_opens_nothing_outside_of_what_is_allowed),
		WITH_OUTSIDE(
			what_the_command_line_names_is_served_wherever_it_is),
		WITH_OUTSIDE(a_successor_listens_where_the_one_before_did),
		WITH_OUTSIDE(one_image_can_be_allowed),
		WITH_OUTSIDE(without_allowed_paths_it_opens_what_its_user_may),
		WITH_OUTSIDE(off_gives_up_nothing),
		cmocka_unit_test(a_socket_gets_a_group_of_its_user),
		cmocka_unit_test(on_does_not_start_without_a_part),
		cmocka_unit_test(auto_goes_on_and_says_what_is_missing),
	};

	if (server_is_missing())
		return 0;
	if (!confined_can_be()) {
		printf("1..0 # SKIP this host has no Landlock\n");
		return 0;
	}
	return cmocka_run_group_tests_name("daemon-sandbox", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * systemd - a service manager starts a server or a daemon, and hears of it
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/manager.h"

#define NR_TICKS 3

/* Paths of sockets that do not lie in the directory of who serves there. */
static const struct server *at(const struct server *server, const char *path)
{
	static struct server at;

	at = *server;
	snprintf(at.socket, sizeof(at.socket), "%s", path);
	return &at;
}

/* A disk that may forget. */
static void serves(const struct server *server)
{
	struct client client = { 0 };

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_load(&client, 0, 10), 0);
	client_close(&client);
}

static void a_server_tells_how_it_is(void **state)
{
	struct manager manager = { 0 };
	const struct server_options options = { .prepare = manager_prepare };
	struct server server;
	struct client client = { 0 };

	(void)state;
	manager_begin(&manager);
	assert_int_equal(server_start(&server, &options), 0);
	manager_hears(&manager, "READY=1");
	assert_non_null(strstr(manager.said, "STATUS=1 export, 0 connected"));
	assert_int_equal(client_open(&client, &server, NULL), 0);
	manager_hears(&manager, "STATUS=1 export, 1 connected");
	client_close(&client);
	manager_hears(&manager, "STATUS=1 export, 0 connected");
	kill(server.pid, SIGTERM);
	manager_hears(&manager, "STOPPING=1");
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	server_clean_up(&server);
	manager_end(&manager);
}

/* With a name in the abstract namespace, which a confined process has none of. */
static void a_daemon_tells_how_it_is(void **state)
{
	struct manager manager = { .abstract = true };
	const struct daemon_how how = {
		.options = daemon_two_disks,
		.prepare = manager_prepare,
	};
	struct daemon daemon;
	struct client client = { 0 };

	(void)state;
	manager_begin(&manager);
	daemon_start_as(&daemon, &how);
	manager_hears(&manager, "READY=1");
	assert_non_null(strstr(manager.said, "STATUS=2 exports, 0 connected"));
	serves(daemon_at(&daemon, "e1.sock")); /* when it says that it does */
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	manager_hears(&manager, "STATUS=2 exports, 1 connected");
	qmp_do(&daemon.qmp, "block-export-del", "{'id': 'e1', 'mode': 'hard'}");
	manager_hears(&manager, "STATUS=1 export, 1 connected");
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	manager_hears(&manager, "STATUS=1 export, 0 connected");
	kill(daemon.server.pid, SIGTERM);
	manager_hears(&manager, "STOPPING=1");
	assert_int_equal(server_wait(&daemon.server, SERVER_STOP_MSEC), 0);
	qmp_close(&daemon.qmp);
	server_clean_up(&daemon.server);
	manager_end(&manager);
}

static void write_config(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* It says when it begins, and again that it is ready, wrong files or not. */
static void a_reload_is_told(void **state)
{
	char path[96];
	const char *const options[] = { "--config", path, NULL };
	struct manager manager = { 0 };
	const struct daemon_how how = {
		.options = options,
		.prepare = manager_prepare,
	};
	struct daemon daemon;

	(void)state;
	manager_begin(&manager);
	snprintf(path, sizeof(path), "%s/conf", manager.dir);
	write_config(path, "");
	daemon_start_as(&daemon, &how);
	manager_hears(&manager, "READY=1");
	for (unsigned int i = 0; i < 2; i++) {
		write_config(path, i ? "[nonsense]\n" : "");
		kill(daemon.server.pid, SIGHUP);
		manager_hears(&manager, "RELOADING=1");
		assert_non_null(strstr(manager.said, "\nMONOTONIC_USEC="));
		manager_hears(&manager, "READY=1");
	}
	daemon_stop(&daemon);
	unlink(path);
	manager_end(&manager);
}

static void a_start_that_fails_is_never_ready(void **state)
{
	static const char *const options[] = { "--blockdev",
					       "file,node-name=n,filename=none",
					       NULL };
	struct manager manager = { 0 };
	const struct daemon_how how = {
		.options = options,
		.prepare = manager_prepare,
	};
	struct daemon daemon;

	(void)state;
	manager_begin(&manager);
	assert_int_equal(daemon_try(&daemon, &how), -ECHILD);
	assert_int_equal(server_wait(&daemon.server, SERVER_STOP_MSEC), 1);
	manager_has_not_heard(&manager, "READY=1");
	server_clean_up(&daemon.server);
	manager_end(&manager);
}

static void ticks_come_as_long_as_the_loop_turns(void **state)
{
	struct manager manager = { .watchdog_usec = 100000 };
	const struct daemon_how how = { .prepare = manager_prepare };
	struct daemon daemon;

	(void)state;
	manager_begin(&manager);
	daemon_start_as(&daemon, &how);
	for (unsigned int i = 0; i < NR_TICKS; i++)
		manager_hears(&manager, "WATCHDOG=1");
	daemon_stop(&daemon);
	manager_end(&manager);
}

static void a_server_ticks_too(void **state)
{
	struct manager manager = { .watchdog_usec = 100000 };
	const struct server_options options = { .prepare = manager_prepare };
	struct server server;

	(void)state;
	manager_begin(&manager);
	assert_int_equal(server_start(&server, &options), 0);
	for (unsigned int i = 0; i < NR_TICKS; i++)
		manager_hears(&manager, "WATCHDOG=1");
	assert_int_equal(server_stop(&server), 0);
	manager_end(&manager);
}

/* Then nothing wakes up a daemon that has nothing to do. */
static void a_watchdog_of_another_process_gets_no_ticks(void **state)
{
	struct manager manager = { .watchdog_usec = 1000,
				   .watchdog_of_others = true };
	const struct daemon_how how = { .prepare = manager_prepare };
	struct daemon daemon;

	(void)state;
	manager_begin(&manager);
	daemon_start_as(&daemon, &how);
	manager_hears(&manager, "READY=1");
	usleep(50000); /* fifty times as long as it would take */
	manager_has_not_heard(&manager, "WATCHDOG=1");
	daemon_stop(&daemon);
	manager_end(&manager);
}

static void a_server_serves_on_the_socket_that_is_passed(void **state)
{
	struct manager manager = { .names = "disk.socket" };
	const struct server_options options = {
		.prepare = manager_prepare,
		.passed = true,
	};
	struct server server;

	(void)state;
	manager_begin(&manager);
	manager_listen(&manager);
	assert_int_equal(server_start(&server, &options), 0);
	manager_hears(&manager, "READY=1");
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(client_fresh_io(at(&server, manager.paths[0])),
				 0);
	assert_int_equal(server_end(&server), 0);
	assert_int_equal(access(manager.paths[0], F_OK), 0);
	server_clean_up(&server);
	manager_end(&manager);
}

static void one_disk_takes_one_socket(void **state)
{
	struct manager manager = { .names = "a:b" };
	const struct server_options options = {
		.prepare = manager_prepare,
		.passed = true,
	};
	struct server server;

	(void)state;
	manager_begin(&manager);
	manager_listen(&manager);
	manager_listen(&manager);
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 1);
	assert_int_equal(server_log_count(&server, "passes 2 sockets"), 1);
	server_clean_up(&server);
	manager_end(&manager);
}

/* As --export and --chardev name them; a number does as well. */
static void a_daemon_finds_its_sockets_by_name(void **state)
{
	static const char *const options[] = {
		"--blockdev",
		"null-co,node-name=n,size=8M",
		"--export",
		"vhost-user-blk,id=e0,node-name=n,writable=on,addr.type=fd,"
		"addr.str=first.socket",
		"--export",
		"vhost-user-blk,id=e1,node-name=n,writable=on,addr.type=fd,"
		"addr.str=4",
		"--chardev",
		"socket,id=passed,fd=ctl,server=on,wait=off",
		"--monitor",
		"chardev=passed",
		NULL,
	};
	struct manager manager = { .names = "first.socket::ctl" };
	const struct daemon_how how = {
		.options = options,
		.prepare = manager_prepare,
	};
	struct daemon daemon;
	struct qmp other;

	(void)state;
	manager_begin(&manager);
	for (unsigned int i = 0; i < 3; i++)
		manager_listen(&manager);
	daemon_start_as(&daemon, &how);
	serves(at(&daemon.server, manager.paths[0]));
	serves(at(&daemon.server, manager.paths[1]));
	qmp_open(&other, manager.paths[2]);
	qmp_fails(&other, "another export serves on fd 3", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': 'n', "
		  "'addr': {'type': 'fd', 'str': 'first.socket'}}");
	qmp_fails(&other, "takes the name or the number", "block-export-add",
		  "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': 'n', "
		  "'addr': {'type': 'fd', 'str': 'second.socket'}}");
	/* one that was removed can be added again, by command */
	qmp_do(&other, "block-export-del", "{'id': 'e0', 'mode': 'hard'}");
	qmp_event(&other, "BLOCK_EXPORT_DELETED");
	qmp_do(&other, "block-export-add",
	       "{'type': 'vhost-user-blk', 'id': 'e2', 'node-name': 'n', "
	       "'writable': true, 'addr': {'type': 'fd', 'str': "
	       "'first.socket'}}");
	serves(at(&daemon.server, manager.paths[0]));
	qmp_close(&other);
	daemon_stop(&daemon);
	manager_end(&manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_tells_how_it_is),
		cmocka_unit_test(a_daemon_tells_how_it_is),
		cmocka_unit_test(a_reload_is_told),
		cmocka_unit_test(a_start_that_fails_is_never_ready),
		cmocka_unit_test(ticks_come_as_long_as_the_loop_turns),
		cmocka_unit_test(a_server_ticks_too),
		cmocka_unit_test(a_watchdog_of_another_process_gets_no_ticks),
		cmocka_unit_test(a_server_serves_on_the_socket_that_is_passed),
		cmocka_unit_test(one_disk_takes_one_socket),
		cmocka_unit_test(a_daemon_finds_its_sockets_by_name),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("systemd", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * sandbox - a server that has given up all that serving does not take, serves
 *
 * Against ringhost only. What each part of the sandbox refuses is shown in
 * tests/unit/test-sandbox.c; that all else goes on by all other tests here,
 * whose servers are confined, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/e2e/confined.h"
#include "tests/frontend/clock.h"

#define NOBODY	     65534
#define SECTOR_BYTES 512
#define POLL_USEC    5000

static const struct server_options must = { .options = { "--sandbox=on" } };

static void every_thread_is_confined(void **state)
{
	const struct server_options options = {
		.options = { "--threads=3", "--cache=writethrough" },
	};
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(client_load(&client, 0, 200), 0);
	assert_true(confined_count(&server) >= 4);
	assert_int_equal(server_log_count(&server, "sandbox"), 0);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

/* It is confined by then, and not yet when it listens. */
static void wait_until_it_serves(const struct server *server)
{
	uint64_t deadline = fe_deadline(SERVER_START_MSEC);

	while (!server_log_count(server, ": serving ")) {
		assert_true(fe_now_usec() < deadline);
		usleep(POLL_USEC);
	}
}

static void do_each_kind_of_request(struct client *client)
{
	struct fe_blk *blk = &client->blks[0];
	char id[VIRTIO_BLK_ID_BYTES];

	assert_int_equal(client_check_io(client, 0, 1), 0);
	assert_int_equal(client_check_io(client, 1, 2), 0);
	assert_int_equal(fe_blk_flush(blk), 0);
	assert_int_equal(fe_blk_write_zeroes(blk, 64, 64, 0), 0);
	assert_int_equal(fe_blk_discard(blk, 128, 64), 0);
	assert_int_equal(fe_blk_get_id(blk, id), 0);
	assert_int_equal(client_load(client, 1, 100), 0);
}

static void wait_for_size(struct client *client, uint64_t bytes)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint64_t capacity = 0;

	while (capacity * SECTOR_BYTES != bytes) {
		assert_true(fe_now_usec() < deadline);
		assert_int_equal(fe_session_get_config(&client->session, 0,
						       &capacity,
						       sizeof(capacity)),
				 0);
	}
}

/* From the first connection to SIGTERM, with the server that is running. */
static void live(struct server *server)
{
	const struct client_options two_queues = { .nr_queues = 2 };
	struct client client;
	char socket[sizeof(server->socket)];

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(client_open(&client, server, &two_queues), 0);
		do_each_kind_of_request(&client);
		assert_int_equal(fe_session_set_table(&client.session,
						      &client.memory),
				 0);
		do_each_kind_of_request(&client);
		client_close(&client);
	}
	assert_int_equal(client_connect(&client, server, NULL), 0);
	assert_int_equal(truncate(server->image, 2 * SERVER_IMAGE_BYTES), 0);
	assert_int_equal(kill(server->pid, SIGUSR1), 0);
	wait_for_size(&client, 2 * SERVER_IMAGE_BYTES);
	client_close(&client);

	memcpy(socket, server->socket, sizeof(socket));
	assert_int_equal(kill(server->pid, SIGTERM), 0);
	assert_int_equal(server_wait(server, SERVER_STOP_MSEC), 0);
	assert_int_equal(access(socket, F_OK), -1);
	server_clean_up(server);
}

static void a_confined_server_lives_its_life(void **state)
{
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &must), 0);
	live(&server);
}

/* In the child, before it becomes the server. */
static void become_nobody(const struct server *server)
{
	if (geteuid())
		return; /* nobody in particular already */
	if (chown(server->dir, NOBODY, NOBODY) < 0 ||
	    chown(server->image, NOBODY, NOBODY) < 0 ||
	    setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		_exit(1);
}

/* A program that everybody can reach, wherever the build is. */
static void copy_program(char *copy, size_t bytes)
{
	char command[512];

	snprintf(copy, bytes, "/tmp/ringhost-XXXXXX");
	close(mkstemp(copy));
	snprintf(command, sizeof(command), "cp '%s' '%s' && chmod 755 '%s'",
		 getenv("SERVER"), copy, copy);
	assert_int_equal(system(command), 0);
}

static void a_user_without_privileges_is_confined_too(void **state)
{
	const struct server_options as_nobody = {
		.prepare = become_nobody,
		.options = { "--sandbox=on" },
	};
	struct server server;
	char copy[64];
	char *program = strdup(getenv("SERVER"));

	(void)state;
	copy_program(copy, sizeof(copy));
	setenv("SERVER", copy, 1);
	assert_int_equal(server_start(&server, &as_nobody), 0);
	live(&server);
	setenv("SERVER", program, 1);
	unlink(copy);
	free(program);
}

static void off_gives_up_nothing(void **state)
{
	const struct server_options off = { .options = { "--sandbox=off" } };
	struct server server;
	struct confined_rights rights;
	char path[64];

	(void)state;
	assert_int_equal(server_start(&server, &off), 0);
	snprintf(path, sizeof(path), "/proc/%d/status", server.pid);
	rights = confined_rights_of(path);
	assert_int_equal(
		rights.no_new_privileges,
		confined_rights_of("/proc/self/status").no_new_privileges);
	assert_int_equal(rights.filter,
			 confined_rights_of("/proc/self/status").filter);
	assert_int_equal(rights.capabilities,
			 confined_rights_of("/proc/self/status").capabilities);
	live(&server);
}

static void on_does_not_start_without_a_part(void **state)
{
	const struct server_options options = {
		.prepare = confined_without_landlock,
		.options = { "--sandbox=on" },
	};
	struct server server;
	int error;

	(void)state;
	/* it may have been seen to listen, before it gives up */
	error = server_start(&server, &options);
	assert_true(!error || error == -ECHILD);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 1);
	assert_int_equal(server_log_count(&server,
					  "--sandbox=on asks for Landlock "
					  "rules, but this kernel has no "
					  "Landlock: pass --sandbox=auto"),
			 1);
	assert_int_equal(access(server.socket, F_OK), -1);
	server_clean_up(&server);
}

static void auto_goes_on_and_says_what_is_missing(void **state)
{
	const struct server_options options = {
		.prepare = confined_without_landlock,
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	wait_until_it_serves(&server);
	assert_true(confined_count(&server) >= 2);
	assert_int_equal(server_log_count(&server, "sandbox"), 1);
	assert_int_equal(server_log_count(&server,
					  "the sandbox goes without Landlock "
					  "rules: this kernel has no Landlock"),
			 1);
	live(&server);
}

/* A core file of the server is no place for a guest's secrets. */
static void guest_memory_is_not_in_core_dumps(void **state)
{
	struct server server;
	struct client client;
	unsigned int nr_shared = 0;
	bool is_shared = false;
	char line[512];
	FILE *file;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	snprintf(line, sizeof(line), "/proc/%d/smaps", server.pid);
	file = fopen(line, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long start;
		unsigned long end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_shared = strstr(line, "/memfd:");
		if (!is_shared || strncmp(line, "VmFlags:", 8))
			continue;
		assert_non_null(strstr(line, " dd"));
		nr_shared++;
	}
	fclose(file);
	assert_true(nr_shared >= client.memory.nr_regions);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

/* Somebody else's socket at the same path is not removed. */
static void only_its_own_socket_is_removed(void **state)
{
	struct server server;
	struct server other;
	struct server_options same = { 0 };

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	wait_until_it_serves(&server);
	assert_int_equal(unlink(server.socket), 0);
	same.socket = server.socket;
	assert_int_equal(server_start(&other, &same), 0);
	wait_until_it_serves(&other);
	assert_int_equal(kill(server.pid, SIGTERM), 0);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	assert_int_equal(client_fresh_io(&other), 0);
	assert_int_equal(server_stop(&other), 0);
	server_clean_up(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_is_confined),
		cmocka_unit_test(a_confined_server_lives_its_life),
		cmocka_unit_test(a_user_without_privileges_is_confined_too),
		cmocka_unit_test(off_gives_up_nothing),
		cmocka_unit_test(on_does_not_start_without_a_part),
		cmocka_unit_test(auto_goes_on_and_says_what_is_missing),
		cmocka_unit_test(guest_memory_is_not_in_core_dumps),
		cmocka_unit_test(only_its_own_socket_is_removed),
	};

	if (server_is_missing())
		return 0;
	if (!confined_can_be()) {
		printf("1..0 # SKIP this host has no Landlock\n");
		return 0;
	}
	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}

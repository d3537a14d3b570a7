/* SPDX-License-Identifier: MIT */
/* connection - front-ends come and go, in any way, and leave nothing behind */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define SHORT_MSEC 200 /* long enough for an answer that must not come */

/*
 * Behaviour 1, S-52: it waits unanswered, then is served without reconnecting
 */
static void a_second_front_end_waits_and_is_then_served(void **state)
{
	struct server *server = *state;
	struct client first;
	struct client second;
	struct fe_message message;

	assert_int_equal(client_open(&first, server, NULL), 0);
	assert_int_equal(fe_session_connect(&second.session, server->socket),
			 0);
	fe_message_init(&message, FE_GET_FEATURES, 0);
	assert_int_equal(
		fe_message_send(second.session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_message_receive(second.session.sock, &message,
					    SHORT_MSEC, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(client_check_io(&first, 0, 3), 0);
	client_close(&first);

	assert_int_equal(fe_message_receive(second.session.sock, &message,
					    FE_PATIENCE_MSEC, NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_GET_FEATURES);
	assert_int_equal(fe_session_negotiate(&second.session,
					      FE_USUAL_FEATURES,
					      FE_USUAL_PROTOCOL),
			 0);
	fe_session_deinit(&second.session);
	assert_int_equal(client_fresh_io(server), 0);
}

static int serve_one(const struct server *server)
{
	struct client client;
	const struct client_options options = { .nr_queues = 2 };
	int error = client_open(&client, server, &options);

	if (!error)
		error = client_check_io(&client, 0, 1);
	if (!error)
		error = client_check_io(&client, 1, 2);
	client_close(&client);
	return error;
}

/* Behaviour 2, F-02: fds, mappings and memory */
static void three_hundred_sessions_grow_nothing(void **state)
{
	struct server *server = *state;
	struct footprint before;

	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(serve_one(server), 0);
	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(serve_one(server), 0);
	assert_true(client_footprint_same(server, &before));
}

/* Behaviour 2 and 23: the cache mode and ring positions of another session */
static void session_state_does_not_leak_into_the_next(void **state)
{
	struct server *server = *state;
	const uint32_t wce_offset = offsetof(struct virtio_blk_config, wce);
	struct client client;
	uint8_t before;
	uint8_t wce = 0;
	uint32_t base;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_session_get_config(&client.session, wce_offset,
					       &before, 1),
			 0);
	wce = !before;
	assert_int_equal(
		fe_session_set_config(&client.session, wce_offset, &wce, 1), 0);
	assert_int_equal(
		fe_session_get_config(&client.session, wce_offset, &wce, 1), 0);
	assert_int_equal(wce, !before);
	assert_int_equal(client_load(&client, 0, 100), 0);
	client_close(&client);

	assert_int_equal(client_connect(&client, server, NULL), 0);
	assert_int_equal(
		fe_session_get_config(&client.session, wce_offset, &wce, 1), 0);
	assert_int_equal(wce, before);
	assert_int_equal(fe_session_get_base(&client.session, 0, &base), 0);
	assert_int_equal(base, 0);
	client_close(&client);
}

/* Behaviour 3: a VM that dies with requests under way */
static void dying_with_requests_under_way_is_harmless(void **state)
{
	struct server *server = *state;
	struct client client;
	struct fe_blk_request *request;

	for (unsigned int round = 0; round < 50; round++) {
		assert_int_equal(client_open(&client, server, NULL), 0);
		while ((request = fe_blk_get(&client.blks[0]))) {
			request->type = VIRTIO_BLK_T_OUT;
			request->data_bytes = 65536;
			assert_true(fe_blk_add(request) >= 0);
		}
		fe_vring_submit(&client.vrings[0]);
		client_close(&client);
		assert_int_equal(client_fresh_io(server), 0);
	}
}

/* Send the first nr bytes of a message, with fds, and go. */
static void send_part_and_leave(const struct server *server,
				const struct fe_message *message, size_t nr,
				unsigned int nr_fds)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	int fds[FE_MAX_TABLE_REGIONS];
	int sock;

	for (unsigned int i = 0; i < nr_fds; i++)
		fds[i] = STDIN_FILENO;
	fe_message_encode(message, bytes);
	assert_int_equal(fe_connect(server->socket, &sock), 0);
	assert_int_equal(fe_send_bytes(sock, bytes, nr, fds, nr_fds), 0);
	close(sock);
}

/* Behaviour 4, S-01 */
static void leaving_at_any_byte_of_a_message_ends_the_session(void **state)
{
	struct server *server = *state;
	struct fe_message message;
	struct footprint before;

	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(client_footprint(server, &before), 0);
	fe_message_init(&message, FE_SET_MEM_TABLE, 72);
	message.payload.table.nr_regions = 2;
	for (size_t nr = 1; nr < FE_HEADER_BYTES + 72; nr++) {
		send_part_and_leave(server, &message, nr, 0);
		send_part_and_leave(server, &message, nr, 2);
		send_part_and_leave(server, &message, nr, 8);
	}
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
}

/* Behaviour 5 */
static void a_protocol_error_costs_one_session_and_one_line(void **state)
{
	struct server *server = *state;
	struct fe_session session;
	struct fe_message message;

	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	fe_message_init(&message, FE_GET_FEATURES, 0);
	message.flags = 3; /* a version that there is not */
	assert_int_equal(fe_message_send(session.sock, &message, NULL, 0), 0);
	assert_int_equal(fe_wait_closed(session.sock, FE_PATIENCE_MSEC), 0);
	fe_session_deinit(&session);
	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(server_log_count(server, "session is closed"), 1);
}

/* Behaviour 9: nobody there, or somebody silent, costs no CPU time */
static void an_idle_server_does_not_spin(void **state)
{
	struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_load(&client, 0, 100), 0);
	assert_true(server_is_idle(server, 500, 50));
	client_close(&client);
	assert_true(server_is_idle(server, 500, 50));
}

/* Behaviour 7: teardown checks the exit status as well */
static void sigterm_ends_it_with_a_client_connected(void **state)
{
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	assert_int_equal(server_stop(&server), 0);
	assert_int_equal(fe_wait_closed(client.session.sock, FE_PATIENCE_MSEC),
			 0);
	client_close(&client);
}

/* Behaviour 7: inside a message, and with more front-ends in the backlog */
static void sigterm_ends_it_inside_a_message(void **state)
{
	struct server server;
	struct fe_session session;
	struct fe_session other;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	assert_int_equal(fe_session_connect(&session, server.socket), 0);
	assert_int_equal(fe_session_sync(&session), 0);
	assert_int_equal(fe_session_connect(&other, server.socket), 0);
	assert_int_equal(fe_send_bytes(session.sock, "\1\0\0", 3, NULL, 0), 0);
	assert_int_equal(server_stop(&server), 0);
	fe_session_deinit(&session);
	fe_session_deinit(&other);
}

/* Behaviour 7: nothing acknowledged is lost, nothing hangs */
static void sigterm_ends_it_under_load(void **state)
{
	struct server server;
	struct client client;
	struct fe_blk_request *request;

	(void)state;
	assert_int_equal(server_start(&server, NULL), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	while ((request = fe_blk_get(&client.blks[0]))) {
		request->type = VIRTIO_BLK_T_OUT;
		request->data_bytes = 65536;
		assert_true(fe_blk_add(request) >= 0);
	}
	fe_vring_submit(&client.vrings[0]);
	assert_int_equal(server_stop(&server), 0);
	client_close(&client);
}

/* Behaviour 8 */
static void a_stale_socket_is_replaced_and_removed_at_exit(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX,
				    .sun_path = "/tmp/ringhost-stale" };
	const struct server_options options = { .socket = addr.sun_path };
	struct server server;
	struct stat buffer;
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/ringhost-stale-%d",
		 getpid());
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(sock);
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_fresh_io(&server), 0);
	kill(server.pid, SIGTERM);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	assert_int_equal(lstat(addr.sun_path, &buffer), -1);
	server_clean_up(&server);
}

/* Behaviour 8, S-54 */
static void a_live_socket_is_refused_and_left_alone(void **state)
{
	struct server *live = *state;
	const struct server_options options = { .socket = live->socket };
	struct server server;
	struct fe_session session;

	/* it listens already, so wait for the end instead */
	assert_int_equal(fe_session_connect(&session, live->socket), 0);
	assert_int_equal(server_start(&server, &options), 0);
	assert_in_range(server_wait(&server, SERVER_STOP_MSEC), 1, 100);
	assert_int_equal(fe_session_sync(&session), 0);
	fe_session_deinit(&session);
	unlink(server.image);
	unlink(server.log);
	rmdir(server.dir);
	assert_int_equal(client_fresh_io(live), 0);
}

/* Behaviour 8, S-54 */
static void another_kind_of_file_is_refused_and_left_alone(void **state)
{
	char path[] = "/tmp/ringhost-file-XXXXXX";
	const struct server_options options = { .socket = path };
	struct server server;
	struct stat buffer;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(server_start(&server, &options), -ECHILD);
	assert_in_range(server_wait(&server, SERVER_STOP_MSEC), 1, 100);
	assert_int_equal(lstat(path, &buffer), 0);
	assert_true(S_ISREG(buffer.st_mode));
	server_clean_up(&server);
}

/* Behaviour 8, S-54: the path has room for 107 bytes and a zero */
static void a_path_of_108_bytes_is_refused(void **state)
{
	char path[109];
	const struct server_options options = { .socket = path };
	struct server server;

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[108] = '\0';
	assert_int_equal(server_start(&server, &options), -ECHILD);
	assert_in_range(server_wait(&server, SERVER_STOP_MSEC), 1, 100);
	server_clean_up(&server);
}

/* Behaviour 8 */
static void an_inherited_listening_socket_is_served(void **state)
{
	const struct server_options options = { .pass_listening = true };
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(serve_one(&server), 0);
	assert_int_equal(serve_one(&server), 0);
	assert_int_equal(server_stop(&server), 0);
}

/* Behaviour 8: and the server ends with the one session that it has */
static void an_inherited_connected_socket_is_served_once(void **state)
{
	const struct server_options options = { .pass_connected = true };
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	memset(&client, 0, sizeof(client));
	fe_session_init(&client.session, steal_fd(&server.connected_fd));
	assert_int_equal(fe_session_negotiate(&client.session,
					      FE_USUAL_FEATURES,
					      FE_USUAL_PROTOCOL),
			 0);
	assert_int_equal(client_prepare(&client, NULL), 0);
	assert_int_equal(client_start(&client), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	server_clean_up(&server);
}

/* F-14: fds above those that select(2) can take */
static void it_works_with_five_thousand_open_fds(void **state)
{
	const struct server_options options = { .nr_inherited_fds = 5000 };
	struct rlimit limit;
	struct server server;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 6000)
		skip();
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(server_start(&server, &options), 0);
	assert_in_range(server_nr_fds(&server), 5000, 6000);
	assert_int_equal(serve_one(&server), 0);
	assert_int_equal(server_stop(&server), 0);
}

/* F-20, S-51: clients that wait in the backlog and vanish */
static void connections_that_come_and_go_cost_nothing(void **state)
{
	struct server *server = *state;
	int socks[64];
	struct footprint before;

	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < 5000; i++) {
		assert_int_equal(fe_connect(server->socket, &socks[0]), 0);
		close(socks[0]);
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fe_connect(server->socket, &socks[i]), 0);
	for (unsigned int i = 0; i < 4; i++)
		close(socks[i]);
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
}

/* F-21, S-51: memory is shown, then the front-end dies */
static void dying_with_memory_shown_leaks_nothing(void **state)
{
	struct server *server = *state;
	struct client client;
	struct footprint before;

	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(client_footprint(server, &before), 0);
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(client_connect(&client, server, NULL), 0);
		assert_int_equal(client_prepare(&client, NULL), 0);
		assert_int_equal(fe_session_set_table(&client.session,
						      &client.memory),
				 0);
		client_close(&client);
	}
	assert_int_equal(client_fresh_io(server), 0);
	assert_true(client_footprint_same(server, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_second_front_end_waits_and_is_then_served),
		WITH_SERVER(three_hundred_sessions_grow_nothing),
		WITH_SERVER(session_state_does_not_leak_into_the_next),
		WITH_SERVER(dying_with_requests_under_way_is_harmless),
		WITH_SERVER(leaving_at_any_byte_of_a_message_ends_the_session),
		WITH_SERVER(a_protocol_error_costs_one_session_and_one_line),
		WITH_SERVER(an_idle_server_does_not_spin),
		WITH_SERVER(a_live_socket_is_refused_and_left_alone),
		WITH_SERVER(connections_that_come_and_go_cost_nothing),
		WITH_SERVER(dying_with_memory_shown_leaks_nothing),
		cmocka_unit_test(sigterm_ends_it_with_a_client_connected),
		cmocka_unit_test(sigterm_ends_it_inside_a_message),
		cmocka_unit_test(sigterm_ends_it_under_load),
		cmocka_unit_test(
			a_stale_socket_is_replaced_and_removed_at_exit),
		cmocka_unit_test(
			another_kind_of_file_is_refused_and_left_alone),
		cmocka_unit_test(a_path_of_108_bytes_is_refused),
		cmocka_unit_test(an_inherited_listening_socket_is_served),
		cmocka_unit_test(an_inherited_connected_socket_is_served_once),
		cmocka_unit_test(it_works_with_five_thousand_open_fds),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}

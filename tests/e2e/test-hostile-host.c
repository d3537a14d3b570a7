/* SPDX-License-Identifier: MIT */
/* hostile-host - peers that go, signals, limits, files: what a host does, too */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
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
#include "tests/e2e/attack.h"
#include "tests/e2e/shape.h"

#define NR_MESSAGES 20

/* F-19: the image has lost its name, and then all its bytes */
static void the_configuration_answers_when_the_storage_has_gone(void **state)
{
	struct hostile *hostile = *state;
	const struct server *server = &hostile->server;
	cleanup_close int image = open(server->image, O_RDWR | O_CLOEXEC);
	struct client client;
	uint64_t capacity = 0;
	uint8_t data[4096] = { 0 };

	assert_true(image >= 0);
	assert_int_equal(unlink(server->image), 0);
	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(ftruncate(image, 0), 0);
	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(fe_session_get_config(&client.session, 0, &capacity,
					       sizeof(capacity)),
			 0);
	assert_int_not_equal(capacity, 0);
	/* an error or an answer, both are right: but one of the two */
	assert_int_not_equal(fe_blk_read(&client.blks[0], 0, data,
					 sizeof(data)),
			     -ETIMEDOUT);
	client_close(&client);
	assert_int_equal(ftruncate(image, SERVER_IMAGE_BYTES), 0);
}

/* S-53: SIGPIPE; the answers are written to somebody who has left */
static void answers_to_nobody_are_harmless(void **state)
{
	const unsigned int nr = hostile_volume(2000, 200000);
	struct hostile *hostile = *state;
	uint8_t bytes[NR_MESSAGES * FE_HEADER_BYTES];
	struct fe_message message;
	int sock;

	fe_message_init(&message, FE_GET_FEATURES, 0);
	for (unsigned int i = 0; i < NR_MESSAGES; i++)
		fe_message_encode(&message, bytes + i * FE_HEADER_BYTES);
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(fe_connect(hostile->server.socket, &sock), 0);
		assert_int_equal(
			fe_send_bytes(sock, bytes, sizeof(bytes), NULL, 0), 0);
		close(sock);
	}
}

/* S-53: a process that is stopped and goes on finds its system calls ended */
static void interrupted_calls_are_taken_up_again(void **state)
{
	const unsigned int nr = hostile_volume(300, 30000);
	struct hostile *hostile = *state;
	struct attack attack;

	attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(kill(hostile->server.pid, SIGSTOP), 0);
		assert_int_equal(kill(hostile->server.pid, SIGCONT), 0);
		if (i % 10 == 0)
			assert_int_equal(
				fe_session_sync(&attack.client.session), 0);
		if (i % 50 == 0)
			assert_true(attack_goes_on(&attack));
	}
	assert_true(attack_goes_on(&attack));
	attack_end(&attack);
}

static void limit_fds(const struct server *server, rlim_t soft)
{
	struct rlimit limit;

	assert_int_equal(prlimit(server->pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = soft ? soft : limit.rlim_max;
	assert_int_equal(prlimit(server->pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* S-53: no fd is left to accept with: it waits for one, and does not spin */
static void a_connection_waits_while_there_are_no_fds(void **state)
{
	struct hostile *hostile = *state;
	const struct server *server = &hostile->server;
	struct fe_session session;

	limit_fds(server, 3);
	assert_int_equal(fe_session_connect(&session, server->socket), 0);
	session.timeout_msec = 100;
	assert_int_equal(fe_session_sync(&session), -ETIMEDOUT);
	assert_true(server_is_idle(server, 200, 60));
	limit_fds(server, 0);
	fe_session_deinit(&session);
	assert_int_equal(client_fresh_io(server), 0);
}

/* S-53, S-15: fds are lost on their way, since there is no room for them */
static void a_session_without_room_for_fds_ends(void **state)
{
	struct hostile *hostile = *state;
	const struct server *server = &hostile->server;
	struct fe_message message;
	struct attack attack;
	int fd;

	attack_begin(&attack, server, ATTACK_UNDER_IO, 0);
	shape_make(shape_of(FE_ADD_MEM_REG), &attack.client, &message);
	fd = attack_fd(ATTACK_MEMORY_FD);
	limit_fds(server, 3);
	assert_int_equal(attack_message(&attack, &message, &fd, 1),
			 PROBE_CLOSED);
	limit_fds(server, 0);
	attack_end(&attack);
}

/* S-54: whatever becomes of the socket's file */
static void a_session_does_not_mind_its_socket_s_file(void **state)
{
	struct hostile *hostile = *state;
	const struct server *server = &hostile->server;
	struct attack attack;
	char other[sizeof(server->socket) + 8];
	cleanup_close int fd = -1;

	snprintf(other, sizeof(other), "%s.other", server->socket);
	attack_begin(&attack, server, ATTACK_UNDER_IO, 0);
	assert_int_equal(chmod(server->socket, 0), 0);
	assert_true(attack_goes_on(&attack));
	assert_int_equal(rename(server->socket, other), 0);
	assert_true(attack_goes_on(&attack));
	fd = open(server->socket, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_true(attack_goes_on(&attack));
	assert_int_equal(fe_session_sync(&attack.client.session), 0);
	assert_int_equal(rename(other, server->socket), 0);
	assert_int_equal(chmod(server->socket, 0600), 0);
	attack_end(&attack);
}

/* S-52, S-51: others come, wait, say what they like, and go */
static void who_waits_does_not_disturb_the_first(void **state)
{
	struct hostile *hostile = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct attack attack;
	static int socks[1000];
	unsigned int nr_waiting = 0;

	strcpy(addr.sun_path, hostile->server.socket);
	attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++) {
		socks[i] = socket(
			AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		/* beyond the backlog there is an error, at once */
		if (connect(socks[i], (struct sockaddr *)&addr, sizeof(addr)))
			assert_int_equal(errno, EAGAIN);
		else if (send(socks[i], "\5\0\0\0\1\0\0\0\x28", 9,
			      MSG_NOSIGNAL) == 9)
			nr_waiting++;
	}
	assert_true(nr_waiting > 0);
	assert_true(attack_goes_on(&attack));
	assert_int_equal(fe_session_sync(&attack.client.session), 0);
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++)
		close(socks[i]);
	attack_end(&attack);
}

/* S-51: memory shown, and gone, again and again */
static void who_dies_with_memory_shown_leaves_nothing(void **state)
{
	const unsigned int nr = hostile_volume(300, 100000);
	struct hostile *hostile = *state;
	struct attack attack;

	for (unsigned int i = 0; i < nr; i++) {
		attack_begin(&attack, &hostile->server, ATTACK_NEGOTIATED, 0);
		assert_int_equal(fe_session_set_memory(&attack.client.session,
						       &attack.client.memory),
				 0);
		attack_end(&attack);
	}
}

/* Bytes on the channel that are no answer to anything */
static void spoil_channel(struct attack *attack, unsigned int how)
{
	const int fd = attack_fd(ATTACK_EVENT_FD);
	struct fe_message message;
	int channel;

	assert_int_equal(
		fe_session_open_channel(&attack->client.session, &channel), 0);
	fe_message_init(&message, FE_BACKEND_CONFIG_CHANGE, 8);
	message.flags |= FE_FLAG_REPLY;
	if (how == 1)
		message.request = 77;
	if (how == 2)
		message.size = 4000;
	if (how == 3)
		message.flags = 0;
	if (how < 5)
		fe_message_send(channel, &message, &fd, how == 4);
	else
		fe_send_bytes(channel, &message, how - 4, NULL, 0);
	assert_true(attack_goes_on(attack));
	close(channel);
	assert_true(attack_goes_on(attack));
}

/* S-49: wrong ids, sizes, flags and fds; half an answer, and the end */
static void whatever_comes_on_the_channel_the_disk_goes_on(void **state)
{
	struct hostile *hostile = *state;
	struct attack attack;

	attack_begin(&attack, &hostile->server, ATTACK_UNDER_IO, 0);
	for (unsigned int how = 0; how < 10; how++)
		spoil_channel(&attack, how);
	attack_end(&attack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(the_configuration_answers_when_the_storage_has_gone),
		HOSTILE(answers_to_nobody_are_harmless),
		HOSTILE(interrupted_calls_are_taken_up_again),
		HOSTILE(a_connection_waits_while_there_are_no_fds),
		HOSTILE(a_session_without_room_for_fds_ends),
		HOSTILE(a_session_does_not_mind_its_socket_s_file),
		HOSTILE(who_waits_does_not_disturb_the_first),
		HOSTILE(who_dies_with_memory_shown_leaves_nothing),
		HOSTILE(whatever_comes_on_the_channel_the_disk_goes_on),
	};

	return hostile_run("hostile-host", tests, ARRAY_SIZE(tests));
}

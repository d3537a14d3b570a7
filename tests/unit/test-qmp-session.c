/* SPDX-License-Identifier: MIT */
/* session - a client of the control socket, well behaved or not */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "server/qmp/monitor.h"

#define REPLY_BYTES (1u << 17)

static struct world {
	struct loop loop;
	struct qmp_monitor *monitor;
	int fd; /* the client's end */
	char reply[REPLY_BYTES];
	struct qmp_call *pending; /* of the command "later" */
	unsigned int nr_run;
} world;

static void run(void *opaque, const char *name, struct qmp_call *call)
{
	struct world *ours = opaque;

	ours->nr_run++;
	if (!strcmp(name, "echo"))
		qmp_return(call, json_incref(call->arguments));
	else if (!strcmp(name, "later"))
		ours->pending = call;
	else
		qmp_refuse_as(call, "CommandNotFound", "no %.8s", name);
}

static int set_up(void **state)
{
	const struct qmp_commands commands = { .run = run, .opaque = &world };
	struct qmp_monitor_options options = { .listening = false };
	int fds[2];

	(void)state;
	world = (struct world){ .fd = -1 };
	assert_int_equal(loop_init(&world.loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	options.fd = fds[0];
	assert_int_equal(qmp_monitor_create(&world.loop, &commands, &options,
					    &world.monitor),
			 0);
	world.fd = fds[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	qmp_monitor_destroy(world.monitor);
	loop_deinit(&world.loop);
	rh_fd_close(&world.fd);
	return 0;
}

/* All that is ready now. */
static void turn(void)
{
	struct pollfd ready = { .fd = world.loop.epoll_fd, .events = POLLIN };

	while (poll(&ready, 1, 0) > 0)
		assert_int_equal(loop_run_once(&world.loop), 0);
}

static void say(const char *text)
{
	assert_int_equal(send(world.fd, text, strlen(text), 0), strlen(text));
	turn();
}

/* What has come since it was last asked for. */
static const char *heard(void)
{
	ssize_t nr = recv(world.fd, world.reply, sizeof(world.reply) - 1,
			  MSG_DONTWAIT);

	world.reply[nr > 0 ? nr : 0] = '\0';
	return world.reply;
}

static void negotiate(void)
{
	turn();
	heard();
	say("{\"execute\": \"qmp_capabilities\"}");
	assert_string_equal(heard(), "{\"return\": {}}\r\n");
}

/* F-26 */
static void it_greets_and_wants_to_negotiate(void **state)
{
	(void)state;
	turn();
	assert_non_null(strstr(heard(), "{\"QMP\": {\"version\": {\"qemu\""));
	say("{\"execute\": \"echo\", \"id\": 1}");
	assert_string_equal(heard(),
			    "{\"error\": {\"class\": \"CommandNotFound\", "
			    "\"desc\": \"Expecting capabilities negotiation "
			    "with 'qmp_capabilities'\"}, \"id\": 1}\r\n");
	assert_int_equal(world.nr_run, 0);
	say("{\"execute\": \"qmp_capabilities\", \"arguments\": "
	    "{\"enable\": [\"oob\"]}}");
	assert_non_null(strstr(heard(), "There are no capabilities"));
	say("{\"execute\": \"qmp_capabilities\", \"arguments\": "
	    "{\"enable\": []}}");
	assert_string_equal(heard(), "{\"return\": {}}\r\n");
	say("{\"execute\": \"qmp_capabilities\"}");
	assert_non_null(strstr(heard(), "already complete"));
}

static void an_answer_bears_the_id_of_its_command(void **state)
{
	(void)state;
	negotiate();
	say("{\"execute\": \"echo\", \"arguments\": {\"a\": [1, \"x\"]}, "
	    "\"id\": {\"n\": 5}}");
	assert_string_equal(heard(), "{\"return\": {\"a\": [1, \"x\"]}, "
				     "\"id\": {\"n\": 5}}\r\n");
	say("{\"execute\": \"nothing\"}");
	assert_string_equal(heard(), "{\"error\": {\"class\": "
				     "\"CommandNotFound\", \"desc\": "
				     "\"no nothing\"}}\r\n");
}

static void a_refusal_that_cuts_a_character_is_told(void **state)
{
	(void)state;
	negotiate();
	say("{\"execute\": \"nothing\xc3\xa9\", \"id\": 5}");
	assert_string_equal(heard(), "{\"error\": {\"class\": "
				     "\"CommandNotFound\", \"desc\": "
				     "\"no nothing?\"}, \"id\": 5}\r\n");
	say("{\"execute\": \"echo\", \"arguments\": {}}");
	assert_string_equal(heard(), "{\"return\": {}}\r\n");
}

static void commands_come_in_pieces_and_many_at_once(void **state)
{
	(void)state;
	negotiate();
	say("{\"execute\": \"ec");
	assert_string_equal(heard(), "");
	say("ho\", \"arguments\": {}}{\"execute\": \"echo\", \"arguments\": "
	    "{\"b\": 2}}");
	assert_string_equal(heard(),
			    "{\"return\": {}}\r\n{\"return\": {\"b\": 2}}\r\n");
}

/* F-26 */
static void what_is_no_command_is_refused_and_the_next_is_run(void **state)
{
	static const char *const bad[] = {
		"nonsense\n",
		"[]",
		"{\"execute\": 5}",
		"{}",
		"{\"execute\": \"echo\", \"arguments\": []}",
		"{\"execute\": \"echo\", \"more\": 1}",
		"{\"execute\" \"echo\"}",
		"{\"execute\": \"echo\", \"execute\": \"echo\"}",
	};

	(void)state;
	negotiate();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		say(bad[i]);
		if (!strstr(heard(),
			    "{\"error\": {\"class\": \"GenericError\""))
			fail_msg("%s: %s", bad[i], world.reply);
		assert_int_equal(world.nr_run, i);
		say("{\"execute\": \"echo\", \"arguments\": {}}");
		assert_string_equal(heard(), "{\"return\": {}}\r\n");
	}
}

static void an_answer_may_come_later_and_the_next_command_waits(void **state)
{
	(void)state;
	negotiate();
	say("{\"execute\": \"later\", \"id\": 1}"
	    "{\"execute\": \"echo\", \"arguments\": {}, \"id\": 2}");
	assert_string_equal(heard(), "");
	assert_int_equal(world.nr_run, 1);
	qmp_return(world.pending, NULL);
	turn();
	assert_string_equal(heard(), "{\"return\": {}, \"id\": 1}\r\n"
				     "{\"return\": {}, \"id\": 2}\r\n");
}

static void a_client_may_go_before_its_answer(void **state)
{
	(void)state;
	negotiate();
	say("{\"execute\": \"later\"}");
	rh_fd_close(&world.fd);
	turn();
	qmp_return(world.pending, NULL);
	turn();
}

static void events_come_after_the_negotiation_only(void **state)
{
	json_t *event = json_pack("{s:s}", "event", "SHUTDOWN");

	(void)state;
	turn();
	heard();
	qmp_monitor_tell(world.monitor, event);
	turn();
	assert_string_equal(heard(), "");
	negotiate();
	qmp_monitor_tell(world.monitor, event);
	turn();
	assert_string_equal(heard(), "{\"event\": \"SHUTDOWN\"}\r\n");
	json_decref(event);
}

/* 64 MiB of answers are asked for: neither side's memory has them all. */
/* No turn of the loop comes any more. */
static void what_is_told_before_the_end_is_sent(void **state)
{
	json_t *event = json_pack("{s:s}", "event", "LAST");

	(void)state;
	negotiate();
	qmp_monitor_tell(world.monitor, event);
	json_decref(event);
	qmp_monitor_destroy(world.monitor);
	world.monitor = NULL;
	assert_non_null(strstr(heard(), "\"LAST\""));
}

static void who_does_not_read_is_read_from_no_more(void **state)
{
	static char command[1 << 16];
	unsigned int nr_sent = 0;
	unsigned int nr_heard = 0;

	(void)state;
	negotiate();
	snprintf(
		command, sizeof(command),
		"{\"execute\": \"echo\", \"arguments\": {\"a\": \"%060000d\"}}",
		0);
	for (unsigned int i = 0; i < 1000; i++) {
		if (send(world.fd, command, strlen(command), MSG_DONTWAIT) ==
		    (ssize_t)strlen(command))
			nr_sent++;
		else
			break;
		turn();
	}
	assert_true(nr_sent < 1000);
	assert_true(world.nr_run < 100);
	for (unsigned int i = 0; i < 10000 && nr_heard < nr_sent - 1; i++) {
		const char *text = heard();

		while ((text = strstr(text, "return"))) {
			nr_heard++;
			text++;
		}
		turn();
	}
	assert_true(nr_heard >= nr_sent - 1);
}

/* F-26 */
static void a_command_without_an_end_ends_the_session(void **state)
{
	char byte[4096];

	(void)state;
	negotiate();
	memset(byte, '[', sizeof(byte));
	assert_int_equal(send(world.fd, byte, sizeof(byte), 0), sizeof(byte));
	turn();
	assert_non_null(strstr(heard(), "too long"));
	assert_int_equal(recv(world.fd, byte, sizeof(byte), 0), 0);
}

static void what_is_sent_before_the_end_is_answered(void **state)
{
	(void)state;
	negotiate();
	assert_int_equal(send(world.fd, "{\"execute\": \"echo\"}", 19, 0), 19);
	shutdown(world.fd, SHUT_WR);
	turn();
	assert_string_equal(heard(), "{\"return\": {}}\r\n");
}

#define A_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		A_TEST(it_greets_and_wants_to_negotiate),
		A_TEST(an_answer_bears_the_id_of_its_command),
		A_TEST(a_refusal_that_cuts_a_character_is_told),
		A_TEST(commands_come_in_pieces_and_many_at_once),
		A_TEST(what_is_no_command_is_refused_and_the_next_is_run),
		A_TEST(an_answer_may_come_later_and_the_next_command_waits),
		A_TEST(a_client_may_go_before_its_answer),
		A_TEST(events_come_after_the_negotiation_only),
		A_TEST(what_is_told_before_the_end_is_sent),
		A_TEST(who_does_not_read_is_read_from_no_more),
		A_TEST(a_command_without_an_end_ends_the_session),
		A_TEST(what_is_sent_before_the_end_is_answered),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}

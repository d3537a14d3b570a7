/* SPDX-License-Identifier: MIT */
/* ctl-link - a client of the control socket, whatever listens there */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ringhost/log.h>

#include "common/base.h"
#include "ctl/link.h"
#include "tests/unit/fake-daemon.h"

#define PATIENCE_MSEC 60000
#define DEEP	      5000

static char logged[1024];

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	snprintf(logged, sizeof(logged), "%s", line);
}

static int forget(void **state)
{
	(void)state;
	*logged = '\0';
	rh_log_set(remember, NULL, RH_LOG_ERROR);
	return 0;
}

static void has_logged(const char *part)
{
	if (!strstr(logged, part))
		fail_msg("'%s' is not in: %s", part, logged);
}

/* Connect to a daemon that says these, in turn. */
static int begin(struct fake_daemon *fake, struct link *link,
		 const char *const *texts)
{
	fake_daemon_begin(fake, texts, false);
	return link_open(link, fake->path, PATIENCE_MSEC);
}

static void end(struct fake_daemon *fake, struct link *link)
{
	link_close(link);
	fake_daemon_end(fake);
}

static void a_command_gets_the_answer_with_its_number(void **state)
{
	static const char *const texts[] = {
		FAKE_GREETING, FAKE_READY,
		"{\"return\": \"old\", \"id\": 1}{\"event\": \"X\", \"data\": "
		"{\"id\": \"a\"}}\n  {\"return\": {\"n\": [1, \"}\"]}, "
		"\"id\": 2}\n",
		NULL
	};
	struct fake_daemon fake;
	struct link link;
	json_t *answer;

	(void)state;
	assert_int_equal(begin(&fake, &link, texts), 0);
	answer = link_ask(&link, "query", json_pack("{s:s}", "k", "v\n"));
	assert_int_equal(json_array_size(json_object_get(answer, "n")), 2);
	json_decref(answer);
	assert_int_equal(link_await(&link, "X", "a"), 0);
	assert_int_equal(json_array_size(link.events), 0);
	end(&fake, &link);
	assert_non_null(strstr(fake.heard, "{\"execute\":\"query\",\"arguments"
					   "\":{\"k\":\"v\\n\"},\"id\":2}\n"));
	assert_string_equal(logged, "");
}

static void events_come_in_their_order(void **state)
{
	static const char *const texts[] = {
		FAKE_GREETING, FAKE_READY,
		"{\"event\": \"A\"}{\"event\": \"B\"}{\"return\": {}, \"id\": "
		"2}{\"event\": \"C\"}",
		NULL
	};
	struct fake_daemon fake;
	struct link link;

	(void)state;
	assert_int_equal(begin(&fake, &link, texts), 0);
	json_decref(link_ask(&link, "x", NULL));
	for (char name[] = "A"; *name <= 'C'; ++*name) {
		json_t *event = link_next_event(&link);

		assert_string_equal(
			json_string_value(json_object_get(event, "event")),
			name);
		json_decref(event);
	}
	end(&fake, &link);
}

static void a_refusal_is_told_without_what_a_terminal_obeys(void **state)
{
	static const char *const texts[] = {
		FAKE_GREETING,
		FAKE_READY,
		"{\"error\": {\"class\": \"GenericError\", \"desc\": "
		"\"no \\u001b[2J\"}, \"id\": 2}",
		"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"\"}, "
		"\"id\": 3}",
		"{\"error\": [], \"id\": 4}",
		NULL
	};
	struct fake_daemon fake;
	struct link link;

	(void)state;
	assert_int_equal(begin(&fake, &link, texts), 0);
	assert_null(link_ask(&link, "x", NULL));
	assert_string_equal(logged, "no \\x1b[2J");
	*logged = '\0';
	assert_null(link_ask_if_known(&link, "x", NULL));
	assert_string_equal(logged, "");
	assert_null(link_ask(&link, "x", NULL));
	has_logged("neither what it returns nor what is wrong");
	end(&fake, &link);
}

static void who_does_not_speak_qmp_is_told_from_a_daemon(void **state)
{
	static const char *const greetings[] = {
		"SSH-2.0-OpenSSH\r\n", "{\"hello\": 1}",   "[1, 2]",
		"{\"QMP\": \xff\xfe}", "{\"QMP\": 1e999}",
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(greetings); i++) {
		const char *const texts[] = { greetings[i], NULL };
		struct fake_daemon fake;
		struct link link;

		forget(NULL);
		assert_true(begin(&fake, &link, texts) < 0);
		has_logged("is it the control socket of ringhost daemon?");
		end(&fake, &link);
	}
}

static void what_is_nested_without_end_is_refused(void **state)
{
	static char deep[DEEP + 1];
	const char *const texts[] = { deep, NULL };
	struct fake_daemon fake;
	struct link link;

	(void)state;
	memset(deep, '[', DEEP);
	assert_true(begin(&fake, &link, texts) < 0);
	has_logged("does not speak QMP");
	end(&fake, &link);
}

static void who_says_nothing_is_waited_for_as_long_as_told(void **state)
{
	static const char *const silent[] = { "", NULL };
	static const char *const half[] = { "{\"QMP\": ", NULL };
	static const char *const deaf[] = { FAKE_GREETING, FAKE_READY, "",
					    NULL };
	struct fake_daemon fake;
	struct link link;

	(void)state;
	fake_daemon_begin(&fake, silent, false);
	assert_true(link_open(&link, fake.path, 50) < 0);
	has_logged("does not answer; --timeout");
	end(&fake, &link);
	forget(NULL);
	fake_daemon_begin(&fake, half, false);
	assert_true(link_open(&link, fake.path, 50) < 0);
	has_logged("does not answer; --timeout");
	end(&fake, &link);
	forget(NULL);
	assert_int_equal(begin(&fake, &link, deaf), 0);
	link.timeout_msec = 50;
	assert_null(link_ask(&link, "x", NULL));
	has_logged("does not answer; --timeout");
	end(&fake, &link);
}

static void a_daemon_that_goes_is_noticed(void **state)
{
	static const char *const texts[] = { FAKE_GREETING, FAKE_READY,
					     "{\"ret", NULL };
	struct fake_daemon fake;
	struct link link;

	(void)state;
	fake_daemon_begin(&fake, texts, true);
	assert_int_equal(link_open(&link, fake.path, PATIENCE_MSEC), 0);
	assert_null(link_ask(&link, "x", NULL));
	has_logged("has closed the connection");
	forget(NULL);
	assert_null(link_next_event(&link));
	has_logged("has closed the connection");
	end(&fake, &link);
}

static void an_answer_has_a_greatest_length(void **state)
{
	char *spaces = malloc(LINK_MAX_MESSAGE_BYTES + 64);
	const char *const texts[] = { FAKE_GREETING, FAKE_READY, spaces, NULL };
	struct fake_daemon fake;
	struct link link;

	(void)state;
	assert_non_null(spaces);
	memset(spaces, ' ', LINK_MAX_MESSAGE_BYTES + 63);
	spaces[LINK_MAX_MESSAGE_BYTES + 63] = '\0';
	spaces[0] = '{';
	assert_int_equal(begin(&fake, &link, texts), 0);
	assert_null(link_ask(&link, "x", NULL));
	has_logged("longer than any");
	end(&fake, &link);
	free(spaces);
}

static void without_a_daemon_the_sentence_says_what_to_do(void **state)
{
	char long_path[200];
	struct link link;

	(void)state;
	assert_int_equal(link_open(&link, "/tmp/ringhost-none/s", 1), -ENOENT);
	link_close(&link);
	has_logged("is the daemon running?");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(link_open(&link, long_path, 1), -ENAMETOOLONG);
	link_close(&link);
	has_logged("cannot connect to xxx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			a_command_gets_the_answer_with_its_number, forget),
		cmocka_unit_test_setup(events_come_in_their_order, forget),
		cmocka_unit_test_setup(
			a_refusal_is_told_without_what_a_terminal_obeys,
			forget),
		cmocka_unit_test_setup(
			who_does_not_speak_qmp_is_told_from_a_daemon, forget),
		cmocka_unit_test_setup(what_is_nested_without_end_is_refused,
				       forget),
		cmocka_unit_test_setup(
			who_says_nothing_is_waited_for_as_long_as_told, forget),
		cmocka_unit_test_setup(a_daemon_that_goes_is_noticed, forget),
		cmocka_unit_test_setup(an_answer_has_a_greatest_length, forget),
		cmocka_unit_test_setup(
			without_a_daemon_the_sentence_says_what_to_do, forget),
	};

	return cmocka_run_group_tests_name("ctl-link", tests, NULL, NULL);
}

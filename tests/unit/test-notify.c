/* SPDX-License-Identifier: MIT */
/* notify - what a service manager is told of the process */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/notify.h"

static int manager_fd;
static char address[64];

static int begin(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t bytes;

	(void)state;
	snprintf(address, sizeof(address), "@ringhost-notify-%ld",
		 (long)getpid());
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			    strlen(address));
	memcpy(name.sun_path + 1, address + 1, strlen(address) - 1);
	manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setenv("NOTIFY_SOCKET", address, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return bind(manager_fd, (struct sockaddr *)&name, bytes);
}

static int end(void **state)
{
	(void)state;
	rh_fd_close(&manager_fd);
	return 0;
}

/* What has come; "" for nothing. */
static const char *heard(void)
{
	static char text[256];
	ssize_t bytes = recv(manager_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[MAX(bytes, (ssize_t)0)] = '\0';
	return text;
}

static void run_once(struct notify *notify)
{
	struct pollfd fd = { .fd = notify_fd(notify), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, -1), 1);
	notify_run(notify);
}

static void no_child_inherits_what_is_ours(void **state)
{
	struct notify notify;

	(void)state;
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_open(&notify);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	notify_close(&notify);
}

static void states_are_told_in_their_order(void **state)
{
	struct notify notify;

	(void)state;
	notify_open(&notify);
	notify_reloading(&notify); /* nothing is there yet to be read again */
	notify_reloaded(&notify);
	notify_exports(&notify, 3, 2);
	assert_string_equal(heard(), "");
	notify_ready(&notify);
	assert_string_equal(heard(), "READY=1\nSTATUS=3 exports, 2 connected");
	notify_reloading(&notify);
	assert_int_equal(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27),
			 0);
	notify_exports(&notify, 1, 0);
	assert_string_equal(heard(), "");
	notify_reloaded(&notify);
	assert_string_equal(heard(), "READY=1\nSTATUS=1 export, 0 connected");
	notify_stopping(&notify);
	assert_int_equal(strncmp(heard(), "STOPPING=1\n", 11), 0);
	notify_stopping(&notify);
	notify_ready(&notify);
	notify_reloading(&notify);
	notify_exports(&notify, 1, 1);
	assert_string_equal(heard(), "");
	notify_close(&notify);
}

/* A storm of clients is no storm of messages, and its end is told. */
static void a_status_that_changes_often_is_told_seldom(void **state)
{
	struct notify notify;

	(void)state;
	notify_open(&notify);
	notify_exports(&notify, 1, 0);
	notify_ready(&notify);
	heard();
	for (unsigned int i = 0; i < 1000; i++)
		notify_exports(&notify, 1, (i + 1) % 2);
	notify_exports(&notify, 1, 7);
	assert_string_equal(heard(), "STATUS=1 export, 1 connected");
	assert_string_equal(heard(), "");
	run_once(&notify);
	assert_string_equal(heard(), "STATUS=1 export, 7 connected");
	notify_close(&notify);
}

static void a_watchdog_gets_its_ticks(void **state)
{
	struct notify notify;
	char pid[32];

	(void)state;
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "20000", 1);
	notify_open(&notify);
	assert_int_equal(notify.watchdog_usec, 10000);
	for (unsigned int i = 0; i < 3; i++) {
		run_once(&notify);
		assert_string_equal(heard(), "WATCHDOG=1");
	}
	notify_stopping(&notify); /* it goes on while requests end */
	heard();
	run_once(&notify);
	assert_string_equal(heard(), "WATCHDOG=1");
	notify_close(&notify);
}

static void only_our_own_watchdog_counts(void **state)
{
	static const struct {
		const char *pid;
		const char *usec;
	} others[] = {
		{ "1", "20000" },
		{ "x", "20000" },
		{ NULL, "0" },
		{ NULL, "-1" },
		{ NULL, "99999999999999999999999999" },
		{ NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct notify notify;

		setenv("NOTIFY_SOCKET", address, 1);
		if (others[i].pid)
			setenv("WATCHDOG_PID", others[i].pid, 1);
		if (others[i].usec)
			setenv("WATCHDOG_USEC", others[i].usec, 1);
		notify_open(&notify);
		assert_true(notify_fd(&notify) >= 0);
		assert_int_equal(notify.watchdog_usec, 0);
		notify_close(&notify);
	}
}

static void without_a_service_manager_nothing_happens(void **state)
{
	static const char *const addresses[] = {
		NULL,
		"",
		"@",
		"relative",
		"/not/there",
		"/0123456789012345678901234567890123456789012345678901234567890"
		"123456789012345678901234567890123456789012345678901234567890",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct notify notify;

		unsetenv("NOTIFY_SOCKET");
		if (addresses[i])
			setenv("NOTIFY_SOCKET", addresses[i], 1);
		setenv("WATCHDOG_USEC", "1000", 1);
		notify_open(&notify);
		notify_exports(&notify, 1, 1);
		notify_ready(&notify);
		notify_reloading(&notify);
		notify_stopping(&notify);
		assert_int_equal(notify_fd(&notify), -1);
		notify_close(&notify);
	}
	assert_string_equal(heard(), "");
}

/* One that reads nothing holds up nobody. */
static void
a_service_manager_that_does_not_listen_is_not_waited_for(void **state)
{
	struct notify notify;

	(void)state;
	notify_open(&notify);
	for (unsigned int i = 0; i < 20; i++) {
		notify_ready(&notify);
		notify_reloading(&notify);
	}
	rh_fd_close(&manager_fd);
	notify_ready(&notify);
	notify_close(&notify);
}

#define TOLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOLD(no_child_inherits_what_is_ours),
		TOLD(states_are_told_in_their_order),
		TOLD(a_status_that_changes_often_is_told_seldom),
		TOLD(a_watchdog_gets_its_ticks),
		TOLD(only_our_own_watchdog_counts),
		TOLD(without_a_service_manager_nothing_happens),
		TOLD(a_service_manager_that_does_not_listen_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

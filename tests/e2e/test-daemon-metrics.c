/* SPDX-License-Identifier: MIT */
/*
 * daemon-metrics - metrics are read over HTTP, by whoever, and disturb nobody
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include "tests/e2e/command.h"
#include "tests/e2e/cputime.h"
#include "tests/e2e/daemon.h"

#define METRICS "m.sock"
#define GET_METRICS                                                            \
	"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define ANSWER_BYTES (1u << 20)

static const char *const with_metrics[] = {
	"--object",
	"iothread,id=t0",
	"--blockdev",
	"driver=file,node-name=disk0,filename=a.img",
	"--export",
	"type=vhost-user-blk,id=e0,node-name=disk0,addr.type=unix,"
	"addr.path=e0.sock,writable=on,num-queues=2,iothread=t0",
	"--metrics",
	"unix:" METRICS,
	"--metrics",
	"127.0.0.1:0",
	NULL,
};

/* Who says nothing for some seconds is closed. */
#define MAX_TRIES 10

static int connect_unix(const struct daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/" METRICS,
		 daemon->server.dir);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* At the port that the log tells. */
static int connect_tcp(const struct daemon *daemon)
{
	static const char before[] = "http://127.0.0.1:";
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char log[4096] = "";
	FILE *file = fopen(daemon->server.log, "re");
	const char *at;

	assert_non_null(file);
	assert_true(fread(log, 1, sizeof(log) - 1, file) > 0);
	fclose(file);
	at = strstr(log, before);
	if (!at)
		fail_msg("no address in: %s", log);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(at + strlen(before)));
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* All that comes until the end, into an answer of ANSWER_BYTES. */
static void ask_once(int fd, const char *request, char *answer)
{
	size_t nr = 0;
	ssize_t got;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET);
	while ((got = recv(fd, answer + nr, ANSWER_BYTES - 1 - nr, 0)) > 0)
		nr += (size_t)got;
	answer[nr] = '\0';
	close(fd);
}

/* Nothing, if it stood still in between, too long for the daemon: again. */
static char *ask(const struct daemon *daemon,
		 int (*dial)(const struct daemon *daemon), const char *request)
{
	char *answer = calloc(1, ANSWER_BYTES);

	for (unsigned int i = 0; !*answer && i < MAX_TRIES; i++)
		ask_once(dial(daemon), request, answer);
	return answer;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("there is no '%s' in: %s", part,
			 text ? text : "no answer");
}

static void metrics_are_read_over_http(void **state)
{
	struct client client = { 0 };
	struct daemon daemon;
	char *answer;

	(void)state;
	daemon_start(&daemon, with_metrics);
	assert_int_equal(
		client_open(&client, daemon_at(&daemon, "e0.sock"), NULL), 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	answer = ask(&daemon, connect_unix, GET_METRICS);
	assert_has(answer, "HTTP/1.1 200 ");
	assert_has(answer, "Content-Type: text/plain; version=0.0.4");
	assert_has(answer, "ringhost_export_reads_total{export=\"e0\","
			   "queue=\"0\"} 1\n");
	assert_has(answer, "ringhost_export_connected{export=\"e0\"} 1\n");
	assert_has(answer, "ringhost_export_queue_info{export=\"e0\","
			   "queue=\"0\",iothread=\"t0\"} 1\n");
	assert_has(answer, "\nprocess_open_fds ");
	assert_has(answer, "\nprocess_resident_memory_bytes ");
	free(answer);
	client_close(&client);
	daemon_stop(&daemon);
}

static void a_loopback_address_tells_the_same(void **state)
{
	struct daemon daemon;
	char *answer;

	(void)state;
	daemon_start(&daemon, with_metrics);
	answer = ask(&daemon, connect_tcp, GET_METRICS);
	assert_has(answer, "HTTP/1.1 200 ");
	assert_has(answer, "ringhost_build_info{version=");
	free(answer);
	daemon_stop(&daemon);
}

static void all_else_is_refused(void **state)
{
	static const struct {
		const char *request;
		const char *answer;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		  "HTTP/1.1 404 " },
		{ "POST /metrics HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: 100000000\r\n\r\n",
		  "HTTP/1.1 405 " },
		{ "HEAD /metrics HTTP/1.1\r\nHost: x\r\n"
		  "Connection: close\r\n\r\n",
		  "HTTP/1.1 200 " },
		{ "\x16\x03\x01\x02\r\n\r\n", "" },
	};
	struct daemon daemon;

	(void)state;
	daemon_start(&daemon, with_metrics);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *answer = ask(&daemon, connect_unix, rows[i].request);

		assert_has(answer, rows[i].answer);
		assert_null(strstr(answer, "ringhost_build_info"));
		free(answer);
	}
	free(ask(&daemon, connect_unix, GET_METRICS));
	daemon_stop(&daemon);
}

/* Headers without an end, and a body that nobody asked for. */
static void a_request_may_not_grow_without_end(void **state)
{
	static const char begin[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nA: ";
	char filling[4096];
	struct daemon daemon;
	ssize_t sent = 1;
	int fd;

	(void)state;
	daemon_start(&daemon, with_metrics);
	memset(filling, 'a', sizeof(filling));
	fd = connect_unix(&daemon);
	send(fd, begin, strlen(begin), MSG_NOSIGNAL);
	while (sent > 0)
		sent = send(fd, filling, sizeof(filling), MSG_NOSIGNAL);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	close(fd);
	daemon_stop(&daemon);
}

/* Some say nothing, some read nothing; others are served meanwhile. */
static void idle_clients_are_closed_and_cost_nothing(void **state)
{
	struct daemon daemon;
	double before;
	char byte;
	int fds[4];

	(void)state;
	daemon_start(&daemon, with_metrics);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_unix(&daemon);
	send(fds[0], "GET /me", 7, MSG_NOSIGNAL);
	free(ask(&daemon, connect_unix, GET_METRICS));
	before = cputime_of(daemon.server.pid);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		while (recv(fds[i], &byte, 1, 0) > 0)
			;
		close(fds[i]);
	}
	assert_true(cputime_of(daemon.server.pid) - before < 1000000);
	free(ask(&daemon, connect_unix, GET_METRICS));
	daemon_stop(&daemon);
}

static void many_clients_do_not_delay_commands(void **state)
{
	struct daemon daemon;
	int fds[8];

	(void)state;
	daemon_start(&daemon, with_metrics);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_unix(&daemon);
	for (unsigned int i = 0; i < 50; i++)
		qmp_do(&daemon.qmp, "query-version", "{}");
	assert_int_equal(client_fresh_io(daemon_at(&daemon, "e0.sock")), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	free(ask(&daemon, connect_unix, GET_METRICS));
	daemon_stop(&daemon);
}

static void other_addresses_are_refused(void **state)
{
	static const char *const words[] = {
		"192.0.2.1:9187",
		"[::]:9187",
		"127.0.0.1:65536",
		"m.sock",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		expect(run("%s daemon --metrics %s 2>&1", program(), words[i]),
		       1);
		has(words[i]);
		has(i < 2 ? "only a loopback address" : "it takes unix:PATH");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_are_read_over_http),
		cmocka_unit_test(a_loopback_address_tells_the_same),
		cmocka_unit_test(all_else_is_refused),
		cmocka_unit_test(a_request_may_not_grow_without_end),
		cmocka_unit_test(idle_clients_are_closed_and_cost_nothing),
		cmocka_unit_test(many_clients_do_not_delay_commands),
		cmocka_unit_test(other_addresses_are_refused),
	};

	if (!daemon_has_metrics()) {
		puts("1..0 # SKIP this build has no metrics");
		return 0;
	}
	return cmocka_run_group_tests_name("daemon-metrics", tests, NULL, NULL);
}

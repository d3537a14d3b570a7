/* SPDX-License-Identifier: MIT */
/*
 * vanishing-memory - memory that goes away, at any moment and in any way
 *
 * Catalogue F-24, F-25, G-22. A front-end in a process of its own does I/O and
 * then shortens or punches one of the files that it shares: rings, requests,
 * the in-flight region, the migration log; while requests are under way,
 * while messages are, or before the rings start on a record of requests. It
 * faults on what is gone as the server does, and then waits for its session's
 * end like a front-end that has died. The server has to live, to let go of
 * what it held, and to serve the next one; the neighbour must not notice.
 *
 * Which moment, and what, is drawn: the round's number is the seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/hostile.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/dirty_log.h"
#include "tests/frontend/inflight.h"

#define QUEUES	       2
#define CHECK_EACH     10 /* rounds */
#define RINGS_REGION   0
#define SLOTS_REGION   1
#define SLOTS_BYTES    (4u << 20)
#define SLOTS_ADDR     (UINT64_C(1) << 30)
#define INFLIGHT_BYTES 65536

/* How a front-end's process ends; 0 if all went as it should. */
#define EXIT_NOT_OPENED 2
#define EXIT_NOT_CLOSED 3
#define EXIT_NOT_TAKEN	4

enum target {
	RINGS,
	SLOTS,
	INFLIGHT,
	LOG,
	NR_TARGETS
};

struct storm {
	unsigned int seed;
	struct client client;
	struct fe_inflight inflight;
	struct fe_dirty_log log;
	enum target target;
	bool recovers; /* before the rings start, and not under load */
	bool must_end; /* what is gone is looked at for each kick */
};

/* How often memory has gone away, for the last line */
static unsigned int nr_storms;

/* The process's only one, for its handler of signals */
static int session_sock = -1;

static unsigned int draw(struct storm *storm, unsigned int n)
{
	return (unsigned int)rand_r(&storm->seed) % n;
}

static const struct client_options options = {
	.nr_queues = QUEUES,
	.data_bytes = 16384,
	.unusual_features = FE_FEATURE_LOG_ALL,
	.more_protocol = FE_PROTOCOL_LOG_SHMFD,
};

static int open_rings(struct storm *storm)
{
	struct client *client = &storm->client;
	int error = 0;

	if (fe_memory_add(&client->memory, 0, 1u << 20) != RINGS_REGION ||
	    fe_memory_add(&client->memory, SLOTS_ADDR, SLOTS_BYTES) !=
		    SLOTS_REGION)
		return -ENOMEM;
	for (unsigned int i = 0; i < QUEUES && !error; i++) {
		client->nr_queues = i + 1;
		error = fe_vring_init(&client->vrings[i], &client->memory,
				      RINGS_REGION, CLIENT_QUEUE_SIZE,
				      client->session.features);
		if (!error)
			error = fe_blk_init(&client->blks[i],
					    &client->vrings[i], SLOTS_REGION,
					    CLIENT_DEPTH, options.data_bytes);
		client->vrings[i].index = i;
	}
	return error;
}

static int share_all(struct storm *storm)
{
	struct client *client = &storm->client;
	struct fe_session *session = &client->session;
	int error = fe_session_set_memory(session, &client->memory);

	if (!error)
		error = fe_inflight_make(&storm->inflight, INFLIGHT_BYTES,
					 QUEUES, CLIENT_QUEUE_SIZE);
	if (!error)
		error = fe_session_set_inflight(session, &storm->inflight);
	if (!error && storm->target == LOG)
		error = fe_dirty_log_init(&storm->log, 1u << 20);
	if (!error && storm->target == LOG)
		error = fe_session_set_log(session, &storm->log);
	if (!error && storm->target == LOG)
		error = fe_session_log_data(session, true);
	return error;
}

static int start_rings(struct storm *storm)
{
	struct client *client = &storm->client;
	int error = 0;

	for (unsigned int i = 0; i < QUEUES && !error; i++)
		error = fe_session_start_vring(
			&client->session, &client->vrings[i], i,
			fe_vring_base(&client->vrings[i]));
	return error;
}

/* Everything is there, and some I/O was done. */
static int begin(struct storm *storm, const struct server *server)
{
	int error = client_connect(&storm->client, server, &options);

	session_sock = storm->client.session.sock;
	storm->client.session.timeout_msec = FE_PATIENCE_MSEC;
	if (!error)
		error = open_rings(storm);
	if (!error)
		error = share_all(storm);
	if (!error && !storm->recovers)
		error = start_rings(storm);
	for (unsigned int i = 0; i < QUEUES && !error && !storm->recovers; i++)
		error = client_load(&storm->client, i, 1 + draw(storm, 40));
	return error;
}

static int file_of(const struct storm *storm, uint64_t *bytes)
{
	switch (storm->target) {
	case INFLIGHT:
		*bytes = INFLIGHT_BYTES;
		return storm->inflight.fd;
	case LOG:
		*bytes = storm->log.bytes;
		return storm->log.fd;
	case RINGS:
		*bytes = 1u << 20;
		return storm->client.memory.regions[RINGS_REGION].fd;
	default:
		*bytes = SLOTS_BYTES;
		return storm->client.memory.regions[SLOTS_REGION].fd;
	}
}

static void take_away(struct storm *storm)
{
	uint64_t bytes;
	int fd = file_of(storm, &bytes);
	unsigned int nr_pages = (unsigned int)(bytes / 4096);
	off_t page = (off_t)draw(storm, nr_pages) * 4096;
	int failed;

	switch (draw(storm, 4)) {
	case 0:
		failed = fallocate(fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   page, 4096 * (off_t)(1 + draw(storm, 8)));
		break;
	case 1:
		failed = ftruncate(fd, page);
		break;
	default:
		failed = ftruncate(fd, 0);
		storm->must_end = storm->target == RINGS && !storm->recovers;
		break;
	}
	if (failed)
		_exit(EXIT_NOT_TAKEN);
}

static void fill_queue(struct storm *storm, unsigned int queue)
{
	struct fe_blk_request *request;
	bool indirect = draw(storm, 2);

	while ((request = fe_blk_get(&storm->client.blks[queue]))) {
		request->type =
			draw(storm, 2) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		request->sector = draw(storm, 1024) * 8;
		request->data_bytes = 4096 << draw(storm, 3);
		request->framing = (struct fe_framing){ .indirect = indirect };
		if (fe_blk_add(request) < 0)
			break;
	}
}

static void kick_all(struct storm *storm)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		rh_eventfd_signal(storm->client.vrings[i].kick_fd);
}

/* Something for the control thread meanwhile; nobody waits for an answer. */
static void send_message(struct storm *storm)
{
	static const uint32_t requests[] = {
		FE_GET_VRING_BASE,
		FE_SET_VRING_ENABLE,
		FE_GET_FEATURES,
		FE_RESET_DEVICE,
	};
	uint32_t request = requests[draw(storm, ARRAY_SIZE(requests))];
	bool has_state =
		request == FE_GET_VRING_BASE || request == FE_SET_VRING_ENABLE;
	struct fe_message message;

	fe_message_init(&message, request,
			has_state ? sizeof(message.payload.state) : 0);
	fe_message_send(session_sock, &message, NULL, 0);
}

static void spin(unsigned int usec)
{
	uint64_t end = fe_now_usec() + usec;

	while (fe_now_usec() < end)
		;
}

/* The server ends it, or has done all that it will. */
static void wait_for_end(bool must_end)
{
	struct pollfd sock = { .fd = session_sock };

	sock.events = POLLRDHUP;
	if (poll(&sock, 1, must_end ? FE_PATIENCE_MSEC : 20) == 0 && must_end)
		_exit(EXIT_NOT_CLOSED);
	_exit(0);
}

/* What this process touches is gone, and that is as it should be. */
static void take_signal(int signal)
{
	(void)signal;
	wait_for_end(false);
}

/* Does not return. */
static void run_front_end(const struct server *server, struct storm *storm)
{
	int error = begin(storm, server);

	if (error) {
		fprintf(stderr, "# front-end: %s\n", strerror(-error));
		_exit(EXIT_NOT_OPENED);
	}
	signal(SIGBUS, take_signal);
	if (storm->recovers) {
		take_away(storm);
		start_rings(storm);
	} else {
		for (unsigned int i = 0; i < QUEUES; i++) {
			fill_queue(storm, i);
			fe_vring_publish(&storm->client.vrings[i]);
		}
		if (draw(storm, 2))
			kick_all(storm);
		spin(draw(storm, 300));
		take_away(storm);
	}
	kick_all(storm);
	/* which may stop the very rings that would be looked at */
	if (!storm->must_end && draw(storm, 2))
		send_message(storm);
	kick_all(storm);
	wait_for_end(storm->must_end);
}

/* Nothing of the child's is the parent's: it has its exit status. */
static int run_storm(const struct server *server, unsigned int round,
		     bool recovers)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	int status = 0;
	pid_t pid;

	assert_non_null(storm);
	storm->seed = round * 2654435761u + 1;
	storm->target = round % NR_TARGETS;
	storm->recovers = recovers;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		run_front_end(server, storm);
	free(storm);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A pool of threads holds what it likes, more after more load. */
static bool is_well(struct hostile *hostile)
{
	const char *how = getenv("SERVER_OPTIONS");

	return how && strstr(how, "--aio=threads") ? hostile_serves(hostile) :
						     hostile_check(hostile);
}

static int look_at_it(void **state)
{
	return is_well(*state) ? 0 : -1;
}

static void run_storms(struct hostile *hostile, bool recovers)
{
	unsigned int nr = hostile_volume(32, 2000);

	for (unsigned int i = 0; i < nr; i++) {
		int status = run_storm(&hostile->server, i, recovers);

		nr_storms++;
		if (status)
			fail_msg("round %u: the front-end ended with %d", i,
				 status);
		if (i % CHECK_EACH == CHECK_EACH - 1)
			assert_true(is_well(hostile));
	}
}

/* F-24, G-22 */
static void memory_that_vanishes_under_load_is_contained(void **state)
{
	run_storms(*state, false);
}

/* F-24: the control thread reads rings and records when queues start. */
static void memory_that_vanishes_before_the_start_is_contained(void **state)
{
	run_storms(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			memory_that_vanishes_under_load_is_contained,
			look_at_it),
		cmocka_unit_test_teardown(
			memory_that_vanishes_before_the_start_is_contained,
			look_at_it),
	};
	int nr_failed =
		hostile_run("vanishing-memory", tests, ARRAY_SIZE(tests));

	printf("# vanishing-memory: memory has vanished %u times, %s\n",
	       nr_storms, nr_failed ? "not well" : "contained each time");
	return nr_failed;
}

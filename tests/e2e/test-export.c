/* SPDX-License-Identifier: MIT */
/*
 * export - whose the image is, a size that changes, and when the server ends
 *
 * Against ringhost only: what these are about is not in the protocol.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"

#define SECTOR_BYTES	512
#define POLL_USEC	10000
#define B_WAITS_USEC	5000000
#define WAITS_FOR_IMAGE "another process holds the image"
#define DOES_NOT_GET_IT "does not get its disk"

/* Two servers with one image, and a VM for each; B's has not started. */
struct pair {
	struct server a;
	struct server b;
	struct client of_a;
	struct client of_b;
};

static void open_pair(struct pair *pair)
{
	struct server_options same = { 0 };
	const struct client_options two_queues = { .nr_queues = 2 };

	memset(pair, 0, sizeof(*pair));
	assert_int_equal(server_start(&pair->a, NULL), 0);
	same.image = pair->a.image;
	assert_int_equal(server_start(&pair->b, &same), 0);
	assert_int_equal(client_open(&pair->of_a, &pair->a, &two_queues), 0);
	assert_int_equal(client_check_io(&pair->of_a, 0, 1), 0);
	assert_int_equal(client_connect(&pair->of_b, &pair->b, NULL), 0);
	assert_int_equal(client_prepare(&pair->of_b, NULL), 0);
}

static void close_pair(struct pair *pair)
{
	client_close(&pair->of_a);
	client_close(&pair->of_b);
	assert_int_equal(server_stop(&pair->a), 0);
	assert_int_equal(server_stop(&pair->b), 0);
}

static void wait_for_log(const struct server *server, const char *text,
			 int timeout_msec)
{
	uint64_t deadline = fe_deadline(timeout_msec);

	while (!server_log_count(server, text)) {
		if (fe_now_usec() > deadline)
			fail_msg("'%s' is not logged", text);
		usleep(POLL_USEC);
	}
}

/* A read that is submitted and not waited for. */
static struct fe_blk_request *submit_read(struct client *client)
{
	struct fe_blk_request *request = fe_blk_get(&client->blks[0]);

	assert_non_null(request);
	request->type = VIRTIO_BLK_T_IN;
	request->sector = 0;
	request->data_bytes = SECTOR_BYTES;
	assert_int_equal(fe_blk_add(request), 0);
	fe_vring_submit(&client->vrings[0]);
	return request;
}

/* A while in which it must not end */
static int expect_none_yet(struct fe_blk_request *request)
{
	int error = fe_blk_wait(request, 300);

	return error == -ETIMEDOUT ? 0 : error ? error : -EALREADY;
}

static int b_waits_with_a_read(struct pair *pair,
			       struct fe_blk_request **request)
{
	assert_int_equal(client_start(&pair->of_b), 0);
	*request = submit_read(&pair->of_b);
	wait_for_log(&pair->b, WAITS_FOR_IMAGE, FE_PATIENCE_MSEC);
	return expect_none_yet(*request);
}

/*
 * What comes of it while B waits for the image, which it does for five
 * seconds. Where the machine has stood still so long it is begun anew.
 */
static int while_b_waits(int (*scenario)(struct pair *pair,
					 struct fe_blk_request *request))
{
	struct fe_blk_request *request;
	struct pair pair;
	uint64_t begin;
	bool gave_up;
	int error = 0;

	for (int i = 0; i < 3; i++) {
		open_pair(&pair);
		begin = fe_now_usec();
		error = b_waits_with_a_read(&pair, &request);
		if (!error)
			error = scenario(&pair, request);
		gave_up = server_log_count(&pair.b, DOES_NOT_GET_IT);
		if (gave_up && !error)
			error = -EAGAIN;
		close_pair(&pair);
		if (!gave_up || fe_now_usec() - begin < B_WAITS_USEC)
			break;
	}
	return error;
}

static int end_a(struct pair *pair, struct fe_blk_request *request)
{
	int error;

	client_close(&pair->of_a);
	error = fe_blk_wait(request, FE_PATIENCE_MSEC);
	return error ? error : fe_blk_result(request);
}

/* Behaviour 21, at the start of queues */
static void a_vm_waits_while_another_server_has_the_image(void **state)
{
	(void)state;
	assert_int_equal(while_b_waits(end_a), 0);
}

static int stop_queues_of_a(struct pair *pair, struct fe_blk_request *request)
{
	uint32_t base;
	int error = fe_session_get_base(&pair->of_a.session, 0, &base);

	if (!error)
		error = expect_none_yet(request);
	if (!error)
		error = fe_session_get_base(&pair->of_a.session, 1, &base);
	return error ? error : fe_blk_wait(request, FE_PATIENCE_MSEC);
}

/* As the source of a migration, which stays connected */
static void stopping_all_queues_gives_the_image_away(void **state)
{
	(void)state;
	assert_int_equal(while_b_waits(stop_queues_of_a), 0);
}

static int change_memory_of_a(struct pair *pair, struct fe_blk_request *request)
{
	int error = 0;

	for (unsigned int i = 0; i < 100 && !error; i++)
		error = fe_session_set_table(&pair->of_a.session,
					     &pair->of_a.memory);
	if (!error)
		error = client_check_io(&pair->of_a, 0, 2);
	return error ? error : expect_none_yet(request);
}

/* New guest memory stops all queues, and starts them again. */
static void a_change_of_memory_keeps_the_image(void **state)
{
	(void)state;
	assert_int_equal(while_b_waits(change_memory_of_a), 0);
}

/* Before B has given up, which is looked at behind it */
static int stop_queue_of_b(struct pair *pair, struct fe_blk_request *request)
{
	uint32_t base = 77;
	int error = fe_session_get_base(&pair->of_b.session, 0, &base);

	(void)request;
	return error ? error : (int)base;
}

static void a_queue_that_waits_is_given_back_at_once(void **state)
{
	(void)state;
	assert_int_equal(while_b_waits(stop_queue_of_b), 0);
}

static void the_wait_for_the_image_is_bounded(void **state)
{
	struct fe_blk_request *request;
	struct pair pair;

	(void)state;
	open_pair(&pair);
	assert_int_equal(client_start(&pair.of_b), 0);
	request = submit_read(&pair.of_b);
	wait_for_log(&pair.b, DOES_NOT_GET_IT, FE_PATIENCE_MSEC);
	assert_int_equal(fe_eventfd_wait(pair.of_b.vrings[0].err_fd,
					 FE_PATIENCE_MSEC),
			 1);

	/* too late: the image may have changed under the guest */
	client_close(&pair.of_a);
	assert_int_equal(fe_blk_wait(request, 500), -ETIMEDOUT);
	assert_int_equal(server_log_count(&pair.b, DOES_NOT_GET_IT), 1);

	/* a VM that starts anew gets it */
	client_close(&pair.of_b);
	assert_int_equal(client_fresh_io(&pair.b), 0);
	close_pair(&pair);
}

static void resize(const struct server *server, uint64_t bytes)
{
	assert_int_equal(truncate(server->image, (off_t)bytes), 0);
	assert_int_equal(kill(server->pid, SIGUSR1), 0);
}

/* Behaviour 19: one message if the channel exists */
static void a_new_size_reaches_the_guest(void **state)
{
	struct server *server = *state;
	const uint8_t sector[SECTOR_BYTES] = { 1 };
	struct fe_message message;
	struct client client;
	int channel;

	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_capacity(&client), SERVER_IMAGE_BYTES);
	assert_int_equal(fe_session_open_channel(&client.session, &channel), 0);
	resize(server, 2 * SERVER_IMAGE_BYTES);
	assert_int_equal(fe_message_receive(channel, &message, FE_PATIENCE_MSEC,
					    NULL, NULL),
			 0);
	assert_int_equal(message.request, FE_BACKEND_CONFIG_CHANGE);
	assert_int_equal(client_capacity(&client), 2 * SERVER_IMAGE_BYTES);
	assert_int_equal(fe_blk_write(&client.blks[0],
				      SERVER_IMAGE_BYTES / SECTOR_BYTES, sector,
				      sizeof(sector)),
			 0);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	close(channel);
	client_close(&client);
}

/* Behaviour 19, and the fault table: resize without a client or a channel */
static void a_new_size_needs_nobody_there(void **state)
{
	struct server *server = *state;
	struct client client;
	uint64_t deadline;

	resize(server, 2 * SERVER_IMAGE_BYTES);
	wait_for_log(server, "no guest was there to tell", FE_PATIENCE_MSEC);
	assert_int_equal(client_open(&client, server, NULL), 0);
	assert_int_equal(client_capacity(&client), 2 * SERVER_IMAGE_BYTES);
	resize(server, 3 * SERVER_IMAGE_BYTES);
	deadline = fe_deadline(FE_PATIENCE_MSEC);
	while (client_capacity(&client) != 3 * SERVER_IMAGE_BYTES)
		assert_true(fe_now_usec() < deadline);
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
}

static void a_session_is_summed_up_at_its_end(void **state)
{
	struct server *server = *state;
	struct client client;

	assert_int_equal(client_open(&client, server, NULL), 0);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(client_check_io(&client, 0, i), 0);
	assert_int_equal(fe_blk_flush(&client.blks[0]), 0);
	client_close(&client);
	assert_int_equal(client_fresh_io(server), 0);
	assert_int_equal(server_log_count(server, "the session had 3 reads"),
			 1);
	wait_for_log(server, "the session had 1 reads", FE_PATIENCE_MSEC);
}

static void the_first_disconnect_can_be_the_end(void **state)
{
	const struct server_options options = {
		.options = { "--exit-on-disconnect" },
	};
	struct server server;

	(void)state;
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_fresh_io(&server), 0);
	assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
	assert_int_equal(access(server.socket, F_OK), -1);
	server_clean_up(&server);
}

/* Behaviour 7: all signals that end a program end this one in order. */
static void sigint_and_sighup_end_it_as_sigterm_does(void **state)
{
	static const int signals[] = { SIGINT, SIGHUP };
	struct server server;
	struct client client;

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(server_start(&server, NULL), 0);
		assert_int_equal(client_open(&client, &server, NULL), 0);
		assert_int_equal(client_check_io(&client, 0, 1), 0);
		assert_int_equal(kill(server.pid, signals[i]), 0);
		assert_int_equal(server_wait(&server, SERVER_STOP_MSEC), 0);
		assert_int_equal(access(server.socket, F_OK), -1);
		client_close(&client);
		server_clean_up(&server);
	}
}

#define WITH_SERVER(test)                                                      \
	cmocka_unit_test_setup_teardown(test, server_set_up, server_tear_down)

/* CPU time of the thread with this name, in clock ticks; -1: there is none. */
static long thread_ticks(const struct server *server, const char *name)
{
	char path[64];
	char stat[512];
	long ticks = -1;
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", server->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks)) && ticks < 0) {
		unsigned long user;
		unsigned long system;
		ssize_t bytes;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat",
			 server->pid, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		bytes = fd < 0 ? 0 : read(fd, stat, sizeof(stat) - 1);
		close(fd);
		stat[MAX(bytes, 0)] = '\0';
		if (strstr(stat, name) &&
		    sscanf(strrchr(stat, ')'),
			   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			   "%lu %lu",
			   &user, &system) == 2)
			ticks = (long)(user + system);
	}
	closedir(tasks);
	return ticks;
}

struct load {
	struct client *client;
	unsigned int queue;
	int error;
};

static void *keep_queue_busy(void *opaque)
{
	struct load *load = opaque;

	load->error = client_load(load->client, load->queue, 5000);
	return NULL;
}

/* Row "all queues of an export share one thread" of the faults of others */
static void four_queues_on_two_workers_use_both(void **state)
{
	const struct server_options two = { .options = { "--threads=2" } };
	const struct client_options four = { .nr_queues = 4 };
	struct load loads[4];
	pthread_t threads[4];
	struct server server;
	struct client client;

	(void)state;
	assert_int_equal(server_start(&server, &two), 0);
	assert_int_equal(client_open(&client, &server, &four), 0);
	while (thread_ticks(&server, "(disk0/w0)") < 5 ||
	       thread_ticks(&server, "(disk0/w1)") < 5) {
		for (unsigned int i = 0; i < 4; i++) {
			loads[i] = (struct load){ &client, i, 0 };
			assert_int_equal(pthread_create(&threads[i], NULL,
							keep_queue_busy,
							&loads[i]),
					 0);
		}
		for (unsigned int i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(loads[i].error, 0);
		}
		/* one that has worked so much is not waited for any more */
		assert_in_range(thread_ticks(&server, "(disk0/w0)"), 0, 2000);
		assert_in_range(thread_ticks(&server, "(disk0/w1)"), 0, 2000);
	}
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_queues_on_two_workers_use_both),
		cmocka_unit_test(a_vm_waits_while_another_server_has_the_image),
		cmocka_unit_test(stopping_all_queues_gives_the_image_away),
		cmocka_unit_test(a_change_of_memory_keeps_the_image),
		cmocka_unit_test(a_queue_that_waits_is_given_back_at_once),
		cmocka_unit_test(the_wait_for_the_image_is_bounded),
		WITH_SERVER(a_new_size_reaches_the_guest),
		WITH_SERVER(a_new_size_needs_nobody_there),
		WITH_SERVER(a_session_is_summed_up_at_its_end),
		cmocka_unit_test(the_first_disconnect_can_be_the_end),
		cmocka_unit_test(sigint_and_sighup_end_it_as_sigterm_does),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}

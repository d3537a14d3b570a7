/* SPDX-License-Identifier: MIT */
/*
 * idle - a quiet disk costs nothing, and one that is polled spares kicks
 *
 * Against ringhost only. What a server has cost is what the kernel counts for
 * all of its threads: times that they were put to sleep or interrupted, and
 * time that they ran. A thread that makes a system call runs.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/client.h"
#include "tests/frontend/clock.h"

#define QUIET_USEC  500000
#define SETTLE_MSEC 5000
#define MOST_LOOKS  10
#define SLICE_USEC  20000
#define BATCH	    20
#define MOST_KIB    (CLIENT_MAX_QUEUES * 192) /* a sanitizer needs more */

struct cost {
	uint64_t nr_switches;
	uint64_t run_nsec;
};

static void add_switches(const char *task, struct cost *cost)
{
	unsigned long long nr;
	char path[350];
	char line[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/status", task);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *field = strstr(line, "voluntary_ctxt_switches:");

		if (field && sscanf(strchr(field, ':') + 1, "%llu", &nr) == 1)
			cost->nr_switches += nr;
	}
	if (file)
		fclose(file);
}

static void add_run_time(const char *task, struct cost *cost)
{
	unsigned long long nsec;
	char path[350];
	FILE *file;

	snprintf(path, sizeof(path), "%s/schedstat", task);
	file = fopen(path, "re");
	if (file && fscanf(file, "%llu", &nsec) == 1)
		cost->run_nsec += nsec;
	if (file)
		fclose(file);
}

static struct cost cost_of(const struct server *server)
{
	struct cost cost = { 0 };
	struct dirent *entry;
	char path[64];
	char task[330];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)server->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(task, sizeof(task), "%s/%s", path, entry->d_name);
		add_switches(task, &cost);
		add_run_time(task, &cost);
	}
	closedir(dir);
	assert_true(cost.nr_switches > 0);
	return cost;
}

static bool same(struct cost a, struct cost b)
{
	return a.nr_switches == b.nr_switches && a.run_nsec == b.run_nsec;
}

/*
 * Until the last answer's threads have gone to sleep, or so it seems: one that
 * waits for a processor looks like it.
 */
static struct cost settle(const struct server *server)
{
	uint64_t deadline = fe_deadline(SETTLE_MSEC);
	struct cost before;
	struct cost now = cost_of(server);

	do {
		before = now;
		usleep(SLICE_USEC);
		now = cost_of(server);
	} while (!same(before, now) && fe_now_usec() < deadline);
	return now;
}

/* Asked again: a server that does something now and then always does. */
static void expect_quiet(const struct server *server)
{
	struct cost before;
	struct cost after;
	int i = 0;

	do {
		before = settle(server);
		usleep(QUIET_USEC);
		after = cost_of(server);
	} while (!same(after, before) && ++i < MOST_LOOKS);
	assert_int_equal(after.nr_switches, before.nr_switches);
	assert_int_equal(after.run_nsec, before.run_nsec);
}

static int one_read(struct client *client, unsigned int *nr_kicks)
{
	struct fe_blk *blk = &client->blks[0];
	struct fe_blk_request *request = fe_blk_get(blk);
	int error;

	assert_non_null(request);
	request->data_bytes = 4096;
	error = fe_blk_add(request);
	if (!error && fe_vring_publish(blk->vring)) {
		fe_vring_kick(blk->vring);
		++*nr_kicks;
	}
	if (!error)
		error = fe_blk_wait(request, FE_PATIENCE_MSEC);
	if (!error)
		error = fe_blk_result(request);
	fe_blk_put(request);
	return error;
}

static unsigned int kicks_of_a_batch(struct client *client)
{
	unsigned int nr_kicks = 0;

	for (unsigned int i = 0; i < BATCH; i++)
		assert_int_equal(one_read(client, &nr_kicks), 0);
	return nr_kicks;
}

/*
 * Polling gives way to whoever needs the cores, and on a machine that runs
 * other tests that may be for a while.
 */
static void expect_few_kicks(struct client *client)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (kicks_of_a_batch(client) > BATCH * 3 / 4) {
		if (fe_now_usec() > deadline)
			fail_msg("each request needs a kick");
	}
}

static void is_quiet_after_traffic(const struct server_options *options)
{
	const struct client_options two_queues = { .nr_queues = 2 };
	struct server server;
	struct client client;

	assert_int_equal(server_start(&server, options), 0);
	assert_int_equal(client_open(&client, &server, &two_queues), 0);
	expect_quiet(&server);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(client_load(&client, i, 500), 0);
	for (unsigned int i = 0; i < 10; i++)
		kicks_of_a_batch(&client);
	expect_quiet(&server);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

static void a_quiet_disk_costs_nothing_with(void **state)
{
	const char *const *words = *state;
	const struct server_options options = { .options = { words[0],
							     words[1] } };

	is_quiet_after_traffic(&options);
}

static void a_disk_that_was_polled_costs_nothing_with(void **state)
{
	const char *const *words = *state;
	const struct server_options options = {
		.options = { "--poll-us=50", "--cache=writeback", words[0],
			     words[1] }
	};
	struct server server;
	struct client client;

	is_quiet_after_traffic(&options);
	assert_int_equal(server_start(&server, &options), 0);
	assert_int_equal(client_open(&client, &server, NULL), 0);
	expect_few_kicks(&client);
	expect_quiet(&server);
	/* and from its sleep a kick wakes it as ever */
	assert_int_equal(client_check_io(&client, 0, 1), 0);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

/* What the process has for itself alone: guest memory is shared. */
static long private_kib(const struct server *server)
{
	char path[64];
	char line[256];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)server->pid);
	file = fopen(path, "re");
	while (file && kib < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Private_Dirty: %ld", &kib) != 1)
			kib = -1;
	}
	if (file)
		fclose(file);
	return kib;
}

/* Ready for thousands of requests, and never had more than one. */
static void large_queues_cost_memory_only_as_they_are_used(void **state)
{
	const char *const *words = *state;
	const struct server_options options = { .options = { words[0],
							     words[1] } };
	const struct client_options large = { .nr_queues = CLIENT_MAX_QUEUES,
					      .queue_size = 1024 };
	struct server server;
	struct client client;
	long before;

	assert_int_equal(server_start(&server, &options), 0);
	before = private_kib(&server);
	assert_true(before > 0);
	assert_int_equal(client_open(&client, &server, &large), 0);
	for (unsigned int i = 0; i < large.nr_queues; i++)
		assert_int_equal(client_check_io(&client, i, 1), 0);
	assert_in_range(private_kib(&server), 1, before + MOST_KIB);
	client_close(&client);
	assert_int_equal(server_stop(&server), 0);
}

static const char *const uring[] = { NULL, NULL };
static const char *const pool[] = { "--aio=threads", NULL };

#define WITH(test, words)                                                      \
	{                                                                      \
#test " " #words, test, NULL, NULL, (void *)words              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_quiet_disk_costs_nothing_with, uring),
		WITH(a_quiet_disk_costs_nothing_with, pool),
		WITH(a_disk_that_was_polled_costs_nothing_with, uring),
		WITH(a_disk_that_was_polled_costs_nothing_with, pool),
		WITH(large_queues_cost_memory_only_as_they_are_used, uring),
		WITH(large_queues_cost_memory_only_as_they_are_used, pool),
	};

	if (server_is_missing())
		return 0;
	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * hostile - what has to hold after an attack, whatever it was
 *
 * The server tidies up behind a session on its own time, so its holdings are
 * looked at until they are what they were, for some seconds at most.
 *
 * Shared mappings are those of guest memory, logs and records, besides the
 * rings of an engine, and are compared exactly in each build; the others are
 * the allocator's, which may keep a few.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "tests/e2e/hostile.h"
#include "tests/e2e/sanitizer.h"
#include "tests/frontend/clock.h"

#define LOOK_USEC      500
#define NR_LOOKS_ALIKE 10
#define PACE_MSEC      2
#define PAUSE_MSEC     10000 /* that a machine with much else to do may make */
#ifdef WITH_SANITIZER
#define SPARE_MAPS 1000
#else
#define SPARE_MAPS 8
#endif

/* Threads of pools, the kernel's and ours, come and go as they are needed. */
static bool is_of_a_pool(const char *comm)
{
	return !strncmp(comm, "iou-", 4) || !strncmp(comm, "ringhost-io", 11);
}

static int count_threads(pid_t pid)
{
	char path[320];
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid,
			 entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		nr += fgets(comm, sizeof(comm), file) && !is_of_a_pool(comm);
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return nr;
}

static void count_maps(pid_t pid, struct hostile_holdings *ret)
{
	char line[512];
	char flags[8];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		/* what a worker makes at its first request, and keeps */
		if (sscanf(line, "%*s %7s", flags) != 1 ||
		    strstr(line, "/[aio]"))
			continue;
		if (flags[3] == 's')
			ret->nr_shared_maps++;
		else
			ret->nr_private_maps++;
	}
	if (file)
		fclose(file);
}

static void look(const struct server *server, struct hostile_holdings *ret)
{
	*ret = (struct hostile_holdings){ 0 };
	ret->nr_fds = server_nr_fds(server);
	count_maps(server->pid, ret);
	ret->nr_threads = count_threads(server->pid);
}

/* private: how many private mappings more than before there may be */
static bool are_same(const struct hostile_holdings *now,
		     const struct hostile_holdings *before, int private)
{
	return now->nr_fds == before->nr_fds &&
	       now->nr_shared_maps == before->nr_shared_maps &&
	       now->nr_private_maps <= before->nr_private_maps + private &&
	       now->nr_threads == before->nr_threads;
}

/* Before the first attack, when what is made at the first use is there */
static int take_base(struct hostile *hostile)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	struct hostile_holdings last = { 0 };
	unsigned int nr_alike = 0;
	int error = 0;

	for (unsigned int i = 0; i < 3 && !error; i++)
		error = client_fresh_io(&hostile->server);
	while (!error && nr_alike < NR_LOOKS_ALIKE) {
		usleep(4 * LOOK_USEC);
		look(&hostile->server, &hostile->base);
		nr_alike =
			are_same(&hostile->base, &last, 0) ? nr_alike + 1 : 0;
		last = hostile->base;
		if (fe_now_usec() > deadline)
			error = -ETIMEDOUT;
	}
	return error;
}

static bool check_holdings(const struct hostile *hostile)
{
	const struct hostile_holdings *base = &hostile->base;
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	struct hostile_holdings now;

	look(&hostile->server, &now);
	while (!are_same(&now, base, SPARE_MAPS)) {
		if (fe_now_usec() > deadline) {
			printf("# fds %d -> %d, shared mappings %d -> %d, "
			       "others %d -> %d, threads %d -> %d\n",
			       base->nr_fds, now.nr_fds, base->nr_shared_maps,
			       now.nr_shared_maps, base->nr_private_maps,
			       now.nr_private_maps, base->nr_threads,
			       now.nr_threads);
			return false;
		}
		usleep(LOOK_USEC);
		look(&hostile->server, &now);
	}
	return true;
}

static void *run_neighbour(void *opaque)
{
	struct hostile_neighbour *neighbour = opaque;
	struct pollfd stop = { .fd = neighbour->stop_fd, .events = POLLIN };
	uint64_t begin, usec;
	uint8_t seed = 0;
	int error = 0;

	while (!error && !poll(&stop, 1, PACE_MSEC)) {
		begin = fe_now_usec();
		error = client_check_io(&neighbour->client, 0, seed++ % 64);
		usec = fe_now_usec() - begin;
		if (usec > atomic_load(&neighbour->longest_usec))
			atomic_store(&neighbour->longest_usec, usec);
		atomic_store(&neighbour->error, error);
		atomic_fetch_add(&neighbour->nr_done, 1);
	}
	return NULL;
}

/* It has come through some I/O since the check began, as all the time. */
static bool check_neighbour(struct hostile_neighbour *neighbour,
			    unsigned int nr_before)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	uint64_t longest;
	int error;

	while (atomic_load(&neighbour->nr_done) - nr_before < 2 &&
	       !atomic_load(&neighbour->error) && fe_now_usec() < deadline)
		usleep(LOOK_USEC);
	error = atomic_load(&neighbour->error);
	longest = atomic_exchange(&neighbour->longest_usec, 0);
	if (atomic_load(&neighbour->nr_done) - nr_before < 2)
		error = error ? error : -ETIMEDOUT;
	if (error)
		printf("# the neighbour's I/O fails: %s\n", strerror(-error));
	if (longest > PAUSE_MSEC * 1000)
		printf("# the neighbour's I/O took %llu ms\n",
		       (unsigned long long)longest / 1000);
	return !error && longest <= PAUSE_MSEC * 1000;
}

bool hostile_serves(struct hostile *hostile)
{
	unsigned int nr_before = atomic_load(&hostile->neighbour.nr_done);
	int error;

	if (!server_runs(&hostile->server)) {
		printf("# the server has ended\n");
		return false;
	}
	error = client_fresh_io(&hostile->server);
	if (error)
		printf("# a fresh front-end fails: %s\n", strerror(-error));
	return check_neighbour(&hostile->neighbour, nr_before) && !error;
}

bool hostile_check(struct hostile *hostile)
{
	return hostile_serves(hostile) && check_holdings(hostile);
}

int hostile_tear_down(void **state)
{
	return hostile_check(*state) ? 0 : -1;
}

unsigned int hostile_volume(unsigned int usual, unsigned int full)
{
	const char *soak = getenv("RINGHOST_SOAK");

	return soak && !strcmp(soak, "1") ? full : usual;
}

static int start_neighbour(struct hostile_neighbour *neighbour)
{
	int error = server_start(&neighbour->server, NULL);

	if (!error)
		error = client_open(&neighbour->client, &neighbour->server,
				    NULL);
	if (error)
		return error;
	neighbour->stop_fd = rh_eventfd_create();
	if (neighbour->stop_fd < 0)
		return neighbour->stop_fd;
	error = pthread_create(&neighbour->thread, NULL, run_neighbour,
			       neighbour);
	if (error)
		rh_fd_close(&neighbour->stop_fd);
	return -error;
}

static int set_up(void **state)
{
	static struct hostile hostile;
	int error;

	hostile.neighbour.stop_fd = -1;
	hostile.neighbour.server.pid = -1;
	*state = &hostile;
	error = server_start(&hostile.server, NULL);
	if (!error)
		error = take_base(&hostile);
	if (!error)
		error = start_neighbour(&hostile.neighbour);
	if (error)
		fprintf(stderr, "hostile: %s\n", strerror(-error));
	return error;
}

static int tear_down(void **state)
{
	struct hostile *hostile = *state;
	struct hostile_neighbour *neighbour = &hostile->neighbour;
	int ret;

	if (neighbour->stop_fd >= 0) {
		rh_eventfd_signal(neighbour->stop_fd);
		pthread_join(neighbour->thread, NULL);
		rh_fd_close(&neighbour->stop_fd);
	}
	client_close(&neighbour->client);
	ret = server_stop(&hostile->server);
	return server_stop(&neighbour->server) | ret;
}

int hostile_run(const char *name, const struct CMUnitTest *tests,
		unsigned int nr_tests)
{
	if (server_is_missing())
		return 0;
	return _cmocka_run_group_tests(name, tests, nr_tests, set_up,
				       tear_down);
}

/* SPDX-License-Identifier: MIT */
/* worker - queues are served, signalled, stopped and given back */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/worker-bench.h"

/* The last line of the log; written before what the test then waits for. */
static char last_line[512];

static void keep_line(void *opaque, enum rh_log_level level, const char *tag,
		      const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void a_request_is_answered_and_signalled(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	guest_start(guest);
	guest_read(guest, 3);
	assert_int_equal(guest_wait(guest), 3);
	guest_stop(guest);
}

/* G-26: it was kicked, if at all, before anybody listened. */
static void what_was_available_before_the_start_is_served(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	guest_add(guest, 5);
	guest_start(guest);
	assert_int_equal(guest_wait(guest), 5);
	guest_stop(guest);
}

/* G-26, behaviour 31 */
static void no_kick_and_no_signal_is_missed_with_event_idx(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	guest_start(guest);
	for (unsigned int depth = 1; depth <= BENCH_NR_SLOTS; depth++)
		guest_keep_busy(guest, 1000, depth);
	guest_stop(guest);
}

static void nor_when_the_driver_answers_at_once(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	bench->driver.at_once = true;
	guest_start(guest);
	for (unsigned int depth = 1; depth <= BENCH_NR_SLOTS; depth++)
		guest_keep_busy(guest, 2000, depth);
	guest_stop(guest);
}

/* F-12: the front-end gave no kick fd. */
static void a_queue_without_a_kick_fd_is_polled(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	rh_fd_close(&guest->ring.queue.kick_fd);
	guest_start(guest);
	for (unsigned int i = 0; i < 100; i++) {
		guest_add(guest, i % BENCH_NR_SLOTS);
		assert_int_equal(guest_wait(guest), i % BENCH_NR_SLOTS);
	}
	guest_stop(guest);
}

static void a_queue_without_a_call_fd_is_served(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	unsigned int slot;

	rh_signal_fd_set(&guest->ring.queue.call, -1);
	guest_start(guest);
	for (unsigned int i = 0; i < 100; i++) {
		guest_read(guest, i % BENCH_NR_SLOTS);
		while (!guest_take(guest, &slot))
			sched_yield();
		assert_int_equal(slot, i % BENCH_NR_SLOTS);
	}
	guest_stop(guest);
}

/* Part 2a, "counter at 2^64-2": the other queue goes on. */
static void a_full_call_fd_holds_nobody_up(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	uint64_t full = UINT64_MAX - 1;
	unsigned int slot;

	guest_start(guest);
	guest_start(&bench->guests[1]);
	assert_int_equal(write(guest->call, &full, sizeof(full)), sizeof(full));
	assert_int_equal(fcntl(guest->call, F_SETFL, 0), 0);
	for (unsigned int i = 0; i < 100; i++) {
		ring_store(ring_used_event(&guest->ring), guest->ring.used_idx);
		guest_read(guest, i % BENCH_NR_SLOTS);
		while (!guest_take(guest, &slot))
			sched_yield();
	}
	guest_keep_busy(&bench->guests[1], 100, 4);
	guest_stop(guest);
	guest_stop(&bench->guests[1]);
}

/* Behaviours 3 and 33, D-07, D-08 */
static void a_stop_waits_for_what_is_under_way(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	unsigned int slot;

	bench->driver.held = true;
	guest_start(guest);
	for (unsigned int i = 0; i < 4; i++)
		guest_read(guest, i);
	bench_wait_submitted(bench, 4);
	guest_ask_back(guest);
	for (unsigned int i = 0; i < 4; i++) {
		assert_false(guest_given_back(guest));
		bench_let_go(bench, 1);
		guest_wait(guest);
	}
	guest_wait_given_back(guest);
	assert_false(guest_take(guest, &slot));
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 1);
}

/* Behaviour 33: restarting the ring loses nothing. */
static void what_comes_after_the_stop_waits_for_the_next_start(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	unsigned int slot;

	bench->driver.held = true;
	guest_start(guest);
	guest_read(guest, 0);
	bench_wait_submitted(bench, 1);
	guest_ask_back(guest);
	/* the other queue's start is obeyed after the stop of this one */
	guest_start(&bench->guests[1]);
	guest_read(&bench->guests[1], 0);
	bench_wait_submitted(bench, 2);
	guest_add(guest, 1);
	rh_eventfd_signal(guest->kick);
	bench_let_go(bench, 2);
	guest_wait_given_back(guest);
	assert_true(guest_take(guest, &slot));
	assert_int_equal(slot, 0);
	assert_false(guest_take(guest, &slot));

	bench_let_go(bench, 1);
	guest_start(guest);
	assert_int_equal(guest_wait(guest), 1);
	guest_stop(guest);
	guest_stop(&bench->guests[1]);
}

/* Until then the fds are open; afterwards their numbers may be others'. */
static void signals_and_kicks_are_through_when_it_is_given_back(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	uint64_t count = 0;

	bench->driver.held = true;
	for (unsigned int i = 0; i < 100; i++) {
		guest_start(guest);
		guest_read(guest, 0);
		bench_wait_submitted(bench, i + 1);
		guest_ask_back(guest);
		rh_eventfd_signal(guest->kick);
		ring_store(ring_used_event(&guest->ring), guest->ring.used_idx);
		bench_let_go(bench, 1);
		guest_wait_given_back(guest);
		assert_int_equal(read(guest->call, &count, sizeof(count)),
				 sizeof(count));
		assert_int_equal(count, 1);
		assert_int_equal(read(guest->kick, &count, sizeof(count)), -1);
		assert_int_equal(guest_wait(guest), 0);
		/* it is nobody's now */
		rh_eventfd_signal(guest->kick);
	}
}

/* The same without a watch, whose removal takes a turn as well. */
static void the_last_signal_of_a_polled_queue_is_through_too(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	uint64_t count = 0;

	bench->driver.held = true;
	rh_fd_close(&guest->ring.queue.kick_fd);
	for (unsigned int i = 0; i < 100; i++) {
		guest_start(guest);
		guest_add(guest, 0);
		bench_wait_submitted(bench, i + 1);
		guest_ask_back(guest);
		ring_store(ring_used_event(&guest->ring), guest->ring.used_idx);
		bench_let_go(bench, 1);
		guest_wait_given_back(guest);
		assert_int_equal(read(guest->call, &count, sizeof(count)),
				 sizeof(count));
		assert_int_equal(guest_wait(guest), 0);
	}
}

static unsigned int count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* Behaviour 2 */
static void a_queue_may_start_and_stop_any_number_of_times(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	unsigned int before;

	guest_start(guest);
	guest_read(guest, 0);
	guest_wait(guest);
	guest_stop(guest);
	before = count_open_fds();
	for (unsigned int i = 0; i < 300; i++) {
		guest_start(guest);
		assert_int_equal(worker_nr_queues(bench->worker), 1);
		if (i % 2)
			guest_keep_busy(guest, 10, 2);
		guest_stop(guest);
		assert_int_equal(worker_nr_queues(bench->worker), 0);
	}
	assert_int_equal(count_open_fds(), before);
	assert_int_equal(atomic_load(&bench->driver.nr_attached), 301);
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 301);
}

static void queues_of_one_driver_share_its_context(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guests = bench->guests;

	guest_start(&guests[0]);
	guest_start(&guests[1]);
	guest_keep_busy(&guests[0], 100, 4);
	guest_keep_busy(&guests[1], 100, 4);
	assert_int_equal(atomic_load(&bench->driver.nr_attached), 1);
	guest_stop(&guests[0]);
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 0);
	guest_keep_busy(&guests[1], 100, 4);
	guest_stop(&guests[1]);
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 1);
}

/* D-14 */
static void a_busy_driver_gets_every_request_in_the_end(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guests = bench->guests;

	bench->driver.limit = 1;
	guest_start(&guests[0]);
	guest_start(&guests[1]);
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < BENCH_NR_SLOTS; i++) {
			guest_read(&guests[0], i);
			guest_read(&guests[1], i);
		}
		for (unsigned int i = 0; i < BENCH_NR_SLOTS; i++) {
			guest_wait(&guests[0]);
			guest_wait(&guests[1]);
		}
	}
	/* and also when it is to stop */
	for (unsigned int i = 0; i < BENCH_NR_SLOTS; i++)
		guest_read(&guests[0], i);
	guest_stop(&guests[0]);
	guest_stop(&guests[1]);
	assert_int_equal(bench->driver.nr_most, 1);
}

/* Time of the whole process while it does nothing. */
static double cpu_msec_while_idle(void)
{
	struct timespec before;
	struct timespec after;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	poll(NULL, 0, 100);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return (double)(after.tv_sec - before.tv_sec) * 1e3 +
	       (double)(after.tv_nsec - before.tv_nsec) / 1e6;
}

/*
 * Asked again before it is believed that somebody spins: what the host of a VM
 * takes for itself is CPU time of whoever was running.
 */
static bool is_idle(void)
{
	for (int i = 0; i < 5; i++)
		if (cpu_msec_while_idle() < 20)
			return true;
	return false;
}

static void an_idle_worker_costs_nothing(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	guest_start(guest);
	guest_keep_busy(guest, 1000, 8);
	assert_true(is_idle());
	guest_stop(guest);
}

/* G-01, part 2a "kick while broken": no spin, and the other queue goes on. */
static void a_broken_queue_is_quiet_and_can_be_stopped(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *broken = &bench->guests[0];

	rh_log_set(keep_line, NULL, RH_LOG_ERROR);
	bench->driver.held = true;
	guest_start(broken);
	guest_start(&bench->guests[1]);
	guest_read(broken, 0);
	bench_wait_submitted(bench, 1);
	ring_make_available(&broken->ring, BENCH_RING_SIZE + 7);
	for (unsigned int i = 0; i < 1000; i++)
		rh_eventfd_signal(broken->kick);
	assert_true(is_idle());
	/* what was under way still ends */
	bench_let_go(bench, 1);
	assert_int_equal(guest_wait(broken), 0);
	assert_true(is_idle());

	bench_let_go(bench, 100);
	guest_keep_busy(&bench->guests[1], 100, 4);
	guest_stop(broken);
	guest_stop(&bench->guests[1]);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

static void a_broken_queue_is_polled_no_more(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	rh_log_set(keep_line, NULL, RH_LOG_ERROR);
	rh_fd_close(&guest->ring.queue.kick_fd);
	ring_make_available(&guest->ring, BENCH_RING_SIZE + 7);
	guest_start(guest);
	/* the other one's answer comes a turn after the break, or later */
	guest_start(&bench->guests[1]);
	guest_keep_busy(&bench->guests[1], 10, 1);
	assert_true(is_idle());
	guest_stop(guest);
	guest_stop(&bench->guests[1]);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

/* G-19 */
static void a_flooding_queue_does_not_starve_another(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guests = bench->guests;
	struct flood flood;

	bench->driver.at_once = true;
	guest_start(&guests[0]);
	guest_start(&guests[1]);
	flood_begin(&flood, &guests[0]);
	guest_keep_busy(&guests[1], 3000, 1);
	flood_end(&flood);
	guest_stop(&guests[0]);
	guest_stop(&guests[1]);
}

static void a_queue_that_cannot_start_says_so_and_can_be_stopped(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	int err_fd = rh_eventfd_create();
	uint64_t count;

	rh_log_set(keep_line, NULL, RH_LOG_WARNING);
	rh_signal_fd_set(&guest->ring.queue.err, dup(err_fd));
	bench->driver.attach_result = -EMFILE;
	guest_start(guest);
	guest_read(guest, 0);
	guest_stop(guest);
	assert_string_equal(last_line, "queue is broken until it is set up "
				       "again: disk0/worker-wi cannot serve "
				       "it: Too many open files");
	assert_int_equal(read(err_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	close(err_fd);

	/* the next start finds it in order */
	bench->driver.attach_result = 0;
	guest_start(guest);
	assert_int_equal(guest_wait(guest), 0);
	guest_stop(guest);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

/* Part 2a, "kick fd is /dev/zero" */
static void a_kick_fd_that_is_always_readable_is_refused(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];

	rh_log_set(keep_line, NULL, RH_LOG_WARNING);
	last_line[0] = '\0';
	rh_fd_close(&guest->ring.queue.kick_fd);
	guest->ring.queue.kick_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	guest_start(guest);
	guest_stop(guest);
	assert_non_null(strstr(last_line, "Operation not permitted"));
	assert_int_equal(atomic_load(&bench->driver.nr_detached), 1);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
}

/* The value of a field of a file in /proc; empty if there is none. */
static void read_field(const char *path, const char *field, char value[64])
{
	FILE *file = fopen(path, "re");
	char line[256];

	value[0] = '\0';
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), "%63s", value);
	if (file)
		fclose(file);
}

static void its_thread_has_its_name_and_no_signals(void **state)
{
	struct bench *bench = bench_of(state);
	struct guest *guest = &bench->guests[0];
	DIR *dir = opendir("/proc/self/task");
	/* all but KILL, STOP, BUS, and two that libc keeps for itself */
	const unsigned long long blockable = 0xfffffffe7ffbfebf;
	const unsigned long long bus = 0x40; /* guest memory taken back */
	unsigned int nr_found = 0;
	struct dirent *entry;
	char path[300];
	char value[64];

	/* while it starts libc blocks all signals anyway */
	guest_start(guest);
	guest_keep_busy(guest, 10, 1);
	guest_stop(guest);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 entry->d_name);
		read_field(path, "Name:", value);
		if (strcmp(value, "disk0/worker-wi") != 0)
			continue;
		nr_found++;
		read_field(path, "SigBlk:", value);
		assert_true((strtoull(value, NULL, 16) & (blockable | bus)) ==
			    blockable);
	}
	closedir(dir);
	assert_int_equal(nr_found, 1);
}

static void a_worker_knows_its_engine(void **state)
{
	struct bench *bench = bench_of(state);
	const char *name = worker_engine_name(bench->worker);

	assert_true(!strcmp(name, "io_uring") || !strcmp(name, "threads"));
	worker_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(a_request_is_answered_and_signalled),
		ON_BOTH_ENGINES(what_was_available_before_the_start_is_served),
		ON_BOTH_ENGINES(no_kick_and_no_signal_is_missed_with_event_idx),
		ON_BOTH_ENGINES(nor_when_the_driver_answers_at_once),
		ON_BOTH_ENGINES(a_queue_without_a_kick_fd_is_polled),
		ON_BOTH_ENGINES(a_queue_without_a_call_fd_is_served),
		ON_BOTH_ENGINES(a_full_call_fd_holds_nobody_up),
		ON_BOTH_ENGINES(a_stop_waits_for_what_is_under_way),
		ON_BOTH_ENGINES(
			what_comes_after_the_stop_waits_for_the_next_start),
		ON_BOTH_ENGINES(
			signals_and_kicks_are_through_when_it_is_given_back),
		ON_BOTH_ENGINES(
			the_last_signal_of_a_polled_queue_is_through_too),
		ON_BOTH_ENGINES(a_queue_may_start_and_stop_any_number_of_times),
		ON_BOTH_ENGINES(queues_of_one_driver_share_its_context),
		ON_BOTH_ENGINES(a_busy_driver_gets_every_request_in_the_end),
		ON_BOTH_ENGINES(an_idle_worker_costs_nothing),
		ON_BOTH_ENGINES(a_broken_queue_is_quiet_and_can_be_stopped),
		ON_BOTH_ENGINES(a_broken_queue_is_polled_no_more),
		ON_BOTH_ENGINES(a_flooding_queue_does_not_starve_another),
		ON_BOTH_ENGINES(
			a_queue_that_cannot_start_says_so_and_can_be_stopped),
		ON_BOTH_ENGINES(a_kick_fd_that_is_always_readable_is_refused),
		ON_BOTH_ENGINES(its_thread_has_its_name_and_no_signals),
		ON_BOTH_ENGINES(a_worker_knows_its_engine),
	};

	/* The whole contract holds for a worker that polls, too. */
	if (getenv("POLL_US"))
		bench_poll_usec = (unsigned int)atoi(getenv("POLL_US"));
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}

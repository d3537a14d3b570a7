/* SPDX-License-Identifier: MIT */
/*
 * drive - servers in which one thing fails
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/client.h"
#include "tests/e2e/sanitizer.h"
#include "tests/faults/drive.h"
#include "tests/faults/session.h"
#include "tests/frontend/clock.h"

#define TIDY_UP_USEC                                                           \
	20000 /* of an unharmed one: it has time until it is used */
#define MAX_COUNT 10000
#define MAX_TRIES 50 /* for what luck decides on */
#define MAX_SLOW  20 /* sessions in a row; see serve_next() */
#ifdef WITH_SANITIZER
#define MORE_MAPS 16 /* its allocator maps each size apart */
#else
#define MORE_MAPS 4 /* the allocator may keep a little */
#endif

static const char *const phase_names[] = {
	[DRIVE_START] = "start",
	[DRIVE_SERVE] = "serve",
	[DRIVE_STOP] = "stop",
};

PRINTF_LIKE(2, 3)
static bool is_wrong(struct drive *drive, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(drive->text, sizeof(drive->text), format, arguments);
	va_end(arguments);
	return false;
}

/* The phase is over. */
static void disarm(struct drive *drive)
{
	atomic_store(&drive->plan->nth, 0);
	for (unsigned int i = 0; i < drive->plan->nr_rows; i++)
		drive->nr_calls[i] = atomic_load(&drive->plan->rows[i].count);
}

static void arm(struct plan *plan, const struct drive_fault *fault,
		unsigned int nth)
{
	atomic_store(&plan->nth, 0);
	for (unsigned int i = 0; i < plan->nr_rows; i++)
		atomic_store(&plan->rows[i].count, 0);
	atomic_store(&plan->nr_failed, 0);
	if (!fault)
		return;
	atomic_store(&plan->row, fault->row);
	atomic_store(&plan->error, fault->error);
	atomic_store(&plan->count, 0);
	atomic_store(&plan->nth, nth);
}

static bool has_failed(const struct drive *drive)
{
	return atomic_load(&drive->plan->nr_failed);
}

static int start_server(const struct drive *drive, struct server *server)
{
	struct server_options options = { 0 };

	for (unsigned int i = 0; drive->options[i]; i++)
		options.options[i] = drive->options[i];
	return server_start(server, &options);
}

static void show_log(const struct server *server)
{
	FILE *file = fopen(server->log, "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "ringhost:", 9) || strstr(line, "ERROR"))
			fprintf(stderr, "# %s", line);
	if (file)
		fclose(file);
}

/* However it is, it ends here. */
static void dispose_of(struct server *server, bool right)
{
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		server_wait(server, SERVER_STOP_MSEC);
	}
	if (!right)
		show_log(server);
	server_clean_up(server);
}

/* 1, and one sentence at least that names an error. */
static bool ended_well(struct drive *drive, struct server *server)
{
	int status = server_wait(server, SERVER_STOP_MSEC);

	if (!has_failed(drive) || atomic_load(&drive->plan->error) == EINTR)
		return is_wrong(drive, "it ended without a reason");
	if (status == -ETIMEDOUT)
		return is_wrong(drive, "it does not end");
	if (status != EXIT_FAILURE)
		return is_wrong(drive, "it ended with status %d", status);
	if (!server_log_count(server, "error: "))
		return is_wrong(drive, "it did not say why it ended");
	return true;
}

/* What was open for a session is closed a moment after it, at most. */
static bool holds_no_more(struct drive *drive, const struct server *server)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);
	int most = drive->nr_fds;
	int nr_fds;

	if (drive->phase != DRIVE_SERVE &&
	    server_log_count(server, "does not allow io_uring"))
		most = drive->nr_fds_threads;
	while ((nr_fds = server_nr_fds(server)) > most) {
		if (fe_now_usec() > deadline)
			return is_wrong(drive,
					"it holds %d fds, an unharmed one %d",
					nr_fds, most);
		usleep(1000);
	}
	return true;
}

static bool stops(struct drive *drive, struct server *server)
{
	int status;

	kill(server->pid, SIGTERM);
	status = server_wait(server, SERVER_STOP_MSEC);
	return status == EXIT_SUCCESS ||
	       is_wrong(drive, "at SIGTERM it ends with status %d", status);
}

/* To anything at all. */
static bool answers(const struct server *server)
{
	struct fe_session session;
	int error = fe_session_connect(&session, server->socket);

	if (!error)
		error = fe_session_sync(&session);
	fe_session_deinit(&session);
	return !error;
}

/*
 * Within a second; a machine with other work gets more than one chance. A
 * server that has become slow is slow each time.
 */
static int serve_next(const struct server *server)
{
	int error = -ETIME;

	for (int i = 0; error == -ETIME && i < MAX_SLOW; i++)
		error = session_try(server);
	return error;
}

/* One that does not start has its socket for a moment. */
static bool has_started(struct server *server)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (!answers(server)) {
		if (!server_runs(server) || fe_now_usec() > deadline)
			return false;
		usleep(1000);
	}
	return true;
}

static bool start_goes_well(struct drive *drive, struct server *server)
{
	int result = start_server(drive, server);

	if (result == -ECHILD)
		return ended_well(drive, server);
	if (result)
		return is_wrong(drive, "it does not start: %s",
				strerror(-result));
	if (!has_started(server))
		return ended_well(drive, server);
	disarm(drive);
	result = serve_next(server);
	if (result)
		return is_wrong(drive, "the first front-end: %s",
				strerror(-result));
	return holds_no_more(drive, server) && stops(drive, server);
}

static bool try_start(struct drive *drive, const struct drive_fault *fault,
		      unsigned int nth)
{
	struct server server;
	bool right;

	arm(drive->plan, fault, nth);
	right = start_goes_well(drive, &server);
	dispose_of(&server, right);
	return right;
}

static int use_server(const struct server *server, const char **step)
{
	static struct session session;
	int error = session_open(&session, server);

	if (!error)
		error = session_use(&session);
	session_leave(&session);
	*step = session.step;
	return error;
}

static bool serve_goes_well(struct drive *drive,
			    const struct drive_fault *fault)
{
	struct server *server = &drive->server;
	const char *step;
	int error = use_server(server, &step);
	bool tidy = holds_no_more(drive, server); /* it is over there, too */

	disarm(drive);
	if (!server_runs(server))
		return is_wrong(drive, "%s: it ended with status %d", step,
				server_wait(server, 0));
	if (error == -ETIMEDOUT)
		return is_wrong(drive, "%s hangs", step);
	if (error && (!has_failed(drive) || fault->error == EINTR))
		return is_wrong(drive, "%s: %s", step, strerror(-error));
	error = error ? serve_next(server) : 0;
	if (error)
		return is_wrong(drive, "the next front-end: %s",
				strerror(-error));
	return tidy;
}

static bool begin_to_serve(struct drive *drive)
{
	int error = start_server(drive, &drive->server);

	return !error ||
	       is_wrong(drive, "it does not start: %s", strerror(-error));
}

static bool try_serve(struct drive *drive, const struct drive_fault *fault,
		      unsigned int nth)
{
	bool right = true;

	arm(drive->plan, NULL, 0);
	if (!server_runs(&drive->server))
		right = begin_to_serve(drive);
	arm(drive->plan, fault, nth);
	if (right)
		right = serve_goes_well(drive, fault);
	if (!right)
		dispose_of(&drive->server, false);
	return right;
}

/* While rings run, whose front-end does nothing. */
static bool stop_goes_well(struct drive *drive, const struct drive_fault *fault,
			   unsigned int nth, struct server *server)
{
	static struct session session;
	int error;

	arm(drive->plan, NULL, 0);
	error = start_server(drive, server);
	if (error)
		return is_wrong(drive, "it does not start: %s",
				strerror(-error));
	error = session_open(&session, server);
	if (!error) {
		arm(drive->plan, fault, nth);
		kill(server->pid, SIGTERM);
		error = server_wait(server, SERVER_STOP_MSEC);
		disarm(drive);
	}
	session_leave(&session);
	if (error == EXIT_FAILURE && has_failed(drive) &&
	    server_log_count(server, "error: "))
		return true;
	return !error || is_wrong(drive, "it ends with status %d", error);
}

static bool try_stop(struct drive *drive, const struct drive_fault *fault,
		     unsigned int nth)
{
	struct server server;
	bool right = stop_goes_well(drive, fault, nth, &server);

	dispose_of(&server, right);
	return right;
}

static bool try_one(struct drive *drive, const struct drive_fault *fault,
		    unsigned int nth)
{
	switch (drive->phase) {
	case DRIVE_START:
		return try_start(drive, fault, nth);
	case DRIVE_SERVE:
		return try_serve(drive, fault, nth);
	default:
		return try_stop(drive, fault, nth);
	}
}

/* A call that is seen in one life need not be made in the next one. */
static bool try_first(struct drive *drive, const struct drive_fault *fault,
		      unsigned int nth)
{
	bool right = true;

	for (int i = 0; right && i < MAX_TRIES; i++) {
		right = try_one(drive, fault, nth);
		if (has_failed(drive))
			break;
	}
	return right;
}

/* What a server holds that nothing has happened to; -errno. */
static int count_fds(const struct drive *drive, const char *option)
{
	struct drive with = *drive;
	struct server server;
	int ret;

	if (option)
		with.options[0] = option;
	ret = start_server(&with, &server);
	if (!ret)
		ret = serve_next(&server);
	if (!ret) {
		usleep(TIDY_UP_USEC);
		ret = server_nr_fds(&server);
	}
	dispose_of(&server, ret > 0);
	return ret;
}

static bool measure(struct drive *drive)
{
	const char *step;

	arm(drive->plan, NULL, 0);
	if (drive->phase == DRIVE_STOP)
		return true;
	if (drive->phase == DRIVE_START) {
		drive->nr_fds = count_fds(drive, NULL);
		drive->nr_fds_threads = count_fds(drive, "--aio=threads");
		return drive->nr_fds > 0 && drive->nr_fds_threads > 0;
	}
	if (!begin_to_serve(drive))
		return false;
	if (use_server(&drive->server, &step) || serve_next(&drive->server))
		return is_wrong(drive, "it does not serve");
	usleep(TIDY_UP_USEC);
	drive->nr_fds = server_nr_fds(&drive->server);
	return true;
}

static void end_server(struct drive *drive)
{
	if (drive->server.pid > 0)
		dispose_of(&drive->server, true);
}

bool drive_run_unharmed(struct drive *drive)
{
	const struct drive_fault none = { 0 };
	bool right = measure(drive) && try_one(drive, &none, 0);

	if (!right)
		fprintf(stderr, "# without a fault: %s\n", drive->text);
	return right;
}

bool drive_is_thorough(void)
{
	const char *soak = getenv("RINGHOST_SOAK");

	return soak && *soak && *soak != '0';
}

/* The first ones one by one, where most differ; then some, or all. */
static unsigned int next_after(const struct drive_fault *fault, unsigned int i)
{
	if (fault->each || drive_is_thorough())
		return i + 1;
	return i < 2 ? i + 1 : i + 1 + i / 2;
}

static int count_maps(const struct drive *drive)
{
	if (drive->phase != DRIVE_SERVE || drive->server.pid <= 0)
		return 0;
	return server_nr_maps(&drive->server);
}

static bool keeps_no_maps(const struct drive *drive, int nr_before)
{
	int nr_maps = count_maps(drive);

	if (nr_maps <= nr_before + MORE_MAPS)
		return true;
	fprintf(stderr, "# %d mappings, %d before\n", nr_maps, nr_before);
	return false;
}

/* How many in a row: no two sessions make the same number of calls. */
static unsigned int may_miss(const struct drive *drive,
			     const struct drive_fault *fault)
{
	if (drive->phase != DRIVE_SERVE)
		return 1;
	return fault->each ? 20 : 3;
}

/* A sanitizer tells of leaks at the end of a server. */
static bool leaves_nothing(struct drive *drive, int nr_maps)
{
	bool right = true;

	if (drive->server.pid <= 0)
		return true;
	if (nr_maps)
		right = keeps_no_maps(drive, nr_maps);
	if (!stops(drive, &drive->server)) {
		fprintf(stderr, "# %s\n", drive->text);
		right = false;
	}
	dispose_of(&drive->server, right);
	return right;
}

bool drive_sweep(struct drive *drive, const struct drive_fault *fault,
		 unsigned int nr_spared)
{
	unsigned int nr_wrong = 0;
	unsigned int nr_hits = 0;
	unsigned int nr_missed = 0;
	unsigned int most_missed = may_miss(drive, fault);
	int nr_maps;

	drive->plan->see_row = fault->row;
	end_server(drive);
	if (drive->phase == DRIVE_SERVE && !measure(drive))
		return false;
	nr_maps = fault->keeps_maps ? 0 : count_maps(drive);
	for (unsigned int i = 0; i < MAX_COUNT; i = next_after(fault, i)) {
		unsigned int nth = nr_spared + i + 1;
		bool right = i ? try_one(drive, fault, nth) :
				 try_first(drive, fault, nth);

		if (!right) {
			fprintf(stderr, "# call %u fails with %s: %s\n", nth,
				strerror(fault->error), drive->text);
			nr_wrong++;
		}
		if (has_failed(drive)) {
			nr_hits++;
			nr_missed = 0;
		} else if (++nr_missed == most_missed)
			break;
	}
	fprintf(stderr, "# failed with %s: %u\n", strerror(fault->error),
		nr_hits);
	return leaves_nothing(drive, nr_maps) && !nr_wrong && nr_hits;
}

int drive_init(struct drive *drive, const char *program, const char *phase)
{
	char number[16];
	int fd = memfd_create("plan", 0);

	*drive = (struct drive){ .server.pid = -1 };
	while (phase && strcmp(phase, phase_names[drive->phase]))
		if (++drive->phase == DRIVE_NR_PHASES)
			return -EINVAL;
	if (!phase || !program)
		return -EINVAL;
	if (fd < 0 || ftruncate(fd, sizeof(*drive->plan)) < 0)
		return -errno;
	drive->plan = mmap(NULL, sizeof(*drive->plan), PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	if (drive->plan == MAP_FAILED)
		return -errno;
	snprintf(number, sizeof(number), "%d", fd);
	setenv(PLAN_VARIABLE, number, 1);
	setenv("SERVER", program, 1);
	return 0;
}

void drive_deinit(struct drive *drive)
{
	end_server(drive);
	close(atoi(getenv(PLAN_VARIABLE)));
	munmap(drive->plan, sizeof(*drive->plan));
}

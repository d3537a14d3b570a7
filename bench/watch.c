/* SPDX-License-Identifier: MIT */
/*
 * watch - what the main thread does while others load the back-end
 */
#include "bench/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/load.h"
#include "common/nsec.h"
#include "bench/progress.h"
#include "bench/syscalls.h"
#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"

#define TAG "ringhost"
/* How long system calls are counted, behind the measurement */
#define COUNT_NSEC (300 * NSEC_PER_MSEC)
#define LOOK_NSEC  (100 * NSEC_PER_MSEC)

enum {
	POLL_SOCKET,
	POLL_SIGNAL,
	POLL_NEWS,
	POLL_ERRORS, /* one for each queue from here on */
};

/* When a lane answered last, as far as was looked */
struct silence {
	uint64_t nr_answered;
	uint64_t since_nsec;
};

struct watch {
	struct load *load;
	struct load_result *result;
	enum crew_phase phase;
	bool measures;		 /* all do */
	uint64_t phase_end_nsec; /* UINT64_MAX: nothing but its work ends it */
	uint64_t next_look_nsec;
	int signal_fd;
	nfds_t nr_pollfds;
	struct pollfd *pollfds;
	struct silence *silences;
	struct progress progress;
	struct meter_reading *begin, *end;
	struct syscalls *syscalls;
	uint64_t nr_counted_from; /* requests answered before that */
};

static sigset_t end_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

int watch_block_signals(void)
{
	sigset_t set = end_signals();

	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void set_phase(struct watch *watch, enum crew_phase phase)
{
	watch->phase = MAX(watch->phase, phase);
	crew_set_phase(&watch->load->crew, phase);
}

static void fail(struct watch *watch)
{
	watch->result->failed = true;
	set_phase(watch, CREW_FLEES);
	watch->phase_end_nsec = UINT64_MAX;
}

static void begin_to_measure(struct watch *watch)
{
	const struct load *load = watch->load;

	if (load->options->pid)
		meter_read(&load->meter, watch->begin);
	set_phase(watch, CREW_MEASURES);
	watch->phase_end_nsec = UINT64_MAX; /* until all have begun */
}

static uint64_t count_answers(const struct watch *watch)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < watch->load->options->nr_queues; i++)
		nr += atomic_load(&watch->load->lanes[i].nr_answered);
	return nr;
}

/* Behind the measurement, since the counting is not for nothing. */
static void begin_to_count(struct watch *watch)
{
	const struct bench_options *options = watch->load->options;

	syscalls_init(watch->syscalls, options->pid);
	watch->nr_counted_from = count_answers(watch);
	watch->phase_end_nsec =
		nsec_now() +
		MIN(COUNT_NSEC, options->runtime_msec * NSEC_PER_MSEC);
}

static void end_to_count(struct watch *watch)
{
	int64_t nr_calls = syscalls_read(watch->syscalls);
	uint64_t nr = count_answers(watch) - watch->nr_counted_from;

	if (nr_calls >= 0 && nr)
		watch->result->syscalls_per_request =
			(double)nr_calls / (double)nr;
	syscalls_deinit(watch->syscalls);
}

/* phase: what comes behind the measurement, which is ended if it runs. */
static void end_to_measure(struct watch *watch, enum crew_phase phase)
{
	const struct load *load = watch->load;
	bool measures = watch->phase == CREW_MEASURES;

	if (watch->phase == CREW_GOES_ON)
		end_to_count(watch);
	set_phase(watch, phase);
	watch->phase_end_nsec = UINT64_MAX;
	if (!measures || !load->options->pid)
		return;
	meter_read(&load->meter, watch->end);
	meter_subtract(watch->begin, watch->end, &watch->result->server);
	if (phase == CREW_GOES_ON)
		begin_to_count(watch);
}

static void step(struct watch *watch, uint64_t now)
{
	const struct load *load = watch->load;

	if (watch->phase == CREW_MEASURES && !watch->measures &&
	    crew_measures(&load->crew)) {
		watch->measures = true;
		watch->phase_end_nsec =
			now + load->options->runtime_msec * NSEC_PER_MSEC;
	}
	if (now < watch->phase_end_nsec)
		return;
	if (watch->phase == CREW_RAMPS)
		begin_to_measure(watch);
	else if (watch->phase == CREW_MEASURES && load->options->pid)
		end_to_measure(watch, CREW_GOES_ON);
	else
		end_to_measure(watch, CREW_CHECKS);
}

static bool is_silent(struct watch *watch, uint32_t i, uint64_t now)
{
	struct lane *lane = &watch->load->lanes[i];
	struct silence *silence = &watch->silences[i];
	uint64_t nr = atomic_load(&lane->nr_answered);

	if (nr != silence->nr_answered || !atomic_load(&lane->nr_under_way)) {
		silence->nr_answered = nr;
		silence->since_nsec = now;
	}
	return now - silence->since_nsec >
	       watch->load->options->timeout_msec * NSEC_PER_MSEC;
}

static void look_at_lanes(struct watch *watch, uint64_t now)
{
	const struct bench_options *options = watch->load->options;

	for (uint32_t i = 0; i < options->nr_queues; i++) {
		struct lane *lane = &watch->load->lanes[i];

		if (watch->result->failed)
			continue;
		if (atomic_load(&lane->error)) {
			rh_log(RH_LOG_ERROR, TAG,
			       "the back-end broke queue %u: a used entry is "
			       "for no request that was under way, or longer "
			       "than it",
			       i);
			fail(watch);
		} else if (is_silent(watch, i, now)) {
			rh_log(RH_LOG_ERROR, TAG,
			       "the back-end has answered none of %u requests "
			       "on queue %u for %llu ms",
			       atomic_load(&lane->nr_under_way), i,
			       (unsigned long long)options->timeout_msec);
			fail(watch);
		}
	}
	progress_show(&watch->progress, watch->phase, now,
		      count_answers(watch));
}

static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (watch->result->interrupted)
		set_phase(watch, CREW_FLEES);
	watch->result->interrupted = true;
	end_to_measure(watch, CREW_ENDS);
}

static void look_at_socket(struct watch *watch)
{
	int sock = watch->load->backend.session.sock;

	if (fe_wait_closed(sock, 0) == -EPROTO) {
		watch->pollfds[POLL_SOCKET].fd = -1; /* it only talks */
		return;
	}
	if (watch->result->failed)
		return;
	rh_log(RH_LOG_ERROR, TAG,
	       "the back-end closed the connection: it may have died");
	fail(watch);
}

static void look_at_errors(struct watch *watch)
{
	for (nfds_t i = POLL_ERRORS; i < watch->nr_pollfds; i++) {
		if (!watch->pollfds[i].revents || watch->result->failed)
			continue;
		rh_log(RH_LOG_ERROR, TAG,
		       "the back-end says that queue %u is broken: it "
		       "signalled the error fd",
		       (unsigned int)(i - POLL_ERRORS));
		fail(watch);
	}
}

static void wait_for_events(struct watch *watch, uint64_t now)
{
	uint64_t due = MIN(watch->phase_end_nsec, watch->next_look_nsec);
	uint64_t rest = due > now ? due - now : 0;
	struct timespec time = {
		.tv_sec = (time_t)(rest / NSEC_PER_SEC),
		.tv_nsec = (long)(rest % NSEC_PER_SEC),
	};

	if (ppoll(watch->pollfds, watch->nr_pollfds, &time, NULL) <= 0)
		return;
	if (watch->pollfds[POLL_SIGNAL].revents)
		take_signal(watch);
	if (watch->pollfds[POLL_NEWS].revents)
		rh_eventfd_drain(watch->load->crew.news_fd);
	look_at_errors(watch);
	if (watch->pollfds[POLL_SOCKET].revents)
		look_at_socket(watch);
	if (watch->result->failed) /* nothing more is to be learnt here */
		for (nfds_t i = POLL_ERRORS; i < watch->nr_pollfds; i++)
			watch->pollfds[i].fd = -1;
}

static int prepare(struct watch *watch)
{
	const struct load *load = watch->load;
	uint32_t nr_queues = load->options->nr_queues;
	sigset_t set = end_signals();

	watch->begin = calloc(1, sizeof(*watch->begin));
	watch->end = calloc(1, sizeof(*watch->end));
	watch->syscalls = calloc(1, sizeof(*watch->syscalls));
	watch->silences = calloc(nr_queues, sizeof(*watch->silences));
	watch->nr_pollfds = POLL_ERRORS + nr_queues;
	watch->pollfds = calloc(watch->nr_pollfds, sizeof(*watch->pollfds));
	watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!watch->begin || !watch->end || !watch->syscalls ||
	    !watch->silences || !watch->pollfds || watch->signal_fd < 0)
		return -ENOMEM;
	watch->pollfds[POLL_SOCKET].fd = load->backend.session.sock;
	watch->pollfds[POLL_SIGNAL].fd = watch->signal_fd;
	watch->pollfds[POLL_NEWS].fd = load->crew.news_fd;
	for (uint32_t i = 0; i < nr_queues; i++) {
		watch->pollfds[POLL_ERRORS + i].fd =
			load->lanes[i].vq.vring.err_fd;
		watch->silences[i].since_nsec = nsec_now();
	}
	for (nfds_t i = 0; i < watch->nr_pollfds; i++)
		watch->pollfds[i].events = POLLIN;
	return 0;
}

static void tidy_up(struct watch *watch)
{
	free(watch->begin);
	free(watch->end);
	if (watch->syscalls)
		syscalls_deinit(watch->syscalls);
	free(watch->syscalls);
	free(watch->silences);
	free(watch->pollfds);
	rh_fd_close(&watch->signal_fd);
}

void watch_run(struct load *load, struct load_result *result)
{
	struct watch watch = {
		.load = load,
		.result = result,
		.phase_end_nsec =
			nsec_now() + load->options->ramp_msec * NSEC_PER_MSEC,
	};
	uint64_t now;

	progress_init(&watch.progress, load->options);
	if (prepare(&watch) < 0) {
		rh_log(RH_LOG_ERROR, TAG, "cannot watch the load: %s",
		       strerror(errno));
		fail(&watch);
	}
	while (!crew_has_ended(&load->crew)) {
		now = nsec_now();
		step(&watch, now);
		if (now >= watch.next_look_nsec) {
			look_at_lanes(&watch, now);
			watch.next_look_nsec = now + LOOK_NSEC;
		}
		wait_for_events(&watch, now);
	}
	progress_end(&watch.progress);
	tidy_up(&watch);
}

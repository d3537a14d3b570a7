/* SPDX-License-Identifier: MIT */
/*
 * daemon - many disks in one process, changed while it runs
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <ringhost/device.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/nsec.h"
#include "server/daemon_internal.h"
#include "server/record.h"
#include "server/reload.h"

#define TAG "ringhost"

struct node *daemon_find_node(struct daemon *daemon, const char *name)
{
	list_for_each(link, &daemon->nodes) {
		struct node *node = container_of(link, struct node, link);

		if (!strcmp(node->name, name))
			return node;
	}
	return NULL;
}

void daemon_tell(struct daemon *daemon, const char *event, json_t *data)
{
	struct timeval now;
	json_t *message;

	gettimeofday(&now, NULL);
	message =
		json_pack("{s:s,s:o*,s:{s:I,s:I}}", "event", event, "data",
			  data, "timestamp", "seconds", (json_int_t)now.tv_sec,
			  "microseconds", (json_int_t)now.tv_usec);
	list_for_each(link, &daemon->monitors)
		qmp_monitor_tell(monitor_of(link)->monitor, message);
	json_decref(message);
}

void daemon_quit(struct daemon *daemon, const char *reason)
{
	if (daemon->quitting)
		return;
	daemon->quitting = true;
	notify_stopping(&daemon->notify);
	daemon_tell(daemon, "SHUTDOWN",
		    json_pack("{s:b,s:s}", "guest", false, "reason", reason));
	exports_stop(&daemon->exports);
}

/* Without files to be read again it is no reason to end either. */
static void hang_up(struct daemon *daemon)
{
	if (daemon->reload) {
		reload_again(daemon->reload, false, NULL);
		return;
	}
	rh_log(RH_LOG_INFO, TAG,
	       "SIGHUP: there are no configuration files, so only the sizes "
	       "of images are looked at");
	size_watch_look(&daemon->size_watch);
}

static void size_changed(struct size_watch *watch, struct node *node,
			 uint64_t old_bytes)
{
	daemon_node_resized(container_of(watch, struct daemon, size_watch),
			    node, old_bytes);
}

static void take_signals(struct loop_watch *watch, uint32_t events)
{
	struct daemon *daemon = container_of(watch, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1) {
			size_watch_look(&daemon->size_watch);
			continue;
		}
		if (info.ssi_signo == SIGHUP) {
			hang_up(daemon);
			continue;
		}
		rh_log(RH_LOG_INFO, TAG,
		       "signal %u: finishing what is under way",
		       info.ssi_signo);
		daemon_quit(daemon, "host-signal");
	}
}

static void run_notify(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	notify_run(&container_of(watch, struct daemon, notify_timer)->notify);
}

void daemon_tell_manager(struct daemon *daemon)
{
	int fd;

	notify_open(&daemon->notify);
	fd = notify_fd(&daemon->notify);
	if (fd >= 0 &&
	    loop_add(&daemon->loop, &daemon->notify_timer, fd, EPOLLIN) < 0)
		rh_log(RH_LOG_WARNING, TAG,
		       "the service manager's watchdog gets no ticks");
}

static void tell_exports(struct daemon *daemon)
{
	unsigned int nr = 0;
	unsigned int nr_connected = 0;

	if (daemon->notify.fd < 0)
		return;
	list_for_each(link, &daemon->exports.list) {
		nr++;
		nr_connected += export_peer(published_of(link)->export) != -1;
	}
	notify_exports(&daemon->notify, nr, nr_connected);
}

void daemon_ready(struct daemon *daemon)
{
	tell_exports(daemon);
	notify_ready(&daemon->notify);
}

static int watch_signals(struct daemon *daemon)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* an image that may not grow is an error */
	daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_fd < 0)
		return -errno;
	daemon->signals.ready = take_signals;
	return loop_add(&daemon->loop, &daemon->signals, daemon->signal_fd,
			EPOLLIN);
}

int daemon_await(struct daemon *daemon, const bool *ended, int timeout_msec)
{
	const uint64_t begin = nsec_now();
	struct pollfd fds[] = {
		{ .fd = jobs_fd(&daemon->jobs), .events = POLLIN },
		{ .fd = daemon->signal_fd, .events = POLLIN },
	};

	while (!*ended) {
		int64_t passed_msec =
			(int64_t)((nsec_now() - begin) / NSEC_PER_MSEC);

		if (daemon->quitting)
			return -EINTR;
		if (!daemon->jobs.nr_running ||
		    (timeout_msec >= 0 && passed_msec >= timeout_msec))
			return -ETIME;
		poll(fds, ARRAY_SIZE(fds),
		     timeout_msec < 0 ? -1 : timeout_msec - (int)passed_msec);
		jobs_finish(&daemon->jobs);
		take_signals(&daemon->signals, EPOLLIN);
	}
	return 0;
}

static int watch_sizes(struct daemon *daemon, unsigned int interval_seconds)
{
	daemon->size_watch.loop = &daemon->loop;
	daemon->size_watch.jobs = &daemon->jobs;
	daemon->size_watch.nodes = &daemon->nodes;
	daemon->size_watch.changed = size_changed;
	return size_watch_init(&daemon->size_watch, interval_seconds);
}

int daemon_init(struct daemon *daemon, const struct start *start)
{
	int error;

	*daemon = (struct daemon){
		.jobs = { .watch.fd = -1, .fd = -1 },
		.size_watch = { .timer.fd = -1, .timer_fd = -1 },
		.signals.fd = -1,
		.signal_fd = -1,
		.notify = { .fd = -1, .timer_fd = -1 },
		.notify_timer = { .fd = -1, .ready = run_notify },
	};
	throttle_groups_init(&daemon->throttle_groups);
	secrets_init(&daemon->secrets);
	list_init(&daemon->nodes);
	list_init(&daemon->monitors);
	list_init(&daemon->metrics);
	journal_init(&daemon->journal);
	giver_init(&daemon->giver, daemon);
	iothreads_init(&daemon->iothreads, start->engine, start->engine_given);
	rh_fd_allow_many(); /* see server_create() */
	error = loop_init(&daemon->loop);
	if (!error)
		error = jobs_init(&daemon->jobs, &daemon->loop);
	exports_init(&daemon->exports, &daemon->loop, &daemon_exports_ops);
	if (!error)
		error = watch_sizes(daemon, start->watch_seconds);
	if (!error)
		error = watch_signals(daemon);
	if (!error)
		error = rh_device_guard_memory();
	if (error)
		rh_log(RH_LOG_ERROR, TAG, "cannot begin: %s", strerror(-error));
	return error;
}

/*
 * Those on others first: they are behind them in the list. What a job has in
 * its hands stays as it is, since its storage may never answer.
 */
static void close_nodes(struct daemon *daemon)
{
	while (!list_empty(&daemon->nodes)) {
		struct node *node =
			container_of(daemon->nodes.previous, struct node, link);

		list_remove(&node->link);
		if (!node->nr_jobs &&
		    !size_watch_busy(&daemon->size_watch, node))
			node_close(node);
	}
}

void daemon_deinit(struct daemon *daemon)
{
	record_close(daemon->record);
	reload_destroy(daemon->reload);
	giver_deinit(&daemon->giver);
	daemon_remove_metrics(daemon);
	exports_deinit(&daemon->exports);
	close_nodes(daemon);
	throttle_groups_deinit(&daemon->throttle_groups);
	secrets_deinit(&daemon->secrets);
	iothreads_deinit(&daemon->iothreads);
	while (!list_empty(&daemon->monitors))
		daemon_remove_monitor(monitor_of(daemon->monitors.next));
	journal_deinit(&daemon->journal);
	size_watch_deinit(&daemon->size_watch);
	if (!daemon->jobs.nr_running)
		jobs_deinit(&daemon->jobs);
	loop_remove(&daemon->loop, &daemon->signals);
	rh_fd_close(&daemon->signal_fd);
	loop_remove(&daemon->loop, &daemon->notify_timer);
	notify_close(&daemon->notify);
	loop_deinit(&daemon->loop);
}

int daemon_run(struct daemon *daemon)
{
	int error = 0;

	while (!error &&
	       !(daemon->quitting && list_empty(&daemon->exports.list))) {
		tell_exports(daemon);
		error = loop_run_once(&daemon->loop);
	}
	return error;
}

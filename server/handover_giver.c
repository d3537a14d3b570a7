/* SPDX-License-Identifier: MIT */
/*
 * handover_giver - the daemon whose place is taken
 *
 * Disks run until the taker is ready for them. From then on everything is
 * frozen, so that waiting for the taker holds up nothing that could go on; the
 * waiting is bounded all the same.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/daemon_internal.h"
#include "server/handover.h"
#include "server/record.h"
#include "server/reload.h"

#define TAG		"ringhost"

#define PREPARE_SEC	60 /* for the taker, between answer and first byte */
#define FREEZE_SEC	10 /* for requests under way */
#define UNDERSTAND_MSEC 10000

void giver_init(struct giver *giver, struct daemon *daemon)
{
	*giver = (struct giver){
		.daemon = daemon,
		.socket.fd = -1,
		.timer.fd = -1,
	};
}

static void drop(struct giver *giver, struct loop_watch *watch)
{
	int fd = watch->fd;

	loop_remove(&giver->daemon->loop, watch);
	rh_fd_close(&fd);
}

void giver_deinit(struct giver *giver)
{
	drop(giver, &giver->socket);
	drop(giver, &giver->timer);
	giver->state = GIVER_IDLE;
	giver->daemon->exports.moved_on = NULL;
}

/* The session has the socket, too, so that closing it would say nothing. */
static void go_on_alone(struct giver *giver, const char *why)
{
	rh_log(RH_LOG_WARNING, TAG, "the hand-over has failed: %s", why);
	shutdown(giver->socket.fd, SHUT_RDWR);
	if (giver->state == GIVER_FREEZES)
		exports_thaw(&giver->daemon->exports);
	giver_deinit(giver);
}

static void set_timer(struct giver *giver, int seconds)
{
	const struct itimerspec when = { .it_value.tv_sec = seconds };

	timerfd_settime(giver->timer.fd, 0, &when, NULL);
}

/* Returns 0 when the taker has all, or -errno. */
static int tell_taker(struct giver *giver)
{
	int fd = giver->socket.fd;
	char byte;
	int error = secrets_hand_over(&giver->daemon->secrets, fd);

	if (!error)
		error = nodes_hand_over(&giver->daemon->nodes, fd);
	if (!error)
		error = exports_hand_over(&giver->daemon->exports, fd);
	return error ? error :
		       rh_fd_get_all(fd, &byte, sizeof(byte), UNDERSTAND_MSEC);
}

static void give(struct giver *giver)
{
	struct daemon *daemon = giver->daemon;
	const char yours = 'y';
	int error;

	if (giver->generation != daemon->journal.generation) {
		go_on_alone(giver, "there was a change meanwhile, try again");
		return;
	}
	if (daemon->quitting) {
		go_on_alone(giver, "this process is about to end");
		return;
	}
	error = tell_taker(giver);
	if (error) {
		go_on_alone(giver,
			    error == -ECONNRESET ?
				    "the other process has given up, and "
				    "says why" :
				    strerror(-error));
		return;
	}
	exports_let_go(&daemon->exports);
	record_let_go(daemon->record);
	daemon_forget_monitors(daemon);
	error = rh_fd_put_all(giver->socket.fd, &yours, sizeof(yours),
			      UNDERSTAND_MSEC);
	if (error)
		rh_log(RH_LOG_ERROR, TAG,
		       "the other process has ended with all that it was "
		       "given: %s",
		       strerror(-error));
	else
		rh_log(RH_LOG_INFO, TAG,
		       "another process has taken over, and this one ends");
	giver->has_given = true;
	giver_deinit(giver);
	daemon_quit(daemon, "x-handed-over");
}

static void give_if_frozen(struct exports *exports)
{
	struct daemon *daemon = container_of(exports, struct daemon, exports);

	if (daemon->giver.state == GIVER_FREEZES && exports_frozen(exports))
		give(&daemon->giver);
}

static void freeze(struct giver *giver)
{
	struct exports *exports = &giver->daemon->exports;

	giver->state = GIVER_FREEZES;
	set_timer(giver, FREEZE_SEC);
	exports->moved_on = give_if_frozen;
	exports_freeze(exports);
	give_if_frozen(exports);
}

/* The taker is ready, or gone. */
static void socket_ready(struct loop_watch *watch, uint32_t events)
{
	struct giver *giver = container_of(watch, struct giver, socket);
	char byte;
	ssize_t nr = read(watch->fd, &byte, sizeof(byte));

	(void)events;
	if (nr < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (nr <= 0)
		go_on_alone(giver, "the other process is gone");
	else if (giver->state == GIVER_ASKED)
		freeze(giver);
	else
		go_on_alone(giver,
			    "the other process does not wait for its turn");
}

static void timer_expired(struct loop_watch *watch, uint32_t events)
{
	struct giver *giver = container_of(watch, struct giver, timer);

	(void)events;
	go_on_alone(giver, giver->state == GIVER_FREEZES ?
				   "requests do not come to their end" :
				   "the other process says nothing");
}

static int open_timer(struct giver *giver)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int error;

	if (fd < 0)
		return -errno;
	error = loop_add(&giver->daemon->loop, &giver->timer, fd, EPOLLIN);
	if (error)
		rh_fd_close(&fd);
	return error;
}

static int watch_taker(struct giver *giver, struct qmp_call *call)
{
	int fd = qmp_lend_socket(call);
	int error;

	if (fd < 0)
		return fd;
	giver->socket.ready = socket_ready;
	error = loop_add(&giver->daemon->loop, &giver->socket, fd, EPOLLIN);
	if (error)
		rh_fd_close(&fd);
	return error;
}

/* What is begun here would go on here, beside the successor. */
static bool any_command_is_under_way(struct daemon *daemon)
{
	list_for_each(link, &daemon->nodes) {
		if (container_of(link, struct node, link)->nr_jobs)
			return true;
	}
	return daemon->jobs.nr_running || reload_busy(daemon->reload);
}

void giver_begin(struct giver *giver, struct qmp_call *call,
		 uint64_t generation)
{
	int error;

	if (any_command_is_under_way(giver->daemon)) {
		qmp_refuse(call, "A command is under way that takes long: try "
				 "again");
		return;
	}
	giver->timer.ready = timer_expired;
	giver->generation = generation;
	error = open_timer(giver);
	if (!error)
		error = watch_taker(giver, call);
	if (error) {
		giver_deinit(giver);
		qmp_refuse(call, "cannot hand over to this client: %s",
			   strerror(-error));
		return;
	}
	giver->state = GIVER_ASKED;
	set_timer(giver, PREPARE_SEC);
	qmp_return(call, NULL);
}

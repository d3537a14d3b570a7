/* SPDX-License-Identifier: MIT */
/*
 * notify - what a service manager is told of the process
 *
 * One timer is for both, the ticks of the watchdog and a status that has
 * changed too soon after the one that was told.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/log.h"
#include "server/notify.h"

#define TAG		"ringhost"
#define USEC_OF_SEC	UINT64_C(1000000)
#define STATUS_GAP_USEC UINT64_C(200000)
#define MESSAGE_BYTES	(NOTIFY_STATUS_BYTES + 64)
#define NEVER		UINT64_MAX

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * USEC_OF_SEC +
	       (uint64_t)now.tv_nsec / 1000;
}

/* Of the environment, which loses it. Returns 0 if it is no such number. */
static uint64_t take_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	uint64_t number = 0;

	if (text && *text >= '0' && *text <= '9') {
		errno = 0;
		number = strtoull(text, &end, 10);
		if (errno || *end)
			number = 0;
	}
	unsetenv(name);
	return number;
}

/* A path, or the name of an abstract socket behind an @. */
static socklen_t set_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length < 2 || length >= sizeof(address->sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return 0;
	memcpy(address->sun_path, path, length);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Returns a socket, or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un address;
	socklen_t bytes = set_address(&address, path);
	cleanup_close int fd = -1;

	if (!bytes)
		return -EINVAL;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, bytes) < 0)
		return -errno;
	return steal_fd(&fd);
}

static void warn(const char *what, const char *why)
{
	rh_log(RH_LOG_WARNING, TAG, "cannot %s: %s", what, why);
}

/* Returns whether it was said. */
static bool say(struct notify *notify, const char *message)
{
	ssize_t bytes;

	if (notify->fd < 0)
		return false;
	do {
		bytes = write(notify->fd, message, strlen(message));
	} while (bytes < 0 && errno == EINTR);
	return bytes >= 0;
}

/* What must not be lost in silence: the service manager acts upon it. */
static void insist(struct notify *notify, const char *message)
{
	if (notify->fd >= 0 && !say(notify, message))
		warn("tell the service manager of our state", strerror(errno));
}

/* For the earlier of what is to come. */
static void set_timer(struct notify *notify)
{
	struct itimerspec at = { 0 };
	uint64_t next = notify->watchdog_usec ? notify->next_tick_usec : NEVER;

	if (notify->state == NOTIFY_READY &&
	    strcmp(notify->status, notify->told_status) != 0)
		next = MIN(next, notify->next_status_usec);
	if (next != NEVER) {
		at.it_value.tv_sec = (time_t)(next / USEC_OF_SEC);
		at.it_value.tv_nsec = (long)(next % USEC_OF_SEC) * 1000;
	}
	if (notify->timer_fd >= 0)
		timerfd_settime(notify->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void tell_status(struct notify *notify)
{
	uint64_t now = now_usec();
	char message[MESSAGE_BYTES];

	if (notify->state != NOTIFY_READY || now < notify->next_status_usec ||
	    !strcmp(notify->status, notify->told_status))
		return;
	snprintf(message, sizeof(message), "STATUS=%s", notify->status);
	if (say(notify, message))
		memcpy(notify->told_status, notify->status,
		       sizeof(notify->told_status));
	notify->next_status_usec = now + STATUS_GAP_USEC;
}

static void tick(struct notify *notify)
{
	uint64_t now = now_usec();

	if (!notify->watchdog_usec || now < notify->next_tick_usec)
		return;
	say(notify, "WATCHDOG=1");
	notify->next_tick_usec = now + notify->watchdog_usec;
}

/* Half of what the service manager waits for, as it recommends. */
static void learn_watchdog(struct notify *notify)
{
	uint64_t usec = take_number("WATCHDOG_USEC");
	bool for_us = !getenv("WATCHDOG_PID");

	if (take_number("WATCHDOG_PID") == (uint64_t)getpid())
		for_us = true;
	if (!for_us || notify->fd < 0)
		return;
	notify->watchdog_usec = usec / 2;
	notify->next_tick_usec = now_usec();
}

void notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){ .fd = -1, .timer_fd = -1 };
	if (path && *path) {
		notify->fd = connect_to(path);
		if (notify->fd < 0)
			rh_log(RH_LOG_WARNING, TAG,
			       "cannot tell %s that we serve: %s", path,
			       strerror(-notify->fd));
	}
	unsetenv("NOTIFY_SOCKET");
	learn_watchdog(notify);
	if (notify->fd < 0)
		return;
	notify->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (notify->timer_fd < 0)
		warn("have a timer for the service manager", strerror(errno));
	set_timer(notify);
}

void notify_close(struct notify *notify)
{
	rh_fd_close(&notify->fd);
	rh_fd_close(&notify->timer_fd);
}

int notify_fd(const struct notify *notify)
{
	return notify->timer_fd;
}

void notify_run(struct notify *notify)
{
	uint64_t nr_expired;

	if (read(notify->timer_fd, &nr_expired, sizeof(nr_expired)) < 0)
		return;
	tick(notify);
	tell_status(notify);
	set_timer(notify);
}

void notify_ready(struct notify *notify)
{
	char message[MESSAGE_BYTES];

	if (notify->state == NOTIFY_STOPPING)
		return;
	notify->state = NOTIFY_READY;
	snprintf(message, sizeof(message), "READY=1\nSTATUS=%s",
		 notify->status);
	memcpy(notify->told_status, notify->status,
	       sizeof(notify->told_status));
	insist(notify, message);
}

void notify_reloading(struct notify *notify)
{
	char message[MESSAGE_BYTES];

	if (notify->state != NOTIFY_READY)
		return;
	notify->state = NOTIFY_RELOADING;
	snprintf(message, sizeof(message),
		 "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec());
	insist(notify, message);
}

void notify_reloaded(struct notify *notify)
{
	if (notify->state == NOTIFY_RELOADING)
		notify_ready(notify);
}

void notify_stopping(struct notify *notify)
{
	if (notify->state == NOTIFY_STOPPING)
		return;
	notify->state = NOTIFY_STOPPING;
	insist(notify, "STOPPING=1\nSTATUS=finishing what is under way");
}

void notify_exports(struct notify *notify, unsigned int nr,
		    unsigned int nr_connected)
{
	char status[NOTIFY_STATUS_BYTES];

	if (notify->fd < 0)
		return;
	snprintf(status, sizeof(status), "%u export%s, %u connected", nr,
		 nr == 1 ? "" : "s", nr_connected);
	if (!strcmp(status, notify->status))
		return;
	memcpy(notify->status, status, sizeof(status));
	tell_status(notify);
	set_timer(notify);
}

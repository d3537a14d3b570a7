/* SPDX-License-Identifier: MIT */
/*
 * notify - what a service manager is told of the process
 *
 * The protocol of sd_notify(3): datagrams to the socket that the environment
 * names, for services of Type=notify and WatchdogSec=. The socket is connected
 * before the process is confined. Nobody waits for the service manager; what
 * does not fit into its socket is not said, or said later.
 *
 * Control thread. All functions accept a process that nobody listens to.
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdint.h>

#define NOTIFY_STATUS_BYTES 64

enum notify_state {
	NOTIFY_STARTING,
	NOTIFY_READY,
	NOTIFY_RELOADING,
	NOTIFY_STOPPING,
};

struct notify {
	int fd;	      /* to the service manager; -1: there is none */
	int timer_fd; /* -1: as long as fd */
	enum notify_state state;
	char status[NOTIFY_STATUS_BYTES];      /* as it is */
	char told_status[NOTIFY_STATUS_BYTES]; /* as it was told */
	uint64_t watchdog_usec;		       /* between two ticks; 0: none */
	uint64_t next_tick_usec; /* times of the monotonic clock */
	uint64_t next_status_usec;
};

/*
 * Connect, and take the variables out of the environment, so that no child
 * inherits them. What goes wrong is logged.
 */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/*
 * Readable when there is something to do for notify_run(); -1: never. Who
 * watches it and is held up stops the ticks of the watchdog.
 */
int notify_fd(const struct notify *notify);
void notify_run(struct notify *notify);

/* All that the process is to serve is there, at first or after a reload. */
void notify_ready(struct notify *notify);

/* The configuration is read again, and was, however that went. */
void notify_reloading(struct notify *notify);
void notify_reloaded(struct notify *notify);

/* Once; nothing but ticks is told afterwards. */
void notify_stopping(struct notify *notify);

/*
 * How many exports there are, and how many have a front-end. Told when it
 * changes, a few times a second at most.
 */
void notify_exports(struct notify *notify, unsigned int nr,
		    unsigned int nr_connected);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * monitor - the control socket: who connects is a client of the commands
 *
 * Several clients at a time, each with a session of its own; events go to all
 * of them.
 *
 * Owner: the caller. Control thread.
 */
#ifndef SERVER_QMP_MONITOR_H
#define SERVER_QMP_MONITOR_H

#include <stdbool.h>

#include "server/qmp/session.h"

#define QMP_MAX_CLIENTS 64

struct qmp_commands {
	/* As struct qmp_host's run(). */
	void (*run)(void *opaque, const char *name, struct qmp_call *call);
	void *opaque;
};

struct qmp_monitor;

struct qmp_monitor_options {
	int fd;		/* taken on success */
	bool listening; /* else it is a connected client */
	bool pretty;	/* answers for people */
};

/* Returns 0 with *ret set, or -errno. */
int qmp_monitor_create(struct loop *loop, const struct qmp_commands *commands,
		       const struct qmp_monitor_options *options,
		       struct qmp_monitor **ret);

/* Ends all its sessions. NULL is accepted. */
void qmp_monitor_destroy(struct qmp_monitor *monitor);

/* Clients that are there stay; none comes any more. */
void qmp_monitor_stop_listening(struct qmp_monitor *monitor);

/* To all clients. event: borrowed. */
void qmp_monitor_tell(struct qmp_monitor *monitor, json_t *event);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * session - one client of the control socket
 *
 * Speaks the form of QMP: a greeting, the negotiation of capabilities, then
 * commands with an id that their answers bear, one after the other, and
 * events in between. The client is not trusted with anything but the commands
 * themselves: what it sends is bounded, a client that does not read its
 * answers is read from no more, and loses events.
 *
 * Owner: struct qmp_monitor. Control thread.
 */
#ifndef SERVER_QMP_SESSION_H
#define SERVER_QMP_SESSION_H

#include <jansson.h>

#include "common/list.h"
#include "server/loop.h"
#include "server/qmp/call.h"

struct qmp_session;

/* What a session needs of whoever has the commands. */
struct qmp_host {
	struct loop *loop;
	/*
	 * Carry out the command of this name and answer call once, now or
	 * later.
	 */
	void (*run)(struct qmp_host *host, const char *name,
		    struct qmp_call *call);
	/* The session is over and is freed after this. */
	void (*ended)(struct qmp_host *host, const struct qmp_session *session);
};

/*
 * fd: taken on success, non-blocking; SIGPIPE is ignored. Returns 0 with *ret
 * set, or -errno.
 */
int qmp_session_create(struct qmp_host *host, int fd, bool pretty,
		       struct qmp_session **ret);

/* A command of it that has not been answered yet goes on without it. */
void qmp_session_destroy(struct qmp_session *session);

/* event: borrowed. Nothing before the negotiation. */
void qmp_session_tell(struct qmp_session *session, json_t *event);

/* What the greeting and query-version tell: a new reference. */
json_t *qmp_version(void);

#endif

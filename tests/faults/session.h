/* SPDX-License-Identifier: MIT */
/*
 * session - a front-end that uses what the control path has to offer
 *
 * Negotiation, a channel, an in-flight region, two rings and their memory,
 * requests, a region added and removed, a migration log, the end of the rings.
 *
 * Owner: the caller's thread.
 */
#ifndef FAULTS_SESSION_H
#define FAULTS_SESSION_H

#include "tests/e2e/client.h"
#include "tests/frontend/dirty_log.h"
#include "tests/frontend/inflight.h"

struct session {
	struct client client;
	struct fe_inflight inflight;
	struct fe_dirty_log log;
	int channel;
	const char *step; /* the last one, in words */
};

/*
 * A front-end of another kind: negotiates and does one I/O, all within a
 * second. -ETIME: it took longer.
 */
int session_try(const struct server *server);

/* Up to running rings, which are served. Returns 0, or -errno of the first step that failed. */
int session_open(struct session *session, const struct server *server);

/* All that can be done with these. The same. */
int session_use(struct session *session);

/* Also where a step has failed. */
void session_leave(struct session *session);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * probe - one message at a time that a back-end should refuse, or should not
 *
 * Each probe is a session of its own, so that one does not spoil the next.
 * What came of it is compared with what was expected, a difference is printed
 * and counted, and the test fails at its end: one run shows all differences.
 */
#ifndef E2E_PROBE_H
#define E2E_PROBE_H

#include "tests/e2e/client.h"

#define PROBE_OK	    0		  /* done, and acknowledged as done */
#define PROBE_NAK	    (-EREMOTEIO)  /* refused, the session goes on */
#define PROBE_CLOSED	    (-ECONNRESET) /* the session ended */
#define PROBE_SILENT	    (-ETIMEDOUT)  /* neither answer nor end */
#define PROBE_STUCK	    (-EDEADLK) /* the next front-end was not served */
#define PROBE_NAK_OR_CLOSED 1	       /* as an expectation */

/* A session with all usual features negotiated; asserts that it came about. */
void probe_connect(struct client *client, const struct server *server);

/*
 * What becomes of the message on a connected client. After NAK the session
 * must still answer, else the outcome is PROBE_SILENT or PROBE_CLOSED.
 */
int probe_message(struct client *client, struct fe_message *message,
		  const int *fds, unsigned int nr_fds);

/*
 * PROBE_CLOSED if the peer ends the session; -ETIME if it took as long as one
 * takes that waits for the rest of a message, or as a machine that stands still:
 * to be asked again, PROBE_TRIES times.
 */
#define PROBE_TRIES 5
int probe_end(struct client *client);

/* Close the client; PROBE_STUCK unless a fresh one does I/O in a second. */
int probe_finish(struct client *client, const struct server *server,
		 int outcome);

/* All of it: a session, the message, the end of it, a fresh client. */
int probe(const struct server *server, struct fe_message *message,
	  const int *fds, unsigned int nr_fds);

/* Compare, print and count. detail is printed too. */
void probe_expect(const char *what, uint64_t detail, int outcome, int expected);

/* Fails the running test if there was a difference since the last call. */
void probe_verdict(void);

/* A test with the usual server running, in *state, and nothing counted. */
int probe_set_up(void **state);

#define WITH_SERVER(test)                                                      \
	cmocka_unit_test_setup_teardown(test, probe_set_up, server_tear_down)

#endif

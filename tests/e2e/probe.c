/* SPDX-License-Identifier: MIT */
/*
 * probe - one message at a time that a back-end should refuse, or should not
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/e2e/probe.h"
#include "tests/frontend/clock.h"

#define WAITS_MSEC 4000 /* a little less than for the rest of a message */

static unsigned int nr_differences;

void probe_connect(struct client *client, const struct server *server)
{
	assert_int_equal(client_connect(client, server, NULL), 0);
	assert_true(client->session.protocol & FE_PROTOCOL_REPLY_ACK);
}

/* GET_CONFIG has a refusal of its own: an answer without data. */
static int exchange_config(struct client *client, struct fe_message *message)
{
	int error;

	message->flags |= FE_FLAG_NEED_REPLY;
	error = fe_session_query(&client->session, message);
	if (error)
		return error;
	return message->size && message->payload.config.size ? PROBE_OK :
							       PROBE_NAK;
}

int probe_message(struct client *client, struct fe_message *message,
		  const int *fds, unsigned int nr_fds)
{
	int outcome;
	int error;

	if (message->request == FE_GET_CONFIG && !nr_fds)
		outcome = exchange_config(client, message);
	else
		outcome = fe_session_exchange(&client->session, message, fds,
					      nr_fds);
	if (outcome != PROBE_NAK && outcome != PROBE_OK)
		return outcome;
	error = fe_session_sync(&client->session);
	return error ? error : outcome;
}

int probe_end(struct client *client)
{
	uint64_t deadline = fe_deadline(WAITS_MSEC);
	int error = fe_wait_closed(client->session.sock, FE_PATIENCE_MSEC);

	if (!error && fe_now_usec() > deadline)
		error = -ETIME;
	return error ? error : PROBE_CLOSED;
}

int probe_finish(struct client *client, const struct server *server,
		 int outcome)
{
	int error;

	client_close(client);
	error = client_fresh_io(server);
	if (!error)
		return outcome;
	printf("# a fresh front-end fails: %s\n", strerror(-error));
	return PROBE_STUCK;
}

int probe(const struct server *server, struct fe_message *message,
	  const int *fds, unsigned int nr_fds)
{
	struct client client;

	probe_connect(&client, server);
	return probe_finish(&client, server,
			    probe_message(&client, message, fds, nr_fds));
}

static const char *outcome_name(int outcome)
{
	switch (outcome) {
	case PROBE_OK:
		return "accepted";
	case PROBE_NAK:
		return "refused";
	case PROBE_CLOSED:
		return "closed";
	case PROBE_SILENT:
		return "silent";
	case PROBE_STUCK:
		return "stuck";
	case PROBE_NAK_OR_CLOSED:
		return "refused or closed";
	default:
		return strerror(-outcome);
	}
}

void probe_expect(const char *what, uint64_t detail, int outcome, int expected)
{
	if (outcome == expected)
		return;
	if (expected == PROBE_NAK_OR_CLOSED &&
	    (outcome == PROBE_NAK || outcome == PROBE_CLOSED))
		return;
	nr_differences++;
	if (nr_differences <= 40)
		printf("# %s (%llu = 0x%llx): %s, should be %s\n", what,
		       (unsigned long long)detail, (unsigned long long)detail,
		       outcome_name(outcome), outcome_name(expected));
}

void probe_verdict(void)
{
	unsigned int nr = nr_differences;

	nr_differences = 0;
	assert_int_equal(nr, 0);
}

int probe_set_up(void **state)
{
	nr_differences = 0;
	return server_set_up(state);
}

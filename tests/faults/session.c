/* SPDX-License-Identifier: MIT */
/*
 * session - a front-end that uses what the control path has to offer
 */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/faults/session.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/message.h"

#define QUEUES	      2
#define NR_REQUESTS   4
#define TRY_MSEC      1000
#define PATIENCE_MSEC 100 /* of a request, before the session is looked at */
#define MAX_TRIES     (FE_PATIENCE_MSEC / PATIENCE_MSEC)

static const struct client_options options = {
	.nr_queues = QUEUES,
	.depth = 2,
	.memory_bytes = 2u << 20,
	.data_bytes = 4096,
	.more_protocol = FE_PROTOCOL_LOG_SHMFD,
};

int session_try(const struct server *server)
{
	const struct client_options small = {
		.depth = 1,
		.memory_bytes = 1u << 20,
		.data_bytes = 4096,
	};
	uint64_t deadline = fe_deadline(TRY_MSEC);
	struct client client;
	int error = client_open(&client, server, &small);

	if (!error)
		error = client_check_io(&client, 0, 1);
	client_close(&client);
	return !error && fe_now_usec() > deadline ? -ETIME : error;
}

/* -ECONNRESET: nobody will answer, since the session is over. */
static int load_queue(struct client *client, unsigned int index,
		      unsigned int nr)
{
	int error = -ETIMEDOUT;

	client->blks[index].timeout_msec = PATIENCE_MSEC;
	for (int i = 0; error == -ETIMEDOUT && i < MAX_TRIES; i++) {
		error = client_load(client, index, nr);
		if (error && !fe_wait_closed(client->session.sock, 0))
			return -ECONNRESET;
	}
	return error;
}

int session_open(struct session *session, const struct server *server)
{
	struct client *client = &session->client;
	int error;

	memset(session, 0, sizeof(*session));
	session->channel = -1;
	fe_inflight_init(&session->inflight);
	session->step = "negotiation";
	error = client_connect(client, server, &options);
	if (!error)
		error = fe_session_open_channel(&client->session,
						&session->channel);
	if (!error)
		error = fe_session_get_inflight(&client->session, QUEUES,
						CLIENT_QUEUE_SIZE,
						&session->inflight);
	if (!error)
		error = fe_session_set_inflight(&client->session,
						&session->inflight);
	if (error)
		return error;
	session->step = "starting the rings";
	error = client_prepare(client, &options);
	if (!error)
		error = client_start(client);
	for (unsigned int i = 0; i < QUEUES && !error; i++)
		error = load_queue(client, i, 1);
	return error;
}

static int load_queues(struct session *session, const char *step)
{
	int error = 0;

	session->step = step;
	for (unsigned int i = 0; i < QUEUES && !error; i++)
		error = load_queue(&session->client, i, NR_REQUESTS);
	return error;
}

/* Another region comes and goes, under rings that run. */
static int change_memory(struct session *session)
{
	struct client *client = &session->client;
	int region = fe_memory_add(&client->memory, UINT64_C(1) << 32, 65536);
	int error;

	session->step = "a change of memory";
	if (region < 0)
		return region;
	error = fe_session_add_region(
		&client->session,
		&client->memory.regions[(unsigned int)region]);
	if (!error)
		error = fe_session_remove_region(
			&client->session,
			&client->memory.regions[(unsigned int)region]);
	return error;
}

static int log_writes(struct session *session)
{
	struct client *client = &session->client;
	int error = fe_dirty_log_init(&session->log,
				      fe_dirty_log_bytes(&client->memory));

	session->step = "the migration log";
	if (!error)
		error = fe_session_set_log(&client->session, &session->log);
	if (!error)
		error = fe_session_log_data(&client->session, true);
	return error;
}

static int stop_rings(struct session *session)
{
	uint32_t base;
	int error = 0;

	session->step = "stopping the rings";
	for (uint32_t i = 0; i < QUEUES && !error; i++)
		error = fe_session_get_base(&session->client.session, i, &base);
	return error;
}

int session_use(struct session *session)
{
	int error = load_queues(session, "I/O");

	if (!error)
		error = change_memory(session);
	if (!error)
		error = log_writes(session);
	if (!error)
		error = load_queues(session, "logged I/O");
	if (!error)
		error = stop_rings(session);
	return error;
}

void session_leave(struct session *session)
{
	client_close(&session->client);
	fe_inflight_deinit(&session->inflight);
	if (session->log.bytes)
		fe_dirty_log_deinit(&session->log);
	rh_fd_close(&session->channel);
}

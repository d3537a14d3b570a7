/* SPDX-License-Identifier: MIT */
/*
 * state_handlers - the device's state is saved and loaded (vhost-user,
 * Migrating back-end state)
 */
#include "common/log.h"
#include "common/peerfd.h"
#include "lib/handler.h"

#define DIRECTION_SAVE 0
#define DIRECTION_LOAD 1
#define PHASE_STOPPED  0

#define ANSWER_ERROR   UINT64_C(1)
#define ANSWER_NO_FD   (UINT64_C(1) << 8)

/* vhost-user, Suspended device state */
static bool suspended(const struct rh_session_state *state)
{
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (state->queues[i].has_kick ||
		    state->queues[i].state != RH_QUEUE_STOPPED)
			return false;
	}
	return true;
}

static int save(struct rh_session_state *state, int fd)
{
	const struct rh_device_config *config = state->config;
	void *data = NULL;
	size_t bytes = 0;
	int error = config->ops->state_save(config->opaque, &data, &bytes);

	if (!error)
		return rh_transfer_save(&state->transfer, fd, data, bytes);
	rh_peerfd_close(&fd);
	rh_transfer_end(&state->transfer, error);
	return error;
}

static int load(struct rh_session_state *state, int fd)
{
	struct rh_transfer *transfer = &state->transfer;
	int error = rh_transfer_load(transfer, fd);

	while (!error && rh_transfer_busy(transfer) &&
	       transfer->kind == RH_TRANSFER_FILE)
		rh_continue_transfer(state);
	return error;
}

static int begin(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	struct vhost_user_transfer wanted;
	int fd;

	memcpy(&wanted, request->incoming->payload, sizeof(wanted));
	if (wanted.direction > DIRECTION_LOAD || wanted.phase != PHASE_STOPPED)
		return -EINVAL;
	if (!suspended(state))
		return -EBUSY;
	fd = rh_incoming_take_fd(request->incoming, 0);
	return wanted.direction == DIRECTION_SAVE ? save(state, fd) :
						    load(state, fd);
}

/* A second one takes the place of the first. We use the front-end's file. */
int rh_handle_set_device_state_fd(struct rh_request *request)
{
	int error = begin(request);

	request->answer->u64 = ANSWER_NO_FD | (error ? ANSWER_ERROR : 0);
	request->answer->size = sizeof(request->answer->u64);
	if (error)
		rh_log_limited(&request->state->limit, RH_LOG_WARNING,
			       request->state->config->name,
			       "the device's state is not transferred: %s",
			       error == -EBUSY ? "a ring is still started" :
						 strerror(-error));
	return 0;
}

/* It waited until the transfer was over. */
int rh_handle_check_device_state(struct rh_request *request)
{
	const struct rh_transfer *transfer = &request->state->transfer;
	bool done = transfer->state == RH_TRANSFER_ENDED && !transfer->result;

	request->answer->u64 = done ? 0 : 1;
	request->answer->size = sizeof(request->answer->u64);
	return 0;
}

void rh_continue_transfer(struct rh_session_state *state)
{
	const struct rh_device_config *config = state->config;
	struct rh_transfer *transfer = &state->transfer;
	int error = -EBUSY;

	if (rh_transfer_step(transfer)) {
		if (suspended(state))
			error = config->ops->state_load(config->opaque,
							transfer->data,
							transfer->bytes);
		rh_transfer_end(transfer, error);
	}
	if (transfer->state == RH_TRANSFER_ENDED && transfer->result)
		rh_log_limited(
			&state->limit, RH_LOG_WARNING, config->name,
			"the transfer of the device's state has failed: %s",
			strerror(-transfer->result));
}

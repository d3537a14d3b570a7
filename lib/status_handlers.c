/* SPDX-License-Identifier: MIT */
/*
 * status_handlers - resets, and the device status byte (virtio 1.3, 2.1)
 *
 * The byte is the driver's but for two bits: FEATURES_OK stays off after
 * features that were refused, and DEVICE_NEEDS_RESET is on once a queue has
 * broken.
 *
 * Status 0 resets the rings, and no more: front-ends also send it when they
 * pause a virtual machine, whose driver then goes on as if nothing had been.
 * Some of them ask only then where the rings had stopped.
 */
#include "lib/handler.h"

#define STATUS_MAX UINT8_MAX

static void reset_rings(struct rh_session_state *state, bool keep_bases)
{
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		struct rh_queue *queue = &state->queues[i];
		uint32_t base =
			queue->has_base ? queue->base : queue->last_base;
		bool has_base = queue->has_base || queue->has_last_base;

		rh_queue_reset(queue);
		queue->last_base = base;
		queue->has_last_base = keep_bases && has_base;
	}
	memset(&state->status, 0, sizeof(state->status));
}

int rh_handle_reset_device(struct rh_request *request)
{
	const struct rh_device_config *config = request->state->config;

	reset_rings(request->state, false);
	rh_forget_inflight(request->state);
	if (config->ops->reset)
		config->ops->reset(config->opaque);
	return 0;
}

void rh_note_failures(struct rh_session_state *state)
{
	struct rh_status *status = &state->status;
	bool tell = (status->byte & VIRTIO_STATUS_DRIVER_OK) &&
		    (state->session.protocol_features &
		     FEATURE_BIT(VHOST_USER_PROTOCOL_F_CONFIG));

	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (!atomic_exchange(&state->queues[i].failed, false))
			continue;
		/* virtio 1.3, 2.1.2: a driver that runs is told */
		if (!status->needs_reset && tell)
			rh_outbox_config_changed(&state->outbox);
		status->needs_reset = true;
	}
}

int rh_handle_set_status(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	uint64_t value = rh_payload_u64(request);

	if (value > STATUS_MAX)
		return rh_refuse(request, -EINVAL, "it has more than 8 bits");
	if (!value) {
		reset_rings(state, true);
		return 0;
	}
	state->status.byte = (uint8_t)value;
	if (state->status.features_refused)
		state->status.byte &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	return 0;
}

int rh_handle_get_status(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	uint8_t status = state->status.byte;

	rh_note_failures(state);
	status &= (uint8_t)~VIRTIO_STATUS_DEVICE_NEEDS_RESET;
	if (state->status.needs_reset)
		status |= VIRTIO_STATUS_DEVICE_NEEDS_RESET;
	request->answer->u64 = status;
	request->answer->size = sizeof(request->answer->u64);
	return 0;
}

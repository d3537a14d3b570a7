/* SPDX-License-Identifier: MIT */
/*
 * handlers - what each message does: features, memory, configuration
 *
 * The messages about one queue are in vring_handlers.c, those about the
 * migration log in log_handlers.c. A handler changes nothing before it is
 * sure to succeed, so that a refusal leaves the state as it was. Under a
 * running queue nothing changes at all but its call and error fds: what would
 * need more either made the queue stop first (the quiet column in message.c)
 * or is refused here.
 */
#include <errno.h>
#include <string.h>

#include "lib/handler.h"

#define PROTOCOL(feature) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##feature)

#define OFFERED_RINGS                                                          \
	(FEATURE_BIT(VIRTIO_F_RING_INDIRECT_DESC) |                            \
	 FEATURE_BIT(VIRTIO_F_RING_EVENT_IDX) |                                \
	 FEATURE_BIT(VIRTIO_F_VERSION_1) | FEATURE_BIT(VIRTIO_F_RING_PACKED) | \
	 FEATURE_BIT(VIRTIO_F_IN_ORDER) | FEATURE_BIT(VIRTIO_F_RING_RESET) |   \
	 FEATURE_BIT(VIRTIO_F_NOTIFICATION_DATA) |                             \
	 FEATURE_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) |                               \
	 FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM) | OF_TRANSPORT)

/* The device is not told of these. */
#define OF_TRANSPORT                                                           \
	(FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES) |                         \
	 FEATURE_BIT(VHOST_F_LOG_ALL))

/* cloud-hypervisor up to 46 counts config offsets from 0x100 on. */
#define ODD_CONFIG_BASE 0x100

/* SET_CONFIG flags: 0 is "writable"; some front-ends say 1 for the same. */
#define MAX_CONFIG_FLAGS 1

static int create_iotlb(struct rh_session_state *state)
{
	unsigned int nr_queues = state->session.nr_queues;
	int error;

	error = rh_iotlb_create(nr_queues, &state->iotlb);
	if (error)
		return error;
	state->misses = calloc(nr_queues, sizeof(*state->misses));
	if (!state->misses)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr_queues; i++) {
		struct rh_queue *queue = &state->queues[i];

		queue->miss = &state->misses[i];
		rh_miss_init(queue->miss, state->iotlb, queue->wake_fd,
			     &queue->kick_fd);
	}
	rh_outbox_set_misses(&state->outbox, state->misses, nr_queues);
	return 0;
}

int rh_session_state_init(struct rh_session_state *state,
			  const struct rh_device_config *config,
			  struct rh_queue *queues, const char *tag)
{
	int error;

	memset(state, 0, sizeof(*state));
	state->config = config;
	state->queues = queues;
	state->session.nr_queues = config->nr_queues;
	rh_dirty_log_init(&state->log);
	for (unsigned int i = 0; i < config->nr_queues; i++) {
		queues[i].log = &state->log;
		queues[i].inflight = &state->inflight;
	}
	rh_transfer_init(&state->transfer);
	rh_outbox_init(&state->outbox, &state->session, queues, config, tag);
	rh_postcopy_init(&state->postcopy);
	state->can_postcopy = rh_postcopy_possible(&state->postcopy);
	error = rh_map_create(&state->empty);
	if (!error)
		state->map = rh_map_get(state->empty);
	if (!error)
		error = create_iotlb(state);
	return error;
}

void rh_replace_map(struct rh_session_state *state, struct rh_map *map)
{
	rh_map_put(state->map);
	state->map = map;
	rh_iotlb_clear(state->iotlb);
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (state->queues[i].hold == RH_HOLD_UNRESOLVED)
			state->queues[i].hold = RH_HOLD_NONE;
	}
}

static void reset_queues(struct rh_session_state *state)
{
	for (unsigned int i = 0; i < state->session.nr_queues; i++)
		rh_queue_reset(&state->queues[i]);
}

void rh_session_state_reset(struct rh_session_state *state)
{
	reset_queues(state);
	rh_replace_map(state, rh_map_get(state->empty));
	rh_dirty_log_reset(&state->log);
	rh_outbox_reset(&state->outbox);
	rh_postcopy_reset(&state->postcopy);
	rh_transfer_reset(&state->transfer);
	memset(&state->status, 0, sizeof(state->status));
	rh_inflight_drop(&state->inflight);
	state->session.features = 0;
	state->session.protocol_features = 0;
}

void rh_session_state_deinit(struct rh_session_state *state)
{
	rh_outbox_reset(&state->outbox);
	rh_dirty_log_reset(&state->log);
	rh_transfer_reset(&state->transfer);
	rh_postcopy_deinit(&state->postcopy);
	rh_inflight_drop(&state->inflight);
	for (unsigned int i = 0; i < state->session.nr_queues; i++)
		state->queues[i].miss = NULL;
	free(state->misses);
	rh_iotlb_destroy(state->iotlb);
	state->misses = NULL;
	state->iotlb = NULL;
	rh_map_put(state->map);
	rh_map_put(state->empty);
	state->map = NULL;
	state->empty = NULL;
}

bool rh_session_state_lost(const struct rh_session_state *state)
{
	return rh_map_lost(state->map) || rh_range_lost(&state->log.bitmap) ||
	       rh_range_lost(&state->inflight.range);
}

static void answer_u64(struct rh_request *request, uint64_t value)
{
	request->answer->u64 = value;
	request->answer->size = sizeof(value);
}

uint64_t rh_offered_features(const struct rh_device_config *config)
{
	return config->features | OFFERED_RINGS;
}

static uint64_t offered_protocol(const struct rh_session_state *state)
{
	const struct rh_device_config *config = state->config;
	uint64_t bits = PROTOCOL(MQ) | PROTOCOL(LOG_SHMFD) |
			PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ) |
			PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(RESET_DEVICE) |
			PROTOCOL(INBAND_NOTIFICATIONS) |
			PROTOCOL(CONFIGURE_MEM_SLOTS) | PROTOCOL(STATUS) |
			PROTOCOL(GET_VRING_BASE_INFLIGHT);

	if (config->config_bytes)
		bits |= PROTOCOL(CONFIG);
	if (config->ops->state_save)
		bits |= PROTOCOL(DEVICE_STATE);
	if (state->can_postcopy)
		bits |= PROTOCOL(PAGEFAULT);
	if (config->ops->object_get || config->ops->object_found)
		bits |= PROTOCOL(SHARED_OBJECT) | PROTOCOL(BACKEND_SEND_FD);
	return bits;
}

static int get_features(struct rh_request *request)
{
	answer_u64(request, rh_offered_features(request->state->config));
	return 0;
}

static bool any_queue_runs(const struct rh_session_state *state)
{
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (state->queues[i].state != RH_QUEUE_STOPPED)
			return true;
	}
	return false;
}

static int refuse_features(struct rh_request *request, uint64_t features)
{
	uint64_t added = features & ~request->state->session.features;

	if (added != FEATURE_BIT(VHOST_F_LOG_ALL))
		return rh_refuse_running(request);
	return rh_refuse(request, -EINVAL,
			 "there is no log yet: SET_LOG_BASE has to come "
			 "before VHOST_F_LOG_ALL");
}

/* vhost-user, Ring states: without protocol features rings begin enabled. */
static void set_initial_enable(struct rh_session_state *state,
			       uint64_t old_features)
{
	const uint64_t bit = FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	bool without = !(state->session.features & bit);

	if (!without && (old_features & bit))
		return;
	for (unsigned int i = 0; i < state->session.nr_queues; i++)
		state->queues[i].enabled = without;
}

static int set_features(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	const struct rh_device_ops *ops = state->config->ops;
	uint64_t features = rh_payload_u64(request);
	uint64_t old_features = state->session.features;

	state->status.features_refused =
		features & ~rh_offered_features(state->config);
	if (state->status.features_refused)
		return rh_refuse(request, -EINVAL, "a bit was not offered");
	/* Queues have stopped for a switch of the log (rh_switches_log()). */
	if (any_queue_runs(state))
		return features == old_features ?
			       0 :
			       refuse_features(request, features);
	/* A driver that comes new, not a migration that begins or ends */
	if (state->inflight.has_run &&
	    (features ^ old_features) & ~FEATURE_BIT(VHOST_F_LOG_ALL))
		rh_forget_inflight(state);
	state->session.features = features;
	/* A new driver: what its predecessor's IOMMU said is not its own. */
	rh_iotlb_clear(state->iotlb);
	for (unsigned int i = 0; i < state->session.nr_queues; i++) {
		if (state->queues[i].hold == RH_HOLD_MISS)
			state->queues[i].hold = RH_HOLD_NONE;
	}
	set_initial_enable(state, old_features);
	if (ops->features_set)
		ops->features_set(state->config->opaque,
				  features & ~OF_TRANSPORT);
	return 0;
}

static int get_protocol_features(struct rh_request *request)
{
	answer_u64(request, offered_protocol(request->state));
	return 0;
}

static int set_protocol_features(struct rh_request *request)
{
	struct rh_session_state *state = request->state;
	uint64_t features = rh_payload_u64(request);

	if (features & ~offered_protocol(state))
		return rh_refuse(request, -EINVAL, "a bit was not offered");
	if ((features & PROTOCOL(INBAND_NOTIFICATIONS)) &&
	    ~features & (PROTOCOL(BACKEND_REQ) | PROTOCOL(REPLY_ACK)))
		return rh_refuse(request, -EINVAL,
				 "INBAND_NOTIFICATIONS needs BACKEND_REQ and "
				 "REPLY_ACK");
	if ((features & PROTOCOL(GET_VRING_BASE_INFLIGHT)) &&
	    !(features & PROTOCOL(INFLIGHT_SHMFD)))
		return rh_refuse(request, -EINVAL,
				 "GET_VRING_BASE_INFLIGHT is accepted without "
				 "INFLIGHT_SHMFD");
	state->session.protocol_features = features;
	return 0;
}

static int set_owner(struct rh_request *request)
{
	(void)request;
	return 0;
}

/* Deprecated; the document leaves it at disabling the rings. */
static int reset_owner(struct rh_request *request)
{
	for (unsigned int i = 0; i < request->state->session.nr_queues; i++)
		request->state->queues[i].enabled = false;
	return 0;
}

static const char *why_not_mapped(int error)
{
	switch (error) {
	case -EINVAL:
		return "a region is empty, wraps, or exceeds its file";
	case -EEXIST:
		return "a region overlaps another one";
	case -ENOSPC:
		return "there are too many regions";
	case -ENOENT:
		return "there is no such region";
	case -ENOMEM:
		return "there is no memory to map the region";
	}
	return "its file cannot be mapped for reading and writing";
}

static int set_mem_table(struct rh_request *request)
{
	struct rh_incoming *incoming = request->incoming;
	struct vhost_user_memory table = { 0 };
	struct rh_map *next;
	struct rh_map *map;
	int error;

	if (rh_is_postcopy_confirmation(request))
		return rh_handle_postcopy_confirmation(request);
	memcpy(&table, incoming->payload, incoming->header.size);
	if (table.nr_regions > VHOST_USER_MAX_REGIONS || table.padding ||
	    incoming->nr_fds != table.nr_regions ||
	    incoming->header.size !=
		    offsetof(struct vhost_user_memory, regions) +
			    table.nr_regions * sizeof(table.regions[0]))
		return rh_refuse(request, -EINVAL,
				 "its numbers of regions, bytes and file "
				 "descriptors do not match");

	map = rh_map_get(request->state->empty);
	for (unsigned int i = 0; i < table.nr_regions; i++) {
		error = rh_map_add(map, &table.regions[i], incoming->fds[i],
				   &next);
		rh_map_put(map);
		if (error)
			return rh_refuse(request, error, why_not_mapped(error));
		map = next;
	}
	error = rh_postcopy_publish(request, map);
	if (!error)
		rh_postcopy_answer_table(request, &table);
	return error;
}

/* A confirmation has the same number. */
static int payload_region(struct rh_request *request, unsigned int min_fds,
			  struct vhost_user_region *ret)
{
	const struct rh_incoming *incoming = request->incoming;
	struct vhost_user_single_region single;

	if (incoming->header.size != sizeof(single) ||
	    incoming->nr_fds < min_fds)
		return rh_refuse(request, -EPROTO,
				 "its payload has the wrong size, or a file "
				 "descriptor is missing");
	memcpy(&single, incoming->payload, sizeof(single));
	*ret = single.region;
	return 0;
}

static int get_max_mem_slots(struct rh_request *request)
{
	answer_u64(request, RH_MAX_MEM_SLOTS);
	return 0;
}

static int add_mem_reg(struct rh_request *request)
{
	struct vhost_user_region region;
	struct rh_map *map;
	int error;

	if (rh_is_postcopy_confirmation(request))
		return rh_handle_postcopy_confirmation(request);
	error = payload_region(request, 1, &region);
	if (error)
		return error;
	error = rh_map_add(request->state->map, &region,
			   request->incoming->fds[0], &map);
	if (error)
		return rh_refuse(request, error, why_not_mapped(error));
	error = rh_postcopy_publish(request, map);
	if (!error)
		rh_postcopy_answer_region(request, &region);
	return error;
}

static int rem_mem_reg(struct rh_request *request)
{
	struct vhost_user_region region;
	struct rh_map *map;
	int error;

	if (rh_is_postcopy_confirmation(request))
		return rh_handle_postcopy_confirmation(request);
	error = payload_region(request, 0, &region);
	if (error)
		return error;
	error = rh_map_remove(request->state->map, &region, &map);
	if (error)
		return rh_refuse(request, error, why_not_mapped(error));
	rh_replace_map(request->state, map);
	return 0;
}

static int get_queue_num(struct rh_request *request)
{
	answer_u64(request, request->state->session.nr_queues);
	return 0;
}

static int set_backend_req_fd(struct rh_request *request)
{
	rh_channel_open(&request->state->outbox.channel,
			rh_incoming_take_fd(request->incoming, 0));
	return 0;
}

/*
 * Copy the payload and check its range against the configuration space.
 * offset: as the device counts it.
 */
static int parse_config(const struct rh_request *request,
			struct vhost_user_config *config, uint32_t *offset)
{
	const size_t head_bytes = offsetof(struct vhost_user_config, region);
	uint32_t config_bytes = request->state->config->config_bytes;
	uint32_t size = request->incoming->header.size;

	memset(config, 0, sizeof(*config));
	memcpy(config, request->incoming->payload, size);
	*offset = config->offset == ODD_CONFIG_BASE ? 0 : config->offset;
	if (config->size != size - head_bytes || !config->size ||
	    *offset > config_bytes || config->size > config_bytes - *offset)
		return -EINVAL;
	return 0;
}

/* An error is told by a reply without payload, whether asked for or not. */
static int get_config(struct rh_request *request)
{
	const struct rh_device_config *device = request->state->config;
	struct vhost_user_config *config = &request->answer->config;
	uint32_t offset;
	int error;

	error = parse_config(request, config, &offset);
	if (!error)
		error = device->ops->config_get(device->opaque, offset,
						config->region, config->size);
	request->answer->size = error ? 0 : request->incoming->header.size;
	return 0;
}

static int set_config(struct rh_request *request)
{
	const struct rh_device_config *device = request->state->config;
	struct vhost_user_config config;
	uint32_t offset;
	int error;

	error = parse_config(request, &config, &offset);
	if (error || config.flags > MAX_CONFIG_FLAGS)
		return rh_refuse(request, -EINVAL,
				 "its range or its flags are wrong");
	if (device->ops->config_set)
		error = device->ops->config_set(device->opaque, offset,
						config.region, config.size);
	if (error || !device->ops->config_set)
		return rh_refuse(request, error ? error : -EPERM,
				 "the device does not allow it");
	return 0;
}

static int (*const handlers[VHOST_USER_REQUEST_END])(struct rh_request *) = {
	[VHOST_USER_NONE] = rh_handle_postcopy_confirmation,
	[VHOST_USER_GET_FEATURES] = get_features,
	[VHOST_USER_SET_FEATURES] = set_features,
	[VHOST_USER_SET_OWNER] = set_owner,
	[VHOST_USER_RESET_OWNER] = reset_owner,
	[VHOST_USER_SET_MEM_TABLE] = set_mem_table,
	[VHOST_USER_SET_LOG_BASE] = rh_handle_set_log_base,
	[VHOST_USER_SET_LOG_FD] = rh_handle_set_log_fd,
	[VHOST_USER_SET_VRING_NUM] = rh_handle_set_vring_num,
	[VHOST_USER_SET_VRING_ADDR] = rh_handle_set_vring_addr,
	[VHOST_USER_SET_VRING_BASE] = rh_handle_set_vring_base,
	[VHOST_USER_GET_VRING_BASE] = rh_handle_get_vring_base,
	[VHOST_USER_SET_VRING_KICK] = rh_handle_set_vring_kick,
	[VHOST_USER_SET_VRING_CALL] = rh_handle_set_vring_call,
	[VHOST_USER_SET_VRING_ERR] = rh_handle_set_vring_err,
	[VHOST_USER_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[VHOST_USER_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[VHOST_USER_GET_QUEUE_NUM] = get_queue_num,
	[VHOST_USER_SET_VRING_ENABLE] = rh_handle_set_vring_enable,
	[VHOST_USER_SET_BACKEND_REQ_FD] = set_backend_req_fd,
	[VHOST_USER_IOTLB_MSG] = rh_handle_iotlb_msg,
	[VHOST_USER_GET_CONFIG] = get_config,
	[VHOST_USER_SET_CONFIG] = set_config,
	[VHOST_USER_POSTCOPY_ADVISE] = rh_handle_postcopy_advise,
	[VHOST_USER_POSTCOPY_LISTEN] = rh_handle_postcopy_listen,
	[VHOST_USER_POSTCOPY_END] = rh_handle_postcopy_end,
	[VHOST_USER_GET_INFLIGHT_FD] = rh_handle_get_inflight_fd,
	[VHOST_USER_SET_INFLIGHT_FD] = rh_handle_set_inflight_fd,
	[VHOST_USER_RESET_DEVICE] = rh_handle_reset_device,
	[VHOST_USER_VRING_KICK] = rh_handle_vring_kick,
	[VHOST_USER_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
	[VHOST_USER_ADD_MEM_REG] = add_mem_reg,
	[VHOST_USER_REM_MEM_REG] = rem_mem_reg,
	[VHOST_USER_SET_STATUS] = rh_handle_set_status,
	[VHOST_USER_GET_STATUS] = rh_handle_get_status,
	[VHOST_USER_SET_DEVICE_STATE_FD] = rh_handle_set_device_state_fd,
	[VHOST_USER_CHECK_DEVICE_STATE] = rh_handle_check_device_state,
	[VHOST_USER_GET_SHARED_OBJECT] = rh_handle_get_shared_object,
};

int rh_handle(struct rh_session_state *state, struct rh_incoming *incoming,
	      struct rh_answer *answer, const char **why)
{
	const struct rh_message_row *row =
		rh_message_row(incoming->header.request);
	struct rh_request request = {
		.state = state,
		.incoming = incoming,
		.answer = answer,
	};
	int error;

	if (row->index != RH_INDEX_NONE)
		request.queue =
			&state->queues[rh_message_queue_index(incoming)];
	error = handlers[incoming->header.request](&request);
	*why = request.why;
	return error;
}

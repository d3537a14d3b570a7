/* SPDX-License-Identifier: MIT */
/*
 * message - one row for each message of the protocol, and the checks in it
 *
 * A check that two handlers would both need is a column here. What is left to
 * a handler is what the numbers mean.
 */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "lib/message.h"

#define PROTOCOL(feature) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##feature)

#define U64_BYTES	  sizeof(uint64_t)
#define STATE_BYTES	  sizeof(struct vhost_user_vring_state)
#define CONFIG_HEAD	  offsetof(struct vhost_user_config, region)
#define MEMORY_HEAD	  offsetof(struct vhost_user_memory, regions)

/* Without the padding at its end, which some front-ends leave out */
#define INFLIGHT_MIN   offsetof(struct vhost_user_inflight, padding)

#define NO_PAYLOAD     .min_bytes = 0, .max_bytes = 0
#define PAYLOAD(bytes) .min_bytes = (bytes), .max_bytes = (bytes)

/* What a row does not say: no fd, an acknowledgement, no queue, no need. */
static const struct rh_message_row rows[VHOST_USER_REQUEST_END] = {
	/* QEMU confirms a postcopy replay of no memory at all with it. */
	[VHOST_USER_NONE] = {
		.name = "NONE",
		PAYLOAD(U64_BYTES),
		.needs_protocol = PROTOCOL(PAGEFAULT),
	},
	[VHOST_USER_GET_FEATURES] = {
		.name = "GET_FEATURES",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
	},
	[VHOST_USER_SET_FEATURES] = {
		.name = "SET_FEATURES",
		PAYLOAD(U64_BYTES),
		.quiet = RH_QUIET_TO_LOG,
	},
	[VHOST_USER_SET_OWNER] = {
		.name = "SET_OWNER",
		NO_PAYLOAD,
	},
	[VHOST_USER_RESET_OWNER] = {
		.name = "RESET_OWNER",
		NO_PAYLOAD,
		.quiet = RH_QUIET_ALL,
	},
	[VHOST_USER_SET_MEM_TABLE] = {
		.name = "SET_MEM_TABLE",
		.min_bytes = MEMORY_HEAD,
		.max_bytes = sizeof(struct vhost_user_memory),
		.max_fds = VHOST_USER_MAX_REGIONS,
		.quiet = RH_QUIET_ALL,
	},
	[VHOST_USER_SET_LOG_BASE] = {
		.name = "SET_LOG_BASE",
		PAYLOAD(sizeof(struct vhost_user_log)),
		.min_fds = 1,
		.max_fds = 1,
		.reply = RH_REPLY_DATA,
		.quiet = RH_QUIET_ALL,
		.needs_protocol = PROTOCOL(LOG_SHMFD),
	},
	[VHOST_USER_SET_LOG_FD] = {
		.name = "SET_LOG_FD",
		NO_PAYLOAD,
		.min_fds = 1,
		.max_fds = 1,
		.quiet = RH_QUIET_ALL,
		.needs_protocol = PROTOCOL(LOG_SHMFD),
	},
	[VHOST_USER_SET_VRING_NUM] = {
		.name = "SET_VRING_NUM",
		PAYLOAD(STATE_BYTES),
		.index = RH_INDEX_U32,
	},
	[VHOST_USER_SET_VRING_ADDR] = {
		.name = "SET_VRING_ADDR",
		PAYLOAD(sizeof(struct vhost_user_vring_addr)),
		.quiet = RH_QUIET_TO_LOG,
		.index = RH_INDEX_U32,
	},
	[VHOST_USER_SET_VRING_BASE] = {
		.name = "SET_VRING_BASE",
		PAYLOAD(STATE_BYTES),
		.index = RH_INDEX_U32,
	},
	[VHOST_USER_GET_VRING_BASE] = {
		.name = "GET_VRING_BASE",
		PAYLOAD(STATE_BYTES),
		.reply = RH_REPLY_DATA,
		.quiet = RH_QUIET_QUEUE,
		.index = RH_INDEX_U32,
	},
	[VHOST_USER_SET_VRING_KICK] = {
		.name = "SET_VRING_KICK",
		PAYLOAD(U64_BYTES),
		.max_fds = 1,
		.quiet = RH_QUIET_QUEUE,
		.index = RH_INDEX_VRING_FILE,
	},
	[VHOST_USER_SET_VRING_CALL] = {
		.name = "SET_VRING_CALL",
		PAYLOAD(U64_BYTES),
		.max_fds = 1,
		.index = RH_INDEX_VRING_FILE,
	},
	[VHOST_USER_SET_VRING_ERR] = {
		.name = "SET_VRING_ERR",
		PAYLOAD(U64_BYTES),
		.max_fds = 1,
		.index = RH_INDEX_VRING_FILE,
	},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {
		.name = "GET_PROTOCOL_FEATURES",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
	},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {
		.name = "SET_PROTOCOL_FEATURES",
		PAYLOAD(U64_BYTES),
	},
	[VHOST_USER_GET_QUEUE_NUM] = {
		.name = "GET_QUEUE_NUM",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
	},
	[VHOST_USER_SET_VRING_ENABLE] = {
		.name = "SET_VRING_ENABLE",
		PAYLOAD(STATE_BYTES),
		.quiet = RH_QUIET_QUEUE,
		.index = RH_INDEX_U32,
		.needs_features = FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES),
	},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {
		.name = "SET_BACKEND_REQ_FD",
		NO_PAYLOAD,
		.min_fds = 1,
		.max_fds = 1,
		.needs_protocol = PROTOCOL(BACKEND_REQ),
	},
	[VHOST_USER_IOTLB_MSG] = {
		.name = "IOTLB_MSG",
		PAYLOAD(sizeof(struct vhost_user_iotlb)),
		.quiet = RH_QUIET_INVALIDATION,
		.needs_features = FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM),
	},
	[VHOST_USER_GET_CONFIG] = {
		.name = "GET_CONFIG",
		.min_bytes = CONFIG_HEAD,
		.max_bytes = sizeof(struct vhost_user_config),
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(CONFIG),
	},
	[VHOST_USER_SET_CONFIG] = {
		.name = "SET_CONFIG",
		.min_bytes = CONFIG_HEAD,
		.max_bytes = sizeof(struct vhost_user_config),
		.needs_protocol = PROTOCOL(CONFIG),
	},
	[VHOST_USER_POSTCOPY_ADVISE] = {
		.name = "POSTCOPY_ADVISE",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(PAGEFAULT),
	},
	[VHOST_USER_POSTCOPY_LISTEN] = {
		.name = "POSTCOPY_LISTEN",
		NO_PAYLOAD,
		.needs_protocol = PROTOCOL(PAGEFAULT),
	},
	[VHOST_USER_POSTCOPY_END] = {
		.name = "POSTCOPY_END",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(PAGEFAULT),
	},
	[VHOST_USER_GET_INFLIGHT_FD] = {
		.name = "GET_INFLIGHT_FD",
		.min_bytes = INFLIGHT_MIN,
		.max_bytes = sizeof(struct vhost_user_inflight),
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(INFLIGHT_SHMFD),
	},
	[VHOST_USER_SET_INFLIGHT_FD] = {
		.name = "SET_INFLIGHT_FD",
		.min_bytes = INFLIGHT_MIN,
		.max_bytes = sizeof(struct vhost_user_inflight),
		.min_fds = 1,
		.max_fds = 1,
		.needs_protocol = PROTOCOL(INFLIGHT_SHMFD),
	},
	[VHOST_USER_RESET_DEVICE] = {
		.name = "RESET_DEVICE",
		NO_PAYLOAD,
		.quiet = RH_QUIET_ALL,
		.needs_protocol = PROTOCOL(RESET_DEVICE),
	},
	[VHOST_USER_VRING_KICK] = {
		.name = "VRING_KICK",
		PAYLOAD(STATE_BYTES),
		.index = RH_INDEX_U32,
		.needs_protocol = PROTOCOL(INBAND_NOTIFICATIONS),
	},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {
		.name = "GET_MAX_MEM_SLOTS",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(CONFIGURE_MEM_SLOTS),
	},
	[VHOST_USER_ADD_MEM_REG] = {
		.name = "ADD_MEM_REG",
		.min_bytes = U64_BYTES, /* and no fd: a confirmation */
		.max_bytes = sizeof(struct vhost_user_single_region),
		.max_fds = 1,
		.quiet = RH_QUIET_ALL,
		.needs_protocol = PROTOCOL(CONFIGURE_MEM_SLOTS),
	},
	[VHOST_USER_REM_MEM_REG] = {
		.name = "REM_MEM_REG",
		.min_bytes = U64_BYTES, /* a confirmation */
		.max_bytes = sizeof(struct vhost_user_single_region),
		.max_fds = 1, /* sent by older front-ends, and not needed */
		.quiet = RH_QUIET_ALL,
		.needs_protocol = PROTOCOL(CONFIGURE_MEM_SLOTS),
	},
	[VHOST_USER_SET_STATUS] = {
		.name = "SET_STATUS",
		PAYLOAD(U64_BYTES),
		.quiet = RH_QUIET_ALL_IF_ZERO,
		.needs_protocol = PROTOCOL(STATUS),
	},
	[VHOST_USER_GET_STATUS] = {
		.name = "GET_STATUS",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(STATUS),
	},
	[VHOST_USER_SET_DEVICE_STATE_FD] = {
		.name = "SET_DEVICE_STATE_FD",
		PAYLOAD(sizeof(struct vhost_user_transfer)),
		.min_fds = 1,
		.max_fds = 1,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(DEVICE_STATE),
	},
	[VHOST_USER_CHECK_DEVICE_STATE] = {
		.name = "CHECK_DEVICE_STATE",
		NO_PAYLOAD,
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(DEVICE_STATE),
	},
	[VHOST_USER_GET_SHARED_OBJECT] = {
		.name = "GET_SHARED_OBJECT",
		PAYLOAD(sizeof(struct vhost_user_shared)),
		.reply = RH_REPLY_DATA,
		.needs_protocol = PROTOCOL(SHARED_OBJECT),
	},
};

const struct rh_message_row *rh_message_row(uint32_t request)
{
	if (request >= ARRAY_SIZE(rows) || !rows[request].name)
		return NULL;
	return &rows[request];
}

const char *rh_message_name(uint32_t request)
{
	const struct rh_message_row *row = rh_message_row(request);

	return row ? row->name : "a message that is not supported";
}

int64_t rh_message_max_payload(const struct vhost_user_header *header)
{
	const struct rh_message_row *row = rh_message_row(header->request);

	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    (header->flags & VHOST_USER_FLAG_REPLY) ||
	    (header->flags & ~VHOST_USER_FLAGS_KNOWN))
		return -EPROTO;
	/* What will be refused is read first, so that the next one is found. */
	if (!row || !row->max_bytes)
		return RH_MAX_PAYLOAD_BYTES;
	return row->max_bytes;
}

static uint64_t first_u64(const struct rh_incoming *incoming)
{
	uint64_t value;

	memcpy(&value, incoming->payload, sizeof(value));
	return value;
}

unsigned int rh_message_queue_index(const struct rh_incoming *incoming)
{
	const struct rh_message_row *row =
		rh_message_row(incoming->header.request);
	uint32_t index;

	if (row->index == RH_INDEX_VRING_FILE)
		return first_u64(incoming) & VHOST_USER_VRING_INDEX_MASK;
	memcpy(&index, incoming->payload, sizeof(index));
	return index;
}

enum rh_quiet rh_message_quiet(const struct rh_incoming *incoming)
{
	const struct rh_message_row *row =
		rh_message_row(incoming->header.request);
	struct vhost_user_iotlb iotlb;

	if (row->quiet == RH_QUIET_ALL_IF_ZERO)
		return first_u64(incoming) ? RH_QUIET_NONE : RH_QUIET_ALL;
	if (row->quiet != RH_QUIET_INVALIDATION)
		return row->quiet;
	memcpy(&iotlb, incoming->payload, sizeof(iotlb));
	return iotlb.type == VHOST_IOTLB_INVALIDATE ? RH_QUIET_ALL :
						      RH_QUIET_NONE;
}

/* Either the bit that says "no fd", or an fd. */
static bool vring_file_valid(const struct rh_incoming *incoming)
{
	uint64_t value = first_u64(incoming);
	bool no_fd = value & VHOST_USER_VRING_NOFD;

	if (value & ~(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NOFD))
		return false;
	return no_fd == !incoming->nr_fds;
}

static bool index_valid(const struct rh_message_row *row,
			const struct rh_incoming *incoming,
			const struct rh_session *session)
{
	return row->index == RH_INDEX_NONE ||
	       rh_message_queue_index(incoming) < session->nr_queues;
}

int rh_message_check(const struct rh_incoming *incoming,
		     const struct rh_session *session, const char **why)
{
	const struct rh_message_row *row =
		rh_message_row(incoming->header.request);
	uint32_t size = incoming->header.size;

	if (!row)
		*why = "it is not supported";
	else if (size < row->min_bytes || size > row->max_bytes)
		*why = "its payload has the wrong size";
	else if (row->needs_protocol & ~session->protocol_features)
		*why = "its protocol feature was not negotiated";
	else if (row->needs_features & ~session->features)
		*why = "its feature was not negotiated";
	else if (incoming->nr_fds < row->min_fds)
		*why = "a file descriptor is missing";
	else if (incoming->nr_fds > row->max_fds)
		*why = "it came with too many file descriptors";
	else if (row->index == RH_INDEX_VRING_FILE &&
		 !vring_file_valid(incoming))
		*why = "its value and its file descriptor do not match";
	else if (!index_valid(row, incoming, session))
		*why = "the device has no such queue";
	else
		return 0;
	return -EPROTO;
}

/* SPDX-License-Identifier: MIT */
/* payload - a message as a front-end would send it, more or less */
#include <string.h>

#include "common/base.h"
#include "lib/inflight.h"
#include "tests/fuzz/payload.h"

#define PROTOCOL(feature) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##feature)

#define USUAL                                                                  \
	(FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES) |                         \
	 FEATURE_BIT(VIRTIO_F_VERSION_1) |                                     \
	 FEATURE_BIT(VIRTIO_F_RING_INDIRECT_DESC))

static const uint64_t features[] = {
	USUAL,
	USUAL | FEATURE_BIT(VIRTIO_F_RING_EVENT_IDX),
	USUAL | FEATURE_BIT(VIRTIO_F_RING_PACKED),
	USUAL | FEATURE_BIT(VHOST_F_LOG_ALL),
	USUAL | FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM),
	USUAL | FEATURE_BIT(VIRTIO_F_IN_ORDER),
	USUAL | FEATURE_BIT(VIRTIO_F_RING_PACKED) |
		FEATURE_BIT(VHOST_F_LOG_ALL),
	USUAL | FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		FEATURE_BIT(VIRTIO_F_RING_PACKED),
	USUAL | FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		FEATURE_BIT(VHOST_F_LOG_ALL),
	FEATURE_BIT(VIRTIO_F_VERSION_1),
	0,
	UINT64_MAX,
};

#define MANY                                                                   \
	(PROTOCOL(MQ) | PROTOCOL(LOG_SHMFD) | PROTOCOL(REPLY_ACK) |            \
	 PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG) | PROTOCOL(INFLIGHT_SHMFD) | \
	 PROTOCOL(RESET_DEVICE) | PROTOCOL(CONFIGURE_MEM_SLOTS) |              \
	 PROTOCOL(STATUS) | PROTOCOL(DEVICE_STATE) | PROTOCOL(SHARED_OBJECT) | \
	 PROTOCOL(BACKEND_SEND_FD))

static const uint64_t protocol_features[] = {
	MANY,
	MANY | PROTOCOL(PAGEFAULT),
	MANY | PROTOCOL(GET_VRING_BASE_INFLIGHT),
	MANY | PROTOCOL(INBAND_NOTIFICATIONS),
	MANY & ~(PROTOCOL(CONFIG) | PROTOCOL(DEVICE_STATE) |
		 PROTOCOL(SHARED_OBJECT) | PROTOCOL(BACKEND_SEND_FD)),
	MANY & ~PROTOCOL(REPLY_ACK),
	PROTOCOL(INBAND_NOTIFICATIONS),
	PROTOCOL(GET_VRING_BASE_INFLIGHT),
	0,
	UINT64_MAX,
};

static const uint32_t numbers[] = {
	8, 0,	   1,	    2,		16,	    32,		64,    3,
	7, 0x8000, 0x10000, 0xffffffff, 0x80000000, 0x80008000, 0x100, 4,
};

/* guest address, bytes, user address, offset */
static const struct vhost_user_region regions[] = {
	{ 0, PEER_MEMORY_BYTES, PAYLOAD_USER, 0 },
	{ PEER_MEMORY_BYTES, PEER_SMALL_BYTES, PAYLOAD_USER + PEER_MEMORY_BYTES,
	  0 },
	{ 0x100000, 0x1000, PAYLOAD_USER + 0x100000, 0x2000 },
	{ 0x200000, 0x1800, PAYLOAD_USER + 0x200000, 0x1800 },
	{ 0x300000, 0, PAYLOAD_USER + 0x300000, 0 },
	{ 0x8000, PEER_SMALL_BYTES, PAYLOAD_USER + 0x400000, 0 },
	{ UINT64_MAX - 0xfff, 0x1000, PAYLOAD_USER + 0x500000, 0 },
	{ 0x600000, UINT64_MAX, PAYLOAD_USER + 0x600000, 0x1000 },
	{ 0x700000, 0x1000, PAYLOAD_USER + 0x700000, UINT64_MAX - 0xfff },
	{ 0x800000, PEER_MEMORY_BYTES + 1, PAYLOAD_USER + 0x800000, 0 },
};

static const uint8_t region_files[] = {
	PEER_MEMORY, PEER_SMALL, PEER_SMALL, PEER_SMALL, PEER_SMALL,
	PEER_SMALL,  PEER_SMALL, PEER_SMALL, PEER_SMALL, PEER_MEMORY,
};

#define PICK(in, table) ((table)[fuzz_u8(in) % ARRAY_SIZE(table)])

static void put(struct peer_message *message, const void *data, uint32_t bytes)
{
	memcpy(message->payload + message->payload_bytes, data, bytes);
	message->payload_bytes += bytes;
	message->size += bytes;
}

static void put_u64(struct peer_message *message, uint64_t value)
{
	put(message, &value, sizeof(value));
}

static void add_file(struct peer_message *message, uint8_t file)
{
	if (message->nr_files < PEER_MAX_FDS)
		message->files[message->nr_files++] = file;
}

static uint32_t pick_index(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);

	return choice < 0xf0 ? choice % (BACKEND_QUEUES + (choice > 0xe0)) :
			       0x10000u << (choice & 15);
}

static void make_state(struct fuzz_input *in, struct peer_message *message)
{
	const struct vhost_user_vring_state state = {
		.index = pick_index(in),
		.num = PICK(in, numbers),
	};

	put(message, &state, sizeof(state));
}

/* Of two numbers that are each other's opposite, the wanted one mostly */
static void make_enable(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	const struct vhost_user_vring_state state = {
		.index = choice % 4,
		.num = choice < 0xc0 ? 1 : choice / 4 % 4,
	};

	put(message, &state, sizeof(state));
}

static void make_addr(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	uint32_t index = choice % 4;
	uint64_t base = PAYLOAD_USER + index * PAYLOAD_RING;
	struct vhost_user_vring_addr addr = {
		.index = index,
		.flags = choice / 4 & 1,
		.desc_user_addr = base,
		.avail_user_addr = base + PAYLOAD_AVAIL,
		.used_user_addr = base + PAYLOAD_USED,
		.log_guest_addr = index * PAYLOAD_RING + PAYLOAD_USED,
	};

	if (choice & 8)
		addr.used_user_addr += PICK(in, numbers);
	if (choice & 16)
		addr.desc_user_addr += PICK(in, numbers);
	if (choice & 32)
		addr.log_guest_addr = PICK(in, numbers);
	put(message, &addr, sizeof(addr));
}

/* An eventfd, nothing with the bit that says so, or something else */
static void make_vring_file(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	uint64_t index = choice % 4;

	if (choice >= 0xe0) {
		put_u64(message, index | (uint64_t)PICK(in, numbers) << 8);
		add_file(message, fuzz_u8(in) % PEER_NR_FILES);
	} else if (choice & 16) {
		put_u64(message, index | VHOST_USER_VRING_NOFD);
	} else {
		put_u64(message, index);
		add_file(message, choice & 8 ? PEER_FULL : PEER_CALL);
	}
}

static void make_table(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	const uint32_t head[2] = { choice % 9, choice / 9 % 16 == 15 };

	put(message, head, sizeof(head));
	for (uint32_t i = 0; i < head[0]; i++) {
		unsigned int which =
			choice & 64 ? fuzz_u8(in) % ARRAY_SIZE(regions) : i % 4;

		put(message, &regions[which], sizeof(regions[0]));
		add_file(message, region_files[which]);
	}
}

static void make_region(struct fuzz_input *in, struct peer_message *message)
{
	unsigned int which = fuzz_u8(in);

	put_u64(message, 0);
	if (which == 0xff)
		return; /* what confirms a postcopy's memory */
	which %= ARRAY_SIZE(regions);
	put(message, &regions[which], sizeof(regions[0]));
	if (message->request == VHOST_USER_ADD_MEM_REG)
		add_file(message, region_files[which]);
}

static void make_log(struct fuzz_input *in, struct peer_message *message)
{
	static const struct vhost_user_log logs[] = {
		{ PEER_SMALL_BYTES, 0 },
		{ 0x1000, 0x1000 },
		{ 4, 0 },
		{ 0, 0 },
		{ UINT64_MAX - 4095, 8192 },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
		{ 0x1000, 0x10 },
		{ 0x100, 0 },
	};

	put(message, &PICK(in, logs), sizeof(logs[0]));
	add_file(message, PEER_SMALL);
}

static void make_config(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	struct vhost_user_config config = {
		.offset = choice & 1 ? fuzz_u8(in) : 0,
		.size = choice & 2 ? fuzz_u8(in) : BACKEND_CONFIG_BYTES,
		.flags = choice & 4 ? fuzz_u8(in) : 0,
	};
	uint32_t bytes = MIN(config.size, (uint32_t)sizeof(config.region));

	if (choice & 8)
		config.offset += 0x100;
	put(message, &config,
	    (uint32_t)offsetof(struct vhost_user_config, region) + bytes);
}

static void make_iotlb(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	struct vhost_user_iotlb iotlb = {
		.iova = (uint64_t)fuzz_u8(in) << 8,
		.size_bytes = (uint64_t)fuzz_u8(in) << 8,
		.permission = choice & 3,
		.type = choice & 4 ? VHOST_IOTLB_UPDATE :
				     VHOST_IOTLB_INVALIDATE,
	};

	if (choice & 8) /* all of it, as it is */
		iotlb.size_bytes = PEER_MEMORY_BYTES - iotlb.iova;
	if (choice & 16)
		iotlb.iova += PAYLOAD_USER;
	iotlb.user_addr = PAYLOAD_USER + (iotlb.iova & 0xffffff);
	if (choice & 32)
		iotlb.user_addr = PICK(in, numbers);
	if (choice & 64)
		iotlb.size_bytes = UINT64_MAX - PICK(in, numbers);
	if (choice & 128)
		iotlb.type = fuzz_u8(in);
	put(message, &iotlb, sizeof(iotlb));
}

static void make_inflight(struct fuzz_input *in, struct peer_message *message)
{
	bool sets = message->request == VHOST_USER_SET_INFLIGHT_FD;
	uint8_t choice = fuzz_u8(in);
	struct vhost_user_inflight inflight = {
		.nr_queues = choice & 1 ? fuzz_u8(in) : BACKEND_QUEUES,
		.queue_size = choice & 2 ? PICK(in, numbers) & 0xffff : 32,
		.mmap_offset = choice & 4 ? PICK(in, numbers) : 0,
	};

	if (sets)
		inflight.mmap_bytes =
			choice & 8 ? fuzz_u64(in) : rh_inflight_bytes(3, 32);
	put(message, &inflight,
	    choice & 16 ? offsetof(struct vhost_user_inflight, padding) :
			  sizeof(inflight));
	if (sets)
		add_file(message, choice & 32 ? PEER_SMALL : PEER_RECORD);
}

static void make_transfer(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t choice = fuzz_u8(in);
	const struct vhost_user_transfer transfer = {
		.direction = choice & 1,
		.phase = choice >= 0xf0,
	};
	static const uint8_t files[] = { PEER_SMALL,	 PEER_PIPE_WRITE,
					 PEER_PIPE_READ, PEER_CHANNEL,
					 PEER_SPARSE,	 PEER_NULL,
					 PEER_READ_ONLY, PEER_CALL };

	put(message, &transfer, sizeof(transfer));
	add_file(message, files[choice / 2 % ARRAY_SIZE(files)]);
}

static void make_number(struct fuzz_input *in, struct peer_message *message)
{
	uint32_t request = message->request;
	uint8_t choice = fuzz_u8(in);

	if (choice == 0xff)
		put_u64(message, fuzz_u64(in));
	else if (request == VHOST_USER_SET_FEATURES)
		put_u64(message, features[choice % ARRAY_SIZE(features)]);
	else if (request == VHOST_USER_SET_PROTOCOL_FEATURES)
		put_u64(message,
			protocol_features[choice %
					  ARRAY_SIZE(protocol_features)]);
	else
		put_u64(message, choice);
}

static void make_shared(struct fuzz_input *in, struct peer_message *message)
{
	put_u64(message, fuzz_u8(in) & 1);
	put_u64(message, 0);
}

static void make_event(struct fuzz_input *in, struct peer_message *message)
{
	(void)in;
	add_file(message, PEER_CALL);
}

static void make_channel(struct fuzz_input *in, struct peer_message *message)
{
	(void)in;
	add_file(message, PEER_CHANNEL);
}

/* What is not here has neither payload nor file. */
static void (*const makers[VHOST_USER_REQUEST_END])(struct fuzz_input *,
						    struct peer_message *) = {
	[VHOST_USER_NONE] = make_number,
	[VHOST_USER_SET_FEATURES] = make_number,
	[VHOST_USER_SET_PROTOCOL_FEATURES] = make_number,
	[VHOST_USER_SET_STATUS] = make_number,
	[VHOST_USER_SET_MEM_TABLE] = make_table,
	[VHOST_USER_ADD_MEM_REG] = make_region,
	[VHOST_USER_REM_MEM_REG] = make_region,
	[VHOST_USER_SET_LOG_BASE] = make_log,
	[VHOST_USER_SET_LOG_FD] = make_event,
	[VHOST_USER_SET_VRING_NUM] = make_state,
	[VHOST_USER_SET_VRING_BASE] = make_state,
	[VHOST_USER_GET_VRING_BASE] = make_state,
	[VHOST_USER_VRING_KICK] = make_state,
	[VHOST_USER_SET_VRING_ENABLE] = make_enable,
	[VHOST_USER_SET_VRING_ADDR] = make_addr,
	[VHOST_USER_SET_VRING_KICK] = make_vring_file,
	[VHOST_USER_SET_VRING_CALL] = make_vring_file,
	[VHOST_USER_SET_VRING_ERR] = make_vring_file,
	[VHOST_USER_SET_BACKEND_REQ_FD] = make_channel,
	[VHOST_USER_IOTLB_MSG] = make_iotlb,
	[VHOST_USER_GET_CONFIG] = make_config,
	[VHOST_USER_SET_CONFIG] = make_config,
	[VHOST_USER_GET_INFLIGHT_FD] = make_inflight,
	[VHOST_USER_SET_INFLIGHT_FD] = make_inflight,
	[VHOST_USER_SET_DEVICE_STATE_FD] = make_transfer,
	[VHOST_USER_GET_SHARED_OBJECT] = make_shared,
};

void payload_make(struct fuzz_input *in, uint32_t request,
		  struct peer_message *ret)
{
	*ret = (struct peer_message){
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY,
	};
	if (request < VHOST_USER_REQUEST_END && makers[request])
		makers[request](in, ret);
}

void payload_spoil(struct fuzz_input *in, struct peer_message *message)
{
	uint8_t how = fuzz_u8(in);

	if (how & 1)
		message->flags = fuzz_u8(in);
	if (how & 2) {
		message->size = fuzz_u8(in);
		message->payload_bytes = message->size;
	}
	if (how & 4)
		message->size = PICK(in, numbers);
	if (how & 8)
		add_file(message, fuzz_u8(in) % PEER_NR_FILES);
	if (how & 16)
		message->nr_files = 0;
	if (how & 32)
		message->cut = 1 + fuzz_u8(in) % 32;
	if (how & 64) {
		unsigned int at = fuzz_u8(in) % 64;

		fuzz_bytes(in, message->payload + at, 1 + fuzz_u8(in) % 8);
	}
	for (int i = fuzz_u8(in) % 10; how & 128 && i > 0; i--)
		add_file(message, PEER_CALL);
}

static void tell_number(struct fuzz_peer *peer, uint32_t request,
			uint64_t value)
{
	struct peer_message message = {
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY,
	};

	put_u64(&message, value);
	peer_send(peer, &message);
}

static void tell(struct fuzz_peer *peer, uint32_t request, const uint8_t *bytes,
		 size_t nr)
{
	struct fuzz_input in = { bytes, nr ? bytes + nr : bytes };
	struct peer_message message;

	payload_make(&in, request, &message);
	peer_send(peer, &message);
}

static void start_queue(struct fuzz_peer *peer, uint8_t index, bool is_polled)
{
	const uint8_t kick = is_polled ? index | 16 : index;

	tell(peer, VHOST_USER_SET_VRING_NUM, (uint8_t[]){ index, 0 }, 2);
	tell(peer, VHOST_USER_SET_VRING_ADDR, (uint8_t[]){ index }, 1);
	tell(peer, VHOST_USER_SET_VRING_CALL, (uint8_t[]){ index }, 1);
	tell(peer, VHOST_USER_SET_VRING_KICK, &kick, 1);
	tell(peer, VHOST_USER_SET_VRING_ENABLE, (uint8_t[]){ index }, 1);
}

void payload_set_up(struct fuzz_peer *peer, struct fuzz_input *in)
{
	uint8_t parts = fuzz_u8(in);
	uint8_t choice = fuzz_u8(in);
	uint64_t driver = features[choice % ARRAY_SIZE(features)];
	uint64_t protocol = protocol_features[choice / ARRAY_SIZE(features) %
					      ARRAY_SIZE(protocol_features)];

	tell_number(peer, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
	tell_number(peer, VHOST_USER_SET_FEATURES, driver);
	if (parts & 1)
		tell(peer, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0);
	if (parts & 2)
		tell(peer, VHOST_USER_SET_MEM_TABLE, (uint8_t[]){ 4 }, 1);
	if (parts & 4)
		tell(peer, VHOST_USER_SET_LOG_BASE, (uint8_t[]){ 0 }, 1);
	if (parts & 8)
		tell(peer, VHOST_USER_GET_INFLIGHT_FD, NULL, 0);
	if (parts & 16)
		tell(peer, VHOST_USER_SET_INFLIGHT_FD, NULL, 0);
	if (parts & 32)
		start_queue(peer, 0, parts & 128);
	if (parts & 64)
		start_queue(peer, 1, parts & 128);
	if (parts & 32)
		tell(peer, VHOST_USER_SET_STATUS, (uint8_t[]){ 15 }, 1);
}

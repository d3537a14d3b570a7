/* SPDX-License-Identifier: MIT */
/*
 * wire - vhost-user's numbers and layouts, as a front-end needs them
 *
 * Written down from the vhost-user document anew and shared with no back-end,
 * so that a mistake cannot hide on both sides. Names are those of the
 * document, with fe_ in front.
 */
#ifndef FRONTEND_WIRE_H
#define FRONTEND_WIRE_H

#include <stdint.h>

/* vhost-user, Front-end message types */
enum fe_request {
	FE_GET_FEATURES = 1,
	FE_SET_FEATURES = 2,
	FE_SET_OWNER = 3,
	FE_RESET_OWNER = 4,
	FE_SET_MEM_TABLE = 5,
	FE_SET_LOG_BASE = 6,
	FE_SET_LOG_FD = 7,
	FE_SET_VRING_NUM = 8,
	FE_SET_VRING_ADDR = 9,
	FE_SET_VRING_BASE = 10,
	FE_GET_VRING_BASE = 11,
	FE_SET_VRING_KICK = 12,
	FE_SET_VRING_CALL = 13,
	FE_SET_VRING_ERR = 14,
	FE_GET_PROTOCOL_FEATURES = 15,
	FE_SET_PROTOCOL_FEATURES = 16,
	FE_GET_QUEUE_NUM = 17,
	FE_SET_VRING_ENABLE = 18,
	FE_SEND_RARP = 19,
	FE_NET_SET_MTU = 20,
	FE_SET_BACKEND_REQ_FD = 21,
	FE_IOTLB_MSG = 22,
	FE_SET_VRING_ENDIAN = 23,
	FE_GET_CONFIG = 24,
	FE_SET_CONFIG = 25,
	FE_CREATE_CRYPTO_SESSION = 26,
	FE_CLOSE_CRYPTO_SESSION = 27,
	FE_POSTCOPY_ADVISE = 28,
	FE_POSTCOPY_LISTEN = 29,
	FE_POSTCOPY_END = 30,
	FE_GET_INFLIGHT_FD = 31,
	FE_SET_INFLIGHT_FD = 32,
	FE_GPU_SET_SOCKET = 33,
	FE_RESET_DEVICE = 34,
	FE_VRING_KICK = 35,
	FE_GET_MAX_MEM_SLOTS = 36,
	FE_ADD_MEM_REG = 37,
	FE_REM_MEM_REG = 38,
	FE_SET_STATUS = 39,
	FE_GET_STATUS = 40,
	FE_GET_SHARED_OBJECT = 41,
	FE_SET_DEVICE_STATE_FD = 42,
	FE_CHECK_DEVICE_STATE = 43,
	FE_GET_SHMEM_CONFIG = 44,
};

/* vhost-user, Back-end message types */
enum fe_backend_request {
	FE_BACKEND_IOTLB_MSG = 1,
	FE_BACKEND_CONFIG_CHANGE = 2,
	FE_BACKEND_VRING_CALL = 4,
	FE_BACKEND_VRING_ERR = 5,
	FE_BACKEND_SHARED_OBJECT_ADD = 6,
	FE_BACKEND_SHARED_OBJECT_REMOVE = 7,
	FE_BACKEND_SHARED_OBJECT_LOOKUP = 8,
};

#define FE_BIT(number) (UINT64_C(1) << (number))

/* vhost-user, Protocol features: masks */
#define FE_PROTOCOL_MQ		    FE_BIT(0)
#define FE_PROTOCOL_LOG_SHMFD	    FE_BIT(1)
#define FE_PROTOCOL_REPLY_ACK	    FE_BIT(3)
#define FE_PROTOCOL_BACKEND_REQ	    FE_BIT(5)
#define FE_PROTOCOL_PAGEFAULT	    FE_BIT(8)
#define FE_PROTOCOL_CONFIG	    FE_BIT(9)
#define FE_PROTOCOL_BACKEND_SEND_FD FE_BIT(10)
#define FE_PROTOCOL_INFLIGHT	    FE_BIT(12)
#define FE_PROTOCOL_RESET_DEVICE    FE_BIT(13)
#define FE_PROTOCOL_INBAND	    FE_BIT(14)
#define FE_PROTOCOL_MEM_SLOTS	    FE_BIT(15)
#define FE_PROTOCOL_STATUS	    FE_BIT(16)
#define FE_PROTOCOL_SHARED_OBJECT   FE_BIT(18)
#define FE_PROTOCOL_DEVICE_STATE    FE_BIT(19)
#define FE_PROTOCOL_BASE_INFLIGHT   FE_BIT(20)

/* Feature bits of transport and rings: masks */
#define FE_FEATURE_NOTIFY_ON_EMPTY   FE_BIT(24)
#define FE_FEATURE_LOG_ALL	     FE_BIT(26)
#define FE_FEATURE_INDIRECT	     FE_BIT(28)
#define FE_FEATURE_EVENT_IDX	     FE_BIT(29)
#define FE_FEATURE_PROTOCOL	     FE_BIT(30)
#define FE_FEATURE_VERSION_1	     FE_BIT(32)
#define FE_FEATURE_PLATFORM	     FE_BIT(33)
#define FE_FEATURE_PACKED	     FE_BIT(34)
#define FE_FEATURE_IN_ORDER	     FE_BIT(35)
#define FE_FEATURE_NOTIFICATION_DATA FE_BIT(38)
#define FE_FEATURE_RING_RESET	     FE_BIT(40)

/* The header's flags */
#define FE_FLAG_VERSION	   1u
#define FE_FLAG_REPLY	   (1u << 2)
#define FE_FLAG_NEED_REPLY (1u << 3)

/* SET_VRING_KICK, _CALL and _ERR: no fd comes with it */
#define FE_VRING_NO_FD	       (UINT64_C(1) << 8)

#define FE_HEADER_BYTES	       12
#define FE_MAX_PAYLOAD_BYTES   4096
#define FE_MAX_TABLE_REGIONS   8
#define FE_MAX_CONFIG_BYTES    256
#define FE_CONFIG_HEADER_BYTES 12  /* in front of the configuration bytes */
#define FE_MAX_SENT_FDS	       253 /* what sendmsg(2) takes at once */

struct fe_vring_state {
	uint32_t index;
	uint32_t num;
};

struct fe_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct fe_wire_region {
	uint64_t guest_addr;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct fe_wire_table {
	uint32_t nr_regions;
	uint32_t padding;
	struct fe_wire_region regions[FE_MAX_TABLE_REGIONS];
};

struct fe_wire_single {
	uint64_t padding;
	struct fe_wire_region region;
};

struct fe_wire_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[FE_MAX_CONFIG_BYTES];
};

struct fe_wire_log {
	uint64_t size_bytes;
	uint64_t mmap_offset;
};

struct fe_wire_iotlb {
	uint64_t iova;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint8_t permission;
	uint8_t type;
	uint8_t padding[6];
};

struct fe_wire_inflight {
	uint64_t mmap_bytes;
	uint64_t mmap_offset;
	uint16_t nr_queues;
	uint16_t queue_size;
	uint8_t padding[4];
};

struct fe_wire_transfer {
	uint32_t direction;
	uint32_t phase;
};

#endif

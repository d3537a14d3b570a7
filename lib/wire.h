/* SPDX-License-Identifier: MIT */
/*
 * wire - the layouts and numbers of vhost-user and of virtqueues
 *
 * Names are those of the vhost-user document and of virtio 1.3, so that a
 * search for one finds the other. No code. vhost-user fields are in the byte
 * order of the host that both ends run on; the rings are little-endian.
 */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <stdint.h>

#include "common/endian.h"

/* vhost-user, Front-end message types */
enum vhost_user_request {
	VHOST_USER_NONE = 0, /* of no message, and yet sent; see message.c */
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_IOTLB_MSG = 22,
	VHOST_USER_SET_VRING_ENDIAN = 23,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_CREATE_CRYPTO_SESSION = 26,
	VHOST_USER_CLOSE_CRYPTO_SESSION = 27,
	VHOST_USER_POSTCOPY_ADVISE = 28,
	VHOST_USER_POSTCOPY_LISTEN = 29,
	VHOST_USER_POSTCOPY_END = 30,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_GPU_SET_SOCKET = 33,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_VRING_KICK = 35,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_GET_SHARED_OBJECT = 41,
	VHOST_USER_SET_DEVICE_STATE_FD = 42,
	VHOST_USER_CHECK_DEVICE_STATE = 43,
	VHOST_USER_GET_SHMEM_CONFIG = 44,
	VHOST_USER_REQUEST_END
};

/* vhost-user, Back-end message types */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_IOTLB_MSG = 1,
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
	VHOST_USER_BACKEND_SHARED_OBJECT_ADD = 6,
	VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE = 7,
	VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP = 8,
};

/* vhost-user, Protocol features: bit numbers */
enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_PAGEFAULT = 8,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_SHARED_OBJECT = 18,
	VHOST_USER_PROTOCOL_F_DEVICE_STATE = 19,
	VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT = 20,
};

/* Feature bits of the transport and the rings (virtio 1.3, 6) */
#define VIRTIO_F_NOTIFY_ON_EMPTY       24
#define VHOST_F_LOG_ALL		       26
#define VIRTIO_F_RING_INDIRECT_DESC    28
#define VIRTIO_F_RING_EVENT_IDX	       29
#define VHOST_USER_F_PROTOCOL_FEATURES 30
#define VIRTIO_F_VERSION_1	       32
#define VIRTIO_F_ACCESS_PLATFORM       33
#define VIRTIO_F_RING_PACKED	       34
#define VIRTIO_F_IN_ORDER	       35
#define VIRTIO_F_NOTIFICATION_DATA     38
#define VIRTIO_F_RING_RESET	       40

/* Device status (virtio 1.3, 2.1) */
#define VIRTIO_STATUS_DRIVER_OK		 4
#define VIRTIO_STATUS_FEATURES_OK	 8
#define VIRTIO_STATUS_DEVICE_NEEDS_RESET 64

#define FEATURE_BIT(number)		 (UINT64_C(1) << (number))

/* vhost-user, Header */
struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

#define VHOST_USER_VERSION	   1u
#define VHOST_USER_VERSION_MASK	   0x3u
#define VHOST_USER_FLAG_REPLY	   (1u << 2)
#define VHOST_USER_FLAG_NEED_REPLY (1u << 3)
#define VHOST_USER_FLAGS_KNOWN	   0xfu

/* Each message carries 8 at most: one a region of SET_MEM_TABLE. */
#define VHOST_USER_MAX_FDS     8
#define VHOST_USER_MAX_REGIONS 8

/* The payload of SET_VRING_KICK, _CALL and _ERR */
#define VHOST_USER_VRING_INDEX_MASK 0xffull
#define VHOST_USER_VRING_NOFD	    (1ull << 8)

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc_user_addr;
	uint64_t used_user_addr;
	uint64_t avail_user_addr;
	uint64_t log_guest_addr;
};

#define VHOST_VRING_F_LOG (1u << 0)

struct vhost_user_region {
	uint64_t guest_addr;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vhost_user_memory {
	uint32_t nr_regions;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
};

/* ADD_MEM_REG and REM_MEM_REG: one region, with padding in front */
struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
};

#define VHOST_USER_MAX_CONFIG_BYTES 256

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_USER_MAX_CONFIG_BYTES];
};

/* vhost-user, Log description: the bitmap lies in the fd that comes along */
struct vhost_user_log {
	uint64_t size_bytes;
	uint64_t mmap_offset;
};

#define VHOST_LOG_PAGE_BYTES 4096

/* vhost-user, IOTLB: a miss, an update, an invalidation */
struct vhost_user_iotlb {
	uint64_t iova;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint8_t permission;
	uint8_t type;
	uint8_t padding[6];
};

#define VHOST_ACCESS_RO		1
#define VHOST_ACCESS_WO		2
#define VHOST_ACCESS_RW		3
#define VHOST_IOTLB_MISS	1
#define VHOST_IOTLB_UPDATE	2
#define VHOST_IOTLB_INVALIDATE	3
#define VHOST_IOTLB_ACCESS_FAIL 4

/* vhost-user, Inflight description */
struct vhost_user_inflight {
	uint64_t mmap_bytes;
	uint64_t mmap_offset;
	uint16_t nr_queues;
	uint16_t queue_size;
	uint8_t padding[4];
};

/* vhost-user, Device state transfer parameters */
struct vhost_user_transfer {
	uint32_t direction;
	uint32_t phase;
};

/* vhost-user, VhostUserShared: names a buffer that devices share */
struct vhost_user_shared {
	uint8_t uuid[16];
};

/* Split virtqueues (virtio 1.3, 2.7) */
struct virtq_desc {
	struct le64 addr;
	struct le32 len;
	struct le16 flags;
	struct le16 next;
};

#define VIRTQ_DESC_F_NEXT     1
#define VIRTQ_DESC_F_WRITE    2
#define VIRTQ_DESC_F_INDIRECT 4

struct virtq_avail {
	struct le16 flags;
	struct le16 idx;
	struct le16 ring[];
	/* behind the ring: struct le16 used_event */
};

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1

struct virtq_used_elem {
	struct le32 id;
	struct le32 len;
};

struct virtq_used {
	struct le16 flags;
	struct le16 idx;
	struct virtq_used_elem ring[];
	/* behind the ring: struct le16 avail_event */
};

#define VIRTQ_USED_F_NO_NOTIFY 1

#define VIRTQ_DESC_ALIGN       16
#define VIRTQ_AVAIL_ALIGN      2
#define VIRTQ_USED_ALIGN       4

/* Packed virtqueues (virtio 1.3, 2.8); NEXT, WRITE, INDIRECT as above */
struct pvirtq_desc {
	struct le64 addr;
	struct le32 len;
	struct le16 id;
	struct le16 flags;
};

#define VIRTQ_DESC_F_AVAIL (1 << 7)
#define VIRTQ_DESC_F_USED  (1 << 15)

/* A position: bits 0 to 14 are the index, bit 15 is the wrap counter. */
#define PVIRTQ_INDEX_MASK 0x7fff
#define PVIRTQ_WRAP	  0x8000

struct pvirtq_event_suppress {
	struct le16 desc; /* a position */
	struct le16 flags;
};

#define RING_EVENT_FLAGS_ENABLE	 0
#define RING_EVENT_FLAGS_DISABLE 1
#define RING_EVENT_FLAGS_DESC	 2
#define RING_EVENT_FLAGS_MASK	 3

#define PVIRTQ_DESC_ALIGN	 16
#define PVIRTQ_EVENT_ALIGN	 4

_Static_assert(sizeof(struct vhost_user_header) == 12, "vhost-user, Header");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "vring address");
_Static_assert(sizeof(struct vhost_user_region) == 32, "memory region");
_Static_assert(sizeof(struct vhost_user_memory) == 264, "memory regions");
_Static_assert(sizeof(struct vhost_user_single_region) == 40, "single region");
_Static_assert(sizeof(struct vhost_user_config) == 268, "config space");
_Static_assert(sizeof(struct vhost_user_log) == 16, "log description");
_Static_assert(sizeof(struct vhost_user_iotlb) == 32, "IOTLB message");
_Static_assert(sizeof(struct vhost_user_inflight) == 24, "inflight");
_Static_assert(sizeof(struct vhost_user_transfer) == 8, "device state");
_Static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.3, 2.7.5");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "virtio 1.3, 2.7.8");
_Static_assert(sizeof(struct pvirtq_desc) == 16, "virtio 1.3, 2.8.13");
_Static_assert(sizeof(struct pvirtq_event_suppress) == 4, "virtio 1.3, 2.8.14");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * names - feature bits under the names of their documents
 */
#include "check/names.h"

#include <linux/virtio_blk.h>

#include "common/base.h"

static const char *const feature_names[64] = {
	[VIRTIO_BLK_F_SIZE_MAX] = "VIRTIO_BLK_F_SIZE_MAX",
	[VIRTIO_BLK_F_SEG_MAX] = "VIRTIO_BLK_F_SEG_MAX",
	[VIRTIO_BLK_F_GEOMETRY] = "VIRTIO_BLK_F_GEOMETRY",
	[VIRTIO_BLK_F_RO] = "VIRTIO_BLK_F_RO",
	[VIRTIO_BLK_F_BLK_SIZE] = "VIRTIO_BLK_F_BLK_SIZE",
	[9] = "VIRTIO_BLK_F_FLUSH",
	[VIRTIO_BLK_F_TOPOLOGY] = "VIRTIO_BLK_F_TOPOLOGY",
	[11] = "VIRTIO_BLK_F_CONFIG_WCE",
	[VIRTIO_BLK_F_MQ] = "VIRTIO_BLK_F_MQ",
	[VIRTIO_BLK_F_DISCARD] = "VIRTIO_BLK_F_DISCARD",
	[VIRTIO_BLK_F_WRITE_ZEROES] = "VIRTIO_BLK_F_WRITE_ZEROES",
	[15] = "VIRTIO_BLK_F_LIFETIME",
	[16] = "VIRTIO_BLK_F_SECURE_ERASE",
	[24] = "VIRTIO_F_NOTIFY_ON_EMPTY",
	[26] = "VHOST_F_LOG_ALL",
	[27] = "VIRTIO_F_ANY_LAYOUT",
	[28] = "VIRTIO_F_INDIRECT_DESC",
	[29] = "VIRTIO_F_EVENT_IDX",
	[30] = "VHOST_USER_F_PROTOCOL_FEATURES",
	[32] = "VIRTIO_F_VERSION_1",
	[33] = "VIRTIO_F_ACCESS_PLATFORM",
	[34] = "VIRTIO_F_RING_PACKED",
	[35] = "VIRTIO_F_IN_ORDER",
	[36] = "VIRTIO_F_ORDER_PLATFORM",
	[37] = "VIRTIO_F_SR_IOV",
	[38] = "VIRTIO_F_NOTIFICATION_DATA",
	[40] = "VIRTIO_F_RING_RESET",
};

static const char *const protocol_names[64] = {
	[0] = "MQ",
	[1] = "LOG_SHMFD",
	[2] = "RARP",
	[3] = "REPLY_ACK",
	[4] = "MTU",
	[5] = "BACKEND_REQ",
	[6] = "CROSS_ENDIAN",
	[7] = "CRYPTO_SESSION",
	[8] = "PAGEFAULT",
	[9] = "CONFIG",
	[10] = "BACKEND_SEND_FD",
	[11] = "HOST_NOTIFIER",
	[12] = "INFLIGHT_SHMFD",
	[13] = "RESET_DEVICE",
	[14] = "INBAND_NOTIFICATIONS",
	[15] = "CONFIGURE_MEM_SLOTS",
	[16] = "STATUS",
	[17] = "XEN_MMAP",
	[18] = "SHARED_OBJECT",
	[19] = "DEVICE_STATE",
	[20] = "GET_VRING_BASE_INFLIGHT",
};

static const char *name_of(const char *const *names, uint64_t bits)
{
	for (unsigned int bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			return names[bit] ? names[bit] : "?";
	return "?";
}

const char *names_feature(uint64_t features)
{
	return name_of(feature_names, features);
}

const char *names_protocol(uint64_t protocol)
{
	return name_of(protocol_names, protocol);
}

/* SPDX-License-Identifier: MIT */
/*
 * object - buffers that devices of one virtual machine share by their UUIDs
 *
 * A device announces an object and hands out its file, a dma-buf say, when its
 * object_get() is called; another looks it up and gets the file through its
 * object_found() (struct rh_device_ops). virtio 1.3, 2.12, and vhost-user,
 * VHOST_USER_BACKEND_SHARED_OBJECT_ADD and its neighbours.
 *
 * The messages are sent in the order of the calls, as soon as the front-end
 * has answered the one before and while a ring of the device is started.
 *
 * Thread: that of the device. Each returns 0 when the message will be sent,
 * -ENOTCONN when there is no front-end that takes such messages, or -ENOBUFS
 * when 32 wait already.
 */
#ifndef RINGHOST_OBJECT_H
#define RINGHOST_OBJECT_H

#include <ringhost/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Announce the object, or take that back. Since 0.1. */
RH_API int rh_device_object_add(struct rh_device *device,
				const uint8_t uuid[RH_UUID_BYTES]);
RH_API int rh_device_object_remove(struct rh_device *device,
				   const uint8_t uuid[RH_UUID_BYTES]);

/*
 * Ask for the object of another device. object_found() is called once for
 * each call that returned 0. -EINVAL: the device has no such operation.
 * Since 0.1.
 */
RH_API int rh_device_object_lookup(struct rh_device *device,
				   const uint8_t uuid[RH_UUID_BYTES]);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * device - a virtio device that a front-end reaches over vhost-user
 *
 * A device author fills in struct rh_device_config, creates the device, gives
 * it a socket, and calls rh_device_run() whenever rh_device_fd() is readable.
 * The library speaks the protocol, maps guest memory and checks the rings; it
 * hands out queues through queue_start() and asks for them back through
 * queue_stop(). It has no thread and no loop of its own.
 *
 * One front-end is served at a time. The next one's connection waits, and is
 * served as soon as the first has gone and its requests have ended.
 *
 * Thread: one thread at a time, the one that runs the device. A device may
 * move to another loop or thread between two calls: take its fd out of the
 * one, put it into the other. All operations are called from rh_device_run()
 * (or another call into the device) in that thread.
 */
#ifndef RINGHOST_DEVICE_H
#define RINGHOST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ringhost/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rh_device;

#define RH_MAX_QUEUES	   256	 /* vhost-user names queues with 8 bits */
#define RH_MAX_QUEUE_SIZE  32768 /* virtio 1.3, 2.7 */
#define RH_MAX_CONFIG	   256	 /* vhost-user, Virtio device config space */
#define RH_MAX_STATE_BYTES (64u << 20)
#define RH_UUID_BYTES	   16 /* of a shared object */

/* What a device does. A member that is NULL takes its default. */
struct rh_device_ops {
	/*
	 * The queue is ready: its owner may pop from now on, and should look
	 * at it at once. Needed.
	 *
	 * Returns 0, or -errno: the queue then counts as broken, its error
	 * eventfd is signalled, and queue_stop() is not called for it.
	 */
	int (*queue_start)(void *opaque, struct rh_queue *queue);

	/*
	 * Take nothing more from the queue, finish what was taken, then call
	 * rh_queue_stopped() from the queue's owner. Until then the front-end
	 * waits, and no message of it is read. Needed.
	 *
	 * The queue may be started again right after, with other memory or
	 * another kick fd: start and stop also bracket each change that must
	 * not happen under a running queue.
	 */
	void (*queue_stop)(void *opaque, struct rh_queue *queue);

	/*
	 * Fill data with size bytes of the configuration space from offset
	 * on; both lie within config_bytes. Needed if that is not 0.
	 * Returns 0 or -errno. virtio 1.3, 2.5.
	 */
	int (*config_get)(void *opaque, uint32_t offset, void *data,
			  uint32_t size);

	/*
	 * The driver writes to the configuration space; bounds as above.
	 * Returns 0 or -errno, which the front-end is told. Default: refuse.
	 */
	int (*config_set)(void *opaque, uint32_t offset, const void *data,
			  uint32_t size);

	/* The driver accepted these feature bits, all of them offered. */
	void (*features_set)(void *opaque, uint64_t features);

	/*
	 * The driver reset the device (RESET_DEVICE); no queue runs. A status
	 * of 0, which front-ends also set when they pause a VM, is no reset.
	 */
	void (*reset)(void *opaque);

	/* A session begins. pid: of the front-end, 0 if it is not known. */
	void (*connected)(void *opaque, pid_t pid);

	/*
	 * The session is over: no queue runs, guest memory is unmapped, the
	 * connection closed. error: 0 when the front-end closed it at a
	 * message boundary or rh_device_stop() ended it, else -errno:
	 * -EPROTO for a message that may not be answered, -ECONNRESET for an
	 * end inside a message, -ETIMEDOUT for a peer that stopped there,
	 * -EFAULT for one that took its memory back, -ENOSPC or -ENOMEM when
	 * the host could not wait for it: each file that is waited for takes
	 * memory, and counts to /proc/sys/fs/epoll/max_user_watches.
	 */
	void (*disconnected)(void *opaque, int error);

	/* rh_device_pause() is complete: no queue runs. */
	void (*paused)(void *opaque);

	/* The queue has broken, once until it starts again. why: a clause. */
	void (*queue_broken)(void *opaque, struct rh_queue *queue,
			     const char *why);

	/*
	 * Another device asks for the object of this UUID. Returns a file
	 * descriptor, which the library sends and closes, or -errno.
	 */
	int (*object_get)(void *opaque, const uint8_t uuid[RH_UUID_BYTES]);

	/*
	 * The end of an rh_device_object_lookup(). fd: the device's from now
	 * on, or -errno: -ENOENT if there is no such object. <ringhost/object.h>
	 * With this operation or the one before the device takes part in the
	 * exchange of shared objects.
	 */
	void (*object_found)(void *opaque, const uint8_t uuid[RH_UUID_BYTES],
			     int fd);

	/*
	 * The state that a device at another place needs to go on, besides
	 * the rings; no ring is started. *data is from malloc(3), freed by the
	 * library, NULL for no bytes. Returns 0 or -errno. vhost-user,
	 * Migrating back-end state. Both or none; none: it is not offered.
	 */
	int (*state_save)(void *opaque, void **data, size_t *bytes);

	/*
	 * Take such a state over. It came from the front-end: trust nothing in
	 * it. At most RH_MAX_STATE_BYTES. Returns 0 or -errno.
	 */
	int (*state_load)(void *opaque, const void *data, size_t bytes);
};

/*
 * The device answers chains with a non-zero error member itself (see struct
 * rh_chain), where others have such a chain break its queue.
 */
#define RH_DEVICE_BAD_CHAINS (1u << 0)

struct rh_device_config {
	const char *name; /* tag of log lines; copied */
	const struct rh_device_ops *ops;
	void *opaque;
	/*
	 * Feature bits of the device type (virtio 1.3, 2.2). The library
	 * adds those of the transport and the rings itself.
	 */
	uint64_t features;
	unsigned int nr_queues;	     /* 1 to RH_MAX_QUEUES */
	unsigned int max_queue_size; /* a power of two; 0 means 1024 */
	uint32_t config_bytes;	     /* 0 to RH_MAX_CONFIG */
	uint32_t flags;		     /* RH_DEVICE_... */
};

/*
 * Returns 0 with *ret set, or -EINVAL, -ENOMEM, -EMFILE, -ENOSPC (see
 * disconnected()). Since 0.1.
 */
RH_API int rh_device_create(const struct rh_device_config *config,
			    struct rh_device **ret);

/*
 * Survive a front-end that takes back memory which it has shared, by shrinking
 * its file for instance. Touching what is missing raises SIGBUS, which ends a
 * process; with this only the session ends, with -EFAULT.
 *
 * Sets a handler for the whole process; one that was set before is called for
 * all other faults. No thread that touches guest memory may block SIGBUS.
 * Returns 0 or -errno. Since 0.1.
 */
RH_API int rh_device_guard_memory(void);

/*
 * Free a device that rh_device_finished(), or one that never had a socket.
 * NULL is accepted. Calling it earlier is a bug of the caller, since a queue
 * may still be in another thread's hands, and so is calling it inside an
 * operation: both are asserted. Since 0.1.
 */
RH_API void rh_device_destroy(struct rh_device *device);

/*
 * Serve front-ends that connect to this listening AF_UNIX stream socket.
 *
 * fd: owned by the device from a successful call on. Returns 0, -EBUSY when
 * the device has a socket, -ENOSPC as above, or another -errno. Since 0.1.
 * While the host has no room to accept a front-end, it is tried again.
 */
RH_API int rh_device_listen(struct rh_device *device, int fd);

/*
 * Serve the front-end at the other end of this connected socket; when it
 * goes, the device is finished. fd and errors as above. Since 0.1.
 */
RH_API int rh_device_connect(struct rh_device *device, int fd);

/*
 * The one fd to wait on; readable when rh_device_run() has work. The same
 * for the device's whole life; owned by the device. Since 0.1.
 */
RH_API int rh_device_fd(const struct rh_device *device);

/*
 * Do what is ready and return; never blocks. Does nothing inside an operation.
 * Since 0.1.
 *
 * Returns 0, or -errno when the listening socket is beyond use (the device
 * is then finished once the running session has ended).
 */
RH_API int rh_device_run(struct rh_device *device);

/*
 * End the session and accept no other. Asynchronous: go on calling
 * rh_device_run() until rh_device_finished(). Since 0.1.
 */
RH_API void rh_device_stop(struct rh_device *device);

/*
 * True when nothing is left to do: no session, no socket to accept one from.
 * Since 0.1.
 */
RH_API bool rh_device_finished(const struct rh_device *device);

/*
 * Stop all queues and start none until rh_device_resume(). Asynchronous:
 * paused() is called when the last one has stopped, which may be within this
 * call. Messages are not read while paused. Since 0.1.
 */
RH_API void rh_device_pause(struct rh_device *device);
RH_API void rh_device_resume(struct rh_device *device);

/*
 * The configuration space has changed: tell the driver, if a front-end is
 * there and gave a channel for it. Since 0.1; VHOST_USER_BACKEND_CONFIG_
 * CHANGE_MSG.
 *
 * Returns 1 when the message was sent or will be (when the one before it has
 * been answered, and a ring is started), 0 when there was nobody to tell, or
 * -errno when the channel failed and was closed.
 */
RH_API int rh_device_config_changed(struct rh_device *device);

#ifdef __cplusplus
}
#endif

#endif

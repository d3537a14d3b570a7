/* SPDX-License-Identifier: MIT */
/*
 * queue - one virtqueue as the device sees it
 *
 * A device takes chains out of a queue, does what they ask, and puts them
 * back. The queue checks each chain before handing it over: what the device
 * holds lies inside guest memory and is shaped as the spec allows.
 *
 * A turn of a device without a polling loop:
 *
 *	do {
 *		rh_queue_suppress_kicks(queue);
 *		while (rh_queue_pop(queue, &chain) > 0)
 *			... work, then rh_queue_push(queue, chain, written);
 *		if (rh_queue_flush(queue))
 *			rh_queue_notify(queue);
 *	} while (rh_queue_expect_kicks(queue));
 *
 * and then wait for rh_queue_kick_fd() to become readable.
 *
 * Owner: the thread given this queue by queue_start(), until that thread
 * calls rh_queue_stopped(). Nothing here may be called from another thread,
 * save where a function says so.
 *
 * At the target of a postcopy migration guest memory arrives page by page, and
 * a page that is touched too early, by a call here or in a chain's buffers,
 * makes the thread wait for the front-end. The thread that runs the device
 * never waits so unless it is a queue's owner too.
 */
#ifndef RINGHOST_QUEUE_H
#define RINGHOST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <ringhost/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rh_queue;

/* Most buffers of one chain after it was cut where memory regions meet. */
#define RH_CHAIN_MAX_IOV 1024

/*
 * A descriptor chain: what the driver wrote for the device to read, and the
 * room that it left for the device to write (virtio 1.3, 2.7.4).
 *
 * The iovecs point straight into guest memory, which the guest can change at
 * any time: read a value once into a local, check the local, use the local.
 * The arrays belong to the chain and may be edited in place until it is
 * pushed. Zero-length buffers have been left out.
 */
struct rh_chain {
	struct iovec *readable;
	struct iovec *writable;
	size_t readable_bytes;
	size_t writable_bytes;
	unsigned int nr_readable;
	unsigned int nr_writable;
	/*
	 * 0, or why this chain can only be answered with an error:
	 * -EFAULT (a buffer outside guest memory; its iov_base is NULL),
	 * -EPROTO (a writable buffer before a readable one) or -EMSGSIZE
	 * (4 GiB and more, or over RH_CHAIN_MAX_IOV pieces; what exceeded
	 * is left out, but the last writable iovec ends with the last byte of
	 * the chain's last writable buffer). Non-zero only in a device with
	 * RH_DEVICE_BAD_CHAINS; elsewhere such a chain breaks its queue.
	 */
	int error;
	/* Unique among the chains under way, below rh_queue_size(). */
	uint16_t index;
};

/*
 * Take the next chain.
 *
 * Returns 1 with *ret set, 0 when none waits, or -errno when the guest has
 * broken the queue; it then stays broken until it is set up again, and its
 * error eventfd has been signalled. Since 0.1; virtio 1.3, 2.7.5 and 2.7.13.
 */
RH_API int rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret);

/*
 * Give a chain back, to be seen by the driver at the next flush.
 *
 * written_bytes: how many bytes of the writable part the device has set,
 * counted from its beginning (virtio 1.3, 2.7.8.2); at most writable_bytes.
 * Order is free: where the driver wants its chains back in the order in which
 * it gave them (VIRTIO_F_IN_ORDER), one that is pushed early waits for those
 * before it. A chain is pushed exactly once. Since 0.1.
 */
RH_API void rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
			  uint32_t written_bytes);

/*
 * Break the queue over a chain that cannot be answered, for instance since it
 * has no room for the answer. The driver never gets the chain back, nor, with
 * VIRTIO_F_IN_ORDER, those that it gave later; for the device it is done with
 * as if pushed.
 *
 * why: a clause for the log, as "the request has no status byte". Since 0.1.
 */
RH_API void rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
			    const char *why);

/*
 * Break the queue since it cannot be served (any more): its error eventfd is
 * signalled, nothing more is popped, and it stays broken until the front-end
 * sets it up again. Chains that were popped are still to be pushed, and
 * queue_stop() still comes. Nothing happens to a queue that is broken already.
 *
 * why: a clause for the log, as "its worker has no memory". Since 0.1;
 * vhost-user, VHOST_USER_SET_VRING_ERR.
 */
RH_API void rh_queue_fail(struct rh_queue *queue, const char *why);

/*
 * Publish all pushed chains with one store.
 *
 * Returns true when the driver asked to be notified of them: call
 * rh_queue_notify(), or write 1 to rh_queue_call_fd() by other means.
 * Since 0.1; virtio 1.3, 2.7.7 and 2.7.10.
 */
RH_API bool rh_queue_flush(struct rh_queue *queue);

/* Signal the driver once; nothing if it gave no call fd. Since 0.1. */
RH_API void rh_queue_notify(struct rh_queue *queue);

/* Ask the driver for no kicks: the device is awake. Since 0.1. */
RH_API void rh_queue_suppress_kicks(struct rh_queue *queue);

/*
 * Ask the driver for kicks again, before going to sleep.
 *
 * Returns true when a chain came in meanwhile: do not sleep. Since 0.1.
 */
RH_API bool rh_queue_expect_kicks(struct rh_queue *queue);

/* True when a chain waits to be popped and the queue is whole. Since 0.1. */
RH_API bool rh_queue_pending(const struct rh_queue *queue);

/*
 * True while chains wait to be popped that an earlier back-end took and did
 * not finish. They come first, and the guest counts on them: a device that is
 * asked to stop pops and finishes them before it stops, unless it may abandon
 * them. False while the next one's memory is being asked for. Since 0.1;
 * vhost-user, Inflight I/O tracking.
 */
RH_API bool rh_queue_owes(const struct rh_queue *queue);

/*
 * True when the queue is asked back by a front-end that keeps the record of
 * what is under way: the device may then stop without finishing all of it.
 * False before queue_stop(). Since 0.1; vhost-user, GET_VRING_BASE with
 * GET_VRING_BASE_INFLIGHT.
 */
RH_API bool rh_queue_may_abandon(const struct rh_queue *queue);

/*
 * End a chain instead of pushing it, while rh_queue_may_abandon(): it stays
 * recorded, and whoever starts the queue next gets it first. Its memory must
 * not be touched any more, so nothing may be under way for it. Since 0.1.
 */
RH_API void rh_queue_abandon(struct rh_queue *queue, struct rh_chain *chain);

/* True after rh_queue_pop() returned an error, a reject, or a fail. Since 0.1. */
RH_API bool rh_queue_broken(const struct rh_queue *queue);

/*
 * The fd that becomes readable when the driver kicks; the library owns it.
 * -1 when the front-end gave none: the queue must then be polled. The same
 * fd from queue_start() to rh_queue_stopped(). Since 0.1.
 */
RH_API int rh_queue_kick_fd(const struct rh_queue *queue);

/* Take the kicks out of the kick fd; never blocks. Since 0.1. */
RH_API void rh_queue_clear_kick(struct rh_queue *queue);

/*
 * The fd to which 1 (eight bytes, host order) is written to notify the
 * driver; the library owns it. -1 when the front-end gave none, which can
 * change at any time, so ask anew for each notification. Since 0.1.
 */
RH_API int rh_queue_call_fd(const struct rh_queue *queue);

/* Which queue of the device this is, from 0. Any thread. Since 0.1. */
RH_API unsigned int rh_queue_index(const struct rh_queue *queue);

/*
 * True from queue_start() until the device has the queue back, which is some
 * rh_device_run() after rh_queue_stopped(). Thread: that of the device, not
 * the owner's. Since 0.1.
 */
RH_API bool rh_queue_running(const struct rh_queue *queue);

/* How many descriptors the driver's ring has. Since 0.1. */
RH_API unsigned int rh_queue_size(const struct rh_queue *queue);

/*
 * A pointer of the device's own, NULL at first, which outlives stop and start.
 * Any thread, but the device sees to the order of set and get. Since 0.1.
 */
RH_API void rh_queue_set_data(struct rh_queue *queue, void *data);
RH_API void *rh_queue_data(const struct rh_queue *queue);

/*
 * Answer queue_stop(): every popped chain was pushed or abandoned and the queue will not
 * be touched again. What was pushed and not flushed is published now.
 *
 * Thread: the queue's owner; this gives the queue back to the library. May
 * be called inside queue_stop(). Since 0.1.
 */
RH_API void rh_queue_stopped(struct rh_queue *queue);

#ifdef __cplusplus
}
#endif

#endif

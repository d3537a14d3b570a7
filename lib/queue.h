/* SPDX-License-Identifier: MIT */
/*
 * queue - one virtqueue: ring, chains, kick, call and error fds
 *
 * The control side. The device (control thread) writes what the front-end
 * sets, asks with rh_queue_ready() whether that makes a ring, and starts and
 * stops it. Between rh_queue_start() and the moment at which the owner calls
 * rh_queue_stopped(), the members marked "owner" belong to the owner's thread
 * and all others stay as they are, but for the call and error fds, which are
 * exchanged under the running queue.
 */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include <stdatomic.h>

#include <ringhost/queue.h>

#include "common/log.h"
#include "lib/chain.h"
#include "lib/inflight.h"
#include "lib/memory.h"
#include "lib/order.h"
#include "lib/ring.h"
#include "lib/signal_fd.h"
#include "lib/tracker.h"

enum rh_queue_state {
	RH_QUEUE_STOPPED,
	RH_QUEUE_RUNNING,  /* the owner's */
	RH_QUEUE_STOPPING, /* the owner's, and asked back */
};

/* Why a queue that has all it needs is not started; control thread. */
enum rh_queue_hold {
	RH_HOLD_NONE,
	RH_HOLD_UNRESOLVED, /* until memory or the queue is set up anew */
	RH_HOLD_BROKEN,	    /* until the queue is set up anew */
	RH_HOLD_MISS,	    /* until the IOTLB has the ring's addresses */
};

#define RH_TAG_BYTES 64

struct rh_queue {
	/* Fixed at rh_queue_init() */
	unsigned int index;
	int wake_fd; /* the device's eventfd: rh_queue_stopped() signals it */
	bool keep_bad_chains;
	const struct rh_dirty_log *log; /* the session's; NULL: none ever */
	struct rh_miss *miss; /* the session's; NULL without a session state */
	char tag[RH_TAG_BYTES];

	/* Control thread: what the front-end has set */
	enum rh_queue_state state;
	enum rh_queue_hold hold;
	uint32_t size; /* 0: not set */
	uint32_t base;
	bool has_base;	    /* else it is that of a new ring */
	uint32_t last_base; /* of a ring that was reset, to be told only */
	bool has_last_base;
	bool has_addr, enabled;
	bool has_kick; /* SET_VRING_KICK came, with or without an fd */
	struct frontend_addr desc_addr, avail_addr, used_addr;
	struct guest_addr log_addr; /* of the used ring, if log_used */
	bool log_used;
	bool has_call, has_err; /* SET_VRING_... came, with or without an fd */
	bool tell_call, tell_err; /* by a message; it is due */
	int kick_fd;		  /* -1: poll */
	struct rh_signal_fd call;
	struct rh_signal_fd err;
	void *data;			    /* the device's, not owned */
	const struct rh_inflight *inflight; /* the session's, or NULL */
	/* A touch of its memory may take long: the owner begins the ring. */
	bool begins_late;
	bool is_settled; /* its record is empty, and was left so by us */

	/* Owner while running; control thread while stopped */
	struct rh_ring ring;
	struct rh_order order;	     /* kept with VIRTIO_F_IN_ORDER */
	struct rh_map *map;	     /* a reference */
	struct rh_chains chains;     /* in map */
	struct rh_miss *iommu;	     /* miss, if there is an IOMMU, or NULL */
	struct rh_chain_slot *slots; /* ring.size of them */
	struct iovec *spill; /* RH_CHAIN_MAX_IOV for each slot, touched late */
	struct iovec *noted; /* as much for the tracker, or NULL */
	struct rh_tracker *tracker; /* NULL: no writes are logged */
	struct rh_record *record;   /* NULL: nothing is recorded */
	unsigned int nr_under_way;
	bool unbegun; /* rh_queue_begin() is still to come */
	bool broken;
	struct log_limit log_limit;

	atomic_bool may_abandon; /* set by the control before queue_stop() */
	/* Set by the owner in rh_queue_stopped(), cleared by the control */
	atomic_bool given_back;
	atomic_bool failed, untold; /* the same, when it broke; any thread */
	char why[160];		    /* it broke; the control's while untold */
	atomic_uint nr_signalling;  /* owners about to use wake_fd */
};

/* name: that of the device. */
void rh_queue_init(struct rh_queue *queue, const char *name, unsigned int index,
		   int wake_fd, bool keep_bad_chains);

/* Forget all that a front-end has set; the queue is stopped. */
void rh_queue_reset(struct rh_queue *queue);
void rh_queue_deinit(struct rh_queue *queue);

/* True when the front-end has set all that a ring needs; hold is none. */
bool rh_queue_ready(const struct rh_queue *queue);

/*
 * Resolve the ring's addresses in map and set up the owner's side. The
 * caller then sets state to RH_QUEUE_RUNNING and hands the queue over.
 *
 * map: the queue takes a reference of its own. features: those accepted.
 * Returns 0 or -errno: -EFAULT when an address is in no region (logged, with
 * what to do), -EINVAL when one is misaligned or the layout that features ask
 * for cannot have this size or base, -ENOMEM; each is logged and leaves the
 * queue broken, its error fd signalled. -EAGAIN: the IOTLB misses a part of
 * the ring; hold is RH_HOLD_MISS until rh_queue_recheck() finds an answer.
 */
int rh_queue_start(struct rh_queue *queue, struct rh_map *map,
		   uint64_t features);

/* If the queue was held for a miss that has been answered, it is no more. */
void rh_queue_recheck(struct rh_queue *queue);

/*
 * Look at the ring for the first time, at base. Part of rh_queue_start(), or
 * with begins_late what the owner's first call does. Returns 0, or -errno with
 * the queue broken. Owner.
 */
int rh_queue_begin(struct rh_queue *queue);

/*
 * Take down the owner's side of a queue that was given back or never handed
 * over; base becomes the position to go on from. Sets RH_QUEUE_STOPPED, and
 * hold to RH_HOLD_BROKEN if it was broken.
 */
void rh_queue_finish(struct rh_queue *queue);

/*
 * Signal the error fd and log that the queue is broken, until the next start,
 * once. format: a clause, as of printf. Returns -EPROTO.
 */
PRINTF_LIKE(2, 3)
cold_code int rh_queue_break(struct rh_queue *queue, const char *format, ...);

#endif

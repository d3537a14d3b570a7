/* SPDX-License-Identifier: MIT */
/*
 * handlers - what each message does
 *
 * One short function a message. Size, fds, negotiated features, queue index
 * and the quiet that a message needs were seen to before (message.h); what
 * remains is whether the values make sense now.
 *
 * struct rh_session_state is all that a front-end sets up during a session;
 * it is empty again when the session ends. Control thread.
 */
#ifndef LIB_HANDLERS_H
#define LIB_HANDLERS_H

#include <ringhost/device.h>

#include "lib/dirty.h"
#include "lib/inflight.h"
#include "lib/memory.h"
#include "lib/message.h"
#include "lib/outbox.h"
#include "lib/postcopy.h"
#include "lib/queue.h"
#include "lib/transfer.h"

/* virtio 1.3, 2.1 */
struct rh_status {
	uint8_t byte; /* as the front-end has set it */
	bool needs_reset;
	bool features_refused; /* the last ones that were set */
};

struct rh_session_state {
	struct rh_session session;
	struct rh_status status;
	struct rh_map *map;	 /* a reference; the published one */
	struct rh_map *empty;	 /* a reference; what map is between sessions */
	struct rh_queue *queues; /* session.nr_queues of them; the device's */
	struct rh_dirty_log log;
	struct rh_inflight inflight;
	struct rh_outbox outbox;
	struct rh_postcopy postcopy;
	bool can_postcopy; /* fixed */
	struct rh_transfer transfer;
	struct log_limit limit; /* of what a front-end can repeat */
	struct rh_iotlb *iotlb; /* empty without VIRTIO_F_ACCESS_PLATFORM */
	struct rh_miss *misses; /* one for each queue */
	const struct rh_device_config *config; /* the device's */
};

/* Returns 0 or -ENOMEM. tag: for the log; outlives the state. */
int rh_session_state_init(struct rh_session_state *state,
			  const struct rh_device_config *config,
			  struct rh_queue *queues, const char *tag);

/* Forget the front-end: memory, queues, outbox, features. None runs. */
void rh_session_state_reset(struct rh_session_state *state);

void rh_session_state_deinit(struct rh_session_state *state);

/* True if the front-end has taken back memory that it had shared (guard.h). */
bool rh_session_state_lost(const struct rh_session_state *state);

/*
 * What a handler puts into the reply. A message that asks for nothing gets one
 * of its own kind, and no acknowledgement, if size is not 0.
 */
struct rh_answer {
	uint32_t size;
	int fd; /* sent along and closed; -1: none */
	union {
		uint64_t u64;
		struct vhost_user_vring_state vring_state;
		struct vhost_user_config config;
		struct vhost_user_memory table;
		struct vhost_user_single_region single;
		struct vhost_user_shared shared;
		struct vhost_user_inflight inflight;
	};
};

/*
 * Carry out a checked message whose queues are quiet.
 *
 * Returns 0, with answer filled for a RH_REPLY_DATA message, or -errno with
 * *why set to a phrase for the log and nothing changed.
 */
int rh_handle(struct rh_session_state *state, struct rh_incoming *incoming,
	      struct rh_answer *answer, const char **why);

/*
 * True if all that this checked message changes of a queue is whether it logs
 * what it writes, and where: a queue that runs must stop for it. Anything
 * else that such a message would change is refused while the queue runs.
 */
bool rh_switches_log(const struct rh_session_state *state,
		     const struct rh_incoming *incoming,
		     const struct rh_queue *queue);

/*
 * Map the region that wire describes, in the place of the one before; no queue
 * runs. What of it each queue can use is seen when that starts. fd stays the
 * caller's. Returns 0 or -errno.
 */
int rh_use_inflight(struct rh_session_state *state,
		    const struct vhost_user_inflight *wire, int fd);

/* Move on what is being saved or loaded. */
void rh_continue_transfer(struct rh_session_state *state);

/* Queues have broken, perhaps: the device status says so. */
void rh_note_failures(struct rh_session_state *state);

/* Feature bits that the device offers, those of transport and rings too. */
uint64_t rh_offered_features(const struct rh_device_config *config);

#endif

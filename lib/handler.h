/* SPDX-License-Identifier: MIT */
/*
 * handler - what a single handler gets, and the few things that all need
 *
 * Private to handlers.c and the *_handlers.c. Control thread.
 */
#ifndef LIB_HANDLER_H
#define LIB_HANDLER_H

#include <errno.h>
#include <string.h>

#include "lib/handlers.h"

struct rh_request {
	struct rh_session_state *state;
	struct rh_incoming *incoming;
	struct rh_answer *answer;
	struct rh_queue *queue; /* NULL if the message names none */
	const char *why;	/* it is refused */
};

static inline int rh_refuse(struct rh_request *request, int error,
			    const char *why)
{
	request->why = why;
	return error;
}

static inline int rh_refuse_running(struct rh_request *request)
{
	return rh_refuse(request, -EBUSY, "the queue runs");
}

static inline uint64_t rh_payload_u64(const struct rh_request *request)
{
	uint64_t value;

	memcpy(&value, request->incoming->payload, sizeof(value));
	return value;
}

/* num of a struct vhost_user_vring_state */
static inline uint32_t rh_payload_num(const struct rh_request *request)
{
	struct vhost_user_vring_state vring;

	memcpy(&vring, request->incoming->payload, sizeof(vring));
	return vring.num;
}

int rh_handle_iotlb_msg(struct rh_request *request);
int rh_handle_get_shared_object(struct rh_request *request);
int rh_handle_set_device_state_fd(struct rh_request *request);
int rh_handle_check_device_state(struct rh_request *request);
int rh_handle_vring_kick(struct rh_request *request);
int rh_handle_reset_device(struct rh_request *request);
int rh_handle_set_status(struct rh_request *request);
int rh_handle_get_status(struct rh_request *request);
/* True if these are the addresses of the ring's parts already. */
static inline bool rh_queue_has_addr(const struct rh_queue *queue,
				     const struct vhost_user_vring_addr *addr)
{
	return addr->desc_user_addr == queue->desc_addr.value &&
	       addr->avail_user_addr == queue->avail_addr.value &&
	       addr->used_user_addr == queue->used_addr.value;
}

int rh_handle_set_log_base(struct rh_request *request);
int rh_handle_set_log_fd(struct rh_request *request);
int rh_handle_set_vring_num(struct rh_request *request);
int rh_handle_set_vring_addr(struct rh_request *request);
int rh_handle_set_vring_base(struct rh_request *request);
int rh_handle_get_vring_base(struct rh_request *request);
int rh_handle_set_vring_kick(struct rh_request *request);
int rh_handle_set_vring_call(struct rh_request *request);
int rh_handle_set_vring_err(struct rh_request *request);
int rh_handle_set_vring_enable(struct rh_request *request);

int rh_handle_postcopy_advise(struct rh_request *request);
int rh_handle_postcopy_listen(struct rh_request *request);
int rh_handle_postcopy_end(struct rh_request *request);

/* In postcopy the front-end confirms where memory is (postcopy_handlers.c). */
bool rh_is_postcopy_confirmation(const struct rh_request *request);
int rh_handle_postcopy_confirmation(struct rh_request *request);

/*
 * Make map, which is taken, the memory of the session; in postcopy its missing
 * pages fault. Returns 0 or -errno.
 */
int rh_postcopy_publish(struct rh_request *request, struct rh_map *map);

/* In postcopy, answer with where the back-end has mapped it. */
void rh_postcopy_answer_table(struct rh_request *request,
			      const struct vhost_user_memory *table);
void rh_postcopy_answer_region(struct rh_request *request,
			       const struct vhost_user_region *region);

/* Make map, which is taken, the memory of the session. */
void rh_replace_map(struct rh_session_state *state, struct rh_map *map);
int rh_handle_get_inflight_fd(struct rh_request *request);
int rh_handle_set_inflight_fd(struct rh_request *request);

/* The driver begins anew: no request of before is to come back. */
void rh_forget_inflight(struct rh_session_state *state);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * outbox - what the device has to tell its front-end, and in which order
 */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "lib/outbox.h"

struct source {
	enum vhost_user_backend_request request;
	/* Clear the flag and fill in the rest; false if there is nothing. */
	bool (*compose)(struct rh_outbox *outbox,
			struct rh_channel_message *message);
	/* As of struct rh_channel_owner. */
	void (*answered)(struct rh_outbox *outbox,
			 struct rh_channel_answer *answer);
};

static bool compose_config_change(struct rh_outbox *outbox,
				  struct rh_channel_message *message)
{
	bool changed = outbox->config_changed;

	(void)message;
	outbox->config_changed = false;
	return changed;
}

/* Whoever comes next should know. */
static void config_change_answered(struct rh_outbox *outbox,
				   struct rh_channel_answer *answer)
{
	if (answer->error)
		outbox->config_changed = true;
}

/* The flag of a queue: which of two. */
typedef bool *(*queue_flag)(struct rh_queue *queue);

static bool *tell_call(struct rh_queue *queue)
{
	return &queue->tell_call;
}

static bool *tell_err(struct rh_queue *queue)
{
	return &queue->tell_err;
}

/* The first queue with this flag from the one after the last that spoke. */
static bool compose_vring(struct rh_outbox *outbox,
			  struct rh_channel_message *message, queue_flag flag)
{
	unsigned int nr_queues = outbox->session->nr_queues;

	for (unsigned int i = 0; i < nr_queues; i++) {
		unsigned int index = (outbox->queue_turn + i) % nr_queues;
		struct rh_queue *queue = &outbox->queues[index];

		if (!*flag(queue))
			continue;
		*flag(queue) = false;
		message->vring_state.index = index;
		message->size = sizeof(message->vring_state);
		outbox->told = queue;
		outbox->queue_turn = index + 1;
		return true;
	}
	return false;
}

static bool compose_call(struct rh_outbox *outbox,
			 struct rh_channel_message *message)
{
	return compose_vring(outbox, message, tell_call);
}

static bool compose_err(struct rh_outbox *outbox,
			struct rh_channel_message *message)
{
	return compose_vring(outbox, message, tell_err);
}

static void call_answered(struct rh_outbox *outbox,
			  struct rh_channel_answer *answer)
{
	if (answer->error)
		outbox->told->tell_call = true;
}

static void err_answered(struct rh_outbox *outbox,
			 struct rh_channel_answer *answer)
{
	if (answer->error)
		outbox->told->tell_err = true;
}

static bool compose_object(struct rh_outbox *outbox,
			   struct rh_channel_message *message)
{
	return rh_objects_compose(&outbox->objects, message);
}

static void object_answered(struct rh_outbox *outbox,
			    struct rh_channel_answer *answer)
{
	rh_objects_answered(&outbox->objects, answer);
}

static bool compose_iotlb(struct rh_outbox *outbox,
			  struct rh_channel_message *message)
{
	memset(&outbox->question, 0, sizeof(outbox->question));
	if (!rh_miss_next(outbox->misses, outbox->nr_misses, &outbox->asking,
			  &outbox->question))
		return false;
	message->iotlb = outbox->question;
	message->size = sizeof(message->iotlb);
	return true;
}

/* A channel that has ended told nobody. */
static void iotlb_answered(struct rh_outbox *outbox,
			   struct rh_channel_answer *answer)
{
	if (answer->error || answer->value)
		rh_miss_answered(&outbox->misses[outbox->asking],
				 &outbox->question, !answer->error);
}

/* compose_object() chooses one of three requests. */
static const struct source sources[] = {
	{ VHOST_USER_BACKEND_SHARED_OBJECT_ADD, compose_object,
	  object_answered },
	{ VHOST_USER_BACKEND_VRING_CALL, compose_call, call_answered },
	{ VHOST_USER_BACKEND_VRING_ERR, compose_err, err_answered },
	{
		VHOST_USER_BACKEND_IOTLB_MSG,
		compose_iotlb,
		iotlb_answered,
	},
	{
		VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		compose_config_change,
		config_change_answered,
	},
};

static bool suspended(const struct rh_outbox *outbox)
{
	for (unsigned int i = 0; i < outbox->session->nr_queues; i++) {
		if (outbox->queues[i].has_kick)
			return false;
	}
	return true;
}

static bool next(void *opaque, struct rh_channel_message *message)
{
	const uint64_t reply_ack = FEATURE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	struct rh_outbox *outbox = opaque;

	if (suspended(outbox))
		return false;
	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++) {
		unsigned int turn = (outbox->turn + i) % ARRAY_SIZE(sources);

		message->request = sources[turn].request;
		message->want_answer =
			outbox->session->protocol_features & reply_ack;
		if (!sources[turn].compose(outbox, message))
			continue;
		outbox->turn = turn + 1;
		outbox->speaker = turn;
		return true;
	}
	return false;
}

static void answered(void *opaque, struct rh_channel_answer *answer)
{
	struct rh_outbox *outbox = opaque;

	if (outbox->speaker < ARRAY_SIZE(sources))
		sources[outbox->speaker].answered(outbox, answer);
}

void rh_outbox_init(struct rh_outbox *outbox, const struct rh_session *session,
		    struct rh_queue *queues,
		    const struct rh_device_config *config, const char *tag)
{
	const struct rh_channel_owner owner = { outbox, next, answered };

	outbox->session = session;
	outbox->queues = queues;
	outbox->queue_turn = 0;
	outbox->told = NULL;
	outbox->turn = 0;
	outbox->config_changed = false;
	outbox->is_held = false;
	outbox->speaker = 0;
	rh_objects_init(&outbox->objects, config);
	outbox->misses = NULL;
	outbox->nr_misses = 0;
	outbox->asking = 0;
	outbox->limit = (struct log_limit){ 0 };
	rh_channel_init(&outbox->channel, tag, &owner);
}

void rh_outbox_set_misses(struct rh_outbox *outbox, struct rh_miss *misses,
			  unsigned int nr_misses)
{
	outbox->misses = misses;
	outbox->nr_misses = nr_misses;
}

void rh_outbox_reset(struct rh_outbox *outbox)
{
	rh_channel_close(&outbox->channel);
	rh_objects_reset(&outbox->objects);
	outbox->config_changed = false;
}

static bool any_waits(const struct rh_outbox *outbox)
{
	for (unsigned int i = 0; i < outbox->nr_misses; i++) {
		if (rh_miss_waits(&outbox->misses[i]))
			return true;
	}
	return false;
}

/* A question about memory is asked anew by the queue that has it. */
static unsigned int source_of(uint32_t asked)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++) {
		if (sources[i].request == asked &&
		    (sources[i].answered == call_answered ||
		     sources[i].answered == err_answered ||
		     sources[i].answered == config_change_answered))
			return i;
	}
	return ARRAY_SIZE(sources);
}

void rh_outbox_await(struct rh_outbox *outbox, uint32_t asked, bool brings_fd,
		     struct rh_queue *queue)
{
	outbox->speaker = source_of(asked);
	outbox->told = queue;
	rh_channel_await(&outbox->channel, asked, brings_fd);
}

void rh_outbox_let_go(struct rh_outbox *outbox)
{
	bool is_waiting = outbox->channel.state == RH_CHANNEL_WAITING;
	bool has_asked = outbox->speaker < ARRAY_SIZE(sources) &&
			 sources[outbox->speaker].answered == object_answered;

	rh_channel_let_go(&outbox->channel);
	rh_objects_let_go(&outbox->objects, is_waiting && has_asked);
	outbox->config_changed = false;
}

int rh_outbox_send(struct rh_outbox *outbox)
{
	if (outbox->is_held)
		return 0;
	if (outbox->channel.state == RH_CHANNEL_CLOSED && any_waits(outbox))
		rh_log_limited(&outbox->limit, RH_LOG_WARNING,
			       outbox->channel.tag,
			       "the guest's IOMMU hides memory that a queue "
			       "needs, and the front-end cannot be asked for "
			       "it: it must negotiate BACKEND_REQ and send "
			       "SET_BACKEND_REQ_FD");
	return rh_channel_send(&outbox->channel);
}

int rh_outbox_object(struct rh_outbox *outbox,
		     enum vhost_user_backend_request request,
		     const uint8_t uuid[RH_UUID_BYTES])
{
	const uint64_t bit = FEATURE_BIT(VHOST_USER_PROTOCOL_F_SHARED_OBJECT);

	if (!(outbox->session->protocol_features & bit) ||
	    outbox->channel.state == RH_CHANNEL_CLOSED)
		return -ENOTCONN;
	return rh_objects_add(&outbox->objects, request, uuid);
}

int rh_outbox_config_changed(struct rh_outbox *outbox)
{
	int error;

	if (outbox->channel.state == RH_CHANNEL_CLOSED)
		return 0;
	outbox->config_changed = true;
	error = rh_outbox_send(outbox);
	return error ? error : 1;
}

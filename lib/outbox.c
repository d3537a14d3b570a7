/* SPDX-License-Identifier: MIT */
/*
 * outbox - what the device has to tell its front-end, and in which order
 */
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

static const struct source sources[] = {
	{
		VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		compose_config_change,
		config_change_answered,
	},
};

static bool next(void *opaque, struct rh_channel_message *message)
{
	const uint64_t reply_ack = FEATURE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	struct rh_outbox *outbox = opaque;

	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++) {
		unsigned int turn = (outbox->turn + i) % ARRAY_SIZE(sources);

		message->request = sources[turn].request;
		message->want_answer =
			outbox->session->protocol_features & reply_ack;
		if (!sources[turn].compose(outbox, message))
			continue;
		outbox->turn = turn + 1;
		return true;
	}
	return false;
}

static void answered(void *opaque, struct rh_channel_answer *answer)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++) {
		if (sources[i].request == answer->request)
			sources[i].answered(opaque, answer);
	}
}

void rh_outbox_init(struct rh_outbox *outbox, const struct rh_session *session,
		    const char *tag)
{
	const struct rh_channel_owner owner = { outbox, next, answered };

	outbox->session = session;
	outbox->turn = 0;
	outbox->config_changed = false;
	rh_channel_init(&outbox->channel, tag, &owner);
}

void rh_outbox_reset(struct rh_outbox *outbox)
{
	rh_channel_close(&outbox->channel);
	outbox->config_changed = false;
}

int rh_outbox_send(struct rh_outbox *outbox)
{
	return rh_channel_send(&outbox->channel);
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

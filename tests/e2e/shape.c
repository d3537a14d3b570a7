/* SPDX-License-Identifier: MIT */
/*
 * shape - what a well-formed message of each kind looks like
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/shape.h"

const struct shape shapes[NR_SHAPES] = {
	{ FE_GET_FEATURES, 0, 0, true },
	{ FE_SET_FEATURES, 8, 0, false },
	{ FE_SET_OWNER, 0, 0, false },
	{ FE_RESET_OWNER, 0, 0, false },
	{ FE_SET_MEM_TABLE, 40, 1, false },
	{ FE_SET_VRING_NUM, 8, 0, false },
	{ FE_SET_VRING_ADDR, 40, 0, false },
	{ FE_SET_VRING_BASE, 8, 0, false },
	{ FE_GET_VRING_BASE, 8, 0, true },
	{ FE_SET_VRING_KICK, 8, 1, false },
	{ FE_SET_VRING_CALL, 8, 1, false },
	{ FE_SET_VRING_ERR, 8, 1, false },
	{ FE_GET_PROTOCOL_FEATURES, 0, 0, true },
	{ FE_SET_PROTOCOL_FEATURES, 8, 0, false },
	{ FE_GET_QUEUE_NUM, 0, 0, true },
	{ FE_SET_VRING_ENABLE, 8, 0, false },
	{ FE_SET_BACKEND_REQ_FD, 0, 1, false },
	{ FE_GET_CONFIG, 12 + 8, 0, true },
	{ FE_SET_CONFIG, 12 + 1, 0, false },
	{ FE_GET_INFLIGHT_FD, 20, 0, true },
	{ FE_SET_INFLIGHT_FD, 20, 1, false },
	{ FE_RESET_DEVICE, 0, 0, false },
	{ FE_GET_MAX_MEM_SLOTS, 0, 0, true },
	{ FE_ADD_MEM_REG, 40, 1, false },
	{ FE_REM_MEM_REG, 40, 0, false },
};

const struct shape *shape_of(uint32_t request)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shapes[i].request == request)
			return &shapes[i];
	return NULL;
}

void shape_connect(const struct shape *shape, struct client *client,
		   const struct server *server)
{
	probe_connect(client, server);
	assert_int_equal(client_prepare(client, NULL), 0);
	if (shape->request == FE_REM_MEM_REG)
		assert_int_equal(
			fe_session_add_region(&client->session,
					      &client->memory.regions[0]),
			0);
}

void shape_make(const struct shape *shape, const struct client *client,
		struct fe_message *message)
{
	fe_message_init(message, shape->request, shape->bytes);
	switch (shape->request) {
	case FE_SET_FEATURES:
		message->payload.u64 = client->session.features;
		break;
	case FE_SET_PROTOCOL_FEATURES:
		message->payload.u64 = client->session.protocol;
		break;
	case FE_SET_MEM_TABLE:
		message->payload.table.nr_regions = 1;
		message->payload.table.regions[0] =
			client->memory.regions[0].wire;
		break;
	case FE_ADD_MEM_REG:
	case FE_REM_MEM_REG:
		message->payload.single.region = client->memory.regions[0].wire;
		break;
	case FE_GET_INFLIGHT_FD:
	case FE_SET_INFLIGHT_FD:
		message->payload.inflight.mmap_bytes = 65536;
		message->payload.inflight.nr_queues = 1;
		message->payload.inflight.queue_size = 64;
		break;
	case FE_SET_VRING_NUM:
		message->payload.state.num = 64;
		break;
	case FE_GET_CONFIG:
		message->payload.config.size = 8;
		break;
	case FE_SET_CONFIG:
		message->payload.config.offset =
			offsetof(struct virtio_blk_config, wce);
		message->payload.config.size = 1;
		message->payload.config.data[0] = 1;
		break;
	}
}

/* One end of a pair that nobody uses, the same for the whole program. */
static int channel_end(void)
{
	static int ends[2] = { -1, -1 };

	if (ends[0] < 0)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
					    0, ends),
				 0);
	return ends[0];
}

int shape_fd(const struct shape *shape, const struct client *client)
{
	if (shape->request == FE_SET_MEM_TABLE ||
	    shape->request == FE_ADD_MEM_REG ||
	    shape->request == FE_SET_INFLIGHT_FD)
		return client->memory.regions[0].fd;
	if (shape->request == FE_SET_BACKEND_REQ_FD)
		return channel_end();
	return client->vrings[0].kick_fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * shape - what a well-formed message of each kind looks like
 */
#include "check/shape.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>

const struct shape shapes[NR_SHAPES] = {
	{ FE_GET_FEATURES, 0, 0, true, 0 },
	{ FE_SET_FEATURES, 8, 0, false, 0 },
	{ FE_SET_OWNER, 0, 0, false, 0 },
	{ FE_RESET_OWNER, 0, 0, false, 0 },
	{ FE_SET_MEM_TABLE, 40, 1, false, 0 },
	{ FE_SET_VRING_NUM, 8, 0, false, 0 },
	{ FE_SET_VRING_ADDR, 40, 0, false, 0 },
	{ FE_SET_VRING_BASE, 8, 0, false, 0 },
	{ FE_GET_VRING_BASE, 8, 0, true, 0 },
	{ FE_SET_VRING_KICK, 8, 1, false, 0 },
	{ FE_SET_VRING_CALL, 8, 1, false, 0 },
	{ FE_SET_VRING_ERR, 8, 1, false, 0 },
	{ FE_GET_PROTOCOL_FEATURES, 0, 0, true, 0 },
	{ FE_SET_PROTOCOL_FEATURES, 8, 0, false, 0 },
	{ FE_GET_QUEUE_NUM, 0, 0, true, FE_PROTOCOL_MQ },
	{ FE_SET_VRING_ENABLE, 8, 0, false, 0 },
	{ FE_SET_BACKEND_REQ_FD, 0, 1, false, FE_PROTOCOL_BACKEND_REQ },
	{ FE_GET_CONFIG, 12 + 8, 0, true, FE_PROTOCOL_CONFIG },
	{ FE_SET_CONFIG, 12 + 1, 0, false, FE_PROTOCOL_CONFIG },
	{ FE_GET_INFLIGHT_FD, 20, 0, true, FE_PROTOCOL_INFLIGHT },
	{ FE_SET_INFLIGHT_FD, 20, 1, false, FE_PROTOCOL_INFLIGHT },
	{ FE_RESET_DEVICE, 0, 0, false, FE_PROTOCOL_RESET_DEVICE },
	{ FE_GET_MAX_MEM_SLOTS, 0, 0, true, FE_PROTOCOL_MEM_SLOTS },
	{ FE_ADD_MEM_REG, 40, 1, false, FE_PROTOCOL_MEM_SLOTS },
	{ FE_REM_MEM_REG, 40, 0, false, FE_PROTOCOL_MEM_SLOTS },
};

const struct shape *shape_of(uint32_t request)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shapes[i].request == request)
			return &shapes[i];
	return NULL;
}

bool shape_is_known(const struct shape *shape, const struct target *target)
{
	if (shape->request == FE_SET_CONFIG &&
	    !(target->features & FE_BIT(11))) /* VIRTIO_BLK_F_CONFIG_WCE */
		return false;
	return !(shape->protocol & ~target->protocol);
}

struct vm *shape_prepare(const struct shape *shape, struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	if (shape->request == FE_REM_MEM_REG)
		check_done(check,
			   fe_session_add_region(&vm->session,
						 &vm->memory.regions[0]),
			   "ADD_MEM_REG");
	if (shape->request == FE_SET_VRING_ADDR)
		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
	return vm;
}

void shape_make(const struct shape *shape, const struct vm *vm,
		struct fe_message *message)
{
	const struct fe_vring *vring = &vm->vrings[0];

	fe_message_init(message, shape->request, shape->bytes);
	switch (shape->request) {
	case FE_SET_FEATURES:
		message->payload.u64 = vm->session.features;
		break;
	case FE_SET_PROTOCOL_FEATURES:
		message->payload.u64 = vm->session.protocol;
		break;
	case FE_SET_MEM_TABLE:
		message->payload.table.nr_regions = 1;
		message->payload.table.regions[0] = vm->memory.regions[0].wire;
		break;
	case FE_ADD_MEM_REG:
	case FE_REM_MEM_REG:
		message->payload.single.region = vm->memory.regions[0].wire;
		break;
	case FE_GET_INFLIGHT_FD:
	case FE_SET_INFLIGHT_FD:
		message->payload.inflight.mmap_bytes = 65536;
		message->payload.inflight.nr_queues = 1;
		message->payload.inflight.queue_size = 64;
		break;
	case FE_SET_VRING_NUM:
		message->payload.state.num = vring->size;
		break;
	case FE_SET_VRING_ADDR:
		message->payload.addr.desc =
			fe_memory_user_addr(&vm->memory, vring->desc_addr);
		message->payload.addr.avail =
			fe_memory_user_addr(&vm->memory, vring->avail_addr);
		message->payload.addr.used =
			fe_memory_user_addr(&vm->memory, vring->used_addr);
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

/* One end of a pair that nobody uses, the same for the whole process. */
static int channel_end(void)
{
	static int ends[2] = { -1, -1 };

	if (ends[0] < 0 &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	return ends[0];
}

int shape_fd(const struct shape *shape, const struct vm *vm)
{
	if (shape->request == FE_SET_MEM_TABLE ||
	    shape->request == FE_ADD_MEM_REG ||
	    shape->request == FE_SET_INFLIGHT_FD)
		return vm->memory.regions[0].fd;
	if (shape->request == FE_SET_BACKEND_REQ_FD)
		return channel_end();
	return vm->vrings[0].kick_fd;
}

/* Replies of their own; a reply about something else is a refusal, too. */
static int query(struct vm *vm, struct fe_message *message, const int *fds,
		 unsigned int nr_fds)
{
	uint32_t request = message->request;
	uint32_t index = message->payload.state.index;
	int error = fe_message_send(vm->session.sock, message, fds, nr_fds);

	if (!error)
		error = fe_message_receive(vm->session.sock, message,
					   vm->session.timeout_msec, NULL,
					   NULL);
	if (error)
		return error;
	if (message->request != request || !(message->flags & FE_FLAG_REPLY))
		return -EPROTO;
	if (request == FE_GET_CONFIG &&
	    (!message->size || !message->payload.config.size))
		return -EREMOTEIO;
	if (request == FE_GET_VRING_BASE &&
	    message->payload.state.index != index)
		return -EREMOTEIO;
	return 0;
}

int shape_send(struct vm *vm, struct fe_message *message, const int *fds,
	       unsigned int nr_fds)
{
	const struct shape *shape = shape_of(message->request);
	int outcome;
	int error;

	if (shape && shape->replies)
		outcome = query(vm, message, fds, nr_fds);
	else
		outcome =
			fe_session_exchange(&vm->session, message, fds, nr_fds);
	if (outcome && outcome != -EREMOTEIO)
		return outcome;
	error = fe_session_sync(&vm->session);
	return error ? error : outcome;
}

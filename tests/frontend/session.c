/* SPDX-License-Identifier: MIT */
/*
 * session - one connection to a back-end: negotiation, and asking politely
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/session.h"

void fe_session_init(struct fe_session *session, int sock)
{
	*session = (struct fe_session){
		.sock = sock,
		.timeout_msec = FE_PATIENCE_MSEC,
		.nr_queues = 1,
	};
}

int fe_session_connect(struct fe_session *session, const char *path)
{
	int sock = -1;
	int error = fe_connect(path, &sock);

	fe_session_init(session, sock);
	return error;
}

void fe_session_deinit(struct fe_session *session)
{
	rh_fd_close(&session->sock);
}

static int receive_reply(struct fe_session *session, uint32_t request,
			 struct fe_message *reply)
{
	int error = fe_message_receive(session->sock, reply,
				       session->timeout_msec, NULL, NULL);

	if (error)
		return error;
	if (reply->request != request ||
	    reply->flags != (FE_FLAG_VERSION | FE_FLAG_REPLY))
		return -EPROTO;
	return 0;
}

int fe_session_exchange(struct fe_session *session, struct fe_message *message,
			const int *fds, unsigned int nr_fds)
{
	uint32_t request = message->request;
	struct fe_message reply;
	int error;

	if (session->protocol & FE_PROTOCOL_REPLY_ACK)
		message->flags |= FE_FLAG_NEED_REPLY;
	error = fe_message_send(session->sock, message, fds, nr_fds);
	if (error || !(message->flags & FE_FLAG_NEED_REPLY))
		return error;
	error = receive_reply(session, request, &reply);
	if (error)
		return error;
	if (reply.size != sizeof(uint64_t))
		return -EPROTO;
	return reply.payload.u64 ? -EREMOTEIO : 0;
}

int fe_session_query(struct fe_session *session, struct fe_message *message)
{
	uint32_t request = message->request;
	int error = fe_message_send(session->sock, message, NULL, 0);

	return error ? error : receive_reply(session, request, message);
}

int fe_session_get(struct fe_session *session, uint32_t request,
		   uint64_t *value)
{
	struct fe_message message;
	int error;

	fe_message_init(&message, request, 0);
	error = fe_session_query(session, &message);
	if (error)
		return error;
	if (message.size != sizeof(uint64_t))
		return -EPROTO;
	*value = message.payload.u64;
	return 0;
}

int fe_session_set(struct fe_session *session, uint32_t request, uint64_t value)
{
	struct fe_message message;

	fe_message_init_u64(&message, request, value);
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_command(struct fe_session *session, uint32_t request)
{
	struct fe_message message;

	fe_message_init(&message, request, 0);
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_sync(struct fe_session *session)
{
	uint64_t ignored;

	return fe_session_get(session, FE_GET_FEATURES, &ignored);
}

static int negotiate_protocol(struct fe_session *session, uint64_t protocol)
{
	int error;

	error = fe_session_get(session, FE_GET_PROTOCOL_FEATURES,
			       &session->offered_protocol);
	if (error)
		return error;
	protocol &= session->offered_protocol;
	error = fe_session_set(session, FE_SET_PROTOCOL_FEATURES, protocol);
	if (error)
		return error;
	session->protocol = protocol;
	if (protocol & FE_PROTOCOL_MQ)
		return fe_session_get(session, FE_GET_QUEUE_NUM,
				      &session->nr_queues);
	return 0;
}

int fe_session_negotiate(struct fe_session *session, uint64_t features,
			 uint64_t protocol)
{
	int error;

	error = fe_session_get(session, FE_GET_FEATURES,
			       &session->offered_features);
	if (error)
		return error;
	features &= session->offered_features;
	if (features & FE_FEATURE_PROTOCOL) {
		error = negotiate_protocol(session, protocol);
		if (error)
			return error;
	}
	error = fe_session_command(session, FE_SET_OWNER);
	if (error)
		return error;
	error = fe_session_set(session, FE_SET_FEATURES, features);
	if (error)
		return error;
	session->features = features;
	return fe_session_sync(session);
}

int fe_session_set_state(struct fe_session *session, uint32_t request,
			 uint32_t index, uint32_t num)
{
	struct fe_message message;

	fe_message_init(&message, request, sizeof(message.payload.state));
	message.payload.state.index = index;
	message.payload.state.num = num;
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_get_base(struct fe_session *session, uint32_t index,
			uint32_t *base)
{
	struct fe_message message;
	int error;

	fe_message_init(&message, FE_GET_VRING_BASE,
			sizeof(message.payload.state));
	message.payload.state.index = index;
	error = fe_session_query(session, &message);
	if (error)
		return error;
	if (message.size != sizeof(message.payload.state) ||
	    message.payload.state.index != index)
		return -EPROTO;
	*base = message.payload.state.num;
	return 0;
}

int fe_session_set_vring_fd(struct fe_session *session, uint32_t request,
			    uint32_t index, int fd)
{
	struct fe_message message;

	fe_message_init_u64(&message, request,
			    index | (fd < 0 ? FE_VRING_NO_FD : 0));
	return fe_session_exchange(session, &message, &fd, fd < 0 ? 0 : 1);
}

int fe_session_get_config(struct fe_session *session, uint32_t offset,
			  void *data, uint32_t size)
{
	struct fe_message message;
	int error;

	if (size > FE_MAX_CONFIG_BYTES)
		return -EINVAL;
	fe_message_init(&message, FE_GET_CONFIG, FE_CONFIG_HEADER_BYTES + size);
	message.payload.config.offset = offset;
	message.payload.config.size = size;
	error = fe_session_query(session, &message);
	if (error)
		return error;
	if (message.size == 0 || message.payload.config.size == 0)
		return -EREMOTEIO;
	if (message.size != FE_CONFIG_HEADER_BYTES + size ||
	    message.payload.config.offset != offset ||
	    message.payload.config.size != size)
		return -EPROTO;
	memcpy(data, message.payload.config.data, size);
	return 0;
}

int fe_session_set_config(struct fe_session *session, uint32_t offset,
			  const void *data, uint32_t size)
{
	struct fe_message message;

	if (size > FE_MAX_CONFIG_BYTES)
		return -EINVAL;
	fe_message_init(&message, FE_SET_CONFIG, FE_CONFIG_HEADER_BYTES + size);
	message.payload.config.offset = offset;
	message.payload.config.size = size;
	memcpy(message.payload.config.data, data, size);
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_set_table(struct fe_session *session,
			 const struct fe_memory *memory)
{
	unsigned int nr = memory->nr_regions;
	int fds[FE_MAX_TABLE_REGIONS];
	struct fe_message message;

	if (nr > FE_MAX_TABLE_REGIONS)
		return -E2BIG;
	fe_message_init(&message, FE_SET_MEM_TABLE,
			(uint32_t)(offsetof(struct fe_wire_table, regions) +
				   nr * sizeof(struct fe_wire_region)));
	message.payload.table.nr_regions = nr;
	for (unsigned int i = 0; i < nr; i++) {
		message.payload.table.regions[i] = memory->regions[i].wire;
		fds[i] = memory->regions[i].fd;
	}
	return fe_session_exchange(session, &message, fds, nr);
}

int fe_session_add_region(struct fe_session *session,
			  const struct fe_region *region)
{
	struct fe_message message;

	fe_message_init(&message, FE_ADD_MEM_REG,
			sizeof(message.payload.single));
	message.payload.single.region = region->wire;
	return fe_session_exchange(session, &message, &region->fd, 1);
}

int fe_session_remove_region(struct fe_session *session,
			     const struct fe_region *region)
{
	struct fe_message message;

	fe_message_init(&message, FE_REM_MEM_REG,
			sizeof(message.payload.single));
	message.payload.single.region = region->wire;
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_set_memory(struct fe_session *session,
			  const struct fe_memory *memory)
{
	int error;

	if (!(session->protocol & FE_PROTOCOL_MEM_SLOTS))
		return fe_session_set_table(session, memory);
	for (unsigned int i = 0; i < memory->nr_regions; i++) {
		error = fe_session_add_region(session, &memory->regions[i]);
		if (error)
			return error;
	}
	return 0;
}

int fe_session_open_channel(struct fe_session *session, int *ret)
{
	struct fe_message message;
	int ends[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	fe_message_init(&message, FE_SET_BACKEND_REQ_FD, 0);
	error = fe_session_exchange(session, &message, &ends[1], 1);
	rh_fd_close(&ends[1]);
	if (error)
		rh_fd_close(&ends[0]);
	else
		*ret = ends[0];
	return error;
}

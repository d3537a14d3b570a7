/* SPDX-License-Identifier: MIT */
/*
 * postcopy - tell a back-end about memory whose pages are still to come
 */
#include <errno.h>
#include <unistd.h>

#include "tests/frontend/postcopy.h"

static bool is_reply(const struct fe_message *reply, uint32_t request,
		     uint32_t size)
{
	return reply->request == request && reply->size == size &&
	       reply->flags == (FE_FLAG_VERSION | FE_FLAG_REPLY);
}

int fe_session_advise_postcopy(struct fe_session *session, int *ret)
{
	struct fe_message message;
	unsigned int nr_fds = 1;
	int error;
	int fd;

	fe_message_init(&message, FE_POSTCOPY_ADVISE, 0);
	error = fe_message_send(session->sock, &message, NULL, 0);
	if (!error)
		error = fe_message_receive(session->sock, &message,
					   session->timeout_msec, &fd, &nr_fds);
	if (error)
		return error;
	if (is_reply(&message, FE_POSTCOPY_ADVISE, 0) && nr_fds) {
		*ret = fd;
		return 0;
	}
	if (nr_fds)
		close(fd);
	return -EPROTO;
}

int fe_session_listen_postcopy(struct fe_session *session)
{
	return fe_session_command(session, FE_POSTCOPY_LISTEN);
}

int fe_session_end_postcopy(struct fe_session *session)
{
	uint64_t failed;
	int error = fe_session_get(session, FE_POSTCOPY_END, &failed);

	if (error)
		return error;
	return failed ? -EREMOTEIO : 0;
}

/* Send without NEED_REPLY, and receive the same message with addresses. */
static int ask_address(struct fe_session *session, struct fe_message *message,
		       const int *fds, unsigned int nr_fds)
{
	const uint32_t request = message->request;
	const uint32_t size = message->size;
	int error = fe_message_send(session->sock, message, fds, nr_fds);

	if (!error)
		error = fe_message_receive(session->sock, message,
					   session->timeout_msec, NULL, NULL);
	if (error)
		return error;
	return is_reply(message, request, size) ? 0 : -EPROTO;
}

static int show_table(struct fe_session *session,
		      const struct fe_memory *memory, uint64_t *addresses)
{
	const unsigned int nr = memory->nr_regions;
	int fds[FE_MAX_TABLE_REGIONS];
	struct fe_message message;
	int error;

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
	error = ask_address(session, &message, fds, nr);
	for (unsigned int i = 0; i < nr && !error; i++) {
		addresses[i] = message.payload.table.regions[i].user_addr;
		if (message.payload.table.regions[i].guest_addr !=
		    memory->regions[i].wire.guest_addr)
			error = -EPROTO;
	}
	return error;
}

static int show_region(struct fe_session *session,
		       const struct fe_region *region, uint64_t *address)
{
	struct fe_message message;
	int error;

	fe_message_init(&message, FE_ADD_MEM_REG,
			sizeof(message.payload.single));
	message.payload.single.region = region->wire;
	error = ask_address(session, &message, &region->fd, 1);
	if (error)
		return error;
	*address = message.payload.single.region.user_addr;
	return message.payload.single.region.guest_addr ==
			       region->wire.guest_addr ?
		       0 :
		       -EPROTO;
}

int fe_session_show_postcopy(struct fe_session *session,
			     const struct fe_memory *memory,
			     uint64_t *addresses)
{
	int error = 0;

	if (!(session->protocol & FE_PROTOCOL_MEM_SLOTS))
		return show_table(session, memory, addresses);
	for (unsigned int i = 0; i < memory->nr_regions && !error; i++)
		error = show_region(session, &memory->regions[i],
				    &addresses[i]);
	return error;
}

int fe_session_confirm_postcopy(struct fe_session *session)
{
	const uint32_t request = session->protocol & FE_PROTOCOL_MEM_SLOTS ?
					 FE_ADD_MEM_REG :
					 FE_SET_MEM_TABLE;

	return fe_session_set(session, request, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * vring_session - tell a back-end about a ring
 */
#include "tests/frontend/vring_session.h"

int fe_session_set_vring_addr(struct fe_session *session,
			      const struct fe_vring *vring, uint32_t index)
{
	const struct fe_memory *memory = vring->memory;
	struct fe_message message;

	fe_message_init(&message, FE_SET_VRING_ADDR,
			sizeof(message.payload.addr));
	message.payload.addr = (struct fe_vring_addr){
		.index = index,
		.desc = fe_memory_user_addr(memory, vring->desc_addr),
		.avail = fe_memory_user_addr(memory, vring->avail_addr),
		.used = fe_memory_user_addr(memory, vring->used_addr),
	};
	return fe_session_exchange(session, &message, NULL, 0);
}

int fe_session_start_vring(struct fe_session *session, struct fe_vring *vring,
			   uint32_t index, uint32_t base)
{
	int error;

	vring->index = index;
	error = fe_session_set_state(session, FE_SET_VRING_NUM, index,
				     vring->size);
	if (!error)
		error = fe_session_set_state(session, FE_SET_VRING_BASE, index,
					     base);
	if (!error)
		error = fe_session_set_vring_addr(session, vring, index);
	if (!error)
		error = fe_session_set_vring_fd(session, FE_SET_VRING_CALL,
						index, vring->call_fd);
	if (!error)
		error = fe_session_set_vring_fd(session, FE_SET_VRING_ERR,
						index, vring->err_fd);
	if (!error)
		error = fe_session_set_vring_fd(session, FE_SET_VRING_KICK,
						index, vring->kick_fd);
	if (!error && session->features & FE_FEATURE_PROTOCOL)
		error = fe_session_set_state(session, FE_SET_VRING_ENABLE,
					     index, 1);
	return error;
}

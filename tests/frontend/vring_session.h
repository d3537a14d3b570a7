/* SPDX-License-Identifier: MIT */
/*
 * vring_session - tell a back-end about a ring
 *
 * Functions return 0 or -errno, as those of session.h.
 */
#ifndef FRONTEND_VRING_SESSION_H
#define FRONTEND_VRING_SESSION_H

#include "tests/frontend/session.h"
#include "tests/frontend/vring.h"

/*
 * Tell a back-end all about a ring and enable it: NUM, BASE, ADDR, CALL, ERR,
 * KICK, ENABLE (where protocol features were negotiated). base: the position
 * that it shall go on from; fe_vring_base() if nothing is under way.
 */
int fe_session_start_vring(struct fe_session *session, struct fe_vring *vring,
			   uint32_t index, uint32_t base);

int fe_session_set_vring_addr(struct fe_session *session,
			      const struct fe_vring *vring, uint32_t index);

#endif

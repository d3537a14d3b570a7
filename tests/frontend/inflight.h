/* SPDX-License-Identifier: MIT */
/*
 * inflight - the region in which a back-end records requests under way
 *
 * A front-end asks for it once and keeps it: it shows it to every back-end
 * that it connects to from then on (vhost-user, Inflight I/O tracking). It is
 * mapped here, so that a test can look into it and spoil it.
 *
 * Functions return 0 or -errno as those of session.h. Owner: one thread.
 */
#ifndef FRONTEND_INFLIGHT_H
#define FRONTEND_INFLIGHT_H

#include "tests/frontend/session.h"

struct fe_inflight {
	struct fe_wire_inflight wire;
	int fd;		/* -1: none */
	uint8_t *bytes; /* wire.mmap_bytes of them */
};

/* None; deinit is harmless then. */
void fe_inflight_init(struct fe_inflight *inflight);
void fe_inflight_deinit(struct fe_inflight *inflight);

/* A region of our own for so many queues. */
int fe_inflight_make(struct fe_inflight *inflight, uint64_t bytes,
		     uint16_t nr_queues, uint16_t queue_size);

/* GET_INFLIGHT_FD; the region takes the place of the one before. */
int fe_session_get_inflight(struct fe_session *session, uint16_t nr_queues,
			    uint16_t queue_size, struct fe_inflight *inflight);

/* SET_INFLIGHT_FD */
int fe_session_set_inflight(struct fe_session *session,
			    const struct fe_inflight *inflight);

#endif

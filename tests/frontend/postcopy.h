/* SPDX-License-Identifier: MIT */
/*
 * postcopy - tell a back-end about memory whose pages are still to come
 *
 * What a front-end says at the destination of a postcopy migration. Who
 * fetches the pages is the user's business.
 *
 * Functions return 0 or -errno, as those of session.h.
 */
#ifndef FRONTEND_POSTCOPY_H
#define FRONTEND_POSTCOPY_H

#include "tests/frontend/session.h"

/* Returns 0 with *ret set to the back-end's userfaultfd, the caller's. */
int fe_session_advise_postcopy(struct fe_session *session, int *ret);
int fe_session_listen_postcopy(struct fe_session *session);

/* -EREMOTEIO also when the back-end answers with a failure. */
int fe_session_end_postcopy(struct fe_session *session);

/*
 * Show all memory, in the way that was negotiated. addresses: has room for
 * memory->nr_regions; where the back-end says that it has each.
 */
int fe_session_show_postcopy(struct fe_session *session,
			     const struct fe_memory *memory,
			     uint64_t *addresses);

/* The front-end knows where all is. */
int fe_session_confirm_postcopy(struct fe_session *session);

#endif

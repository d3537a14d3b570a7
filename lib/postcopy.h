/* SPDX-License-Identifier: MIT */
/*
 * postcopy - guest memory whose pages arrive while the guest runs already
 *
 * In a postcopy migration the guest goes on at the destination before its
 * memory is there. Whoever touches a page that is missing waits, and the
 * front-end, which holds a duplicate of the userfaultfd made here, is told,
 * fetches the page and lets the waiting thread go on.
 *
 * The only room that uses userfaultfd. A touch can take as long as the
 * front-end likes, so the control thread touches no guest memory meanwhile
 * (rh_queue_start()), and a session that ends takes the memory back from who
 * waits for it: rh_postcopy_abandon().
 *
 * Control thread.
 */
#ifndef LIB_POSTCOPY_H
#define LIB_POSTCOPY_H

#include <stdbool.h>

#include "lib/memory.h"

enum rh_postcopy_phase {
	RH_POSTCOPY_OFF,
	RH_POSTCOPY_ADVISED,	 /* the front-end has the userfaultfd */
	RH_POSTCOPY_LISTENING,	 /* what is mapped from now on may be missing */
	RH_POSTCOPY_UNCONFIRMED, /* the same, and the front-end has not
				  * confirmed yet that it knows where it is */
};

struct rh_postcopy {
	enum rh_postcopy_phase phase;
	int fd;	       /* the userfaultfd; -1 when off */
	int device_fd; /* makes them, if it could be opened; else -1 */
};

/*
 * Off. What makes userfaultfds is opened now, since a process may give up its
 * privileges, and the right to open anything, before the first migration.
 */
void rh_postcopy_init(struct rh_postcopy *postcopy);

void rh_postcopy_deinit(struct rh_postcopy *postcopy);

/* Whether this process may have a userfaultfd that does what is needed. */
bool rh_postcopy_possible(const struct rh_postcopy *postcopy);

/*
 * From off to advised. Returns 0 with *ret set to a duplicate of the
 * userfaultfd, the caller's, or -errno.
 */
int rh_postcopy_advise(struct rh_postcopy *postcopy, int *ret);

/* From advised to listening. */
void rh_postcopy_listen(struct rh_postcopy *postcopy);

/* True from listening on, until the end. */
static inline bool rh_postcopy_active(const struct rh_postcopy *postcopy)
{
	return postcopy->phase >= RH_POSTCOPY_LISTENING;
}

/*
 * Let missing pages of all regions of map fault from now on; active. Regions
 * for which that was done before stay as they are. Unconfirmed afterwards: the
 * front-end is to be told where they are, and nobody may touch them before
 * rh_postcopy_confirm(). Returns 0, or -errno with the phase as it was:
 * -EINVAL for memory of a kind that cannot.
 */
int rh_postcopy_watch(struct rh_postcopy *postcopy, const struct rh_map *map);

/* The front-end knows where all is; active. */
void rh_postcopy_confirm(struct rh_postcopy *postcopy);

/* Nothing is missing any more: no page of map faults; back to off. */
void rh_postcopy_end(struct rh_postcopy *postcopy, const struct rh_map *map);

/*
 * The session ends. If pages may be missing nobody waits for one any longer,
 * and no request is carried out with what is in its place: all of map is
 * revoked (rh_map_revoke()). The phase stays.
 */
void rh_postcopy_abandon(struct rh_postcopy *postcopy,
			 const struct rh_map *map);

/* Off, from any phase; nothing is mapped any more. */
void rh_postcopy_reset(struct rh_postcopy *postcopy);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * pager - the pages of a guest whose memory is still to come
 *
 * Takes a guest's memory away, keeps a copy, and brings back each page that is
 * touched, by the back-end or by the test itself, from a thread of its own: a
 * page is put into the memory once and whoever waits for it is woken, as a VMM
 * does that gets it over the network.
 */
#ifndef E2E_PAGER_H
#define E2E_PAGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/frontend/memory.h"

struct pager {
	struct fe_region *region; /* not owned */
	uint8_t *copy;		  /* of the region */
	uint64_t back_end;	  /* where that has the region */
	int back_end_fd;	  /* its userfaultfd; taken */
	int own_fd;		  /* of the region in this process */
	int wake_fd;
	bool serves;
	pthread_t thread;
	atomic_uint nr_own;	 /* faults of this process, */
	atomic_uint nr_back_end; /* and of the other */
};

/* False, and says so in TAP, where userfaultfd cannot be had; for main(). */
bool pager_possible(void);

/* Take the pages of the region away; nothing brings them back yet. */
void pager_init(struct pager *pager, struct fe_region *region);

/* Bring back each page that is touched from now on. */
void pager_serve(struct pager *pager, int back_end_fd, uint64_t back_end);

/* Wait for a fault of the back-end's, while nothing is served. */
bool pager_sees_fault(int back_end_fd, uint64_t *address, int timeout_msec);

/* Bring back the page at this offset in the region. */
void pager_bring(struct pager *pager, uint64_t offset);

/* Bring back all pages, those that nobody has touched too. */
void pager_finish(struct pager *pager);

void pager_deinit(struct pager *pager);

#endif

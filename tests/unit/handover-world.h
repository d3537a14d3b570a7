/* SPDX-License-Identifier: MIT */
/*
 * handover-world - a session that goes on in another device of the same process
 *
 * Two worlds with a socketpair between them, whose buffer takes all that is
 * said about a session: one device writes, then the other one reads.
 */
#ifndef TESTS_UNIT_HANDOVER_WORLD_H
#define TESTS_UNIT_HANDOVER_WORLD_H

#include <ringhost/handover.h>

#include "tests/unit/device-world.h"

/* As world_create() and world_create_running(), for devices that can do it. */
void handover_create(struct world *world);
void handover_create_running(struct world *world);

void handover_pause(struct world *world);

/*
 * From a device that is paused to one that was created: write, then read, with
 * a look whether both are the same. from has not let go. Returns what the
 * reader says.
 */
int handover_tell(struct world *from, struct world *to);

/* from lets go, and is destroyed; the front-end is to's from then on. */
void handover_let_go(struct world *from, struct world *to);

/*
 * All of it, from the pause on: in the place of a world there is another one
 * then, whose device has the session and goes on. Its counters are new.
 */
void handover(struct world *world);

/* All but the pause. */
void handover_paused(struct world *world);

/* How many files this process has open. */
unsigned int handover_count_fds(void);

#endif

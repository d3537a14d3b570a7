/* SPDX-License-Identifier: MIT */
/*
 * turns - whose turn it is among those who share something scarce
 *
 * Each of them has been served so much, counted in time of what is shared. Who
 * waits must not be left behind: nobody is served who is ahead of one that
 * waits by more than TURNS_LEAD_NSEC. Who did not want anything for a while
 * gains nothing by that, and who says that it waits but does not come when it
 * said that it would is not waited for.
 *
 * Times are of one clock that does not go back, in nanoseconds, and handed in.
 * Any thread, without a lock: two that ask at once may both be served, which
 * costs them their next turns.
 */
#ifndef SERVER_TURNS_H
#define SERVER_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* As much as makes it worth while to wake up, and no more. */
#define TURNS_LEAD_NSEC UINT64_C(10000000)

/* Later than it said by so much: it is held up elsewhere. */
#define TURNS_GRACE_NSEC UINT64_C(50000000)

struct turn {
	atomic_uint_fast64_t served_nsec;
	atomic_uint_fast64_t back_nsec; /* when who waits looks again */
	atomic_uint nr_waiting;
};

struct turns {
	unsigned int nr; /* fixed */
	struct turn *all;
	atomic_uint_fast64_t front_nsec; /* where the foremost last began */
};

/* Returns 0 or -ENOMEM. */
int turns_init(struct turns *turns, unsigned int nr);
void turns_deinit(struct turns *turns);

/* What was is forgotten, but not who waits. */
void turns_forget(struct turns *turns);

/* me: below nr. */
bool turns_may_go(const struct turns *turns, unsigned int me,
		  uint64_t now_nsec);
void turns_serve(struct turns *turns, unsigned int me, uint64_t cost_nsec);

/* It waits until the call of turns_done(); may be nested. */
void turns_wait(struct turns *turns, unsigned int me);
void turns_done(struct turns *turns, unsigned int me);

/* Who waits looks again at this time, and says so each time. */
void turns_expect(struct turns *turns, unsigned int me, uint64_t back_nsec);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * turns - whose turn it is among those who share something scarce
 *
 * Start-time fair queueing, with a lead: front_nsec is what the foremost had
 * been served before it was last served. Who begins to wait further behind
 * than a lead has been away, and is moved up to there; who has waited all the
 * time never is, since nobody could get that far ahead of it.
 *
 * All is relaxed: a number that is a moment old costs somebody a moment.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base.h"
#include "server/turns.h"

int turns_init(struct turns *turns, unsigned int nr)
{
	turns->nr = nr;
	turns->front_nsec = 0;
	turns->all = calloc(nr, sizeof(*turns->all));
	return turns->all ? 0 : -ENOMEM;
}

void turns_deinit(struct turns *turns)
{
	free(turns->all);
	turns->all = NULL;
}

static uint64_t get(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(atomic_uint_fast64_t *value, uint64_t nsec)
{
	atomic_store_explicit(value, nsec, memory_order_relaxed);
}

void turns_forget(struct turns *turns)
{
	for (unsigned int i = 0; i < turns->nr; i++)
		set(&turns->all[i].served_nsec, 0);
	set(&turns->front_nsec, 0);
}

/* Never held up by one that is not there any more. */
static bool waits(const struct turn *turn, uint64_t now_nsec)
{
	return atomic_load_explicit(&turn->nr_waiting, memory_order_relaxed) &&
	       (int64_t)(now_nsec - get(&turn->back_nsec)) <
		       (int64_t)TURNS_GRACE_NSEC;
}

bool turns_may_go(const struct turns *turns, unsigned int me, uint64_t now_nsec)
{
	uint64_t mine_nsec = get(&turns->all[me].served_nsec);

	for (unsigned int i = 0; i < turns->nr; i++) {
		const struct turn *other = &turns->all[i];

		if (i != me && waits(other, now_nsec) &&
		    mine_nsec > get(&other->served_nsec) + TURNS_LEAD_NSEC)
			return false;
	}
	return true;
}

void turns_serve(struct turns *turns, unsigned int me, uint64_t cost_nsec)
{
	uint64_t begin_nsec = atomic_fetch_add_explicit(
		&turns->all[me].served_nsec, cost_nsec, memory_order_relaxed);

	if (begin_nsec > get(&turns->front_nsec))
		set(&turns->front_nsec, begin_nsec);
}

/* Returns how many there were. */
static unsigned int count_waiting(struct turn *turn, int change)
{
	unsigned int nr =
		atomic_load_explicit(&turn->nr_waiting, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		&turn->nr_waiting, &nr, nr + (unsigned int)change,
		memory_order_relaxed, memory_order_relaxed))
		;
	return nr;
}

void turns_wait(struct turns *turns, unsigned int me)
{
	struct turn *turn = &turns->all[me];
	uint64_t front_nsec = get(&turns->front_nsec);
	uint64_t served_nsec = get(&turn->served_nsec);

	if (front_nsec > served_nsec + TURNS_LEAD_NSEC)
		atomic_compare_exchange_strong_explicit(
			&turn->served_nsec, &served_nsec,
			front_nsec - TURNS_LEAD_NSEC, memory_order_relaxed,
			memory_order_relaxed);
	count_waiting(turn, 1);
}

void turns_done(struct turns *turns, unsigned int me)
{
	unsigned int nr = count_waiting(&turns->all[me], -1);

	assert(nr);
}

void turns_expect(struct turns *turns, unsigned int me, uint64_t back_nsec)
{
	set(&turns->all[me].back_nsec, back_nsec);
}

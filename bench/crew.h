/* SPDX-License-Identifier: MIT */
/*
 * crew - the threads that drive the lanes
 *
 * Lanes are dealt out to the threads in turn, and from then on belong to them.
 * All threads follow one phase, which the main thread sets; while nothing is
 * to be done they spin, or sleep until a call comes.
 *
 * The functions here are for the main thread.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/lane.h"

enum crew_phase {
	CREW_RAMPS,    /* asks; what is counted is forgotten later */
	CREW_MEASURES, /* asks and counts */
	CREW_GOES_ON,  /* asks, and does not count */
	CREW_CHECKS,   /* reads back what it wrote, and ends */
	CREW_ENDS,     /* waits for what is under way, and ends */
	CREW_FLEES,    /* ends at once */
};

struct crew;

struct crew_member {
	struct crew *crew;
	pthread_t thread;
	bool started;
	uint32_t first_lane; /* and each nr_members-th from there on */
	int epoll_fd;	     /* of the lanes' calls, and wake_fd */
	int wake_fd;
	enum crew_phase phase; /* that it has followed so far */

	/* Of the measurement; valid when it has ended */
	uint64_t begin_nsec, end_nsec;
	uint64_t cpu_nsec; /* until the end: those at the begin */
	uint64_t nr_calls;
	uint64_t nr_kicks;
};

struct crew {
	struct lane *lanes;
	uint32_t nr_lanes;
	struct crew_member *members;
	uint32_t nr_members;
	bool poll;
	uint64_t rate;
	_Atomic int phase;
	_Atomic uint32_t nr_measuring; /* members that have begun to */
	_Atomic uint32_t nr_ended;
	int news_fd; /* an eventfd: one of the two has grown */
};

/* What they have in common; the lanes stay the caller's. */
struct crew_setup {
	struct lane *lanes;
	uint32_t nr_lanes;
	uint32_t nr_members; /* at most nr_lanes */
	bool poll;
	uint64_t rate; /* of a lane; 0: none */
};

/*
 * Start the threads, in CREW_RAMPS. Returns 0 or -errno; deinit, which waits
 * for them, is harmless after failure and for zeroes.
 */
int crew_init(struct crew *crew, const struct crew_setup *setup);
void crew_deinit(struct crew *crew);

/* Phases only rise. */
void crew_set_phase(struct crew *crew, enum crew_phase phase);

static inline bool crew_measures(const struct crew *crew)
{
	return atomic_load(&crew->nr_measuring) == crew->nr_members;
}

static inline bool crew_has_ended(const struct crew *crew)
{
	return atomic_load(&crew->nr_ended) == crew->nr_members;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * polling - whether a worker should look again before it sleeps
 *
 * Arithmetic over times, and nothing else: the worker tells when it has
 * nothing to do and when it has found something, and is told whether to look
 * again or to sleep. Looking is worth while if what is waited for comes sooner
 * than a sleep and a wake-up cost; that is judged by the last waits of the same
 * kind, those that were slept through as well. Where it does not pay there is
 * a rare attempt, and where somebody else needs the core there are ever fewer.
 *
 * Times are of one clock that does not go back, in nanoseconds. Owner: the
 * worker's thread.
 */
#ifndef SERVER_POLLING_H
#define SERVER_POLLING_H

#include <stdbool.h>
#include <stdint.h>

/* What a wait is for; each kind has its own past. */
enum polling_wait {
	POLLING_FOR_DRIVER,  /* nothing is under way: its next request */
	POLLING_FOR_STORAGE, /* something is: the end of that, most likely */
	POLLING_NR_WAITS,
};

/*
 * What a sleep costs that ends with an event: two wake-ups, ours and that of
 * whoever sleeps until we answer, the system calls around them, and the
 * caches that are cold afterwards. Measured at 22 to 27 microseconds.
 */
#define POLLING_SLEEP_NSEC 25000

/* The part of it that lies between the event and our seeing it. */
#define POLLING_WAKE_UP_NSEC 12000

/* Waits of a kind that does not pay, between two attempts. */
#define POLLING_ATTEMPT_EVERY 1024

struct polling_past {
	int64_t gain_nsec;     /* of looking instead of sleeping, mean */
	unsigned int nr_slept; /* waits since the last one looked through */
	unsigned int hold_off; /* waits to sleep through after a failure */
	unsigned int nr_paid;  /* looks in a row that found something */
};

struct polling {
	uint64_t limit_nsec; /* of one wait; 0: never look */
	enum {
		POLLING_IDLE, /* no wait goes on */
		POLLING_LOOKING,
		POLLING_SLEEPING,
	} state;
	enum polling_wait wait; /* the one that goes on, as the next three */
	unsigned int nr_looks;
	uint64_t since_nsec;
	uint64_t last_look_nsec;
	struct polling_past pasts[POLLING_NR_WAITS];
};

/* max_usec: the longest look; 0: polling_look() always says no. */
void polling_init(struct polling *polling, unsigned int max_usec);

static inline bool polling_is_on(const struct polling *polling)
{
	return polling->limit_nsec != 0;
}

/*
 * Nothing is to be done. True: look again at once; false: sleep. wait counts
 * at the first call after polling_found().
 */
bool polling_look(struct polling *polling, enum polling_wait wait,
		  uint64_t now_nsec);

/* Something was there to do: the wait, if one went on, has ended. */
void polling_found(struct polling *polling, uint64_t now_nsec);

#endif

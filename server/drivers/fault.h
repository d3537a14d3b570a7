/* SPDX-License-Identifier: MIT */
/*
 * fault - a disk that fails as it is told
 *
 * What the files fault*.c share; nobody else includes this. The driver stands
 * between the queues and another driver, the wrapped one, and between that
 * one and its engine.
 *
 *	fault.c		opening and closing, both drivers'
 *	fault_rule.c	what one rule says, fault_values.c in one word
 *	fault_match.c	which events it applies to
 *	fault_context.c	a worker's part; requests that wait
 *	fault_submit.c	a request's way through rules, cache, wrapped driver
 *	fault_cache.c	what was written and is not on the storage yet
 *	fault_sync.c	writing back, and flushes
 *	fault_cut.c	power cuts, and what else is done without a worker
 *	fault_engine.c	what goes wrong below the wrapped driver
 *
 * Threads: what struct fault guards with its lock is any thread's, the rest
 * of it is fixed; a struct fault_context belongs to its worker. No other lock
 * is taken, no operation of the wrapped driver or of its engine is called,
 * and no request is completed while the lock is held.
 *
 * Nothing of this is on the hot path: who chooses this driver wants trouble.
 */
#ifndef SERVER_DRIVERS_FAULT_H
#define SERVER_DRIVERS_FAULT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "server/driver.h"
#include "server/drivers/fault_cache.h"
#include "server/drivers/fault_rule.h"

#define FAULT_NR_REQUESTS    1024 /* under way, of one worker */

#define FAULT_EXIT_POWER_CUT 86

struct fault {
	struct driver driver;
	struct driver *inner; /* the wrapped one */
	char *name;
	uint64_t seed;
	uint64_t opened_nsec;

	pthread_mutex_t lock;
	/* Guarded by it */
	struct fault_armed *rules;
	unsigned int nr_rules;
	struct fault_cache cache;
	int sync_error;		/* of the first writing back that failed */
	struct list_node syncs; /* requests, by link; the first one is served */
	struct list_node reads; /* by read_link, in the order they started */
	unsigned int nr_wanting_room; /* of syncs */
	unsigned int nr_inner;	      /* requests that the wrapped driver has */
	bool cutting;		      /* the power has failed */
	enum fault_keep keep;
	uint64_t keep_count;
};

/* What the rules have decided about one request. */
struct fault_verdict {
	int error;
	uint64_t delay_nsec;
	uint64_t hold; /* until so many others have completed */
	uint64_t hold_nsec;
	bool hang;
	uint64_t hang_nsec; /* 0: for ever */
	bool flip;
	uint64_t flip_draw;
	bool shorten;
	bool short_has_bytes;
	uint64_t short_bytes;
	const struct fault_rule *cut;
};

static inline struct fault *fault_of(struct driver *driver)
{
	return container_of(driver, struct fault, driver);
}

/* fault_submit.c */
/* With the lock held. The event is held against all rules. */
void fault_judge(struct fault *fault, const struct fault_event *event,
		 struct fault_verdict *ret);

/* fault_sync.c */
/* With the lock held: drop what no read needs any more. */
void fault_sync_drop(struct fault *fault);
/* With the lock held: nobody knows what is on the storage. */
void fault_sync_poison(struct fault *fault, int error);

/* fault_cut.c. With the lock held, which it may give up: for good. */
void fault_cut(struct fault *fault, const struct fault_rule *rule);
/* With the lock held: the wrapped driver has nothing any more. */
void fault_cut_if_idle(struct fault *fault);
void fault_user_signal(struct driver *driver);
/* In the control thread, no worker has a part: empty the cache. */
void fault_write_back(struct fault *fault);

#endif

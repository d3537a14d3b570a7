/* SPDX-License-Identifier: MIT */
/*
 * plan - which call of a server fails, and what has become of it
 *
 * The test shares it, in a memfd, with the program that makes calls fail; its
 * number is in the environment variable FAULT_PLAN. Calls are counted by rows.
 * One of a row's calls is failed, once: the nth since the plan was armed.
 *
 * Owner: the test writes, all but the counts; while a server runs it writes
 * only what is atomic.
 */
#ifndef FAULTS_PLAN_H
#define FAULTS_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLAN_VARIABLE	 "FAULT_PLAN"
#define PLAN_PROGRAM	 "FAULT_PROGRAM" /* for failing-calls */
#define PLAN_MAX_ROWS	 96
#define PLAN_NO_FAULTS	 125 /* exit status where the host knows no watchers */
#define PLAN_MAX_NUMBERS 512

/* Some of the calls of one kind. The heap has one row, of which only counts. */
struct plan_row {
	uint32_t call; /* its number */
	bool by_value; /* if its second argument is value */
	uint64_t value;
	char file[24]; /* what its first one's file begins with; "": any */
	atomic_uint count;
};

struct plan {
	uint32_t nr_rows;
	struct plan_row rows[PLAN_MAX_ROWS];

	atomic_uint row;
	atomic_uint nth;   /* 0: none */
	atomic_int error;  /* a positive errno */
	atomic_uint count; /* of the row, since it was armed */
	atomic_uint nr_failed;

	/*
	 * Which calls are seen by the program, and so take their time: those of
	 * one row; or those of any kind, which are counted by their numbers.
	 */
	bool see_all;
	uint32_t see_row;
	atomic_uint made[PLAN_MAX_NUMBERS];

	/* how failing-calls and its watcher meet */
	atomic_int listener;
	atomic_bool watched;
};

/* One call of this row is being made: is it the one? */
static inline bool plan_fails(struct plan *plan, unsigned int row)
{
	atomic_fetch_add(&plan->rows[row].count, 1);
	if (row != atomic_load(&plan->row) ||
	    atomic_fetch_add(&plan->count, 1) + 1 != atomic_load(&plan->nth))
		return false;
	atomic_fetch_add(&plan->nr_failed, 1);
	return true;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * apply - what items say is made true, by commands
 *
 * Compares items that were applied with those that are wanted, and does what
 * makes the one of the other: removals first, each after those that need what
 * it removes; then additions, each after what it needs. An item that has
 * changed is removed and added again, and so is what stands on it. All that
 * can be done at the same time is; what fails stops nothing else.
 *
 * Owner: the caller. Control thread.
 */
#ifndef SERVER_APPLY_H
#define SERVER_APPLY_H

#include "server/config.h"
#include "server/daemon.h"

struct apply {
	struct daemon *daemon;
	struct list_node *applied; /* struct config_item; not owned */
	struct list_node steps;
	bool hard;   /* exports that are in use are removed, too */
	bool adding; /* nothing is left to be removed */
	unsigned int nr_under_way;
	bool ended;
	bool advancing; /* inside advance(), which goes on by itself */
	json_t *report;
	void (*done)(struct apply *apply, json_t *report);
};

/*
 * Of wanted, objects, nodes and exports are taken; they are in applied when
 * they are there. At the end, now or later, calls done() with what was done,
 * as the command x-config-reload tells it (handed over); each failure was
 * logged. apply: all but its first member are set here. Returns 0, or -ENOMEM:
 * nothing was done then, and done() is not called.
 */
int apply_start(struct apply *apply, struct list_node *applied,
		struct config *wanted, bool hard,
		void (*done)(struct apply *apply, json_t *report));

/*
 * At the start: wait until it has ended, the daemon is to quit, or what is left
 * to be done waits for storage that does not answer.
 */
void apply_wait(struct apply *apply);

/* A client has removed it: it is not what was applied any more. */
void apply_forget(struct apply *apply, enum config_kind kind, const char *name);

/* An export has ended. */
void apply_export_ended(struct apply *apply, const char *id);

#endif

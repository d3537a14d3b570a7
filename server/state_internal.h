/* SPDX-License-Identifier: MIT */
/*
 * state_internal - what the files of state share
 *
 * state.c has the tasks, state_read.c what is read at the start, state_lock.c
 * what keeps others out.
 */
#ifndef SERVER_STATE_INTERNAL_H
#define SERVER_STATE_INTERNAL_H

#include "server/state.h"

#define STATE_UNFINISHED ".new-"
#define STATE_SUFFIX	 ".json"

struct state {
	struct jobs *jobs;
	char *path;
	int fd;
	int lock_fd; /* -1: it is not ours */
	unsigned int nr_written;
	struct list_node tasks; /* struct state_task */
	bool is_working;	/* at the first of them */
	struct job job;
};

/* state_read.c: returns 0 with fd set, or -errno. */
int state_open_directory(struct state *state);

/* The same: what has no name of its own yet. Returns 0 or -errno. */
int state_remove_unfinished(struct state *state);

#endif

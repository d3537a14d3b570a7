/* SPDX-License-Identifier: MIT */
/*
 * state - a directory of what was added at run time, one file for each
 *
 * A file is there whole or not at all, whenever the process or the machine
 * dies: it is written under another name, made durable, and renamed. What is
 * done to files is done beside the control thread, one after the other in the
 * order in which it was asked for.
 *
 * Owner: struct record. Control thread.
 */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include <sys/types.h>

#include "common/list.h"
#include "server/config.h"
#include "server/jobs.h"

#define STATE_NAME_BYTES 256

enum state_verb {
	STATE_WRITE,  /* text, under a name that is not the file's yet */
	STATE_KEEP,   /* what was written gets the file's name */
	STATE_DROP,   /* what was written is not needed */
	STATE_REMOVE, /* the file; it need not be there */
};

/* What is to be done about one file. Owner: the caller, until done(). */
struct state_task {
	enum state_verb verb;
	char name[STATE_NAME_BYTES]; /* of state_name() */
	char *text;		     /* for STATE_WRITE */
	int error;		     /* 0 or -errno, when it is done */
	void (*done)(struct state_task *task);

	/* Of state.c */
	struct list_node link;
	unsigned int written; /* what names what was written */
};

struct state;

/*
 * Open the directory, which is made if it is not there. jobs: outlives it.
 * Returns 0 with *ret set, or -errno (logged).
 */
int state_open(struct jobs *jobs, const char *path, struct state **ret);

/* NULL is accepted. One that is still at work is left alone. */
void state_close(struct state *state);

/*
 * Nobody else has it from now on; what a process that has died has not finished
 * is removed. Returns 0, also if it was locked before, or -errno: -EAGAIN with
 * the other process in *holder (0: not known). Nothing is written without it.
 */
int state_lock(struct state *state, pid_t *holder);
void state_unlock(struct state *state);

/* The name of an item's file. Returns 0, or -ENAMETOOLONG. */
int state_name(enum config_kind kind, const char *name,
	       char ret[STATE_NAME_BYTES]);

/* The text of a file. NULL without memory; to be freed. */
char *state_text(enum config_kind kind, json_t *arguments);

/*
 * Take an item of each file; a file that says nothing that is understood is
 * logged and left alone.
 */
void state_read(struct state *state, struct config *config);

/* Asynchronous: until done(). A task is used again for what was written. */
void state_start(struct state *state, struct state_task *task);

const char *state_path(const struct state *state);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * journal - what there is, as the commands that would make it again
 *
 * All that can be changed is changed by a command, so a list of the commands
 * that have succeeded, without those that others have undone, is all that
 * another process needs to become like this one. Whoever asks is told them, so
 * secrets are not among them: these come along by themselves (secrets.h).
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "server/qmp/call.h"

struct journal {
	struct list_node entries; /* in the order in which they succeeded */
	uint64_t generation;	  /* another one after each change */
};

void journal_init(struct journal *journal);
void journal_deinit(struct journal *journal);

/* True if a command of this name changes what there is for longer. */
bool journal_keeps(const char *command);

/*
 * This command has succeeded. Nothing happens for one that is not kept.
 * arguments: borrowed, NULL: none. typed: see args.h. Returns 0 or -ENOMEM.
 */
int journal_note(struct journal *journal, const char *command,
		 json_t *arguments, bool typed);

/* Something else has changed that another process would have to know. */
void journal_touch(struct journal *journal);

/* True if what a command with these arguments would make is there. */
bool journal_has(const struct journal *journal, const char *command,
		 const json_t *arguments);

/*
 * An array of {execute, arguments, x-typed}, a new reference; NULL without
 * memory.
 */
json_t *journal_commands(const struct journal *journal);

#endif

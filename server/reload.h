/* SPDX-License-Identifier: MIT */
/*
 * reload - the configuration files of a daemon, read again while it runs
 *
 * Remembers what was applied from files. Reading them again takes what they
 * say now, works out the difference, and applies that and nothing else: what
 * they do not change goes on, and what clients have added is not looked at.
 * Files of which one is wrong change nothing.
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "server/config.h"
#include "server/daemon.h"
#include "server/qmp/call.h"

struct reload;

/*
 * path: what config was read from; copied. config: its items are taken, on
 * success. Returns 0 with *ret set, or -ENOMEM (logged).
 */
int reload_create(struct daemon *daemon, const char *path,
		  struct config *config, struct reload **ret);

/* NULL is accepted. */
void reload_destroy(struct reload *reload);

/*
 * The first time: apply what was read, and run the loop until that is done, or
 * nothing is left to be waited for but storage that does not answer. What
 * fails was logged, and is tried again with the next reload.
 */
void reload_start(struct reload *reload);

/*
 * Read the files again. hard: exports are removed though a front-end is
 * connected. call: answered at the end; NULL: a signal, which is not lost if
 * a reload is under way.
 */
void reload_again(struct reload *reload, bool hard, struct qmp_call *call);

/* One is under way. NULL is accepted. */
bool reload_busy(const struct reload *reload);

/* An export has ended. NULL is accepted. */
void reload_export_ended(struct reload *reload, const char *id);

/*
 * A client has removed it: it is not ours any more, but comes back with the
 * next reload if it still stands in a file. NULL is accepted.
 */
void reload_forget(struct reload *reload, enum config_kind kind,
		   const char *name);

/* True if it was applied from files. NULL is accepted. */
bool reload_has(const struct reload *reload, enum config_kind kind,
		const char *name);

#endif

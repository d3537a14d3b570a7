/* SPDX-License-Identifier: MIT */
/*
 * record - commands of clients that change what there is
 *
 * What a client adds is kept in a directory, if there is one (state.h), and is
 * there again when the daemon starts the next time: the client gets its answer
 * when that is sure. What cannot be kept is not added. What a client changes of
 * it is changed there, too. What a client removes is not the configuration's
 * any more, until that is read again.
 *
 * Owner: struct daemon. Control thread.
 */
#ifndef SERVER_RECORD_H
#define SERVER_RECORD_H

#include "server/daemon.h"
#include "server/qmp/call.h"

struct record;

/* Carry out a command of a client, as commands_run() does. */
void record_run(struct daemon *daemon, const char *name, struct qmp_call *call);

/*
 * path: --state-dir, which is ours alone from now on; later: or is to be, with
 * record_take(). Returns 0 with *ret set, or -errno (logged).
 */
int record_open(struct daemon *daemon, const char *path, bool later,
		struct record **ret);

/*
 * Whose place we have taken has let it go; and what that one does. NULL is
 * accepted.
 */
void record_take(struct record *record);
void record_let_go(struct record *record);

/* NULL is accepted. */
void record_close(struct record *record);

/*
 * Add what is kept, and run the loop until that is done, as reload_start()
 * does. What the configuration or the command line has under the same name
 * stays; what fails was logged, and is tried again at the next start.
 */
void record_restore(struct record *record);

#endif

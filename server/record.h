/* SPDX-License-Identifier: MIT */
/*
 * record - commands of clients that change what there is
 *
 * What a client removes is not the configuration's any more, until that is
 * read again.
 *
 * Control thread.
 */
#ifndef SERVER_RECORD_H
#define SERVER_RECORD_H

#include "server/daemon.h"
#include "server/qmp/call.h"

/* Carry out a command of a client, as commands_run() does. */
void record_run(struct daemon *daemon, const char *name, struct qmp_call *call);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * run - a VM with a disk: the server, and the VM's command as its child
 *
 * The two share a socket that has no name, so that nothing of it is left
 * behind and nobody else can connect. The server ends when the child does,
 * and its exit status is the child's.
 *
 * Control thread; see server.h.
 */
#ifndef SERVER_RUN_H
#define SERVER_RUN_H

#include "server/options.h"

/* What the program exits with: the command's status, or one of main.h's. */
int run_vm(const struct options *options);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * record_internal - what the files of record share
 *
 * record.c has what is added and removed, record_alter.c what is changed,
 * record_restore.c the start.
 */
#ifndef SERVER_RECORD_INTERNAL_H
#define SERVER_RECORD_INTERNAL_H

#include "server/apply.h"
#include "server/config.h"
#include "server/kept.h"
#include "server/record.h"
#include "server/state.h"

struct record {
	struct daemon *daemon;
	struct state *state;
	struct list_node kept; /* struct kept */

	/* Of the start */
	struct config config;	   /* what was kept */
	struct list_node restored; /* struct config_item */
	struct apply apply;
};

/*
 * record_alter.c: as record_run(), for a command that changes what is kept.
 * Returns false if it is not one, and nothing was done.
 */
bool record_alter(struct daemon *daemon, const char *name,
		  struct qmp_call *call);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * disks - what a daemon serves, each disk with the image it stands on
 *
 * Puts together what the daemon tells of its exports and of its nodes, as an
 * array of objects that `list --json` prints as they are:
 *
 *	id, node-name, image ("" if there is none), driver, size (bytes),
 *	writable, direct, socket ("" for an inherited one), connected, pid (0:
 *	not known), queues, iothreads (an array of ids), limits (an object of
 *	those that are not 0), groups (an array of those whose limits it
 *	shares), state (what it does, in a word)
 *
 * Owner: the caller; one thread.
 */
#ifndef CTL_DISKS_H
#define CTL_DISKS_H

#include "ctl/link.h"

/* A new reference; NULL if the daemon does not tell (logged). */
json_t *disks_get(struct link *link);

/* The one of this id, a new reference; NULL if there is none (logged). */
json_t *disks_get_one(struct link *link, const char *id);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * uring - the engine on io_uring
 *
 * The only place that sets up, submits to and reaps an io_uring. A turn is
 * one io_uring_enter(2), or none when there is nothing to submit and nothing
 * to wait for. Needs Linux 5.17, and is at its best from 6.1 on.
 *
 * The first turn decides which thread submits: it must be the owner's.
 */
#ifndef SERVER_URING_H
#define SERVER_URING_H

#include "server/engine.h"

/* Operations that one system call can submit. */
#define URING_ENTRIES 512

/* As engine_create(); nr_entries: a power of two. */
int uring_create(unsigned int nr_entries, struct engine **ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * harm - what a hostile guest does with its disk, again and again
 *
 * Each kind of harm is a step that is repeated as fast as one thread can: a
 * guest has as many as its machine has processors, and those are its own. A
 * step opens the session that it needs and may leave it open for the next one
 * of the same kind; harm_end() is between two kinds. It takes about a
 * millisecond, besides what the server makes it wait.
 *
 * Owner: one thread, of a process that has nothing to lose: the memory of some
 * kinds goes away.
 */
#ifndef E2E_HARM_H
#define E2E_HARM_H

#include "tests/e2e/client.h"

struct harm {
	const struct server *server;
	struct client client;
	bool is_open;
	unsigned int nr_steps;
};

struct harm_kind {
	const char *what;
	/* 0, or -errno if the server does not do what it has to */
	int (*step)(struct harm *harm);
};

#define NR_HARMS 11
extern const struct harm_kind harm_kinds[NR_HARMS];

/* The disk's least size, for the largest of requests. */
#define HARM_IMAGE_BYTES (16u << 20)

/* Close what is open. */
void harm_end(struct harm *harm);

#endif

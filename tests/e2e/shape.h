/* SPDX-License-Identifier: MIT */
/*
 * shape - what a well-formed message of each kind looks like
 *
 * A table of all messages that a block device takes, from which tests make
 * good ones and then spoil them in one respect each.
 */
#ifndef E2E_SHAPE_H
#define E2E_SHAPE_H

#include "tests/e2e/client.h"

struct shape {
	uint32_t request;
	uint32_t bytes; /* of its payload */
	unsigned int nr_fds;
	bool replies; /* with something of its own */
};

#define NR_SHAPES 25
extern const struct shape shapes[NR_SHAPES];

/* NULL for a request that is not in the table. */
const struct shape *shape_of(uint32_t request);

/*
 * A session with everything negotiated and memory to show, which is shown
 * only where a message of this shape needs that; asserts that it came about.
 */
void shape_connect(const struct shape *shape, struct client *client,
		   const struct server *server);

/* A message of this shape that such a session accepts, and the fd for it. */
void shape_make(const struct shape *shape, const struct client *client,
		struct fe_message *message);
int shape_fd(const struct shape *shape, const struct client *client);

#endif

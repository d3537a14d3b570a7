/* SPDX-License-Identifier: MIT */
/*
 * shape - what a well-formed message of each kind looks like
 *
 * A table of the messages that a block device takes, from which cases make
 * good ones, and then spoil them in one respect each. Messages whose feature
 * a back-end does not offer are left out by shape_is_known().
 */
#ifndef CHECK_SHAPE_H
#define CHECK_SHAPE_H

#include "check/case.h"

struct shape {
	uint32_t request;
	uint32_t bytes; /* of its payload */
	unsigned int nr_fds;
	bool replies;	   /* with something of its own */
	uint64_t protocol; /* what must have been negotiated */
};

#define NR_SHAPES 25
extern const struct shape shapes[NR_SHAPES];

/* NULL for a request that is not in the table. */
const struct shape *shape_of(uint32_t request);

bool shape_is_known(const struct shape *shape, const struct target *target);

/*
 * A session with everything negotiated and memory to show, which is shown
 * only where a message of this shape needs that.
 */
struct vm *shape_prepare(const struct shape *shape, struct check *check);

/* A message of this shape that such a session accepts, and the fd for it. */
void shape_make(const struct shape *shape, const struct vm *vm,
		struct fe_message *message);
int shape_fd(const struct shape *shape, const struct vm *vm);

/*
 * Send and wait for what comes back, with or without REPLY_ACK. Returns 0
 * when it was accepted, -EREMOTEIO, -ECONNRESET or -ETIMEDOUT; afterwards the
 * session still answers, or it was closed.
 */
int shape_send(struct vm *vm, struct fe_message *message, const int *fds,
	       unsigned int nr_fds);

#endif

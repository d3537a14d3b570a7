/* SPDX-License-Identifier: MIT */
/*
 * spoilt - one request in descriptors that a case may spoil
 *
 * A read lies in descriptors 0, 1 and 2 (header, data, status), or the same
 * three in a table; a case spoils something and makes it available. What is
 * welcome then: the request is completed with an error, the error fd is
 * signalled, or the session ends. What is not: success, silence, and death.
 */
#ifndef CHECK_SPOILT_H
#define CHECK_SPOILT_H

#include "check/case.h"

struct spoilt {
	struct check *check;
	struct vm *vm;
	struct fe_vring *vring;
	struct fe_blk_request *request;
	struct vring_desc *desc;
	struct vring_desc *table;
};

/* A fresh session with the read in its ring, not published. */
void spoilt_make(struct check *check, struct spoilt *spoilt);

/* The same read in the table, and descriptor 0 an indirect one for it. */
void spoilt_use_table(struct spoilt *spoilt);

void spoilt_set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next);

/*
 * Make what was added available. Returns what the request came to, as
 * fe_blk_result(), -EPIPE for the error fd, -ECONNRESET, or -ETIMEDOUT for
 * silence.
 */
int spoilt_push(struct spoilt *spoilt);

/* Push, and fail the case for success and silence. */
void spoilt_expect_refusal(struct spoilt *spoilt, const char *what);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * request - one request of any kind, and the whole of what came back
 */
#ifndef CHECK_REQUEST_H
#define CHECK_REQUEST_H

#include "check/case.h"

struct request {
	uint32_t type;
	uint32_t ioprio;
	uint64_t sector;
	uint32_t bytes;	 /* of data, in or out */
	const void *out; /* NULL: bytes that depend on seed */
	uint64_t seed;
	struct fe_framing framing;
};

struct request_result {
	uint32_t used_bytes;
	const uint8_t *data; /* valid until the next request */
};

/*
 * Run it on queue 0, where nothing else is under way. Returns 0 or -errno of
 * tests/frontend/blk.h, with *ret set in both cases.
 */
int request_run(struct check *check, struct vm *vm,
		const struct request *request, struct request_result *ret);

/* Wait for any request to be used. Returns what it came to. */
int request_wait_any(struct vm *vm, unsigned int queue);

/* A discard or write-zeroes of one range. */
int request_range(struct check *check, struct vm *vm, uint32_t type,
		  const struct virtio_blk_discard_write_zeroes *range);

#endif

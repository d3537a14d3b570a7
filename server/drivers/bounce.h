/* SPDX-License-Identifier: MIT */
/*
 * bounce - aligned buffers for what O_DIRECT cannot do in the guest's memory
 *
 * A fixed number of them for each worker, allocated when it attaches; a
 * page that is never used costs nothing. An empty pool makes the driver busy.
 *
 * Owner: the worker's thread.
 */
#ifndef SERVER_DRIVERS_BOUNCE_H
#define SERVER_DRIVERS_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

#define BOUNCE_BYTES (128u << 10)
#define BOUNCE_NR    16

/* Nothing can demand more: data of a bounce is aligned to a page. */
#define BOUNCE_MAX_ALIGN 4096

struct bounce {
	struct list_node link;
	uint8_t *data; /* BOUNCE_BYTES */

	/* The user's: which part of the image is in it */
	bool filling; /* reading, before a write of a part */
	uint64_t offset_bytes;
	uint32_t bytes;
	uint32_t moved_bytes; /* by the operations so far */
	uint32_t piece_start; /* the request's part of it */
	uint32_t piece_bytes;
};

struct bounce_pool {
	void *memory;
	struct bounce bounces[BOUNCE_NR];
	struct list_node free;
};

/* Returns 0 or -ENOMEM. */
int bounce_pool_init(struct bounce_pool *pool);

/* All have been given back, or it was never initialised (all zero). */
void bounce_pool_deinit(struct bounce_pool *pool);

/* One with bytes 0; NULL when all are in use. */
struct bounce *bounce_get(struct bounce_pool *pool);
void bounce_put(struct bounce_pool *pool, struct bounce *bounce);

#endif

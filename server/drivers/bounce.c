/* SPDX-License-Identifier: MIT */
/*
 * bounce - aligned buffers for what O_DIRECT cannot do in the guest's memory
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "server/drivers/bounce.h"

#define POOL_BYTES ((size_t)BOUNCE_BYTES * BOUNCE_NR)

int bounce_pool_init(struct bounce_pool *pool)
{
	/* So large a piece comes from the kernel, and is empty until used. */
	uint8_t *memory = aligned_alloc(BOUNCE_MAX_ALIGN, POOL_BYTES);

	if (!memory)
		return -ENOMEM;
	/* A core file of ours is no place for a guest's data. */
	madvise(memory, POOL_BYTES, MADV_DONTDUMP);
	pool->memory = memory;
	list_init(&pool->free);
	for (size_t i = 0; i < BOUNCE_NR; i++) {
		pool->bounces[i].data = memory + i * BOUNCE_BYTES;
		list_append(&pool->free, &pool->bounces[i].link);
	}
	return 0;
}

void bounce_pool_deinit(struct bounce_pool *pool)
{
	size_t nr_free = 0;

	if (!pool->memory)
		return;
	list_for_each(node, &pool->free)
		nr_free++;
	assert(nr_free == BOUNCE_NR);
	/* The heap may have use for it. */
	madvise(pool->memory, POOL_BYTES, MADV_DODUMP);
	free(pool->memory);
	pool->memory = NULL;
}

struct bounce *bounce_get(struct bounce_pool *pool)
{
	struct list_node *node = list_take_first(&pool->free);
	struct bounce *bounce;

	if (!node)
		return NULL;
	bounce = container_of(node, struct bounce, link);
	bounce->bytes = 0;
	return bounce;
}

void bounce_put(struct bounce_pool *pool, struct bounce *bounce)
{
	list_append(&pool->free, &bounce->link);
}

/* SPDX-License-Identifier: MIT */
/*
 * rmw - which blocks are being written, so that a block can be changed in part
 *
 * Three lists: writers that run, writers whose turn has come but whose thread
 * has not noticed yet, writers that wait. A writer may go when it overlaps
 * with nobody on the first two lists and with nobody who waits before it, so
 * the order of arrival is kept and no one starves. Nobody can wait in a
 * circle, since a request enters once, with its whole range.
 *
 * A list is searched from front to back: it is as long as there are writes
 * under way, which is tens, and a search costs less than the write itself.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/drivers/rmw.h"

struct rmw_table {
	pthread_mutex_t mutex;
	uint32_t block_bytes;
	struct list_node running;
	struct list_node granted;
	struct list_node waiting;
};

static struct blk_request *request_of(struct list_node *node)
{
	return container_of(node, struct blk_request, link);
}

int rmw_create(uint32_t block_bytes, struct rmw_table **ret)
{
	struct rmw_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	pthread_mutex_init(&table->mutex, NULL);
	table->block_bytes = block_bytes;
	list_init(&table->running);
	list_init(&table->granted);
	list_init(&table->waiting);
	*ret = table;
	return 0;
}

void rmw_destroy(struct rmw_table *table)
{
	if (!table)
		return;
	assert(list_empty(&table->running));
	assert(list_empty(&table->granted));
	assert(list_empty(&table->waiting));
	pthread_mutex_destroy(&table->mutex);
	free(table);
}

static bool ranges_overlap(const struct rmw_table *table,
			   const struct blk_request *a,
			   const struct blk_request *b)
{
	uint64_t mask = table->block_bytes - 1;
	uint64_t a_start = a->offset_bytes & ~mask;
	uint64_t b_start = b->offset_bytes & ~mask;
	uint64_t a_end = (a->offset_bytes + a->bytes + mask) & ~mask;
	uint64_t b_end = (b->offset_bytes + b->bytes + mask) & ~mask;

	return a_start < b_end && b_start < a_end;
}

/* Looks at the requests of the list that stand before the request. */
static bool overlaps_before(const struct rmw_table *table,
			    struct list_node *list, struct blk_request *request)
{
	list_for_each(node, list) {
		if (request_of(node) == request)
			return false;
		if (ranges_overlap(table, request_of(node), request))
			return true;
	}
	return false;
}

static bool may_run(struct rmw_table *table, struct blk_request *request)
{
	return !overlaps_before(table, &table->running, request) &&
	       !overlaps_before(table, &table->granted, request) &&
	       !overlaps_before(table, &table->waiting, request);
}

bool rmw_enter(struct rmw_table *table, struct blk_request *request)
{
	bool may;

	pthread_mutex_lock(&table->mutex);
	may = may_run(table, request);
	list_append(may ? &table->running : &table->waiting, &request->link);
	pthread_mutex_unlock(&table->mutex);
	return may;
}

void rmw_leave(struct rmw_table *table, struct blk_request *request,
	       void (*wake)(struct driver_context *context))
{
	pthread_mutex_lock(&table->mutex);
	list_remove(&request->link);
	list_for_each(node, &table->waiting) {
		struct blk_request *next = request_of(node);

		if (!may_run(table, next))
			continue;
		list_remove(&next->link);
		list_append(&table->granted, &next->link);
		wake(next->context);
	}
	pthread_mutex_unlock(&table->mutex);
}

struct blk_request *rmw_take_granted(struct rmw_table *table,
				     const struct driver_context *context)
{
	struct blk_request *found = NULL;

	pthread_mutex_lock(&table->mutex);
	list_for_each(node, &table->granted) {
		if (request_of(node)->context != context)
			continue;
		found = request_of(node);
		list_remove(&found->link);
		list_append(&table->running, &found->link);
		break;
	}
	pthread_mutex_unlock(&table->mutex);
	return found;
}

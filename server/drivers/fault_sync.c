/* SPDX-License-Identifier: MIT */
/*
 * fault_sync - writing back, and flushes
 *
 * Requests that wait for the cache stand in one line, of all workers; the
 * first is served, by the worker whose it is, one entry at a time and in the
 * order in which they came. A flush then flushes the wrapped driver.
 */
#include <string.h>

#include "common/log.h"
#include "server/drivers/fault_context.h"

static struct fault_request *first_of(struct fault *fault)
{
	if (list_empty(&fault->syncs))
		return NULL;
	return container_of(fault->syncs.next, struct fault_request, link);
}

static bool wants_room(const struct fault_request *request)
{
	return request->step == FAULT_STEP_ROOM ||
	       request->step == FAULT_STEP_EMPTY;
}

void fault_sync_join(struct fault_request *request)
{
	struct fault *fault = fault_of_request(request);

	request->at_inner = false;
	fault->nr_wanting_room += wants_room(request);
	list_append(&fault->syncs, &request->link);
	fault_wake(request->context);
}

/* With the lock held; whoever is first now is told. */
static void leave(struct fault *fault, struct fault_request *request)
{
	struct fault_request *next;

	list_remove(&request->link);
	next = first_of(fault);
	if (next)
		fault_wake(next->context);
}

void fault_sync_poison(struct fault *fault, int error)
{
	if (fault->sync_error)
		return;
	fault->sync_error = error;
	rh_log(RH_LOG_ERROR, fault->name,
	       "the cache could not be written back (%s): every flush fails "
	       "from now on",
	       strerror(-error));
}

/* A clean entry is still needed by reads that began when it was not. */
void fault_sync_drop(struct fault *fault)
{
	uint64_t number = fault->cache.clean;
	struct fault_request *first = first_of(fault);

	if (!list_empty(&fault->reads))
		number = container_of(fault->reads.next, struct fault_request,
				      read_link)
				 ->read_from;
	fault_cache_drop(&fault->cache, number);
	if (first && first->step == FAULT_STEP_ROOM && !first->at_inner)
		fault_wake(first->context);
}

static void prepare_entry(struct fault_request *request)
{
	struct fault_cache *cache = &fault_of_request(request)->cache;
	const struct fault_entry *entry =
		fault_cache_entry(cache, cache->clean);
	bool has_data = entry->op == BLK_WRITE;
	const struct blk_request as = {
		.op = entry->op,
		.flags = entry->flags,
		.offset_bytes = entry->offset_bytes,
		.bytes = entry->bytes,
		.iov = has_data ? &request->own_iov : NULL,
		.nr_iov = has_data,
	};

	request->own_iov.iov_base = fault_cache_data(cache, entry);
	request->own_iov.iov_len = entry->bytes;
	fault_prepare(request, &as);
}

enum next {
	NEXT_NOTHING, /* until it is looked at again */
	NEXT_INNER,   /* request->inner is to be passed on */
	NEXT_PASS,    /* so is the request itself, which has left the line */
	NEXT_FINISH,
};

/* All that it waited for is written back. */
static enum next flush(struct fault_request *request)
{
	static const struct blk_request as = { .op = BLK_FLUSH };

	request->step = FAULT_STEP_FLUSH;
	fault_prepare(request, &as);
	return NEXT_INNER;
}

static enum next take_room(struct fault *fault, struct fault_request *request)
{
	const struct blk_request *outer = request->outer;

	fault->nr_wanting_room--;
	if (request->step == FAULT_STEP_EMPTY) {
		leave(fault, request);
		request->step = FAULT_STEP_PASS;
		fault_prepare(request, outer);
		return NEXT_PASS;
	}
	if (!(outer->flags & BLK_FUA) &&
	    fault->driver.info.cache != DRIVER_CACHE_WRITETHROUGH)
		return NEXT_FINISH;
	request->step = FAULT_STEP_SYNC;
	request->target = fault->cache.next;
	return NEXT_NOTHING;
}

/* With the lock held; the request is the first in line. */
static enum next choose_next(struct fault *fault, struct fault_request *request,
			     int *ret)
{
	struct fault_cache *cache = &fault->cache;
	bool wants = wants_room(request);

	*ret = 0;
	if (wants && (request->step == FAULT_STEP_EMPTY ?
			      cache->clean == cache->next :
			      fault_cache_add(cache, request->outer))) {
		enum next next = take_room(fault, request);

		if (next != NEXT_NOTHING)
			return next;
		wants = false;
	}
	if (!wants && fault->sync_error) {
		*ret = fault->sync_error;
		return NEXT_FINISH;
	}
	if (!wants && cache->clean >= request->target)
		return flush(request);
	if (cache->clean == cache->next)
		return NEXT_NOTHING; /* reads keep what is clean */
	prepare_entry(request);
	return NEXT_INNER;
}

/* With the lock held. */
static void note_answer(struct fault *fault, struct fault_request *request,
			int result)
{
	request->at_inner = false;
	if (result)
		fault_sync_poison(fault, result);
	if (request->step == FAULT_STEP_FLUSH)
		return;
	fault_cache_cleaned(&fault->cache);
	fault_sync_drop(fault);
}

/* One step of the first in line; false: there is nothing to do now. */
static bool serve_one(struct fault_context *context)
{
	struct fault *fault = fault_of(context->base.driver);
	enum next next = NEXT_NOTHING;
	struct fault_request *request;
	int result = 0;

	pthread_mutex_lock(&fault->lock);
	request = first_of(fault);
	if (request && request->context == context && !request->at_inner &&
	    !fault->cutting)
		next = choose_next(fault, request, &result);
	if (next == NEXT_INNER)
		request->at_inner = true;
	if (next == NEXT_FINISH)
		leave(fault, request);
	pthread_mutex_unlock(&fault->lock);
	if (next == NEXT_NOTHING)
		return false;
	if (next == NEXT_FINISH)
		fault_finish(request, result);
	else if (fault_pass(request, &result))
		fault_sync_answered(request, result);
	return true;
}

void fault_sync_serve(struct fault_context *context)
{
	while (serve_one(context))
		;
}

void fault_sync_answered(struct fault_request *request, int result)
{
	struct fault *fault = fault_of_request(request);
	bool done = request->step == FAULT_STEP_FLUSH ||
		    request->step == FAULT_STEP_PASS;

	pthread_mutex_lock(&fault->lock);
	if (request->step != FAULT_STEP_PASS)
		note_answer(fault, request, result);
	if (request->step == FAULT_STEP_FLUSH) {
		result = fault->sync_error;
		leave(fault, request);
	}
	pthread_mutex_unlock(&fault->lock);
	if (done)
		fault_finish(request, result);
}

/* SPDX-License-Identifier: MIT */
/*
 * blk_queue - a queue's requests, from pop to push
 *
 * There are as many slots as descriptor heads. A slot is free, waits for a
 * limit (blk_limits.c) or for a driver that was busy, or is the driver's. The
 * one that was freed last is used first, so that only as many slots are ever
 * touched as requests have been under way at a time. What a chain asks for is
 * blk_decode.c's to find out; give_back() is the one place where a status is
 * written and a chain given back.
 *
 * used.len counts the data that was written plus the status byte: a failed
 * read counts 1, whatever the driver has left in the buffers.
 */
#include "server/virtio_blk.h"

#include <assert.h>
#include <errno.h>

#include "common/base.h"
#include "common/lazy.h"
#include "server/blk_tally.h"
#include "server/probes.h"
#include "server/virtio_blk_internal.h"
#include "server/virtio_blk_limits.h"

struct blk_queue {
	struct virtio_blk *blk;
	struct rh_queue *queue;
	struct blk_queue_host host;
	const char *name; /* of the disk, and the queue's number: for probes */
	unsigned int number;
	unsigned int size;
	unsigned int nr_under_way;
	struct list_node waiting; /* slots, for the driver, oldest first */
	struct blk_waits waits;	  /* and others, for the limits of the disk */
	struct blk_tally tally;
	struct blk_slot *free;	  /* slots that were in use, last one first */
	unsigned int nr_used;	  /* slots that ever were, from the first on */
	struct blk_slot *slots;	  /* size of them, as of the next one */
	struct blk_range *ranges; /* BLK_MAX_RANGES for each slot */
};

/* The one place that turns an outcome into what the guest reads. */
static uint8_t status_of(int result)
{
	switch (result) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static enum blk_kind kind_of(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return BLK_KIND_READ;
	case VIRTIO_BLK_T_OUT:
		return BLK_KIND_WRITE;
	case VIRTIO_BLK_T_FLUSH:
		return BLK_KIND_FLUSH;
	case VIRTIO_BLK_T_DISCARD:
		return BLK_KIND_DISCARD;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return BLK_KIND_WRITE_ZEROES;
	default:
		return BLK_KIND_OTHER;
	}
}

/* The slot is free again; its chain is the caller's to give back. */
static struct rh_chain *release(struct blk_slot *slot)
{
	struct blk_queue *queue = slot->queue;
	struct rh_chain *chain = slot->chain;

	assert(chain); /* a request is answered once */
	slot->chain = NULL;
	slot->next_free = queue->free;
	queue->free = slot;
	queue->nr_under_way--;
	return chain;
}

static inline void give_back(struct blk_slot *slot, uint8_t status,
			     uint32_t written_bytes)
{
	PROBE_COMPLETE(slot, slot->type, status);
	*(volatile uint8_t *)slot->status = status;
	rh_queue_push(slot->queue->queue, release(slot), written_bytes + 1);
}

/* What storage does not know how to do is no failure of it. */
static cold_code void note_failure(struct blk_slot *slot, enum blk_kind kind,
				   int result)
{
	struct blk_queue *queue = slot->queue;

	blk_stats_add_failure(queue->tally.stats, kind);
	if (!slot->refused && result != -EOPNOTSUPP)
		blk_failures_note(slot->blk->failures,
				  rh_queue_index(queue->queue),
				  slot->request.op, result);
	slot->refused = false;
}

/* The first of a batch, and all that is no read or write with success. */
static out_of_line void finish_other(struct blk_slot *slot, int result)
{
	struct blk_tally *tally = &slot->queue->tally;
	enum blk_kind kind = kind_of(slot->type);
	uint64_t bytes = 0;

	if (result)
		note_failure(slot, kind, result);
	else if (slot->type <= VIRTIO_BLK_T_OUT)
		bytes = slot->request.bytes;
	for (unsigned int i = 0; !result && i < slot->nr_ranges; i++)
		bytes += (uint64_t)slot->ranges[i].num_sectors * SECTOR_BYTES;
	blk_tally_add(tally, kind, slot->start_nsec, bytes);
	give_back(slot, status_of(result), result ? 0 : slot->written_bytes);
}

/* result: 0 or -errno */
static void finish(struct blk_slot *slot, int result)
{
	_Static_assert((int)BLK_KIND_READ == VIRTIO_BLK_T_IN,
		       "the same number");
	_Static_assert((int)BLK_KIND_WRITE == VIRTIO_BLK_T_OUT, "likewise");

	if (likely(!result && slot->type <= VIRTIO_BLK_T_OUT &&
		   blk_tally_join(&slot->queue->tally, slot->type,
				  slot->start_nsec, slot->request.bytes)))
		give_back(slot, VIRTIO_BLK_S_OK, slot->written_bytes);
	else
		finish_other(slot, result);
}

/* What the decoder has found an answer to; mostly refusals. */
static out_of_line void answer(struct blk_slot *slot)
{
	int result = slot->request.result;

	slot->refused = result;
	if (result)
		blk_stats_add_invalid(slot->queue->tally.stats,
				      kind_of(slot->type));
	finish(slot, result);
}

/* The cache mode counts at the moment at which the driver gets the request. */
static void choose_durability(struct blk_slot *slot)
{
	struct blk_request *request = &slot->request;

	request->flags &= ~BLK_FUA;
	if (request->op != BLK_READ && request->op != BLK_FLUSH &&
	    atomic_load_explicit(&slot->queue->blk->durable,
				 memory_order_relaxed))
		request->flags |= BLK_FUA;
}

/* Returns false if the driver is busy: nothing has changed then. */
static bool submit(struct blk_slot *slot)
{
	struct driver_context *context = slot->queue->host.context;
	struct blk_request *request = &slot->request;

	for (;;) {
		choose_durability(slot);
		PROBE_SUBMIT(slot, request->op, request->offset_bytes,
			     request->bytes);
		switch (context->driver->ops->submit(context, request)) {
		case DRIVER_QUEUED:
			return true;
		case DRIVER_BUSY:
			return false;
		case DRIVER_COMPLETED:
			break;
		}
		if (request->result || !blk_decode_next_range(slot)) {
			finish(slot, request->result);
			return true;
		}
	}
}

static void submit_or_wait(struct blk_slot *slot)
{
	if (!submit(slot))
		list_append(&slot->queue->waiting, &slot->waiting);
}

static void complete(struct blk_request *request, int result)
{
	struct blk_slot *slot = container_of(request, struct blk_slot, request);
	struct blk_queue *queue = slot->queue;

	if (result || !blk_decode_next_range(slot))
		finish(slot, result);
	else
		submit_or_wait(slot);
	queue->host.progress(queue->host.opaque);
}

/* It cannot be answered, not even with an error: this breaks the queue. */
static void reject(struct blk_slot *slot)
{
	rh_queue_reject(slot->queue->queue, release(slot),
			"no byte of guest memory for its header or status");
}

/* Never more than there are heads. */
static cold_code struct blk_slot *new_slot(struct blk_queue *queue)
{
	unsigned int index = queue->nr_used++;
	struct blk_slot *slot = &queue->slots[index];

	assert(index < queue->size);
	slot->queue = queue;
	slot->blk = queue->blk;
	slot->request.complete = complete;
	slot->ranges = &queue->ranges[(size_t)index * BLK_MAX_RANGES];
	list_init(&slot->waiting);
	return slot;
}

static struct blk_slot *get_slot(struct blk_queue *queue)
{
	struct blk_slot *slot = queue->free;

	if (unlikely(!slot))
		return new_slot(queue);
	queue->free = slot->next_free;
	return slot;
}

static void start(struct blk_queue *queue, struct rh_chain *chain)
{
	struct blk_slot *slot = get_slot(queue);
	int outcome;

	PROBE_POP(queue->name, queue->number, slot);
	slot->chain = chain;
	slot->start_nsec = turn_clock_now(queue->host.clock);
	queue->nr_under_way++;
	outcome = blk_decode_chain(slot);
	if (unlikely(queue->waits.limits) &&
	    !blk_waits_may_go(&queue->waits, slot, outcome))
		return;
	if (!outcome)
		submit_or_wait(slot);
	else if (outcome == BLK_ANSWERED)
		answer(slot);
	else
		reject(slot);
}

static out_of_line bool submit_what_may_go(struct blk_queue *queue,
					   struct blk_limits *limits)
{
	struct blk_slot *slot;

	blk_waits_begin_turn(&queue->waits, limits,
			     turn_clock_now(queue->host.clock));
	while (list_empty(&queue->waiting)) {
		slot = blk_waits_next(&queue->waits);
		if (!slot)
			return true;
		submit_or_wait(slot);
	}
	return false;
}

bool blk_queue_retry(struct blk_queue *queue)
{
	struct blk_limits *limits =
		atomic_load_explicit(&queue->blk->limits, memory_order_acquire);

	list_for_each(node, &queue->waiting) {
		struct blk_slot *slot =
			container_of(node, struct blk_slot, waiting);

		if (!submit(slot))
			return false;
		list_remove(node);
	}
	return likely(!limits) || submit_what_may_go(queue, limits);
}

void blk_queue_abandon(struct blk_queue *queue)
{
	struct blk_slot *slot;

	list_for_each(node, &queue->waiting) {
		slot = container_of(node, struct blk_slot, waiting);
		list_remove(node);
		rh_queue_abandon(queue->queue, release(slot));
	}
	while ((slot = blk_waits_take_any(&queue->waits)))
		rh_queue_abandon(queue->queue, release(slot));
}

/* What a request costs of a turn; the chain may be gone when it has started. */
static unsigned int cost_of(const struct rh_chain *chain)
{
	size_t bytes = chain->readable_bytes + chain->writable_bytes;

	return 1 + (unsigned int)(bytes / BLK_BYTES_A_UNIT);
}

bool blk_queue_take(struct blk_queue *queue, unsigned int *budget)
{
	struct rh_chain *chain;

	if (!blk_queue_retry(queue))
		return false;
	while (*budget) {
		if (unlikely(queue->waits.limits) &&
		    !blk_waits_may_take(&queue->waits))
			return false;
		if (rh_queue_pop(queue->queue, &chain) <= 0)
			return false;
		*budget -= MIN(*budget, cost_of(chain));
		start(queue, chain);
		if (!list_empty(&queue->waiting))
			return false;
	}
	return rh_queue_pending(queue->queue);
}

bool blk_queue_flush(struct blk_queue *queue)
{
	blk_tally_flush(&queue->tally, queue->nr_under_way);
	return rh_queue_flush(queue->queue);
}

void blk_queue_hurry(struct blk_queue *queue)
{
	queue->waits.hurried = true;
}

bool blk_queue_waits(const struct blk_queue *queue)
{
	return !list_empty(&queue->waiting) ||
	       blk_waits_for_ring(&queue->waits);
}

uint64_t blk_queue_waits_until(const struct blk_queue *queue)
{
	if (!list_empty(&queue->waiting))
		return UINT64_MAX; /* something else will end it */
	return blk_waits_until(&queue->waits);
}

unsigned int blk_queue_under_way(const struct blk_queue *queue)
{
	return queue->nr_under_way;
}

int blk_queue_create(struct virtio_blk *blk, struct rh_queue *rh_queue,
		     const struct blk_queue_host *host, struct blk_queue **ret)
{
	struct blk_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return -ENOMEM;
	assert(rh_queue_index(rh_queue) < blk->nr_queues);
	queue->blk = blk;
	queue->queue = rh_queue;
	queue->host = *host;
	queue->name = blk->name;
	queue->number = rh_queue_index(rh_queue);
	queue->size = rh_queue_size(rh_queue);
	blk_tally_init(&queue->tally, &blk->stats[queue->number], host->clock);
	list_init(&queue->waiting);
	blk_waits_init(&queue->waits, rh_queue);
	queue->slots = rh_lazy_table(queue->size, struct blk_slot);
	queue->ranges = rh_lazy_table((size_t)queue->size * BLK_MAX_RANGES,
				      struct blk_range);
	if (!queue->slots || !queue->ranges) {
		blk_queue_destroy(queue);
		return -ENOMEM;
	}
	*ret = queue;
	return 0;
}

void blk_queue_destroy(struct blk_queue *queue)
{
	if (!queue)
		return;
	assert(!queue->nr_under_way);
	blk_waits_deinit(&queue->waits);
	blk_tally_flush(&queue->tally, 0);
	rh_lazy_free(queue->ranges, (size_t)queue->size * BLK_MAX_RANGES,
		     sizeof(*queue->ranges));
	rh_lazy_free(queue->slots, queue->size, sizeof(*queue->slots));
	free(queue);
}

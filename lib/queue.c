/* SPDX-License-Identifier: MIT */
/*
 * queue - one virtqueue as its owner uses it
 *
 * A slot for each descriptor head was allocated when the queue started, so
 * that a pop only fills one in; a head cannot be under way twice. The pages
 * of slots that no head was taken for are not there.
 *
 * The guest can break a queue in many ways, and each ends in rh_queue_break():
 * nothing more is popped, what is under way ends as usual.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/queue.h"

int rh_queue_break(struct rh_queue *queue, const char *format, ...)
{
	va_list args;

	if (queue->broken)
		return -EPROTO;
	queue->broken = true;
	va_start(args, format);
	vsnprintf(queue->why, sizeof(queue->why), format, args);
	va_end(args);
	rh_log_limited(&queue->log_limit, RH_LOG_WARNING, queue->tag,
		       "queue is broken until it is set up again: %s",
		       queue->why);
	rh_signal_fd_send(&queue->err);
	atomic_store(&queue->failed, true);
	/* pairs with tell_if_broken(), which comes before the next start */
	atomic_store(&queue->untold, true);
	rh_eventfd_signal(queue->wake_fd);
	return -EPROTO;
}

void rh_queue_fail(struct rh_queue *queue, const char *why)
{
	rh_queue_break(queue, "%s", why);
}

/* Pushed, or rejected, but the driver does not have it back. */
static bool waits_its_turn(const struct rh_queue *queue, uint16_t head)
{
	return unlikely(rh_order_is_kept(&queue->order)) &&
	       rh_order_has(&queue->order, head);
}

static int take(struct rh_queue *queue, uint16_t *head)
{
	if (unlikely(queue->record))
		return rh_record_take(queue->record, &queue->ring, head);
	return rh_ring_take(&queue->ring, head);
}

static void untake(struct rh_queue *queue)
{
	if (unlikely(queue->record))
		rh_record_untake(queue->record, &queue->ring);
	else
		rh_ring_untake(&queue->ring);
}

/* error: of the walk. Returns it, or -EPROTO with the queue broken. */
static cold_code int walk_failed(struct rh_queue *queue, uint16_t head,
				 int error)
{
	if (error == -EAGAIN) {
		untake(queue);
		return error;
	}
	return rh_queue_break(
		queue,
		"the chain at head %u is malformed (a loop, a descriptor "
		"beyond its table, or a bad indirect table)",
		head);
}

static cold_code int refuse_chain(struct rh_queue *queue, uint16_t head,
				  int error)
{
	rh_queue_break(queue, "the chain at head %u is refused: %s", head,
		       strerror(-error));
	return error;
}

/* A slot that is not free is new, and ready now, or false: it has a chain. */
static cold_code bool prepare_slot(struct rh_queue *queue, uint16_t head,
				   struct rh_chain_slot *slot)
{
	if (slot->state != RH_SLOT_NEW)
		return false;
	slot->chain.index = head;
	slot->spill = queue->spill + (size_t)head * RH_CHAIN_MAX_IOV;
	slot->state = RH_SLOT_FREE;
	return true;
}

/*
 * Returns 0, -EAGAIN when it has to wait for an address and is in the ring
 * again, or another -errno with the queue broken.
 */
static inline int take_chain(struct rh_queue *queue, uint16_t head,
			     struct rh_chain_slot *slot)
{
	bool has_chain = unlikely(slot->state != RH_SLOT_FREE) &&
			 !prepare_slot(queue, head, slot);
	int error;

	if (unlikely(has_chain || waits_its_turn(queue, head)))
		return rh_queue_break(queue, "head %u is available twice",
				      head);
	error = rh_ring_walk(&queue->ring, &queue->chains, head, slot);
	if (unlikely(error))
		return walk_failed(queue, head, error);
	if (unlikely(slot->chain.error && !queue->keep_bad_chains))
		return refuse_chain(queue, head, slot->chain.error);
	slot->state = RH_SLOT_UNDER_WAY;
	queue->nr_under_way++;
	if (unlikely(queue->record))
		rh_record_taken(queue->record, &queue->ring, head);
	if (unlikely(queue->tracker))
		rh_tracker_popped(queue->tracker, &slot->chain);
	if (unlikely(rh_order_is_kept(&queue->order)))
		rh_order_take(&queue->order, head);
	return 0;
}

static cold_code int break_at(struct rh_queue *queue)
{
	char why[160];

	if (queue->record && queue->record->fault)
		return rh_queue_break(queue, "%s", queue->record->fault);
	rh_ring_explain(&queue->ring, why, sizeof(why));
	return rh_queue_break(queue, "%s", why);
}

static void begin_if_late(struct rh_queue *queue)
{
	if (unlikely(queue->unbegun))
		rh_queue_begin(queue);
}

int rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret)
{
	struct rh_chain_slot *slot;
	uint16_t head;
	int result;

	begin_if_late(queue);
	if (unlikely(queue->broken))
		return -EPROTO;
	if (unlikely(queue->iommu) && !rh_miss_resume(queue->iommu))
		return 0;
	result = take(queue, &head);
	if (unlikely(result < 0))
		return break_at(queue);
	if (!result)
		return 0;
	slot = &queue->slots[head];
	result = take_chain(queue, head, slot);
	if (unlikely(result))
		return result == -EAGAIN ? 0 : result;
	if (unlikely(queue->iommu))
		rh_miss_done(queue->iommu);
	*ret = &slot->chain;
	return 1;
}

/* Each chain that was popped ends here, once; returns its slot. */
static struct rh_chain_slot *end_chain(struct rh_queue *queue,
				       struct rh_chain *chain)
{
	struct rh_chain_slot *slot =
		container_of(chain, struct rh_chain_slot, chain);

	assert(slot == &queue->slots[chain->index]);
	assert(slot->state == RH_SLOT_UNDER_WAY);
	slot->state = RH_SLOT_FREE;
	queue->nr_under_way--;
	if (unlikely(queue->tracker))
		rh_tracker_ended(queue->tracker, chain->index);
	return slot;
}

/* To the ring, where the driver sees it after the next publish. */
static void give(struct rh_queue *queue, const struct rh_chain_slot *slot,
		 uint32_t written_bytes)
{
	rh_ring_give(&queue->ring, slot, written_bytes);
	if (unlikely(queue->record))
		rh_record_give(queue->record, slot->chain.index);
}

static out_of_line void give_in_order(struct rh_queue *queue, uint16_t head,
				      uint32_t written_bytes)
{
	rh_order_push(&queue->order, head, written_bytes);
	while (rh_order_next(&queue->order, &head, &written_bytes))
		give(queue, &queue->slots[head], written_bytes);
}

void rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
		   uint32_t written_bytes)
{
	struct rh_chain_slot *slot = end_chain(queue, chain);

	assert(written_bytes <= chain->writable_bytes);
	if (unlikely(rh_order_is_kept(&queue->order)))
		give_in_order(queue, chain->index, written_bytes);
	else
		give(queue, slot, written_bytes);
}

bool rh_queue_may_abandon(const struct rh_queue *queue)
{
	return atomic_load_explicit(&queue->may_abandon, memory_order_relaxed);
}

/* Its mark in the record is all that is left of it. */
void rh_queue_abandon(struct rh_queue *queue, struct rh_chain *chain)
{
	assert(rh_queue_may_abandon(queue));
	end_chain(queue, chain);
}

void rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
		     const char *why)
{
	end_chain(queue, chain);
	rh_queue_break(queue, "the chain at head %u: %s", chain->index, why);
}

/* Broken, or what comes next is not there yet: nothing can be popped now. */
static bool is_blocked(const struct rh_queue *queue)
{
	return queue->broken ||
	       (unlikely(queue->iommu) && rh_miss_waits(queue->iommu));
}

bool rh_queue_owes(const struct rh_queue *queue)
{
	return unlikely(queue->record) && !is_blocked(queue) &&
	       rh_record_owes(queue->record);
}

bool rh_queue_flush(struct rh_queue *queue)
{
	bool wanted;

	if (unlikely(queue->tracker))
		rh_tracker_publishing(queue->tracker);
	wanted = unlikely(queue->record) ?
			 rh_record_publish(queue->record, &queue->ring) :
			 rh_ring_publish(&queue->ring);
	if (unlikely(queue->tracker))
		rh_tracker_published(queue->tracker);
	return wanted;
}

void rh_queue_notify(struct rh_queue *queue)
{
	rh_signal_fd_send(&queue->call);
}

void rh_queue_suppress_kicks(struct rh_queue *queue)
{
	begin_if_late(queue);
	rh_ring_suppress_kicks(&queue->ring);
	if (unlikely(queue->tracker))
		rh_tracker_kicks_changed(queue->tracker);
}

bool rh_queue_expect_kicks(struct rh_queue *queue)
{
	bool pending;

	begin_if_late(queue);
	if (is_blocked(queue))
		return false;
	pending = rh_ring_expect_kicks(&queue->ring) || rh_queue_owes(queue);
	if (unlikely(queue->tracker))
		rh_tracker_kicks_changed(queue->tracker);
	return pending;
}

bool rh_queue_pending(const struct rh_queue *queue)
{
	if (unlikely(queue->unbegun))
		return true; /* it takes a pop to know */
	return !is_blocked(queue) &&
	       (rh_queue_owes(queue) || rh_ring_pending(&queue->ring));
}

bool rh_queue_broken(const struct rh_queue *queue)
{
	return queue->broken;
}

int rh_queue_kick_fd(const struct rh_queue *queue)
{
	return queue->kick_fd;
}

void rh_queue_clear_kick(struct rh_queue *queue)
{
	if (queue->kick_fd >= 0)
		rh_peerfd_drain(queue->kick_fd);
}

int rh_queue_call_fd(const struct rh_queue *queue)
{
	return atomic_load(&queue->call.number);
}

unsigned int rh_queue_index(const struct rh_queue *queue)
{
	return queue->index;
}

bool rh_queue_running(const struct rh_queue *queue)
{
	return queue->state != RH_QUEUE_STOPPED;
}

unsigned int rh_queue_size(const struct rh_queue *queue)
{
	return queue->ring.size;
}

void rh_queue_set_data(struct rh_queue *queue, void *data)
{
	queue->data = data;
}

void *rh_queue_data(const struct rh_queue *queue)
{
	return queue->data;
}

void rh_queue_stopped(struct rh_queue *queue)
{
	assert(queue->nr_under_way == 0);
	if (rh_queue_flush(queue))
		rh_queue_notify(queue);
	/*
	 * Until this is 0 again the control thread destroys nothing. It is a
	 * number, since the next owner may get here before we have left.
	 */
	atomic_fetch_add_explicit(&queue->nr_signalling, 1,
				  memory_order_relaxed);
	/* Pairs with the control thread's load in rh_take_back_queues(). */
	atomic_store_explicit(&queue->given_back, true, memory_order_release);
	rh_eventfd_signal(queue->wake_fd);
	atomic_fetch_sub_explicit(&queue->nr_signalling, 1,
				  memory_order_release);
}

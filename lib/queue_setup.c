/* SPDX-License-Identifier: MIT */
/*
 * queue_setup - what the front-end sets of a queue, and its start and end
 *
 * The control thread's half of queue.h. When a queue starts, a slot for each
 * descriptor head is allocated, and a spill area for the longest chain in
 * every slot at once. Both are address space, of which the kernel provides the
 * pages that some chain has really needed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/lazy.h"
#include "lib/queue.h"

void rh_queue_init(struct rh_queue *queue, const char *name, unsigned int index,
		   int wake_fd, bool keep_bad_chains)
{
	memset(queue, 0, sizeof(*queue));
	queue->index = index;
	queue->wake_fd = wake_fd;
	queue->keep_bad_chains = keep_bad_chains;
	snprintf(queue->tag, sizeof(queue->tag), "%s/q%u", name, index);
	queue->kick_fd = -1;
	rh_signal_fd_init(&queue->call);
	rh_signal_fd_init(&queue->err);
	atomic_init(&queue->given_back, false);
	atomic_init(&queue->failed, false);
	atomic_init(&queue->may_abandon, false);
	atomic_init(&queue->nr_signalling, 0);
}

void rh_queue_reset(struct rh_queue *queue)
{
	assert(queue->state == RH_QUEUE_STOPPED);
	assert(!queue->slots);

	queue->size = 0;
	queue->base = 0;
	queue->has_base = false;
	queue->has_last_base = false;
	queue->has_addr = false;
	queue->log_used = false;
	queue->has_kick = false;
	queue->has_call = false;
	queue->has_err = false;
	queue->tell_call = false;
	queue->tell_err = false;
	queue->enabled = false;
	queue->is_settled = false;
	queue->broken = false;
	atomic_store(&queue->failed, false);
	if (queue->miss)
		rh_miss_reset(queue->miss);
	queue->hold = RH_HOLD_NONE;
	rh_fd_close(&queue->kick_fd);
	rh_signal_fd_deinit(&queue->call);
	rh_signal_fd_deinit(&queue->err);
}

void rh_queue_deinit(struct rh_queue *queue)
{
	/* An owner's last touch; it takes one system call at most. */
	while (atomic_load_explicit(&queue->nr_signalling,
				    memory_order_acquire))
		sched_yield();
	rh_queue_reset(queue);
}

bool rh_queue_ready(const struct rh_queue *queue)
{
	return queue->state == RH_QUEUE_STOPPED &&
	       queue->hold == RH_HOLD_NONE && queue->size && queue->has_addr &&
	       queue->has_kick && queue->enabled;
}

static int refuse_addr(struct rh_queue *queue, const struct rh_map *map,
		       const struct rh_ring_part *part,
		       struct frontend_addr addr)
{
	if (rh_map_frontend(map, addr, 1))
		rh_queue_break(
			queue,
			"its %s of %" PRIu64 " bytes at 0x%" PRIx64
			" does not end in the memory region it begins in",
			part->name, part->bytes, addr.value);
	else
		rh_queue_break(
			queue,
			"front-end did not share guest memory: its %s at "
			"0x%" PRIx64 " lies in none of %u regions; "
			"add share=on to the front-end's memory backend",
			part->name, addr.value, map->nr_regions);
	return -EFAULT;
}

/*
 * A part behind an IOMMU may lie in several entries, if these are in one piece
 * here. Returns 0, -EAGAIN when it waits for an answer, or -EFAULT.
 */
static int translate(struct rh_queue *queue, const struct rh_ring_part *part,
		     struct iova iova, uint8_t **ret)
{
	uint8_t *begin = NULL;
	uint64_t done = 0;

	while (done < part->bytes) {
		const struct rh_reach reach = {
			.iova = { iova.value + done },
			.bytes = part->bytes - done,
			.permission = part->permission,
		};
		uint64_t contiguous;
		uint8_t *host;
		int result;

		result = rh_miss_find(queue->iommu, reach, &host, &contiguous);
		if (result == -EAGAIN) {
			rh_miss_want(queue->iommu, reach);
			return result;
		}
		if (result || (begin && host != begin + done)) {
			rh_queue_break(
				queue,
				"the guest's IOMMU does not let it reach "
				"its %s at 0x%" PRIx64 " in one piece",
				part->name, reach.iova.value);
			return -EFAULT;
		}
		if (!begin)
			begin = host;
		done += contiguous;
	}
	*ret = begin;
	return 0;
}

/*
 * Both the front-end's address and ours are checked, since atomics need the
 * alignment here and a region need not begin on a page in both.
 */
static int resolve(struct rh_queue *queue, const struct rh_map *map,
		   const struct rh_ring_part *part, struct frontend_addr addr,
		   void **ret)
{
	uint8_t *host;
	int error;

	if (queue->iommu) {
		error = translate(queue, part, (struct iova){ addr.value },
				  &host);
		if (error)
			return error;
	} else {
		host = rh_map_frontend(map, addr, part->bytes);
		if (!host)
			return refuse_addr(queue, map, part, addr);
	}
	if (!is_aligned(addr.value, part->align) ||
	    !is_aligned((uintptr_t)host, part->align)) {
		rh_queue_break(queue,
			       "its %s at 0x%" PRIx64
			       " is not aligned to %" PRIu64 " bytes",
			       part->name, addr.value, part->align);
		return -EINVAL;
	}
	*ret = host;
	return 0;
}

static int resolve_ring(struct rh_queue *queue, const struct rh_map *map,
			uint64_t features, void *host[RH_RING_NR_PARTS])
{
	const struct frontend_addr addrs[RH_RING_NR_PARTS] = {
		[RH_RING_DESC] = queue->desc_addr,
		[RH_RING_DRIVER] = queue->avail_addr,
		[RH_RING_DEVICE] = queue->used_addr,
	};
	struct rh_ring_part parts[RH_RING_NR_PARTS];
	int error = 0;

	rh_ring_parts(features, queue->size, parts);
	for (unsigned int i = 0; !error && i < RH_RING_NR_PARTS; i++)
		error = resolve(queue, map, &parts[i], addrs[i], &host[i]);
	return error;
}

static struct iovec *reserve_spill(uint32_t size)
{
	return rh_lazy_table((size_t)size * RH_CHAIN_MAX_IOV, struct iovec);
}

static void release_spill(struct iovec **spill, uint32_t size)
{
	rh_lazy_free(*spill, (size_t)size * RH_CHAIN_MAX_IOV, sizeof(**spill));
	*spill = NULL;
}

static void release_slots(struct rh_queue *queue)
{
	rh_tracker_destroy(queue->tracker);
	queue->tracker = NULL;
	release_spill(&queue->noted, queue->ring.size);
	release_spill(&queue->spill, queue->ring.size);
	rh_lazy_free(queue->slots, queue->ring.size, sizeof(*queue->slots));
	queue->slots = NULL;
}

/* Not touched: that is for those whose head is taken. */
static int allocate_slots(struct rh_queue *queue)
{
	queue->slots = rh_lazy_table(queue->size, struct rh_chain_slot);
	queue->spill = reserve_spill(queue->size);
	return queue->slots && queue->spill ? 0 : -ENOMEM;
}

static int create_tracker(struct rh_queue *queue, const struct rh_map *map,
			  uint64_t features)
{
	struct rh_tracker_config config = {
		.log = queue->log,
		.map = map,
		.ring = &queue->ring,
		.features = features,
		.log_used = queue->log_used,
		.used = queue->log_addr,
		.limit = &queue->log_limit,
		.tag = queue->tag,
	};

	if (!rh_tracker_wanted(queue->log, features, queue->log_used))
		return 0;
	queue->noted = reserve_spill(queue->size);
	if (!queue->noted)
		return -ENOMEM;
	config.spill = queue->noted;
	return rh_tracker_create(&config, &queue->tracker);
}

static void take_down(struct rh_queue *queue)
{
	rh_record_close(queue->record);
	queue->record = NULL;
	release_slots(queue);
	rh_order_deinit(&queue->order);
	rh_ring_deinit(&queue->ring);
}

/* The features may have come after what they decide on. */
static int check_layout(struct rh_queue *queue, uint64_t features)
{
	const char *fault = rh_ring_size_fault(features, queue->size);

	if (!queue->has_base)
		queue->base = rh_ring_first_base(features);
	if (!fault)
		fault = rh_ring_base_fault(features, queue->size, queue->base);
	if (!fault)
		return 0;
	rh_queue_break(queue, "%s", fault);
	return -EINVAL;
}

static int set_up_ring(struct rh_queue *queue, const struct rh_map *map,
		       uint64_t features)
{
	void *host[RH_RING_NR_PARTS];
	int error;

	error = check_layout(queue, features);
	if (!error)
		error = resolve_ring(queue, map, features, host);
	if (error)
		return error;
	error = rh_ring_init(&queue->ring, features, queue->size, host);
	if (!error && features & FEATURE_BIT(VIRTIO_F_IN_ORDER))
		error = rh_order_init(&queue->order, queue->size);
	if (!error)
		error = allocate_slots(queue);
	if (!error)
		error = create_tracker(queue, map, features);
	if (!error)
		return 0;
	take_down(queue);
	rh_queue_break(queue, "out of memory for %u slots", queue->size);
	return error;
}

/* Where the queue is recorded; false if it is not. */
static bool find_part(struct rh_queue *queue, struct rh_inflight_part *part)
{
	const struct rh_inflight *inflight = queue->inflight;

	if (!inflight || !inflight->nr_queues)
		return false;
	if (rh_inflight_part(inflight, queue->index, queue->ring.is_packed,
			     queue->size, part))
		return true;
	rh_log_limited(&queue->log_limit, RH_LOG_WARNING, queue->tag,
		       "front-end's in-flight region has no room for this "
		       "queue of %u: requests are lost when the back-end dies",
		       queue->size);
	return false;
}

/* As rh_record_open(), and 0 where nothing is recorded. */
static int open_record(struct rh_queue *queue)
{
	struct rh_inflight_part part;
	const char *why;
	int result;

	if (!find_part(queue, &part))
		return 0;
	queue->is_settled = false;
	result = rh_record_open(&part, &queue->ring, &queue->record, &why);
	if (result < 0)
		rh_queue_break(queue, "%s", why);
	else if (queue->record->nr_owed)
		rh_log_limited(&queue->log_limit, RH_LOG_INFO, queue->tag,
			       "%u requests of an earlier back-end are "
			       "carried out again",
			       queue->record->nr_owed);
	return result;
}

int rh_queue_begin(struct rh_queue *queue)
{
	struct rh_ring *ring = &queue->ring;
	bool moved;
	int result;

	queue->unbegun = false;
	moved = rh_ring_start(ring, queue->base);
	result = open_record(queue);
	if (queue->tracker)
		rh_tracker_started(queue->tracker);
	if (result || !moved)
		return MIN(result, 0);
	rh_log_limited(
		&queue->log_limit, RH_LOG_WARNING, queue->tag,
		"front-end goes on from entry %u of a ring that was "
		"used up to %u: starting there; requests that an earlier "
		"back-end left unfinished may be lost",
		rh_ring_entry(ring, queue->base),
		rh_ring_entry(ring, rh_ring_base(ring)));
	return 0;
}

int rh_queue_start(struct rh_queue *queue, struct rh_map *map,
		   uint64_t features)
{
	int error;

	assert(queue->state == RH_QUEUE_STOPPED);
	assert(!queue->slots);

	queue->broken = false;
	queue->iommu = (features & FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM)) ?
			       queue->miss :
			       NULL;
	error = set_up_ring(queue, map, features);
	if (error == -EAGAIN)
		queue->hold = RH_HOLD_MISS;
	else if (queue->iommu)
		rh_miss_done(queue->iommu);
	if (error)
		return error;
	queue->nr_under_way = 0;
	queue->unbegun = true;
	if (!queue->begins_late)
		error = rh_queue_begin(queue);
	if (error) {
		take_down(queue);
		return error;
	}
	queue->map = rh_map_get(map);
	rh_chains_init(&queue->chains, map, queue->iommu);
	return 0;
}

void rh_queue_recheck(struct rh_queue *queue)
{
	if (queue->hold == RH_HOLD_MISS && rh_miss_resume(queue->miss))
		queue->hold = RH_HOLD_NONE;
}

/* The record of a queue that broke would only break it again. */
static void settle_record(struct rh_queue *queue)
{
	const struct rh_record *record = queue->record;

	if (!record)
		return;
	queue->is_settled = !record->nr_recorded;
	if (queue->broken && record->has_taken)
		rh_inflight_forget(queue->inflight, queue->index,
				   queue->ring.is_packed);
}

void rh_queue_finish(struct rh_queue *queue)
{
	assert(queue->nr_under_way == 0);

	if (queue->slots && !queue->unbegun) {
		queue->base = rh_ring_base(&queue->ring);
		queue->has_base = true;
	}
	queue->unbegun = false;
	if (queue->slots) {
		settle_record(queue);
		take_down(queue);
		queue->chains = (struct rh_chains){ 0 };
		rh_map_put(queue->map);
		queue->map = NULL;
	}
	if (queue->miss)
		rh_miss_reset(queue->miss);
	rh_signal_fd_settle(&queue->call);
	rh_signal_fd_settle(&queue->err);
	atomic_store(&queue->given_back, false);
	atomic_store(&queue->may_abandon, false);
	queue->state = RH_QUEUE_STOPPED;
	if (queue->broken)
		queue->hold = RH_HOLD_BROKEN;
}

/* SPDX-License-Identifier: MIT */
/*
 * queue - one virtqueue: ring, chains, kick, call and error fds
 *
 * A slot for each descriptor head is allocated when the queue starts, so that
 * a pop only fills one in; a head cannot be under way twice. The spill area
 * is address space for the longest chain in every slot at once, of which the
 * kernel provides the pages that some chain has really needed.
 *
 * The guest can break a queue in many ways, and each ends in rh_queue_break():
 * nothing more is popped, what is under way ends as usual.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/queue.h"

static void init_signal_fd(struct rh_signal_fd *signal_fd)
{
	atomic_init(&signal_fd->number, -1);
	signal_fd->slot = -1;
}

void rh_queue_init(struct rh_queue *queue, const char *name, unsigned int index,
		   int wake_fd, bool keep_bad_chains)
{
	memset(queue, 0, sizeof(*queue));
	queue->index = index;
	queue->wake_fd = wake_fd;
	queue->keep_bad_chains = keep_bad_chains;
	snprintf(queue->tag, sizeof(queue->tag), "%s/q%u", name, index);
	queue->kick_fd = -1;
	init_signal_fd(&queue->call);
	init_signal_fd(&queue->err);
	atomic_init(&queue->given_back, false);
	atomic_init(&queue->nr_signalling, 0);
}

void rh_queue_reset(struct rh_queue *queue)
{
	assert(queue->state == RH_QUEUE_STOPPED);
	assert(!queue->slots);

	queue->size = 0;
	queue->base = 0;
	queue->has_base = false;
	queue->has_addr = false;
	queue->has_kick = false;
	queue->enabled = false;
	queue->broken = false;
	queue->hold = RH_HOLD_NONE;
	rh_fd_close(&queue->kick_fd);
	rh_fd_close(&queue->call.slot);
	rh_fd_close(&queue->err.slot);
	init_signal_fd(&queue->call);
	init_signal_fd(&queue->err);
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

void rh_signal_fd_set(struct rh_signal_fd *signal_fd, int fd)
{
	int done;

	if (fd < 0) {
		/* The owner may have read the number: the slot stays open. */
		atomic_store(&signal_fd->number, -1);
		return;
	}
	rh_fd_set_nonblocking(fd);
	if (signal_fd->slot < 0) {
		signal_fd->slot = fd;
	} else {
		do {
			done = dup3(fd, signal_fd->slot, O_CLOEXEC);
		} while (done < 0 && (errno == EINTR || errno == EBUSY));
		assert(done == signal_fd->slot);
		close(fd);
	}
	atomic_store(&signal_fd->number, signal_fd->slot);
}

static void send_signal(struct rh_signal_fd *signal_fd)
{
	int fd = atomic_load(&signal_fd->number);

	if (fd >= 0)
		rh_peerfd_signal(fd);
}

void rh_queue_break(struct rh_queue *queue, const char *why)
{
	if (queue->broken)
		return;
	queue->broken = true;
	rh_log_limited(&queue->log_limit, RH_LOG_WARNING, queue->tag,
		       "queue is broken until it is set up again: %s", why);
	send_signal(&queue->err);
}

/* Returns -EPROTO. */
static PRINTF_LIKE(2, 3) int break_queue(struct rh_queue *queue,
					 const char *format, ...)
{
	char why[160];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	rh_queue_break(queue, why);
	return -EPROTO;
}

static int refuse_addr(struct rh_queue *queue, const struct rh_map *map,
		       const struct rh_ring_part *part,
		       struct frontend_addr addr)
{
	if (rh_map_frontend(map, addr, 1))
		break_queue(queue,
			    "its %s of %" PRIu64 " bytes at 0x%" PRIx64
			    " does not end in the memory region it begins in",
			    part->name, part->bytes, addr.value);
	else
		break_queue(queue,
			    "front-end did not share guest memory: its %s at "
			    "0x%" PRIx64 " lies in none of %u regions; "
			    "add share=on to the front-end's memory backend",
			    part->name, addr.value, map->nr_regions);
	return -EFAULT;
}

/*
 * Both the front-end's address and ours are checked, since atomics need the
 * alignment here and a region need not begin on a page in both.
 */
static int resolve(struct rh_queue *queue, const struct rh_map *map,
		   const struct rh_ring_part *part, struct frontend_addr addr,
		   void **ret)
{
	uint8_t *host = rh_map_frontend(map, addr, part->bytes);

	if (!host)
		return refuse_addr(queue, map, part, addr);
	if (!is_aligned(addr.value, part->align) ||
	    !is_aligned((uintptr_t)host, part->align)) {
		break_queue(queue,
			    "its %s at 0x%" PRIx64 " is not aligned to %" PRIu64
			    " bytes",
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

static size_t spill_bytes(uint32_t size)
{
	return (size_t)size * RH_CHAIN_MAX_IOV * sizeof(struct iovec);
}

static int allocate_slots(struct rh_queue *queue)
{
	struct rh_chain_slot *slots = calloc(queue->size, sizeof(*slots));
	void *spill;

	if (!slots)
		return -ENOMEM;
	spill = mmap(NULL, spill_bytes(queue->size), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (spill == MAP_FAILED) {
		free(slots);
		return -ENOMEM;
	}
	queue->slots = slots;
	queue->spill = spill;
	for (uint32_t i = 0; i < queue->size; i++) {
		slots[i].chain.index = (uint16_t)i;
		slots[i].spill = queue->spill + (size_t)i * RH_CHAIN_MAX_IOV;
	}
	return 0;
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
	break_queue(queue, "%s", fault);
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
	if (!error)
		error = allocate_slots(queue);
	if (!error)
		return 0;
	rh_ring_deinit(&queue->ring);
	break_queue(queue, "out of memory for %u slots", queue->size);
	return error;
}

static void start_ring(struct rh_queue *queue)
{
	struct rh_ring *ring = &queue->ring;

	if (!rh_ring_start(ring, queue->base))
		return;
	rh_log_limited(
		&queue->log_limit, RH_LOG_WARNING, queue->tag,
		"front-end goes on from entry %u of a ring that was "
		"used up to %u: starting there; requests that an earlier "
		"back-end left unfinished may be lost",
		rh_ring_entry(ring, queue->base),
		rh_ring_entry(ring, rh_ring_base(ring)));
}

int rh_queue_start(struct rh_queue *queue, struct rh_map *map,
		   uint64_t features)
{
	int error;

	assert(queue->state == RH_QUEUE_STOPPED);
	assert(!queue->slots);

	queue->broken = false;
	error = set_up_ring(queue, map, features);
	if (error)
		return error;
	queue->map = rh_map_get(map);
	queue->nr_under_way = 0;
	start_ring(queue);
	return 0;
}

static void close_slot_if_unused(struct rh_signal_fd *signal_fd)
{
	if (atomic_load(&signal_fd->number) < 0)
		rh_fd_close(&signal_fd->slot);
}

void rh_queue_finish(struct rh_queue *queue)
{
	assert(queue->nr_under_way == 0);

	if (queue->slots) {
		queue->base = rh_ring_base(&queue->ring);
		queue->has_base = true;
		munmap(queue->spill, spill_bytes(queue->ring.size));
		queue->spill = NULL;
		free(queue->slots);
		queue->slots = NULL;
		rh_ring_deinit(&queue->ring);
		rh_map_put(queue->map);
		queue->map = NULL;
	}
	close_slot_if_unused(&queue->call);
	close_slot_if_unused(&queue->err);
	atomic_store(&queue->given_back, false);
	queue->state = RH_QUEUE_STOPPED;
	if (queue->broken)
		queue->hold = RH_HOLD_BROKEN;
}

/* Returns 0, or -errno with the queue broken. */
static int take_chain(struct rh_queue *queue, uint16_t head,
		      struct rh_chain_slot *slot)
{
	int error;

	if (unlikely(slot->under_way))
		return break_queue(queue, "head %u is available twice", head);
	error = rh_ring_walk(&queue->ring, queue->map, head, slot);
	if (unlikely(error))
		return break_queue(queue,
				   "the chain at head %u is malformed (a loop, "
				   "a descriptor beyond its table, or a bad "
				   "indirect table)",
				   head);
	error = slot->chain.error;
	if (unlikely(error && !queue->keep_bad_chains)) {
		break_queue(queue, "the chain at head %u is refused: %s", head,
			    strerror(-error));
		return error;
	}
	slot->under_way = true;
	queue->nr_under_way++;
	return 0;
}

static int break_at(struct rh_queue *queue)
{
	char why[160];

	rh_ring_explain(&queue->ring, why, sizeof(why));
	return break_queue(queue, "%s", why);
}

int rh_queue_pop(struct rh_queue *queue, struct rh_chain **ret)
{
	uint16_t head;
	int result;

	if (unlikely(queue->broken))
		return -EPROTO;
	result = rh_ring_take(&queue->ring, &head);
	if (unlikely(result < 0))
		return break_at(queue);
	if (!result)
		return 0;
	result = take_chain(queue, head, &queue->slots[head]);
	if (unlikely(result))
		return result;
	*ret = &queue->slots[head].chain;
	return 1;
}

/* Each chain that was popped ends here, once; returns its slot. */
static struct rh_chain_slot *end_chain(struct rh_queue *queue,
				       struct rh_chain *chain)
{
	struct rh_chain_slot *slot =
		container_of(chain, struct rh_chain_slot, chain);

	assert(slot == &queue->slots[chain->index]);
	assert(slot->under_way);
	slot->under_way = false;
	queue->nr_under_way--;
	return slot;
}

void rh_queue_push(struct rh_queue *queue, struct rh_chain *chain,
		   uint32_t written_bytes)
{
	assert(written_bytes <= chain->writable_bytes);
	rh_ring_give(&queue->ring, end_chain(queue, chain), written_bytes);
}

void rh_queue_reject(struct rh_queue *queue, struct rh_chain *chain,
		     const char *why)
{
	end_chain(queue, chain);
	break_queue(queue, "the chain at head %u: %s", chain->index, why);
}

bool rh_queue_flush(struct rh_queue *queue)
{
	return rh_ring_publish(&queue->ring);
}

void rh_queue_notify(struct rh_queue *queue)
{
	send_signal(&queue->call);
}

void rh_queue_suppress_kicks(struct rh_queue *queue)
{
	rh_ring_suppress_kicks(&queue->ring);
}

bool rh_queue_expect_kicks(struct rh_queue *queue)
{
	return !queue->broken && rh_ring_expect_kicks(&queue->ring);
}

bool rh_queue_pending(const struct rh_queue *queue)
{
	return !queue->broken && rh_ring_pending(&queue->ring);
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

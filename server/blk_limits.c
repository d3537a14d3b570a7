/* SPDX-License-Identifier: MIT */
/*
 * blk_limits - what a disk is kept to, and what waits for that
 *
 * Nothing is reserved for a request that waits: it is asked again when its time
 * has come, or the limits have changed. So it can be let go at any time, and it
 * never matters how it ends. What it waits for is told to the throttle, for the
 * sake of its turn, in the one place where it is asked.
 *
 * A flush counts as a write of no bytes, a discard or a write of zeroes as one
 * for each of its segments: none of them moves data. What is answered without
 * the driver counts as a request, too, or a guest could ask for the impossible
 * for ever.
 */
#include <assert.h>
#include <errno.h>

#include "common/base.h"
#include "server/virtio_blk_limits.h"

struct blk_limits {
	struct throttle *own;
	unsigned int nr_members;
	struct throttle_member *members[1 + BLK_MAX_GROUPS];
};

static int join(struct blk_limits *limits, struct throttle *throttle,
		unsigned int nr_queues)
{
	int error = throttle_join(throttle, nr_queues,
				  &limits->members[limits->nr_members]);

	if (!error)
		limits->nr_members++;
	return error;
}

int blk_limits_create(struct throttle *const *groups, unsigned int nr_groups,
		      unsigned int nr_queues, struct blk_limits **ret)
{
	struct blk_limits *limits = calloc(1, sizeof(*limits));
	int error;

	assert(nr_groups <= BLK_MAX_GROUPS);
	if (!limits)
		return -ENOMEM;
	error = throttle_create(1, &limits->own);
	if (!error)
		error = join(limits, limits->own, nr_queues);
	for (unsigned int i = 0; !error && i < nr_groups; i++)
		error = join(limits, groups[i], nr_queues);
	if (error)
		blk_limits_destroy(limits);
	else
		*ret = limits;
	return error;
}

void blk_limits_destroy(struct blk_limits *limits)
{
	if (!limits)
		return;
	for (unsigned int i = 0; i < limits->nr_members; i++)
		throttle_leave(limits->members[i]);
	throttle_destroy(limits->own);
	free(limits);
}

struct throttle *blk_limits_own(const struct blk_limits *limits)
{
	return limits->own;
}

void blk_waits_init(struct blk_waits *waits, struct rh_queue *queue)
{
	*waits = (struct blk_waits){ .queue = queue };
	for (unsigned int i = 0; i < ARRAY_SIZE(waits->held); i++)
		list_init(&waits->held[i]);
}

/* block->member is NULL if it waits for nothing any more. */
static void note(struct blk_waits *waits, enum blk_wait wait,
		 const struct throttle_block *block)
{
	struct throttle_block *old = &waits->blocks[wait];
	unsigned int queue = rh_queue_index(waits->queue);
	bool same = old->member == block->member && old->kind == block->kind;

	if (old->member && !same)
		throttle_done(old, queue);
	if (block->member && !same)
		throttle_wait(block, queue);
	if (block->member)
		throttle_expect(block, queue);
	*old = *block;
}

static void note_none(struct blk_waits *waits, enum blk_wait wait)
{
	if (waits->blocks[wait].member)
		note(waits, wait, &(struct throttle_block){ 0 });
}

void blk_waits_deinit(struct blk_waits *waits)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(waits->held); i++)
		assert(list_empty(&waits->held[i]));
	for (unsigned int i = 0; i < BLK_NR_WAITS; i++)
		note_none(waits, i);
}

void blk_waits_begin_turn(struct blk_waits *waits, struct blk_limits *limits,
			  uint64_t now_nsec)
{
	waits->limits = limits;
	waits->now_nsec = now_nsec;
}

/* Of all its throttles, the one that takes longest counts. */
static bool ask(struct blk_waits *waits, enum blk_wait wait, unsigned int kinds)
{
	const struct blk_limits *limits = waits->limits;
	unsigned int queue = rh_queue_index(waits->queue);
	struct throttle_block longest = { 0 };
	struct throttle_block block;

	for (unsigned int i = 0; i < limits->nr_members; i++) {
		if (!throttle_admits(limits->members[i], queue, kinds,
				     waits->now_nsec, &block) &&
		    block.until_nsec > longest.until_nsec)
			longest = block;
	}
	note(waits, wait, &longest);
	return !longest.member;
}

bool blk_waits_may_take(struct blk_waits *waits)
{
	/* What an earlier back-end has taken must end before the stop. */
	bool must = waits->hurried && rh_queue_owes(waits->queue);

	if (must || !rh_queue_pending(waits->queue)) {
		note_none(waits, BLK_WAIT_RING);
		return true;
	}
	if (!list_empty(&waits->held[BLK_WAIT_READS]) &&
	    !list_empty(&waits->held[BLK_WAIT_WRITES])) {
		note_none(waits, BLK_WAIT_RING);
		return false;
	}
	return ask(waits, BLK_WAIT_RING, THROTTLE_OF_ALL);
}

static bool is_write(const struct blk_slot *slot)
{
	return slot->type != VIRTIO_BLK_T_IN;
}

static enum blk_wait wait_of(const struct blk_slot *slot)
{
	return is_write(slot) ? BLK_WAIT_WRITES : BLK_WAIT_READS;
}

/* reaches_driver: and is not answered here. */
static void charge(struct blk_waits *waits, const struct blk_slot *slot,
		   bool reaches_driver)
{
	const struct blk_request *request = &slot->request;
	bool moves_data = reaches_driver &&
			  (request->op == BLK_READ || request->op == BLK_WRITE);
	const struct throttle_use use = {
		.is_write = is_write(slot),
		.nr_requests = slot->nr_ranges ? slot->nr_ranges : 1,
		.bytes = moves_data ? request->bytes : 0,
	};

	for (unsigned int i = 0; i < waits->limits->nr_members; i++)
		throttle_charge(waits->limits->members[i],
				rh_queue_index(waits->queue), &use,
				waits->now_nsec, waits->hurried);
}

/* Those that wait already go first. */
bool blk_waits_may_go(struct blk_waits *waits, struct blk_slot *slot,
		      int outcome)
{
	enum blk_wait wait = wait_of(slot);
	unsigned int kinds =
		is_write(slot) ? THROTTLE_OF_WRITES : THROTTLE_OF_READS;

	if (outcome == 0 && !waits->hurried &&
	    (!list_empty(&waits->held[wait]) || !ask(waits, wait, kinds))) {
		list_append(&waits->held[wait], &slot->waiting);
		return false;
	}
	charge(waits, slot, outcome == 0);
	return true;
}

struct blk_slot *blk_waits_take_any(struct blk_waits *waits)
{
	struct list_node *node = list_take_first(&waits->held[BLK_WAIT_READS]);

	if (!node)
		node = list_take_first(&waits->held[BLK_WAIT_WRITES]);
	return node ? container_of(node, struct blk_slot, waiting) : NULL;
}

static bool first_may_go(struct blk_waits *waits, enum blk_wait wait)
{
	if (list_empty(&waits->held[wait])) {
		note_none(waits, wait);
		return false;
	}
	return waits->hurried ||
	       ask(waits, wait,
		   wait == BLK_WAIT_READS ? THROTTLE_OF_READS :
					    THROTTLE_OF_WRITES);
}

struct blk_slot *blk_waits_next(struct blk_waits *waits)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(waits->held); i++) {
		struct blk_slot *slot;

		if (!first_may_go(waits, i))
			continue;
		slot = container_of(list_take_first(&waits->held[i]),
				    struct blk_slot, waiting);
		charge(waits, slot, true);
		return slot;
	}
	return NULL;
}

uint64_t blk_waits_until(const struct blk_waits *waits)
{
	uint64_t until_nsec = UINT64_MAX;

	for (unsigned int i = 0; i < BLK_NR_WAITS; i++) {
		if (waits->blocks[i].member)
			until_nsec =
				MIN(until_nsec, waits->blocks[i].until_nsec);
	}
	return until_nsec;
}

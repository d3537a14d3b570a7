/* SPDX-License-Identifier: MIT */
/*
 * throttle - buckets that limit what disks do, alone or as a group
 *
 * A bucket is one number: the time at which it will have leaked empty. What is
 * poured in moves that on, by the time in which so much leaks out; there is
 * room as long as it lies no further ahead than the bucket is deep.
 *
 * When limits change, that number means something else. Who pours in looks
 * afterwards whether they have, and empties all buckets again, since what it
 * poured may have been of the old kind.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base.h"
#include "common/nsec.h"
#include "server/throttle.h"
#include "server/turns.h"

#define NO_BURST_NSEC (NSEC_PER_SEC / 10)
#define MAX_NSEC      (UINT64_C(1) << 61)

/* Times are small here: fractions of nanoseconds count. */
#define FRACTION_BITS 32

struct bucket {
	/* Set by the control thread */
	atomic_uint_fast64_t unit_cost; /* with a fraction; 0: no limit */
	atomic_uint_fast64_t byte_cost; /* of a request above iops_size */
	atomic_uint_fast64_t depth_nsec;

	atomic_uint_fast64_t empty_nsec;
};

struct place {
	bool taken;
	atomic_uint_fast64_t owed_nsec; /* forced requests, until then */
};

struct throttle {
	struct throttle_limits limits; /* the control thread's */
	unsigned int nr_members;       /* fixed: how many there may be */
	struct place *places;

	atomic_uint generation; /* of the limits */
	atomic_uint limited;	/* kinds, as bits */
	atomic_uint_fast64_t iops_size;
	struct bucket steady[THROTTLE_NR_KINDS];
	struct bucket burst[THROTTLE_NR_KINDS];
	struct turns turns[THROTTLE_NR_KINDS]; /* of members */
};

struct throttle_member {
	struct throttle *throttle;
	unsigned int index;
	struct turns turns[THROTTLE_NR_KINDS]; /* of its queues */
};

static uint64_t get(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(atomic_uint_fast64_t *value, uint64_t number)
{
	atomic_store_explicit(value, number, memory_order_relaxed);
}

static int init_turns(struct turns *turns, unsigned int nr)
{
	int error = 0;

	for (unsigned int i = 0; !error && i < THROTTLE_NR_KINDS; i++)
		error = turns_init(&turns[i], nr);
	return error;
}

static void deinit_turns(struct turns *turns)
{
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++)
		turns_deinit(&turns[i]);
}

int throttle_create(unsigned int nr_members, struct throttle **ret)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));

	if (!throttle)
		return -ENOMEM;
	throttle->limits = THROTTLE_NO_LIMITS;
	throttle->nr_members = nr_members;
	throttle->places = calloc(nr_members, sizeof(*throttle->places));
	if (!throttle->places || init_turns(throttle->turns, nr_members) < 0) {
		throttle_destroy(throttle);
		return -ENOMEM;
	}
	*ret = throttle;
	return 0;
}

void throttle_destroy(struct throttle *throttle)
{
	if (!throttle)
		return;
	for (unsigned int i = 0; throttle->places && i < throttle->nr_members;
	     i++)
		assert(!throttle->places[i].taken);
	deinit_turns(throttle->turns);
	free(throttle->places);
	free(throttle);
}

/* The buckets come last: who finds them empty finds the limits changed. */
static cold_code void empty_all(struct throttle *throttle)
{
	for (unsigned int i = 0; i < throttle->nr_members; i++)
		set(&throttle->places[i].owed_nsec, 0);
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++) {
		turns_forget(&throttle->turns[i]);
		atomic_store_explicit(&throttle->steady[i].empty_nsec, 0,
				      memory_order_release);
		atomic_store_explicit(&throttle->burst[i].empty_nsec, 0,
				      memory_order_release);
	}
}

static uint64_t divide(unsigned __int128 number, uint64_t by)
{
	unsigned __int128 result = by ? number / by : 0;

	return result > MAX_NSEC ? MAX_NSEC : (uint64_t)result;
}

/* In nanoseconds with a fraction. */
static uint64_t cost_at(uint64_t rate)
{
	const unsigned __int128 second = (unsigned __int128)NSEC_PER_SEC
					 << FRACTION_BITS;

	return rate ? (uint64_t)(second / rate) : 0;
}

static void set_bucket(struct bucket *bucket, uint64_t rate, uint64_t iops_size,
		       uint64_t depth_nsec)
{
	uint64_t bytes;

	if (mul_overflows(rate, iops_size, &bytes))
		bytes = UINT64_MAX;
	set(&bucket->unit_cost, cost_at(rate));
	set(&bucket->byte_cost, cost_at(bytes));
	set(&bucket->depth_nsec, depth_nsec);
}

static void set_rate(struct throttle *throttle, unsigned int kind)
{
	const struct throttle_rate *rate = &throttle->limits.rates[kind];
	uint64_t iops_size =
		kind <= THROTTLE_IOPS_WRITE ? throttle->limits.iops_size : 0;
	uint64_t depth_nsec = NO_BURST_NSEC;

	if (rate->avg && rate->max)
		depth_nsec = divide((unsigned __int128)rate->max *
					    rate->max_length * NSEC_PER_SEC,
				    rate->avg);
	set_bucket(&throttle->steady[kind], rate->avg, iops_size, depth_nsec);
	set_bucket(&throttle->burst[kind], rate->max_length > 1 ? rate->max : 0,
		   iops_size, NO_BURST_NSEC);
}

void throttle_set(struct throttle *throttle,
		  const struct throttle_limits *limits)
{
	unsigned int limited = 0;

	throttle->limits = *limits;
	for (unsigned int i = 0; i < THROTTLE_NR_KINDS; i++) {
		set_rate(throttle, i);
		if (limits->rates[i].avg)
			limited |= THROTTLE_BIT(i);
	}
	set(&throttle->iops_size, limits->iops_size);
	atomic_store_explicit(&throttle->limited, limited,
			      memory_order_relaxed);
	atomic_fetch_add_explicit(&throttle->generation, 1,
				  memory_order_release);
	empty_all(throttle);
}

const struct throttle_limits *throttle_get(const struct throttle *throttle)
{
	return &throttle->limits;
}

static unsigned int take_place(struct throttle *throttle)
{
	for (unsigned int i = 0; i < throttle->nr_members; i++) {
		if (throttle->places[i].taken)
			continue;
		throttle->places[i].taken = true;
		set(&throttle->places[i].owed_nsec, 0);
		return i;
	}
	return throttle->nr_members;
}

int throttle_join(struct throttle *throttle, unsigned int nr_queues,
		  struct throttle_member **ret)
{
	struct throttle_member *member = calloc(1, sizeof(*member));

	if (!member)
		return -ENOMEM;
	if (init_turns(member->turns, nr_queues) < 0) {
		throttle_leave(member);
		return -ENOMEM;
	}
	member->index = take_place(throttle);
	if (member->index == throttle->nr_members) {
		throttle_leave(member);
		return -ENOSPC;
	}
	member->throttle = throttle;
	*ret = member;
	return 0;
}

void throttle_leave(struct throttle_member *member)
{
	if (!member)
		return;
	if (member->throttle)
		member->throttle->places[member->index].taken = false;
	deinit_turns(member->turns);
	free(member);
}

/* When there will be room. */
static uint64_t opens_at(const struct bucket *bucket)
{
	uint64_t empty_nsec = get(&bucket->empty_nsec);
	uint64_t depth_nsec = get(&bucket->depth_nsec);

	if (!get(&bucket->unit_cost) || empty_nsec < depth_nsec)
		return 0;
	return empty_nsec - depth_nsec;
}

/* 0: at once */
static uint64_t kind_admits_at(struct throttle_member *member,
			       unsigned int queue, enum throttle_kind kind,
			       uint64_t now_nsec)
{
	struct throttle *throttle = member->throttle;
	uint64_t soon_nsec = now_nsec + THROTTLE_MIN_WAIT_NSEC;
	uint64_t at_nsec = MAX(opens_at(&throttle->steady[kind]),
			       opens_at(&throttle->burst[kind]));

	if (at_nsec > now_nsec)
		return MAX(at_nsec, soon_nsec);
	if (turns_may_go(&throttle->turns[kind], member->index, now_nsec) &&
	    turns_may_go(&member->turns[kind], queue, now_nsec))
		return 0;
	return soon_nsec;
}

static unsigned int limited_of(const struct throttle *throttle)
{
	return atomic_load_explicit(&throttle->limited, memory_order_relaxed);
}

bool throttle_admits(struct throttle_member *member, unsigned int queue,
		     unsigned int kinds, uint64_t now_nsec,
		     struct throttle_block *ret)
{
	const struct throttle *throttle = member->throttle;
	uint64_t owed_nsec = get(&throttle->places[member->index].owed_nsec);
	struct throttle_block block = { .member = member,
					.kind = THROTTLE_NR_KINDS };
	unsigned int left = kinds & limited_of(throttle);

	if (kinds & THROTTLE_OF_ALL && owed_nsec > now_nsec)
		block.until_nsec = owed_nsec;
	for (; left; left &= left - 1) {
		unsigned int kind = (unsigned int)__builtin_ctz(left);
		uint64_t at_nsec =
			kind_admits_at(member, queue, kind, now_nsec);

		if (at_nsec > block.until_nsec) {
			block.until_nsec = at_nsec;
			block.kind = kind;
		}
	}
	if (!block.until_nsec)
		return true;
	*ret = block;
	return false;
}

static uint64_t cost_of(const struct throttle *throttle,
			const struct bucket *bucket, enum throttle_kind kind,
			const struct throttle_use *use)
{
	uint64_t iops_size = get(&throttle->iops_size);
	uint64_t cost = get(&bucket->unit_cost);
	uint64_t nr = use->nr_requests;

	if (kind > THROTTLE_IOPS_WRITE) {
		nr = use->bytes;
	} else if (iops_size && use->bytes > iops_size) {
		cost = get(&bucket->byte_cost);
		nr = use->bytes;
	}
	return (uint64_t)(((unsigned __int128)cost * nr) >> FRACTION_BITS);
}

static void pour(struct bucket *bucket, uint64_t cost_nsec, uint64_t now_nsec)
{
	uint64_t old_nsec = get(&bucket->empty_nsec);
	uint64_t new_nsec;

	if (!cost_nsec)
		return;
	do {
		new_nsec = MAX(old_nsec, now_nsec) + MIN(cost_nsec, MAX_NSEC);
		new_nsec = MIN(new_nsec, 2 * MAX_NSEC);
	} while (!atomic_compare_exchange_weak_explicit(
		&bucket->empty_nsec, &old_nsec, new_nsec, memory_order_acq_rel,
		memory_order_relaxed));
}

static void pour_kind(struct throttle_member *member, unsigned int queue,
		      enum throttle_kind kind, const struct throttle_use *use,
		      uint64_t now_nsec)
{
	struct throttle *throttle = member->throttle;
	struct bucket *steady = &throttle->steady[kind];
	struct bucket *burst = &throttle->burst[kind];
	uint64_t cost_nsec = cost_of(throttle, steady, kind, use);

	pour(steady, cost_nsec, now_nsec);
	pour(burst, cost_of(throttle, burst, kind, use), now_nsec);
	turns_serve(&throttle->turns[kind], member->index, cost_nsec);
	turns_serve(&member->turns[kind], queue, cost_nsec);
}

/* Of its direction only: what all have in common is asked before it is known. */
static void owe(struct throttle_member *member, unsigned int kinds)
{
	struct throttle *throttle = member->throttle;
	atomic_uint_fast64_t *owed = &throttle->places[member->index].owed_nsec;
	unsigned int left = kinds & limited_of(throttle);
	uint64_t until_nsec = get(owed);

	for (; left; left &= left - 1) {
		unsigned int kind = (unsigned int)__builtin_ctz(left);

		until_nsec = MAX(until_nsec, opens_at(&throttle->steady[kind]));
	}
	set(owed, until_nsec);
}

void throttle_charge(struct throttle_member *member, unsigned int queue,
		     const struct throttle_use *use, uint64_t now_nsec,
		     bool forced)
{
	struct throttle *throttle = member->throttle;
	unsigned int of_direction =
		use->is_write ? THROTTLE_OF_WRITES : THROTTLE_OF_READS;
	unsigned int generation = atomic_load_explicit(&throttle->generation,
						       memory_order_acquire);
	unsigned int left =
		(THROTTLE_OF_ALL | of_direction) & limited_of(throttle);

	for (; left; left &= left - 1)
		pour_kind(member, queue, (unsigned int)__builtin_ctz(left), use,
			  now_nsec);
	if (forced)
		owe(member, of_direction);
	if (unlikely(atomic_load_explicit(&throttle->generation,
					  memory_order_acquire) != generation))
		empty_all(throttle);
}

void throttle_wait(const struct throttle_block *block, unsigned int queue)
{
	struct throttle_member *member = block->member;

	if (block->kind == THROTTLE_NR_KINDS)
		return;
	turns_wait(&member->throttle->turns[block->kind], member->index);
	turns_wait(&member->turns[block->kind], queue);
}

void throttle_expect(const struct throttle_block *block, unsigned int queue)
{
	struct throttle_member *member = block->member;

	if (block->kind == THROTTLE_NR_KINDS)
		return;
	turns_expect(&member->throttle->turns[block->kind], member->index,
		     block->until_nsec);
	turns_expect(&member->turns[block->kind], queue, block->until_nsec);
}

void throttle_done(const struct throttle_block *block, unsigned int queue)
{
	struct throttle_member *member = block->member;

	if (block->kind == THROTTLE_NR_KINDS)
		return;
	turns_done(&member->throttle->turns[block->kind], member->index);
	turns_done(&member->turns[block->kind], queue);
}

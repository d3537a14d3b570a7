/* SPDX-License-Identifier: MIT */
/*
 * throttle - buckets that limit what disks do, alone or as a group
 *
 * Each limit is a bucket that leaks at its rate. A request may go while its
 * buckets have room, however large it is, and is poured in whole. A limit
 * without bursts has room for a tenth of a second; one with bursts for as much
 * as a burst has, and a burst of more than a second is held to its own rate by
 * a second bucket. That is how QEMU's throttle groups count, too.
 *
 * Disks join as members; each has queues. Where there is not enough for all
 * that wait, members are served alike, and so are the queues of each.
 *
 * Arithmetic over times, which are of one clock that does not go back, in
 * nanoseconds. Threads: what makes, changes and ends a throttle or a member is
 * the control thread's; all else is any thread's, without a lock. Two requests
 * that ask at the same moment may both go: what that is too much is waited for
 * afterwards.
 */
#ifndef SERVER_THROTTLE_H
#define SERVER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/throttle_limits.h"

#define THROTTLE_MAX_MEMBERS 256

/* Shorter waits would cost more wake-ups than they are worth. */
#define THROTTLE_MIN_WAIT_NSEC UINT64_C(500000)

struct throttle;
struct throttle_member;

/* Kinds as bits: those that a read or a write has, those that all have. */
#define THROTTLE_BIT(kind) (1u << (kind))
#define THROTTLE_OF_READS                                                      \
	(THROTTLE_BIT(THROTTLE_IOPS_READ) | THROTTLE_BIT(THROTTLE_BPS_READ))
#define THROTTLE_OF_WRITES                                                     \
	(THROTTLE_BIT(THROTTLE_IOPS_WRITE) | THROTTLE_BIT(THROTTLE_BPS_WRITE))
#define THROTTLE_OF_ALL                                                        \
	(THROTTLE_BIT(THROTTLE_IOPS_TOTAL) | THROTTLE_BIT(THROTTLE_BPS_TOTAL))

/* What a request takes. */
struct throttle_use {
	bool is_write;
	unsigned int nr_requests; /* as so many it counts */
	uint64_t bytes;
};

/* Why it may not go. */
struct throttle_block {
	struct throttle_member *member;
	enum throttle_kind kind; /* THROTTLE_NR_KINDS: what was forced */
	uint64_t until_nsec;	 /* when to look again */
};

/* Without limits, for so many members. Returns 0 with *ret set, or -ENOMEM. */
int throttle_create(unsigned int nr_members, struct throttle **ret);

/* It has no members. NULL is accepted. */
void throttle_destroy(struct throttle *throttle);

/*
 * limits: checked. All buckets are empty afterwards. Holds for all who ask from
 * now on; those who wait already should ask again.
 */
void throttle_set(struct throttle *throttle,
		  const struct throttle_limits *limits);
const struct throttle_limits *throttle_get(const struct throttle *throttle);

/* Returns 0 with *ret set, -ENOMEM, or -ENOSPC: it has as many as it can. */
int throttle_join(struct throttle *throttle, unsigned int nr_queues,
		  struct throttle_member **ret);

/* None of its queues waits. NULL is accepted. */
void throttle_leave(struct throttle_member *member);

/*
 * May a request of this queue go, as far as these kinds are concerned? If not,
 * *ret is set, with the kind that takes longest.
 */
bool throttle_admits(struct throttle_member *member, unsigned int queue,
		     unsigned int kinds, uint64_t now_nsec,
		     struct throttle_block *ret);

/*
 * It goes. forced: though it was not admitted; throttle_admits() of any kinds
 * of THROTTLE_OF_ALL then waits until it would have been.
 */
void throttle_charge(struct throttle_member *member, unsigned int queue,
		     const struct throttle_use *use, uint64_t now_nsec,
		     bool forced);

/*
 * A queue that waits says so, for the sake of its turn, until it does no more:
 * once for each kind at a time. Each time it was told to look again, it says
 * when it will.
 */
void throttle_wait(const struct throttle_block *block, unsigned int queue);
void throttle_expect(const struct throttle_block *block, unsigned int queue);
void throttle_done(const struct throttle_block *block, unsigned int queue);

#endif

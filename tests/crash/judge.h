/* SPDX-License-Identifier: MIT */
/*
 * judge - knows what a disk may hold, from what its driver has seen
 *
 * The driver tells of each request when it begins, before the device can see
 * it, and when it ends, after it has taken the used entry. From that the judge
 * keeps for each sector of 512 bytes the versions that may be there:
 *
 * - A write that ended replaces each version whose write had ended before it
 *   began. Of writes that overlapped in time either may be the last one, and a
 *   write that has not ended may be there or not, sector by sector.
 * - A read sees no version that was replaced before the read began.
 * - A server that dies and comes back loses nothing that had ended.
 * - Power that fails loses what is not durable. In a volatile cache a write is
 *   durable once a flush has ended that began after the write had ended; in a
 *   write-through one, once the write has ended. A version may be on the medium
 *   until it was replaced by a write that is durable.
 *
 * Times are those of a clock that counts what the judge is told. The driver
 * learns late of an end and tells early of a beginning, so the judge may take
 * two requests for simultaneous that were not: it misses what it cannot know,
 * and accuses nobody wrongly.
 *
 * Each violation is counted by kind, and the first ones are printed. Owner:
 * one thread.
 */
#ifndef CRASH_JUDGE_H
#define CRASH_JUDGE_H

#include <stdint.h>

struct judge;

enum judge_cache {
	JUDGE_VOLATILE,
	JUDGE_WRITE_THROUGH,
};

enum judge_op {
	JUDGE_READ,
	JUDGE_WRITE, /* of stamps, each with the request's sequence */
	JUDGE_WRITE_ZEROES,
	JUDGE_DISCARD, /* leaves zeroes, or what was there */
	JUDGE_FLUSH,
};

enum judge_violation {
	JUDGE_LOST_WRITE,   /* an older version, where a newer one ended */
	JUDGE_OLD_RETURNED, /* the same, after the newer one had been seen */
	JUDGE_SPENT,	    /* executed after its completion */
	JUDGE_TORN,	    /* no whole stamp */
	JUDGE_ALIEN,	    /* a write that never was, or was meant elsewhere */
	JUDGE_LOST_REQUEST, /* did not end */
	JUDGE_NOT_UNDER_WAY, /* ended twice, or never began */
	JUDGE_NR_VIOLATIONS,
};

/* All sectors hold zeroes. Returns 0 with *ret set, or -ENOMEM. */
int judge_create(uint64_t nr_sectors, enum judge_cache cache,
		 struct judge **ret);
/* NULL is accepted. */
void judge_destroy(struct judge *judge);

/*
 * A request begins. The range lies on the disk; that of a flush is not looked
 * at. Returns its sequence, which is never 0.
 */
uint64_t judge_begin(struct judge *judge, enum judge_op op, uint64_t sector,
		     uint32_t nr_sectors);

/*
 * It ended, with 0 or -errno. Of what failed, any part may be there or not.
 */
void judge_end(struct judge *judge, uint64_t sequence, int result);

/* What a read that is about to end has got. */
void judge_check_read(struct judge *judge, uint64_t sequence, const void *data);

/*
 * All sectors of the disk, as a server's death leaves them, or after it has
 * ended everything; and as a failure of power leaves them. Return how many
 * are wrong.
 */
unsigned int judge_check_disk(struct judge *judge, const void *disk);
unsigned int judge_check_medium(struct judge *judge, const void *disk);

/*
 * The driver's machine starts anew on this disk: what was under way is so no
 * more, and what the disk holds is there to stay.
 */
void judge_restart(struct judge *judge, const void *disk);

/* All requests should have ended: those that did not are lost. */
void judge_check_idle(struct judge *judge);

uint64_t judge_count(const struct judge *judge, enum judge_violation kind);
uint64_t judge_count_all(const struct judge *judge);

/*
 * Sectors found on a medium without the last write that had ended there, as
 * they may be: it was not durable.
 */
uint64_t judge_count_gone(const struct judge *judge);
const char *judge_violation_name(enum judge_violation kind);

/* Violations are expected: none is printed. */
void judge_be_quiet(struct judge *judge);

#endif

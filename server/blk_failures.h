/* SPDX-License-Identifier: MIT */
/*
 * blk_failures - what the storage of a disk has failed to do, told beside I/O
 *
 * Whoever has a queue notes what came back as an error, without a lock and
 * without a call of the system unless nobody was told yet: the first note
 * since blk_failures_listen() lets a timer expire, behind which somebody waits.
 * So a guest that does nothing but fail costs that one no more than it wants.
 *
 * Threads: blk_failures_note() is the queue's owner's, the rest the control
 * thread's.
 */
#ifndef SERVER_BLK_FAILURES_H
#define SERVER_BLK_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "server/request.h"

struct blk_failures;

/* What has failed since the last one was taken. */
struct blk_failure {
	unsigned int queue; /* of one of them */
	enum blk_op op;	    /* likewise */
	int error;	    /* likewise; -errno */
	uint64_t nr;	    /* of all queues */
};

/* Returns 0 with *ret set, or -ENOMEM. */
int blk_failures_create(unsigned int nr_queues, struct blk_failures **ret);
void blk_failures_destroy(struct blk_failures *failures);

/* timer_fd: a timerfd that the first note sets; before any queue runs. */
void blk_failures_tell(struct blk_failures *failures, int timer_fd);

cold_code void blk_failures_note(struct blk_failures *failures,
				 unsigned int queue, enum blk_op op, int error);

/* Returns false when there is nothing new. */
bool blk_failures_take(struct blk_failures *failures, struct blk_failure *ret);

/* The next note sets the timer; or none does. Look once more after on. */
void blk_failures_listen(struct blk_failures *failures, bool on);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * blk_failures - what the storage of a disk has failed to do, told beside I/O
 *
 * A note counts first and then asks whether the timer is to be set; who listens
 * again says so first and then looks at the counts. One of the two sees the
 * other, since both are sequentially consistent.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "server/blk_failures.h"

struct queue_failures {
	/* Its owner's, read by the control thread */
	atomic_uint_fast64_t nr;
	_Atomic uint32_t last; /* operation and errno */
	/* The control thread's */
	uint64_t nr_taken;
};

struct blk_failures {
	int timer_fd;	    /* not owned; -1: nobody wants to know */
	atomic_bool silent; /* the timer is set, or is not to be */
	unsigned int nr_queues;
	struct queue_failures queues[];
};

int blk_failures_create(unsigned int nr_queues, struct blk_failures **ret)
{
	struct blk_failures *failures = calloc(
		1, sizeof(*failures) + nr_queues * sizeof(failures->queues[0]));

	if (!failures)
		return -ENOMEM;
	failures->timer_fd = -1;
	failures->nr_queues = nr_queues;
	*ret = failures;
	return 0;
}

void blk_failures_destroy(struct blk_failures *failures)
{
	free(failures);
}

void blk_failures_tell(struct blk_failures *failures, int timer_fd)
{
	failures->timer_fd = timer_fd;
}

static void set_timer(const struct blk_failures *failures)
{
	const struct itimerspec at_once = { .it_value.tv_nsec = 1 };

	timerfd_settime(failures->timer_fd, 0, &at_once, NULL);
}

void blk_failures_note(struct blk_failures *failures, unsigned int queue,
		       enum blk_op op, int error)
{
	struct queue_failures *of = &failures->queues[queue];

	atomic_store_explicit(&of->last, (uint32_t)op << 16 | (uint32_t)-error,
			      memory_order_relaxed);
	atomic_store(&of->nr,
		     atomic_load_explicit(&of->nr, memory_order_relaxed) + 1);
	if (failures->timer_fd >= 0 && !atomic_load(&failures->silent) &&
	    !atomic_exchange(&failures->silent, true))
		set_timer(failures);
}

bool blk_failures_take(struct blk_failures *failures, struct blk_failure *ret)
{
	*ret = (struct blk_failure){ 0 };
	for (unsigned int i = 0; i < failures->nr_queues; i++) {
		struct queue_failures *of = &failures->queues[i];
		uint64_t nr = atomic_load(&of->nr);
		uint32_t last;

		if (nr == of->nr_taken)
			continue;
		ret->nr += nr - of->nr_taken;
		of->nr_taken = nr;
		last = atomic_load_explicit(&of->last, memory_order_relaxed);
		ret->queue = i;
		ret->op = (enum blk_op)(last >> 16);
		ret->error = -(int)(last & 0xffff);
	}
	return ret->nr > 0;
}

void blk_failures_listen(struct blk_failures *failures, bool on)
{
	atomic_store(&failures->silent, !on);
}

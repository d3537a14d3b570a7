/* SPDX-License-Identifier: MIT */
/*
 * miss - what a queue needs of the IOTLB and does not find there
 *
 * A wake-up cannot get lost. The owner looked into the table before it stored
 * WANTED; the control thread looks once more after it has seen WANTED, and
 * after each update, so an update that the owner did not see is found by one
 * of these looks. The answer is stored before the kick fd is signalled, and
 * looked at behind each wake-up.
 */
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/miss.h"

static enum rh_miss_state state_of(const struct rh_miss *miss)
{
	return (enum rh_miss_state)atomic_load_explicit(&miss->state,
							memory_order_acquire);
}

static void set_state(struct rh_miss *miss, enum rh_miss_state state)
{
	atomic_store_explicit(&miss->state, state, memory_order_release);
}

void rh_miss_init(struct rh_miss *miss, const struct rh_iotlb *iotlb,
		  int wake_fd, const int *kick_fd)
{
	memset(miss, 0, sizeof(*miss));
	miss->iotlb = iotlb;
	miss->wake_fd = wake_fd;
	miss->kick_fd = kick_fd;
}

void rh_miss_reset(struct rh_miss *miss)
{
	set_state(miss, RH_MISS_NONE);
	atomic_store(&miss->has_fault, false);
	miss->fault_told = false;
	miss->nr_refused = 0;
}

bool rh_miss_resume(struct rh_miss *miss)
{
	switch (state_of(miss)) {
	case RH_MISS_NONE:
		return true;
	case RH_MISS_WANTED:
	case RH_MISS_ASKED:
		return false;
	case RH_MISS_REFUSED:
		/* A guest that makes up more of them waits for all others. */
		if (miss->nr_refused < RH_MISS_MAX_REFUSED)
			miss->refused[miss->nr_refused++].value =
				atomic_load_explicit(&miss->iova,
						     memory_order_relaxed);
		break;
	case RH_MISS_ANSWERED:
		break;
	}
	set_state(miss, RH_MISS_NONE);
	return true;
}

static bool was_refused(const struct rh_miss *miss, struct iova iova)
{
	for (unsigned int i = 0; i < miss->nr_refused; i++) {
		if (miss->refused[i].value == iova.value)
			return true;
	}
	/* One that has so many holes gets no more questions. */
	return miss->nr_refused == RH_MISS_MAX_REFUSED;
}

int rh_miss_find(const struct rh_miss *miss, struct rh_reach reach,
		 uint8_t **host, uint64_t *contiguous)
{
	int result = rh_iotlb_find(miss->iotlb, reach, host, contiguous);

	if (result == -EAGAIN && miss->nr_refused &&
	    was_refused(miss, reach.iova))
		return -EFAULT;
	return result;
}

void rh_miss_want(struct rh_miss *miss, struct rh_reach reach)
{
	atomic_store_explicit(&miss->iova, reach.iova.value,
			      memory_order_relaxed);
	atomic_store_explicit(&miss->permission, reach.permission,
			      memory_order_relaxed);
	set_state(miss, RH_MISS_WANTED);
	rh_eventfd_signal(miss->wake_fd);
}

void rh_miss_report_fault(struct rh_miss *miss, struct rh_reach reach)
{
	if (miss->fault_told)
		return;
	miss->fault_told = true;
	atomic_store_explicit(&miss->fault_iova, reach.iova.value,
			      memory_order_relaxed);
	atomic_store_explicit(&miss->fault_permission, reach.permission,
			      memory_order_relaxed);
	atomic_store_explicit(&miss->has_fault, true, memory_order_release);
	rh_eventfd_signal(miss->wake_fd);
}

/* The device is woken too, for a queue that has not started yet. */
static void finish(struct rh_miss *miss, enum rh_miss_state state)
{
	set_state(miss, state);
	if (*miss->kick_fd >= 0)
		rh_peerfd_signal(*miss->kick_fd);
	rh_eventfd_signal(miss->wake_fd);
}

static struct rh_reach missed(const struct rh_miss *miss)
{
	return (struct rh_reach){
		.iova = { atomic_load_explicit(&miss->iova,
					       memory_order_relaxed) },
		.bytes = 1,
		.permission = atomic_load_explicit(&miss->permission,
						   memory_order_relaxed),
	};
}

void rh_miss_settle(struct rh_miss *miss)
{
	uint64_t contiguous;
	uint8_t *host;

	if (rh_miss_waits(miss) && rh_iotlb_find(miss->iotlb, missed(miss),
						 &host, &contiguous) != -EAGAIN)
		finish(miss, RH_MISS_ANSWERED);
}

static bool take_question(struct rh_miss *miss,
			  struct vhost_user_iotlb *message)
{
	if (state_of(miss) != RH_MISS_WANTED)
		return false;
	rh_miss_settle(miss);
	if (state_of(miss) != RH_MISS_WANTED)
		return false;
	set_state(miss, RH_MISS_ASKED);
	message->iova = atomic_load_explicit(&miss->iova, memory_order_relaxed);
	message->permission = (uint8_t)atomic_load_explicit(
		&miss->permission, memory_order_relaxed);
	message->type = VHOST_IOTLB_MISS;
	return true;
}

static bool take_fault(struct rh_miss *miss, struct vhost_user_iotlb *message)
{
	if (!atomic_load_explicit(&miss->has_fault, memory_order_acquire))
		return false;
	message->iova =
		atomic_load_explicit(&miss->fault_iova, memory_order_relaxed);
	message->permission = (uint8_t)atomic_load_explicit(
		&miss->fault_permission, memory_order_relaxed);
	message->type = VHOST_IOTLB_ACCESS_FAIL;
	atomic_store_explicit(&miss->has_fault, false, memory_order_relaxed);
	return true;
}

bool rh_miss_next(struct rh_miss *misses, unsigned int nr, unsigned int *index,
		  struct vhost_user_iotlb *message)
{
	for (unsigned int i = 1; i <= nr; i++) {
		unsigned int turn = (*index + i) % nr;

		if (take_question(&misses[turn], message) ||
		    take_fault(&misses[turn], message)) {
			*index = turn;
			return true;
		}
	}
	return false;
}

void rh_miss_answered(struct rh_miss *miss,
		      const struct vhost_user_iotlb *question, bool refused)
{
	/* The queue may have been stopped since, and have missed again. */
	if (question->type != VHOST_IOTLB_MISS ||
	    state_of(miss) != RH_MISS_ASKED ||
	    atomic_load_explicit(&miss->iova, memory_order_relaxed) !=
		    question->iova)
		return;
	if (refused)
		finish(miss, RH_MISS_REFUSED);
	else
		set_state(miss, RH_MISS_WANTED);
}

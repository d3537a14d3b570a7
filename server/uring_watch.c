/* SPDX-License-Identifier: MIT */
/*
 * uring_watch - watches of the io_uring engine
 *
 * Watches are multishot polls, which are edge-triggered: the kernel says once
 * for each write that something arrived. The fd is not read, because a read
 * that the kernel carries out later than we look at the virtqueue could take
 * a kick that we have not seen yet, and with it the only wake-up for it.
 *
 * A watch wanders: on `todo` when the kernel has to be told something about
 * it, on `ready` while completions are reaped, on `gone` before removed().
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "common/fd.h"
#include "server/uring_internal.h"

#define MAX_ENDED 3 /* polls in a row, without a reason */

static void move_to(struct list_node *list, struct engine_watch *watch)
{
	list_remove(&watch->link);
	list_append(list, &watch->link);
}

/*
 * A file that nothing can be waited on for (/dev/zero, say) is readable to
 * io_uring, for ever: epoll is asked, which tells.
 */
static int check_pollable(int fd)
{
	cleanup_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

int uring_watch_add(struct engine *engine, struct engine_watch *watch)
{
	int result = check_pollable(watch->fd);

	if (result < 0)
		return result;
	move_to(&uring_of(engine)->todo, watch);
	return 0;
}

void uring_watch_remove(struct engine *engine, struct engine_watch *watch)
{
	move_to(&uring_of(engine)->todo, watch);
}

/* Tell the kernel what has changed about a watch. False: try again later. */
static bool settle_watch(struct uring *uring, struct engine_watch *watch)
{
	bool unwanted = watch->removing || watch->dead;
	struct io_uring_sqe *sqe;

	if (watch->armed == !unwanted || watch->cancelling) {
		list_remove(&watch->link);
		if (watch->removing && !watch->armed && !watch->cancelling)
			list_append(&uring->gone, &watch->link);
		return true;
	}
	sqe = uring_get_entry(uring);
	if (unlikely(!sqe))
		return false;
	list_remove(&watch->link);
	if (unwanted) {
		io_uring_prep_cancel64(sqe, uring_tagged(watch, TAG_POLL), 0);
		io_uring_sqe_set_data64(sqe, uring_tagged(watch, TAG_CANCEL));
		watch->cancelling = true;
	} else {
		io_uring_prep_poll_multishot(sqe, watch->fd, POLLIN);
		io_uring_sqe_set_data64(sqe, uring_tagged(watch, TAG_POLL));
		watch->armed = true;
	}
	return true;
}

bool uring_watch_settle(struct uring *uring)
{
	list_for_each(node, &uring->todo) {
		if (!settle_watch(uring, container_of(node, struct engine_watch,
						      link)))
			return false;
	}
	return true;
}

/*
 * A multishot poll may end by itself because the completion queue was full;
 * it is armed again. Where there is no such reason the file is one that is
 * always readable, and would say so again and again.
 */
static bool ends_for_ever(struct uring *uring, struct engine_watch *watch)
{
	unsigned int age = uring->turn - uring->full_turn;

	if (watch->armed || (age & URING_TURN_MASK) <= 1)
		watch->nr_ended = 0;
	else
		watch->nr_ended++;
	return watch->nr_ended > MAX_ENDED;
}

void uring_watch_polled(struct uring *uring, struct engine_watch *watch,
			int result, unsigned int flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		watch->armed = false;
	if (watch->removing && !watch->armed && !watch->cancelling)
		move_to(&uring->todo, watch);
	if (watch->removing || watch->dead)
		return;
	if (result < 0)
		watch->dead = result != -ECANCELED;
	else
		watch->dead = result & (POLLERR | POLLHUP | POLLNVAL) ||
			      ends_for_ever(uring, watch);
	move_to(&uring->ready, watch);
}

/* The poll ends with a completion of its own, unless it was just busy. */
void uring_watch_cancelled(struct uring *uring, struct engine_watch *watch,
			   int result)
{
	watch->cancelling = false;
	if (watch->removing && (!watch->armed || result == -EALREADY))
		move_to(&uring->todo, watch);
}

void uring_watch_call_ready(struct uring *uring)
{
	struct engine_watch *watch;
	struct list_node *node;

	while ((node = list_take_first(&uring->ready))) {
		watch = container_of(node, struct engine_watch, link);
		if (watch->armed == watch->dead)
			list_append(&uring->todo, &watch->link);
		watch->ready(watch);
	}
}

void uring_watch_call_removed(struct uring *uring)
{
	struct engine_watch *watch;
	struct list_node *node;

	while ((node = list_take_first(&uring->gone))) {
		watch = container_of(node, struct engine_watch, link);
		watch->removed(watch);
	}
}

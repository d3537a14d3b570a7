/* SPDX-License-Identifier: MIT */
/*
 * poll - a loop for a device that does all its work in one thread
 *
 * Built on the public headers alone, as any program could. Kick fds are
 * watched by their edges, so one that cannot be emptied does not keep the
 * loop awake; a guest that never stops kicking gets ROUNDS turns, then the
 * device and the other queues have theirs.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ringhost/poll.h>

#define ROUNDS		 16
#define EVENTS		 16
#define POLLED_RING_MSEC 1

/* In an event: the device, or else the queue of this index. */
#define DEVICE_EVENT UINT32_MAX

struct slot {
	struct rh_queue *queue; /* NULL unless started */
	bool pending;		/* must be looked at before sleeping */
};

struct rh_poll {
	rh_serve_fn serve;
	void *opaque;
	int epoll_fd;
	struct slot slots[RH_MAX_QUEUES];
};

int rh_poll_create(rh_serve_fn serve, void *opaque, struct rh_poll **ret)
{
	struct rh_poll *poll = calloc(1, sizeof(*poll));
	int error;

	if (!poll)
		return -ENOMEM;
	poll->serve = serve;
	poll->opaque = opaque;
	poll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll->epoll_fd < 0) {
		error = -errno;
		free(poll);
		return error;
	}
	*ret = poll;
	return 0;
}

void rh_poll_destroy(struct rh_poll *poll)
{
	if (!poll)
		return;
	close(poll->epoll_fd);
	free(poll);
}

int rh_poll_queue_start(void *opaque, struct rh_queue *queue)
{
	struct rh_poll *poll = opaque;
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
		.data.u32 = rh_queue_index(queue),
	};
	struct slot *slot = &poll->slots[event.data.u32];
	int fd = rh_queue_kick_fd(queue);

	if (fd >= 0 && epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	slot->queue = queue;
	slot->pending = true;
	return 0;
}

void rh_poll_queue_stop(void *opaque, struct rh_queue *queue)
{
	struct rh_poll *poll = opaque;
	int fd = rh_queue_kick_fd(queue);

	if (fd >= 0)
		epoll_ctl(poll->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	poll->slots[rh_queue_index(queue)] = (struct slot){ 0 };
	/* A stop right after the start, before anything was served. */
	if (rh_queue_owes(queue) && !rh_queue_may_abandon(queue))
		poll->serve(poll->opaque, queue);
	rh_queue_stopped(queue);
}

/* Returns true when the queue still has something. */
static bool serve_queue(struct rh_poll *poll, struct rh_queue *queue)
{
	for (int i = 0; i < ROUNDS; i++) {
		rh_queue_suppress_kicks(queue);
		poll->serve(poll->opaque, queue);
		if (rh_queue_flush(queue))
			rh_queue_notify(queue);
		if (!rh_queue_expect_kicks(queue))
			return false;
	}
	return true;
}

/* Returns how long the loop may sleep, in milliseconds; -1: for ever. */
static int serve_pending(struct rh_poll *poll)
{
	int msec = -1;

	for (unsigned int i = 0; i < RH_MAX_QUEUES; i++) {
		struct slot *slot = &poll->slots[i];

		if (!slot->queue)
			continue;
		if (rh_queue_kick_fd(slot->queue) < 0) {
			slot->pending = true;
			msec = msec ? POLLED_RING_MSEC : 0;
		}
		if (!slot->pending)
			continue;
		slot->pending = serve_queue(poll, slot->queue);
		if (slot->pending)
			msec = 0;
	}
	return msec;
}

static void take_kick(struct rh_poll *poll, uint32_t index)
{
	struct slot *slot = &poll->slots[index];

	if (!slot->queue)
		return;
	rh_queue_clear_kick(slot->queue);
	slot->pending = true;
}

static int turn(struct rh_poll *poll, struct rh_device *device,
		const sigset_t *signals)
{
	struct epoll_event events[EVENTS];
	bool device_ready = false;
	int nr_events;

	nr_events = epoll_pwait(poll->epoll_fd, events, EVENTS,
				serve_pending(poll), signals);
	if (nr_events < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < nr_events; i++) {
		if (events[i].data.u32 == DEVICE_EVENT)
			device_ready = true;
		else
			take_kick(poll, events[i].data.u32);
	}
	/* Last, since it may stop queues that have events above. */
	return device_ready ? rh_device_run(device) : 0;
}

int rh_poll_run(struct rh_poll *poll, struct rh_device *device,
		const volatile sig_atomic_t *stop)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u32 = DEVICE_EVENT,
	};
	bool stopping = false;
	sigset_t none;
	int error = 0;

	sigemptyset(&none);
	if (epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, rh_device_fd(device),
		      &event) < 0)
		return -errno;
	while (!error && !rh_device_finished(device)) {
		if (!stopping && stop && *stop) {
			stopping = true;
			rh_device_stop(device);
			continue;
		}
		error = turn(poll, device, stop ? &none : NULL);
	}
	epoll_ctl(poll->epoll_fd, EPOLL_CTL_DEL, rh_device_fd(device), NULL);
	return error;
}

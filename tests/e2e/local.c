/* SPDX-License-Identifier: MIT */
/*
 * local - a device on libringhost in this process, in loops of the test's
 *
 * A loop's turn: what epoll reports, then the order that the test gave, then
 * each queue that the loop owns. A queue is handed to its loop by setting
 * owner, and asked back by setting stopping; the loop is woken for both.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/local.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"
#include "tests/frontend/vring.h"

enum order {
	ORDER_NONE,
	ORDER_ATTACH,
	ORDER_DETACH,
	ORDER_PAUSE,
	ORDER_RESUME,
	ORDER_STOP,
	ORDER_CONFIG_CHANGED,
	ORDER_QUIT,
};

#define EVENT_DEVICE 1000 /* below: the queue of this index */
#define EVENT_WAKE   1001
#define CONFIG_BYTES 8

static void watch(struct local_loop *loop, int fd, uint32_t what, bool edge)
{
	struct epoll_event event = {
		.events = EPOLLIN | (edge ? (uint32_t)EPOLLET : 0),
		.data.u32 = what,
	};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		perror("# epoll_ctl");
}

static void complete(struct rh_queue *queue, struct rh_chain *chain)
{
	struct iovec *last = &chain->writable[chain->nr_writable - 1];

	for (unsigned int i = 0; i < chain->nr_writable; i++)
		memset(chain->writable[i].iov_base, 0,
		       chain->writable[i].iov_len);
	((uint8_t *)last->iov_base)[last->iov_len - 1] = 0;
	rh_queue_push(queue, chain, (uint32_t)chain->writable_bytes);
}

static void take_all(struct local *local, struct local_queue *queue)
{
	struct rh_chain *chain;

	while (rh_queue_pop(queue->queue, &chain) > 0) {
		if (atomic_load(&local->hold) && queue->nr_held < LOCAL_DEPTH) {
			queue->held[queue->nr_held++] = chain;
			atomic_fetch_add(&local->nr_held, 1);
		} else {
			complete(queue->queue, chain);
		}
	}
}

static void give_back(struct local_loop *loop, struct local_queue *queue)
{
	int fd = rh_queue_kick_fd(queue->queue);

	if (fd >= 0)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	queue->watched = false;
	atomic_store(&queue->stopping, false);
	atomic_store(&queue->owner, NULL);
	rh_queue_stopped(queue->queue);
}

static void serve(struct local_loop *loop, struct local_queue *queue,
		  uint32_t index)
{
	struct local *local = loop->local;

	if (!queue->watched) {
		watch(loop, rh_queue_kick_fd(queue->queue), index, true);
		queue->watched = true;
	}
	do {
		rh_queue_suppress_kicks(queue->queue);
		while (!atomic_load(&local->hold) && queue->nr_held) {
			complete(queue->queue, queue->held[--queue->nr_held]);
			atomic_fetch_sub(&local->nr_held, 1);
		}
		if (!atomic_load(&queue->stopping))
			take_all(local, queue);
		if (rh_queue_flush(queue->queue))
			rh_queue_notify(queue->queue);
	} while (rh_queue_expect_kicks(queue->queue) &&
		 !atomic_load(&queue->stopping));
	if (atomic_load(&queue->stopping) && !queue->nr_held)
		give_back(loop, queue);
}

static int carry_out(struct local_loop *loop, enum order order)
{
	struct rh_device *device = loop->local->device;
	int fd = rh_device_fd(device);

	switch (order) {
	case ORDER_ATTACH:
		watch(loop, fd, EVENT_DEVICE, false);
		return 0;
	case ORDER_DETACH:
		return epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	case ORDER_PAUSE:
		rh_device_pause(device);
		return 0;
	case ORDER_RESUME:
		rh_device_resume(device);
		return 0;
	case ORDER_STOP:
		rh_device_stop(device);
		return 0;
	case ORDER_CONFIG_CHANGED:
		return rh_device_config_changed(device);
	default:
		return 0;
	}
}

/* Returns false when the thread is to end. */
static bool obey(struct local_loop *loop)
{
	enum order order =
		(enum order)atomic_exchange(&loop->order, ORDER_NONE);
	uint64_t answer;

	if (order == ORDER_NONE)
		return true;
	answer = (uint64_t)carry_out(loop, order) + 1;
	if (write(loop->done_fd, &answer, sizeof(answer)) < 0)
		perror("# write");
	return order != ORDER_QUIT;
}

static void *run(void *opaque)
{
	struct local_loop *loop = opaque;
	struct local *local = loop->local;
	struct epoll_event events[8];
	int nr;

	do {
		nr = epoll_wait(loop->epoll_fd, events, 8, -1);
		for (int i = 0; i < nr; i++) {
			if (events[i].data.u32 == EVENT_DEVICE)
				rh_device_run(local->device);
			else if (events[i].data.u32 == EVENT_WAKE)
				rh_eventfd_drain(loop->wake_fd);
		}
		for (uint32_t i = 0; i < LOCAL_QUEUES; i++)
			if (atomic_load(&local->queues[i].owner) == loop)
				serve(loop, &local->queues[i], i);
	} while (obey(loop));
	return NULL;
}

/* Give an order and wait; returns the answer. */
static int give_order(struct local_loop *loop, enum order order)
{
	atomic_store(&loop->order, order);
	rh_eventfd_signal(loop->wake_fd);
	return (int)(fe_eventfd_wait(loop->done_fd, FE_PATIENCE_MSEC) - 1);
}

static int queue_start(void *opaque, struct rh_queue *rh_queue)
{
	struct local *local = opaque;
	struct local_queue *queue = &local->queues[rh_queue_index(rh_queue)];
	struct local_loop *loop =
		local->queue_loop ? local->queue_loop : local->control;

	queue->queue = rh_queue;
	atomic_store(&queue->owner, loop);
	rh_eventfd_signal(loop->wake_fd);
	return 0;
}

static void queue_stop(void *opaque, struct rh_queue *rh_queue)
{
	struct local *local = opaque;
	struct local_queue *queue = &local->queues[rh_queue_index(rh_queue)];
	struct local_loop *loop = atomic_load(&queue->owner);

	atomic_store(&queue->stopping, true);
	rh_eventfd_signal(loop->wake_fd);
}

static int config_get(void *opaque, uint32_t offset, void *data, uint32_t size)
{
	(void)opaque;
	(void)offset;
	memset(data, 0, size);
	return 0;
}

static void disconnected(void *opaque, int error)
{
	struct local *local = opaque;

	atomic_store(&local->last_error, error);
	atomic_fetch_add(&local->nr_disconnected, 1);
}

static void paused(void *opaque)
{
	struct local *local = opaque;

	atomic_fetch_add(&local->nr_paused, 1);
}

static const struct rh_device_ops ops = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.config_get = config_get,
	.disconnected = disconnected,
	.paused = paused,
};

static void start_loop(struct local *local, struct local_loop *loop)
{
	loop->local = local;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = rh_eventfd_create();
	loop->done_fd = rh_eventfd_create();
	watch(loop, loop->wake_fd, EVENT_WAKE, false);
	assert_int_equal(pthread_create(&loop->thread, NULL, run, loop), 0);
}

void local_start(struct local *local, bool separate)
{
	const struct rh_device_config config = {
		.name = "local",
		.ops = &ops,
		.opaque = local,
		.nr_queues = LOCAL_QUEUES,
		.config_bytes = CONFIG_BYTES,
	};
	int fd;

	memset(local, 0, sizeof(*local));
	snprintf(local->server.socket, sizeof(local->server.socket),
		 "/tmp/ringhost-local-%d", getpid());
	assert_int_equal(rh_device_create(&config, &local->device), 0);
	assert_int_equal(rh_socket_listen(local->server.socket, 0600, (gid_t)-1,
					  &fd),
			 0);
	assert_int_equal(rh_device_listen(local->device, fd), 0);
	for (size_t i = 0; i < ARRAY_SIZE(local->loops); i++)
		start_loop(local, &local->loops[i]);
	local->queue_loop = separate ? &local->loops[2] : NULL;
	local->control = &local->loops[0];
	assert_int_equal(give_order(local->control, ORDER_ATTACH), 0);
}

void local_end(struct local *local)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	local_stop(local);
	local_let_go(local);
	/* finished only in its own thread's eyes: have it look */
	while (atomic_load(&local->queues[0].owner) ||
	       atomic_load(&local->queues[1].owner)) {
		assert_true(fe_now_usec() < deadline);
		usleep(100);
	}
	assert_int_equal(give_order(local->control, ORDER_DETACH), 0);
	for (size_t i = 0; i < ARRAY_SIZE(local->loops); i++) {
		assert_int_equal(give_order(&local->loops[i], ORDER_QUIT), 0);
		pthread_join(local->loops[i].thread, NULL);
		close(local->loops[i].epoll_fd);
		close(local->loops[i].wake_fd);
		close(local->loops[i].done_fd);
	}
	/* the device is this thread's now */
	assert_int_equal(rh_device_run(local->device), 0);
	assert_true(rh_device_finished(local->device));
	rh_device_destroy(local->device);
	rh_socket_unlink(local->server.socket);
}

void local_move(struct local *local, unsigned int loop)
{
	assert_int_equal(give_order(local->control, ORDER_DETACH), 0);
	local->control = &local->loops[loop];
	assert_int_equal(give_order(local->control, ORDER_ATTACH), 0);
}

void local_pause(struct local *local)
{
	assert_int_equal(give_order(local->control, ORDER_PAUSE), 0);
}

void local_resume(struct local *local)
{
	assert_int_equal(give_order(local->control, ORDER_RESUME), 0);
}

void local_stop(struct local *local)
{
	assert_int_equal(give_order(local->control, ORDER_STOP), 0);
}

int local_config_changed(struct local *local)
{
	return give_order(local->control, ORDER_CONFIG_CHANGED);
}

void local_hold(struct local *local)
{
	atomic_store(&local->hold, true);
}

void local_let_go(struct local *local)
{
	atomic_store(&local->hold, false);
	for (size_t i = 0; i < ARRAY_SIZE(local->loops); i++)
		rh_eventfd_signal(local->loops[i].wake_fd);
}

void local_wait(atomic_uint *counter, unsigned int value)
{
	uint64_t deadline = fe_deadline(FE_PATIENCE_MSEC);

	while (atomic_load(counter) < value) {
		assert_true(fe_now_usec() < deadline);
		usleep(100);
	}
	assert_int_equal(atomic_load(counter), value);
}

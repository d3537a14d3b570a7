/* SPDX-License-Identifier: MIT */
/*
 * inband - calls and errors of queues as messages
 *
 * The queue has a duplicate, which it may keep and exchange as any other; the
 * set watches ours. An eventfd is set up while its ring is started and has no
 * other, and is taken down, with what it still holds noted, when it is not.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "lib/inband.h"
#include "lib/watch.h"

int rh_inband_init(struct rh_device *device)
{
	unsigned int nr_queues = device->config.nr_queues;

	device->inband = calloc(nr_queues, sizeof(*device->inband));
	if (!device->inband)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr_queues; i++) {
		device->inband[i].fds[RH_INBAND_CALL] = -1;
		device->inband[i].fds[RH_INBAND_ERR] = -1;
	}
	return 0;
}

/* The session has ended before, and settled. */
void rh_inband_deinit(struct rh_device *device)
{
	assert(!device->nr_inband_fds);
	free(device->inband);
	device->inband = NULL;
}

static struct rh_signal_fd *signal_fd(struct rh_queue *queue,
				      enum rh_inband_kind kind)
{
	return kind == RH_INBAND_CALL ? &queue->call : &queue->err;
}

static bool wanted(const struct rh_device *device, const struct rh_queue *queue,
		   enum rh_inband_kind kind)
{
	const uint64_t bit =
		FEATURE_BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	bool has_fd = kind == RH_INBAND_CALL ? queue->has_call : queue->has_err;

	return (device->session.session.protocol_features & bit) &&
	       queue->has_kick && !has_fd;
}

static int set_up(struct rh_device *device, struct rh_queue *queue,
		  enum rh_inband_kind kind)
{
	int *fd = &device->inband[queue->index].fds[kind];
	int duplicate;
	int error;

	*fd = rh_eventfd_create();
	if (*fd < 0)
		return *fd;
	duplicate = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
	error = duplicate < 0 ?
			-errno :
			rh_watch_inband(device, *fd, kind, queue->index);
	if (error) {
		rh_fd_close(&duplicate);
		rh_fd_close(fd);
		return error;
	}
	rh_signal_fd_set(signal_fd(queue, kind), duplicate);
	device->nr_inband_fds++;
	return 0;
}

static void take_down(struct rh_device *device, struct rh_queue *queue,
		      enum rh_inband_kind kind)
{
	int *fd = &device->inband[queue->index].fds[kind];
	bool has_fd = kind == RH_INBAND_CALL ? queue->has_call : queue->has_err;

	if (!has_fd)
		rh_signal_fd_set(signal_fd(queue, kind), -1);
	/* What a session leaves behind is not told in the next one. */
	if (device->state != RH_DEVICE_IDLE)
		rh_inband_ready(device, kind, queue->index);
	rh_unwatch_inband(device, *fd);
	rh_fd_close(fd);
	device->nr_inband_fds--;
}

static void settle_one(struct rh_device *device, struct rh_queue *queue,
		       enum rh_inband_kind kind)
{
	bool has = device->inband[queue->index].fds[kind] >= 0;
	bool wants = wanted(device, queue, kind);
	int error;

	if (has && !wants)
		take_down(device, queue, kind);
	if (has || !wants || queue->hold != RH_HOLD_NONE)
		return;
	error = set_up(device, queue, kind);
	if (!error || queue->state != RH_QUEUE_STOPPED)
		return;
	rh_queue_break(queue, "it has no eventfd for its notifications: %s",
		       strerror(-error));
	queue->hold = RH_HOLD_BROKEN;
}

void rh_inband_settle(struct rh_device *device)
{
	const uint64_t bit =
		FEATURE_BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);

	if (!(device->session.session.protocol_features & bit) &&
	    !device->nr_inband_fds)
		return;
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		settle_one(device, &device->queues[i], RH_INBAND_ERR);
		settle_one(device, &device->queues[i], RH_INBAND_CALL);
	}
}

void rh_inband_collect(struct rh_device *device)
{
	if (!device->nr_inband_fds)
		return;
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		rh_inband_ready(device, RH_INBAND_ERR, i);
		rh_inband_ready(device, RH_INBAND_CALL, i);
	}
}

void rh_inband_ready(struct rh_device *device, enum rh_inband_kind kind,
		     unsigned int index)
{
	struct rh_queue *queue = &device->queues[index];
	int fd = device->inband[index].fds[kind];

	if (fd < 0 || !rh_eventfd_drain(fd))
		return;
	if (kind == RH_INBAND_CALL)
		queue->tell_call = true;
	else
		queue->tell_err = true;
}

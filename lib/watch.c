/* SPDX-License-Identifier: MIT */
/*
 * watch - what a device's one fd waits for
 */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/fd.h"
#include "lib/watch.h"

static int control(struct rh_device *device, int operation, int fd,
		   uint32_t events, uint32_t data)
{
	struct epoll_event event = { .events = events, .data.u32 = data };

	return epoll_ctl(device->epoll_fd, operation, fd, &event) < 0 ? -errno :
									0;
}

int rh_watch_init(struct rh_device *device)
{
	int error;

	device->wake_fd = -1;
	device->timer_fd = -1;
	device->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (device->epoll_fd < 0)
		return -errno;
	device->wake_fd = rh_eventfd_create();
	if (device->wake_fd < 0)
		return device->wake_fd;
	device->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (device->timer_fd < 0)
		return -errno;
	error = control(device, EPOLL_CTL_ADD, device->wake_fd, EPOLLIN,
			RH_SOURCE_WAKE);
	if (!error)
		error = control(device, EPOLL_CTL_ADD, device->timer_fd,
				EPOLLIN, RH_SOURCE_TIMER);
	return error;
}

void rh_watch_deinit(struct rh_device *device)
{
	rh_fd_close(&device->timer_fd);
	rh_fd_close(&device->wake_fd);
	rh_fd_close(&device->epoll_fd);
}

/*
 * epoll_ctl(2) on an fd of ours fails for want of memory or by a bug; without
 * the watch the device would hang, so neither can be passed over.
 */
static void change(struct rh_device *device, int operation, int fd,
		   uint32_t events, enum rh_source source)
{
	int error = control(device, operation, fd, events, source);

	assert(!error);
	(void)error;
}

void rh_watch_connection(struct rh_device *device, uint32_t events)
{
	uint32_t watched = device->watched_connection;

	if (events == watched)
		return;
	if (!events)
		change(device, EPOLL_CTL_DEL, device->connection, 0,
		       RH_SOURCE_CONNECTION);
	else
		change(device, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		       device->connection, events, RH_SOURCE_CONNECTION);
	device->watched_connection = events;
}

void rh_watch_listener(struct rh_device *device, bool wanted)
{
	wanted = wanted && device->listen_fd >= 0;
	if (wanted == device->watched_listener)
		return;
	change(device, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
	       device->listen_fd, EPOLLIN, RH_SOURCE_LISTENER);
	device->watched_listener = wanted;
}

/*
 * The fd came from the front-end, which may have sent anything. That of a
 * channel which has failed is closed here, where it is watched no more.
 */
void rh_watch_channel(struct rh_device *device, bool wanted)
{
	struct rh_channel *channel = &device->session.outbox.channel;

	wanted = wanted && channel->state != RH_CHANNEL_CLOSED;
	if (!wanted && device->watched_channel)
		change(device, EPOLL_CTL_DEL, channel->fd, 0,
		       RH_SOURCE_CHANNEL);
	if (wanted && !device->watched_channel &&
	    control(device, EPOLL_CTL_ADD, channel->fd, EPOLLIN,
		    RH_SOURCE_CHANNEL) < 0) {
		rh_channel_close(channel);
		wanted = false;
	}
	device->watched_channel = wanted;
	if (channel->state == RH_CHANNEL_CLOSED && channel->fd >= 0)
		rh_channel_close(channel);
}

/* A pipe or a socket: epoll_ctl(2) takes both. */
void rh_watch_transfer(struct rh_device *device, bool wanted)
{
	struct rh_transfer *transfer = &device->session.transfer;

	wanted = wanted && rh_transfer_busy(transfer);
	if (wanted == transfer->watched)
		return;
	change(device, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, transfer->fd,
	       transfer->state == RH_TRANSFER_SAVING ? EPOLLOUT : EPOLLIN,
	       RH_SOURCE_TRANSFER);
	transfer->watched = wanted;
}

int rh_watch_inband(struct rh_device *device, int fd, enum rh_inband_kind kind,
		    unsigned int index)
{
	enum rh_source source = kind == RH_INBAND_CALL ? RH_SOURCE_INBAND_CALL :
							 RH_SOURCE_INBAND_ERR;

	return control(device, EPOLL_CTL_ADD, fd, EPOLLIN,
		       source | index << RH_SOURCE_BITS);
}

void rh_unwatch_inband(struct rh_device *device, int fd)
{
	change(device, EPOLL_CTL_DEL, fd, 0, RH_SOURCE_INBAND_CALL);
}

void rh_watch_timer(struct rh_device *device, unsigned int msec)
{
	const struct itimerspec when = {
		.it_value.tv_sec = msec / 1000,
		.it_value.tv_nsec = (long)(msec % 1000) * 1000000,
	};

	if (!msec && !device->timer_armed)
		return;
	timerfd_settime(device->timer_fd, 0, &when, NULL);
	device->timer_armed = msec;
}

/* SPDX-License-Identifier: MIT */
/*
 * watch - what a device's one fd waits for
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/fd.h"
#include "common/log.h"
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
 * Taking an fd of ours out of the set needs nothing, so only a bug can make it
 * fail. Putting one in takes memory, and a place among those that a user may
 * have (/proc/sys/fs/epoll/max_user_watches).
 */
static void take_out(struct rh_device *device, int fd)
{
	int error = control(device, EPOLL_CTL_DEL, fd, 0, RH_SOURCE_WAKE);

	assert(!error);
	(void)error;
}

int rh_watch_connection(struct rh_device *device, uint32_t events)
{
	uint32_t watched = device->watched_connection;
	int error = 0;

	if (events == watched)
		return 0;
	if (!events)
		take_out(device, device->connection);
	else
		error = control(device, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
				device->connection, events,
				RH_SOURCE_CONNECTION);
	if (!error)
		device->watched_connection = events;
	return error;
}

int rh_watch_listener(struct rh_device *device, bool wanted)
{
	int error = 0;

	wanted = wanted && device->listen_fd >= 0;
	if (wanted == device->watched_listener)
		return 0;
	if (!wanted)
		take_out(device, device->listen_fd);
	else
		error = control(device, EPOLL_CTL_ADD, device->listen_fd,
				EPOLLIN, RH_SOURCE_LISTENER);
	if (!error)
		device->watched_listener = wanted;
	return error;
}

/*
 * The fd came from the front-end, which may have sent anything. That of a
 * channel which has failed is closed here, where it is watched no more.
 */
void rh_watch_channel(struct rh_device *device, bool wanted)
{
	struct rh_channel *channel = &device->session.outbox.channel;
	int error = 0;

	wanted = wanted && channel->state != RH_CHANNEL_CLOSED;
	if (!wanted && device->watched_channel)
		take_out(device, channel->fd);
	if (wanted && !device->watched_channel)
		error = control(device, EPOLL_CTL_ADD, channel->fd, EPOLLIN,
				RH_SOURCE_CHANNEL);
	if (error) {
		rh_log_limited(&channel->limit, RH_LOG_WARNING, device->tag,
			       "front-end's channel for messages from its "
			       "device cannot be watched: %s",
			       strerror(-error));
		rh_channel_close(channel);
		wanted = false;
	}
	device->watched_channel = wanted;
	if (channel->state == RH_CHANNEL_CLOSED && channel->fd >= 0)
		rh_channel_close(channel);
}

/*
 * A pipe or a socket: epoll_ctl(2) takes both. Who waits for a transfer that
 * ends here is answered in the next turn.
 */
void rh_watch_transfer(struct rh_device *device, bool wanted)
{
	struct rh_transfer *transfer = &device->session.transfer;
	bool saving = transfer->state == RH_TRANSFER_SAVING;
	int error = 0;

	wanted = wanted && rh_transfer_busy(transfer);
	if (wanted == transfer->watched)
		return;
	if (!wanted)
		take_out(device, transfer->fd);
	else
		error = control(device, EPOLL_CTL_ADD, transfer->fd,
				saving ? EPOLLOUT : EPOLLIN,
				RH_SOURCE_TRANSFER);
	transfer->watched = wanted && !error;
	if (!error)
		return;
	rh_log_limited(&device->limit, RH_LOG_WARNING, device->tag,
		       "the file of the device's state cannot be watched: %s",
		       strerror(-error));
	rh_transfer_end(transfer, error);
	rh_eventfd_signal(device->wake_fd);
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
	take_out(device, fd);
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

/* SPDX-License-Identifier: MIT */
/*
 * device - the connection's state, and the turn that moves it on
 *
 * rh_device_run() takes events, which only note what happened or read a
 * message; settle() then does what the state allows: take back queues, finish
 * the message that waited for them, end the session, start what is ready.
 * A session is torn down there and nowhere else, never inside the code that
 * found the fault.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ringhost/handover.h>
#include <ringhost/object.h>

#include "common/fd.h"
#include "lib/device.h"
#include "lib/inband.h"
#include "lib/listener.h"
#include "lib/quiesce.h"
#include "lib/session.h"
#include "lib/watch.h"

#define DEFAULT_QUEUE_SIZE   1024
#define HANDOVER_WAIT_MSEC   10000
#define EVENTS_A_RUN	     8
#define MESSAGES_A_RUN	     64
#define ACCEPT_BACK_OFF_MSEC 100

static void settle(struct rh_device *device);

/* Its address names the thread. */
static _Thread_local char thread_token;

void rh_device_enter(struct rh_device *device)
{
	void *inside = NULL;

	if (!atomic_compare_exchange_strong(&device->busy, &inside,
					    &thread_token))
		assert(inside == &thread_token);
	device->depth++;
}

void rh_device_leave(struct rh_device *device)
{
	if (device->depth == 1)
		settle(device);
	else
		rh_eventfd_signal(device->wake_fd);
	if (--device->depth == 0)
		atomic_store(&device->busy, NULL);
}

void rh_device_hold(struct rh_device *device, bool is_held)
{
	device->is_held = is_held;
	device->session.outbox.is_held = is_held;
}

static void connection_ready(struct rh_device *device)
{
	if (rh_session_awaits_transfer(device))
		rh_session_close(device, 0); /* it has gone */
	if (device->state != RH_DEVICE_READING || device->is_held)
		return;
	if (!rh_outgoing_empty(&device->outgoing))
		rh_session_send(device);
	for (int i = 0; i < MESSAGES_A_RUN; i++) {
		if (device->state != RH_DEVICE_READING ||
		    device->pause != RH_PAUSE_OFF ||
		    !rh_outgoing_empty(&device->outgoing) ||
		    !rh_session_receive(device))
			break;
	}
}

static void close_listener(struct rh_device *device)
{
	rh_watch_listener(device, false);
	rh_fd_close(&device->listen_fd);
}

static void back_off(struct rh_device *device, int error)
{
	rh_log_limited(&device->limit, RH_LOG_WARNING, device->tag,
		       "cannot accept a front-end now, will try again: %s",
		       strerror(-error));
	rh_watch_timer(device, ACCEPT_BACK_OFF_MSEC);
}

static void listener_ready(struct rh_device *device)
{
	int error;
	int fd;

	if (device->state != RH_DEVICE_IDLE || device->listen_fd < 0)
		return;
	error = rh_listener_accept(device->listen_fd, &fd);
	switch (error) {
	case 0:
		rh_session_begin(device, fd);
		return;
	case -EAGAIN:
		return;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
		back_off(device, error);
		return;
	}
	rh_log(RH_LOG_ERROR, device->tag, "the listening socket is lost: %s",
	       strerror(-error));
	device->listen_error = error;
	close_listener(device);
}

static void timer_expired(struct rh_device *device)
{
	uint64_t nr_expired;

	/* It may have been set anew since the event was taken. */
	if (read(device->timer_fd, &nr_expired, sizeof(nr_expired)) < 0)
		return;
	rh_watch_timer(device, 0);
	if (device->state != RH_DEVICE_READING || !device->incoming.nr_bytes)
		return; /* it was accept(2) that waited */
	if (device->pause == RH_PAUSE_OFF)
		rh_session_close(device, -ETIMEDOUT);
	else
		rh_session_arm_timeout(device);
}

static void channel_ready(struct rh_device *device)
{
	if (!device->is_held)
		rh_channel_readable(&device->session.outbox.channel);
}

static void settle_session(struct rh_device *device)
{
	if (device->state == RH_DEVICE_QUIESCING &&
	    !rh_session_awaits_transfer(device)) {
		/* The driver hears of the last requests before the answer. */
		rh_inband_collect(device);
		rh_outbox_send(&device->session.outbox);
		rh_session_finish_message(device);
	}
	/* which may have ended it, and so stopped queues */
	rh_take_back_queues(device);
	if (device->state == RH_DEVICE_CLOSING &&
	    !rh_any_queue_stopping(device))
		rh_session_end(device);
}

static void settle_pause(struct rh_device *device)
{
	const struct rh_device_config *config = &device->config;

	if (device->pause != RH_PAUSE_WAITING || rh_any_queue_stopping(device))
		return;
	device->pause = RH_PAUSE_ON;
	if (config->ops->paused)
		config->ops->paused(config->opaque);
}

static uint32_t wanted_of_connection(const struct rh_device *device)
{
	if (device->is_held)
		return 0;
	if (rh_session_awaits_transfer(device))
		return EPOLLRDHUP;
	if (device->state != RH_DEVICE_READING)
		return 0;
	if (!rh_outgoing_empty(&device->outgoing))
		return EPOLLOUT;
	return device->pause == RH_PAUSE_OFF ? EPOLLIN : 0;
}

/* A session that cannot be heard ends, in the next run. */
static void watch_connection(struct rh_device *device)
{
	int error = rh_watch_connection(device, wanted_of_connection(device));

	if (!error)
		return;
	rh_session_close(device, error);
	rh_eventfd_signal(device->wake_fd);
}

static bool may_accept(const struct rh_device *device)
{
	return device->state == RH_DEVICE_IDLE &&
	       device->pause == RH_PAUSE_OFF && !device->timer_armed;
}

static void watch_listener(struct rh_device *device)
{
	int error = rh_watch_listener(device, may_accept(device));

	if (error)
		back_off(device, error);
}

/* Do all that the state allows, then watch what it waits for. */
static void settle(struct rh_device *device)
{
	rh_take_back_queues(device);
	if (!rh_any_queue_stopping(device))
		settle_session(device);
	settle_pause(device);
	rh_tell_of_broken_queues(device);
	rh_inband_settle(device);
	if (device->state == RH_DEVICE_READING && device->pause == RH_PAUSE_OFF)
		rh_start_ready_queues(device);

	watch_connection(device);
	rh_outbox_send(&device->session.outbox);
	rh_watch_channel(device, !device->is_held);
	rh_watch_transfer(device, true);
	watch_listener(device);
}

static void dispatch(struct rh_device *device, uint32_t data)
{
	unsigned int index = data >> RH_SOURCE_BITS;

	switch ((enum rh_source)(data & RH_SOURCE_MASK)) {
	case RH_SOURCE_WAKE:
		rh_eventfd_drain(device->wake_fd);
		rh_note_failures(&device->session);
		if (rh_session_state_lost(&device->session))
			rh_session_close(device, -EFAULT);
		break;
	case RH_SOURCE_TIMER:
		timer_expired(device);
		break;
	case RH_SOURCE_LISTENER:
		listener_ready(device);
		break;
	case RH_SOURCE_CONNECTION:
		connection_ready(device);
		break;
	case RH_SOURCE_CHANNEL:
		channel_ready(device);
		break;
	case RH_SOURCE_TRANSFER:
		rh_watch_transfer(device, false);
		rh_continue_transfer(&device->session);
		break;
	case RH_SOURCE_INBAND_CALL:
		rh_inband_ready(device, RH_INBAND_CALL, index);
		break;
	case RH_SOURCE_INBAND_ERR:
		rh_inband_ready(device, RH_INBAND_ERR, index);
		break;
	}
}

int rh_device_run(struct rh_device *device)
{
	struct epoll_event events[EVENTS_A_RUN];
	int nr_events;

	/* An operation of the device: what is being done is to end first. */
	if (atomic_load(&device->busy) == &thread_token)
		return device->listen_error;
	rh_device_enter(device);
	nr_events = epoll_wait(device->epoll_fd, events, EVENTS_A_RUN, 0);
	for (int i = 0; i < nr_events; i++)
		dispatch(device, events[i].data.u32);
	rh_device_leave(device);
	return device->listen_error;
}

int rh_device_listen(struct rh_device *device, int fd)
{
	int error = rh_fd_set_nonblocking(fd);

	if (error)
		return error;
	if (device->listen_fd >= 0 || device->state != RH_DEVICE_IDLE)
		return -EBUSY;
	rh_device_enter(device);
	device->listen_fd = fd;
	error = rh_watch_listener(device, may_accept(device));
	if (error)
		device->listen_fd = -1;
	rh_device_leave(device);
	return error;
}

int rh_device_connect(struct rh_device *device, int fd)
{
	int error = rh_fd_set_nonblocking(fd);

	if (error)
		return error;
	if (device->listen_fd >= 0 || device->state != RH_DEVICE_IDLE)
		return -EBUSY;
	rh_device_enter(device);
	device->connection = fd;
	error = rh_watch_connection(device, EPOLLIN);
	if (error)
		device->connection = -1;
	else
		rh_session_begin(device, fd);
	rh_device_leave(device);
	return error;
}

void rh_device_stop(struct rh_device *device)
{
	rh_device_enter(device);
	close_listener(device);
	rh_session_close(device, 0);
	rh_device_leave(device);
}

bool rh_device_finished(const struct rh_device *device)
{
	return device->state == RH_DEVICE_IDLE && device->listen_fd < 0;
}

void rh_device_pause(struct rh_device *device)
{
	rh_device_enter(device);
	if (device->pause == RH_PAUSE_OFF) {
		device->pause = RH_PAUSE_WAITING;
		rh_stop_all_queues(device);
	}
	rh_device_leave(device);
}

void rh_device_resume(struct rh_device *device)
{
	rh_device_enter(device);
	rh_device_hold(device, false);
	device->pause = RH_PAUSE_OFF;
	rh_device_leave(device);
}

int rh_device_config_changed(struct rh_device *device)
{
	int outcome;

	rh_device_enter(device);
	outcome = rh_outbox_config_changed(&device->session.outbox);
	rh_device_leave(device);
	return outcome;
}

static int tell_object(struct rh_device *device,
		       enum vhost_user_backend_request request,
		       const uint8_t uuid[RH_UUID_BYTES])
{
	int error;

	rh_device_enter(device);
	error = rh_outbox_object(&device->session.outbox, request, uuid);
	rh_device_leave(device);
	return error;
}

int rh_device_object_add(struct rh_device *device,
			 const uint8_t uuid[RH_UUID_BYTES])
{
	return tell_object(device, VHOST_USER_BACKEND_SHARED_OBJECT_ADD, uuid);
}

int rh_device_object_remove(struct rh_device *device,
			    const uint8_t uuid[RH_UUID_BYTES])
{
	return tell_object(device, VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE,
			   uuid);
}

int rh_device_object_lookup(struct rh_device *device,
			    const uint8_t uuid[RH_UUID_BYTES])
{
	if (!device->config.ops->object_found)
		return -EINVAL;
	return tell_object(device, VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP,
			   uuid);
}

int rh_device_fd(const struct rh_device *device)
{
	return device->epoll_fd;
}

static bool config_valid(const struct rh_device_config *config)
{
	const struct rh_device_ops *ops = config->ops;

	return ops && ops->queue_start && ops->queue_stop &&
	       config->nr_queues >= 1 && config->nr_queues <= RH_MAX_QUEUES &&
	       config->max_queue_size <= RH_MAX_QUEUE_SIZE &&
	       (!config->max_queue_size ||
		is_power_of_2(config->max_queue_size)) &&
	       config->config_bytes <= RH_MAX_CONFIG &&
	       (!config->config_bytes || ops->config_get) &&
	       !ops->state_save == !ops->state_load;
}

static int create_queues(struct rh_device *device)
{
	const struct rh_device_config *config = &device->config;
	int error;

	device->queues = calloc(config->nr_queues, sizeof(*device->queues));
	if (!device->queues)
		return -ENOMEM;
	for (unsigned int i = 0; i < config->nr_queues; i++)
		rh_queue_init(&device->queues[i], device->tag, i,
			      device->wake_fd,
			      config->flags & RH_DEVICE_BAD_CHAINS);
	error = rh_session_state_init(&device->session, config, device->queues,
				      device->tag);
	if (!error)
		error = rh_inband_init(device);
	if (!error)
		device->session.empty->wake_fd = device->wake_fd;
	if (!error)
		device->session.empty->keeps_files =
			config->flags & RH_DEVICE_HAND_OVER;
	return error;
}

int rh_device_create(const struct rh_device_config *config,
		     struct rh_device **ret)
{
	struct rh_device *device;
	int error;

	if (!config_valid(config))
		return -EINVAL;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	snprintf(device->tag, sizeof(device->tag), "%s",
		 config->name ? config->name : "device");
	device->config = *config;
	device->config.name = device->tag;
	if (!config->max_queue_size)
		device->config.max_queue_size = DEFAULT_QUEUE_SIZE;
	device->listen_fd = -1;
	device->connection = -1;
	device->handover_wait_msec = HANDOVER_WAIT_MSEC;
	rh_incoming_init(&device->incoming);
	rh_outgoing_init(&device->outgoing);
	error = rh_watch_init(device);
	if (!error)
		error = create_queues(device);
	if (error) {
		rh_device_destroy(device);
		return error;
	}
	*ret = device;
	return 0;
}

void rh_device_destroy(struct rh_device *device)
{
	if (!device)
		return;
	assert(!device->depth && rh_device_finished(device));
	if (device->queues) {
		rh_session_state_deinit(&device->session);
		for (unsigned int i = 0; i < device->config.nr_queues; i++)
			rh_queue_deinit(&device->queues[i]);
	}
	rh_inband_deinit(device);
	free(device->queues);
	rh_watch_deinit(device);
	free(device);
}

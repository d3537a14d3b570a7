/* SPDX-License-Identifier: MIT */
/*
 * session - one front-end from its connection to its end, message by message
 *
 * A message is received whole, checked against its row, waits until the
 * queues that it concerns are quiet, is handled, and answered: exactly one
 * answer where one is due.
 */
#include <errno.h>
#include <string.h>

#include "lib/listener.h"
#include "lib/quiesce.h"
#include "lib/session.h"
#include "lib/watch.h"

#define MESSAGE_TIMEOUT_MSEC 5000

static const char *why_ended(int error)
{
	switch (error) {
	case -EPROTO:
		return "it sent what the protocol does not allow";
	case -ECONNRESET:
		return "it closed the connection inside a message";
	case -ETIMEDOUT:
		return "it stopped inside a message";
	case -EFAULT:
		return "it took back memory that it had shared, or shared more "
		       "than there is";
	case -ENOBUFS:
		return "it does not read its answers";
	case -ENOSPC:
		return "this user can watch no more files, "
		       "/proc/sys/fs/epoll/max_user_watches has the limit";
	}
	return strerror(-error);
}

void rh_session_close(struct rh_device *device, int error)
{
	if (device->state == RH_DEVICE_IDLE ||
	    device->state == RH_DEVICE_CLOSING)
		return;
	if (error)
		rh_log_limited(&device->session_limit, RH_LOG_WARNING,
			       device->tag, "front-end's session is closed: %s",
			       why_ended(error));
	device->close_error = error;
	device->state = RH_DEVICE_CLOSING;
	rh_stop_all_queues(device);
	rh_postcopy_abandon(&device->session.postcopy, device->session.map);
}

void rh_session_send(struct rh_device *device)
{
	int outcome = rh_socket_send(device->connection, &device->outgoing);

	if (outcome < 0)
		rh_session_close(device, outcome);
}

/* fd: taken; -1 for none. */
static void reply(struct rh_device *device, const void *payload, uint32_t size,
		  int fd)
{
	const struct vhost_user_header header = {
		.request = device->incoming.header.request,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
		.size = size,
	};

	if (rh_outgoing_append(&device->outgoing, &header, payload, fd) < 0)
		rh_session_close(device, -ENOBUFS);
	else
		rh_session_send(device);
}

static bool wants_ack(const struct rh_device *device)
{
	const uint64_t reply_ack = FEATURE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);

	return (device->incoming.header.flags & VHOST_USER_FLAG_NEED_REPLY) &&
	       (device->session.session.protocol_features & reply_ack);
}

static void acknowledge(struct rh_device *device, uint64_t failed)
{
	if (wants_ack(device))
		reply(device, &failed, sizeof(failed), -1);
}

/* A front-end that cannot be told must not go on as if it had succeeded. */
static void refuse_message(struct rh_device *device, const char *why)
{
	rh_log_limited(&device->limit, RH_LOG_WARNING, device->tag,
		       "front-end's message %u (%s) is refused: %s",
		       device->incoming.header.request,
		       rh_message_name(device->incoming.header.request), why);
	if (wants_ack(device))
		acknowledge(device, 1);
	else
		rh_session_close(device, -EPROTO);
}

bool rh_session_awaits_transfer(const struct rh_device *device)
{
	return device->state == RH_DEVICE_QUIESCING &&
	       device->incoming.header.request ==
		       VHOST_USER_CHECK_DEVICE_STATE &&
	       rh_transfer_busy(&device->session.transfer);
}

/*
 * A ring that a message starts has looked at its memory and its record before
 * the answer, after which the driver may write into it.
 */
void rh_session_finish_message(struct rh_device *device)
{
	uint32_t request = device->incoming.header.request;
	const struct rh_message_row *row = rh_message_row(request);
	struct rh_answer answer = { .fd = -1 };
	const char *why;
	int result;

	device->state = RH_DEVICE_READING;
	/* It may replace these fds, which must not be watched then. */
	rh_watch_channel(device, false);
	rh_watch_transfer(device, false);
	result = rh_handle(&device->session, &device->incoming, &answer, &why);
	if (row->quiet == RH_QUIET_QUEUE && device->pause == RH_PAUSE_OFF)
		rh_start_ready_queues(device);
	if (result < 0)
		refuse_message(device, why);
	else if (row->reply == RH_REPLY_DATA || answer.size)
		reply(device, &answer.u64, answer.size, answer.fd);
	else
		acknowledge(device, 0);
	rh_incoming_reset(&device->incoming);
}

/* Without a record, what is not finished would be lost. */
static void stop_one(struct rh_device *device, struct rh_queue *queue)
{
	const uint64_t bit =
		FEATURE_BIT(VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT);

	if (device->incoming.header.request == VHOST_USER_GET_VRING_BASE &&
	    (device->session.session.protocol_features & bit) &&
	    queue->state == RH_QUEUE_RUNNING && !queue->begins_late &&
	    queue->record)
		atomic_store(&queue->may_abandon, true);
	rh_stop_queue(device, queue);
}

static void quiesce_to_log(struct rh_device *device)
{
	for (unsigned int i = 0; i < device->config.nr_queues; i++) {
		if (rh_switches_log(&device->session, &device->incoming,
				    &device->queues[i]))
			rh_stop_queue(device, &device->queues[i]);
	}
}

static void quiesce_for_message(struct rh_device *device)
{
	enum rh_quiet quiet = rh_message_quiet(&device->incoming);

	if (quiet == RH_QUIET_ALL)
		rh_stop_all_queues(device);
	else if (quiet == RH_QUIET_QUEUE)
		stop_one(device, &device->queues[rh_message_queue_index(
					 &device->incoming)]);
	else if (quiet == RH_QUIET_TO_LOG)
		quiesce_to_log(device);
	rh_take_back_queues(device);
}

/*
 * Messages may follow each other faster than queues are started. One that is
 * asked where it stands has to have begun, if it could: the ring, or the record
 * of an earlier back-end, may have moved it from where the front-end says.
 */
static void begin_before_the_question(struct rh_device *device)
{
	if (device->incoming.header.request == VHOST_USER_GET_VRING_BASE)
		rh_start_ready_queues(device);
}

static void begin_message(struct rh_device *device)
{
	const struct vhost_user_header *header = &device->incoming.header;
	const char *why;

	rh_watch_timer(device, 0);
	rh_log(RH_LOG_DEBUG, device->tag, "%s, %u bytes, %u fds",
	       rh_message_name(header->request), header->size,
	       device->incoming.nr_fds);
	if (rh_message_check(&device->incoming, &device->session.session,
			     &why) < 0) {
		refuse_message(device, why);
		rh_incoming_reset(&device->incoming);
		return;
	}
	begin_before_the_question(device);
	quiesce_for_message(device);
	device->state = RH_DEVICE_QUIESCING;
	if (!rh_any_queue_stopping(device) &&
	    !rh_session_awaits_transfer(device))
		rh_session_finish_message(device);
}

void rh_session_arm_timeout(struct rh_device *device)
{
	rh_watch_timer(device, MESSAGE_TIMEOUT_MSEC);
}

bool rh_session_receive(struct rh_device *device)
{
	int outcome = rh_socket_receive(device->connection, &device->incoming,
					rh_message_max_payload);

	if (outcome > 0) {
		begin_message(device);
		return true;
	}
	if (outcome < 0)
		rh_session_close(device, outcome == -ENODATA ? 0 : outcome);
	else if (device->incoming.nr_bytes && !device->timer_armed)
		rh_session_arm_timeout(device);
	return false;
}

void rh_session_begin(struct rh_device *device, int fd)
{
	const struct rh_device_config *config = &device->config;
	pid_t pid = rh_listener_peer_pid(fd);

	device->connection = fd;
	device->close_error = 0;
	device->state = RH_DEVICE_READING;
	rh_log_limited(&device->session_limit, RH_LOG_INFO, device->tag,
		       "front-end connected (pid %d)", pid);
	if (config->ops->connected)
		config->ops->connected(config->opaque, pid);
}

void rh_session_end(struct rh_device *device)
{
	const struct rh_device_config *config = &device->config;

	rh_watch_channel(device, false);
	rh_watch_transfer(device, false);
	rh_watch_connection(device, 0);
	rh_watch_timer(device, 0);
	rh_socket_close(&device->connection);
	rh_incoming_reset(&device->incoming);
	rh_outgoing_reset(&device->outgoing);
	rh_session_state_reset(&device->session);
	device->state = RH_DEVICE_IDLE;
	rh_log_limited(&device->session_limit, RH_LOG_INFO, device->tag,
		       "front-end disconnected");
	if (config->ops->disconnected)
		config->ops->disconnected(config->opaque, device->close_error);
}

/* SPDX-License-Identifier: MIT */
/*
 * handover_out - tell a session to whoever takes it over
 *
 * Each part is told in the order in which its handler can understand it:
 * features, the log, which may be too small for memory that came later, memory,
 * what needs it, queues, what is half done.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <ringhost/handover.h>

#include "common/fd.h"
#include "common/nsec.h"
#include "lib/handover.h"
#include "lib/inband.h"
#include "lib/iotlb.h"
#include "lib/quiesce.h"
#include "lib/session.h"
#include "lib/watch.h"

#define PROTOCOL(feature) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##feature)

/* How often it is tried again when too many fds are on their way. */
#define RETRY_MSEC 2

/* Where to, and the first thing that went wrong. */
struct teller {
	struct rh_device *device;
	int fd;
	int error;
};

/* Returns 0 when another try may help, or -errno. */
static int wait_to_send(const struct teller *teller, int error, uint64_t end)
{
	struct pollfd pollfd = { .fd = teller->fd, .events = POLLOUT };

	if (error != -EAGAIN && error != -ETOOMANYREFS)
		return error;
	if (nsec_now() >= end)
		return -ETIMEDOUT;
	if (error == -ETOOMANYREFS)
		poll(NULL, 0, RETRY_MSEC);
	else
		poll(&pollfd, 1, (int)teller->device->handover_wait_msec);
	return 0;
}

static void tell_with(struct teller *teller, uint32_t request,
		      struct iovec payload, const int *fds, unsigned int nr_fds)
{
	const struct vhost_user_header header = {
		.request = request,
		.flags = VHOST_USER_VERSION,
		.size = (uint32_t)payload.iov_len,
	};
	uint64_t end =
		nsec_now() + teller->device->handover_wait_msec * NSEC_PER_MSEC;
	int outcome;

	while (!teller->error) {
		outcome = rh_socket_put_message(teller->fd, &header,
						payload.iov_base, fds, nr_fds);
		if (!outcome)
			return;
		teller->error = wait_to_send(teller, outcome, end);
	}
}

static void tell(struct teller *teller, uint32_t request, const void *payload,
		 size_t bytes)
{
	struct iovec iov = { .iov_base = (void *)payload, .iov_len = bytes };

	tell_with(teller, request, iov, NULL, 0);
}

/* fd: -1 is an error, that of a file that was not kept. */
static void tell_file(struct teller *teller, uint32_t request,
		      const void *payload, size_t bytes, int fd)
{
	struct iovec iov = { .iov_base = (void *)payload, .iov_len = bytes };

	if (fd < 0 && !teller->error)
		teller->error = -EOPNOTSUPP;
	tell_with(teller, request, iov, &fd, 1);
}

static void tell_u64(struct teller *teller, uint32_t request, uint64_t value)
{
	tell(teller, request, &value, sizeof(value));
}

static void tell_begin(struct teller *teller)
{
	const struct rh_device *device = teller->device;
	struct rh_handover_begin begin = {
		.version = RH_HANDOVER_VERSION,
		.nr_queues = device->config.nr_queues,
		.has_connection = device->state != RH_DEVICE_IDLE,
		.has_listener = device->listen_fd >= 0,
	};
	struct iovec iov = { .iov_base = &begin, .iov_len = sizeof(begin) };
	unsigned int nr_fds = 0;
	int fds[2];

	if (begin.has_connection)
		fds[nr_fds++] = device->connection;
	if (begin.has_listener)
		fds[nr_fds++] = device->listen_fd;
	tell_with(teller, RH_HANDOVER_BEGIN, iov, fds, nr_fds);
}

static void tell_features(struct teller *teller)
{
	const struct rh_session *session = &teller->device->session.session;
	const struct rh_channel *channel =
		&teller->device->session.outbox.channel;

	tell_u64(teller, VHOST_USER_SET_PROTOCOL_FEATURES,
		 session->protocol_features);
	if (session->features)
		tell_u64(teller, VHOST_USER_SET_FEATURES, session->features);
	if (channel->state != RH_CHANNEL_CLOSED)
		tell_file(teller, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0,
			  channel->fd);
}

static int describe(const struct rh_region *region,
		    struct vhost_user_region *ret)
{
	ret->guest_addr = region->guest_start;
	ret->size_bytes = region->guest_end - region->guest_start;
	ret->user_addr = region->frontend_start;
	return rh_region_file(region, &ret->mmap_offset);
}

static void tell_table(struct teller *teller, const struct rh_map *map)
{
	struct vhost_user_memory table = { .nr_regions = map->nr_regions };
	struct iovec iov = { .iov_base = &table };
	int fds[VHOST_USER_MAX_REGIONS];

	for (unsigned int i = 0; i < map->nr_regions; i++) {
		fds[i] = describe(&map->regions[i], &table.regions[i]);
		if (fds[i] < 0 && !teller->error)
			teller->error = -EOPNOTSUPP;
	}
	iov.iov_len = offsetof(struct vhost_user_memory, regions) +
		      map->nr_regions * sizeof(table.regions[0]);
	tell_with(teller, VHOST_USER_SET_MEM_TABLE, iov, fds, map->nr_regions);
}

static void tell_regions(struct teller *teller, const struct rh_map *map)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		struct vhost_user_single_region single = { 0 };
		int fd = describe(&map->regions[i], &single.region);

		tell_file(teller, VHOST_USER_ADD_MEM_REG, &single,
			  sizeof(single), fd);
	}
}

/* More than a table holds have come one by one. */
static void tell_memory(struct teller *teller)
{
	const struct rh_map *map = teller->device->session.map;

	if (map->nr_regions > VHOST_USER_MAX_REGIONS)
		tell_regions(teller, map);
	else if (map->nr_regions)
		tell_table(teller, map);
}

static void tell_iotlb(struct teller *teller)
{
	const struct rh_session_state *state = &teller->device->session;
	struct vhost_user_iotlb update;

	for (unsigned int i = 0;
	     rh_iotlb_entry(state->iotlb, state->map, i, &update); i++)
		tell(teller, VHOST_USER_IOTLB_MSG, &update, sizeof(update));
}

static void tell_log(struct teller *teller)
{
	const struct rh_dirty_log *log = &teller->device->session.log;
	struct vhost_user_log wire = { .size_bytes = log->bitmap.bytes };
	int fd;

	if (rh_dirty_log_exists(log)) {
		fd = rh_range_file(&log->bitmap, &wire.mmap_offset);
		tell_file(teller, VHOST_USER_SET_LOG_BASE, &wire, sizeof(wire),
			  fd);
	}
	if (log->event_fd >= 0)
		tell_file(teller, VHOST_USER_SET_LOG_FD, NULL, 0,
			  log->event_fd);
}

static void tell_inflight(struct teller *teller)
{
	const struct rh_inflight *inflight = &teller->device->session.inflight;
	struct vhost_user_inflight wire = {
		.mmap_bytes = inflight->range.bytes,
		.nr_queues = inflight->nr_queues,
		.queue_size = inflight->queue_size,
	};
	int fd;

	if (!inflight->nr_queues)
		return;
	fd = rh_range_file(&inflight->range, &wire.mmap_offset);
	tell_file(teller, RH_HANDOVER_INFLIGHT, &wire, sizeof(wire), fd);
}

static uint32_t flag_if(bool is_set, uint32_t flag)
{
	return is_set ? flag : 0;
}

static void tell_session(struct teller *teller, size_t nr_state_bytes)
{
	const struct rh_session_state *state = &teller->device->session;
	const struct rh_outbox *outbox = &state->outbox;
	const struct rh_channel *channel = &outbox->channel;
	const struct rh_transfer *transfer = &state->transfer;
	bool waits = channel->state == RH_CHANNEL_WAITING;
	const struct rh_handover_session session = {
		.flags = flag_if(state->status.needs_reset,
				 RH_SESSION_NEEDS_RESET) |
			 flag_if(state->status.features_refused,
				 RH_SESSION_FEATURES_REFUSED) |
			 flag_if(state->inflight.has_run, RH_SESSION_HAS_RUN) |
			 flag_if(outbox->config_changed,
				 RH_SESSION_CONFIG_CHANGED) |
			 flag_if(waits, RH_SESSION_ASKED) |
			 flag_if(channel->brings_fd, RH_SESSION_BRINGS_FD) |
			 flag_if(transfer->state == RH_TRANSFER_ENDED,
				 RH_SESSION_TRANSFERRED),
		.asked = channel->asked,
		.asked_queue = outbox->told ? outbox->told->index : 0,
		.nr_state_bytes = (uint32_t)nr_state_bytes,
		.transfer_result = transfer->result,
	};

	if (state->status.byte)
		tell_u64(teller, VHOST_USER_SET_STATUS, state->status.byte);
	tell(teller, RH_HANDOVER_SESSION, &session, sizeof(session));
}

/* For SET_VRING_KICK, _CALL and _ERR. fd: -1 for none. */
static void tell_vring_fd(struct teller *teller, uint32_t request,
			  uint32_t index, int fd)
{
	uint64_t value = index | (fd < 0 ? VHOST_USER_VRING_NOFD : 0);
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };

	tell_with(teller, request, iov, &fd, fd < 0 ? 0 : 1);
}

static void tell_ring(struct teller *teller, const struct rh_queue *queue)
{
	const struct vhost_user_vring_addr addr = {
		.index = queue->index,
		.flags = flag_if(queue->log_used, VHOST_VRING_F_LOG),
		.desc_user_addr = queue->desc_addr.value,
		.used_user_addr = queue->used_addr.value,
		.avail_user_addr = queue->avail_addr.value,
		.log_guest_addr = queue->log_addr.value,
	};

	if (queue->has_addr)
		tell(teller, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
	if (queue->has_call)
		tell_vring_fd(teller, VHOST_USER_SET_VRING_CALL, queue->index,
			      atomic_load(&queue->call.number));
	if (queue->has_err)
		tell_vring_fd(teller, VHOST_USER_SET_VRING_ERR, queue->index,
			      atomic_load(&queue->err.number));
	if (queue->has_kick)
		tell_vring_fd(teller, VHOST_USER_SET_VRING_KICK, queue->index,
			      queue->kick_fd);
}

/* One that waits for an address of its ring asks for it anew. */
static void tell_queue(struct teller *teller, const struct rh_queue *queue)
{
	const struct rh_handover_queue wire = {
		.index = queue->index,
		.flags = flag_if(queue->has_base, RH_QUEUE_HAS_BASE) |
			 flag_if(queue->has_last_base, RH_QUEUE_HAS_LAST_BASE) |
			 flag_if(queue->enabled, RH_QUEUE_ENABLED) |
			 flag_if(queue->broken, RH_QUEUE_BROKEN) |
			 flag_if(queue->hold == RH_HOLD_UNRESOLVED,
				 RH_QUEUE_UNRESOLVED) |
			 flag_if(queue->hold == RH_HOLD_BROKEN,
				 RH_QUEUE_HELD_BROKEN) |
			 flag_if(queue->is_settled, RH_QUEUE_SETTLED) |
			 flag_if(queue->tell_call, RH_QUEUE_TELL_CALL) |
			 flag_if(queue->tell_err, RH_QUEUE_TELL_ERR),
		.size = queue->size,
		.base = queue->base,
		.last_base = queue->last_base,
	};

	tell_ring(teller, queue);
	tell(teller, RH_HANDOVER_QUEUE, &wire, sizeof(wire));
}

static void tell_half(struct teller *teller, const struct rh_incoming *incoming,
		      bool of_channel)
{
	struct rh_handover_half half = {
		.of_channel = of_channel,
		.nr_bytes = (uint32_t)incoming->nr_bytes,
		.header = incoming->header,
	};
	struct iovec iov = { .iov_base = &half, .iov_len = sizeof(half) };

	if (!incoming->nr_bytes)
		return;
	tell_with(teller, RH_HANDOVER_HALF_HEADER, iov, incoming->fds,
		  incoming->nr_fds);
	if (incoming->nr_bytes > sizeof(half.header))
		tell(teller, RH_HANDOVER_HALF_PAYLOAD, incoming->payload,
		     incoming->nr_bytes - sizeof(half.header));
}

static void tell_unsent(struct teller *teller)
{
	const struct rh_outgoing *outgoing = &teller->device->outgoing;

	if (rh_outgoing_empty(outgoing))
		return;
	tell(teller, RH_HANDOVER_UNSENT, outgoing->bytes + outgoing->begin,
	     outgoing->end - outgoing->begin);
	if (outgoing->fd >= 0) {
		uint64_t at = outgoing->fd_at - outgoing->begin;

		tell_file(teller, RH_HANDOVER_UNSENT_FD, &at, sizeof(at),
			  outgoing->fd);
	}
}

/* Whoever looks one up is here, and hears that it has failed. */
static void tell_objects(struct teller *teller)
{
	const struct rh_objects *objects =
		&teller->device->session.outbox.objects;
	const struct rh_object_message *waiting;

	for (unsigned int i = 0; (waiting = rh_objects_waiting(objects, i));
	     i++) {
		const struct rh_handover_object wire = { waiting->request,
							 waiting->shared };

		if (wire.request != VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP)
			tell(teller, RH_HANDOVER_OBJECT, &wire, sizeof(wire));
	}
}

static void tell_state(struct teller *teller, const uint8_t *data, size_t bytes)
{
	for (size_t done = 0; done < bytes; done += RH_MAX_PAYLOAD_BYTES)
		tell(teller, RH_HANDOVER_STATE, data + done,
		     MIN(bytes - done, (size_t)RH_MAX_PAYLOAD_BYTES));
}

static void tell_all(struct teller *teller, const void *state_data,
		     size_t nr_state_bytes)
{
	struct rh_device *device = teller->device;

	tell_features(teller);
	tell_log(teller);
	tell_memory(teller);
	tell_iotlb(teller);
	tell_inflight(teller);
	tell_session(teller, nr_state_bytes);
	for (unsigned int i = 0; i < device->config.nr_queues; i++)
		tell_queue(teller, &device->queues[i]);
	tell_half(teller, &device->incoming, false);
	tell_half(teller, &device->session.outbox.channel.answer, true);
	tell_unsent(teller);
	tell_objects(teller);
	tell_state(teller, state_data, nr_state_bytes);
}

static bool may_go(const struct rh_device *device)
{
	return device->pause == RH_PAUSE_ON &&
	       (device->state == RH_DEVICE_IDLE ||
		device->state == RH_DEVICE_READING) &&
	       device->session.postcopy.phase == RH_POSTCOPY_OFF &&
	       !rh_transfer_busy(&device->session.transfer);
}

static int hand_over(struct rh_device *device, int fd)
{
	const struct rh_device_config *config = &device->config;
	struct teller teller = { .device = device, .fd = fd };
	size_t nr_state_bytes = 0;
	void *state_data = NULL;
	int error = 0;

	if (!may_go(device))
		return -EBUSY;
	/* What queues left behind when they stopped */
	rh_inband_collect(device);
	rh_note_failures(&device->session);
	if (device->state != RH_DEVICE_IDLE && config->ops->state_save)
		error = config->ops->state_save(config->opaque, &state_data,
						&nr_state_bytes);
	if (error)
		return error;
	if (nr_state_bytes > RH_MAX_STATE_BYTES)
		teller.error = -EMSGSIZE;
	tell_begin(&teller);
	if (device->state != RH_DEVICE_IDLE)
		tell_all(&teller, state_data, nr_state_bytes);
	tell(&teller, RH_HANDOVER_END, NULL, 0);
	free(state_data);
	if (!teller.error)
		rh_device_hold(device, true);
	return teller.error;
}

int rh_device_hand_over(struct rh_device *device, int fd)
{
	int error;

	rh_device_enter(device);
	error = hand_over(device, fd);
	rh_device_leave(device);
	return error;
}

/* Nothing is shut down: what is closed here is one of two. */
static void let_go(struct rh_device *device)
{
	rh_watch_channel(device, false);
	rh_watch_transfer(device, false);
	rh_watch_connection(device, 0);
	rh_watch_timer(device, 0);
	rh_fd_close(&device->connection);
	rh_outbox_let_go(&device->session.outbox);
	rh_incoming_reset(&device->incoming);
	rh_outgoing_reset(&device->outgoing);
	rh_session_state_reset(&device->session);
	device->state = RH_DEVICE_IDLE;
	rh_log(RH_LOG_INFO, device->tag,
	       "the front-end's session goes on elsewhere");
}

void rh_device_let_go(struct rh_device *device)
{
	assert(device->pause == RH_PAUSE_ON);
	assert(!rh_any_queue_stopping(device));
	rh_device_enter(device);
	rh_watch_listener(device, false);
	rh_fd_close(&device->listen_fd);
	if (device->state != RH_DEVICE_IDLE)
		let_go(device);
	rh_device_hold(device, false);
	rh_device_leave(device);
}

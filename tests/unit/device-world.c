/* SPDX-License-Identifier: MIT */
/* device-world - a device, a socketpair as its front-end, what it called */
#include <stdio.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-world.h"

static int queue_start(void *opaque, struct rh_queue *queue)
{
	struct world *world = opaque;

	(void)queue;
	world->nr_started++;
	if (world->on_start)
		world->on_start(world);
	return 0;
}

static void queue_stop(void *opaque, struct rh_queue *queue)
{
	struct world *world = opaque;

	world->nr_stop_asked++;
	if (world->slow)
		world->stopping[rh_queue_index(queue)] = queue;
	else
		rh_queue_stopped(queue);
}

static int config_get(void *opaque, uint32_t offset, void *data, uint32_t size)
{
	struct world *world = opaque;

	memcpy(data, world->config + offset, size);
	return 0;
}

/* Only byte 4 can be written. */
static int config_set(void *opaque, uint32_t offset, const void *data,
		      uint32_t size)
{
	struct world *world = opaque;

	if (offset != 4 || size != 1)
		return -EINVAL;
	memcpy(world->config + offset, data, size);
	return 0;
}

static void features_set(void *opaque, uint64_t features)
{
	struct world *world = opaque;

	world->features = features;
}

static void reset(void *opaque)
{
	struct world *world = opaque;

	world->nr_resets++;
	if (world->on_reset)
		world->on_reset(world);
}

static void connected(void *opaque, pid_t pid)
{
	struct world *world = opaque;

	world->nr_connected++;
	world->peer = pid;
}

static void disconnected(void *opaque, int error)
{
	struct world *world = opaque;

	world->nr_disconnected++;
	world->last_error = error;
	if (world->on_disconnected)
		world->on_disconnected(world);
}

static void queue_broken(void *opaque, struct rh_queue *queue, const char *why)
{
	struct world *world = opaque;

	(void)queue;
	world->nr_broken++;
	world->nr_started_when_broken = world->nr_started;
	snprintf(world->why_broken, sizeof(world->why_broken), "%s", why);
}

static void paused(void *opaque)
{
	struct world *world = opaque;

	world->nr_paused++;
	if (world->on_paused)
		world->on_paused(world);
}

const struct rh_device_ops world_ops = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.config_get = config_get,
	.config_set = config_set,
	.features_set = features_set,
	.reset = reset,
	.connected = connected,
	.disconnected = disconnected,
	.paused = paused,
	.queue_broken = queue_broken,
};

bool world_device_ready(const struct world *world)
{
	struct pollfd pollfd = { rh_device_fd(world->device), POLLIN, 0 };

	return poll(&pollfd, 1, 0) == 1;
}

void world_run(struct world *world)
{
	while (world_device_ready(world))
		assert_int_equal(rh_device_run(world->device), 0);
}

void world_create(struct world *world)
{
	world_create_with(world, &world_ops);
}

void world_create_with(struct world *world, const struct rh_device_ops *ops)
{
	world_create_flags(world, ops, 0);
}

void world_create_flags(struct world *world, const struct rh_device_ops *ops,
			uint32_t flags)
{
	const struct rh_device_config config = {
		.name = "test",
		.ops = ops,
		.opaque = world,
		.features = FEATURE_BIT(5),
		.nr_queues = WORLD_QUEUES,
		.max_queue_size = 256,
		.config_bytes = WORLD_CONFIG_BYTES,
		.flags = flags,
	};

	memset(world, 0, sizeof(*world));
	world->front_end = -1;
	world->memory_fd = rh_memfd_create("memory", WORLD_MEMORY_BYTES);
	assert_int_equal(rh_device_create(&config, &world->device), 0);
}

void world_attach(struct world *world)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	world->front_end = fds[0];
	assert_int_equal(rh_device_connect(world->device, fds[1]), 0);
}

void world_destroy(struct world *world)
{
	rh_fd_close(&world->front_end);
	rh_device_stop(world->device);
	world_run(world);
	assert_true(rh_device_finished(world->device));
	rh_device_destroy(world->device);
	rh_fd_close(&world->memory_fd);
}

static void send_message(struct world *world,
			 const struct vhost_user_header *header,
			 const void *payload, int fd)
{
	struct iovec iov[2] = { { (void *)header, sizeof(*header) },
				{ (void *)payload, header->size } };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(world->front_end, &message, 0),
			 sizeof(*header) + header->size);
}

void world_tell(struct world *world, uint32_t request, const void *payload,
		uint32_t size, int fd)
{
	const struct vhost_user_header header = { request, 1, size };

	send_message(world, &header, payload, fd);
}

int world_take_reply(struct world *world, uint32_t request, void *payload,
		     size_t most)
{
	struct vhost_user_header header;
	ssize_t done =
		recv(world->front_end, &header, sizeof(header), MSG_DONTWAIT);

	if (done != sizeof(header))
		return -1;
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 1 | VHOST_USER_FLAG_REPLY);
	assert_true(header.size <= most);
	if (header.size)
		assert_int_equal(recv(world->front_end, payload, header.size,
				      0),
				 header.size);
	return (int)header.size;
}

static int64_t any_payload(const struct vhost_user_header *header)
{
	(void)header;
	return RH_MAX_PAYLOAD_BYTES;
}

int world_take_reply_fds(struct world *world, struct rh_incoming *incoming)
{
	rh_incoming_init(incoming);
	assert_int_equal(
		rh_socket_receive(world->front_end, incoming, any_payload), 1);
	return (int)incoming->nr_fds;
}

uint64_t world_ask(struct world *world, uint32_t request, const void *payload,
		   uint32_t size, int fd)
{
	const struct vhost_user_header header = {
		request, 1 | VHOST_USER_FLAG_NEED_REPLY, size
	};
	uint64_t failed;

	send_message(world, &header, payload, fd);
	world_run(world);
	assert_int_equal(world_take_reply(world, request, &failed,
					  sizeof(failed)),
			 sizeof(failed));
	return failed;
}

uint64_t world_ask_u64(struct world *world, uint32_t request, uint64_t value)
{
	return world_ask(world, request, &value, sizeof(value), -1);
}

uint64_t world_ask_state(struct world *world, uint32_t request, uint32_t index,
			 uint32_t num)
{
	const struct vhost_user_vring_state vring = { index, num };

	return world_ask(world, request, &vring, sizeof(vring), -1);
}

uint64_t world_get_u64(struct world *world, uint32_t request)
{
	uint64_t value;

	world_tell(world, request, NULL, 0, -1);
	world_run(world);
	assert_int_equal(world_take_reply(world, request, &value,
					  sizeof(value)),
			 sizeof(value));
	return value;
}

/*
 * All that is offered but packed rings, since those of a world are split, and
 * in-band notifications.
 */
void world_negotiate(struct world *world)
{
	uint64_t features = world_get_u64(world, VHOST_USER_GET_FEATURES) &
			    ~FEATURE_BIT(VIRTIO_F_RING_PACKED) &
			    ~FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	uint64_t protocol =
		world_get_u64(world, VHOST_USER_GET_PROTOCOL_FEATURES) &
		~FEATURE_BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);

	world_tell(world, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol,
		   sizeof(protocol), -1);
	assert_int_equal(
		world_ask_u64(world, VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(world_ask(world, VHOST_USER_SET_OWNER, NULL, 0, -1),
			 0);
}

struct vhost_user_single_region world_whole_memory(void)
{
	return (struct vhost_user_single_region){
		.region = { 0, WORLD_MEMORY_BYTES, WORLD_USER_BASE, 0 },
	};
}

void world_share_memory(struct world *world)
{
	struct vhost_user_single_region single = world_whole_memory();

	assert_int_equal(world_ask(world, VHOST_USER_ADD_MEM_REG, &single,
				   sizeof(single), world->memory_fd),
			 0);
}

uint64_t world_set_kick(struct world *world, uint32_t index)
{
	uint64_t value = index;
	int fd = rh_eventfd_create();
	uint64_t failed = world_ask(world, VHOST_USER_SET_VRING_KICK, &value,
				    sizeof(value), fd);

	close(fd);
	return failed;
}

uint64_t world_set_addr(struct world *world, uint32_t index)
{
	const uint64_t base = WORLD_USER_BASE + index * 0x4000;
	const struct vhost_user_vring_addr addr = {
		.index = index,
		.desc_user_addr = base,
		.avail_user_addr = base + 0x1000,
		.used_user_addr = base + 0x2000,
	};

	return world_ask(world, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr),
			 -1);
}

void world_start_queue(struct world *world, uint32_t index)
{
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_NUM, index, 64), 0);
	assert_int_equal(world_set_addr(world, index), 0);
	assert_int_equal(
		world_ask_state(world, VHOST_USER_SET_VRING_BASE, index, 0), 0);
	assert_int_equal(world_set_kick(world, index), 0);
	assert_int_equal(world_ask_state(world, VHOST_USER_SET_VRING_ENABLE,
					 index, 1),
			 0);
}

void world_create_running(struct world *world)
{
	world_create(world);
	world_attach(world);
	world_negotiate(world);
	world_share_memory(world);
	world_start_queue(world, 0);
	assert_int_equal(world->nr_started, 1);
}

void world_give_back(struct world *world)
{
	for (unsigned int i = 0; i < WORLD_QUEUES; i++) {
		if (world->stopping[i])
			rh_queue_stopped(world->stopping[i]);
		world->stopping[i] = NULL;
	}
	world_run(world);
}

void world_let_timer_expire(struct world *world)
{
	const struct itimerspec now = { .it_value.tv_nsec = 1 };
	struct pollfd pollfd = { world->device->timer_fd, POLLIN, 0 };

	assert_true(world->device->timer_armed);
	assert_int_equal(timerfd_settime(pollfd.fd, 0, &now, NULL), 0);
	assert_int_equal(poll(&pollfd, 1, -1), 1);
}

int world_save_nothing(void *opaque, void **data, size_t *bytes)
{
	(void)opaque;
	*data = NULL;
	*bytes = 0;
	return 0;
}

int world_load_anything(void *opaque, const void *data, size_t bytes)
{
	(void)opaque;
	(void)data;
	(void)bytes;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * export - one disk offered on one socket
 *
 * The device's operations are forwarded to the room that knows the answer:
 * virtio_blk for what the guest sees, export_queues.c for what runs where.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <ringhost/handover.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/export_internal.h"
#include "server/sizes.h"

static int config_get(void *opaque, uint32_t offset, void *data, uint32_t size)
{
	struct export *export = opaque;

	return virtio_blk_config_get(export->blk, offset, data, size);
}

static int config_set(void *opaque, uint32_t offset, const void *data,
		      uint32_t size)
{
	struct export *export = opaque;

	return virtio_blk_config_set(export->blk, offset, data, size);
}

static void features_set(void *opaque, uint64_t features)
{
	struct export *export = opaque;

	virtio_blk_features_set(export->blk, features);
}

static void reset(void *opaque)
{
	struct export *export = opaque;

	virtio_blk_reset(export->blk);
}

/* The library has logged how the session ended; this is what it was. */
static void log_session(struct export *export)
{
	const struct blk_counters start = export->session_start;
	struct blk_counters now;

	virtio_blk_counters(export->blk, &now);
	export->session_start = now;
	rh_log_limited(
		&export->log_limit, RH_LOG_INFO, export->name,
		"the session had %llu reads (%s), %llu writes (%s), "
		"%llu flushes, %llu others, %llu errors",
		(unsigned long long)(now.reads - start.reads),
		sizes_format(now.read_bytes - start.read_bytes).text,
		(unsigned long long)(now.writes - start.writes),
		sizes_format(now.written_bytes - start.written_bytes).text,
		(unsigned long long)(now.flushes - start.flushes),
		(unsigned long long)(now.others - start.others),
		(unsigned long long)(now.errors - start.errors));
}

static void set_peer(struct export *export, pid_t pid)
{
	export->peer = pid;
	if (!export->listener)
		return;
	export->listener->ops->peer_changed(export->listener);
	export_report_peer(export);
}

static void connected(void *opaque, pid_t pid)
{
	set_peer(opaque, pid);
}

static void disconnected(void *opaque, int error)
{
	struct export *export = opaque;

	(void)error;
	set_peer(export, -1);
	log_session(export);
	virtio_blk_reset(export->blk);
	export->nr_sessions_ended++;
}

static void queue_broken(void *opaque, struct rh_queue *queue, const char *why)
{
	export_report_broken(opaque, rh_queue_index(queue), why);
}

/* The rings are all that moves; the cache mode begins as the options say. */
static int state_save(void *opaque, void **data, size_t *bytes)
{
	(void)opaque;
	*data = NULL;
	*bytes = 0;
	return 0;
}

static int state_load(void *opaque, const void *data, size_t bytes)
{
	(void)opaque;
	(void)data;
	return bytes ? -EINVAL : 0;
}

static const struct rh_device_ops device_ops = {
	.queue_start = export_queue_start,
	.queue_stop = export_queue_stop,
	.config_get = config_get,
	.config_set = config_set,
	.features_set = features_set,
	.reset = reset,
	.connected = connected,
	.disconnected = disconnected,
	.queue_broken = queue_broken,
	.state_save = state_save,
	.state_load = state_load,
};

static int create_disk(struct export *export,
		       const struct export_options *options)
{
	struct throttle *groups[BLK_MAX_GROUPS];
	const struct virtio_blk_options blk_options = {
		.name = export->name,
		.serial = options->serial,
		.block_bytes = options->block_bytes,
		.read_only = options->read_only ||
			     export->node->driver->info.read_only,
		.nr_queues = options->nr_queues,
		.queue_size = options->queue_size,
		.limits = &options->limits,
		.groups = groups,
		.nr_groups = node_throttles(export->node, groups,
					    ARRAY_SIZE(groups)),
	};
	struct rh_device_config config = {
		.name = export->name,
		.ops = &device_ops,
		.opaque = export,
		.nr_queues = options->nr_queues,
		.max_queue_size = options->queue_size,
		.flags = RH_DEVICE_BAD_CHAINS |
			 (options->may_move_out ? RH_DEVICE_HAND_OVER : 0),
	};
	int error;

	error = virtio_blk_create(&blk_options, export->node->driver,
				  &export->blk);
	if (error)
		return error;
	config.features = virtio_blk_features(export->blk);
	config.config_bytes = virtio_blk_config_bytes(export->blk);
	error = rh_device_create(&config, &export->device);
	if (error)
		rh_log(RH_LOG_ERROR, export->name, "cannot make a device: %s",
		       strerror(-error));
	return error;
}

static int watch(struct export *export, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0)
		return -errno; /* of what made it */
	return epoll_ctl(export->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ?
		       -errno :
		       0;
}

static int create_moves(struct export *export)
{
	int error;

	if (pipe2(export->moves_fds, O_CLOEXEC) < 0)
		return -errno;
	error = rh_fd_set_nonblocking(export->moves_fds[0]);
	return error ? error : watch(export, export->moves_fds[0]);
}

static int create_fds(struct export *export)
{
	int error = 0;

	export->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (export->epoll_fd < 0)
		error = -errno;
	if (!error) {
		export->timer_fd = timerfd_create(CLOCK_MONOTONIC,
						  TFD_CLOEXEC | TFD_NONBLOCK);
		error = watch(export, export->timer_fd);
	}
	if (!error)
		error = watch(export, rh_device_fd(export->device));
	if (!error)
		error = create_moves(export);
	if (!error)
		error = export_report_init(export);
	if (!error && export->report.timer_fd >= 0)
		error = watch(export, export->report.timer_fd);
	if (error)
		rh_log(RH_LOG_ERROR, export->name,
		       "cannot set up a file descriptor: %s", strerror(-error));
	return error;
}

static struct export *allocate(const struct export_options *options,
			       struct worker *const *workers,
			       unsigned int nr_workers)
{
	struct export *export =
		calloc(1, sizeof(*export) + options->nr_queues *
						    sizeof(export->queues[0]));

	if (!export)
		return NULL;
	export->epoll_fd = -1;
	export->timer_fd = -1;
	export->report.timer_fd = -1;
	export->moves_fds[0] = -1;
	export->moves_fds[1] = -1;
	list_init(&export->drains);
	export->peer = -1;
	export->nr_queues = options->nr_queues;
	export->nr_workers = nr_workers;
	export->name = strdup(options->name);
	export->workers = calloc(nr_workers, sizeof(*workers));
	if (!export->name || !export->workers) {
		export_destroy(export);
		return NULL;
	}
	memcpy(export->workers, workers, nr_workers * sizeof(*workers));
	return export;
}

int export_create(const struct export_options *options, struct node *node,
		  struct worker *const *workers, unsigned int nr_workers,
		  struct export **ret)
{
	struct export *export = allocate(options, workers, nr_workers);
	int error;

	if (!export) {
		rh_log(RH_LOG_ERROR, options->name, "out of memory");
		return -ENOMEM;
	}
	export->listener = options->listener;
	export->node = node;
	node->nr_users++;
	error = create_disk(export, options);
	if (!error)
		error = create_fds(export);
	if (error) {
		export_destroy(export);
		return error;
	}
	export->block_bytes = options->block_bytes ?
				      options->block_bytes :
				      node->driver->info.logical_block_bytes;
	*ret = export;
	return 0;
}

void export_destroy(struct export *export)
{
	if (!export)
		return;
	assert(list_empty(&export->drains));
	rh_device_destroy(export->device);
	virtio_blk_destroy(export->blk);
	if (export->node)
		export->node->nr_users--;
	rh_fd_close(&export->moves_fds[0]);
	rh_fd_close(&export->moves_fds[1]);
	rh_fd_close(&export->timer_fd);
	export_report_deinit(export);
	rh_fd_close(&export->epoll_fd);
	free(export->workers);
	free(export->name);
	free(export);
}

int export_serve(struct export *export, int fd, bool listening)
{
	return listening ? rh_device_listen(export->device, fd) :
			   rh_device_connect(export->device, fd);
}

int export_fd(const struct export *export)
{
	return export->epoll_fd;
}

int export_run(struct export *export)
{
	uint64_t nr_expired;
	int error;

	if (read(export->timer_fd, &nr_expired, sizeof(nr_expired)) > 0)
		export_retry_claim(export);
	export_report_run(export);
	export_continue_moves(export);
	error = rh_device_run(export->device);
	export_settle_drains(export);
	export_release_if_idle(export);
	return error;
}

void export_stop(struct export *export)
{
	rh_device_stop(export->device);
	export_settle_drains(export);
	export_release_if_idle(export);
}

bool export_finished(const struct export *export)
{
	return rh_device_finished(export->device);
}

pid_t export_peer(const struct export *export)
{
	return export->peer;
}

unsigned int export_nr_sessions_ended(const struct export *export)
{
	return export->nr_sessions_ended;
}

void export_take_size(struct export *export)
{
	virtio_blk_resize(export->blk);
}

int export_resized(struct export *export, uint64_t old_bytes)
{
	uint64_t size_bytes = export->node->driver->info.size_bytes;
	int outcome;

	virtio_blk_resize(export->blk);
	outcome = rh_device_config_changed(export->device);
	rh_log(RH_LOG_INFO, export->name, "the image has %s now, it had %s; %s",
	       sizes_format(size_bytes).text, sizes_format(old_bytes).text,
	       outcome > 0 ? "the guest was told" :
			     "no guest was there to tell");
	return outcome < 0 ? outcome : 0;
}

int export_set_limits(struct export *export,
		      const struct throttle_limits *limits)
{
	return virtio_blk_set_limits(export->blk, limits);
}

struct throttle_limits export_limits(const struct export *export)
{
	return virtio_blk_limits(export->blk);
}

unsigned int export_nr_queues(const struct export *export)
{
	return export->nr_queues;
}

const struct blk_stats *export_stats(const struct export *export,
				     unsigned int queue)
{
	return virtio_blk_stats(export->blk, queue);
}

uint64_t export_block_bytes(const struct export *export)
{
	return export->block_bytes;
}

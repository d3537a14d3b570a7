/* SPDX-License-Identifier: MIT */
/*
 * backend - the back-end that is loaded: connected, negotiated with, started
 */
#include "bench/backend.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/sizes.h"
#include "tests/frontend/vring_session.h"

#define TAG		 "ringhost"
#define CONFIG_BYTES	 60 /* as far as a VMM of 2020 looks */
#define SECTOR_BYTES	 512
#define USUAL_QUEUE_SIZE 128
#define MAX_RING_SIZE	 1024 /* what every back-end takes */
#define HUGE_PAGE_BYTES	 (2u << 20)
#define PROTOCOL	 (FE_PROTOCOL_MQ | FE_PROTOCOL_REPLY_ACK | FE_PROTOCOL_CONFIG)

static int refuse(const char *socket, int error, const char *what)
{
	const char *why = error == -ETIMEDOUT  ? "it did not answer in time" :
			  error == -ECONNRESET ? "it closed the connection" :
			  error == -EPIPE      ? "it closed the connection" :
			  error == -EREMOTEIO  ? "it refused" :
			  error == -EPROTO     ? "its answer made no sense" :
						 strerror(-error);

	rh_log(RH_LOG_ERROR, TAG, "%s cannot be measured: %s: %s", socket, what,
	       why);
	return error;
}

static int negotiate(struct backend *backend,
		     const struct bench_options *options)
{
	struct fe_session *session = &backend->session;
	uint64_t features = FE_USUAL_FEATURES;
	int error;

	if (options->packed)
		features |= FE_FEATURE_PACKED;
	if (!options->indirect)
		features &= ~FE_FEATURE_INDIRECT;
	if (!options->event_idx)
		features &= ~FE_FEATURE_EVENT_IDX;
	error = fe_session_negotiate(session, features, PROTOCOL);
	if (error)
		return refuse(options->socket, error, "asked for its features");
	if (options->packed && !(session->features & FE_FEATURE_PACKED)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s has no packed rings: leave out --packed",
		       options->socket);
		return -ENOTSUP;
	}
	if (!(session->protocol & FE_PROTOCOL_CONFIG)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s does not offer the protocol feature CONFIG, so "
		       "that its disk's size is not known",
		       options->socket);
		return -ENOTSUP;
	}
	error = fe_session_get_config(session, 0, &backend->config,
				      CONFIG_BYTES);
	return error ? refuse(options->socket, error,
			      "asked for its configuration space") :
		       0;
}

int backend_connect(struct backend *backend,
		    const struct bench_options *options)
{
	struct fe_session *session = &backend->session;
	int error;

	fe_send_timeout_msec = (int)options->timeout_msec;
	error = fe_session_connect(session, options->socket);
	backend->connected = true;
	if (error) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s cannot be measured: nobody listens there (%s)",
		       options->socket, strerror(-error));
		return error;
	}
	session->timeout_msec = (int)options->timeout_msec;
	error = negotiate(backend, options);
	if (error)
		return error;
	backend->nr_queues =
		(uint32_t)MIN(session->nr_queues, UINT64_C(0xffff));
	if (session->features & FE_BIT(VIRTIO_BLK_F_MQ))
		backend->nr_queues = MIN(backend->nr_queues,
					 le16toh(backend->config.num_queues));
	if (mul_overflows(le64toh(backend->config.capacity), SECTOR_BYTES,
			  &backend->nr_bytes))
		return refuse(options->socket, -EPROTO, "asked for its size");
	if (options->nr_queues > backend->nr_queues) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s has %u queues, the job wants %u: give "
		       "--numjobs=%u at most",
		       options->socket, backend->nr_queues, options->nr_queues,
		       backend->nr_queues);
		return -ENOTSUP;
	}
	return 0;
}

void backend_deinit(struct backend *backend)
{
	if (backend->connected)
		fe_session_deinit(&backend->session);
	backend->connected = false;
	fe_memory_deinit(&backend->memory);
}

/* Whether it takes such requests at all */
static int check_blocks(const struct backend *backend,
			const struct bench_options *options)
{
	uint64_t features = backend->session.features;
	uint64_t block = SECTOR_BYTES;
	uint64_t most = UINT32_MAX;

	if (features & FE_BIT(VIRTIO_BLK_F_BLK_SIZE))
		block = MAX(1u, le32toh(backend->config.blk_size));
	if (options->block_bytes % block) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--bs=%" PRIu64 " is not possible: the disk has blocks "
		       "of %" PRIu64 " bytes",
		       options->block_bytes, block);
		return -EINVAL;
	}
	/* some say 0 and mean that they do not care */
	if (features & FE_BIT(VIRTIO_BLK_F_SIZE_MAX) &&
	    backend->config.size_max)
		most = le32toh(backend->config.size_max);
	if (options->block_bytes > most) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--bs=%" PRIu64 " is not possible: the disk takes "
		       "%" PRIu64 " bytes in one piece at most",
		       options->block_bytes, most);
		return -EINVAL;
	}
	if (options->writes && features & FE_BIT(VIRTIO_BLK_F_RO)) {
		rh_log(RH_LOG_ERROR, TAG,
		       "the disk is read-only: give --rw=read or randread");
		return -EROFS;
	}
	return 0;
}

int backend_find_range(const struct backend *backend,
		       const struct bench_options *options,
		       struct job_range *ret)
{
	uint64_t offset = options->offset_bytes;
	uint64_t size = options->size_bytes;
	int error = check_blocks(backend, options);

	if (error)
		return error;
	if (offset > backend->nr_bytes || size > backend->nr_bytes - offset) {
		rh_log(RH_LOG_ERROR, TAG,
		       "the disk ends at %s: --offset and --size are beyond",
		       sizes_format(backend->nr_bytes).text);
		return -EINVAL;
	}
	if (!size)
		size = backend->nr_bytes - offset;
	ret->first = offset / options->block_bytes;
	ret->nr = size / options->block_bytes;
	if (ret->nr < options->nr_queues) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%s is too little for %u requests of %s: give a larger "
		       "--size, or a smaller --bs",
		       sizes_format(size).text, options->nr_queues,
		       sizes_format(options->block_bytes).text);
		return -EINVAL;
	}
	return 0;
}

int backend_find_shape(const struct backend *backend,
		       const struct bench_options *options,
		       struct vq_shape *ret)
{
	uint64_t features = backend->session.features;
	bool indirect = features & FE_FEATURE_INDIRECT;
	uint32_t depth = MAX(options->iodepth, options->flood);
	uint32_t needed = depth * (indirect ? 1 : VQ_PIECES);
	uint32_t size = USUAL_QUEUE_SIZE;

	while (size < needed && size < MAX_RING_SIZE)
		size *= 2;
	if (options->queue_size)
		size = options->queue_size;
	if (needed > size) {
		rh_log(RH_LOG_ERROR, TAG,
		       "%u requests%s take %u entries of a ring that has %u: "
		       "give a smaller --%s, or a larger --queue-size",
		       depth, indirect ? "" : " without indirect descriptors",
		       needed, size,
		       options->flood == depth ? "flood" : "iodepth");
		return -EINVAL;
	}
	*ret = (struct vq_shape){
		.size = size,
		.nr_slots = depth,
		.data_bytes = (uint32_t)options->block_bytes,
		.features = features,
	};
	return 0;
}

int backend_add_memory(struct backend *backend, const struct vq_shape *shape,
		       uint32_t nr)
{
	uint64_t bytes = nr * vq_memory_bytes(shape) + HUGE_PAGE_BYTES - 1;
	int ret = fe_memory_add(&backend->memory, 0,
				align_down(bytes, HUGE_PAGE_BYTES));

	if (ret >= 0)
		return 0;
	rh_log(RH_LOG_ERROR, TAG, "cannot have %s of memory: %s",
	       sizes_format(bytes).text, strerror(-ret));
	return ret;
}

int backend_show_memory(struct backend *backend)
{
	int error = fe_session_set_memory(&backend->session, &backend->memory);

	return error ? refuse("the back-end", error, "shown the memory") : 0;
}

int backend_start_queue(struct backend *backend, struct vq *vq, uint32_t i)
{
	int error = fe_session_start_vring(&backend->session, &vq->vring, i,
					   vq_first_base(vq));

	return error ? refuse("the back-end", error, "given a queue") : 0;
}

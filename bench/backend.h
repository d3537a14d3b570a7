/* SPDX-License-Identifier: MIT */
/*
 * backend - the back-end that is loaded: connected, negotiated with, started
 *
 * Asks for no more than a VMM needs, so that any back-end can be measured, and
 * refuses, with a sentence that is logged, a job that the disk cannot do.
 *
 * Functions return 0 or -errno. Owner: one thread.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stdint.h>

#include <linux/virtio_blk.h>

#include "bench/job.h"
#include "bench/options.h"
#include "bench/vq.h"
#include "tests/frontend/session.h"

struct backend {
	struct fe_session session;
	struct fe_memory memory;
	struct virtio_blk_config config;
	uint64_t nr_bytes;  /* of the disk */
	uint32_t nr_queues; /* that it has */
	bool connected;
};

/* deinit is harmless after failure, and for zeroes. */
int backend_connect(struct backend *backend,
		    const struct bench_options *options);
void backend_deinit(struct backend *backend);

/* The blocks that the job is about. */
int backend_find_range(const struct backend *backend,
		       const struct bench_options *options,
		       struct job_range *ret);

/* What a queue of the job looks like; the ring is as large as it must be. */
int backend_find_shape(const struct backend *backend,
		       const struct bench_options *options,
		       struct vq_shape *ret);

/* Memory for nr queues of this shape; vq_init() takes it from there. */
int backend_add_memory(struct backend *backend, const struct vq_shape *shape,
		       uint32_t nr);

/* Show it, before the first queue is started. */
int backend_show_memory(struct backend *backend);

int backend_start_queue(struct backend *backend, struct vq *vq, uint32_t i);

#endif

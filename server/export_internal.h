/* SPDX-License-Identifier: MIT */
/*
 * export_internal - what export.c and export_queues.c share
 */
#ifndef SERVER_EXPORT_INTERNAL_H
#define SERVER_EXPORT_INTERNAL_H

#include <ringhost/device.h>

#include "common/log.h"
#include "server/export.h"

enum claim_state {
	UNCLAIMED,
	WAITING, /* another process holds it; the timer runs */
	REFUSED, /* it held it for too long; queues stay held back */
	CLAIMED,
};

enum queue_state {
	QUEUE_IDLE,
	QUEUE_HELD, /* started, but no worker has it: the image is not ours */
	QUEUE_WORKING,
};

struct export_queue {
	enum queue_state state;
	struct rh_queue *queue; /* the device's; NULL before its first start */
	struct worker *worker;	/* not owned */
};

struct export
{
	char *name;
	uint64_t block_bytes;
	struct driver *driver;
	struct virtio_blk *blk;
	struct rh_device *device;
	struct worker **workers; /* the array is owned, the workers are not */
	unsigned int nr_workers;

	int epoll_fd; /* the device and the timer */
	int timer_fd;
	enum claim_state claim;
	unsigned int nr_claim_retries;

	struct blk_counters session_start;
	struct log_limit log_limit;
	unsigned int nr_sessions_ended;
	unsigned int nr_queues;
	struct export_queue queues[];
};

/* The device operations of the same names; opaque is the export. */
int export_queue_start(void *opaque, struct rh_queue *queue);
void export_queue_stop(void *opaque, struct rh_queue *queue);

/* The timer has expired: is the image free now? */
void export_retry_claim(struct export *export);

/* To be called when the device has done all that it can for now. */
void export_release_if_idle(struct export *export);

#endif

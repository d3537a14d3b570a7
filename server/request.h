/* SPDX-License-Identifier: MIT */
/*
 * request - one operation on a disk, free of virtio and of io_uring
 *
 * virtio_blk makes it from a chain, a driver carries it out. Whoever made the
 * request owns it; between submit and completion it is the driver's. It stays
 * on one thread.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdint.h>
#include <sys/uio.h>

#include "common/list.h"
#include "server/engine.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_DISCARD,
	BLK_WRITE_ZEROES,
};

#define BLK_FUA	  (1u << 0) /* durable before it completes */
#define BLK_UNMAP (1u << 1) /* WRITE_ZEROES may deallocate */

struct driver_context;

struct blk_request {
	enum blk_op op;
	uint32_t flags;
	uint64_t offset_bytes; /* checked: offset + bytes <= size of the disk */
	uint64_t bytes;
	/* READ and WRITE: exactly bytes in all; the driver may edit them. */
	struct iovec *iov;
	unsigned int nr_iov;

	/* result: 0 or -errno. Called once, never inside submit. */
	void (*complete)(struct blk_request *request, int result);
	int result; /* of DRIVER_COMPLETED */

	/* The driver's, from submit to completion. */
	struct driver_context *context;
	struct io_op io;
	struct list_node link;
	uint64_t done_bytes; /* of bytes, from the front */
	struct iovec own_iov;
	void *driver_data;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * file_io - submit, and reads and writes straight from the guest's memory
 *
 * The ordinary request costs one operation and touches nothing but itself.
 * Its iovecs are the guest's buffers; after a short result they are cut and
 * the rest is asked for again, so "done" always means all of it.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "server/drivers/file.h"
#include "server/drivers/file_flush.h"

#define PROMPT_MAX_BYTES (1u << 20)

bool file_must_repeat(int result)
{
	return result == -EAGAIN || result == -EINTR;
}

int file_write_flags(const struct blk_request *request)
{
	const struct driver_info *info = &request->context->driver->info;

	if (file_of_request(request)->in_memory)
		return 0; /* nothing of it is ever durable */
	if (request->flags & BLK_FUA ||
	    info->cache == DRIVER_CACHE_WRITETHROUGH)
		return RWF_DSYNC;
	return 0;
}

void file_skip_iov(struct blk_request *request, uint64_t bytes)
{
	while (bytes) {
		struct iovec *first = request->iov;
		size_t part = MIN(bytes, first->iov_len);

		first->iov_base = (uint8_t *)first->iov_base + part;
		first->iov_len -= part;
		bytes -= part;
		if (!first->iov_len) {
			request->iov++;
			request->nr_iov--;
		}
	}
}

void file_meet_end(struct blk_request *request)
{
	uint64_t left = request->bytes - request->done_bytes;
	uint64_t size_bytes = file_of_request(request)->size_bytes;

	/* An image whose last sector is cut: it reads as if it were whole. */
	if (request->op != BLK_READ || left >= FILE_SECTOR_BYTES ||
	    file_end(request) != size_bytes) {
		file_finish(request, -EIO);
		return;
	}
	for (unsigned int i = 0; i < request->nr_iov; i++)
		memset(request->iov[i].iov_base, 0, request->iov[i].iov_len);
	file_finish(request, 0);
}

static void moved(struct io_op *op, int result)
{
	struct blk_request *request = container_of(op, struct blk_request, io);
	const struct file *file = file_of_request(request);

	if (file_must_repeat(result)) {
		file_go_on(request);
	} else if (result < 0) {
		file_finish(request, result);
	} else if (!result) {
		file_meet_end(request);
	} else {
		file_skip_iov(request, (uint64_t)result);
		request->done_bytes += (uint64_t)result;
		if (request->done_bytes >= request->bytes)
			file_finish(request, 0);
		else if (is_aligned(file_position(request), file->offset_align))
			file_go_on(request);
		else
			file_meet_end(request); /* O_DIRECT stops there only */
	}
}

/* A guest that moves much at once must not keep others from this thread. */
static bool is_prompt(const struct blk_request *request, int rw_flags)
{
	const struct file *file = file_of_request(request);

	return !rw_flags && request->bytes <= PROMPT_MAX_BYTES &&
	       (request->op == BLK_READ ? file->prompt_reads :
					  file->prompt_writes);
}

static int step_straight(struct blk_request *request)
{
	struct io_op *io = &request->io;

	io->kind = request->op == BLK_READ ? IO_READ : IO_WRITE;
	io->fd = file_of_request(request)->fd;
	io->rw_flags = request->op == BLK_READ ? 0 : file_write_flags(request);
	io->offset_bytes = file_position(request);
	io->bytes = request->bytes - request->done_bytes;
	io->iov = request->iov;
	io->nr_iov = MIN(request->nr_iov, (unsigned int)IOV_MAX);
	io->done = moved;
	io->pace = is_prompt(request, io->rw_flags) ?
			   &file_context_of(request)->pace :
			   NULL;
	return engine_submit(request->context->engine, io);
}

int file_step(struct blk_request *request)
{
	if (request->op == BLK_DISCARD || request->op == BLK_WRITE_ZEROES)
		return file_zero_step(request);
	if (request->driver_data)
		return file_bounce_step(request);
	return step_straight(request);
}

/* Where each write is a flush of its own, as far as the guest can tell. */
static cold_code bool must_be_durable(const struct blk_request *request)
{
	return request->flags & BLK_FUA ||
	       request->context->driver->info.cache ==
		       DRIVER_CACHE_WRITETHROUGH;
}

static enum driver_answer complete_now(struct blk_request *request, int result)
{
	request->result = result;
	return DRIVER_COMPLETED;
}

/* Take what the request needs while it runs, then start it. */
static enum driver_answer start(struct file_context *context,
				struct blk_request *request)
{
	struct file *file = file_of(context->base.driver);

	if (file->offset_align > 1 && file_needs_bounce(request)) {
		request->driver_data = bounce_get(&context->bounces);
		if (!request->driver_data)
			return DRIVER_BUSY;
	}
	if (file->rmw && request->op != BLK_READ &&
	    !rmw_enter(file->rmw, request))
		return DRIVER_QUEUED;
	if (request->driver_data) {
		/* What was copied out of the guest's buffers stays copied. */
		file_go_on(request);
		return DRIVER_QUEUED;
	}
	if (!file_step(request))
		return DRIVER_QUEUED;
	file_let_go(request);
	return DRIVER_BUSY;
}

enum driver_answer file_submit(struct driver_context *context,
			       struct blk_request *request)
{
	struct file_context *mine =
		container_of(context, struct file_context, base);
	const struct file *file = file_of(context->driver);

	request->context = context;
	request->done_bytes = 0;
	request->driver_data = NULL;
	request->io.pace = NULL;
	if (request->op == BLK_FLUSH)
		return file_flush_submit(mine, request);
	if (request->op != BLK_READ && context->driver->info.read_only)
		return complete_now(request, -EROFS);
	if (request->op != BLK_READ && unlikely(file->sync_error) &&
	    must_be_durable(request))
		return complete_now(request, file->sync_error);
	/* It was checked against the size at that time; see refresh. */
	if (file_end(request) > file->size_bytes)
		return complete_now(request, -EIO);
	if (!request->bytes || file_zero_is_void(request))
		return complete_now(request, 0);
	return start(mine, request);
}

/* SPDX-License-Identifier: MIT */
/*
 * file_bounce - reads and writes that O_DIRECT would refuse
 *
 * The request is done in pieces, each through the one bounce buffer that the
 * request holds: the smallest range of whole blocks around the piece is read
 * or written. A write that leaves a part of such a block as it is reads the
 * range first; nobody else writes there meanwhile (rmw.h).
 */
#include <errno.h>
#include <string.h>

#include "server/drivers/file.h"

static bool iov_is_aligned(const struct blk_request *request,
			   const struct file *file)
{
	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		if (!is_aligned((uintptr_t)iov->iov_base, file->buffer_align) ||
		    !is_aligned(iov->iov_len, file->offset_align))
			return false;
	}
	return true;
}

bool file_needs_bounce(const struct blk_request *request)
{
	const struct file *file = file_of_request(request);

	if (request->op == BLK_DISCARD)
		return false;
	if (!is_aligned(request->offset_bytes | request->bytes,
			file->offset_align))
		return true;
	return request->op != BLK_WRITE_ZEROES &&
	       !iov_is_aligned(request, file);
}

/* Guest memory is copied once; what the guest does to it then is its affair. */
static void copy(struct blk_request *request, uint8_t *data, size_t bytes)
{
	while (bytes) {
		const struct iovec *first = request->iov;
		size_t part = MIN(bytes, first->iov_len);

		if (request->op == BLK_READ)
			memcpy(first->iov_base, data, part);
		else
			memcpy(data, first->iov_base, part);
		file_skip_iov(request, part);
		data += part;
		bytes -= part;
	}
}

static void choose_piece(struct blk_request *request, struct bounce *bounce)
{
	uint64_t align = file_of_request(request)->offset_align;
	uint64_t start = file_position(request);
	uint64_t limit = request->op == BLK_WRITE_ZEROES ? align : BOUNCE_BYTES;
	uint64_t end;

	bounce->offset_bytes = align_down(start, align);
	end = MIN(file_end(request), bounce->offset_bytes + limit);
	bounce->bytes = (uint32_t)(align_down(end + align - 1, align) -
				   bounce->offset_bytes);
	bounce->piece_start = (uint32_t)(start - bounce->offset_bytes);
	bounce->piece_bytes = (uint32_t)(end - start);
	bounce->moved_bytes = 0;
	bounce->filling =
		request->op != BLK_READ && bounce->piece_bytes < bounce->bytes;
}

static void put_in(struct blk_request *request, struct bounce *bounce)
{
	uint8_t *data = bounce->data + bounce->piece_start;

	if (request->op == BLK_WRITE_ZEROES)
		memset(data, 0, bounce->piece_bytes);
	else
		copy(request, data, bounce->piece_bytes);
}

static void piece_done(struct blk_request *request, struct bounce *bounce)
{
	if (request->op == BLK_READ)
		copy(request, bounce->data + bounce->piece_start,
		     bounce->piece_bytes);
	request->done_bytes += bounce->piece_bytes;
	bounce->bytes = 0;
	if (request->done_bytes >= request->bytes)
		file_finish(request, 0);
	else
		file_go_on(request);
}

/* What was read of the piece goes to the guest, then the rule of the end. */
static void meet_end_inside(struct blk_request *request, struct bounce *bounce)
{
	uint32_t bytes = 0;

	if (request->op == BLK_READ &&
	    bounce->moved_bytes > bounce->piece_start)
		bytes = bounce->moved_bytes - bounce->piece_start;
	copy(request, bounce->data + bounce->piece_start, bytes);
	request->done_bytes += bytes;
	file_meet_end(request);
}

/* All that the piece needs has been read, or written. */
static void range_moved(struct blk_request *request, struct bounce *bounce)
{
	if (!bounce->filling) {
		piece_done(request, bounce);
		return;
	}
	bounce->filling = false;
	bounce->moved_bytes = 0;
	put_in(request, bounce);
	file_go_on(request);
}

static void bounce_moved(struct io_op *op, int result)
{
	struct blk_request *request = container_of(op, struct blk_request, io);
	struct bounce *bounce = request->driver_data;
	uint32_t align = file_of_request(request)->offset_align;
	uint32_t wanted_bytes = bounce->bytes;

	if (file_must_repeat(result)) {
		file_go_on(request);
		return;
	}
	if (result < 0) {
		file_finish(request, result);
		return;
	}
	if (request->op == BLK_READ)
		wanted_bytes = bounce->piece_start + bounce->piece_bytes;
	bounce->moved_bytes += (uint32_t)result;
	if (bounce->moved_bytes >= wanted_bytes)
		range_moved(request, bounce);
	else if (!result || !is_aligned(bounce->moved_bytes, align))
		meet_end_inside(request, bounce);
	else
		file_go_on(request);
}

int file_bounce_step(struct blk_request *request)
{
	struct bounce *bounce = request->driver_data;
	struct io_op *io = &request->io;
	bool reads;

	if (!bounce->bytes) {
		choose_piece(request, bounce);
		if (request->op != BLK_READ && !bounce->filling)
			put_in(request, bounce);
	}
	reads = request->op == BLK_READ || bounce->filling;
	request->own_iov.iov_base = bounce->data + bounce->moved_bytes;
	request->own_iov.iov_len = bounce->bytes - bounce->moved_bytes;
	io->kind = reads ? IO_READ : IO_WRITE;
	io->fd = file_of_request(request)->fd;
	io->rw_flags = reads ? 0 : file_write_flags(request);
	io->offset_bytes = bounce->offset_bytes + bounce->moved_bytes;
	io->iov = &request->own_iov;
	io->nr_iov = 1;
	io->done = bounce_moved;
	return engine_submit(request->context->engine, io);
}

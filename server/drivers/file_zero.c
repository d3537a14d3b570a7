/* SPDX-License-Identifier: MIT */
/*
 * file_zero - discard and write zeroes
 *
 * For each there is a list of ways, the best first; what the storage refuses
 * once is not tried again. The last way to write zeroes is to write zeros.
 * The last way to discard is to do nothing, which is legal: a discard only
 * says that the guest does not need the data.
 *
 * A block device is zeroed and discarded in whole device blocks. Zeroes at
 * the ragged ends of a range are written; a discard leaves its ends alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "common/log.h"
#include "server/drivers/file.h"

#define ZEROES_BYTES (64u << 10)
#define NR_ZEROES    16u

/* O_DIRECT writes from here as well, hence the alignment. */
static const uint8_t zeroes[ZEROES_BYTES] __attribute__((aligned(4096)));

/* A writer only reads what an iovec points to. */
#define ZEROES_IOV                                                             \
	{                                                                      \
		.iov_base = (void *)(uintptr_t)zeroes, .iov_len = ZEROES_BYTES \
	}

static const struct iovec zeroes_iov[NR_ZEROES] = {
	ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV,
	ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV,
	ZEROES_IOV, ZEROES_IOV, ZEROES_IOV, ZEROES_IOV,
};

/* The smallest unit of the ways that do not write. */
static uint64_t unit_bytes(const struct file *file)
{
	return file->is_block_device ? file->device_block_bytes : 1;
}

/* The whole units from the position on. */
static uint64_t whole_bytes(const struct blk_request *request)
{
	uint64_t unit = unit_bytes(file_of_request(request));
	uint64_t end = align_down(file_end(request), unit);

	return end > file_position(request) ? end - file_position(request) : 0;
}

bool file_zero_is_void(const struct blk_request *request)
{
	const struct file *file = file_of_request(request);
	uint64_t unit = unit_bytes(file);
	uint64_t start = request->offset_bytes;

	if (request->op != BLK_DISCARD)
		return false;
	return file->no_discard || align_down(start + unit - 1, unit) >=
					   align_down(file_end(request), unit);
}

static int range_ioctl(struct io_op *op, unsigned long number)
{
	uint64_t range[2] = { op->offset_bytes, op->bytes };

	return ioctl(op->fd, number, range) < 0 ? -errno : 0;
}

static int discard_blocks(struct io_op *op)
{
	return range_ioctl(op, BLKDISCARD);
}

static int zero_blocks(struct io_op *op)
{
	return range_ioctl(op, BLKZEROOUT);
}

static bool is_refusal(int result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS ||
	       result == -ENOTTY || result == -EINVAL;
}

static void learn(struct file *file, atomic_bool *refused, const char *what)
{
	if (atomic_exchange(refused, true))
		return;
	rh_log(RH_LOG_WARNING, file->name, "the storage of %s does not %s",
	       file->path, what);
}

static cold_code void learn_refusal(struct blk_request *request)
{
	struct file *file = file_of_request(request);
	const struct io_op *io = &request->io;

	if (request->op == BLK_DISCARD)
		learn(file, &file->no_discard,
		      "discard: the guest's discards are ignored");
	else if (io->kind == IO_FALLOCATE &&
		 io->fallocate_mode & FALLOC_FL_PUNCH_HOLE)
		learn(file, &file->no_punch,
		      "deallocate what is zeroed: zeroes take up space");
	else
		learn(file, &file->no_zero_range,
		      "zero by itself: zeros are written instead");
}

static void zero_moved(struct io_op *op, int result)
{
	struct blk_request *request = container_of(op, struct blk_request, io);
	uint32_t align = file_of_request(request)->offset_align;

	if (file_must_repeat(result)) {
		file_go_on(request);
		return;
	}
	/* Nothing, or not even a block: the storage takes no more. */
	if (op->kind == IO_WRITE && result >= 0 &&
	    (!result || !is_aligned((uint64_t)result, align)))
		result = -EIO;
	if (op->kind != IO_WRITE && is_refusal(result)) {
		learn_refusal(request);
		if (request->op == BLK_DISCARD)
			file_finish(request, 0);
		else
			file_go_on(request);
		return;
	}
	if (result < 0) {
		file_finish(request, result);
		return;
	}
	request->done_bytes +=
		op->kind == IO_WRITE ? (uint64_t)result : op->bytes;
	if (request->op == BLK_DISCARD || request->done_bytes >= request->bytes)
		file_finish(request, 0);
	else
		file_go_on(request);
}

/* The way to zero whole units; false: only writing is left. */
static bool choose_way(struct blk_request *request)
{
	struct file *file = file_of_request(request);
	struct io_op *io = &request->io;

	io->bytes = whole_bytes(request);
	if (!io->bytes || !is_aligned(file_position(request), unit_bytes(file)))
		return false;
	io->kind = IO_FALLOCATE;
	if (request->flags & BLK_UNMAP && !file->no_punch) {
		io->fallocate_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		return true;
	}
	if (file->no_zero_range)
		return false;
	io->fallocate_mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	if (file->is_block_device) {
		io->kind = IO_CALL;
		io->call = zero_blocks;
	}
	return true;
}

static void write_zeros(struct blk_request *request)
{
	struct file *file = file_of_request(request);
	struct io_op *io = &request->io;
	uint64_t unit = MAX(unit_bytes(file), (uint64_t)file->offset_align);
	uint64_t left = request->bytes - request->done_bytes;

	/* Up to where the better ways may begin. */
	if (!is_aligned(file_position(request), unit))
		left = MIN(left, unit - file_position(request) % unit);
	else if (left > unit)
		left = align_down(left, unit);
	io->kind = IO_WRITE;
	io->rw_flags = 0;
	if (left >= ZEROES_BYTES) {
		io->iov = zeroes_iov;
		io->nr_iov = (unsigned int)MIN(left / ZEROES_BYTES,
					       (uint64_t)NR_ZEROES);
		return;
	}
	request->own_iov = (struct iovec)ZEROES_IOV;
	request->own_iov.iov_len = left;
	io->iov = &request->own_iov;
	io->nr_iov = 1;
}

static int step_discard(struct blk_request *request)
{
	struct file *file = file_of_request(request);
	struct io_op *io = &request->io;
	uint64_t unit = unit_bytes(file);

	io->offset_bytes = align_down(request->offset_bytes + unit - 1, unit);
	io->bytes = align_down(file_end(request), unit) - io->offset_bytes;
	io->kind = IO_FALLOCATE;
	io->fallocate_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (file->is_block_device) {
		io->kind = IO_CALL;
		io->call = discard_blocks;
	}
	return engine_submit(request->context->engine, io);
}

/* True where a write would be refused but for a bounce. */
static bool is_ragged(const struct blk_request *request)
{
	uint32_t align = file_of_request(request)->offset_align;
	uint64_t left = request->bytes - request->done_bytes;

	return !is_aligned(file_position(request), align) || left < align;
}

int file_zero_step(struct blk_request *request)
{
	struct file *file = file_of_request(request);
	struct bounce *bounce = request->driver_data;
	struct io_op *io = &request->io;

	io->fd = file->fd;
	io->offset_bytes = file_position(request);
	io->done = zero_moved;
	if (request->op == BLK_DISCARD)
		return step_discard(request);
	if (bounce && bounce->bytes)
		return file_bounce_step(request);
	if (!choose_way(request)) {
		if (is_ragged(request))
			return file_bounce_step(request);
		write_zeros(request);
	}
	return engine_submit(request->context->engine, io);
}

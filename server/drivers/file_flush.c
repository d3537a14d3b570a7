/* SPDX-License-Identifier: MIT */
/*
 * file_flush - flushes, and what failed ones mean
 *
 * One sync runs at a time for each worker, and answers every flush that had
 * come before it started: a flush that comes later waits for the next one.
 *
 * After a failed sync Linux considers the pages clean that it could not
 * write, and the next sync succeeds although the data is gone. So the first
 * failure is kept: no later flush of the image succeeds, and no write that has
 * to be durable, in any worker, until it is opened anew.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "server/drivers/file_flush.h"

void file_flush_poison(struct file *file, int error)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&file->sync_error, &none, error))
		return;
	rh_log(RH_LOG_ERROR, file->name,
	       "%s could not be made durable (%s): what the guest wrote last "
	       "may be lost, so every flush fails from now on, and every "
	       "write that has to be durable; check the "
	       "storage and the guest's file systems, then start ringhost "
	       "anew",
	       file->path, strerror(-error));
}

static void complete_all(struct list_node *list, int result)
{
	struct list_node *node;

	while ((node = list_take_first(list))) {
		struct blk_request *request =
			container_of(node, struct blk_request, link);

		request->complete(request, result);
	}
}

static void move_all(struct list_node *from, struct list_node *to)
{
	struct list_node *node;

	while ((node = list_take_first(from)))
		list_append(to, node);
}

static void sync_done(struct io_op *op, int result)
{
	struct file_context *context =
		container_of(op, struct file_context, sync_io);
	struct file *file = file_of(context->base.driver);
	struct list_node answered;

	context->syncing = false;
	list_init(&answered);
	if (file_must_repeat(result)) {
		/* Those that came since are answered by it as well. */
		move_all(&context->sync_waiting, &context->sync_running);
		move_all(&context->sync_running, &context->sync_waiting);
		file_flush_start_waiting(context);
		return;
	}
	if (result < 0)
		file_flush_poison(file, result);
	move_all(&context->sync_running, &answered);
	file_flush_start_waiting(context);
	complete_all(&answered, file->sync_error);
}

/* Returns 0, or -EAGAIN when the engine is full. */
static int start_sync(struct file_context *context)
{
	struct io_op *io = &context->sync_io;
	int error;

	io->kind = IO_DATASYNC;
	io->fd = context->sync_fd;
	io->done = sync_done;
	error = engine_submit(context->base.engine, io);
	if (!error)
		context->syncing = true;
	return error;
}

void file_flush_start_waiting(struct file_context *context)
{
	if (context->syncing || list_empty(&context->sync_waiting))
		return;
	if (start_sync(context))
		file_wake(&context->base);
	else
		move_all(&context->sync_waiting, &context->sync_running);
}

void file_flush_join(struct file_context *context, struct blk_request *request)
{
	list_append(&context->sync_waiting, &request->link);
	file_flush_start_waiting(context);
}

enum driver_answer file_flush_submit(struct file_context *context,
				     struct blk_request *request)
{
	const struct file *file = file_of(context->base.driver);

	request->result = file->sync_error;
	if (request->result || file->driver.info.read_only)
		return DRIVER_COMPLETED;
	if (context->syncing) {
		list_append(&context->sync_waiting, &request->link);
		return DRIVER_QUEUED;
	}
	if (start_sync(context))
		return DRIVER_BUSY;
	list_append(&context->sync_running, &request->link);
	return DRIVER_QUEUED;
}

/*
 * A durable write that failed may have failed because of earlier data, and
 * has then used up the report. What a write without page cache says about
 * room is about itself.
 */
static bool tells_of_lost_data(const struct file *file,
			       const struct blk_request *request, int result)
{
	if (request->op == BLK_READ || !file_write_flags(request))
		return false;
	if (file->offset_align > 1 && (result == -ENOSPC || result == -EDQUOT))
		return false;
	return result != -EFAULT && result != -EINVAL;
}

void file_finish(struct blk_request *request, int result)
{
	struct file *file = file_of_request(request);
	bool is_zeroing =
		request->op == BLK_DISCARD || request->op == BLK_WRITE_ZEROES;

	file_let_go(request);
	if (result < 0 && tells_of_lost_data(file, request, result))
		file_flush_poison(file, result);
	if (!result && is_zeroing && file_write_flags(request))
		file_flush_join(file_context_of(request), request);
	else
		request->complete(request, result);
}

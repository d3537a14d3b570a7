/* SPDX-License-Identifier: MIT */
/*
 * file_context - a worker's part of an image; requests that wait
 *
 * A request waits for one of three things: room in the engine, a block that
 * another request is writing, a sync that runs. Whoever ends the wait signals
 * the context's eventfd, and the worker's next turn looks at the lists.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/fd.h"
#include "common/log.h"
#include "server/drivers/file.h"
#include "server/drivers/file_flush.h"

void file_wake(struct driver_context *context)
{
	struct file_context *mine =
		container_of(context, struct file_context, base);

	rh_eventfd_signal(mine->wake.fd);
}

void file_go_on(struct blk_request *request)
{
	if (!file_step(request))
		return;
	list_append(&file_context_of(request)->retries, &request->io.link);
	file_wake(request->context);
}

static void retry_all(struct file_context *context)
{
	struct list_node retries;
	struct list_node *node;

	list_init(&retries);
	while ((node = list_take_first(&context->retries)))
		list_append(&retries, node);
	while ((node = list_take_first(&retries)))
		file_go_on(container_of(node, struct blk_request, io.link));
}

static void look_at_lists(struct engine_watch *watch)
{
	struct file_context *context =
		container_of(watch, struct file_context, wake);
	struct file *file = file_of(context->base.driver);
	struct blk_request *request;

	rh_eventfd_drain(watch->fd);
	retry_all(context);
	file_flush_start_waiting(context);
	if (!file->rmw)
		return;
	while ((request = rmw_take_granted(file->rmw, &context->base)))
		file_go_on(request);
}

void file_let_go(struct blk_request *request)
{
	struct file *file = file_of_request(request);

	if (request->driver_data)
		bounce_put(&file_context_of(request)->bounces,
			   request->driver_data);
	request->driver_data = NULL;
	if (file->rmw && request->op != BLK_READ)
		rmw_leave(file->rmw, request, file_wake);
}

static void destroy_context(struct file_context *context)
{
	bounce_pool_deinit(&context->bounces);
	rh_fd_close(&context->wake.fd);
	free(context);
}

static void watch_removed(struct engine_watch *watch)
{
	destroy_context(container_of(watch, struct file_context, wake));
}

int file_attach(struct driver *driver, struct engine *engine,
		struct driver_context **ret)
{
	struct file *file = file_of(driver);
	struct file_context *context = calloc(1, sizeof(*context));
	int error = 0;

	if (!context)
		return -ENOMEM;
	context->base = (struct driver_context){ driver, engine };
	list_init(&context->retries);
	list_init(&context->sync_running);
	list_init(&context->sync_waiting);
	context->sync_fd = sync_fds_take(&file->sync_fds);
	context->wake.fd = rh_eventfd_create();
	context->wake.ready = look_at_lists;
	context->wake.removed = watch_removed;
	if (context->sync_fd < 0 || context->wake.fd < 0)
		error = -EMFILE;
	else if (file->offset_align > 1)
		error = bounce_pool_init(&context->bounces);
	if (!error)
		error = engine_watch(engine, &context->wake);
	if (error) {
		sync_fds_give(&file->sync_fds, &context->sync_fd);
		destroy_context(context);
		return error;
	}
	*ret = &context->base;
	return 0;
}

void file_detach(struct driver_context *context)
{
	struct file_context *mine =
		container_of(context, struct file_context, base);

	assert(list_empty(&mine->retries));
	assert(!mine->syncing && list_empty(&mine->sync_waiting));
	/* The file may be closed before the watch is removed. */
	sync_fds_give(&file_of(context->driver)->sync_fds, &mine->sync_fd);
	engine_unwatch(context->engine, &mine->wake);
}

/* SPDX-License-Identifier: MIT */
/*
 * zero - a disk of zeros that an engine reads from /dev/zero
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/count/zero.h"

struct zero_driver {
	struct driver driver;
	int fd;
};

static int zero_open(const struct driver_options *options, struct driver **ret)
{
	struct zero_driver *zero = calloc(1, sizeof(*zero));

	if (!zero)
		return -ENOMEM;
	zero->fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert(zero->fd >= 0);
	zero->driver.ops = &zero_driver;
	zero->driver.info = (struct driver_info){
		.size_bytes = options->size_bytes,
		.logical_block_bytes = 512,
		.physical_block_bytes = 512,
	};
	*ret = &zero->driver;
	return 0;
}

static void zero_close(struct driver *driver)
{
	struct zero_driver *zero =
		container_of(driver, struct zero_driver, driver);

	close(zero->fd);
	free(zero);
}

static int zero_attach(struct driver *driver, struct engine *engine,
		       struct driver_context **ret)
{
	struct driver_context *context = calloc(1, sizeof(*context));

	if (!context)
		return -ENOMEM;
	*context = (struct driver_context){ driver, engine };
	*ret = context;
	return 0;
}

static void zero_detach(struct driver_context *context)
{
	free(context);
}

static void read_done(struct io_op *op, int result)
{
	struct blk_request *request = container_of(op, struct blk_request, io);

	assert(result == (int)request->bytes);
	request->complete(request, 0);
}

static enum driver_answer zero_submit(struct driver_context *context,
				      struct blk_request *request)
{
	struct zero_driver *zero =
		container_of(context->driver, struct zero_driver, driver);

	request->io = (struct io_op){
		.kind = IO_READ,
		.fd = zero->fd,
		.iov = request->iov,
		.nr_iov = request->nr_iov,
		.done = read_done,
	};
	return engine_submit(context->engine, &request->io) < 0 ? DRIVER_BUSY :
								  DRIVER_QUEUED;
}

const struct driver_ops zero_driver = {
	.name = "zero",
	.open = zero_open,
	.close = zero_close,
	.attach = zero_attach,
	.detach = zero_detach,
	.submit = zero_submit,
};

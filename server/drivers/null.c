/* SPDX-License-Identifier: MIT */
/*
 * null - a disk that forgets: for measuring everything but the storage
 *
 * What is written is thrown away, what is read is zeros, and every operation
 * completes at once. Reads do fill the guest's buffers: a disk that claims
 * to have read what it has not would hand the guest its own old memory as
 * the disk's content, and the measurement would leave out the cost of
 * touching the data.
 *
 * The smallest complete driver, and the one to read first.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/drivers/drivers.h"

#define SECTOR_BYTES	   512
#define DEFAULT_SIZE_BYTES (UINT64_C(1) << 40)

struct null {
	struct driver driver;
	atomic_uint_fast64_t size_bytes;
};

static struct null *null_of(struct driver *driver)
{
	return container_of(driver, struct null, driver);
}

static int null_open(const struct driver_options *options, struct driver **ret)
{
	struct null *null;

	if (!is_aligned(options->size_bytes, SECTOR_BYTES)) {
		rh_log(RH_LOG_ERROR, options->name,
		       "a disk of %llu bytes does not end with a sector: give "
		       "a multiple of %d",
		       (unsigned long long)options->size_bytes, SECTOR_BYTES);
		return -EINVAL;
	}
	null = calloc(1, sizeof(*null));
	if (!null)
		return -ENOMEM;
	null->size_bytes = options->size_bytes ?: DEFAULT_SIZE_BYTES;
	null->driver.ops = &driver_null;
	null->driver.info = (struct driver_info){
		.size_bytes = null->size_bytes,
		.logical_block_bytes = SECTOR_BYTES,
		.physical_block_bytes = SECTOR_BYTES,
		.read_only = options->read_only,
		.cache = options->cache,
		.can_discard = !options->read_only,
		.can_write_zeroes = !options->read_only,
		.discard_align_bytes = SECTOR_BYTES,
	};
	*ret = &null->driver;
	return 0;
}

static void null_close(struct driver *driver)
{
	free(null_of(driver));
}

static int null_attach(struct driver *driver, struct engine *engine,
		       struct driver_context **ret)
{
	struct driver_context *context = calloc(1, sizeof(*context));

	if (!context)
		return -ENOMEM;
	context->driver = driver;
	context->engine = engine;
	*ret = context;
	return 0;
}

static void null_detach(struct driver_context *context)
{
	free(context);
}

static enum driver_answer null_submit(struct driver_context *context,
				      struct blk_request *request)
{
	if (request->op == BLK_READ) {
		for (unsigned int i = 0; i < request->nr_iov; i++)
			memset(request->iov[i].iov_base, 0,
			       request->iov[i].iov_len);
		request->result = 0;
	} else if (request->op == BLK_FLUSH) {
		request->result = 0;
	} else {
		request->result = context->driver->info.read_only ? -EROFS : 0;
	}
	return DRIVER_COMPLETED;
}

static int null_refresh(struct driver *driver, uint64_t *ret)
{
	*ret = null_of(driver)->size_bytes;
	return 0;
}

static int null_resize(struct driver *driver, uint64_t size_bytes)
{
	null_of(driver)->size_bytes = size_bytes;
	return 0;
}

const struct driver_ops driver_null = {
	.name = "null",
	.open = null_open,
	.close = null_close,
	.attach = null_attach,
	.detach = null_detach,
	.submit = null_submit,
	.refresh = null_refresh,
	.resize = null_resize,
};

/* SPDX-License-Identifier: MIT */
/*
 * request - one request of any kind, and the whole of what came back
 */
#include "check/request.h"

#include <errno.h>
#include <string.h>

int request_run(struct check *check, struct vm *vm,
		const struct request *request, struct request_result *ret)
{
	struct fe_blk *blk = &vm->blks[0];
	struct fe_blk_request *slot = fe_blk_get(blk);
	int error;

	if (!slot || request->bytes > blk->max_data_bytes)
		check_fail(check, "the test has no room for a request: "
				  "earlier ones were not given back");
	slot->type = request->type;
	slot->ioprio = request->ioprio;
	slot->sector = request->sector;
	slot->data_bytes = request->bytes;
	slot->framing = request->framing;
	if (request->out)
		memcpy(slot->data, request->out, request->bytes);
	else if (fe_blk_type_reads(request->type))
		memset(slot->data, 0x5a, request->bytes);
	else
		check_fill(slot->data, request->bytes, request->seed);
	error = fe_blk_execute(slot);
	ret->used_bytes = slot->used_bytes;
	ret->data = slot->data;
	if (slot->done)
		fe_blk_put(slot);
	return error;
}

int request_wait_any(struct vm *vm, unsigned int queue)
{
	struct fe_blk *blk = &vm->blks[queue];
	struct fe_blk_request *request;
	int ret;

	while ((ret = fe_blk_reap(blk, &request)) == 0) {
		ret = fe_vring_wait(blk->vring, blk->timeout_msec);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return ret;
	ret = fe_blk_result(request);
	fe_blk_put(request);
	return ret;
}

int request_range(struct check *check, struct vm *vm, uint32_t type,
		  const struct virtio_blk_discard_write_zeroes *range)
{
	const struct request request = {
		.type = type,
		.bytes = sizeof(*range),
		.out = range,
	};
	struct request_result result;

	return request_run(check, vm, &request, &result);
}

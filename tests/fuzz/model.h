/* SPDX-License-Identifier: MIT */
/*
 * model - what virtio-blk asks of a device, written down a second time
 *
 * For a chain as the queue hands it out: can it be answered, with which
 * status, after which operations on the disk? Written after virtio 1.3, 5.2.6
 * and docs/security.md, without the speed that the product needs.
 */
#ifndef TESTS_FUZZ_MODEL_H
#define TESTS_FUZZ_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <ringhost/queue.h>

#include "server/request.h"

#define MODEL_MAX_OPS 32

struct model_disk {
	uint64_t size_bytes; /* as the guest was told */
	uint64_t block_bytes;
	bool read_only;
	bool can_discard;
	bool can_write_zeroes;
	uint32_t max_sectors; /* of one segment */
};

struct model_op {
	enum blk_op op;
	uint64_t offset_bytes;
	uint64_t bytes;
	bool unmap;
};

struct model_request {
	bool is_rejected;      /* there is nowhere to put a status */
	uint8_t status;	       /* if every operation succeeds */
	uint32_t used_bytes;   /* the same: the length of the used entry */
	const uint8_t *answer; /* where the status goes; the library's view */
	unsigned int nr_ops;
	struct model_op ops[MODEL_MAX_OPS];
};

/* Before anybody has edited the chain. */
void model_read(const struct rh_chain *chain, const struct model_disk *disk,
		struct model_request *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * packed - fuzzes a packed virtqueue and the block device behind it
 *
 * Untrusted here: the descriptor ring, which both sides write, the driver's
 * event suppression structure, and all that split.c lists behind descriptors.
 */
#include "tests/fuzz/layouts.h"

static struct fuzz_world world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_run(&world, &layout_packed, data, size);
	return 0;
}

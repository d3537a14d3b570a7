/* SPDX-License-Identifier: MIT */
/*
 * split - fuzzes a split virtqueue and the block device behind it
 *
 * Untrusted here: descriptors, available ring, used ring, indirect tables,
 * headers, segments, data; all of it is the guest's to write at any time.
 */
#include "tests/fuzz/layouts.h"

static struct fuzz_world world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_run(&world, &layout_split, data, size);
	return 0;
}

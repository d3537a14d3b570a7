/* SPDX-License-Identifier: MIT */
/*
 * group_requests - reads, writes, flushes, the serial number, many at once
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/request.h"

#define F_FLUSH	     FE_BIT(9)
#define ID_BYTES     VIRTIO_BLK_ID_BYTES
#define LARGE_BYTES  (256u << 10)
#define T_SECURE     14
#define LIFETIME_BIT FE_BIT(15)
#define SECURE_BIT   FE_BIT(16)

static void read_brings_the_same_twice(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 2 * TARGET_NR_SLOTS; i++)
		check_read(check, vm, 0);
}

static void write_is_read_back(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < TARGET_NR_SLOTS; i++)
		check_write(check, vm, 0);
}

/* From one block up to what one segment, or several, may hold. */
static void sizes_work(struct check *check)
{
	const struct target *target = check->target;
	uint32_t most = MIN(LARGE_BYTES, target->scratch_bytes);
	const struct vm_options options = { .depth = 1,
					    .data_bytes = LARGE_BYTES };
	struct request_result result;
	struct request request = { .sector = target->scratch_sector };
	struct vm *vm = check_open(check, &options);

	if (target->features & FE_BIT(VIRTIO_BLK_F_SIZE_MAX) &&
	    target->config.size_max)
		most = MIN(most, le32toh(target->config.size_max));
	for (uint32_t bytes = target->block_bytes; bytes <= most; bytes *= 2) {
		request.type = VIRTIO_BLK_T_OUT;
		request.bytes = bytes;
		request.seed = bytes;
		check_done(check, request_run(check, vm, &request, &result),
			   "a write of %u bytes", bytes);
		request.type = VIRTIO_BLK_T_IN;
		check_done(check, request_run(check, vm, &request, &result),
			   "a read of %u bytes", bytes);
		if (!check_filled(result.data, bytes, request.seed))
			check_fail(check,
				   "%u bytes were written, and others "
				   "read back",
				   bytes);
	}
}

static void writes_touch_nothing_else(struct check *check)
{
	const struct target *target = check->target;
	uint32_t block = target->block_bytes;
	struct vm *vm = check_open(check, NULL);
	struct fe_blk *blk = &vm->blks[0];
	uint8_t *data = check_alloc(check, (size_t)3 * block);
	uint64_t sector = target->scratch_sector;

	check_fill(data, block, 7);
	check_done(check, fe_blk_write(blk, sector + block / 512, data, block),
		   "a write of one block");
	for (unsigned int i = 0; i < 3; i++)
		check_done(check,
			   fe_blk_read(blk, sector + i * (block / 512),
				       data + i * block, block),
			   "a read of one block");
	if (!check_filled(data + block, block, 7))
		check_fail(check,
			   "the block at sector %llu is not what was "
			   "written to it",
			   (unsigned long long)sector + block / 512);
	if (memcmp(data, target->scratch, block) ||
	    memcmp(data + 2 * block, target->scratch + 2 * block, block))
		check_fail(check, "a block beside the one that was written "
				  "has changed");
	free(data);
}

static void used_length_counts_what_was_written(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = {
		.type = VIRTIO_BLK_T_OUT,
		.sector = target_slot_sector(check->target, 1),
		.bytes = check->target->unit_bytes,
	};
	struct request_result result;

	check_done(check, request_run(check, vm, &request, &result), "a write");
	if (result.used_bytes != 1)
		check_fail(check,
			   "the used length of a write is %u, not 1 "
			   "(the status)",
			   result.used_bytes);
	request.type = VIRTIO_BLK_T_FLUSH;
	request.sector = 0;
	request.bytes = 0;
	if (!(check->target->features & F_FLUSH))
		return;
	check_done(check, request_run(check, vm, &request, &result), "a flush");
	if (result.used_bytes != 1)
		check_fail(check,
			   "the used length of a flush is %u, not 1 "
			   "(the status)",
			   result.used_bytes);
}

static void flush_works(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 3; i++)
		check_done(check, fe_blk_flush(&vm->blks[0]), "a flush");
}

static void flush_beside_writes(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_blk *blk = &vm->blks[0];
	struct fe_blk_request *request;
	unsigned int nr = 0;

	while ((request = fe_blk_get(blk))) {
		request->type =
			nr % 4 == 3 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT;
		if (request->type == VIRTIO_BLK_T_OUT) {
			request->sector = target_slot_sector(check->target, nr);
			request->data_bytes = check->target->unit_bytes;
			check_fill(request->data, request->data_bytes, nr);
		}
		check_done(check, fe_blk_add(request), "add a request");
		nr++;
	}
	fe_vring_submit(blk->vring);
	for (unsigned int i = 0; i < nr; i++)
		check_done(check, request_wait_any(vm, 0),
			   "writes and flushes together, request %u of %u",
			   i + 1, nr);
}

static void id_is_told(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = { .type = VIRTIO_BLK_T_GET_ID,
				   .bytes = ID_BYTES };
	struct request_result result;
	char first[ID_BYTES];
	int error;

	error = request_run(check, vm, &request, &result);
	if (error == -EOPNOTSUPP)
		check_skip(check, "it has no serial number");
	check_done(check, error, "GET_ID with 20 bytes");
	memcpy(first, result.data, ID_BYTES);
	check_done(check, request_run(check, vm, &request, &result),
		   "GET_ID again");
	if (memcmp(first, result.data, ID_BYTES))
		check_fail(check, "GET_ID brought another number than before");
	if (result.used_bytes < 1 || result.used_bytes > ID_BYTES + 1)
		check_fail(check, "the used length of GET_ID is %u",
			   result.used_bytes);
}

static void unknown_types_are_unsupported(struct check *check)
{
	const uint32_t types[] = {
		2, 3, 5, 6, 7, 9, 12, 255, 65536, 0x7fffffff
	};
	struct vm *vm = check_open(check, NULL);
	struct request request = {
		.sector = target_slot_sector(check->target, 1),
		.bytes = check->target->unit_bytes,
	};
	struct request_result result;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		request.type = types[i];
		error = request_run(check, vm, &request, &result);
		if (error != -EOPNOTSUPP)
			check_fail(check, "a request of type %u: %s", types[i],
				   check_error(error));
	}
}

static void unoffered_types_are_unsupported(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = { 0 };
	struct request_result result;
	int error;

	if (!(check->target->features & LIFETIME_BIT)) {
		request.type = FE_BLK_T_GET_LIFETIME;
		request.bytes = 24;
		error = request_run(check, vm, &request, &result);
		if (error != -EOPNOTSUPP)
			check_fail(check, "GET_LIFETIME: %s",
				   check_error(error));
	}
	if (!(check->target->features & SECURE_BIT)) {
		request.type = T_SECURE;
		request.bytes = 0;
		error = request_run(check, vm, &request, &result);
		/* that it may not write may come before what it is */
		if (error != -EOPNOTSUPP &&
		    !(check->target->read_only && error == -EIO))
			check_fail(check, "SECURE_ERASE without a range: %s",
				   check_error(error));
	}
}

static void reserved_field_is_ignored(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = {
		.type = VIRTIO_BLK_T_IN,
		.sector = target_slot_sector(check->target, 1),
		.bytes = check->target->unit_bytes,
		.ioprio = 0xffffffff,
	};
	struct request_result result;

	check_done(check, request_run(check, vm, &request, &result),
		   "a read whose reserved field is 0xffffffff");
}

static void many_are_served(struct check *check)
{
	const struct vm_options options = { .depth = 64, .queue_size = 256 };
	struct vm *vm = check_open(check, &options);

	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 64; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

static void many_are_served_one_by_one(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_blk *blk = &vm->blks[0];
	struct fe_blk_request *request;

	for (unsigned int i = 0; i < VM_DEPTH; i++)
		check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
	/* as soon as one is used, another one follows */
	for (unsigned int i = 0; i < 1000; i++) {
		while (fe_blk_reap(blk, &request) != 1)
			check_done(check,
				   fe_vring_wait(blk->vring, blk->timeout_msec),
				   "request %u of a steady load", i + 1);
		check_done(check, fe_blk_result(request), "a read");
		if (memcmp(request->data, request->user, request->data_bytes))
			check_fail(check, "a read brought other data than was "
					  "there");
		fe_blk_put(request);
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
	}
	check_reap(check, vm, 0);
}

static unsigned int nr_queues_of(const struct check *check)
{
	return (unsigned int)MIN(check->target->nr_queues,
				 UINT64_C(0) + VM_MAX_QUEUES);
}

static void each_queue_works(struct check *check)
{
	const struct vm_options options = { .nr_queues = nr_queues_of(check) };
	struct vm *vm = check_open(check, &options);

	for (unsigned int i = 0; i < options.nr_queues; i++)
		check_read(check, vm, i);
}

static void queues_work_side_by_side(struct check *check)
{
	const struct vm_options options = { .nr_queues = nr_queues_of(check) };
	struct vm *vm = check_open(check, &options);

	for (unsigned int round = 0; round < 30; round++) {
		for (unsigned int i = 0; i < options.nr_queues; i++) {
			for (unsigned int k = 0; k < VM_DEPTH; k++)
				check_add_read(check, vm, i);
			fe_vring_submit(&vm->vrings[i]);
		}
		for (unsigned int i = 0; i < options.nr_queues; i++)
			check_reap(check, vm, i);
	}
}

static void writes_show_on_other_queues(struct check *check)
{
	const struct vm_options options = { .nr_queues = 2 };
	const struct target *target = check->target;
	struct vm *vm = check_open(check, &options);
	uint32_t unit = target->unit_bytes;
	uint8_t *data = check_alloc(check, unit);
	uint64_t sector;
	int error;

	for (unsigned int i = 0; i < TARGET_NR_SLOTS; i++) {
		sector = target_slot_sector(target, i);
		check_fill(data, unit, i);
		error = fe_blk_write(&vm->blks[0], sector, data, unit);
		if (!error)
			error = fe_blk_read(&vm->blks[1], sector, data, unit);
		check_done(check, error, "write on queue 0, read on queue 1");
		if (!check_filled(data, unit, i))
			check_fail(check, "queue 1 reads what was there before "
					  "queue 0's write was completed");
	}
	free(data);
}

static void writes_to_a_read_only_disk_fail(struct check *check)
{
	const struct target *target = check->target;
	struct vm *vm = check_open(check, NULL);
	uint8_t *data = check_alloc(check, target->unit_bytes);
	int error;

	error = fe_blk_write(&vm->blks[0], target_slot_sector(target, 0), data,
			     target->unit_bytes);
	if (error != -EIO)
		check_fail(check, "a write to a read-only disk: %s",
			   check_error(error));
	check->next_slot = 0;
	check_read(check, vm, 0);
	free(data);
}

static const struct check_case cases[] = {
	{ .name = "read-brings-the-same-twice",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a read brings what is on the disk",
	  .run = read_brings_the_same_twice },
	{ .name = "write-is-read-back",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a read that begins after a write was completed brings "
		     "what was written",
	  .run = write_is_read_back,
	  .flags = CHECK_WRITES },
	{ .name = "sizes-up-to-256-kib-work",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a request has any number of blocks that one segment may "
		     "hold",
	  .run = sizes_work,
	  .flags = CHECK_WRITES },
	{ .name = "write-touches-nothing-else",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a write changes the sectors that it names, in units of "
		     "512 bytes, and no other",
	  .run = writes_touch_nothing_else,
	  .flags = CHECK_WRITES },
	{ .name = "used-length-counts-what-was-written",
	  .section = "virtio 1.3: 2.7.8.2",
	  .promise = "the used length is the number of bytes that were written "
		     "to the buffers",
	  .run = used_length_counts_what_was_written,
	  .flags = CHECK_WRITES },
	{ .name = "flush-works",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "a disk that offers FLUSH can flush",
	  .run = flush_works,
	  .features = F_FLUSH },
	{ .name = "flush-works-beside-writes",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "flushes and writes may be under way together",
	  .run = flush_beside_writes,
	  .flags = CHECK_WRITES,
	  .features = F_FLUSH },
	{ .name = "id-is-told",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "GET_ID brings at most 20 bytes, the same each time",
	  .run = id_is_told },
	{ .name = "unknown-types-are-unsupported",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a request of a type that the device does not know is "
		     "completed with status UNSUPP",
	  .run = unknown_types_are_unsupported },
	{ .name = "types-that-were-not-offered-are-unsupported",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a request that needs a feature which was not offered is "
		     "completed with status UNSUPP, or on a read-only disk "
		     "with IOERR",
	  .run = unoffered_types_are_unsupported,
	  .flags = CHECK_HOSTILE },
	{ .name = "reserved-field-is-ignored",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "the reserved field of the header means nothing",
	  .run = reserved_field_is_ignored },
	{ .name = "64-requests-are-served-together",
	  .section = "virtio 1.3: 2.7.13",
	  .promise = "each of many requests is served, with its own data",
	  .run = many_are_served },
	{ .name = "steady-load-is-served",
	  .section = "virtio 1.3: 2.7.13",
	  .promise = "requests that come while others are under way are served",
	  .run = many_are_served_one_by_one },
	{ .name = "each-queue-works",
	  .section = "vhost-user: Multiple queue support",
	  .promise =
		  "each of the first 8 queues that were told serves requests",
	  .run = each_queue_works },
	{ .name = "queues-work-side-by-side",
	  .section = "vhost-user: Multiple queue support",
	  .promise = "all queues serve requests at the same time",
	  .run = queues_work_side_by_side,
	  .flags = CHECK_QUEUES_2 },
	{ .name = "writes-show-on-other-queues",
	  .section = "virtio 1.3: 5.2.6",
	  .promise =
		  "a write that was completed is seen by reads on all queues",
	  .run = writes_show_on_other_queues,
	  .flags = CHECK_QUEUES_2 | CHECK_WRITES },
	{ .name = "write-to-a-read-only-disk-fails",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "a device that offers RO must fail writes with IOERR, and "
		     "write nothing",
	  .run = writes_to_a_read_only_disk_fail,
	  .flags = CHECK_READ_ONLY,
	  .features = FE_BIT(VIRTIO_BLK_F_RO) },
};

const struct check_group group_requests =
	CHECK_GROUP("requests", "reads, writes, flushes", cases);

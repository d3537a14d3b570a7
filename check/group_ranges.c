/* SPDX-License-Identifier: MIT */
/*
 * group_ranges - where the disk ends, and DISCARD and WRITE_ZEROES
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/request.h"

#define F_DISCARD  FE_BIT(VIRTIO_BLK_F_DISCARD)
#define F_ZEROES   FE_BIT(VIRTIO_BLK_F_WRITE_ZEROES)
#define F_UNMAP	   VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define FLAGS_WILD 0x80000006u

static struct virtio_blk_discard_write_zeroes
make_range(uint64_t sector, uint32_t nr_sectors, uint32_t flags)
{
	return (struct virtio_blk_discard_write_zeroes){
		.sector = htole64(sector),
		.num_sectors = htole32(nr_sectors),
		.flags = htole32(flags),
	};
}

static const char *name_of(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD ? "DISCARD" : "WRITE_ZEROES";
}

static uint8_t *make_room(struct check *check)
{
	uint8_t *data = check_alloc(check, check->target->unit_bytes);

	return data;
}

static void last_block_is_read(struct check *check)
{
	const struct target *target = check->target;
	struct vm *vm = check_open(check, NULL);
	uint8_t *data = make_room(check);
	uint32_t block = target->block_bytes;
	uint64_t sector =
		target->scratch_sector + (target->scratch_bytes - block) / 512;

	check_done(check, fe_blk_read(&vm->blks[0], sector, data, block),
		   "a read of the last block, sector %llu",
		   (unsigned long long)sector);
	if (memcmp(data, target->scratch + target->scratch_bytes - block,
		   block))
		check_fail(check, "the last block is not what it was in a "
				  "larger read");
}

/* Sectors at which the disk is over, and those that wrap in bytes. */
static void try_beyond(struct check *check, uint32_t type)
{
	uint64_t end = check->target->nr_sectors;
	uint64_t block = check->target->block_bytes / 512;
	const uint64_t sectors[] = {
		end,
		end + block,
		UINT64_C(1) << 54,
		(UINT64_C(1) << 55) - block,
		UINT64_C(1) << 55,
		UINT64_C(1) << 63,
		UINT64_MAX - block + 1,
	};
	struct request request = { .type = type,
				   .bytes = check->target->block_bytes };
	struct request_result result;
	struct vm *vm = check_open(check, NULL);
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		request.sector = sectors[i];
		error = request_run(check, vm, &request, &result);
		if (error != -EIO)
			check_fail(check,
				   "one block at sector %llu of %llu: %s",
				   (unsigned long long)sectors[i],
				   (unsigned long long)end, check_error(error));
	}
	/* across the end: nothing of it is done */
	request.bytes = check->target->block_bytes * 2;
	request.sector = align_down(end, block) - block;
	error = request_run(check, vm, &request, &result);
	if (error != -EIO)
		check_fail(check, "two blocks from the last one on: %s",
			   check_error(error));
}

static void reads_beyond_the_end_fail(struct check *check)
{
	try_beyond(check, VIRTIO_BLK_T_IN);
}

static void writes_beyond_the_end_fail(struct check *check)
{
	const struct target *target = check->target;
	uint32_t block = target->block_bytes;
	uint8_t *data = make_room(check);
	uint64_t sector =
		target->scratch_sector + (target->scratch_bytes - block) / 512;

	try_beyond(check, VIRTIO_BLK_T_OUT);
	check_done(check, fe_blk_read(&check->vm.blks[0], sector, data, block),
		   "a read of the last block");
	if (memcmp(data, target->scratch + target->scratch_bytes - block,
		   block))
		check_fail(check, "a write across the end, which failed, has "
				  "changed the last block");
}

static void misaligned_requests_fail(struct check *check)
{
	struct request request = {
		.sector = target_slot_sector(check->target, 1) + 1,
		.bytes = check->target->block_bytes,
	};
	struct request_result result;
	struct vm *vm = check_open(check, NULL);
	int error;

	if (check->target->block_bytes == 512)
		check_skip(check, "its blocks are sectors");
	error = request_run(check, vm, &request, &result);
	if (error && error != -EIO && error != -EOPNOTSUPP)
		check_done(check, error, "a read that begins within a block");
}

/* Write slots 2, 3 and 4, then let the range lie over slot 3. */
static struct vm *write_three(struct check *check)
{
	const struct target *target = check->target;
	struct vm *vm = check_open(check, NULL);
	uint8_t *data = make_room(check);

	for (unsigned int slot = 2; slot < 5; slot++) {
		check_fill(data, target->unit_bytes, slot);
		check_done(check,
			   fe_blk_write(&vm->blks[0],
					target_slot_sector(target, slot), data,
					target->unit_bytes),
			   "a write");
	}
	free(data);
	return vm;
}

static void neighbours_are_there(struct check *check, struct vm *vm,
				 uint32_t type)
{
	const struct target *target = check->target;
	uint8_t *data = make_room(check);

	for (unsigned int slot = 2; slot < 5; slot += 2) {
		check_done(check,
			   fe_blk_read(&vm->blks[0],
				       target_slot_sector(target, slot), data,
				       target->unit_bytes),
			   "a read");
		if (!check_filled(data, target->unit_bytes, slot))
			check_fail(check,
				   "%s has changed blocks beside its "
				   "range",
				   name_of(type));
	}
	free(data);
}

static struct virtio_blk_discard_write_zeroes slot_3(struct check *check,
						     uint32_t flags)
{
	return make_range(target_slot_sector(check->target, 3),
			  check->target->unit_bytes / 512, flags);
}

static void discard_keeps_its_range(struct check *check)
{
	struct vm *vm = write_three(check);
	const struct virtio_blk_discard_write_zeroes range = slot_3(check, 0);

	check_done(check,
		   request_range(check, vm, VIRTIO_BLK_T_DISCARD, &range),
		   "DISCARD of 4 KiB, or a block");
	neighbours_are_there(check, vm, VIRTIO_BLK_T_DISCARD);
}

static void zero_slot_3(struct check *check, uint32_t flags)
{
	const struct target *target = check->target;
	struct vm *vm = write_three(check);
	const struct virtio_blk_discard_write_zeroes range =
		slot_3(check, flags);
	uint8_t *data = make_room(check);

	check_done(check,
		   request_range(check, vm, VIRTIO_BLK_T_WRITE_ZEROES, &range),
		   "WRITE_ZEROES of 4 KiB, or a block, with flags %u", flags);
	check_done(check,
		   fe_blk_read(&vm->blks[0], target_slot_sector(target, 3),
			       data, target->unit_bytes),
		   "a read");
	for (uint32_t i = 0; i < target->unit_bytes; i++)
		if (data[i])
			check_fail(check,
				   "byte %u of a range that was zeroed "
				   "is 0x%02x",
				   i, data[i]);
	neighbours_are_there(check, vm, VIRTIO_BLK_T_WRITE_ZEROES);
}

static void zeroes_are_read(struct check *check)
{
	zero_slot_3(check, 0);
}

static void zeroes_with_unmap_are_read(struct check *check)
{
	zero_slot_3(check, F_UNMAP);
}

static uint32_t most_segments(const struct check *check, uint32_t type)
{
	const struct virtio_blk_config *config = &check->target->config;

	return le32toh(type == VIRTIO_BLK_T_DISCARD ?
			       config->max_discard_seg :
			       config->max_write_zeroes_seg);
}

/* Slots 2 and 4, or as many as there may be of them. */
static void run_segments(struct check *check, uint32_t type)
{
	uint32_t sectors = check->target->unit_bytes / 512;
	const struct virtio_blk_discard_write_zeroes ranges[] = {
		make_range(target_slot_sector(check->target, 2), sectors, 0),
		make_range(target_slot_sector(check->target, 4), sectors, 0),
	};
	const struct request request = {
		.type = type,
		.bytes = sizeof(ranges),
		.out = ranges,
	};
	struct request_result result;
	struct vm *vm;

	if (most_segments(check, type) < 2)
		check_skip(check, "it takes one segment only");
	vm = check_open(check, NULL);
	check_done(check, request_run(check, vm, &request, &result),
		   "%s of two segments", name_of(type));
}

static void discards_of_two_segments_work(struct check *check)
{
	run_segments(check, VIRTIO_BLK_T_DISCARD);
}

static void zeroes_of_two_segments_work(struct check *check)
{
	run_segments(check, VIRTIO_BLK_T_WRITE_ZEROES);
}

static void expect_unsupported(struct check *check, uint32_t type,
			       uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range =
		slot_3(check, flags);
	struct vm *vm = check_open(check, NULL);
	int error = request_range(check, vm, type, &range);

	if (error != -EOPNOTSUPP)
		check_fail(check, "%s with flags 0x%x: %s", name_of(type),
			   flags, check_error(error));
}

static void discard_with_unmap_is_unsupported(struct check *check)
{
	expect_unsupported(check, VIRTIO_BLK_T_DISCARD, F_UNMAP);
}

static void discard_with_wild_flags(struct check *check)
{
	expect_unsupported(check, VIRTIO_BLK_T_DISCARD, FLAGS_WILD);
}

static void zeroes_with_wild_flags(struct check *check)
{
	expect_unsupported(check, VIRTIO_BLK_T_WRITE_ZEROES, FLAGS_WILD);
}

static void try_ranges_beyond(struct check *check, uint32_t type)
{
	uint64_t end = check->target->nr_sectors;
	uint32_t block = check->target->block_bytes / 512;
	const struct {
		const char *what;
		struct virtio_blk_discard_write_zeroes range;
	} rows[] = {
		{ "of a block behind the end", make_range(end, block, 0) },
		{ "across the end",
		  make_range(align_down(end, block) - block, 2 * block, 0) },
		{ "at sector 2^55", make_range(UINT64_C(1) << 55, block, 0) },
		{ "whose end wraps",
		  make_range(UINT64_MAX - block + 1, 2 * block, 0) },
	};
	struct vm *vm = check_open(check, NULL);
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		error = request_range(check, vm, type, &rows[i].range);
		if (error != -EIO && error != -EOPNOTSUPP)
			check_fail(check, "%s %s: %s", name_of(type),
				   rows[i].what, check_error(error));
	}
}

static void discards_beyond_the_end_fail(struct check *check)
{
	try_ranges_beyond(check, VIRTIO_BLK_T_DISCARD);
}

static void zeroes_beyond_the_end_fail(struct check *check)
{
	try_ranges_beyond(check, VIRTIO_BLK_T_WRITE_ZEROES);
}

/* Payloads of no whole segments, and of more than were told. */
static void try_payloads(struct check *check, uint32_t type)
{
	struct virtio_blk_discard_write_zeroes ranges[260] = { 0 };
	uint32_t most = most_segments(check, type);
	const uint32_t sizes[] = { 0, 1, 8, 15, 17, 31, (most + 1) * 16 };
	struct request request = { .type = type, .out = ranges };
	struct request_result result;
	struct vm *vm;
	int error;

	/* ranges of nothing, in case that they are taken */
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] > sizeof(ranges))
			continue;
		vm = check_open(check, NULL);
		request.bytes = sizes[i];
		error = request_run(check, vm, &request, &result);
		if (error != -EIO && error != -EOPNOTSUPP &&
		    error != -ECONNRESET && error != -EPIPE)
			check_fail(check,
				   "%s with a payload of %u bytes, and at most "
				   "%u segments of 16: %s",
				   name_of(type), sizes[i], most,
				   check_error(error));
	}
}

static void discard_payloads_are_checked(struct check *check)
{
	try_payloads(check, VIRTIO_BLK_T_DISCARD);
}

static void zeroes_payloads_are_checked(struct check *check)
{
	try_payloads(check, VIRTIO_BLK_T_WRITE_ZEROES);
}

static const struct check_case cases[] = {
	{ .name = "last-block-is-read",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "all sectors below the capacity can be read",
	  .run = last_block_is_read },
	{ .name = "read-beyond-the-end-fails",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a read that is not wholly below the capacity is "
		     "completed with status IOERR",
	  .run = reads_beyond_the_end_fail,
	  .flags = CHECK_HOSTILE },
	{ .name = "write-beyond-the-end-fails",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a write that is not wholly below the capacity is "
		     "completed with status IOERR",
	  .run = writes_beyond_the_end_fail,
	  .flags = CHECK_HOSTILE | CHECK_WRITES },
	{ .name = "read-within-a-block-is-answered",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "a read that begins within a block is served or fails",
	  .run = misaligned_requests_fail,
	  .flags = CHECK_HOSTILE },
	{ .name = "discard-keeps-to-its-range",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "DISCARD succeeds and changes no sector beside its range",
	  .run = discard_keeps_its_range,
	  .flags = CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "discard-of-two-segments-works",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "DISCARD takes as many segments as max_discard_seg tells",
	  .run = discards_of_two_segments_work,
	  .flags = CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "write-zeroes-is-read-as-zeroes",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "after WRITE_ZEROES its range reads as zeroes, and no "
		     "other sector has changed",
	  .run = zeroes_are_read,
	  .flags = CHECK_WRITES,
	  .features = F_ZEROES },
	{ .name = "write-zeroes-with-unmap-is-read-as-zeroes",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "with unmap set, too, the range reads as zeroes",
	  .run = zeroes_with_unmap_are_read,
	  .flags = CHECK_WRITES,
	  .features = F_ZEROES },
	{ .name = "write-zeroes-of-two-segments-works",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "WRITE_ZEROES takes as many segments as "
		     "max_write_zeroes_seg tells",
	  .run = zeroes_of_two_segments_work,
	  .flags = CHECK_WRITES,
	  .features = F_ZEROES },
	{ .name = "discard-with-unmap-is-unsupported",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "a device must complete a DISCARD whose unmap is set with "
		     "UNSUPP",
	  .run = discard_with_unmap_is_unsupported,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "discard-with-reserved-flags-is-unsupported",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "a device must complete a DISCARD with flags that it does "
		     "not know with UNSUPP",
	  .run = discard_with_wild_flags,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "write-zeroes-with-reserved-flags-is-unsupported",
	  .section = "virtio 1.3: 5.2.6.2",
	  .promise = "a device must complete a WRITE_ZEROES with flags that it "
		     "does not know with UNSUPP",
	  .run = zeroes_with_wild_flags,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_ZEROES },
	{ .name = "discard-beyond-the-end-fails",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "a DISCARD that is not wholly below the capacity fails",
	  .run = discards_beyond_the_end_fail,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "write-zeroes-beyond-the-end-fails",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "a WRITE_ZEROES that is not wholly below the capacity "
		     "fails",
	  .run = zeroes_beyond_the_end_fail,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_ZEROES },
	{ .name = "discard-payload-is-checked",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "a DISCARD whose payload is no whole number of segments, "
		     "none, or more than max_discard_seg, fails",
	  .run = discard_payloads_are_checked,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_DISCARD },
	{ .name = "write-zeroes-payload-is-checked",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "a WRITE_ZEROES whose payload is no whole number of "
		     "segments, none, or more than max_write_zeroes_seg, fails",
	  .run = zeroes_payloads_are_checked,
	  .flags = CHECK_HOSTILE | CHECK_WRITES,
	  .features = F_ZEROES },
};

const struct check_group group_ranges = CHECK_GROUP(
	"ranges", "the end of the disk, discards and zeroes", cases);

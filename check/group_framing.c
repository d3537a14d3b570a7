/* SPDX-License-Identifier: MIT */
/*
 * group_framing - requests cut into descriptors in any way (virtio 1.3, 2.7.4)
 */
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/request.h"

/* Read with this framing, directly and through a table where there is one. */
static void read_framed(struct check *check, const struct fe_framing *framing)
{
	bool has_tables = check->target->features & FE_FEATURE_INDIRECT;
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < (has_tables ? 2 : 1); i++) {
		vm->blks[0].framing = *framing;
		vm->blks[0].framing.indirect = i;
		for (unsigned int k = 0; k < 4; k++)
			check_read(check, vm, 0);
	}
}

static void write_framed(struct check *check, const struct fe_framing *framing)
{
	struct vm *vm = check_open(check, NULL);

	vm->blks[0].framing = *framing;
	for (unsigned int k = 0; k < 4; k++)
		check_write(check, vm, 0);
}

/* No more pieces than seg_max, whatever the block size is. */
static uint32_t piece_bytes(struct check *check, unsigned int nr_pieces)
{
	if (check->target->seg_max < nr_pieces)
		check_skip(check, "it takes %u segments only",
			   check->target->seg_max);
	return check->target->unit_bytes / nr_pieces;
}

static void split_headers(struct check *check)
{
	struct fe_framing framing = { 0 };

	for (uint32_t bytes = 1; bytes < FE_BLK_HEADER_BYTES; bytes += 2) {
		framing.header_piece_bytes = bytes;
		read_framed(check, &framing);
	}
}

static void header_and_data_together(struct check *check)
{
	const struct fe_framing framing = { .join_header = true };

	write_framed(check, &framing);
}

static void data_and_status_together(struct check *check)
{
	const struct fe_framing framing = { .join_status = true };

	read_framed(check, &framing);
}

static void data_in_blocks(struct check *check)
{
	const struct fe_framing framing = {
		.data_piece_bytes = piece_bytes(check, 8),
	};

	read_framed(check, &framing);
	if (!check->target->read_only)
		write_framed(check, &framing);
}

static void data_in_odd_pieces(struct check *check)
{
	const struct fe_framing framing = {
		.data_piece_bytes = piece_bytes(check, 8) + 1,
	};

	read_framed(check, &framing);
}

static void writes_in_odd_pieces(struct check *check)
{
	const struct fe_framing framing = {
		.data_piece_bytes = piece_bytes(check, 8) + 1,
	};

	write_framed(check, &framing);
}

static void everything_odd(struct check *check)
{
	const struct fe_framing framing = {
		.header_piece_bytes = 5,
		.data_piece_bytes = piece_bytes(check, 8) + 3,
		.join_header = true,
		.join_status = true,
	};

	read_framed(check, &framing);
}

static void as_many_segments_as_told(struct check *check)
{
	const struct target *target = check->target;
	unsigned int nr = MIN(target->seg_max, 126u);
	const struct vm_options options = { .queue_size = 256 };
	struct vm *vm = check_open(check, &options);

	/* whole sectors would be enough for some devices: these are not */
	vm->blks[0].framing.data_piece_bytes =
		(target->unit_bytes + nr - 1) / nr;
	for (unsigned int i = 0; i < 4; i++)
		check_read(check, vm, 0);
}

static void id_in_pieces(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = { .type = VIRTIO_BLK_T_GET_ID,
				   .bytes = VIRTIO_BLK_ID_BYTES };
	struct request_result result;
	uint8_t whole[VIRTIO_BLK_ID_BYTES];
	int error = request_run(check, vm, &request, &result);

	if (error == -EOPNOTSUPP)
		check_skip(check, "it has no serial number");
	check_done(check, error, "GET_ID");
	memcpy(whole, result.data, sizeof(whole));
	request.framing.data_piece_bytes = piece_bytes(check, 3) ? 7 : 0;
	check_done(check, request_run(check, vm, &request, &result),
		   "GET_ID with 20 bytes in pieces of 7");
	if (memcmp(whole, result.data, sizeof(whole)))
		check_fail(check, "GET_ID in pieces of 7 bytes brought another "
				  "number than in one");
}

static void id_in_larger_buffers(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct request request = { .type = VIRTIO_BLK_T_GET_ID, .bytes = 64 };
	struct request_result result;
	int error = request_run(check, vm, &request, &result);

	/* the driver must give 20, so refusing is right, too */
	if (error && error != -EIO && error != -EOPNOTSUPP)
		check_done(check, error, "GET_ID with 64 bytes");
	for (unsigned int i = VIRTIO_BLK_ID_BYTES; i < 64; i++)
		if (result.data[i] != 0x5a && result.data[i])
			check_fail(check, "GET_ID brought more than 20 bytes");
}

static void expect_answer(struct check *check, int error, const char *what)
{
	if (error == -EIO || error == -EOPNOTSUPP || error == -EPIPE ||
	    error == -ECONNRESET)
		return;
	check_fail(check, "%s: %s", what, check_error(error));
}

static void odd_lengths_fail(struct check *check)
{
	const uint32_t sizes[] = { 1, 511, 513, 767 };
	struct request request = {
		.sector = target_slot_sector(check->target, 1),
	};
	struct request_result result;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		request.bytes = sizes[i];
		vm = check_open(check, NULL);
		expect_answer(check, request_run(check, vm, &request, &result),
			      "a read of bytes that are no whole sectors");
	}
}

static void odd_writes_fail(struct check *check)
{
	const uint32_t sizes[] = { 1, 511, 513, 767 };
	struct request request = {
		.type = VIRTIO_BLK_T_OUT,
		.sector = target_slot_sector(check->target, 1),
	};
	struct request_result result;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		request.bytes = sizes[i];
		vm = check_open(check, NULL);
		expect_answer(check, request_run(check, vm, &request, &result),
			      "a write of bytes that are no whole sectors");
	}
	vm = check_open(check, NULL);
	check->next_slot = 1;
	check_read(check, vm, 0);
}

static void empty_requests_are_answered(struct check *check)
{
	struct request request = {
		.sector = target_slot_sector(check->target, 1),
	};
	struct request_result result;
	struct vm *vm = check_open(check, NULL);
	int error = request_run(check, vm, &request, &result);

	if (error)
		expect_answer(check, error, "a read of no bytes");
}

/* Some see a read, or a write, of no bytes, which is right as well. */
static void wrong_directions_do_nothing(struct check *check)
{
	struct request request = {
		.sector = target_slot_sector(check->target, 1),
		.bytes = check->target->unit_bytes,
		.framing.reverse_data = true,
	};
	struct request_result result;
	struct vm *vm = check_open(check, NULL);
	int error = request_run(check, vm, &request, &result);

	if (error)
		expect_answer(check, error, "a read whose data is readable");
	for (uint32_t i = 0; i < request.bytes; i++)
		if (result.data[i] != 0x5a)
			check_fail(check, "a read was written to a buffer that "
					  "is not for the device to write");
	request.type = VIRTIO_BLK_T_OUT;
	vm = check_open(check, NULL);
	error = request_run(check, vm, &request, &result);
	if (error)
		expect_answer(check, error, "a write whose data is writable");
	vm = check_open(check, NULL);
	check->next_slot = 1;
	check_read(check, vm, 0);
}

#define ANY_FRAMING(case_name, function, case_flags)                           \
	{                                                                      \
		.name = case_name, .section = "virtio 1.3: 2.7.4.1",           \
		.promise = "a device must not make assumptions about how a "   \
			   "request is cut into descriptors",                  \
		.run = function, .flags = case_flags                           \
	}

static const struct check_case cases[] = {
	ANY_FRAMING("header-may-be-split", split_headers, 0),
	ANY_FRAMING("header-and-data-may-be-together", header_and_data_together,
		    CHECK_WRITES),
	ANY_FRAMING("data-and-status-may-be-together", data_and_status_together,
		    0),
	ANY_FRAMING("data-may-be-in-many-pieces", data_in_blocks, CHECK_WRITES),
	ANY_FRAMING("data-may-be-read-to-odd-pieces", data_in_odd_pieces, 0),
	ANY_FRAMING("data-may-be-written-from-odd-pieces", writes_in_odd_pieces,
		    CHECK_WRITES),
	ANY_FRAMING("all-may-be-odd-at-once", everything_odd, 0),
	ANY_FRAMING("id-may-be-read-in-pieces", id_in_pieces, 0),
	{ .name = "seg-max-segments-work",
	  .section = "virtio 1.3: 5.2.4",
	  .promise = "a request may have as many segments as seg_max tells, "
		     "or 126 of them",
	  .run = as_many_segments_as_told,
	  .features = FE_BIT(VIRTIO_BLK_F_SEG_MAX) },
	{ .name = "id-has-20-bytes-at-most",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "GET_ID with more room than 20 bytes is refused, or "
		     "brings no more",
	  .run = id_in_larger_buffers,
	  .flags = CHECK_HOSTILE },
	{ .name = "read-of-no-whole-sectors-fails",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise = "data of a read is a multiple of 512 bytes",
	  .run = odd_lengths_fail,
	  .flags = CHECK_HOSTILE },
	{ .name = "write-of-no-whole-sectors-fails",
	  .section = "virtio 1.3: 5.2.6.1",
	  .promise =
		  "data of a write is a multiple of 512 bytes; another write "
		  "changes nothing",
	  .run = odd_writes_fail,
	  .flags = CHECK_HOSTILE | CHECK_WRITES },
	{ .name = "empty-read-is-answered",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "a read of no bytes is completed, with whatever status",
	  .run = empty_requests_are_answered,
	  .flags = CHECK_HOSTILE },
	{ .name = "data-in-the-wrong-direction-is-not-used",
	  .section = "virtio 1.3: 2.7.5.1",
	  .promise = "a device must not write to a buffer that is for it to "
		     "read; such a request is completed, and nothing is done",
	  .run = wrong_directions_do_nothing,
	  .flags = CHECK_HOSTILE | CHECK_WRITES },
};

const struct check_group group_framing = CHECK_GROUP(
	"framing", "requests cut into descriptors in any way", cases);

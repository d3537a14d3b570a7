/* SPDX-License-Identifier: MIT */
/*
 * group_slots - guest memory region by region: ADD_MEM_REG and REM_MEM_REG
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check/groups.h"
#include "check/shape.h"
#include "common/fd.h"

#define PAGE	   4096u
#define MIB	   (UINT64_C(1) << 20)
#define GIB	   (UINT64_C(1) << 30)
#define MOST	   509 /* as many as any hypervisor has */
#define QUIET_MSEC 200

static struct fe_wire_region small_region(unsigned int i)
{
	return (struct fe_wire_region){
		.guest_addr = 64 * GIB + 2 * (uint64_t)i * PAGE,
		.size_bytes = PAGE,
		.user_addr = UINT64_C(1) << 46 | 2 * (uint64_t)i * PAGE,
		.mmap_offset = (uint64_t)i * PAGE,
	};
}

static int send_region(struct vm *vm, uint32_t request,
		       const struct fe_wire_region *region, int fd)
{
	struct fe_message message;

	fe_message_init(&message, request, sizeof(message.payload.single));
	message.payload.single.region = *region;
	return fe_session_exchange(&vm->session, &message, &fd, fd >= 0);
}

static uint64_t ask_slots(struct check *check, struct vm *vm)
{
	uint64_t nr = 0;

	check_done(check,
		   fe_session_get(&vm->session, FE_GET_MAX_MEM_SLOTS, &nr),
		   "GET_MAX_MEM_SLOTS");
	return nr;
}

static void slots_are_told(struct check *check)
{
	uint64_t nr = ask_slots(check, check_connect(check, NULL));

	if (!nr)
		check_fail(check, "GET_MAX_MEM_SLOTS is answered with 0");
}

static void region_may_come_while_rings_run(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	int ret = fe_memory_add(&vm->memory, 4 * GIB, 4 * MIB);
	struct fe_blk more;

	check_read(check, vm, 0);
	check_done(check, MIN(ret, 0), "make memory on this side");
	check_done(check,
		   fe_session_add_region(&vm->session, &vm->memory.regions[1]),
		   "ADD_MEM_REG while a ring runs");
	ret = fe_blk_init(&more, &vm->vrings[0], 1, 1,
			  check->target->unit_bytes);
	if (ret)
		check_skip(check, "its blocks are larger than the test's "
				  "memory");
	vm->blks[0] = more;
	vm->blks[0].timeout_msec = vm->session.timeout_msec;
	check_read(check, vm, 0);
}

static void region_may_go_while_rings_run(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	const struct fe_region *region = &vm->memory.regions[1];
	int ret = fe_memory_add(&vm->memory, 4 * GIB, MIB);

	check_done(check, MIN(ret, 0), "make memory on this side");
	for (unsigned int i = 0; i < 20; i++) {
		check_done(check, fe_session_add_region(&vm->session, region),
			   "ADD_MEM_REG");
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_done(check,
			   fe_session_remove_region(&vm->session, region),
			   "REM_MEM_REG of a region without rings");
		check_reap(check, vm, 0);
	}
}

static void mmap_offset_does_not_name_a_region(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	cleanup_close int fd = rh_memfd_create("check", 4 * PAGE);
	struct fe_wire_region region = small_region(1);

	check_done(check, send_region(vm, FE_ADD_MEM_REG, &region, fd),
		   "ADD_MEM_REG");
	region.mmap_offset = 0;
	check_done(check, send_region(vm, FE_REM_MEM_REG, &region, -1),
		   "REM_MEM_REG with another mmap offset");
}

static void all_slots_can_be_used(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	unsigned int nr =
		(unsigned int)MIN(ask_slots(check, vm), UINT64_C(0) + MOST);
	cleanup_close int fd = rh_memfd_create("check", (size_t)nr * PAGE);
	struct fe_wire_region region;

	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < nr; i++) {
			region = small_region(i);
			check_done(check,
				   send_region(vm, FE_ADD_MEM_REG, &region, fd),
				   "region %u of %u", i + 1, nr);
		}
		for (unsigned int i = 0; i < nr; i++) {
			region = small_region(i);
			check_done(check,
				   send_region(vm, FE_REM_MEM_REG, &region, -1),
				   "remove region %u of %u", i + 1, nr);
		}
	}
}

static void slots_leak_nothing(struct check *check)
{
	struct target_footprint before = check_footprint(check);

	all_slots_can_be_used(check);
	check_same_footprint(check, &before);
}

static void fd_of_a_removal_is_closed(struct check *check)
{
	struct target_footprint before = check_footprint(check);
	struct vm *vm = check_connect(check, NULL);
	cleanup_close int fd = rh_memfd_create("check", 4 * PAGE);
	struct fe_wire_region region = small_region(0);

	for (unsigned int i = 0; i < 20; i++) {
		check_done(check, send_region(vm, FE_ADD_MEM_REG, &region, fd),
			   "ADD_MEM_REG");
		check_harmless(check,
			       send_region(vm, FE_REM_MEM_REG, &region, fd),
			       "REM_MEM_REG with an fd");
	}
	check_same_footprint(check, &before);
}

static void more_slots_than_told_do_no_harm(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	uint64_t nr = ask_slots(check, vm);
	cleanup_close int fd = -1;
	struct fe_wire_region region;
	int error = 0;

	if (nr > MOST)
		check_skip(check, "it has more slots than the test fills");
	fd = rh_memfd_create("check", (nr + 8) * PAGE);
	for (unsigned int i = 0; i < nr; i++) {
		region = small_region(i);
		check_done(check, send_region(vm, FE_ADD_MEM_REG, &region, fd),
			   "region %u", i + 1);
	}
	for (unsigned int i = 0; i < 8 && error != -ECONNRESET; i++) {
		region = small_region((unsigned int)nr + i);
		error = send_region(vm, FE_ADD_MEM_REG, &region, fd);
		check_harmless(check, error, "region %llu of %llu",
			       (unsigned long long)nr + i + 1,
			       (unsigned long long)nr);
	}
}

static void unknown_regions_are_not_removed(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	cleanup_close int fd = rh_memfd_create("check", 4 * PAGE);
	struct fe_wire_region region = small_region(0);

	check_done(check, send_region(vm, FE_ADD_MEM_REG, &region, fd),
		   "ADD_MEM_REG");
	region = small_region(1);
	check_refused(check, send_region(vm, FE_REM_MEM_REG, &region, -1),
		      "REM_MEM_REG of a region that was not added");
}

static void region_without_fd_is_refused(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	struct fe_wire_region region = small_region(0);

	check_refused(check, send_region(vm, FE_ADD_MEM_REG, &region, -1),
		      "ADD_MEM_REG without an fd");
}

/* The region is ours, so we see whether somebody writes to it. */
static void removed_memory_is_not_written(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_blk_request *request = fe_blk_get(&vm->blks[0]);
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	int ret = fe_memory_add(&vm->memory, 4 * GIB, 4 * MIB);
	struct fe_buffers buffers;
	uint8_t *data;

	check_done(check, MIN(ret, 0), "make memory on this side");
	ret = fe_session_add_region(&vm->session, &vm->memory.regions[1]);
	if (!ret)
		ret = fe_session_remove_region(&vm->session,
					       &vm->memory.regions[1]);
	check_done(check, ret, "ADD_MEM_REG, REM_MEM_REG");
	data = fe_memory_pointer(&vm->memory, 4 * GIB, 4096);
	memset(data, 0x5a, 4096);
	request->data_bytes = check->target->unit_bytes;
	check_done(check, fe_blk_cut(request, pieces, &buffers), "a read");
	pieces[1].guest_addr = 4 * GIB;
	ret = fe_vring_add(&vm->vrings[0], &buffers, request);
	check_done(check, MIN(ret, 0), "put a read into the ring");
	fe_vring_submit(&vm->vrings[0]);
	fe_vring_wait(&vm->vrings[0], QUIET_MSEC);
	for (unsigned int i = 0; i < 4096; i++)
		if (data[i] != 0x5a)
			check_fail(check, "a read was written to memory that "
					  "REM_MEM_REG had taken away");
}

static const struct check_case cases[] = {
	{ .name = "slots-are-told",
	  .section = "vhost-user: GET_MAX_MEM_SLOTS",
	  .promise = "there is one memory slot at least",
	  .run = slots_are_told,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "region-may-come-while-rings-run",
	  .section = "vhost-user: ADD_MEM_REG",
	  .promise = "buffers in a region that was added while a ring runs are "
		     "found",
	  .run = region_may_come_while_rings_run,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "region-may-go-while-rings-run",
	  .section = "vhost-user: REM_MEM_REG",
	  .promise = "a region without rings and buffers may be removed with "
		     "requests under way",
	  .run = region_may_go_while_rings_run,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "mmap-offset-does-not-name-a-region",
	  .section = "vhost-user: REM_MEM_REG",
	  .promise = "a region to be removed is named by its guest address, "
		     "user address and size",
	  .run = mmap_offset_does_not_name_a_region,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "all-slots-can-be-used",
	  .section = "vhost-user: GET_MAX_MEM_SLOTS",
	  .promise = "as many regions can be added as were told, and again "
		     "when they were removed",
	  .run = all_slots_can_be_used,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "slots-leak-nothing",
	  .section = "vhost-user: REM_MEM_REG",
	  .promise = "mappings and fds of regions that were removed are not "
		     "kept",
	  .run = slots_leak_nothing,
	  .flags = CHECK_PID,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "fd-of-a-removal-is-closed",
	  .section = "vhost-user: REM_MEM_REG",
	  .promise = "an fd that comes with REM_MEM_REG is closed and not used",
	  .run = fd_of_a_removal_is_closed,
	  .flags = CHECK_HOSTILE | CHECK_PID,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "more-slots-than-told-do-no-harm",
	  .section = "vhost-user: GET_MAX_MEM_SLOTS",
	  .promise = "a region beyond the number that was told is answered or "
		     "ends the session",
	  .run = more_slots_than_told_do_no_harm,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
	{ .name = "unknown-regions-are-not-removed",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "success is told of a region that was removed only",
	  .run = unknown_regions_are_not_removed,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_MEM_SLOTS | FE_PROTOCOL_REPLY_ACK },
	{ .name = "region-without-fd-is-refused",
	  .section = "vhost-user: ADD_MEM_REG",
	  .promise = "exactly one fd comes with ADD_MEM_REG",
	  .run = region_without_fd_is_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_MEM_SLOTS | FE_PROTOCOL_REPLY_ACK },
	{ .name = "removed-memory-is-not-written",
	  .section = "vhost-user: REM_MEM_REG",
	  .promise = "memory that was taken away is not written any more",
	  .run = removed_memory_is_not_written,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_MEM_SLOTS },
};

const struct check_group group_slots =
	CHECK_GROUP("memory-slots", "guest memory region by region", cases);

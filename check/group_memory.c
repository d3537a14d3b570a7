/* SPDX-License-Identifier: MIT */
/*
 * group_memory - guest memory as a table: its regions, where they lie, and how
 * they change
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "check/groups.h"
#include "check/shape.h"
#include "common/fd.h"

#define PAGE 4096u
#define MIB  (UINT64_C(1) << 20)
#define GIB  (UINT64_C(1) << 30)

/* A session whose memory is told in a table, also if it has slots. */
static const struct vm_options with_table = {
	.refused_protocol = FE_PROTOCOL_MEM_SLOTS,
};

/* A read whose data goes to addr, of which bytes are looked at there. */
static void read_to(struct check *check, struct vm *vm, uint64_t addr)
{
	struct fe_blk_request *request = fe_blk_get(&vm->blks[0]);
	uint32_t bytes = check->target->unit_bytes;
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	uint8_t *at = fe_memory_pointer(&vm->memory, addr, bytes);
	int error;

	request->type = VIRTIO_BLK_T_IN;
	request->sector = target_slot_sector(check->target, 3);
	request->data_bytes = bytes;
	check_done(check, fe_blk_cut(request, pieces, &buffers), "a read");
	pieces[1].guest_addr = addr;
	if (at)
		memset(at, 0x5a, bytes);
	error = fe_vring_add(&vm->vrings[0], &buffers, request);
	check_done(check, MIN(error, 0), "put a read into the ring");
	vm->blks[0].nr_under_way++;
	fe_vring_submit(&vm->vrings[0]);
	error = fe_blk_wait(request, vm->session.timeout_msec);
	if (!error)
		error = fe_blk_result(request);
	check_done(check, error, "a read to guest address 0x%llx",
		   (unsigned long long)addr);
	fe_blk_put(request);
	if (at && memcmp(at, target_slot_data(check->target, 3), bytes))
		check_fail(check,
			   "a read to guest address 0x%llx did not arrive "
			   "there",
			   (unsigned long long)addr);
}

static void add_region(struct check *check, struct vm *vm, uint64_t addr,
		       uint64_t size)
{
	int ret = fe_memory_add(&vm->memory, addr, size);

	check_done(check, MIN(ret, 0), "make memory on this side");
}

static void one_region(struct check *check)
{
	check_read(check, check_open(check, &with_table), 0);
}

static uint64_t region_room(const struct check *check)
{
	return align_down(check->target->unit_bytes + 2 * MIB, MIB);
}

static void eight_regions(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);

	for (uint64_t i = 1; i < FE_MAX_TABLE_REGIONS; i++)
		add_region(check, vm, i * 4 * GIB, region_room(check));
	check_start(check, vm);
	for (uint64_t i = 1; i < FE_MAX_TABLE_REGIONS; i++)
		read_to(check, vm, i * 4 * GIB + 512);
}

/* One file behind two regions, in the order that is not that of the guest. */
static void offset_is_honoured(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);
	uint64_t room = region_room(check);
	cleanup_close int fd = rh_memfd_create("check", 4 * room);
	int ret;

	ret = fe_memory_add_file(&vm->memory, 4 * GIB, room, fd, 2 * room);
	if (ret >= 0)
		ret = fe_memory_add_file(&vm->memory, 8 * GIB, room, fd, room);
	check_done(check, MIN(ret, 0), "make memory on this side");
	check_start(check, vm);
	read_to(check, vm, 4 * GIB);
	read_to(check, vm, 8 * GIB + room - check->target->unit_bytes);
}

/* User addresses that are nobody's pointers. */
static void user_addresses_are_numbers(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);

	vm->memory.regions[0].wire.user_addr = UINT64_C(1) << 46;
	check_start(check, vm);
	check_read(check, vm, 0);
	vm = check_prepare(check, &with_table);
	vm->memory.regions[0].wire.user_addr = PAGE;
	check_start(check, vm);
	check_read(check, vm, 0);
}

static void odd_sizes_are_mapped(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);

	/* what QEMU shows around the hole below 1 MiB */
	add_region(check, vm, 4 * GIB, 0xa0000);
	add_region(check, vm, 4 * GIB + 0xc0000, 0xb000);
	check_start(check, vm);
	if (check->target->unit_bytes <= 0xb000) {
		read_to(check, vm, 4 * GIB + 0xc0000);
		read_to(check, vm,
			4 * GIB + 0xa0000 - check->target->unit_bytes);
	}
	check_read(check, vm, 0);
}

static void table_may_change_before_the_rings(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);

	check_done(check, fe_session_set_table(&vm->session, &vm->memory),
		   "SET_MEM_TABLE");
	add_region(check, vm, 4 * GIB, region_room(check));
	check_start(check, vm);
	read_to(check, vm, 4 * GIB);
}

static void table_may_grow_while_rings_run(struct check *check)
{
	struct vm *vm = check_open(check, &with_table);

	check_read(check, vm, 0);
	for (uint64_t i = 1; i < FE_MAX_TABLE_REGIONS; i++) {
		add_region(check, vm, i * 4 * GIB, region_room(check));
		check_done(check,
			   fe_session_set_table(&vm->session, &vm->memory),
			   "SET_MEM_TABLE with %llu regions while a ring runs",
			   (unsigned long long)i + 1);
		read_to(check, vm, i * 4 * GIB);
		check_read(check, vm, 0);
	}
}

static void table_may_come_while_requests_run(struct check *check)
{
	struct vm *vm = check_open(check, &with_table);

	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < VM_DEPTH; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_done(check,
			   fe_session_set_table(&vm->session, &vm->memory),
			   "the same SET_MEM_TABLE with requests under way");
		check_reap(check, vm, 0);
	}
}

static void replaced_memory_is_not_used(struct check *check)
{
	struct vm *vm = check_open(check, &with_table);

	for (unsigned int i = 0; i < 5; i++) {
		check_read(check, vm, 0);
		check_done(check, fe_memory_replace(&vm->memory, 0),
			   "other memory on this side");
		check_done(check,
			   fe_session_set_table(&vm->session, &vm->memory),
			   "SET_MEM_TABLE with another file");
		check_read(check, vm, 0);
	}
}

static void replaced_memory_is_unmapped(struct check *check)
{
	struct target_footprint before = check_footprint(check);
	struct target_footprint now;
	struct vm *vm = check_open(check, &with_table);

	for (unsigned int i = 0; i < 50; i++)
		check_done(check,
			   fe_session_set_table(&vm->session, &vm->memory),
			   "SET_MEM_TABLE");
	check_read(check, vm, 0);
	vm_close(vm);
	now = check_footprint(check);
	if (now.nr_maps > before.nr_maps + 25 || now.nr_fds > before.nr_fds)
		check_fail(check,
			   "50 tables have left %d mappings and %d fds behind",
			   now.nr_maps - before.nr_maps,
			   now.nr_fds - before.nr_fds);
}

static void buffers_may_cross_regions(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);
	uint64_t room = region_room(check);
	uint32_t unit = check->target->unit_bytes;
	const uint8_t *expected = target_slot_data(check->target, 3);
	uint64_t border = 4 * GIB + room;

	add_region(check, vm, 4 * GIB, room);
	add_region(check, vm, border, room);
	check_start(check, vm);
	for (uint32_t left = 1; left < unit; left += 511) {
		read_to(check, vm, border - left);
		if (memcmp(fe_memory_pointer(&vm->memory, border - left, left),
			   expected, left) ||
		    memcmp(fe_memory_pointer(&vm->memory, border, unit - left),
			   expected + left, unit - left))
			check_fail(check,
				   "a read to a buffer of which %u bytes lie "
				   "in one region and %u in the next brought "
				   "wrong data",
				   left, unit - left);
	}
}

/* What is announced, and what comes. */
static void send_table(struct check *check, uint32_t announced,
		       unsigned int nr_regions, unsigned int nr_fds)
{
	struct vm *vm = check_connect(check, &with_table);
	cleanup_close int fd = rh_memfd_create("check", 16 * PAGE);
	int fds[FE_MAX_TABLE_REGIONS];
	struct fe_message message;

	fe_message_init(&message, FE_SET_MEM_TABLE, 8 + nr_regions * 32);
	message.payload.table.nr_regions = announced;
	for (unsigned int i = 0; i < nr_regions; i++)
		message.payload.table.regions[i] = (struct fe_wire_region){
			.guest_addr = i * PAGE,
			.size_bytes = PAGE,
			.user_addr = GIB + i * PAGE,
			.mmap_offset = i * PAGE,
		};
	for (unsigned int i = 0; i < nr_fds; i++)
		fds[i] = fd;
	check_refused(check, shape_send(vm, &message, fds, nr_fds),
		      "SET_MEM_TABLE that announces %u regions, has %u, and "
		      "comes with %u fds",
		      announced, nr_regions, nr_fds);
}

static void a_thousand_regions(struct check *check)
{
	send_table(check, 1000, 1, 1);
	send_table(check, 1000, 8, 8);
}

static void nine_regions(struct check *check)
{
	send_table(check, 9, 8, 8);
	send_table(check, UINT32_MAX, 8, 8);
}

static void counts_that_differ(struct check *check)
{
	send_table(check, 8, 1, 1);
	send_table(check, 8, 8, 7);
	send_table(check, 2, 2, 1);
}

/* One region with one thing wrong. */
static void try_region(struct check *check, const char *what,
		       struct fe_wire_region region, int fd)
{
	struct vm *vm = check_connect(check, &with_table);
	struct fe_message message;

	fe_message_init(&message, FE_SET_MEM_TABLE, 40);
	message.payload.table.nr_regions = 1;
	message.payload.table.regions[0] = region;
	check_harmless(check, shape_send(vm, &message, &fd, 1),
		       "a region with %s", what);
}

static void impossible_regions_do_no_harm(struct check *check)
{
	const struct fe_wire_region good = { 0, MIB, GIB, 0 };
	const struct {
		const char *what;
		struct fe_wire_region region;
	} rows[] = {
		{ "no bytes", { 0, 0, GIB, 0 } },
		{ "2^64 - 1 bytes", { 0, UINT64_MAX, GIB, 0 } },
		{ "2^63 bytes", { 0, UINT64_C(1) << 63, GIB, 0 } },
		{ "a guest address that wraps",
		  { UINT64_MAX - PAGE + 1, MIB, GIB, 0 } },
		{ "a user address that wraps",
		  { 0, MIB, UINT64_MAX - PAGE + 1, 0 } },
		{ "an offset that wraps",
		  { 0, MIB, GIB, UINT64_MAX - PAGE + 1 } },
		{ "an odd offset", { 0, MIB, GIB, 512 } },
	};
	cleanup_close int fd = rh_memfd_create("check", 4 * MIB);
	cleanup_close int event = rh_eventfd_create();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		try_region(check, rows[i].what, rows[i].region, fd);
	try_region(check, "an eventfd behind it", good, event);
}

static void unmappable_memory_is_refused(struct check *check)
{
	struct vm *vm = check_connect(check, &with_table);
	cleanup_close int event = rh_eventfd_create();
	struct fe_message message;

	fe_message_init(&message, FE_SET_MEM_TABLE, 40);
	message.payload.table.nr_regions = 1;
	message.payload.table.regions[0] =
		(struct fe_wire_region){ 0, MIB, GIB, 0 };
	check_refused(check, shape_send(vm, &message, &event, 1),
		      "a region whose fd cannot be mapped");
}

/* Where the file ends, touching memory is SIGBUS. */
static void memory_beyond_its_file_does_no_harm(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);
	struct fe_vring *vring = &vm->vrings[0];
	cleanup_close int fd = rh_memfd_create("check", PAGE);
	int error;

	error = fe_memory_add_file(&vm->memory, 4 * GIB, 64 * PAGE, fd, 0);
	check_done(check, MIN(error, 0), "make memory on this side");
	error = fe_session_set_table(&vm->session, &vm->memory);
	if (error) {
		check_harmless(check, error,
			       "a region that is larger than its file");
		return;
	}
	vring->desc_addr = 4 * GIB + 16 * PAGE;
	vring->avail_addr = 4 * GIB + 32 * PAGE;
	vring->used_addr = 4 * GIB + 48 * PAGE;
	error = fe_session_start_vring(&vm->session, vring, 0, 0);
	fe_vring_kick(vring);
	if (!error)
		error = fe_session_sync(&vm->session);
	check_harmless(check, error, "a ring behind the end of the file");
}

/* A request fails, or the session ends; the next one is served as ever. */
static void memory_whose_file_shrinks_does_no_harm(struct check *check)
{
	struct vm *vm = check_open(check, &with_table);
	struct fe_vring *vring = &vm->vrings[0];
	int error;

	check_read(check, vm, 0);
	check_add_read(check, vm, 0);
	fe_vring_publish(vring);
	/* from here on nobody may touch it, on this side neither */
	if (ftruncate(vm->memory.regions[0].fd, 0) < 0)
		check_done(check, -errno, "shrink the memory of this side");
	fe_vring_kick(vring);
	error = fe_session_sync(&vm->session);
	check_harmless(check, error, "memory whose file was shrunk to nothing");
}

static void overlapping_regions_do_no_harm(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_table);
	struct fe_region *second;

	add_region(check, vm, 4 * GIB, MIB);
	second = &vm->memory.regions[1];
	second->wire.guest_addr = PAGE;
	second->wire.user_addr = vm->memory.regions[0].wire.user_addr + PAGE;
	check_harmless(check, fe_session_set_table(&vm->session, &vm->memory),
		       "two regions that overlap");
}

static const struct check_case cases[] = {
	{ .name = "table-of-one-region-works",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "rings and buffers in the one region of a table are found",
	  .run = one_region },
	{ .name = "table-of-eight-regions-works",
	  .section = "vhost-user: Memory regions description",
	  .promise = "buffers in each of eight regions are found",
	  .run = eight_regions },
	{ .name = "mmap-offset-is-honoured",
	  .section = "vhost-user: Memory regions description",
	  .promise = "a region begins at its mmap offset in its file",
	  .run = offset_is_honoured },
	{ .name = "user-addresses-are-numbers",
	  .section = "vhost-user: Memory access",
	  .promise = "ring addresses are user addresses, which are translated "
		     "by the table and mean nothing else",
	  .run = user_addresses_are_numbers },
	{ .name = "odd-region-sizes-are-mapped",
	  .section = "vhost-user: Memory regions description",
	  .promise = "a region has any size, also one between holes",
	  .run = odd_sizes_are_mapped },
	{ .name = "table-may-change-before-the-rings",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "the last table counts",
	  .run = table_may_change_before_the_rings },
	{ .name = "table-may-grow-while-rings-run",
	  .section = "vhost-user: Ring states",
	  .promise = "memory may be changed on the fly",
	  .run = table_may_grow_while_rings_run },
	{ .name = "table-may-come-while-requests-run",
	  .section = "vhost-user: Ring states",
	  .promise = "memory may be changed on the fly, with requests under "
		     "way, and none is lost",
	  .run = table_may_come_while_requests_run },
	{ .name = "replaced-memory-is-not-used",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "after SET_MEM_TABLE only the new memory is read and "
		     "written",
	  .run = replaced_memory_is_not_used },
	{ .name = "replaced-memory-is-unmapped",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "mappings and fds of a table that was replaced are not "
		     "kept",
	  .run = replaced_memory_is_unmapped,
	  .flags = CHECK_PID },
	{ .name = "buffers-may-cross-regions",
	  .section = "vhost-user: Memory access",
	  .promise = "each guest address is looked up in the region that "
		     "contains it, also within one buffer",
	  .run = buffers_may_cross_regions },
	{ .name = "table-of-1000-regions-is-refused",
	  .section = "vhost-user: Memory regions description",
	  .promise = "a table that announces 1000 regions is refused or ends "
		     "the session",
	  .run = a_thousand_regions,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "table-of-nine-regions-is-refused",
	  .section = "vhost-user: Memory regions description",
	  .promise = "a table that announces more than the eight regions that "
		     "it has room for is refused or ends the session",
	  .run = nine_regions,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "region-counts-that-differ-are-refused",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "a table is refused when it has fewer regions or fds than "
		     "it announces",
	  .run = counts_that_differ,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "impossible-regions-do-no-harm",
	  .section = "vhost-user: Memory regions description",
	  .promise = "a region that wraps or is empty is refused or ends the "
		     "session",
	  .run = impossible_regions_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "unmappable-memory-is-refused",
	  .section = "vhost-user: REPLY_ACK",
	  .promise = "success is told of memory that was mapped only",
	  .run = unmappable_memory_is_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "memory-beyond-its-file-does-no-harm",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "a region that is larger than its file is refused, or a "
		     "ring there does no harm",
	  .run = memory_beyond_its_file_does_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "memory-whose-file-shrinks-does-no-harm",
	  .section = "vhost-user: Memory access",
	  .promise = "a front-end that shrinks its memory under a running ring "
		     "hurts its own session only",
	  .run = memory_whose_file_shrinks_does_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "overlapping-regions-do-no-harm",
	  .section = "vhost-user: Memory access",
	  .promise = "a table with two regions for one address is answered or "
		     "ends the session",
	  .run = overlapping_regions_do_no_harm,
	  .flags = CHECK_HOSTILE },
};

const struct check_group group_memory =
	CHECK_GROUP("memory", "guest memory as a table", cases);

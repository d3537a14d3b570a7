/* SPDX-License-Identifier: MIT */
/*
 * group_split - split virtqueues as a correct driver uses them
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "common/fd.h"
#include "tests/frontend/eventfd.h"

#define QUIET_MSEC 50
#define NEXT	   VRING_DESC_F_NEXT
#define WRITE	   VRING_DESC_F_WRITE
#define INDIRECT   VRING_DESC_F_INDIRECT

static const struct vm_options without_event_idx = {
	.refused_features = FE_FEATURE_EVENT_IDX,
};

static void ring_sizes_work(struct check *check)
{
	struct vm_options options = { .depth = 1 };

	for (uint32_t size = 4; size <= 256; size *= 2) {
		options.queue_size = size;
		check_open(check, &options);
		for (uint32_t i = 0; i < size + 2; i++)
			check_read(check, &check->vm, 0);
	}
}

static void index_wraps(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];
	const uint16_t base = 65500;

	vm_set_position(vring, base);
	check_done(check, fe_session_set_memory(&vm->session, &vm->memory),
		   "show the memory");
	check_done(check, fe_session_start_vring(&vm->session, vring, 0, base),
		   "start a ring from base %u", base);
	for (unsigned int i = 0; i < 100; i++)
		check_read(check, vm, 0);
}

static void full_ring_is_served(struct check *check)
{
	const struct vm_options options = { .queue_size = 16, .depth = 16 };
	struct vm *vm = check_open(check, &options);
	bool indirect = vm->session.features & FE_FEATURE_INDIRECT;
	/* header, data and status, or the table alone */
	unsigned int nr = indirect ? 16 : 5;

	vm->blks[0].framing.indirect = indirect;
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < nr; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

static void batch_is_served_with_one_kick(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < VM_DEPTH; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

/* The driver's free list the other way round. */
static void reverse_free_list(struct fe_vring *vring)
{
	for (uint32_t i = 0; i < vring->size; i++)
		vring->own_next[i] =
			(uint16_t)(i ? i - 1 : vring->size); /* the end */
	vring->free_head = (uint16_t)(vring->size - 1);
}

static void descriptors_may_lie_in_any_order(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	reverse_free_list(&vm->vrings[0]);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < VM_DEPTH; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

static void indirect_works(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	vm->blks[0].framing.indirect = true;
	for (unsigned int i = 0; i < 50; i++)
		check_read(check, vm, 0);
}

static struct vring_desc make_desc(uint64_t addr, uint32_t len, uint16_t flags,
				   uint16_t next)
{
	return (struct vring_desc){ htole64(addr), htole32(len), htole16(flags),
				    htole16(next) };
}

/* A read by hand: its header in descriptor 0, the rest as the caller wants. */
static struct fe_blk_request *prepare_read(struct check *check, struct vm *vm)
{
	struct fe_blk_request *request = check_add_read(check, vm, 0);
	struct fe_vring *vring = &vm->vrings[0];

	vring->desc[0] = make_desc(request->data_addr - FE_BLK_HEADER_BYTES,
				   FE_BLK_HEADER_BYTES, NEXT, 1);
	return request;
}

static void direct_then_indirect_works(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request = prepare_read(check, vm);
	struct vring_desc *table;

	table = fe_memory_pointer(&vm->memory, request->table_addr, 32);
	table[0] = make_desc(request->data_addr, request->data_bytes,
			     NEXT | WRITE, 1);
	table[1] = make_desc(request->data_addr + request->data_bytes, 1, WRITE,
			     0);
	vring->desc[1] = make_desc(request->table_addr, 32, INDIRECT, 0);
	fe_vring_publish(vring);
	fe_vring_kick(vring);
	check_reap(check, vm, 0);
}

static void write_flag_beside_indirect_is_ignored(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];

	vm->blks[0].framing.indirect = true;
	check_add_read(check, vm, 0);
	vring->desc[0].flags |= htole16(WRITE);
	fe_vring_publish(vring);
	fe_vring_kick(vring);
	check_reap(check, vm, 0);
}

static void next_is_ignored_without_its_flag(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];

	check_add_read(check, vm, 0);
	vring->desc[2].next = htole16(0xffff);
	fe_vring_publish(vring);
	fe_vring_kick(vring);
	check_reap(check, vm, 0);
}

static void only_the_used_ring_is_written(struct check *check)
{
	struct vm *vm = check_open(check, &without_event_idx);
	struct fe_vring *vring = &vm->vrings[0];
	size_t desc_bytes = vring->size * sizeof(*vring->desc);
	size_t avail_bytes = 4 + 2 * vring->size;
	struct vring_desc desc[VM_QUEUE_SIZE];
	uint8_t avail[4 + 2 * VM_QUEUE_SIZE];

	for (unsigned int i = 0; i < 20; i++) {
		for (unsigned int k = 0; k < VM_DEPTH; k++)
			check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		memcpy(desc, vring->desc, desc_bytes);
		fe_vring_expect_calls(vring);
		memcpy(avail, vring->avail, avail_bytes);
		fe_vring_kick(vring);
		check_reap(check, vm, 0);
		if (memcmp(desc, vring->desc, desc_bytes))
			check_fail(check, "the descriptor table was written");
		if (memcmp(avail, vring->avail, avail_bytes))
			check_fail(check, "the available ring was written");
	}
}

/* The header is all that a read has for the device to read. */
static void readable_buffers_are_not_written(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_blk_request *request = check_add_read(check, vm, 0);
	struct virtio_blk_outhdr before = *request->header;

	fe_vring_submit(&vm->vrings[0]);
	check_reap(check, vm, 0);
	if (memcmp(&before, request->header, sizeof(before)))
		check_fail(check, "the header, which is for the device to read "
				  "only, was written");
}

/* Serve ten reads, one at a time; returns how many calls there were. */
static int64_t count_calls(struct check *check, struct vm *vm, int wait_msec)
{
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request;
	int64_t nr_calls = 0;
	int64_t count;

	for (unsigned int i = 0; i < 10; i++) {
		check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		for (unsigned int k = 0; !fe_vring_has_used(vring); k++) {
			if (k > 10u * (unsigned int)vm->session.timeout_msec)
				check_done(check, -ETIMEDOUT, "a read");
			usleep(100);
		}
		count = fe_eventfd_wait(vring->call_fd, wait_msec);
		nr_calls += MAX(count, INT64_C(0));
		if (fe_blk_reap(&vm->blks[0], &request) != 1)
			check_fail(check, "a used entry does not fit");
		fe_blk_put(request);
	}
	return nr_calls;
}

static void flags_ask_for_each_call(struct check *check)
{
	struct vm *vm = check_open(check, &without_event_idx);
	int64_t nr;

	check_first_read(check, vm);
	fe_vring_expect_calls(&vm->vrings[0]);
	nr = count_calls(check, vm, vm->session.timeout_msec);
	if (nr < 10)
		check_fail(check,
			   "10 requests, one after the other, brought "
			   "%lld notifications",
			   (long long)nr);
}

static void flags_ask_for_no_call(struct check *check)
{
	struct vm *vm = check_open(check, &without_event_idx);
	int64_t nr;

	check_first_read(check, vm);
	fe_vring_suppress_calls(&vm->vrings[0]);
	nr = count_calls(check, vm, QUIET_MSEC);
	if (nr)
		check_fail(check,
			   "10 requests brought %lld notifications, "
			   "none was asked for",
			   (long long)nr);
}

/* A call when the last of a batch is used, please. */
static void event_idx_asks_for_one_call(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request;

	check_first_read(check, vm);
	for (unsigned int round = 0; round < 20; round++) {
		vring->avail->ring[vring->size] =
			htole16((uint16_t)(vring->next_used + VM_DEPTH - 1));
		for (unsigned int i = 0; i < VM_DEPTH; i++)
			check_add_read(check, vm, 0);
		fe_vring_submit(vring);
		check_done(check,
			   (int)MIN(fe_eventfd_wait(vring->call_fd,
						    vm->session.timeout_msec),
				    INT64_C(0)),
			   "the notification of the last of %d requests",
			   VM_DEPTH);
		for (unsigned int i = 0; i < VM_DEPTH; i++) {
			if (fe_blk_reap(&vm->blks[0], &request) != 1)
				check_fail(check,
					   "the notification came when %u of "
					   "%d requests were used",
					   i, VM_DEPTH);
			fe_blk_put(request);
		}
	}
}

static void event_idx_asks_for_no_call(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	int64_t nr;

	check_first_read(check, vm);
	fe_vring_suppress_calls(&vm->vrings[0]);
	nr = count_calls(check, vm, QUIET_MSEC);
	if (nr)
		check_fail(check,
			   "10 requests brought %lld notifications, and "
			   "used_event lies behind all of them",
			   (long long)nr);
}

/* The driver kicks only where it was asked to. */
static void run_with_suppressed_kicks(struct check *check,
				      const struct vm_options *options)
{
	struct vm *vm = check_open(check, options);

	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int i = 0; i < round % 5 + 1; i++) {
			check_add_read(check, vm, 0);
			fe_vring_submit(&vm->vrings[0]);
		}
		check_reap(check, vm, 0);
	}
}

static void flags_suppress_no_needed_kick(struct check *check)
{
	run_with_suppressed_kicks(check, &without_event_idx);
}

static void avail_event_suppresses_no_needed_kick(struct check *check)
{
	run_with_suppressed_kicks(check, NULL);
}

static void queues_are_independent(struct check *check)
{
	const struct vm_options options = { .nr_queues = 2 };
	struct vm *vm = check_open(check, &options);

	for (unsigned int i = 0; i < 20; i++) {
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_read(check, vm, 1);
		check_read(check, vm, 1);
		check_reap(check, vm, 0);
	}
}

static const struct check_case cases[] = {
	{ .name = "ring-sizes-from-4-to-256-work",
	  .section = "virtio 1.3: 2.7",
	  .promise = "a ring has any power of two of entries",
	  .run = ring_sizes_work },
	{ .name = "index-wraps-at-65536",
	  .section = "virtio 1.3: 2.7.6",
	  .promise = "indices run freely and wrap from 65535 to 0",
	  .run = index_wraps },
	{ .name = "ring-full-is-served",
	  .section = "virtio 1.3: 2.7.13",
	  .promise = "a ring may hold as many requests as it has entries",
	  .run = full_ring_is_served },
	{ .name = "batch-is-served-with-one-kick",
	  .section = "virtio 1.3: 2.7.13.3",
	  .promise = "all requests that one store of the index has made "
		     "available are served",
	  .run = batch_is_served_with_one_kick },
	{ .name = "descriptors-may-lie-in-any-order",
	  .section = "virtio 1.3: 2.7.5",
	  .promise = "a chain is followed by next, wherever that leads",
	  .run = descriptors_may_lie_in_any_order },
	{ .name = "next-is-ignored-without-its-flag",
	  .section = "virtio 1.3: 2.7.5",
	  .promise = "next means something only with the flag NEXT",
	  .run = next_is_ignored_without_its_flag },
	{ .name = "indirect-descriptors-work",
	  .section = "virtio 1.3: 2.7.5.3",
	  .promise = "a descriptor may refer to a table with the chain",
	  .run = indirect_works,
	  .features = FE_FEATURE_INDIRECT },
	{ .name = "direct-then-indirect-works",
	  .section = "virtio 1.3: 2.7.5.3.2",
	  .promise = "a device must handle normal descriptors followed by one "
		     "that refers to a table",
	  .run = direct_then_indirect_works,
	  .features = FE_FEATURE_INDIRECT },
	{ .name = "write-flag-beside-indirect-is-ignored",
	  .section = "virtio 1.3: 2.7.5.3.2",
	  .promise =
		  "a device must ignore WRITE in a descriptor that refers to "
		  "a table",
	  .run = write_flag_beside_indirect_is_ignored,
	  .features = FE_FEATURE_INDIRECT },
	{ .name = "only-the-used-ring-is-written",
	  .section = "virtio 1.3: 2.7.5.1",
	  .promise = "a device must not write to descriptor table and "
		     "available ring",
	  .run = only_the_used_ring_is_written },
	{ .name = "readable-buffers-are-not-written",
	  .section = "virtio 1.3: 2.7.5.1",
	  .promise = "a device must not write to a buffer for it to read",
	  .run = readable_buffers_are_not_written },
	{ .name = "flags-ask-for-each-call",
	  .section = "virtio 1.3: 2.7.7.2",
	  .promise = "without EVENT_IDX and with flags 0 a device must notify "
		     "of used buffers",
	  .run = flags_ask_for_each_call },
	{ .name = "flags-ask-for-no-call",
	  .section = "virtio 1.3: 2.7.7.2",
	  .promise = "without EVENT_IDX and with flags 1 a device should not "
		     "notify",
	  .run = flags_ask_for_no_call },
	{ .name = "event-idx-asks-for-one-call",
	  .section = "virtio 1.3: 2.7.7.2",
	  .promise = "a device must notify when it uses the entry that "
		     "used_event names, and should not before",
	  .run = event_idx_asks_for_one_call,
	  .features = FE_FEATURE_EVENT_IDX },
	{ .name = "event-idx-asks-for-no-call",
	  .section = "virtio 1.3: 2.7.7.2",
	  .promise = "a device should not notify of entries other than the one "
		     "that used_event names",
	  .run = event_idx_asks_for_no_call,
	  .features = FE_FEATURE_EVENT_IDX },
	{ .name = "flags-suppress-no-needed-kick",
	  .section = "virtio 1.3: 2.7.10",
	  .promise =
		  "a driver that kicks only when the used ring's flags are 0 "
		  "is served",
	  .run = flags_suppress_no_needed_kick },
	{ .name = "avail-event-suppresses-no-needed-kick",
	  .section = "virtio 1.3: 2.7.10",
	  .promise = "a driver that kicks only when it passes avail_event is "
		     "served",
	  .run = avail_event_suppresses_no_needed_kick,
	  .features = FE_FEATURE_EVENT_IDX },
	{ .name = "queues-are-independent",
	  .section = "vhost-user: Multiple queue support",
	  .promise = "requests of one queue are served while another has some",
	  .run = queues_are_independent,
	  .flags = CHECK_QUEUES_2 },
};

const struct check_group group_split =
	CHECK_GROUP("split-rings", "split virtqueues, used correctly", cases);

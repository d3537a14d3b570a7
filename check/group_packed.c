/* SPDX-License-Identifier: MIT */
/*
 * group_packed - packed virtqueues as a correct driver uses them
 *
 * All of it is left out for a back-end that does not offer them.
 */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "check/groups.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/eventfd.h"

#define QUIET_MSEC 50
#define SMALL	   8 /* entries: many rounds in short time */
#define AVAIL	   (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED	   (1u << VRING_PACKED_DESC_F_USED)

static const struct vm_options packed = {
	.unusual_features = FE_FEATURE_PACKED,
};

static const struct vm_options small = {
	.unusual_features = FE_FEATURE_PACKED,
	.queue_size = SMALL,
};

static const struct vm_options without_event_idx = {
	.unusual_features = FE_FEATURE_PACKED,
	.refused_features = FE_FEATURE_EVENT_IDX,
};

/* As many as fit, all before the device hears of any. */
static void read_batch(struct check *check, struct vm *vm, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
	check_reap(check, vm, 0);
}

static void packed_rings_are_served(struct check *check)
{
	struct vm *vm = check_open(check, &packed);

	for (unsigned int i = 0; i < 20; i++)
		check_read(check, vm, 0);
}

static void sizes_work(struct check *check)
{
	const uint32_t sizes[] = { 3, 5, 7, 8, 100, 127, 255, 256 };
	struct vm_options options = packed;

	options.depth = 1;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		options.queue_size = sizes[i];
		check_open(check, &options);
		for (uint32_t n = 0; n < sizes[i] + 2; n++)
			check_read(check, &check->vm, 0);
	}
}

/* A table is one descriptor, so even a ring of one has room for a request. */
static void ring_of_one_works(struct check *check)
{
	struct vm_options options = packed;

	options.queue_size = 1;
	check_open(check, &options);
	check->vm.blks[0].framing.indirect = true;
	for (unsigned int i = 0; i < 10; i++)
		check_read(check, &check->vm, 0);
}

static void wrap_counters_change(struct check *check)
{
	struct vm *vm = check_open(check, &small);
	struct fe_vring *vring = &vm->vrings[0];

	for (unsigned int round = 0; round < 200; round++)
		read_batch(check, vm, 1 + round % 2);
	if (fe_vring_base(vring) >> 16 != (fe_vring_base(vring) & 0xffff))
		check_fail(check,
			   "all is used, but the used place 0x%x is not "
			   "the available one 0x%x",
			   fe_vring_base(vring) >> 16,
			   fe_vring_base(vring) & 0xffff);
}

static void full_ring_is_served(struct check *check)
{
	struct vm_options options = small;
	struct vm *vm;

	options.depth = SMALL;
	vm = check_open(check, &options);
	vm->blks[0].framing.indirect = true;
	for (unsigned int round = 0; round < 50; round++)
		read_batch(check, vm, SMALL);
}

static void indirect_works(struct check *check)
{
	struct vm *vm = check_open(check, &packed);

	for (unsigned int round = 0; round < 50; round++) {
		vm->blks[0].framing.indirect = round % 3;
		read_batch(check, vm, 1 + round % 7);
	}
}

static void publish_and_kick(struct fe_vring *vring)
{
	fe_vring_publish(vring);
	fe_vring_kick(vring);
}

static void only_the_last_id_counts(struct check *check)
{
	struct vm *vm = check_open(check, &packed);
	struct fe_vring *vring = &vm->vrings[0];

	check_add_read(check, vm, 0);
	vring->packed.desc[0].id = htole16(0xffff);
	vring->packed.desc[1].id = htole16(1);
	publish_and_kick(vring);
	check_reap(check, vm, 0);
}

static void table_fields_are_ignored(struct check *check)
{
	struct vm *vm = check_open(check, &packed);
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request;
	struct vring_packed_desc *table;

	vm->blks[0].framing.indirect = true;
	request = check_add_read(check, vm, 0);
	table = fe_memory_pointer(&vm->memory, request->table_addr,
				  3 * sizeof(*table));
	for (unsigned int i = 0; i < 3; i++) {
		table[i].id = htole16((uint16_t)(0xff00 + i));
		table[i].flags |= htole16(AVAIL | VRING_DESC_F_NEXT);
	}
	publish_and_kick(vring);
	check_reap(check, vm, 0);
}

/* Stop, ask, and go on from the answer. */
static void base_goes_there_and_back(struct check *check)
{
	struct vm *vm = check_open(check, &small);
	struct fe_vring *vring = &vm->vrings[0];
	uint32_t expected;
	uint32_t base;

	for (unsigned int round = 0; round < 20; round++) {
		read_batch(check, vm, 1 + round % 2);
		expected = fe_vring_base(vring);
		check_done(check, fe_session_get_base(&vm->session, 0, &base),
			   "GET_VRING_BASE");
		if (base != expected)
			check_fail(check,
				   "GET_VRING_BASE tells 0x%08x of a ring that "
				   "stands at 0x%08x",
				   base, expected);
		check_done(check,
			   fe_session_start_vring(&vm->session, vring, 0, base),
			   "start the ring at 0x%08x", base);
	}
	read_batch(check, vm, 1);
}

/*
 * As another device left it: in the second round, at entry 5. What lies
 * before it was used in this round, the rest in the one before.
 */
static void ring_begins_where_it_is_told(struct check *check)
{
	struct vm *vm = check_prepare(check, &small);
	struct fe_vring *vring = &vm->vrings[0];
	const struct fe_place place = { 5, false };

	vring->packed.next_avail = place;
	vring->packed.published = place;
	vring->packed.next_used = place;
	for (uint16_t i = place.index; i < SMALL; i++)
		vring->packed.desc[i].flags = htole16(AVAIL | USED);
	/* the next request is worth a kick */
	vring->packed.device->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	check_done(check, fe_session_set_memory(&vm->session, &vm->memory),
		   "show the memory");
	check_done(check,
		   fe_session_start_vring(&vm->session, vring, 0,
					  fe_vring_base(vring)),
		   "start a ring at 0x%08x", fe_vring_base(vring));
	for (unsigned int i = 0; i < 3 * SMALL; i++)
		read_batch(check, vm, 1 + i % 2);
}

static void ring_stops_and_goes_on(struct check *check)
{
	struct vm *vm = check_open(check, &small);
	uint32_t base;

	for (unsigned int round = 0; round < 20; round++) {
		check_add_read(check, vm, 0);
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_done(check, fe_session_get_base(&vm->session, 0, &base),
			   "GET_VRING_BASE with requests under way");
		check_done(check,
			   fe_session_start_vring(&vm->session, &vm->vrings[0],
						  0, base),
			   "start the ring again");
		check_reap(check, vm, 0);
	}
}

static void disabled_ring_loses_nothing(struct check *check)
{
	struct vm *vm = check_open(check, &small);
	struct fe_session *session = &vm->session;

	for (unsigned int round = 0; round < 20; round++) {
		check_done(check,
			   fe_session_set_state(session, FE_SET_VRING_ENABLE, 0,
						0),
			   "disable the ring");
		check_add_read(check, vm, 0);
		fe_vring_submit(&vm->vrings[0]);
		check_done(check,
			   fe_session_set_state(session, FE_SET_VRING_ENABLE, 0,
						1),
			   "enable the ring");
		check_reap(check, vm, 0);
	}
}

static void await_used(struct check *check, struct vm *vm)
{
	struct fe_vring *vring = &vm->vrings[0];
	uint64_t deadline = fe_deadline(vm->session.timeout_msec);

	while (!fe_vring_has_used(vring)) {
		if (fe_now_usec() > deadline)
			check_done(check, -ETIMEDOUT, "a read");
		usleep(100);
	}
}

/* How many notifications ten single reads bring; the driver polls. */
static int64_t count_calls(struct check *check, struct vm *vm, int wait_msec)
{
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request;
	int64_t calls = 0;
	int64_t more;

	for (unsigned int i = 0; i < 10; i++) {
		check_add_read(check, vm, 0);
		publish_and_kick(vring);
		await_used(check, vm);
		more = fe_eventfd_wait(vring->call_fd, wait_msec);
		calls += MAX(more, INT64_C(0));
		if (fe_blk_reap(&vm->blks[0], &request) != 1)
			check_fail(check, "a used descriptor does not fit");
		fe_blk_put(request);
	}
	return calls;
}

static void disabled_events_bring_no_call(struct check *check)
{
	struct vm *vm = check_open(check, &packed);
	int64_t nr;

	check_first_read(check, vm);
	fe_vring_suppress_calls(&vm->vrings[0]);
	nr = count_calls(check, vm, QUIET_MSEC);
	if (nr)
		check_fail(check,
			   "10 requests brought %lld notifications, and the "
			   "driver has disabled them",
			   (long long)nr);
}

static void enabled_events_bring_calls(struct check *check)
{
	struct vm *vm = check_open(check, &without_event_idx);
	int64_t nr;

	check_first_read(check, vm);
	vm->vrings[0].packed.driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	nr = count_calls(check, vm, vm->session.timeout_msec);
	if (nr < 10)
		check_fail(check, "10 requests brought %lld notifications",
			   (long long)nr);
}

/* A call for the last of a batch, please, whose chains are of three each. */
static void event_asks_for_one_call(struct check *check)
{
	struct vm *vm = check_open(check, &packed);
	struct fe_vring *vring = &vm->vrings[0];
	struct fe_blk_request *request;

	check_first_read(check, vm);
	for (unsigned int round = 0; round < 60; round++) {
		fe_vring_expect_calls_behind(vring, 3 * (VM_DEPTH - 1));
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

/* The driver kicks only where the device's event structure asks for it. */
static void no_needed_kick_is_suppressed(struct check *check)
{
	const struct vm_options *both[] = { &packed, &without_event_idx };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct vm *vm = check_open(check, both[i]);

		for (unsigned int round = 0; round < 300; round++) {
			for (unsigned int n = 0; n < round % 5 + 1; n++) {
				check_add_read(check, vm, 0);
				fe_vring_submit(&vm->vrings[0]);
			}
			check_reap(check, vm, 0);
		}
	}
}

static void writes_arrive(struct check *check)
{
	struct vm *vm = check_open(check, &packed);

	for (unsigned int i = 0; i < 20; i++) {
		vm->blks[0].framing.indirect = i % 2;
		check_write(check, vm, 0);
	}
}

static const struct check_case cases[] = {
	{ .name = "packed-rings-are-served",
	  .section = "virtio 1.3: 2.8",
	  .promise = "where RING_PACKED is accepted the rings are packed ones",
	  .run = packed_rings_are_served,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-writes-arrive",
	  .section = "virtio 1.3: 2.8.3",
	  .promise = "buffers without the WRITE flag are read, those with it "
		     "are written",
	  .run = writes_arrive,
	  .flags = CHECK_WRITES,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-sizes-from-3-to-256-work",
	  .section = "virtio 1.3: 2.8.10.1",
	  .promise = "a packed ring has any number of entries, powers of two "
		     "or not",
	  .run = sizes_work,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-of-one-entry-works",
	  .section = "virtio 1.3: 2.8.10.1",
	  .promise = "a packed ring of one entry takes one table at a time",
	  .run = ring_of_one_works,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_INDIRECT },
	{ .name = "wrap-counters-change-with-each-round",
	  .section = "virtio 1.3: 2.8.1",
	  .promise = "both sides change their wrap counters behind the last "
		     "entry",
	  .run = wrap_counters_change,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-full-is-served",
	  .section = "virtio 1.3: 2.8.21",
	  .promise = "a ring may hold as many requests as it has entries",
	  .run = full_ring_is_served,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_INDIRECT },
	{ .name = "packed-indirect-works",
	  .section = "virtio 1.3: 2.8.7",
	  .promise = "an indirect descriptor stands for a whole chain",
	  .run = indirect_works,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_INDIRECT },
	{ .name = "id-of-the-last-descriptor-counts",
	  .section = "virtio 1.3: 2.8.6",
	  .promise = "the id of a chain is that of its last descriptor",
	  .run = only_the_last_id_counts,
	  .features = FE_FEATURE_PACKED },
	{ .name = "reserved-fields-of-a-table-are-ignored",
	  .section = "virtio 1.3: 2.8.7",
	  .promise = "in an indirect table ids, and flags other than WRITE, "
		     "mean nothing",
	  .run = table_fields_are_ignored,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_INDIRECT },
	{ .name = "packed-base-goes-there-and-back",
	  .section = "vhost-user: Vring descriptor indices for packed "
		     "virtqueues",
	  .promise = "GET_VRING_BASE tells both places and their wrap "
		     "counters, and SET_VRING_BASE takes them",
	  .run = base_goes_there_and_back,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-begins-where-it-is-told",
	  .section = "vhost-user: SET_VRING_BASE",
	  .promise = "a ring goes on at the entry and with the wrap counter "
		     "that SET_VRING_BASE says",
	  .run = ring_begins_where_it_is_told,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-stops-and-goes-on",
	  .section = "vhost-user: Ring states",
	  .promise = "what was available when a ring stopped is served, then "
		     "or after the next start",
	  .run = ring_stops_and_goes_on,
	  .features = FE_FEATURE_PACKED },
	{ .name = "packed-ring-disabled-loses-nothing",
	  .section = "vhost-user: Ring states",
	  .promise = "what came in while a ring was disabled is served once it "
		     "is enabled",
	  .run = disabled_ring_loses_nothing,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_PROTOCOL },
	{ .name = "disabled-events-bring-no-call",
	  .section = "virtio 1.3: 2.8.10",
	  .promise = "no notification comes while the driver has disabled them",
	  .run = disabled_events_bring_no_call,
	  .features = FE_FEATURE_PACKED },
	{ .name = "enabled-events-bring-calls",
	  .section = "virtio 1.3: 2.8.10",
	  .promise = "a notification comes while the driver has enabled them",
	  .run = enabled_events_bring_calls,
	  .features = FE_FEATURE_PACKED },
	{ .name = "event-of-a-descriptor-asks-for-one-call",
	  .section = "virtio 1.3: 2.8.10",
	  .promise = "with EVENT_IDX the notification comes when the "
		     "descriptor is used that the driver has named",
	  .run = event_asks_for_one_call,
	  .features = FE_FEATURE_PACKED | FE_FEATURE_EVENT_IDX },
	{ .name = "device-events-suppress-no-needed-kick",
	  .section = "virtio 1.3: 2.8.10",
	  .promise = "a driver that kicks only where the device asks for it "
		     "is served",
	  .run = no_needed_kick_is_suppressed,
	  .features = FE_FEATURE_PACKED },
};

const struct check_group group_packed =
	CHECK_GROUP("packed-rings", "packed virtqueues, used correctly", cases);

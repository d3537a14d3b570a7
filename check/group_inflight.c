/* SPDX-License-Identifier: MIT */
/*
 * group_inflight - the record of requests under way, and who reads it
 *
 * A case plays the front-end of a back-end that has died: it writes into the
 * region what that one would have left, and looks at what the next one does.
 * The layouts are those of the document.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/groups.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/inflight.h"

#define QUIET_MSEC   200
#define MANY	     100
#define WILD_ROUNDS  30
#define SECTION	     "vhost-user: Inflight I/O tracking"
#define FIRST_PACKED 0x80008000u

struct split_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct split_part {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct split_desc desc[VM_QUEUE_SIZE];
};

struct packed_desc {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct packed_part {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[7];
	struct packed_desc desc[VM_QUEUE_SIZE];
};

_Static_assert(offsetof(struct split_part, desc) == 16, "QueueRegionSplit");
_Static_assert(offsetof(struct packed_part, desc) == 32, "QueueRegionPacked");

static struct fe_inflight region = { .fd = -1 };

static void get_region(struct check *check, struct vm *vm)
{
	check_done(check,
		   fe_session_get_inflight(&vm->session, 1, VM_QUEUE_SIZE,
					   &region),
		   "GET_INFLIGHT_FD for 1 queue of %u", VM_QUEUE_SIZE);
}

static void set_region(struct check *check, struct vm *vm)
{
	check_done(check, fe_session_set_inflight(&vm->session, &region),
		   "SET_INFLIGHT_FD of the region that it gave");
}

/* Memory, a ring and a region, of which only the region is shown. */
static struct vm *prepare(struct check *check, uint64_t more_features)
{
	struct vm *vm = check_dial(check);

	check_done(check,
		   fe_session_negotiate(&vm->session,
					FE_USUAL_FEATURES | more_features,
					FE_USUAL_PROTOCOL),
		   "negotiate");
	check_done(check, vm_prepare(vm, check->target, NULL),
		   "prepare guest memory on this side");
	get_region(check, vm);
	set_region(check, vm);
	return vm;
}

static void region_is_given(struct check *check)
{
	const uint64_t least = offsetof(struct split_part, desc) +
			       VM_QUEUE_SIZE * sizeof(struct split_desc);

	get_region(check, check_connect(check, NULL));
	if (region.wire.mmap_bytes < least)
		check_fail(check,
			   "the region for a queue of %u has %llu bytes, of "
			   "which its record takes %llu",
			   VM_QUEUE_SIZE,
			   (unsigned long long)region.wire.mmap_bytes,
			   (unsigned long long)least);
	for (uint64_t i = 0; i < region.wire.mmap_bytes; i++) {
		if (region.bytes[i])
			check_fail(check,
				   "byte %llu of a new region is not zero",
				   (unsigned long long)i);
	}
}

static void part_is_set_up(struct check *check)
{
	const struct split_part *part;
	struct vm *vm = prepare(check, 0);

	check_start(check, vm);
	check_read(check, vm, 0);
	part = (const void *)region.bytes;
	if (part->version != 1 || part->desc_num != VM_QUEUE_SIZE)
		check_fail(check,
			   "the record of a queue of %u that runs has version "
			   "%u and desc_num %u",
			   VM_QUEUE_SIZE, part->version, part->desc_num);
}

static bool any_marked(const struct split_part *part)
{
	for (unsigned int i = 0; i < VM_QUEUE_SIZE; i++) {
		if (part->desc[i].inflight)
			return true;
	}
	return false;
}

/* The driver sees a request before its mark is removed. */
static void marks_are_removed(struct check *check)
{
	const struct split_part *part;
	struct vm *vm = prepare(check, 0);
	uint64_t deadline = fe_deadline(vm->session.timeout_msec);

	check_start(check, vm);
	for (unsigned int i = 0; i < 20; i++)
		check_read(check, vm, 0);
	part = (const void *)region.bytes;
	while (any_marked(part) || part->used_idx != vm->vrings[0].used->idx) {
		if (fe_now_usec() > deadline)
			check_fail(check,
				   "all requests are completed, and the record "
				   "has %s and used_idx %u where the ring's is "
				   "%u",
				   any_marked(part) ? "one under way" : "none",
				   part->used_idx, vm->vrings[0].used->idx);
		usleep(1000);
	}
}

static struct split_part *split_record(void)
{
	struct split_part *part = (void *)region.bytes;

	part->version = 1;
	part->desc_num = VM_QUEUE_SIZE;
	return part;
}

static void start_at(struct check *check, struct vm *vm, uint32_t base)
{
	check_done(check, fe_session_set_memory(&vm->session, &vm->memory),
		   "show the memory");
	check_done(check,
		   fe_session_start_vring(&vm->session, &vm->vrings[0], 0,
					  base),
		   "start the ring");
	fe_vring_kick(&vm->vrings[0]);
}

/* Also the death before the first completion: last_batch_head is 0. */
static void unfinished_is_done(struct check *check)
{
	struct vm *vm = prepare(check, 0);
	struct split_part *part = split_record();

	for (unsigned int i = 0; i < 3; i++) {
		uint16_t head;

		check_add_read(check, vm, 0);
		head = vm->vrings[0].avail->ring[i];
		part->desc[head].inflight = 1;
		part->desc[head].counter = i;
	}
	fe_vring_publish(&vm->vrings[0]);
	start_at(check, vm, 0);
	check_reap(check, vm, 0);
	check_read(check, vm, 0);
}

static void new_ones_come_behind(struct check *check)
{
	struct vm *vm = prepare(check, 0);
	struct split_part *part = split_record();

	check_add_read(check, vm, 0);
	part->desc[vm->vrings[0].avail->ring[0]].inflight = 1;
	for (unsigned int i = 0; i < 5; i++)
		check_add_read(check, vm, 0);
	fe_vring_publish(&vm->vrings[0]);
	start_at(check, vm, 0);
	check_reap(check, vm, 0);
	usleep(QUIET_MSEC * 1000);
	if (vm->vrings[0].used->idx != 6)
		check_fail(check, "6 requests were completed %u times",
			   vm->vrings[0].used->idx);
}

/* The used index was stored, and the back-end died before it said so. */
static void finished_is_not_done_again(struct check *check)
{
	struct vm *vm = prepare(check, 0);
	struct split_part *part = split_record();
	struct fe_vring *vring = &vm->vrings[0];
	uint16_t head;

	check_add_read(check, vm, 0);
	fe_vring_publish(vring);
	head = vring->avail->ring[0];
	vring->used->ring[0].id = head;
	vring->used->ring[0].len = 1;
	vring->used->idx = 1;
	part->desc[head].inflight = 1;
	part->last_batch_head = head;
	start_at(check, vm, 1);
	usleep(QUIET_MSEC * 1000);
	if (vring->used->idx != 1)
		check_fail(check, "a request that was completed before its "
				  "back-end died is completed again");
}

static struct packed_part *packed_record(void)
{
	struct packed_part *part = (void *)region.bytes;

	memset(part, 0, sizeof(*part));
	part->version = 1;
	part->desc_num = VM_QUEUE_SIZE;
	part->used_wrap_counter = 1;
	part->old_used_wrap_counter = 1;
	for (uint16_t i = 0; i < VM_QUEUE_SIZE; i++)
		part->desc[i].next = i + 1;
	return part;
}

/* The chain at the beginning of the ring, as a back-end has taken it. */
static void record_chain(struct packed_part *part, const struct vm *vm)
{
	const struct vring_packed_desc *ring = vm->vrings[0].packed.desc;
	uint16_t nr = 0;

	do {
		part->desc[nr].addr = ring[nr].addr;
		part->desc[nr].len = ring[nr].len;
		part->desc[nr].id = ring[nr].id;
		part->desc[nr].flags = ring[nr].flags;
	} while (ring[nr++].flags & VRING_DESC_F_NEXT);
	part->desc[0].inflight = 1;
	part->desc[0].num = nr;
	part->desc[0].last = nr - 1;
	part->free_head = nr;
	part->old_free_head = nr;
}

static void unfinished_packed_is_done(struct check *check)
{
	struct vm *vm = prepare(check, FE_FEATURE_PACKED);

	check_add_read(check, vm, 0);
	fe_vring_publish(&vm->vrings[0]);
	record_chain(packed_record(), vm);
	start_at(check, vm, FIRST_PACKED);
	check_reap(check, vm, 0);
	for (unsigned int i = 0; i < 2 * VM_QUEUE_SIZE; i++)
		check_read(check, vm, 0);
}

static void regions_leak_nothing(struct check *check)
{
	struct target_footprint before;
	struct vm *vm = check_connect(check, NULL);

	get_region(check, vm);
	vm_close(vm);
	before = check_footprint(check);
	vm = check_connect(check, NULL);
	for (unsigned int i = 0; i < MANY; i++) {
		get_region(check, vm);
		set_region(check, vm);
	}
	fe_inflight_deinit(&region);
	vm_close(vm);
	check_same_footprint(check, &before);
}

static void feature_is_needed(struct check *check)
{
	const struct vm_options options = {
		.refused_protocol = FE_PROTOCOL_INFLIGHT,
	};
	struct vm *vm = check_connect(check, &options);

	check_refused(check,
		      fe_session_get_inflight(&vm->session, 1, VM_QUEUE_SIZE,
					      &region),
		      "GET_INFLIGHT_FD without INFLIGHT_SHMFD");
}

static void wild_numbers_are_refused(struct check *check)
{
	static const struct {
		uint64_t bytes;
		uint64_t offset;
		uint16_t nr_queues;
	} wild[] = {
		{ 0, 0, 1 },
		{ 1, 0, 1 },
		{ UINT64_MAX, 0, 1 },
		{ UINT64_MAX - 4095, 8192, 1 },
		{ UINT64_C(1) << 40, 0, 1 },
		{ 65536, UINT64_C(1) << 40, 1 },
		{ 0, 0, 65535 },
		{ 65536, 0, 0 },
	};

	uint64_t mapped_bytes;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		struct vm *vm = check_connect(check, NULL);

		get_region(check, vm);
		mapped_bytes = region.wire.mmap_bytes;
		region.wire.mmap_offset = wild[i].offset;
		region.wire.nr_queues = wild[i].nr_queues;
		region.wire.mmap_bytes = wild[i].bytes;
		error = fe_session_set_inflight(&vm->session, &region);
		/* what is mapped here is as large as before */
		region.wire.mmap_bytes = mapped_bytes;
		check_refused(check, error,
			      "SET_INFLIGHT_FD of %llu bytes at %llu for %u "
			      "queues, whose file is smaller",
			      (unsigned long long)wild[i].bytes,
			      (unsigned long long)wild[i].offset,
			      wild[i].nr_queues);
	}
}

static void wild_records_do_no_harm(struct check *check)
{
	unsigned int seed = 1;

	for (unsigned int i = 0; i < WILD_ROUNDS; i++) {
		struct vm *vm = prepare(check, 0);

		for (uint64_t k = 0; k < region.wire.mmap_bytes; k++)
			region.bytes[k] =
				(uint8_t)(rand_r(&seed) % (i % 2 ? 3 : 256));
		if (i % 2) {
			memset(region.bytes, 0, 16);
			split_record()->used_idx = (uint16_t)-i;
		}
		start_at(check, vm, 0);
		fe_session_sync(&vm->session);
		vm_close(vm);
		/* an answer is not needed, the next one must be served */
		check_read(check, check_open(check, NULL), 0);
	}
}

static void truncated_region_does_no_harm(struct check *check)
{
	struct vm *vm = check_dial(check);

	check_done(check,
		   fe_session_negotiate(&vm->session, FE_USUAL_FEATURES,
					FE_USUAL_PROTOCOL),
		   "negotiate");
	check_done(check, vm_prepare(vm, check->target, NULL),
		   "prepare guest memory on this side");
	check_done(check, fe_inflight_make(&region, 1 << 20, 1, VM_QUEUE_SIZE),
		   "make a region on this side");
	set_region(check, vm);
	check_start(check, vm);
	check_read(check, vm, 0);
	if (ftruncate(region.fd, 0) < 0)
		check_skip(check, "its region cannot be truncated");
	check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
	fe_session_sync(&vm->session);
	check_read(check, check_open(check, NULL), 0);
}

static const struct check_case cases[] = {
	{ .name = "inflight-region-is-given",
	  .section = "vhost-user: GET_INFLIGHT_FD",
	  .promise = "the region has room for the queues that were asked for, "
		     "and is all zero",
	  .run = region_is_given,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-record-is-set-up",
	  .section = SECTION,
	  .promise = "the record of a queue that runs has version 1 and as "
		     "many entries as the queue",
	  .run = part_is_set_up,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-marks-are-removed",
	  .section = SECTION,
	  .promise = "with all requests completed none is marked, and used_idx "
		     "is the ring's",
	  .run = marks_are_removed,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-requests-are-resubmitted",
	  .section = SECTION,
	  .promise = "what is marked is carried out by the next back-end, also "
		     "when nothing was completed before",
	  .run = unfinished_is_done,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-requests-are-done-once",
	  .section = SECTION,
	  .promise = "what is marked and what is new are each completed once",
	  .run = new_ones_come_behind,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-batch-is-not-done-again",
	  .section = SECTION,
	  .promise = "where used_idx is behind the ring's, the marks of the "
		     "last batch are removed",
	  .run = finished_is_not_done_again,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-requests-of-a-packed-ring-are-resubmitted",
	  .section = SECTION,
	  .promise = "a chain of a packed ring is carried out from its copy",
	  .run = unfinished_packed_is_done,
	  .features = FE_FEATURE_PACKED,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-regions-leak-nothing",
	  .section = "vhost-user: GET_INFLIGHT_FD",
	  .promise = "regions that were asked for and set again leave nothing "
		     "behind",
	  .run = regions_leak_nothing,
	  .flags = CHECK_PID,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "inflight-needs-its-feature",
	  .section = "vhost-user: GET_INFLIGHT_FD",
	  .promise = "the message needs INFLIGHT_SHMFD",
	  .run = feature_is_needed,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "impossible-inflight-regions-are-refused",
	  .section = "vhost-user: SET_INFLIGHT_FD",
	  .promise = "a region that is not in its file, or for queues that the "
		     "device has not, is refused",
	  .run = wild_numbers_are_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "wild-inflight-records-do-no-harm",
	  .section = SECTION,
	  .promise = "the region is the front-end's memory: whatever it says, "
		     "the next front-end is served",
	  .run = wild_records_do_no_harm,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_INFLIGHT },
	{ .name = "truncated-inflight-region-does-no-harm",
	  .section = SECTION,
	  .promise = "a front-end that takes the region back harms only itself",
	  .run = truncated_region_does_no_harm,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_INFLIGHT },
};

const struct check_group group_inflight = CHECK_GROUP(
	"inflight", "requests survive the back-end that took them", cases);

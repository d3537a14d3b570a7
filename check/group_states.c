/* SPDX-License-Identifier: MIT */
/*
 * group_states - rings start, are enabled, stop and start again
 */
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/shape.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"

#define QUIET_MSEC 100 /* long enough for what must not come */
#define POLL_USEC  100

static void add_reads(struct check *check, struct vm *vm, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		check_add_read(check, vm, 0);
}

static void publish_and_kick(struct vm *vm)
{
	fe_vring_publish(&vm->vrings[0]);
	fe_vring_kick(&vm->vrings[0]);
}

static uint32_t get_base(struct check *check, struct vm *vm, uint32_t index)
{
	uint32_t base = 0;

	check_done(check, fe_session_get_base(&vm->session, index, &base),
		   "GET_VRING_BASE of queue %u", index);
	return base;
}

static void set_base(struct check *check, struct vm *vm, uint32_t base)
{
	check_done(check,
		   fe_session_start_vring(&vm->session, &vm->vrings[0], 0,
					  (uint16_t)base),
		   "start the ring from base %u", base);
}

enum step {
	NUM,
	BASE,
	ADDR,
	KICK,
	CALL,
	ERR,
	ENABLE,
	NR_STEPS
};

static int send_step(struct vm *vm, enum step step)
{
	struct fe_session *session = &vm->session;
	struct fe_vring *vring = &vm->vrings[0];

	switch (step) {
	case NUM:
		return fe_session_set_state(session, FE_SET_VRING_NUM, 0,
					    vring->size);
	case BASE:
		return fe_session_set_state(session, FE_SET_VRING_BASE, 0, 0);
	case ADDR:
		return fe_session_set_vring_addr(session, vring, 0);
	case KICK:
		return fe_session_set_vring_fd(session, FE_SET_VRING_KICK, 0,
					       vring->kick_fd);
	case CALL:
		return fe_session_set_vring_fd(session, FE_SET_VRING_CALL, 0,
					       vring->call_fd);
	case ERR:
		return fe_session_set_vring_fd(session, FE_SET_VRING_ERR, 0,
					       vring->err_fd);
	default:
		return fe_session_set_state(session, FE_SET_VRING_ENABLE, 0, 1);
	}
}

/* Those orders in which front-ends do it, and the like. */
static void set_up_in_other_orders(struct check *check)
{
	static const enum step orders[][NR_STEPS] = {
		{ NUM, BASE, ADDR, KICK, CALL, ERR, ENABLE },
		{ CALL, ERR, NUM, BASE, ADDR, KICK, ENABLE },
		{ ENABLE, NUM, BASE, ADDR, CALL, ERR, KICK },
		{ BASE, NUM, ADDR, ERR, CALL, KICK, ENABLE },
		{ NUM, ADDR, BASE, CALL, KICK, ERR, ENABLE },
		{ ENABLE, CALL, NUM, ADDR, BASE, KICK, ERR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct vm *vm = check_prepare(check, NULL);

		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
		for (unsigned int k = 0; k < NR_STEPS; k++)
			check_done(check, send_step(vm, orders[i][k]),
				   "step %u of order %zu", k, i);
		check_read(check, vm, 0);
	}
}

static void without_protocol_features_start_enabled(struct check *check)
{
	const struct vm_options options = {
		.refused_features = FE_FEATURE_PROTOCOL,
	};

	check_read(check, check_open(check, &options), 0);
}

/* All but ENABLE, and two reads in the ring. */
static struct vm *start_disabled(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	check_done(check, fe_session_set_memory(&vm->session, &vm->memory),
		   "show the memory");
	for (unsigned int i = 0; i < ENABLE; i++)
		check_done(check, send_step(vm, (enum step)i),
			   "set up the ring");
	add_reads(check, vm, 2);
	publish_and_kick(vm);
	check_done(check, fe_session_sync(&vm->session), "GET_FEATURES");
	return vm;
}

static void a_disabled_ring_has_no_effects(struct check *check)
{
	struct vm *vm = start_disabled(check);

	usleep(QUIET_MSEC * 1000);
	if (fe_vring_has_used(&vm->vrings[0]))
		check_fail(check, "a read was served before SET_VRING_ENABLE");
}

static void a_kick_before_enable_is_not_lost(struct check *check)
{
	struct vm *vm = start_disabled(check);

	check_done(check, send_step(vm, ENABLE), "SET_VRING_ENABLE 1");
	check_reap(check, vm, 0);
}

static void what_waits_is_served_at_the_first_kick(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	add_reads(check, vm, 8);
	fe_vring_publish(&vm->vrings[0]);
	check_start(check, vm);
	fe_vring_kick(&vm->vrings[0]);
	check_reap(check, vm, 0);
}

/* A kick on an eventfd that was signalled before it was sent. */
static void a_kick_fd_may_come_signalled(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	add_reads(check, vm, 4);
	publish_and_kick(vm);
	check_start(check, vm);
	check_reap(check, vm, 0);
}

/* The driver polls, too. */
static int poll_for_one(struct vm *vm)
{
	uint64_t deadline = fe_deadline(vm->session.timeout_msec);

	while (!fe_vring_has_used(&vm->vrings[0])) {
		if (fe_now_usec() > deadline)
			return -ETIMEDOUT;
		usleep(POLL_USEC);
	}
	return 0;
}

static void without_kick_fd_the_ring_is_polled(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	rh_fd_close(&vm->vrings[0].kick_fd);
	check_start(check, vm);
	for (unsigned int i = 0; i < 20; i++) {
		add_reads(check, vm, 1);
		fe_vring_publish(&vm->vrings[0]);
		check_done(check, poll_for_one(vm),
			   "read %u on a ring whose SET_VRING_KICK says that "
			   "there is no fd",
			   i + 1);
		check_reap(check, vm, 0);
	}
}

static void without_call_fd_the_ring_is_served(struct check *check)
{
	struct vm *vm = check_prepare(check, NULL);

	rh_fd_close(&vm->vrings[0].call_fd);
	check_start(check, vm);
	for (unsigned int i = 0; i < 20; i++) {
		add_reads(check, vm, 1);
		publish_and_kick(vm);
		check_done(check, poll_for_one(vm), "read %u without a call fd",
			   i + 1);
		check_reap(check, vm, 0);
	}
}

static void a_kick_fd_may_be_replaced(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 20; i++) {
		rh_fd_close(&vm->vrings[0].kick_fd);
		vm->vrings[0].kick_fd = rh_eventfd_create();
		check_done(check, send_step(vm, KICK),
			   "SET_VRING_KICK for a running ring");
		check_read(check, vm, 0);
	}
}

static void a_call_fd_may_be_replaced(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 20; i++) {
		rh_fd_close(&vm->vrings[0].call_fd);
		vm->vrings[0].call_fd = rh_eventfd_create();
		check_done(check, send_step(vm, CALL),
			   "SET_VRING_CALL for a running ring");
		check_done(check, fe_session_sync(&vm->session),
			   "GET_FEATURES");
		check_read(check, vm, 0);
	}
}

static void needless_kicks_do_nothing(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int i = 0; i < 10000; i++)
		fe_vring_kick(&vm->vrings[0]);
	check_read(check, vm, 0);
	if (fe_vring_has_used(&vm->vrings[0]))
		check_fail(check, "there is a used entry for no request");
}

static void base_counts_requests(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint32_t base;

	for (unsigned int i = 0; i < 5; i++)
		check_read(check, vm, 0);
	base = get_base(check, vm, 0);
	if (base != 5)
		check_fail(check, "GET_VRING_BASE after 5 requests is %u",
			   base);
}

static void base_of_a_new_ring_is_zero(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);
	uint32_t base = get_base(check, vm, 0);

	if (base)
		check_fail(check,
			   "GET_VRING_BASE of a ring that never was set "
			   "up is %u",
			   base);
}

static void base_may_be_asked_twice(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint32_t first;
	uint32_t second;

	check_read(check, vm, 0);
	first = get_base(check, vm, 0);
	second = get_base(check, vm, 0);
	if (first != second)
		check_fail(check,
			   "GET_VRING_BASE is %u, and %u when it is "
			   "asked again",
			   first, second);
}

/* Large requests, so that some are under way when the message comes. */
static void fill_with_reads(struct check *check, struct vm *vm)
{
	struct fe_blk *blk = &vm->blks[0];
	struct fe_blk_request *request;
	uint32_t bytes = MIN(blk->max_data_bytes, check->target->scratch_bytes);

	while ((request = fe_blk_get(blk))) {
		request->sector = check->target->scratch_sector;
		request->data_bytes =
			align_down(bytes, check->target->block_bytes);
		check_done(check, fe_blk_add(request), "add a read");
	}
	publish_and_kick(vm);
}

static void get_base_waits_for_requests(struct check *check)
{
	struct vm *vm;
	uint32_t base;
	uint16_t used;

	for (unsigned int round = 0; round < 60; round++) {
		vm = check_open(check, NULL);
		fill_with_reads(check, vm);
		/* into all phases of taking, doing and completing them */
		usleep(round % 20 * 20);
		base = get_base(check, vm, 0);
		used = vm->vrings[0].used->idx;
		if (used != (uint16_t)base)
			check_fail(check,
				   "GET_VRING_BASE was answered with %u while "
				   "%u requests only were used: %u were taken "
				   "and still under way (round %u)",
				   base, used, (uint16_t)(base - used),
				   round + 1);
	}
}

static void nothing_is_written_after_get_base(struct check *check)
{
	uint8_t *before;
	struct vm *vm;
	size_t size;

	for (unsigned int round = 0; round < 10; round++) {
		vm = check_open(check, NULL);
		size = vm->memory.regions[0].wire.size_bytes;
		before = check_alloc(check, size);
		fill_with_reads(check, vm);
		usleep(round * 40);
		get_base(check, vm, 0);
		memcpy(before, vm->memory.regions[0].host, size);
		fe_vring_kick(&vm->vrings[0]);
		usleep(QUIET_MSEC * 1000);
		if (memcmp(before, vm->memory.regions[0].host, size))
			check_fail(check,
				   "guest memory was written after the "
				   "reply to GET_VRING_BASE (round %u)",
				   round + 1);
		free(before);
	}
}

static void a_stopped_ring_is_left_alone(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	check_read(check, vm, 0);
	get_base(check, vm, 0);
	add_reads(check, vm, 2);
	publish_and_kick(vm);
	usleep(QUIET_MSEC * 1000);
	check_done(check, fe_session_sync(&vm->session), "GET_FEATURES");
	if (fe_vring_has_used(&vm->vrings[0]))
		check_fail(check, "a ring was processed after GET_VRING_BASE");
}

static void a_restart_loses_nothing(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	for (unsigned int round = 0; round < 50; round++) {
		add_reads(check, vm, VM_DEPTH);
		publish_and_kick(vm);
		set_base(check, vm, get_base(check, vm, 0));
		fe_vring_kick(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

static void base_is_honoured(struct check *check)
{
	const uint16_t bases[] = { 1, 100, 30000 };
	struct fe_vring *vring;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		vm = check_prepare(check, NULL);
		vring = &vm->vrings[0];
		vm_set_position(vring, bases[i]);
		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
		set_base(check, vm, bases[i]);
		for (unsigned int k = 0; k < 10; k++)
			check_read(check, vm, 0);
	}
}

static void disabling_loses_nothing(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	int error = 0;

	for (unsigned int round = 0; round < 50; round++) {
		add_reads(check, vm, VM_DEPTH);
		publish_and_kick(vm);
		for (uint32_t enable = 0; enable < 2 && !error; enable++)
			error = fe_session_set_state(
				&vm->session, FE_SET_VRING_ENABLE, 0, enable);
		check_done(check, error, "SET_VRING_ENABLE 0, then 1");
		fe_vring_kick(&vm->vrings[0]);
		check_reap(check, vm, 0);
	}
}

static void one_ring_stops_alone(struct check *check)
{
	const struct vm_options options = { .nr_queues = 2 };
	struct vm *vm = check_open(check, &options);

	check_read(check, vm, 0);
	check_read(check, vm, 1);
	get_base(check, vm, 0);
	for (unsigned int i = 0; i < 10; i++)
		check_read(check, vm, 1);
}

static void a_reset_stops_all_rings(struct check *check)
{
	struct vm *vm = check_open(check, NULL);

	check_read(check, vm, 0);
	check_done(check, fe_session_command(&vm->session, FE_RESET_DEVICE),
		   "RESET_DEVICE");
	check_done(check, fe_session_sync(&vm->session),
		   "GET_FEATURES after RESET_DEVICE");
	add_reads(check, vm, 2);
	publish_and_kick(vm);
	usleep(QUIET_MSEC * 1000);
	if (fe_vring_has_used(&vm->vrings[0]))
		check_fail(check, "a ring was processed after RESET_DEVICE");
}

static void a_reset_device_can_be_used_again(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	int error;

	for (unsigned int i = 0; i < 10; i++) {
		check_read(check, vm, 0);
		error = fe_session_command(&vm->session, FE_RESET_DEVICE);
		if (!error)
			error = fe_session_set(&vm->session, FE_SET_FEATURES,
					       vm->session.features);
		check_done(check, error, "RESET_DEVICE, then SET_FEATURES");
		fe_vring_reset(&vm->vrings[0]);
		set_base(check, vm, 0);
	}
	check_read(check, vm, 0);
}

static const struct check_case cases[] = {
	{ .name = "ring-is-set-up-in-other-orders",
	  .section = "vhost-user: Ring states",
	  .promise = "what a ring needs may be told in any order in which the "
		     "kick comes after size, base and addresses",
	  .run = set_up_in_other_orders,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "without-protocol-features-rings-start-enabled",
	  .section = "vhost-user: Ring states",
	  .promise = "a ring starts enabled if bit 30 was not negotiated",
	  .run = without_protocol_features_start_enabled },
	{ .name = "disabled-ring-has-no-effects",
	  .section = "vhost-user: Ring states",
	  .promise = "a ring that is started and not enabled is processed "
		     "without side effects",
	  .run = a_disabled_ring_has_no_effects,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "kick-before-enable-is-not-lost",
	  .section = "vhost-user: Ring states",
	  .promise = "requests that were made available before "
		     "SET_VRING_ENABLE are served after it",
	  .run = a_kick_before_enable_is_not_lost,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "what-waits-is-served-at-the-first-kick",
	  .section = "vhost-user: Ring states",
	  .promise = "requests that lie in the ring before it starts are "
		     "served when it does",
	  .run = what_waits_is_served_at_the_first_kick },
	{ .name = "kick-fd-may-come-signalled",
	  .section = "vhost-user: Ring states",
	  .promise =
		  "a ring starts when its kick fd is found readable, also if "
		  "it was before it came",
	  .run = a_kick_fd_may_come_signalled },
	{ .name = "ring-without-kick-fd-is-polled",
	  .section = "vhost-user: SET_VRING_KICK",
	  .promise = "bit 8 of SET_VRING_KICK says to poll the ring instead of "
		     "waiting for a kick",
	  .run = without_kick_fd_the_ring_is_polled },
	{ .name = "ring-without-call-fd-is-served",
	  .section = "vhost-user: SET_VRING_CALL",
	  .promise = "bit 8 of SET_VRING_CALL says that the driver polls",
	  .run = without_call_fd_the_ring_is_served },
	{ .name = "kick-fd-may-be-replaced",
	  .section = "vhost-user: Ring states",
	  .promise = "a ring that runs may be given another kick fd",
	  .run = a_kick_fd_may_be_replaced },
	{ .name = "call-fd-may-be-replaced",
	  .section = "vhost-user: Ring states",
	  .promise = "a ring that runs may be given another call fd",
	  .run = a_call_fd_may_be_replaced },
	{ .name = "needless-kicks-do-nothing",
	  .section = "virtio 1.3: 2.7.13",
	  .promise = "a kick with nothing in the ring has no effect",
	  .run = needless_kicks_do_nothing },
	{ .name = "get-vring-base-counts-requests",
	  .section = "vhost-user: GET_VRING_BASE",
	  .promise = "the base is the index of the next request in the "
		     "available ring",
	  .run = base_counts_requests },
	{ .name = "get-vring-base-of-a-new-ring-is-zero",
	  .section = "vhost-user: GET_VRING_BASE",
	  .promise = "a ring that never was set up has base 0",
	  .run = base_of_a_new_ring_is_zero },
	{ .name = "get-vring-base-may-be-asked-twice",
	  .section = "vhost-user: GET_VRING_BASE",
	  .promise = "the base of a stopped ring stays the same",
	  .run = base_may_be_asked_twice },
	{ .name = "get-vring-base-waits-for-requests",
	  .section = "vhost-user: Ring states",
	  .promise = "GET_VRING_BASE stops the ring: when it is answered, all "
		     "requests before the base are used",
	  .run = get_base_waits_for_requests },
	{ .name = "nothing-is-written-after-get-vring-base",
	  .section = "vhost-user: Migration",
	  .promise = "after a ring was stopped no byte of guest memory changes "
		     "until it is started again",
	  .run = nothing_is_written_after_get_base },
	{ .name = "stopped-ring-is-left-alone",
	  .section = "vhost-user: Ring states",
	  .promise = "a stopped ring must not be processed at all",
	  .run = a_stopped_ring_is_left_alone },
	{ .name = "restart-from-base-loses-nothing",
	  .section = "vhost-user: SET_VRING_BASE",
	  .promise = "a ring that is started from the base it was stopped at "
		     "serves all that was not served before",
	  .run = a_restart_loses_nothing },
	{ .name = "base-is-honoured",
	  .section = "vhost-user: SET_VRING_BASE",
	  .promise = "the ring is processed from the base on, and its used "
		     "index goes on from where it is",
	  .run = base_is_honoured },
	{ .name = "disabling-and-enabling-loses-nothing",
	  .section = "vhost-user: SET_VRING_ENABLE",
	  .promise = "a ring that is enabled again goes on where it was",
	  .run = disabling_loses_nothing,
	  .features = FE_FEATURE_PROTOCOL },
	{ .name = "one-ring-stops-alone",
	  .section = "vhost-user: Multiple queue support",
	  .promise = "GET_VRING_BASE stops the ring that it names",
	  .run = one_ring_stops_alone,
	  .flags = CHECK_QUEUES_2 },
	{ .name = "reset-device-stops-all-rings",
	  .section = "vhost-user: RESET_DEVICE",
	  .promise = "RESET_DEVICE disables all rings",
	  .run = a_reset_stops_all_rings,
	  .protocol = FE_PROTOCOL_RESET_DEVICE },
	{ .name = "reset-device-can-be-used-again",
	  .section = "vhost-user: RESET_DEVICE",
	  .promise = "after RESET_DEVICE the device can be set up anew on the "
		     "same connection",
	  .run = a_reset_device_can_be_used_again,
	  .protocol = FE_PROTOCOL_RESET_DEVICE },
};

const struct check_group group_states =
	CHECK_GROUP("ring-states", "rings start, stop, and start again", cases);

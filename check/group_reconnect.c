/* SPDX-License-Identifier: MIT */
/*
 * group_reconnect - front-ends come and go and leave nothing behind
 */
#include <errno.h>
#include <string.h>

#include "check/groups.h"
#include "check/request.h"
#include "common/fd.h"

#define QUIET_MSEC	100
#define LEAK_ROUNDS	50
#define HUNDRED		100
#define F_FLUSH		FE_BIT(9)
#define F_WCE		FE_BIT(11)
#define WCE		offsetof(struct virtio_blk_config, wce)
#define UNANSWERED_MSEC 200

static void hundred_sessions_are_served(struct check *check)
{
	for (unsigned int i = 0; i < HUNDRED; i++)
		check_read(check, check_open(check, NULL), 0);
}

static void sessions_leak_nothing(struct check *check)
{
	struct target_footprint before;

	/* so that all that it ever allocates is there */
	for (unsigned int i = 0; i < 3; i++)
		check_read(check, check_open(check, NULL), 0);
	vm_close(&check->vm);
	before = check_footprint(check);
	for (unsigned int i = 0; i < LEAK_ROUNDS; i++)
		check_read(check, check_open(check, NULL), 0);
	check_same_footprint(check, &before);
}

static void memory_leaks_nothing(struct check *check)
{
	struct target_footprint before = check_footprint(check);
	struct vm *vm;

	for (unsigned int i = 0; i < LEAK_ROUNDS; i++) {
		vm = check_prepare(check, NULL);
		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
	}
	check_same_footprint(check, &before);
}

static void silent_connections_leak_nothing(struct check *check)
{
	struct target_footprint before = check_footprint(check);

	for (unsigned int i = 0; i < 4 * LEAK_ROUNDS; i++)
		check_dial(check);
	check_same_footprint(check, &before);
}

/* One with rings, and one that only asks; both must be served. */
static void a_second_front_end_waits(struct check *check)
{
	static struct vm second;
	struct vm *first = check_open(check, NULL);
	struct fe_message message;
	int error;

	check_read(check, first, 0);
	check_done(check, vm_dial(&second, check->target),
		   "a second connection");
	fe_message_init(&message, FE_GET_FEATURES, 0);
	error = fe_message_send(second.session.sock, &message, NULL, 0);
	if (!error)
		error = fe_message_receive(second.session.sock, &message,
					   UNANSWERED_MSEC, NULL, NULL);
	for (unsigned int i = 0; i < 10; i++)
		check_read(check, first, 0);
	vm_close(first);
	/* refused, or served at once by some: then that is all */
	if (error != -ETIMEDOUT)
		return;
	check_done(check,
		   fe_message_receive(second.session.sock, &message,
				      second.session.timeout_msec, NULL, NULL),
		   "GET_FEATURES of a second front-end that waited until the "
		   "first had gone");
}

static void vanished_connections_do_no_harm(struct check *check)
{
	static struct vm others[8];
	struct vm *first = check_open(check, NULL);

	/* there may be room in the backlog for one only */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (vm_dial(&others[i], check->target) < 0)
			break;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		vm_close(&others[i]);
	for (unsigned int i = 0; i < 10; i++)
		check_read(check, first, 0);
}

static void negotiation_does_not_survive(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_message message;

	check_read(check, vm, 0);
	vm = check_dial(check);
	/* REPLY_ACK is not negotiated now, so the flag means nothing */
	fe_message_init(&message, FE_SET_OWNER, 0);
	check_done(check, fe_message_send(vm->session.sock, &message, NULL, 0),
		   "send SET_OWNER");
	check_done(check, fe_session_sync(&vm->session), "GET_FEATURES");
	check_done(check,
		   fe_session_negotiate(&vm->session, FE_FEATURE_VERSION_1, 0),
		   "negotiate without protocol features");
	check_done(check, vm_prepare(vm, check->target, NULL),
		   "prepare guest memory on this side");
	check_start(check, vm);
	check_read(check, vm, 0);
}

static void ring_position_does_not_survive(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint32_t base = 0;

	for (unsigned int i = 0; i < 5; i++)
		check_read(check, vm, 0);
	vm = check_connect(check, NULL);
	check_done(check, fe_session_get_base(&vm->session, 0, &base),
		   "GET_VRING_BASE");
	if (base)
		check_fail(check,
			   "GET_VRING_BASE of a new session is %u, the "
			   "position of the last one",
			   base);
}

static uint8_t get_wce(struct check *check, struct vm *vm)
{
	uint8_t data[WCE + 1];

	/* from the beginning, for those that know no offsets */
	check_done(check,
		   fe_session_get_config(&vm->session, 0, data, sizeof(data)),
		   "GET_CONFIG of %zu bytes, the last of which is writeback",
		   sizeof(data));
	return data[WCE];
}

static void cache_mode_does_not_survive(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint8_t before = get_wce(check, vm);
	uint8_t now = !before;

	check_done(check, fe_session_set_config(&vm->session, WCE, &now, 1),
		   "SET_CONFIG of writeback to %u", now);
	vm = check_open(check, NULL);
	now = get_wce(check, vm);
	/* put it back, for those that forget nothing */
	fe_session_set_config(&vm->session, WCE, &before, 1);
	if (now != before)
		check_fail(check,
			   "a session has set writeback from %u to %u, and the "
			   "next one finds it so",
			   before, now);
}

static void fill_with_reads(struct check *check, struct vm *vm)
{
	for (unsigned int i = 0; i < VM_DEPTH; i++)
		check_add_read(check, vm, 0);
	fe_vring_submit(&vm->vrings[0]);
}

static void leaving_with_requests_does_no_harm(struct check *check)
{
	for (unsigned int i = 0; i < 20; i++) {
		fill_with_reads(check, check_open(check, NULL));
		check_read(check, check_open(check, NULL), 0);
	}
}

/* The memory is ours: who writes to it when the next session is answered? */
static void nothing_is_written_after_the_end(struct check *check)
{
	static struct vm next;
	struct vm *vm;
	uint8_t *before;
	size_t size;

	for (unsigned int round = 0; round < 10; round++) {
		vm = check_open(check, NULL);
		fill_with_reads(check, vm);
		fe_session_deinit(&vm->session);
		check_done(check, vm_dial(&next, check->target), "connect");
		check_done(check, fe_session_sync(&next.session),
			   "GET_FEATURES of the next front-end");
		size = vm->memory.regions[0].wire.size_bytes;
		before = check_alloc(check, size);
		memcpy(before, vm->memory.regions[0].host, size);
		usleep(QUIET_MSEC * 1000);
		if (memcmp(before, vm->memory.regions[0].host, size))
			check_fail(check, "guest memory was written when its "
					  "session was over and the next one "
					  "was answered");
		free(before);
		vm_close(&next);
	}
}

static void data_survives(struct check *check)
{
	const struct target *target = check->target;
	uint32_t unit = target->unit_bytes;
	uint8_t *data = check_alloc(check, unit);
	struct vm *vm = check_open(check, NULL);
	uint64_t sector = target_slot_sector(target, 5);

	check_fill(data, unit, 99);
	check_done(check, fe_blk_write(&vm->blks[0], sector, data, unit),
		   "a write");
	vm = check_open(check, NULL);
	check_done(check, fe_blk_read(&vm->blks[0], sector, data, unit),
		   "a read in the next session");
	if (!check_filled(data, unit, 99))
		check_fail(check, "a session does not read what the one before "
				  "has written");
	free(data);
}

static void the_same_memory_can_be_shown_again(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	uint16_t base;

	for (unsigned int i = 0; i < 5; i++) {
		check_read(check, vm, 0);
		base = vm->vrings[0].next_avail;
		fe_session_deinit(&vm->session);
		/* as a VMM that reconnects: rings go on where they were */
		check_done(check,
			   fe_session_connect(&vm->session,
					      check->target->socket),
			   "connect again");
		vm->session.timeout_msec = check->target->timeout_msec;
		check_done(check,
			   fe_session_negotiate(&vm->session, FE_USUAL_FEATURES,
						FE_USUAL_PROTOCOL),
			   "negotiate again");
		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the same memory");
		check_done(check,
			   fe_session_start_vring(&vm->session, &vm->vrings[0],
						  0, base),
			   "start the same ring from base %u", base);
		/* it starts with a kick, whatever was asked for before */
		fe_vring_kick(&vm->vrings[0]);
	}
	check_read(check, vm, 0);
}

static void dying_during_setup_does_no_harm(struct check *check)
{
	struct vm *vm;

	for (unsigned int i = 0; i < 20; i++) {
		vm = check_prepare(check, NULL);
		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
		check_done(check,
			   fe_session_set_state(&vm->session, FE_SET_VRING_NUM,
						0, VM_QUEUE_SIZE),
			   "SET_VRING_NUM");
		check_done(check,
			   fe_session_set_vring_addr(&vm->session,
						     &vm->vrings[0], 0),
			   "SET_VRING_ADDR");
	}
}

static const struct check_case cases[] = {
	{ .name = "hundred-sessions-are-served",
	  .section = "vhost-user: Communication",
	  .promise = "a front-end is served when the one before has gone",
	  .run = hundred_sessions_are_served },
	{ .name = "sessions-leak-nothing",
	  .section = "vhost-user: Communication",
	  .promise = "a session's fds and mappings end with it",
	  .run = sessions_leak_nothing,
	  .flags = CHECK_PID },
	{ .name = "memory-that-was-shown-is-unmapped",
	  .section = "vhost-user: SET_MEM_TABLE",
	  .promise = "guest memory is not kept after the session",
	  .run = memory_leaks_nothing,
	  .flags = CHECK_PID },
	{ .name = "silent-connections-leak-nothing",
	  .section = "vhost-user: Communication",
	  .promise = "a connection that says nothing leaves nothing behind",
	  .run = silent_connections_leak_nothing,
	  .flags = CHECK_PID },
	{ .name = "second-front-end-does-not-disturb-the-first",
	  .section = "vhost-user: Communication",
	  .promise = "a second front-end waits until the first has gone, or is "
		     "refused; the first one is served meanwhile",
	  .run = a_second_front_end_waits },
	{ .name = "vanished-connections-do-no-harm",
	  .section = "vhost-user: Communication",
	  .promise = "connections that end before they are answered do not "
		     "disturb the one that is served",
	  .run = vanished_connections_do_no_harm },
	{ .name = "negotiation-does-not-survive-the-session",
	  .section = "vhost-user: SET_OWNER",
	  .promise = "each session negotiates anew",
	  .run = negotiation_does_not_survive,
	  .features = FE_FEATURE_VERSION_1 },
	{ .name = "ring-position-does-not-survive-the-session",
	  .section = "vhost-user: Ring states",
	  .promise = "each ring is initialized in the stopped state, at base 0",
	  .run = ring_position_does_not_survive },
	{ .name = "cache-mode-does-not-survive-the-session",
	  .section = "virtio 1.3: 5.2.5.2",
	  .promise = "writeback has its initial value again when a device is "
		     "initialized",
	  .run = cache_mode_does_not_survive,
	  .features = F_WCE },
	{ .name = "leaving-with-requests-under-way-does-no-harm",
	  .section = "vhost-user: Communication",
	  .promise = "a front-end may go at any time, and the next one is "
		     "served",
	  .run = leaving_with_requests_does_no_harm },
	{ .name = "nothing-is-written-after-the-session",
	  .section = "vhost-user: Ring states",
	  .promise = "rings end with their session: no byte of its memory is "
		     "written when the next one is answered",
	  .run = nothing_is_written_after_the_end },
	{ .name = "data-survives-the-session",
	  .section = "virtio 1.3: 5.2.6",
	  .promise = "what a session has written is read by the next one",
	  .run = data_survives,
	  .flags = CHECK_WRITES },
	{ .name = "same-memory-can-be-shown-again",
	  .section = "vhost-user: SET_VRING_BASE",
	  .promise = "a front-end that connects again goes on with its rings "
		     "where they are",
	  .run = the_same_memory_can_be_shown_again },
	{ .name = "leaving-during-setup-does-no-harm",
	  .section = "vhost-user: Communication",
	  .promise = "a front-end may go when its rings are half set up, and "
		     "the next one is served",
	  .run = dying_during_setup_does_no_harm },
};

const struct check_group group_reconnect = CHECK_GROUP(
	"reconnect", "front-ends come and go and leave nothing behind", cases);

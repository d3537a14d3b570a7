/* SPDX-License-Identifier: MIT */
/*
 * group_status - the device status, in-band notifications, the device's state
 *
 * What few back-ends offer; the cases are skipped where they do not.
 */
#include <errno.h>
#include <unistd.h>

#include "check/groups.h"
#include "common/fd.h"
#include "tests/frontend/clock.h"

#define STATUS_ALL_OK	15   /* acknowledge, driver, driver ok, features ok */
#define STATUS_MASK	0x8f /* the bits that are the driver's */
#define FLAG_REPLY	4u
#define DIRECTION_SAVE	0
#define DIRECTION_LOAD	1
#define TRANSFER_FAILED 0xff /* any of these bits */
#define TRANSFER_NO_FD	0x100
#define MAX_STATE_BYTES (1u << 20)

static const struct vm_options with_status = {
	.more_protocol = FE_PROTOCOL_STATUS,
};

static const struct vm_options with_inband = {
	.more_protocol = FE_PROTOCOL_INBAND,
};

static const struct vm_options with_state = {
	.more_protocol = FE_PROTOCOL_DEVICE_STATE,
};

static void set_status(struct check *check, struct vm *vm, uint64_t status)
{
	check_done(check, fe_session_set(&vm->session, FE_SET_STATUS, status),
		   "SET_STATUS %u", (unsigned int)status);
}

static uint64_t get_status(struct check *check, struct vm *vm)
{
	uint64_t status = 0;

	check_done(check, fe_session_get(&vm->session, FE_GET_STATUS, &status),
		   "GET_STATUS");
	return status;
}

static void status_reads_as_it_was_set(struct check *check)
{
	static const uint64_t steps[] = { 1, 3, 11, STATUS_ALL_OK };
	struct vm *vm = check_open(check, &with_status);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t status;

		set_status(check, vm, steps[i]);
		status = get_status(check, vm);
		if ((status & STATUS_MASK) != steps[i])
			check_fail(check,
				   "GET_STATUS is 0x%llx after "
				   "SET_STATUS 0x%llx",
				   (unsigned long long)status,
				   (unsigned long long)steps[i]);
	}
	check_read(check, vm, 0);
}

static void status_0_resets_under_load(struct check *check)
{
	struct vm *vm = check_open(check, &with_status);
	struct fe_vring *vring = &vm->vrings[0];
	uint64_t status;

	for (unsigned int round = 0; round < 10; round++) {
		uint16_t used;

		set_status(check, vm, STATUS_ALL_OK);
		for (unsigned int i = 0; i < VM_DEPTH; i++)
			check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		set_status(check, vm, 0);
		status = get_status(check, vm);
		if (status)
			check_fail(check,
				   "GET_STATUS is 0x%llx after "
				   "SET_STATUS 0",
				   (unsigned long long)status);
		used = vring->used->idx;
		fe_vring_kick(vring);
		check_done(check, fe_session_sync(&vm->session),
			   "GET_FEATURES after SET_STATUS 0");
		if (vring->used->idx != used)
			check_fail(check, "a ring was processed after "
					  "SET_STATUS 0");
		check_done(check,
			   fe_session_start_vring(&vm->session, vring, 0, used),
			   "start the ring after SET_STATUS 0");
		check_reap(check, vm, 0);
	}
}

static void odd_status_does_no_harm(struct check *check)
{
	static const uint64_t odd[] = { 0x100, 0xff, UINT64_MAX,
					0x40,  0x80, UINT64_C(1) << 63 };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct vm *vm = check_open(check, &with_status);

		check_harmless(check,
			       fe_session_set(&vm->session, FE_SET_STATUS,
					      odd[i]),
			       "SET_STATUS 0x%llx", (unsigned long long)odd[i]);
		vm_close(vm);
	}
}

/* A ring with no fd at all; returns the back-end's channel. */
static int start_without_fds(struct check *check, struct vm *vm)
{
	struct fe_session *session = &vm->session;
	struct fe_vring *vring = &vm->vrings[0];
	int channel = -1;
	int error;

	check_done(check, fe_session_open_channel(session, &channel),
		   "SET_BACKEND_REQ_FD");
	check_done(check, fe_session_set_memory(session, &vm->memory),
		   "show the memory");
	error = fe_session_set_state(session, FE_SET_VRING_NUM, 0, vring->size);
	if (!error)
		error = fe_session_set_state(session, FE_SET_VRING_BASE, 0, 0);
	if (!error)
		error = fe_session_set_vring_addr(session, vring, 0);
	if (!error)
		error = fe_session_set_state(session, FE_SET_VRING_ENABLE, 0,
					     1);
	check_done(check, error, "set up a ring");
	return channel;
}

static void expect_call(struct check *check, int channel)
{
	struct fe_message message;
	int error = fe_message_receive(channel, &message,
				       check->target->timeout_msec, NULL, NULL);

	check_done(check, error, "the message VRING_CALL");
	if (message.request != FE_BACKEND_VRING_CALL ||
	    message.payload.state.index || message.payload.state.num)
		check_fail(check,
			   "message %u about queue %u instead of VRING_CALL "
			   "about queue 0",
			   message.request, message.payload.state.index);
	fe_message_init_u64(&message, FE_BACKEND_VRING_CALL, 0);
	message.flags |= FLAG_REPLY;
	check_done(check, fe_message_send(channel, &message, NULL, 0),
		   "answer VRING_CALL");
}

static void inband_kicks_and_calls(struct check *check)
{
	struct vm *vm = check_prepare(check, &with_inband);
	int channel = start_without_fds(check, vm);

	for (unsigned int round = 0; round < 50; round++) {
		struct fe_blk_request *request = check_add_read(check, vm, 0);

		fe_vring_publish(&vm->vrings[0]);
		check_done(check,
			   fe_session_set_state(&vm->session, FE_VRING_KICK, 0,
						0),
			   "VRING_KICK");
		while (!fe_vring_expect_calls(&vm->vrings[0]))
			expect_call(check, channel);
		if (fe_blk_reap(&vm->blks[0], &request) <= 0 ||
		    fe_blk_result(request))
			check_fail(check, "read %u has failed", round + 1);
		fe_blk_put(request);
	}
	close(channel);
}

static void inband_without_its_bits_is_refused(struct check *check)
{
	struct vm *vm = check_connect(check, NULL);

	check_refused(check,
		      fe_session_set(&vm->session, FE_SET_PROTOCOL_FEATURES,
				     FE_PROTOCOL_INBAND),
		      "SET_PROTOCOL_FEATURES with INBAND_NOTIFICATIONS alone");
}

/* Returns what the back-end answers; the fd is its own then. */
static uint64_t begin_transfer(struct check *check, struct vm *vm,
			       uint32_t direction, int fd)
{
	struct fe_message message;
	int error;

	fe_message_init(&message, FE_SET_DEVICE_STATE_FD,
			sizeof(message.payload.transfer));
	message.payload.transfer.direction = direction;
	error = fe_message_send(vm->session.sock, &message, &fd, 1);
	close(fd);
	if (!error)
		error = fe_message_receive(vm->session.sock, &message,
					   check->target->timeout_msec, NULL,
					   NULL);
	check_done(check, error, "SET_DEVICE_STATE_FD");
	return message.payload.u64;
}

static void check_transfer(struct check *check, struct vm *vm, const char *what)
{
	uint64_t failed = 1;

	check_done(check,
		   fe_session_get(&vm->session, FE_CHECK_DEVICE_STATE, &failed),
		   "CHECK_DEVICE_STATE");
	if (failed)
		check_fail(check,
			   "CHECK_DEVICE_STATE tells that the state was "
			   "not %s",
			   what);
}

static void make_pipe(struct check *check, int ends[2])
{
	if (pipe(ends) < 0)
		check_skip(check, "cannot be given a pipe");
}

/* Of a device that never ran; what it says is given back to it. */
static void state_is_saved_and_loaded(struct check *check)
{
	static uint8_t bytes[MAX_STATE_BYTES];
	struct vm *vm = check_connect(check, &with_state);
	size_t nr = 0;
	ssize_t done;
	int ends[2];

	make_pipe(check, ends);
	if (begin_transfer(check, vm, DIRECTION_SAVE, ends[1]) !=
	    TRANSFER_NO_FD)
		check_skip(check, "does not use the front-end's pipe");
	while ((done = read(ends[0], bytes + nr, sizeof(bytes) - nr)) > 0)
		nr += (size_t)done;
	if (nr == sizeof(bytes))
		check_skip(check, "has a state of over a MiB");
	check_transfer(check, vm, "saved");
	close(ends[0]);

	make_pipe(check, ends);
	if (begin_transfer(check, vm, DIRECTION_LOAD, ends[0]) !=
	    TRANSFER_NO_FD)
		check_skip(check, "does not use the front-end's pipe");
	if (write(ends[1], bytes, nr) != (ssize_t)nr)
		check_fail(check, "the state cannot be written to the pipe");
	close(ends[1]);
	check_transfer(check, vm, "loaded");
}

static void state_of_running_rings_is_refused(struct check *check)
{
	struct vm *vm = check_open(check, &with_state);
	int ends[2];

	check_read(check, vm, 0);
	make_pipe(check, ends);
	if (!(begin_transfer(check, vm, DIRECTION_SAVE, ends[1]) &
	      TRANSFER_FAILED))
		check_fail(check, "SET_DEVICE_STATE_FD succeeds while a ring "
				  "is started");
	close(ends[0]);
	check_read(check, vm, 0);
}

static const struct check_case cases[] = {
	{ .name = "status-reads-as-it-was-set",
	  .section = "vhost-user: SET_STATUS",
	  .promise = "the device status is kept",
	  .run = status_reads_as_it_was_set,
	  .protocol = FE_PROTOCOL_STATUS },
	{ .name = "status-0-resets-under-load",
	  .section = "virtio 1.3: 2.1",
	  .promise = "a status of 0 resets the device, which touches no ring "
		     "until it is set up again",
	  .run = status_0_resets_under_load,
	  .protocol = FE_PROTOCOL_STATUS | FE_PROTOCOL_REPLY_ACK },
	{ .name = "odd-status-does-no-harm",
	  .section = "vhost-user: SET_STATUS",
	  .promise = "a status that virtio does not know is refused or ignored",
	  .run = odd_status_does_no_harm,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_STATUS },
	{ .name = "inband-kicks-and-calls",
	  .section = "vhost-user: In-band notifications",
	  .promise = "VRING_KICK starts a ring and kicks it, VRING_CALL comes "
		     "instead of a signal",
	  .run = inband_kicks_and_calls,
	  .protocol = FE_PROTOCOL_INBAND | FE_PROTOCOL_BACKEND_REQ |
		      FE_PROTOCOL_REPLY_ACK },
	{ .name = "inband-without-its-bits-is-refused",
	  .section = "vhost-user: In-band notifications",
	  .promise = "INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK "
		     "is refused",
	  .run = inband_without_its_bits_is_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_INBAND },
	{ .name = "state-is-saved-and-loaded",
	  .section = "vhost-user: Migrating back-end state",
	  .promise = "a device takes over the state that it gave, empty or not",
	  .run = state_is_saved_and_loaded,
	  .protocol = FE_PROTOCOL_DEVICE_STATE },
	{ .name = "state-of-running-rings-is-refused",
	  .section = "vhost-user: Migrating back-end state",
	  .promise = "only a suspended device transfers its state",
	  .run = state_of_running_rings_is_refused,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_DEVICE_STATE },
};

const struct check_group group_status = CHECK_GROUP(
	"status", "device status, in-band notifications, device state", cases);

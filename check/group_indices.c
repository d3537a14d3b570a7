/* SPDX-License-Identifier: MIT */
/*
 * group_indices - the messages about one ring: which ring, and what of it
 *
 * One case for each message, since a back-end that dies of one should still
 * be asked about the others.
 */
#include <errno.h>
#include <fcntl.h>

#include "check/groups.h"
#include "check/shape.h"
#include "common/fd.h"

static void try_index(struct check *check, uint32_t request, uint32_t index)
{
	struct vm *vm = check_open(check, NULL);
	int fd = vm->vrings[0].call_fd;
	struct fe_message message;

	fe_message_init(&message, request, shape_of(request)->bytes);
	message.payload.u64 = index;
	if (request == FE_SET_VRING_NUM)
		message.payload.state.num = VM_QUEUE_SIZE;
	check_refused(check,
		      shape_send(vm, &message, &fd, shape_of(request)->nr_fds),
		      "%s for queue %u of %llu", fe_request_name(request),
		      index, (unsigned long long)check->target->nr_queues);
}

/* The first that is not there, and those that are 0 when they are cut. */
static void try_indices(struct check *check, uint32_t request)
{
	uint32_t nr = (uint32_t)check->target->nr_queues;
	const uint32_t indices[] = { nr, 0x10000, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
		try_index(check, request, indices[i]);
}

/* The index of these is in bits 0 to 7. */
static void try_byte_indices(struct check *check, uint32_t request)
{
	if (check->target->nr_queues > 255)
		check_skip(check, "it has as many queues as can be named");
	try_index(check, request, (uint32_t)check->target->nr_queues);
	try_index(check, request, 255);
}

static void num_index(struct check *check)
{
	try_indices(check, FE_SET_VRING_NUM);
}

static void addr_index(struct check *check)
{
	try_indices(check, FE_SET_VRING_ADDR);
}

static void base_index(struct check *check)
{
	try_indices(check, FE_SET_VRING_BASE);
}

static void get_base_index(struct check *check)
{
	try_indices(check, FE_GET_VRING_BASE);
}

static void enable_index(struct check *check)
{
	try_indices(check, FE_SET_VRING_ENABLE);
}

static void kick_index(struct check *check)
{
	try_byte_indices(check, FE_SET_VRING_KICK);
}

static void call_index(struct check *check)
{
	try_byte_indices(check, FE_SET_VRING_CALL);
}

static void err_index(struct check *check)
{
	try_byte_indices(check, FE_SET_VRING_ERR);
}

/* Try to run a ring of this size; whatever becomes of it. */
static void run_with_size(struct check *check, uint32_t size)
{
	struct vm *vm = check_prepare(check, NULL);
	struct fe_session *session = &vm->session;
	struct fe_vring *vring = &vm->vrings[0];
	int error;

	check_done(check, fe_session_set_memory(session, &vm->memory),
		   "show the memory");
	error = fe_session_set_state(session, FE_SET_VRING_NUM, 0, size);
	if (!error)
		error = fe_session_set_state(session, FE_SET_VRING_BASE, 0, 0);
	if (!error)
		error = fe_session_set_vring_addr(session, vring, 0);
	if (!error)
		error = fe_session_set_vring_fd(session, FE_SET_VRING_KICK, 0,
						vring->kick_fd);
	if (!error && session->features & FE_FEATURE_PROTOCOL)
		error = fe_session_set_state(session, FE_SET_VRING_ENABLE, 0,
					     1);
	check_harmless(check, error, "a ring of %u entries", size);
	check_add_read(check, vm, 0);
	fe_vring_publish(vring);
	fe_vring_kick(vring);
	fe_vring_wait(vring, 100);
	check_harmless(check, fe_session_sync(session),
		       "a ring of %u entries, with a request in it", size);
}

static void impossible_sizes_do_no_harm(struct check *check)
{
	const uint32_t sizes[] = { 0,	  1,	 3,	1000,	   32769,
				   65535, 65536, 65537, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		run_with_size(check, sizes[i]);
}

static void odd_fds_do_no_harm(struct check *check)
{
	const char *const paths[] = { "/dev/null", "/dev/zero", "/",
				      "/proc/self/exe" };
	struct vm *vm;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		cleanup_close int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		for (uint32_t request = FE_SET_VRING_KICK;
		     request <= FE_SET_VRING_ERR; request++) {
			vm = check_open(check, NULL);
			error = fe_session_set_vring_fd(&vm->session, request,
							0, fd);
			if (!error)
				error = fe_session_sync(&vm->session);
			check_harmless(check, error, "%s with %s as its fd",
				       fe_request_name(request), paths[i]);
		}
	}
}

static void fds_beside_the_no_fd_flag_are_closed(struct check *check)
{
	struct target_footprint before = check_footprint(check);
	struct fe_message message;
	struct vm *vm;

	for (unsigned int i = 0; i < 10; i++) {
		vm = check_open(check, NULL);
		fe_message_init_u64(&message, FE_SET_VRING_CALL,
				    FE_VRING_NO_FD);
		check_harmless(check,
			       shape_send(vm, &message, &vm->vrings[0].call_fd,
					  1),
			       "SET_VRING_CALL with the no-fd flag and an fd");
	}
	check_same_footprint(check, &before);
}

static void changes_of_a_running_ring_do_no_harm(struct check *check)
{
	const uint32_t nums[] = { VM_QUEUE_SIZE / 2, VM_QUEUE_SIZE * 8 };
	struct vm *vm;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(nums); i++) {
		vm = check_open(check, NULL);
		check_read(check, vm, 0);
		error = fe_session_set_state(&vm->session, FE_SET_VRING_NUM, 0,
					     nums[i]);
		if (!error)
			error = fe_session_set_state(
				&vm->session, FE_SET_VRING_BASE, 0, 7777);
		fe_vring_kick(&vm->vrings[0]);
		if (!error)
			error = fe_session_sync(&vm->session);
		check_harmless(check, error,
			       "another size and base for a ring that runs");
	}
}

#define WILD_INDEX(message, function)                                          \
	{                                                                      \
		.name = message "-with-a-wild-index-is-refused",               \
		.section = "vhost-user: A vring state description",            \
		.promise = "a message about a queue that the back-end does "   \
			   "not have is refused or ends the session",          \
		.run = function, .flags = CHECK_HOSTILE,                       \
		.protocol = FE_PROTOCOL_MQ | FE_PROTOCOL_REPLY_ACK             \
	}

static const struct check_case cases[] = {
	WILD_INDEX("set-vring-num", num_index),
	WILD_INDEX("set-vring-addr", addr_index),
	WILD_INDEX("set-vring-base", base_index),
	WILD_INDEX("get-vring-base", get_base_index),
	WILD_INDEX("set-vring-enable", enable_index),
	WILD_INDEX("set-vring-kick", kick_index),
	WILD_INDEX("set-vring-call", call_index),
	WILD_INDEX("set-vring-err", err_index),
	{ .name = "impossible-ring-sizes-do-no-harm",
	  .section = "virtio 1.3: 2.7",
	  .promise = "a ring whose size is no power of two from 2 to 32768 is "
		     "refused, or is not processed",
	  .run = impossible_sizes_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "odd-event-fds-do-no-harm",
	  .section = "vhost-user: Support for platforms other than Linux",
	  .promise = "a kick, call or error fd that is no eventfd and no pipe "
		     "is refused, or is not used",
	  .run = odd_fds_do_no_harm,
	  .flags = CHECK_HOSTILE },
	{ .name = "fds-beside-the-no-fd-flag-are-closed",
	  .section = "vhost-user: SET_VRING_CALL",
	  .promise =
		  "an fd beside bit 8, which says that there is none, is not "
		  "kept",
	  .run = fds_beside_the_no_fd_flag_are_closed,
	  .flags = CHECK_HOSTILE | CHECK_PID },
	{ .name = "changes-of-a-running-ring-do-no-harm",
	  .section = "vhost-user: Ring states",
	  .promise = "size and base of a ring that runs are refused, or change "
		     "nothing outside its memory",
	  .run = changes_of_a_running_ring_do_no_harm,
	  .flags = CHECK_HOSTILE },
};

const struct check_group group_indices =
	CHECK_GROUP("vring-messages", "the messages about one ring", cases);

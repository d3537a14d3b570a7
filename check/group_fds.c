/* SPDX-License-Identifier: MIT */
/*
 * group_fds - the file descriptors beside a message: too many, too few
 */
#include <errno.h>
#include <fcntl.h>

#include "check/groups.h"
#include "check/shape.h"
#include "common/fd.h"

static void send_fds(struct check *check, const struct shape *shape,
		     unsigned int nr_fds)
{
	int fds[FE_MAX_SENT_FDS];
	struct vm *vm = shape_prepare(shape, check);
	struct fe_message message;

	for (unsigned int i = 0; i < nr_fds; i++)
		fds[i] = shape_fd(shape, vm);
	shape_make(shape, vm, &message);
	check_harmless(check, shape_send(vm, &message, fds, nr_fds),
		       "%s with %u fds", fe_request_name(shape->request),
		       nr_fds);
}

static void surplus_fds_are_closed(struct check *check)
{
	struct target_footprint before = check_footprint(check);

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shape_is_known(&shapes[i], check->target))
			send_fds(check, &shapes[i], shapes[i].nr_fds ? 3 : 1);
	check_same_footprint(check, &before);
}

static void nine_fds_are_closed(struct check *check)
{
	struct target_footprint before = check_footprint(check);

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (!shape_is_known(&shapes[i], check->target))
			continue;
		send_fds(check, &shapes[i], 9);
		send_fds(check, &shapes[i], 64);
	}
	check_same_footprint(check, &before);
}

static void missing_fds_are_noticed(struct check *check)
{
	struct fe_message message;
	struct vm *vm;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (!shapes[i].nr_fds ||
		    !shape_is_known(&shapes[i], check->target))
			continue;
		vm = shape_prepare(&shapes[i], check);
		shape_make(&shapes[i], vm, &message);
		check_refused(check, shape_send(vm, &message, NULL, 0),
			      "%s without its fd",
			      fe_request_name(shapes[i].request));
	}
}

static void leaving_inside_a_message_leaks_nothing(struct check *check)
{
	uint8_t bytes[FE_HEADER_BYTES + FE_MAX_PAYLOAD_BYTES];
	struct target_footprint before = check_footprint(check);
	cleanup_close int fd = rh_memfd_create("check", 4096);
	const int fds[] = { fd, fd };
	struct fe_message message;
	struct vm *vm;
	size_t size;

	fe_message_init(&message, FE_SET_MEM_TABLE, 72);
	message.payload.table.nr_regions = 2;
	size = fe_message_encode(&message, bytes);
	for (size_t nr = 1; nr < size; nr++) {
		vm = check_dial(check);
		check_done(check,
			   fe_send_bytes(vm->session.sock, bytes, nr, fds, 2),
			   "send %zu bytes of SET_MEM_TABLE", nr);
	}
	check_same_footprint(check, &before);
}

static const struct check_case cases[] = {
	{ .name = "surplus-fds-are-closed",
	  .section = "vhost-user: Communication",
	  .promise = "fds beside messages that take none, or fewer, are not "
		     "kept",
	  .run = surplus_fds_are_closed,
	  .flags = CHECK_HOSTILE | CHECK_PID },
	{ .name = "nine-fds-are-closed",
	  .section = "vhost-user: Communication",
	  .promise = "fds are not kept when there are more than any message "
		     "may have",
	  .run = nine_fds_are_closed,
	  .flags = CHECK_HOSTILE | CHECK_PID },
	{ .name = "missing-fds-are-noticed",
	  .section = "vhost-user: Communication",
	  .promise = "a message whose fd is missing is not acknowledged as "
		     "success",
	  .run = missing_fds_are_noticed,
	  .flags = CHECK_HOSTILE,
	  .protocol = FE_PROTOCOL_REPLY_ACK },
	{ .name = "leaving-inside-a-message-leaks-nothing",
	  .section = "vhost-user: Communication",
	  .promise =
		  "a session that ends at any byte of a message leaves no fd "
		  "and no mapping behind",
	  .run = leaving_inside_a_message_leaks_nothing,
	  .flags = CHECK_HOSTILE | CHECK_PID },
};

const struct check_group group_fds = CHECK_GROUP(
	"message-fds", "the file descriptors beside a message", cases);

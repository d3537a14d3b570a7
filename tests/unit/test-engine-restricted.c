/* SPDX-License-Identifier: MIT */
/*
 * engine-restricted - the ring carries out what the engine asks for, no more
 *
 * A ring in the hands of somebody who has taken over the thread: entries are
 * written past the engine, which must have no use for their completions.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/uring_internal.h"

static struct uring *open_ring(void)
{
	struct engine *engine = NULL;

	assert_int_equal(engine_create(ENGINE_URING, &engine), 0);
	assert_int_equal(engine_turn(engine, false), 0);
	return uring_of(engine);
}

/* What becomes of an entry with this code and these flags, and fd -1. */
static int submit(struct uring *uring, unsigned int code, unsigned int flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	struct io_uring_cqe *cqe;
	int result;

	if (!sqe)
		return -EBUSY;
	*sqe = (struct io_uring_sqe){
		.opcode = (uint8_t)code,
		.flags = (uint8_t)flags,
		.fd = -1,
	};
	assert_int_equal(io_uring_submit_and_wait(&uring->ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&uring->ring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(&uring->ring, cqe);
	return result;
}

static bool is_ours(unsigned int code)
{
	static const unsigned int ours[] = {
		IORING_OP_NOP,	     IORING_OP_READV,	 IORING_OP_WRITEV,
		IORING_OP_READ,	     IORING_OP_WRITE,	 IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i] == code)
			return true;
	return false;
}

static void other_operations_are_refused(void **state)
{
	struct uring *uring = open_ring();

	(void)state;
	for (unsigned int code = 0; code < IORING_OP_LAST; code++) {
		int result = submit(uring, code, 0);

		if (is_ours(code) ? result == -EACCES : result != -EACCES)
			fail_msg("operation %u: %d", code, result);
	}
	engine_destroy(&uring->engine);
}

static void entries_cannot_be_linked(void **state)
{
	struct uring *uring = open_ring();

	(void)state;
	assert_int_equal(submit(uring, IORING_OP_NOP, IOSQE_IO_LINK), -EACCES);
	assert_int_equal(submit(uring, IORING_OP_NOP, IOSQE_ASYNC), -EACCES);
	assert_int_equal(submit(uring, IORING_OP_NOP, 0), 0);
	engine_destroy(&uring->engine);
}

static void nothing_more_can_be_registered(void **state)
{
	struct uring *uring = open_ring();
	unsigned int ring_fd = (unsigned int)uring->ring.ring_fd;
	int fd = -1;

	(void)state;
	assert_int_equal(io_uring_register(ring_fd, IORING_REGISTER_FILES, &fd,
					   1),
			 -EACCES);
	assert_int_equal(io_uring_register(ring_fd, IORING_REGISTER_PERSONALITY,
					   NULL, 0),
			 -EACCES);
	engine_destroy(&uring->engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_operations_are_refused),
		cmocka_unit_test(entries_cannot_be_linked),
		cmocka_unit_test(nothing_more_can_be_registered),
	};
	struct engine *engine = NULL;

	if (engine_create(ENGINE_URING, &engine) < 0) {
		printf("1..0 # SKIP this host has no io_uring\n");
		return 0;
	}
	engine_destroy(engine);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * file-pieces - a request that takes several calls fails with any one of them
 *
 * Each case is carried out once to count its calls, then once more for each
 * call and each error, with that call failing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/drivers/file.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define MIB	    (1u << 20)
#define IMAGE_BYTES (4 * MIB)
#define BLOCK_BYTES 4096

static char image[64];
static struct disk disk;
static uint8_t *data;

/* What the host does, and has done. */
static struct host {
	size_t at_most_bytes; /* of a read or write; 0: all */
	int refused_mode;     /* of fallocate */
	unsigned int fail_at; /* the call of this number, from 1 on */
	int error;	      /* that it ends with; 0: it moves nothing */
	unsigned int nr_calls;
} host;

static int move(const struct io_op *op)
{
	size_t bytes = MIN(op->iov[0].iov_len,
			   host.at_most_bytes ? host.at_most_bytes : SIZE_MAX);
	ssize_t done;

	if (op->kind == IO_READ)
		done = pread(op->fd, op->iov[0].iov_base, bytes,
			     (off_t)op->offset_bytes);
	else
		done = pwrite(op->fd, op->iov[0].iov_base, bytes,
			      (off_t)op->offset_bytes);
	return done < 0 ? -errno : (int)done;
}

static bool interfere(void *opaque, struct io_op *op, int *result)
{
	(void)opaque;
	if (++host.nr_calls == host.fail_at) {
		*result = host.error;
		return true;
	}
	if (op->kind == IO_FALLOCATE &&
	    op->fallocate_mode & host.refused_mode) {
		*result = -EOPNOTSUPP;
		return true;
	}
	if (op->kind != IO_READ && op->kind != IO_WRITE)
		return false;
	*result = move(op);
	return true;
}

struct piece_case {
	const char *name;
	enum driver_cache cache;
	bool large_blocks; /* storage that cannot write a part of 4096 bytes */
	size_t at_most_bytes;
	int refused_mode;
	enum blk_op op;
	uint32_t flags;
	uint64_t offset_bytes;
	uint64_t bytes;
	unsigned int skew;     /* of the guest's memory */
	unsigned int nr_calls; /* when all goes well */
};

#define NO_HOLE	 FALLOC_FL_PUNCH_HOLE
#define NO_ZEROS (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)
#define BACK	 DRIVER_CACHE_WRITEBACK
#define THROUGH	 DRIVER_CACHE_WRITETHROUGH

static const struct piece_case cases[] = {
	{ "short reads", BACK, false, 4096, 0, BLK_READ, 0, 512, 16384, 0, 4 },
	{ "short writes", BACK, false, 4096, 0, BLK_WRITE, 0, 512, 16384, 0,
	  4 },
	{ "short durable writes", THROUGH, false, 4096, 0, BLK_WRITE, 0, 512,
	  16384, 0, 4 },
	{ "a bounced read", BACK, true, 0, 0, BLK_READ, 0, 0, 3 * 131072, 1,
	  3 },
	{ "a bounced write", BACK, true, 0, 0, BLK_WRITE, 0, 0, 3 * 131072, 1,
	  3 },
	{ "short bounced reads", BACK, true, 65536, 0, BLK_READ, 0, 0, 131072,
	  1, 2 },
	{ "short bounced writes", BACK, true, 32768, 0, BLK_WRITE, 0, 0, 131072,
	  1, 4 },
	/* blocks at both ends are read before they are written in part */
	{ "a ragged write", BACK, true, 0, 0, BLK_WRITE, 0, 512, 8192, 0, 2 },
	{ "a long ragged write", BACK, true, 0, 0, BLK_WRITE, 0, 512,
	  2 * 131072, 0, 5 },
	{ "a short ragged write", BACK, true, 4096, 0, BLK_WRITE, 0, 512, 8192,
	  0, 6 },
	{ "a durable ragged write", THROUGH, true, 0, 0, BLK_WRITE, BLK_FUA,
	  512, 8192, 0, 2 },
	{ "zeroes by a hole", BACK, false, 0, 0, BLK_WRITE_ZEROES, BLK_UNMAP, 0,
	  MIB, 0, 1 },
	{ "zeroes without a hole", BACK, false, 0, NO_HOLE, BLK_WRITE_ZEROES,
	  BLK_UNMAP, 0, MIB, 0, 2 },
	{ "written zeroes", BACK, false, 0, NO_ZEROS, BLK_WRITE_ZEROES,
	  BLK_UNMAP, 512, MIB + 65536, 0, 19 },
	{ "ragged written zeroes", BACK, true, 0, NO_ZEROS, BLK_WRITE_ZEROES, 0,
	  512, 3 * 65536, 0, 8 },
	{ "durable zeroes", THROUGH, false, 0, 0, BLK_WRITE_ZEROES, 0, 0, MIB,
	  0, 2 },
	{ "durable written zeroes", BACK, false, 0, NO_ZEROS, BLK_WRITE_ZEROES,
	  BLK_FUA, 0, 131072, 0, 4 },
	{ "a discard", BACK, false, 0, 0, BLK_DISCARD, 0, 0, MIB, 0, 1 },
	{ "a durable discard", THROUGH, false, 0, 0, BLK_DISCARD, 0, 0, MIB, 0,
	  2 },
};

static void open_for(const struct piece_case *piece)
{
	struct driver_options options = disk_options(image);

	options.cache = piece->cache;
	assert_int_equal(driver_find("file")->open(&options, &disk.driver), 0);
	if (piece->large_blocks) {
		struct file *file = file_of(disk.driver);

		file->offset_align = BLOCK_BYTES;
		file->buffer_align = 512;
		assert_int_equal(rmw_create(BLOCK_BYTES, &file->rmw), 0);
	}
	disk_attach(&disk, disk.driver, ENGINE_FAKE);
	fake_engine_intercept(disk.engine, interfere, NULL);
}

/* On a disk that is opened anew. */
static int carry_out(const struct piece_case *piece, unsigned int fail_at,
		     int error)
{
	static struct disk_request request;
	int result;

	open_for(piece);
	host = (struct host){
		.at_most_bytes = piece->at_most_bytes,
		.refused_mode = piece->refused_mode,
		.fail_at = fail_at,
		.error = error,
	};
	disk_prepare(&request, piece->op, piece->offset_bytes,
		     data + piece->skew, piece->bytes);
	request.blk.flags = piece->flags;
	disk_start(&disk, &request);
	result = disk_wait(&disk, &request);
	fake_engine_intercept(disk.engine, NULL, NULL);
	disk_close(&disk);
	return result;
}

static unsigned int count_calls(const struct piece_case *piece)
{
	assert_int_equal(carry_out(piece, 0, 0), 0);
	if (host.nr_calls != piece->nr_calls)
		fail_msg("%s takes %u calls, not %u", piece->name,
			 host.nr_calls, piece->nr_calls);
	return host.nr_calls;
}

/* B-27, D-15 */
static void an_error_of_any_piece_is_that_of_the_request(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EROFS, -EDQUOT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int nr = count_calls(&cases[i]);

		for (unsigned int at = 1; at <= nr; at++) {
			int error = errors[at % ARRAY_SIZE(errors)];
			int result = carry_out(&cases[i], at, error);

			if (result != error)
				fail_msg("%s: call %u of %u fails with %d, the "
					 "request with %d",
					 cases[i].name, at, nr, error, result);
		}
	}
}

/* D-15: nothing is moved where something was to be */
static void a_piece_that_moves_nothing_fails_the_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int nr = cases[i].nr_calls;

		if (cases[i].op != BLK_READ && cases[i].op != BLK_WRITE)
			continue;
		for (unsigned int at = 1; at <= nr; at++) {
			int result = carry_out(&cases[i], at, 0);

			if (result != -EIO)
				fail_msg("%s: call %u of %u moves nothing, and "
					 "the request ends with %d",
					 cases[i].name, at, nr, result);
		}
	}
}

/* D-13, D-14: and none of it is lost */
static void a_piece_that_is_put_off_is_started_again(void **state)
{
	static const int errors[] = { -EAGAIN, -EINTR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int nr = cases[i].nr_calls;

		for (unsigned int at = 1; at <= nr; at++) {
			assert_int_equal(
				carry_out(&cases[i], at, errors[at % 2]), 0);
			assert_int_equal(host.nr_calls, nr + 1);
		}
	}
}

/* D-02: whichever of the calls was to make it durable */
static void after_a_failed_sync_no_durable_write_succeeds(void **state)
{
	static const struct piece_case flush = { .cache = BACK };
	static struct disk_request request;

	(void)state;
	open_for(&flush);
	host = (struct host){ .fail_at = 1, .error = -EIO };
	assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), -EIO);
	for (unsigned int i = 0; i < 3; i++) {
		disk_prepare(&request, BLK_WRITE, 0, data, 4096);
		request.blk.flags = BLK_FUA;
		disk_start(&disk, &request);
		assert_int_equal(disk_wait(&disk, &request), -EIO);
		assert_int_equal(disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_FUA,
					       0, 4096),
				 -EIO);
		assert_int_equal(disk_do_flags(&disk, BLK_DISCARD, BLK_FUA, 0,
					       4096),
				 -EIO);
		assert_int_equal(disk_do(&disk, BLK_FLUSH, 0, NULL, 0), -EIO);
	}
	/* what need not be durable goes on */
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096), 0);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 4096), 0);
	disk_close(&disk);
}

static void in_writethrough_mode_that_is_every_write(void **state)
{
	static const struct piece_case through = { .cache = THROUGH };

	(void)state;
	open_for(&through);
	host = (struct host){ .fail_at = 1, .error = -EIO };
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096), -EIO);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096),
				 -EIO);
	assert_int_equal(disk_do(&disk, BLK_READ, 0, data, 4096), 0);
	disk_close(&disk);
	open_for(&through);
	host = (struct host){ 0 };
	assert_int_equal(disk_do(&disk, BLK_WRITE, 0, data, 4096), 0);
	disk_close(&disk);
}

static int set_up(void **state)
{
	(void)state;
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	data = disk_memory(IMAGE_BYTES);
	disk_fill(data, 0, IMAGE_BYTES, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(image);
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_of_any_piece_is_that_of_the_request),
		cmocka_unit_test(a_piece_that_moves_nothing_fails_the_request),
		cmocka_unit_test(a_piece_that_is_put_off_is_started_again),
		cmocka_unit_test(after_a_failed_sync_no_durable_write_succeeds),
		cmocka_unit_test(in_writethrough_mode_that_is_every_write),
	};

	return cmocka_run_group_tests_name("file-pieces", tests, set_up,
					   tear_down);
}

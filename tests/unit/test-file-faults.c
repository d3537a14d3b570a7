/* SPDX-License-Identifier: MIT */
/* file-faults - what the storage fails to do is never reported as done */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define MIB	    (1u << 20)
#define IMAGE_BYTES (4 * MIB)

static char image[64];
static struct disk disk;
static uint8_t *data;
static uint8_t *found;

/* What the engine is to do wrong, and what it saw. */
static struct faults {
	size_t at_most_bytes; /* of a read or write */
	unsigned int nr_put_off;
	int put_off_error;
	int write_error;
	int sync_error;
	int fallocate_error;
	int refused_mode; /* fallocate: bits that give EOPNOTSUPP */

	unsigned int nr_writes;
	unsigned int nr_durable_writes;
	unsigned int nr_syncs;
	unsigned int nr_fallocates;
} faults;

static int move_partly(struct io_op *op)
{
	size_t bytes = MIN(op->iov[0].iov_len, faults.at_most_bytes);
	ssize_t done;

	if (op->kind == IO_READ)
		done = pread(op->fd, op->iov[0].iov_base, bytes,
			     (off_t)op->offset_bytes);
	else
		done = pwrite(op->fd, op->iov[0].iov_base, bytes,
			      (off_t)op->offset_bytes);
	return done < 0 ? -errno : (int)done;
}

static void count(const struct io_op *op)
{
	faults.nr_writes += op->kind == IO_WRITE;
	faults.nr_durable_writes +=
		op->kind == IO_WRITE && op->rw_flags & RWF_DSYNC;
	faults.nr_syncs += op->kind == IO_DATASYNC;
	faults.nr_fallocates += op->kind == IO_FALLOCATE;
}

static bool fail_now(const struct io_op *op, int *result)
{
	*result = 0;
	if (op->kind == IO_WRITE)
		*result = faults.write_error;
	else if (op->kind == IO_DATASYNC)
		*result = faults.sync_error;
	else if (op->kind == IO_FALLOCATE)
		*result = op->fallocate_mode & faults.refused_mode ?
				  -EOPNOTSUPP :
				  faults.fallocate_error;
	return *result;
}

static bool interfere(void *opaque, struct io_op *op, int *result)
{
	(void)opaque;
	count(op);
	if (faults.nr_put_off) {
		faults.nr_put_off--;
		*result = faults.put_off_error;
		return true;
	}
	if (fail_now(op, result))
		return true;
	if (!faults.at_most_bytes ||
	    (op->kind != IO_READ && op->kind != IO_WRITE))
		return false;
	*result = move_partly(op);
	return true;
}

static void open_again(enum driver_cache cache)
{
	struct driver_options options = disk_options(image);

	options.cache = cache;
	assert_int_equal(disk_open(&disk, &options, ENGINE_FAKE), 0);
	memset(&faults, 0, sizeof(faults));
	fake_engine_intercept(disk.engine, interfere, NULL);
}

static void set_up(enum driver_cache cache)
{
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	data = disk_memory(IMAGE_BYTES);
	found = disk_memory(IMAGE_BYTES);
	disk_fill(data, 0, IMAGE_BYTES, 1);
	open_again(cache);
}

static int open_writeback(void **state)
{
	(void)state;
	set_up(DRIVER_CACHE_WRITEBACK);
	return 0;
}

static int open_writethrough(void **state)
{
	(void)state;
	set_up(DRIVER_CACHE_WRITETHROUGH);
	return 0;
}

static int open_direct(void **state)
{
	(void)state;
	set_up(DRIVER_CACHE_NONE);
	return 0;
}

static int close_disk(void **state)
{
	(void)state;
	disk_close(&disk);
	unlink(image);
	free(data);
	free(found);
	return 0;
}

static int do_io(enum blk_op op, uint64_t offset_bytes, void *memory,
		 uint64_t bytes)
{
	return disk_do(&disk, op, offset_bytes, memory, bytes);
}

static int flush(void)
{
	return do_io(BLK_FLUSH, 0, NULL, 0);
}

static void round_trip(uint8_t *from, uint8_t *to, size_t bytes)
{
	memset(to, 0xee, bytes);
	assert_int_equal(do_io(BLK_WRITE, 0, from, bytes), 0);
	assert_int_equal(do_io(BLK_READ, 0, to, bytes), 0);
	assert_memory_equal(to, from, bytes);
}

/* B-27, D-15 */
static void short_results_are_continued(void **state)
{
	static const size_t parts[] = { 1, 511, 512, 513, 1024, 4095 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		faults.at_most_bytes = parts[i];
		disk_fill(data, 0, 8192, (unsigned int)i);
		round_trip(data, found, 8192);
	}
}

/* D-15 */
static void short_direct_results_are_continued(void **state)
{
	static const size_t parts[] = { 512, 1024, 3584, 4096 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		faults.at_most_bytes = parts[i];
		disk_fill(data, 0, 300 * 1024, (unsigned int)i);
		round_trip(data, found, 8192);
		round_trip(data + 1, found + 3, 299 * 1024);
	}
}

/* B-27, D-15: the file was cut behind our back */
static void a_file_that_became_shorter_fails_reads(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 0, data, IMAGE_BYTES), 0);
	for (unsigned int bytes = 0; bytes < 4096; bytes += 512) {
		assert_int_equal(truncate(image, bytes), 0);
		assert_int_equal(do_io(BLK_READ, 0, found, 4096), -EIO);
		assert_int_equal(do_io(BLK_READ, 0, found + 1, 4096), -EIO);
		assert_int_equal(do_io(BLK_READ, 8192, found, 4096), -EIO);
		assert_int_equal(do_io(BLK_READ, IMAGE_BYTES - 512, found, 512),
				 -EIO);
	}
}

static void a_write_of_nothing_is_an_error(void **state)
{
	(void)state;
	faults.nr_put_off = 1;
	faults.put_off_error = 0;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), -EIO);
}

/* D-13, D-14 */
static void what_is_put_off_is_started_again(void **state)
{
	static const int errors[] = { -EAGAIN, -EINTR };
	static const enum blk_op ops[] = { BLK_WRITE, BLK_READ, BLK_FLUSH,
					   BLK_DISCARD, BLK_WRITE_ZEROES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(ops); j++) {
			uint64_t bytes = ops[j] == BLK_FLUSH ? 0 : 4096;

			faults.put_off_error = errors[i];
			faults.nr_put_off = 3;
			assert_int_equal(do_io(ops[j], 0, data, bytes), 0);
			assert_int_equal(faults.nr_put_off, 0);
		}
	}
}

/* D-14 */
static void a_full_engine_loses_nothing(void **state)
{
	enum {
		NR = 40,
		BYTES = 8192
	};
	struct disk_request *requests = calloc(NR + 2, sizeof(*requests));

	(void)state;
	fake_engine_limit(disk.engine, 1);
	faults.at_most_bytes = 4096;
	for (unsigned int i = 0; i < NR; i++) {
		/* every other one through a bounce buffer */
		uint8_t *memory = data + i * (BYTES + 512) + i % 2;

		disk_fill(memory, i * BYTES, BYTES, 2);
		disk_prepare(&requests[i], BLK_WRITE, i * BYTES, memory, BYTES);
		disk_start(&disk, &requests[i]);
	}
	for (unsigned int i = NR; i < NR + 2; i++) {
		disk_prepare(&requests[i], BLK_FLUSH, 0, NULL, 0);
		disk_start(&disk, &requests[i]);
	}
	for (unsigned int i = 0; i < NR + 2; i++)
		assert_int_equal(disk_wait(&disk, &requests[i]), 0);
	assert_int_equal(do_io(BLK_READ, 0, found, NR * BYTES), 0);
	disk_fill(data, 0, NR * BYTES, 2);
	assert_memory_equal(found, data, NR * BYTES);
	free(requests);
}

/* B-27 */
static void errors_are_passed_on(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT, -EFBIG };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		faults.write_error = errors[i];
		assert_int_equal(do_io(BLK_WRITE, 0, data, 512), errors[i]);
		assert_int_equal(do_io(BLK_WRITE, 0, data + 1, 512), errors[i]);
		faults.fallocate_error = errors[i];
		assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 512),
				 errors[i]);
	}
	faults.write_error = 0;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(flush(), 0);
}

/* D-02, behaviour 24 */
static void after_a_failed_sync_no_flush_succeeds(void **state)
{
	struct disk other;

	(void)state;
	disk_attach(&other, disk.driver, ENGINE_FAKE);
	assert_int_equal(flush(), 0);
	faults.sync_error = -EIO;
	assert_int_equal(flush(), -EIO);
	faults.sync_error = 0;
	assert_int_equal(flush(), -EIO);
	assert_int_equal(flush(), -EIO);
	assert_int_equal(disk_do(&other, BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(disk_nr_logged("could not be made durable"), 1);
	/* Zeroes that were to be durable are not either. */
	assert_int_equal(
		disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_FUA, 0, 512), -EIO);
	/* Reads and writes go on. */
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	disk_detach(&other);

	disk_close(&disk);
	open_again(DRIVER_CACHE_WRITEBACK);
	assert_int_equal(flush(), 0);
}

/* D-02 */
static void a_failed_durable_write_may_have_hidden_more(void **state)
{
	(void)state;
	faults.write_error = -EIO;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), -EIO);
	faults.write_error = 0;
	assert_int_equal(flush(), -EIO);
}

/* D-01 */
static void a_flush_is_answered_by_a_sync_that_started_after_it(void **state)
{
	struct disk_request requests[4];

	(void)state;
	disk_prepare(&requests[0], BLK_FLUSH, 0, NULL, 0);
	disk_start(&disk, &requests[0]);
	/* The sync for the first one is under way: it does not count here. */
	for (unsigned int i = 1; i < ARRAY_SIZE(requests); i++) {
		disk_prepare(&requests[i], BLK_FLUSH, 0, NULL, 0);
		disk_start(&disk, &requests[i]);
	}
	assert_int_equal(disk_wait(&disk, &requests[0]), 0);
	assert_int_equal(faults.nr_syncs, 1);
	assert_int_equal(requests[1].nr_completions, 0);
	for (unsigned int i = 1; i < ARRAY_SIZE(requests); i++)
		assert_int_equal(disk_wait(&disk, &requests[i]), 0);
	assert_int_equal(faults.nr_syncs, 2);
}

/* B-26 */
static void what_is_asked_to_be_durable_is(void **state)
{
	struct disk_request request;

	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(faults.nr_durable_writes, 0);
	disk_prepare(&request, BLK_WRITE, 0, data, 4096);
	request.blk.flags = BLK_FUA;
	disk_start(&disk, &request);
	assert_int_equal(disk_wait(&disk, &request), 0);
	assert_int_equal(faults.nr_durable_writes, 1);
	disk_prepare(&request, BLK_WRITE, 0, data + 1, 4096);
	request.blk.flags = BLK_FUA;
	disk_start(&disk, &request);
	assert_int_equal(disk_wait(&disk, &request), 0);
	assert_int_equal(faults.nr_durable_writes, 2);

	assert_int_equal(faults.nr_syncs, 0);
	assert_int_equal(
		disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_FUA, 0, 512), 0);
	assert_int_equal(faults.nr_syncs, 1);
	assert_int_equal(disk_do_flags(&disk, BLK_DISCARD, BLK_FUA, 0, 512), 0);
	assert_int_equal(faults.nr_syncs, 2);
}

/* B-26, behaviour 23 */
static void writethrough_makes_everything_durable(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), 0);
	assert_int_equal(faults.nr_durable_writes, 1);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 4096), 0);
	assert_int_equal(faults.nr_syncs, 1);
	assert_int_equal(do_io(BLK_DISCARD, 0, NULL, 4096), 0);
	assert_int_equal(faults.nr_syncs, 2);
}

static void a_discard_that_is_refused_is_not_tried_again(void **state)
{
	(void)state;
	faults.refused_mode = FALLOC_FL_PUNCH_HOLE;
	assert_int_equal(do_io(BLK_WRITE, 0, data, MIB), 0);
	assert_int_equal(do_io(BLK_DISCARD, 0, NULL, MIB), 0);
	assert_int_equal(do_io(BLK_DISCARD, 0, NULL, MIB), 0);
	assert_int_equal(faults.nr_fallocates, 1);
	assert_int_equal(disk_nr_logged("discards are ignored"), 1);
}

static void check_zeroes(uint64_t offset_bytes, uint64_t bytes)
{
	disk_fill(data, 0, IMAGE_BYTES, 3);
	assert_int_equal(do_io(BLK_WRITE, 0, data, IMAGE_BYTES), 0);
	assert_int_equal(disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_UNMAP,
				       offset_bytes, bytes),
			 0);
	memset(data + offset_bytes, 0, bytes);
	assert_int_equal(do_io(BLK_READ, 0, found, IMAGE_BYTES), 0);
	assert_memory_equal(found, data, IMAGE_BYTES);
}

static void where_no_hole_can_be_punched_a_range_is_zeroed(void **state)
{
	(void)state;
	faults.refused_mode = FALLOC_FL_PUNCH_HOLE;
	check_zeroes(512, MIB);
	assert_int_equal(faults.nr_fallocates, 2);
	check_zeroes(512, MIB);
	assert_int_equal(faults.nr_fallocates, 3);
	assert_int_equal(faults.nr_writes, 2);
	assert_int_equal(disk_nr_logged("zeroes take up space"), 1);
}

/* D-18 */
static void where_nothing_can_be_zeroed_zeros_are_written(void **state)
{
	(void)state;
	faults.refused_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	check_zeroes(512, 512);
	assert_int_equal(faults.nr_fallocates, 2);
	check_zeroes(0, 65536);
	check_zeroes(512, 65536 + 1024);
	check_zeroes(1024, 3 * MIB + 512);
	check_zeroes(0, IMAGE_BYTES);
	assert_int_equal(faults.nr_fallocates, 2);
	assert_int_equal(disk_nr_logged("zeros are written instead"), 1);

	faults.at_most_bytes = 512;
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 8192), 0);
	faults.write_error = -ENOSPC;
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 8192), -ENOSPC);
}

#define FAULT_TEST(function, open)                                             \
	{                                                                      \
#function " (" #open ")", function, open, close_disk, NULL     \
	}

#define FAULT_TESTS(open)                                                      \
	FAULT_TEST(a_file_that_became_shorter_fails_reads, open),              \
		FAULT_TEST(what_is_put_off_is_started_again, open),            \
		FAULT_TEST(a_full_engine_loses_nothing, open),                 \
		FAULT_TEST(errors_are_passed_on, open),                        \
		FAULT_TEST(after_a_failed_sync_no_flush_succeeds, open),       \
		FAULT_TEST(                                                    \
			a_flush_is_answered_by_a_sync_that_started_after_it,   \
			open),                                                 \
		FAULT_TEST(what_is_asked_to_be_durable_is, open),              \
		FAULT_TEST(a_discard_that_is_refused_is_not_tried_again,       \
			   open),                                              \
		FAULT_TEST(where_no_hole_can_be_punched_a_range_is_zeroed,     \
			   open),                                              \
		FAULT_TEST(where_nothing_can_be_zeroed_zeros_are_written,      \
			   open)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TESTS(open_writeback),
		FAULT_TESTS(open_direct),
		FAULT_TEST(short_results_are_continued, open_writeback),
		FAULT_TEST(short_direct_results_are_continued, open_direct),
		FAULT_TEST(a_write_of_nothing_is_an_error, open_writeback),
		FAULT_TEST(a_failed_durable_write_may_have_hidden_more,
			   open_writethrough),
		FAULT_TEST(writethrough_makes_everything_durable,
			   open_writethrough),
	};

	return cmocka_run_group_tests_name("file-faults", tests, NULL, NULL);
}

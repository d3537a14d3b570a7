/* SPDX-License-Identifier: MIT */
/* fault - what a rule says happens to requests, and to the host's calls */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/nsec.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define IMAGE_BYTES (1u << 20)

static char image[64];
static struct disk disk;
static uint8_t *data;
static uint8_t *found;

static void open_on(const char *storage, const char *const *rules)
{
	struct driver_options options = disk_options(image);

	options.wrapped = driver_find(storage);
	options.fault_seed = 1;
	options.size_bytes = strcmp(storage, "null") ? 0 : IMAGE_BYTES;
	while (rules[options.nr_faults]) {
		options.faults[options.nr_faults] = rules[options.nr_faults];
		options.nr_faults++;
	}
	assert_int_equal(driver_find("fault")->open(&options, &disk.driver), 0);
	disk_attach(&disk, disk.driver, ENGINE_FAKE);
}

/* Rules up to a NULL. */
#define OPEN(...) open_on("file", (const char *const[]){ __VA_ARGS__, NULL })

static int set_up(void **state)
{
	(void)state;
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	data = disk_memory(IMAGE_BYTES);
	found = disk_memory(IMAGE_BYTES);
	disk_fill(data, 0, IMAGE_BYTES, 1);
	return 0;
}

static int tear_down(void **state)
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

static void start(struct disk_request *request, enum blk_op op,
		  uint64_t offset_bytes, void *memory)
{
	disk_prepare(request, op, offset_bytes, memory,
		     op == BLK_FLUSH ? 0 : 4096);
	disk_start(&disk, request);
}

static void without_rules_it_is_the_disk_that_it_wraps(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	open_on("file", none);
	assert_int_equal(disk.driver->info.size_bytes, IMAGE_BYTES);
	assert_int_equal(disk.driver->info.logical_block_bytes, 512);
	assert_true(disk.driver->info.can_discard);
	assert_int_equal(do_io(BLK_WRITE, 512, data, 65536), 0);
	assert_int_equal(do_io(BLK_READ, 512, found, 65536), 0);
	assert_memory_equal(found, data, 65536);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 1024, NULL, 512), 0);
	assert_int_equal(do_io(BLK_DISCARD, 4096, NULL, 4096), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_READ, 512, found, 512), 0);
	assert_memory_equal(found, data, 512);
}

static void a_larger_image_is_noticed(void **state)
{
	uint64_t size_bytes = 0;

	(void)state;
	OPEN("write,offset=50%-,error=ENOSPC");
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES / 2, data, 512), -ENOSPC);
	assert_int_equal(truncate(image, 2 * IMAGE_BYTES), 0);
	assert_int_equal(disk.driver->ops->refresh(disk.driver, &size_bytes),
			 0);
	assert_int_equal(size_bytes, 2 * IMAGE_BYTES);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES / 2, data, 512), 0);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES, data, 512), -ENOSPC);
}

static void a_new_size_is_handed_on(void **state)
{
	uint64_t size_bytes = 0;

	(void)state;
	OPEN("write,offset=50%-,error=ENOSPC");
	assert_int_equal(disk.driver->ops->resize(disk.driver, 2 * IMAGE_BYTES),
			 0);
	assert_int_equal(disk.driver->ops->refresh(disk.driver, &size_bytes),
			 0);
	assert_int_equal(size_bytes, 2 * IMAGE_BYTES);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES / 2, data, 512), 0);
	assert_int_equal(do_io(BLK_WRITE, IMAGE_BYTES, data, 512), -ENOSPC);
}

static void an_error_is_given_and_nothing_done(void **state)
{
	(void)state;
	OPEN("write,nth=2,error=EROFS", "flush,error=EIO",
	     "discard+write-zeroes,first=1,error=EOPNOTSUPP");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data + 512, 512), -EROFS);
	assert_int_equal(do_io(BLK_READ, 0, found, 512), 0);
	assert_memory_equal(found, data, 512);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(do_io(BLK_DISCARD, 0, NULL, 512), -EOPNOTSUPP);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 0, NULL, 512), 0);
}

static void the_first_error_counts_and_each_rule_for_itself(void **state)
{
	(void)state;
	OPEN("write,nth=2,error=EIO", "write,nth=2,error=ENOSPC",
	     "write,nth=3,error=EDQUOT");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), -EIO);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), -EDQUOT);
	assert_int_equal(disk_nr_logged("applies for the first time"), 3);
}

static void it_wraps_a_disk_that_forgets(void **state)
{
	static const char *const rules[] = { "write,every=2,error=EIO", NULL };
	uint8_t zeros[512] = { 0 };

	(void)state;
	open_on("null", rules);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), -EIO);
	assert_int_equal(do_io(BLK_READ, 0, found, 512), 0);
	assert_memory_equal(found, zeros, 512);
}

static void a_delay_stops_nobody_else(void **state)
{
	struct disk_request slow;
	uint64_t begin = nsec_now();

	(void)state;
	OPEN("write,nth=1,delay=30ms", "write,nth=1,delay=10ms-20ms");
	start(&slow, BLK_WRITE, 0, data);
	assert_int_equal(do_io(BLK_WRITE, 4096, data, 4096), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(disk_wait(&disk, &slow), 0);
	assert_true(nsec_now() - begin >= 40 * NSEC_PER_MSEC);
}

static void delays_end_in_their_own_order(void **state)
{
	struct disk_request requests[3];
	uint64_t begin = nsec_now();

	(void)state;
	OPEN("write,nth=1,delay=60ms", "write,nth=2,delay=1ms",
	     "write,nth=3,delay=30ms");
	for (unsigned int i = 0; i < 3; i++)
		start(&requests[i], BLK_WRITE, 4096 * i, data);
	assert_int_equal(disk_wait(&disk, &requests[1]), 0);
	if (nsec_now() - begin < 60 * NSEC_PER_MSEC) /* not so long yet */
		assert_int_equal(requests[0].nr_completions, 0);
	assert_int_equal(disk_wait(&disk, &requests[2]), 0);
	assert_int_equal(disk_wait(&disk, &requests[0]), 0);
}

static void what_is_held_comes_after_others(void **state)
{
	struct disk_request held;
	struct disk_request other;

	(void)state;
	OPEN("write,nth=1,hold=2/60s");
	start(&held, BLK_WRITE, 0, data);
	start(&other, BLK_WRITE, 0, data + 4096);
	assert_int_equal(disk_wait(&disk, &other), 0);
	assert_int_equal(held.nr_completions, 0);
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), 0);
	assert_memory_equal(found, data + 4096, 4096);
	assert_int_equal(disk_wait(&disk, &held), 0);
	/* the one that came first was carried out last */
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), 0);
	assert_memory_equal(found, data, 4096);
}

static void what_is_held_waits_for_a_time_at_most(void **state)
{
	(void)state;
	OPEN("write,nth=1,hold=1000/20ms");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), 0);
}

static void what_hangs_fails_in_the_end(void **state)
{
	(void)state;
	OPEN("write,nth=1,hang=20ms", "read,nth=1,hang=1ms",
	     "read,nth=1,error=EIO");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), -ETIMEDOUT);
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), -ETIMEDOUT);
	memset(found, 0xee, 4096);
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), 0);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(found[i], 0);
}

static void a_queue_that_stops_ends_what_hangs_and_what_is_held(void **state)
{
	struct disk_request hanging;
	struct disk_request held;
	struct disk_request late;

	(void)state;
	OPEN("read,hang", "write,hold=1000/60s");
	start(&hanging, BLK_READ, 0, found);
	start(&held, BLK_WRITE, 0, data);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(hanging.nr_completions + held.nr_completions, 0);
	disk.driver->ops->drain(disk.context, true);
	assert_int_equal(disk_wait(&disk, &hanging), -ETIMEDOUT);
	assert_int_equal(disk_wait(&disk, &held), 0);
	/* and so it is with what still comes */
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), -ETIMEDOUT);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), 0);
	disk.driver->ops->drain(disk.context, false);
	start(&late, BLK_READ, 0, found);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(late.nr_completions, 0);
	disk.driver->ops->drain(disk.context, true);
	assert_int_equal(disk_wait(&disk, &late), -ETIMEDOUT);
}

static void a_delay_outlasts_a_queue_that_stops(void **state)
{
	struct disk_request slow;
	uint64_t begin = nsec_now();

	(void)state;
	OPEN("read,delay=50ms");
	start(&slow, BLK_READ, 0, found);
	disk.driver->ops->drain(disk.context, true);
	assert_int_equal(disk_wait(&disk, &slow), 0);
	assert_true(nsec_now() - begin >= 50 * NSEC_PER_MSEC);
}

static void one_bit_of_a_read_is_wrong(void **state)
{
	unsigned int nr_wrong = 0;

	(void)state;
	OPEN("read,nth=2,flip");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 8192), 0);
	assert_int_equal(do_io(BLK_READ, 0, found, 8192), 0);
	assert_memory_equal(found, data, 8192);
	assert_int_equal(do_io(BLK_READ, 0, found, 8192), 0);
	for (unsigned int i = 0; i < 8192; i++)
		nr_wrong +=
			(unsigned int)__builtin_popcount(found[i] ^ data[i]);
	assert_int_equal(nr_wrong, 1);
	/* the disk itself is well */
	assert_int_equal(do_io(BLK_READ, 0, found, 8192), 0);
	assert_memory_equal(found, data, 8192);
}

/* D-15 */
static void short_calls_are_continued(void **state)
{
	(void)state;
	OPEN("host-write,short", "host-read,short=512");
	assert_int_equal(do_io(BLK_WRITE, 0, data, 65536), 0);
	assert_int_equal(do_io(BLK_READ, 0, found, 16384), 0);
	assert_memory_equal(found, data, 16384);
	disk_close(&disk);
	OPEN("read,nth=7,error=EIO");
	assert_int_equal(do_io(BLK_READ, 0, found, 65536), 0);
	assert_memory_equal(found, data, 65536);
}

static void a_call_that_ends_at_once_is_the_end_of_the_file(void **state)
{
	(void)state;
	OPEN("host-read,nth=2,short=0", "host-write,nth=1,short=0");
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), 0);
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), -EIO);
	assert_int_equal(do_io(BLK_READ, 0, found, 4096), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), -EIO);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4096), 0);
}

/* The third of four pieces, and it is not taken for all of them. */
static void an_error_in_the_middle_fails_the_whole_request(void **state)
{
	(void)state;
	OPEN("host-read,short=4096", "host-read,nth=3,error=EIO");
	assert_int_equal(do_io(BLK_READ, 0, found, 16384), -EIO);
	assert_int_equal(do_io(BLK_READ, 0, found, 16384), 0);
}

/* D-02 */
static void after_a_failed_sync_of_the_host_no_flush_succeeds(void **state)
{
	(void)state;
	OPEN("host-sync,nth=2,error=EIO");
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
}

/* A disk's own flush that fails is only itself. */
static void a_failed_flush_of_the_disk_is_one(void **state)
{
	(void)state;
	OPEN("flush,nth=2,error=EIO");
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
}

/* D-14: the wrapped driver is full, again and again */
static void a_busy_driver_loses_nothing(void **state)
{
	enum {
		NR = 64
	};
	static struct disk_request requests[NR];

	(void)state;
	OPEN("write,every=3,delay=1ms", "write,every=5,hold=2/1s");
	fake_engine_limit(disk.engine, 1);
	for (unsigned int i = 0; i < NR; i++) {
		disk_prepare(&requests[i], BLK_WRITE, i * 4096, data + i * 4096,
			     4096);
		disk_start(&disk, &requests[i]);
	}
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(disk_wait(&disk, &requests[i]), 0);
	assert_int_equal(do_io(BLK_READ, 0, found, NR * 4096), 0);
	assert_memory_equal(found, data, NR * 4096);
}

static void it_says_at_the_end_how_often_a_rule_applied(void **state)
{
	(void)state;
	OPEN("write,every=2,error=EIO");
	for (unsigned int i = 0; i < 5; i++)
		do_io(BLK_WRITE, 0, data, 512);
	disk_close(&disk);
	assert_non_null(disk_logged("write,every=2,error=EIO has applied to "
				    "2 of 5"));
	OPEN("read,flip");
}

#define FAULT_TEST(test)                                                       \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(without_rules_it_is_the_disk_that_it_wraps),
		FAULT_TEST(a_larger_image_is_noticed),
		FAULT_TEST(a_new_size_is_handed_on),
		FAULT_TEST(an_error_is_given_and_nothing_done),
		FAULT_TEST(the_first_error_counts_and_each_rule_for_itself),
		FAULT_TEST(it_wraps_a_disk_that_forgets),
		FAULT_TEST(a_delay_stops_nobody_else),
		FAULT_TEST(delays_end_in_their_own_order),
		FAULT_TEST(what_is_held_comes_after_others),
		FAULT_TEST(what_is_held_waits_for_a_time_at_most),
		FAULT_TEST(what_hangs_fails_in_the_end),
		FAULT_TEST(a_queue_that_stops_ends_what_hangs_and_what_is_held),
		FAULT_TEST(a_delay_outlasts_a_queue_that_stops),
		FAULT_TEST(one_bit_of_a_read_is_wrong),
		FAULT_TEST(short_calls_are_continued),
		FAULT_TEST(a_call_that_ends_at_once_is_the_end_of_the_file),
		FAULT_TEST(an_error_in_the_middle_fails_the_whole_request),
		FAULT_TEST(after_a_failed_sync_of_the_host_no_flush_succeeds),
		FAULT_TEST(a_failed_flush_of_the_disk_is_one),
		FAULT_TEST(a_busy_driver_loses_nothing),
		FAULT_TEST(it_says_at_the_end_how_often_a_rule_applied),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* fault-cache - a volatile write cache: what a flush and a power cut keep */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "server/drivers/fault.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake_engine.h"

#define SECTOR_BYTES 512
#define IMAGE_BYTES  (2u << 20)
#define CACHE_BYTES  (64u << 10)
#define PIECE_BYTES  4096

static char image[64];
static struct disk disk;
static uint8_t *data;
static uint8_t *found;

static struct driver_options faulty(const char *const *rules)
{
	struct driver_options options = disk_options(image);

	options.wrapped = driver_find("file");
	options.fault_seed = 1;
	options.fault_cache_bytes = CACHE_BYTES;
	while (rules && rules[options.nr_faults]) {
		options.faults[options.nr_faults] = rules[options.nr_faults];
		options.nr_faults++;
	}
	return options;
}

static void open_with(const struct driver_options *options)
{
	assert_int_equal(driver_find("fault")->open(options, &disk.driver), 0);
	disk_attach(&disk, disk.driver, ENGINE_FAKE);
}

static void reopen(const char *const *rules)
{
	struct driver_options options = faulty(rules);

	disk_close(&disk);
	open_with(&options);
}

static int set_up(void **state)
{
	struct driver_options options;

	(void)state;
	disk_listen_to_log();
	disk_make_image(image, IMAGE_BYTES);
	data = disk_memory(IMAGE_BYTES);
	found = disk_memory(IMAGE_BYTES);
	disk_fill(data, 0, IMAGE_BYTES, 1);
	options = faulty(NULL);
	open_with(&options);
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

static int write_durably(uint64_t offset_bytes, void *memory, uint64_t bytes)
{
	struct disk_request request;

	disk_prepare(&request, BLK_WRITE, offset_bytes, memory, bytes);
	request.blk.flags = BLK_FUA;
	disk_start(&disk, &request);
	return disk_wait(&disk, &request);
}

/* The image, as it would be after a crash of this process. */
static const uint8_t *stored(uint64_t offset_bytes, size_t bytes)
{
	static uint8_t *content;
	int fd = open(image, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (!content)
		content = malloc(IMAGE_BYTES);
	assert_int_equal(pread(fd, content, bytes, (off_t)offset_bytes), bytes);
	close(fd);
	return content;
}

static void assert_stored(uint64_t offset_bytes, const void *expected,
			  size_t bytes)
{
	assert_memory_equal(stored(offset_bytes, bytes), expected, bytes);
}

static void assert_read(uint64_t offset_bytes, const void *expected,
			size_t bytes)
{
	memset(found, 0xee, bytes);
	assert_int_equal(do_io(BLK_READ, offset_bytes, found, bytes), 0);
	assert_memory_equal(found, expected, bytes);
}

static const uint8_t nothing[CACHE_BYTES];

/* D-01 */
static void a_write_is_on_the_image_after_a_flush_and_not_before(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 4096, data, 8192), 0);
	assert_read(4096, data, 8192);
	assert_stored(4096, nothing, 8192);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(4096, data, 8192);
	assert_read(4096, data, 8192);
}

static void reads_see_the_newest_of_what_is_cached(void **state)
{
	uint8_t *expected = disk_memory(16384);

	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 16384), 0);
	memcpy(expected, data, 16384);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	for (unsigned int i = 0; i < 20; i++) {
		uint64_t offset = i * 1536 % 12288;

		disk_fill(data, offset, 1536, 10 + i);
		memcpy(expected + offset, data, 1536);
		assert_int_equal(do_io(BLK_WRITE, offset, data, 1536), 0);
		assert_read(0, expected, 16384);
		assert_read(offset + 512, expected + offset + 512, 4096);
	}
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(0, expected, 16384);
	free(expected);
}

/* D-18 */
static void zeroes_and_discards_go_through_the_cache(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_WRITE, 0, data, 16384), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 4096, NULL, 4096), 0);
	assert_int_equal(do_io(BLK_DISCARD, 8192, NULL, 4096), 0);
	assert_read(4096, nothing, 4096);
	assert_stored(0, data, 16384);
	/* over what was zeroed and is not on the image yet */
	assert_int_equal(do_io(BLK_WRITE, 4096 + 512, data, 512), 0);
	assert_read(4096 + 512, data, 512);
	assert_read(4096 + 1024, nothing, 512);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(4096, nothing, 512);
	assert_stored(4096 + 512, data, 512);
	assert_stored(8192, nothing, 4096);
	assert_stored(12288, data + 12288, 4096);
}

/* virtio 1.3, 5.2.6.2: durable when it completes */
static void a_durable_write_is_on_the_image_with_all_before_it(void **state)
{
	(void)state;
	assert_int_equal(write_durably(0, data, 4096), 0);
	assert_stored(0, data, 4096);
	assert_int_equal(do_io(BLK_WRITE, 4096, data, 4096), 0);
	assert_int_equal(do_io(BLK_WRITE, 8192, data, 4096), 0);
	assert_int_equal(write_durably(4096, data + 512, 4096), 0);
	assert_stored(4096, data + 512, 4096);
	assert_stored(8192, data, 4096);
	assert_int_equal(do_io(BLK_WRITE, 0, data + 512, 4096), 0);
	assert_int_equal(
		disk_do_flags(&disk, BLK_WRITE_ZEROES, BLK_FUA, 0, 512), 0);
	assert_stored(0, nothing, 512);
	assert_stored(512, data + 1024, 3584);
}

static void in_writethrough_mode_every_write_is_durable(void **state)
{
	struct driver_options options = faulty(NULL);

	(void)state;
	disk_close(&disk);
	options.cache = DRIVER_CACHE_WRITETHROUGH;
	open_with(&options);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(do_io(BLK_WRITE, i * 512, data + i, 4096), 0);
		assert_stored(i * 512, data + i, 4096);
	}
}

static void when_the_cache_is_full_the_oldest_go_to_the_image(void **state)
{
	unsigned int nr = 3 * CACHE_BYTES / PIECE_BYTES;
	unsigned int nr_cached = CACHE_BYTES / PIECE_BYTES;

	(void)state;
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t offset = (uint64_t)i * PIECE_BYTES;

		assert_int_equal(do_io(BLK_WRITE, offset, data + offset,
				       PIECE_BYTES),
				 0);
	}
	assert_stored(0, data, (size_t)(nr - nr_cached) * PIECE_BYTES);
	assert_stored((uint64_t)(nr - nr_cached) * PIECE_BYTES, nothing,
		      CACHE_BYTES);
	assert_read(0, data, (size_t)nr * PIECE_BYTES);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(0, data, (size_t)nr * PIECE_BYTES);
}

static void a_write_larger_than_the_cache_goes_past_it(void **state)
{
	(void)state;
	assert_int_equal(do_io(BLK_WRITE, CACHE_BYTES, data + 1, 4096), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 4 * CACHE_BYTES), 0);
	assert_stored(0, data, 4 * CACHE_BYTES);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(0, data, 4 * CACHE_BYTES);
	assert_read(0, data, 4 * CACHE_BYTES);
}

/* Sizes that do not divide the ring, reads and flushes in between */
static void the_ring_goes_round_under_load(void **state)
{
	enum {
		NR = 16
	};
	static struct disk_request requests[NR];
	uint8_t *expected = disk_memory(IMAGE_BYTES);

	(void)state;
	for (unsigned int turn = 0; turn < 60; turn++) {
		for (unsigned int i = 0; i < NR; i++) {
			uint64_t offset = (uint64_t)i * 65536;
			size_t bytes = 512 * (1 + (turn * 7 + i * 5) % 40);
			uint8_t *from = data + offset;

			disk_fill(from, offset, bytes, turn * NR + i);
			memcpy(expected + offset, from, bytes);
			disk_prepare(&requests[i], BLK_WRITE, offset, from,
				     bytes);
			disk_start(&disk, &requests[i]);
		}
		for (unsigned int i = 0; i < NR; i++)
			assert_int_equal(disk_wait(&disk, &requests[i]), 0);
		assert_read(0, expected, IMAGE_BYTES / 2);
		if (turn % 5 == 4)
			assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	}
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(0, expected, IMAGE_BYTES / 2);
	free(expected);
}

/* A read that began before the flush sees what was written before it. */
static void a_read_during_a_flush_sees_what_was_cached(void **state)
{
	struct disk_request flush;
	struct disk_request reads[2];

	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(
			do_io(BLK_WRITE, i * 4096, data + i * 4096, 4096), 0);
	disk_prepare(&reads[0], BLK_READ, 0, found, 65536);
	disk_prepare(&flush, BLK_FLUSH, 0, NULL, 0);
	disk_prepare(&reads[1], BLK_READ, 0, found + 65536, 65536);
	disk_start(&disk, &reads[0]);
	disk_start(&disk, &flush);
	assert_int_equal(disk_wait(&disk, &reads[0]), 0);
	disk_start(&disk, &reads[1]);
	assert_int_equal(disk_wait(&disk, &reads[1]), 0);
	assert_int_equal(disk_wait(&disk, &flush), 0);
	assert_memory_equal(found, data, 65536);
	assert_memory_equal(found + 65536, data, 65536);
}

/* D-02, in the cache */
static void when_writing_back_fails_no_flush_succeeds_any_more(void **state)
{
	static const char *const rules[] = { "host-write,nth=2,error=ENOSPC",
					     NULL };

	(void)state;
	reopen(rules);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -ENOSPC);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -ENOSPC);
	assert_int_equal(write_durably(4096, data, 512), -ENOSPC);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(disk_nr_logged("could not be written back"), 1);
	reopen(NULL);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
}

/* D-01, D-02: what is written back is not durable before the host says so */
static void a_flush_is_one_of_the_image_too(void **state)
{
	static const char *const rules[] = { "host-sync,nth=2,error=EIO",
					     NULL };

	(void)state;
	reopen(rules);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 512), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(do_io(BLK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(write_durably(4096, data, 512), -EIO);
}

static void whoever_gets_the_image_next_finds_all_of_it(void **state)
{
	const struct driver_ops *ops = disk.driver->ops;

	(void)state;
	assert_int_equal(ops->claim(disk.driver), 0);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 8192), 0);
	assert_int_equal(do_io(BLK_WRITE_ZEROES, 512, NULL, 512), 0);
	assert_stored(0, nothing, 8192);
	ops->release(disk.driver);
	assert_stored(0, data, 512);
	assert_stored(512, nothing, 512);
	assert_stored(1024, data + 1024, 8192 - 1024);
	/* and so does whoever opens it after this */
	assert_int_equal(do_io(BLK_WRITE, 0, data + 1, 512), 0);
	reopen(NULL);
	assert_stored(0, data + 1, 512);
}

static void a_flush_of_one_worker_covers_the_writes_of_another(void **state)
{
	struct disk other;

	(void)state;
	disk_attach(&other, disk.driver, ENGINE_FAKE);
	assert_int_equal(do_io(BLK_WRITE, 0, data, 8192), 0);
	assert_int_equal(disk_do(&other, BLK_READ, 0, found, 8192), 0);
	assert_memory_equal(found, data, 8192);
	assert_int_equal(disk_do(&other, BLK_FLUSH, 0, NULL, 0), 0);
	assert_stored(0, data, 8192);
	disk_detach(&other);
}

/* What a child process does before its power fails. */
struct scene {
	const char *rule;
	uint64_t seed;
	unsigned int nr_flushed; /* pieces, written and flushed before */
	unsigned int nr_cached;
};

/* Each piece in its own place; then once more, with other data. */
static void act(const struct scene *scene)
{
	const char *const rules[] = { scene->rule, NULL };
	struct driver_options options = faulty(rules);

	options.fault_seed = scene->seed;
	open_with(&options);
	for (unsigned int i = 0; i < scene->nr_flushed; i++)
		do_io(BLK_WRITE, i * PIECE_BYTES, data + i * PIECE_BYTES,
		      PIECE_BYTES);
	do_io(BLK_FLUSH, 0, NULL, 0);
	disk_fill(data, 0, IMAGE_BYTES, 2);
	for (unsigned int i = 0; i < scene->nr_cached; i++)
		do_io(BLK_WRITE, i * PIECE_BYTES, data + i * PIECE_BYTES,
		      PIECE_BYTES);
	do_io(BLK_FLUSH, 0, NULL, 0);
	_exit(99);
}

/* Returns the exit status. */
static int run_scene(const struct scene *scene)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		act(scene);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* 0: as first written; 1: as written later; -1: neither */
static int version_of(uint64_t offset_bytes)
{
	uint8_t expected[SECTOR_BYTES];

	for (int version = 0; version < 2; version++) {
		disk_fill(expected, offset_bytes, SECTOR_BYTES,
			  1 + (unsigned int)version);
		if (!memcmp(stored(offset_bytes, SECTOR_BYTES), expected,
			    SECTOR_BYTES))
			return version;
	}
	return -1;
}

/* How many sectors of these pieces have the later version; all have one. */
static unsigned int nr_later(unsigned int from, unsigned int to)
{
	unsigned int nr = 0;

	for (uint64_t offset = (uint64_t)from * PIECE_BYTES;
	     offset < (uint64_t)to * PIECE_BYTES; offset += SECTOR_BYTES) {
		int version = version_of(offset);

		assert_in_range(version, 0, 1);
		nr += (unsigned int)version;
	}
	return nr;
}

#define PIECE_SECTORS (PIECE_BYTES / SECTOR_BYTES)

static void a_power_cut_keeps_what_the_rule_says(void **state)
{
	static const struct {
		const char *rule;
		unsigned int nr_kept;
	} cases[] = {
		{ "flush,nth=2,power-cut=none", 0 },
		{ "flush,nth=2,power-cut=all", 8 },
		{ "flush,nth=2,power-cut=3", 3 },
		{ "flush,nth=2,power-cut=0", 0 },
		{ "write,nth=13,power-cut=none", 0 },
		/* the write at which it fails is the last one */
		{ "write,nth=13,power-cut=all", 5 },
		{ "write,nth=13,power-cut=2", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene = { cases[i].rule, 1, 8, 8 };

		assert_int_equal(run_scene(&scene), FAULT_EXIT_POWER_CUT);
		assert_int_equal(nr_later(0, cases[i].nr_kept),
				 cases[i].nr_kept * PIECE_SECTORS);
		assert_int_equal(nr_later(cases[i].nr_kept, 8), 0);
	}
}

/* Torn writes, whole ones, lost ones; what was flushed is there. */
static void a_random_power_cut_tears_writes_at_sectors(void **state)
{
	struct scene scene = { "flush,nth=2,power-cut=random", 0, 16, 8 };
	unsigned int nr_of[PIECE_SECTORS + 1] = { 0 };
	uint8_t first[16 * PIECE_BYTES];
	bool differs = false;

	(void)state;
	for (scene.seed = 1; scene.seed <= 8; scene.seed++) {
		assert_int_equal(run_scene(&scene), FAULT_EXIT_POWER_CUT);
		for (unsigned int i = 0; i < 8; i++)
			nr_of[nr_later(i, i + 1)]++;
		assert_int_equal(nr_later(8, 16), 0);
		if (scene.seed == 1)
			memcpy(first, stored(0, sizeof(first)), sizeof(first));
		else
			differs |= memcmp(first, stored(0, sizeof(first)),
					  sizeof(first)) != 0;
	}
	assert_true(differs);
	assert_in_range(nr_of[0], 8, 40);
	assert_in_range(nr_of[PIECE_SECTORS], 8, 40);
	assert_in_range(nr_of[0] + nr_of[PIECE_SECTORS], 16, 64 - 8);
	/* the same seed, the same disk */
	scene.seed = 1;
	assert_int_equal(run_scene(&scene), FAULT_EXIT_POWER_CUT);
	assert_stored(0, first, sizeof(first));
}

static void without_a_flush_nothing_survives_for_sure(void **state)
{
	struct scene scene = { "write,nth=9,power-cut=none", 1, 0, 16 };

	(void)state;
	assert_int_equal(run_scene(&scene), FAULT_EXIT_POWER_CUT);
	assert_stored(0, nothing, 16 * PIECE_BYTES);
}

static void without_a_power_cut_the_process_goes_on(void **state)
{
	struct scene scene = { "flush,nth=77,power-cut=none", 1, 8, 8 };

	(void)state;
	assert_int_equal(run_scene(&scene), 99);
	assert_int_equal(nr_later(0, 8), 8 * PIECE_SECTORS);
}

/* Without a cache what was completed is on the image. */
static void a_power_cut_without_a_cache_loses_nothing(void **state)
{
	static const char *const rules[] = { "write,nth=5,power-cut=none",
					     NULL };
	struct driver_options options = faulty(rules);
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		options.fault_cache_bytes = 0;
		open_with(&options);
		for (unsigned int i = 0; i < 8; i++)
			do_io(BLK_WRITE, i * PIECE_BYTES,
			      data + i * PIECE_BYTES, PIECE_BYTES);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), FAULT_EXIT_POWER_CUT);
	assert_stored(0, data, 4 * PIECE_BYTES);
	assert_stored(4 * PIECE_BYTES, nothing, PIECE_BYTES);
}

#define CACHE_TEST(test)                                                       \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(
			a_write_is_on_the_image_after_a_flush_and_not_before),
		CACHE_TEST(reads_see_the_newest_of_what_is_cached),
		CACHE_TEST(zeroes_and_discards_go_through_the_cache),
		CACHE_TEST(a_durable_write_is_on_the_image_with_all_before_it),
		CACHE_TEST(in_writethrough_mode_every_write_is_durable),
		CACHE_TEST(when_the_cache_is_full_the_oldest_go_to_the_image),
		CACHE_TEST(a_write_larger_than_the_cache_goes_past_it),
		CACHE_TEST(the_ring_goes_round_under_load),
		CACHE_TEST(a_read_during_a_flush_sees_what_was_cached),
		CACHE_TEST(when_writing_back_fails_no_flush_succeeds_any_more),
		CACHE_TEST(a_flush_is_one_of_the_image_too),
		CACHE_TEST(whoever_gets_the_image_next_finds_all_of_it),
		CACHE_TEST(a_flush_of_one_worker_covers_the_writes_of_another),
		CACHE_TEST(a_power_cut_keeps_what_the_rule_says),
		CACHE_TEST(a_random_power_cut_tears_writes_at_sectors),
		CACHE_TEST(without_a_flush_nothing_survives_for_sure),
		CACHE_TEST(without_a_power_cut_the_process_goes_on),
		CACHE_TEST(a_power_cut_without_a_cache_loses_nothing),
	};

	return cmocka_run_group_tests_name("fault-cache", tests, NULL, NULL);
}

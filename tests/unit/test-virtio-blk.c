/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk - a disk offers what its driver can do, and says so truthfully
 *
 * The kernel's own layout of the configuration space is the measure.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>

#include <ringhost/log.h>

#include "common/base.h"
#include "server/virtio_blk.h"

#define MIB	    (UINT64_C(1) << 20)
#define BIT(number) (UINT64_C(1) << (number))

static struct driver able_driver(void)
{
	return (struct driver){
		.info = {
			.size_bytes = 64 * MIB,
			.logical_block_bytes = 512,
			.physical_block_bytes = 4096,
			.optimal_io_bytes = 65536,
			.cache = DRIVER_CACHE_NONE,
			.can_discard = true,
			.can_write_zeroes = true,
			.discard_align_bytes = 4096,
		},
	};
}

static struct virtio_blk_options usual_options(void)
{
	return (struct virtio_blk_options){
		.name = "disk0",
		.serial = "serial-1",
		.nr_queues = 4,
		.queue_size = 1024,
	};
}

static struct virtio_blk *create(const struct virtio_blk_options *options,
				 const struct driver *driver)
{
	struct virtio_blk *blk = NULL;

	assert_int_equal(virtio_blk_create(options, driver, &blk), 0);
	assert_non_null(blk);
	return blk;
}

static struct virtio_blk_config config_of(struct virtio_blk *blk)
{
	struct virtio_blk_config config;

	assert_int_equal(virtio_blk_config_get(blk, 0, &config, sizeof(config)),
			 0);
	return config;
}

static uint8_t wce_of(struct virtio_blk *blk)
{
	return config_of(blk).wce;
}

/* Lines of the log, of which the last one is kept. */
static unsigned int nr_lines;
static char last_line[512];

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)level;
	assert_string_equal(tag, "disk0");
	nr_lines++;
	strncpy(last_line, line, sizeof(last_line) - 1);
}

static int listen_to_the_log(void **state)
{
	(void)state;
	nr_lines = 0;
	rh_log_set(remember, NULL, RH_LOG_INFO);
	return 0;
}

static int forget_the_log(void **state)
{
	(void)state;
	rh_log_set(NULL, NULL, RH_LOG_INFO);
	return 0;
}

/* Behaviour 20 */
static void a_block_size_is_a_power_of_two_from_512_to_2_mib(void **state)
{
	(void)state;
	for (uint64_t bytes = 512; bytes <= 2 * MIB; bytes *= 2)
		assert_true(virtio_blk_block_bytes_valid(bytes));
	assert_false(virtio_blk_block_bytes_valid(0));
	assert_false(virtio_blk_block_bytes_valid(1));
	assert_false(virtio_blk_block_bytes_valid(256));
	assert_false(virtio_blk_block_bytes_valid(513));
	assert_false(virtio_blk_block_bytes_valid(4095));
	assert_false(virtio_blk_block_bytes_valid(4 * MIB));
	assert_false(virtio_blk_block_bytes_valid(BIT(32) + 512));
	assert_false(virtio_blk_block_bytes_valid(BIT(32)));
	assert_false(virtio_blk_block_bytes_valid(UINT64_MAX));
}

/* Behaviour 20 */
static void a_bad_block_size_is_refused_with_the_range(void **state)
{
	const uint64_t bad[] = { 1, 256, 1000, 4 * MIB, BIT(32) + 512 };
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = NULL;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		options.block_bytes = bad[i];
		assert_int_equal(virtio_blk_create(&options, &driver, &blk),
				 -EINVAL);
		assert_null(blk);
		assert_int_equal(nr_lines, i + 1);
		assert_non_null(strstr(last_line, "from 512 to 2097152"));
	}
}

/* Behaviour 20 */
static void an_unset_block_size_is_the_images_own(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk;

	(void)state;
	driver.info.logical_block_bytes = 4096;
	blk = create(&options, &driver);
	assert_int_equal(config_of(blk).blk_size, 4096);
	virtio_blk_destroy(blk);
}

/* Parts of a block are the driver's to write without losing the rest. */
static void a_disk_may_have_smaller_blocks_than_its_image(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk;

	(void)state;
	driver.info.logical_block_bytes = 4096;
	driver.info.physical_block_bytes = 4096;
	options.block_bytes = 512;
	blk = create(&options, &driver);
	assert_int_equal(config_of(blk).blk_size, 512);
	assert_int_equal(config_of(blk).physical_block_exp, 3);
	virtio_blk_destroy(blk);
}

/* Behaviour 20 */
static void an_image_without_a_usable_block_size_is_refused(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = NULL;

	(void)state;
	driver.info.logical_block_bytes = 0;
	assert_int_equal(virtio_blk_create(&options, &driver, &blk), -EINVAL);
	driver.info.logical_block_bytes = 520;
	assert_int_equal(virtio_blk_create(&options, &driver, &blk), -EINVAL);
}

/* Behaviour 21 */
static void a_number_of_queues_that_cannot_be_is_refused(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = NULL;

	(void)state;
	options.nr_queues = 0;
	assert_int_equal(virtio_blk_create(&options, &driver, &blk), -EINVAL);
	options.nr_queues = 257;
	assert_int_equal(virtio_blk_create(&options, &driver, &blk), -EINVAL);
	assert_int_equal(nr_lines, 2);
}

/*
 * It computes the most of a request with 16 bits; with 0 blocks it reads none,
 * and no machine starts from the disk.
 */
static void seabios_finds_room_for_some_blocks_in_a_request(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();

	(void)state;
	for (unsigned int size = 4; size <= 1024; size *= 2) {
		struct virtio_blk_config config;
		struct virtio_blk *blk;

		options.queue_size = (uint16_t)size;
		blk = create(&options, &driver);
		config = config_of(blk);
		assert_true((uint16_t)(config.size_max * config.seg_max) /
				    512 >=
			    16);
		virtio_blk_destroy(blk);
	}
}

/* Behaviour 21, 22 */
static void the_configuration_is_complete_and_true(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	struct virtio_blk_config config = config_of(blk);

	(void)state;
	assert_int_equal(config.capacity, 64 * MIB / 512);
	assert_int_equal(config.seg_max, 126);
	assert_int_equal(config.size_max, 16 * MIB - 60 * 1024);
	assert_int_equal(config.blk_size, 512);
	assert_int_equal(config.physical_block_exp, 3);
	assert_int_equal(config.alignment_offset, 0);
	assert_int_equal(config.min_io_size, 8);
	assert_int_equal(config.opt_io_size, 128);
	assert_int_equal(config.wce, 1);
	assert_int_equal(config.num_queues, 4);
	assert_int_equal(config.max_discard_sectors, 2048 * MIB / 512);
	assert_int_equal(config.max_discard_seg, 32);
	assert_int_equal(config.discard_sector_alignment, 8);
	assert_int_equal(config.max_write_zeroes_sectors, 2048 * MIB / 512);
	assert_int_equal(config.max_write_zeroes_seg, 32);
	assert_int_equal(config.write_zeroes_may_unmap, 1);
	assert_int_equal(config.max_secure_erase_sectors, 0);
	assert_int_equal(config.max_secure_erase_seg, 0);
	virtio_blk_destroy(blk);
}

/* Behaviour 22 */
static void sizes_are_in_blocks_and_sectors_are_always_512(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk_config config;
	struct virtio_blk *blk;

	(void)state;
	options.block_bytes = 65536;
	blk = create(&options, &driver);
	config = config_of(blk);
	assert_int_equal(config.capacity, 64 * MIB / 512);
	assert_int_equal(config.blk_size, 65536);
	assert_int_equal(config.physical_block_exp, 0);
	assert_int_equal(config.min_io_size, 1);
	assert_int_equal(config.opt_io_size, 1);
	assert_int_equal(config.discard_sector_alignment, 128);
	virtio_blk_destroy(blk);
}

/* Behaviour 22 */
static void limits_are_those_of_the_driver_in_whole_blocks(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk_config config;
	struct virtio_blk *blk;

	(void)state;
	options.block_bytes = 4096;
	driver.info.max_discard_bytes = 3 * MIB + 512;
	driver.info.max_write_zeroes_bytes = 8192;
	blk = create(&options, &driver);
	config = config_of(blk);
	assert_int_equal(config.max_discard_sectors, 3 * MIB / 512);
	assert_int_equal(config.max_write_zeroes_sectors, 16);
	virtio_blk_destroy(blk);
}

/* Behaviour 21, 30 */
static void only_what_the_driver_can_do_is_offered(void **state)
{
	const uint64_t always =
		BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
		BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
		BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
		BIT(VIRTIO_BLK_F_MQ);
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);

	(void)state;
	assert_int_equal(virtio_blk_features(blk),
			 always | BIT(VIRTIO_BLK_F_DISCARD) |
				 BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	virtio_blk_destroy(blk);

	driver.info.can_discard = false;
	blk = create(&options, &driver);
	assert_int_equal(virtio_blk_features(blk),
			 always | BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(config_of(blk).max_discard_seg, 0);
	assert_int_equal(config_of(blk).write_zeroes_may_unmap, 0);
	virtio_blk_destroy(blk);

	driver.info.can_write_zeroes = false;
	blk = create(&options, &driver);
	assert_int_equal(virtio_blk_features(blk), always);
	assert_int_equal(config_of(blk).max_write_zeroes_seg, 0);
	virtio_blk_destroy(blk);
}

/* Behaviour 21, 28 */
static void a_disk_is_read_only_by_request_or_by_its_image(void **state)
{
	const uint64_t changing =
		BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk;

	(void)state;
	options.read_only = true;
	blk = create(&options, &driver);
	assert_true(virtio_blk_features(blk) & BIT(VIRTIO_BLK_F_RO));
	assert_false(virtio_blk_features(blk) & changing);
	virtio_blk_destroy(blk);

	options.read_only = false;
	driver.info.read_only = true;
	blk = create(&options, &driver);
	assert_true(virtio_blk_features(blk) & BIT(VIRTIO_BLK_F_RO));
	assert_false(virtio_blk_features(blk) & changing);
	virtio_blk_destroy(blk);
}

/* A driver without indirect descriptors (Firecracker's) fits its queue. */
static void seg_max_fits_the_smallest_queue(void **state)
{
	const struct {
		unsigned int queue_size;
		unsigned int seg_max;
	} rows[] = { { 1024, 126 }, { 256, 126 }, { 128, 126 }, { 64, 62 },
		     { 4, 2 },	    { 2, 1 },	  { 1, 1 } };
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct virtio_blk *blk;

		options.queue_size = rows[i].queue_size;
		blk = create(&options, &driver);
		assert_int_equal(config_of(blk).seg_max, rows[i].seg_max);
		virtio_blk_destroy(blk);
	}
}

/* Behaviour 22 */
static void reads_of_the_configuration_honour_offset_and_size(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const uint32_t bytes = virtio_blk_config_bytes(blk);
	uint8_t whole[256];
	uint8_t part[256];

	(void)state;
	assert_in_range(bytes, 60, sizeof(whole));
	assert_int_equal(virtio_blk_config_get(blk, 0, whole, bytes), 0);
	for (uint32_t offset = 0; offset < bytes; offset++) {
		for (uint32_t size = 1; size <= bytes - offset; size++) {
			memset(part, 0xaa, sizeof(part));
			assert_int_equal(virtio_blk_config_get(blk, offset,
							       part, size),
					 0);
			assert_memory_equal(part, whole + offset, size);
			assert_int_equal(part[size], 0xaa);
		}
	}
	virtio_blk_destroy(blk);
}

/* Behaviour 22 */
static void reads_beyond_the_configuration_are_refused(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const uint32_t bytes = virtio_blk_config_bytes(blk);
	uint8_t part[256] = { 0 };

	(void)state;
	assert_int_equal(virtio_blk_config_get(blk, 0, part, bytes + 1),
			 -EINVAL);
	assert_int_equal(virtio_blk_config_get(blk, 1, part, bytes), -EINVAL);
	assert_int_equal(virtio_blk_config_get(blk, bytes, part, 1), -EINVAL);
	assert_int_equal(virtio_blk_config_get(blk, UINT32_MAX, part, 2),
			 -EINVAL);
	for (unsigned int i = 0; i < sizeof(part); i++)
		assert_int_equal(part[i], 0);
	virtio_blk_destroy(blk);
}

/* QEMU from 8.1 on asks for the zoned fields too; Firecracker for 60 bytes. */
static void the_configuration_is_as_long_as_any_front_end_asks(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);

	(void)state;
	assert_int_equal(virtio_blk_config_bytes(blk), 96);
	virtio_blk_destroy(blk);
}

/* Behaviour 23 */
static void the_cache_mode_can_be_set_at_run_time(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const uint8_t off = 0;
	const uint8_t on = 1;

	(void)state;
	virtio_blk_features_set(blk, BIT(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(wce_of(blk), 1);
	assert_int_equal(virtio_blk_config_set(blk, 32, &off, 1), 0);
	assert_int_equal(wce_of(blk), 0);
	assert_int_equal(virtio_blk_config_set(blk, 32, &on, 1), 0);
	assert_int_equal(wce_of(blk), 1);
	virtio_blk_destroy(blk);
}

/* Behaviour 23 */
static void any_other_write_to_the_configuration_is_refused(void **state)
{
	const uint8_t data[96] = { 0 };
	const uint8_t two = 2;
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const struct virtio_blk_config before = config_of(blk);
	struct virtio_blk_config after;

	(void)state;
	assert_int_equal(virtio_blk_config_set(blk, 32, &two, 1), -EINVAL);
	assert_int_equal(virtio_blk_config_set(blk, 32, data, 0), -EINVAL);
	assert_int_equal(virtio_blk_config_set(blk, 32, data, 2), -EINVAL);
	assert_int_equal(virtio_blk_config_set(blk, 31, data, 2), -EINVAL);
	assert_int_equal(virtio_blk_config_set(blk, 0, data, 96), -EINVAL);
	for (uint32_t offset = 0; offset < 96; offset++) {
		if (offset == 32)
			continue;
		assert_int_equal(virtio_blk_config_set(blk, offset, data, 1),
				 -EINVAL);
	}
	after = config_of(blk);
	assert_memory_equal(&after, &before, sizeof(after));
	virtio_blk_destroy(blk);
}

/* Behaviour 2, 23 */
static void the_next_client_finds_the_cache_mode_of_the_options(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const uint8_t off = 0;
	const uint8_t on = 1;

	(void)state;
	virtio_blk_features_set(blk, 0);
	assert_int_equal(virtio_blk_config_set(blk, 32, &off, 1), 0);
	virtio_blk_reset(blk);
	assert_int_equal(wce_of(blk), 1);
	virtio_blk_features_set(blk, BIT(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(wce_of(blk), 1);
	virtio_blk_destroy(blk);

	driver.info.cache = DRIVER_CACHE_WRITETHROUGH;
	blk = create(&options, &driver);
	assert_int_equal(wce_of(blk), 0);
	assert_int_equal(virtio_blk_config_set(blk, 32, &on, 1), 0);
	assert_int_equal(wce_of(blk), 1);
	virtio_blk_reset(blk);
	assert_int_equal(wce_of(blk), 0);
	virtio_blk_destroy(blk);
}

/* Behaviour 23; virtio 1.3, 5.2.5: what cannot be flushed is not cached. */
static void without_flush_the_cache_bit_says_no_cache(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);
	const uint8_t on = 1;

	(void)state;
	virtio_blk_features_set(blk, BIT(VIRTIO_BLK_F_CONFIG_WCE));
	assert_int_equal(wce_of(blk), 0);
	assert_int_equal(virtio_blk_config_set(blk, 32, &on, 1), 0);
	assert_int_equal(wce_of(blk), 0);
	/* a boot loader without FLUSH, then a kernel with it */
	virtio_blk_features_set(blk, BIT(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(wce_of(blk), 1);
	virtio_blk_destroy(blk);
}

static void capacity_is_whole_blocks_and_the_rest_is_named(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk;

	(void)state;
	options.block_bytes = 4096;
	driver.info.size_bytes = 10 * 4096 + 700;
	blk = create(&options, &driver);
	assert_int_equal(config_of(blk).capacity, 80);
	assert_int_equal(nr_lines, 1);
	assert_non_null(strstr(last_line, "700 bytes"));
	virtio_blk_destroy(blk);
}

static void a_resize_reaches_the_configuration(void **state)
{
	struct driver driver = able_driver();
	struct virtio_blk_options options = usual_options();
	struct virtio_blk *blk = create(&options, &driver);

	(void)state;
	driver.info.size_bytes = UINT64_C(3) << 40;
	virtio_blk_resize(blk);
	assert_int_equal(config_of(blk).capacity, (UINT64_C(3) << 40) / 512);
	driver.info.size_bytes = 0;
	virtio_blk_resize(blk);
	assert_int_equal(config_of(blk).capacity, 0);
	virtio_blk_destroy(blk);
}

static void destroying_nothing_is_harmless(void **state)
{
	(void)state;
	virtio_blk_destroy(NULL);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, listen_to_the_log, forget_the_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_block_size_is_a_power_of_two_from_512_to_2_mib),
		TEST(a_bad_block_size_is_refused_with_the_range),
		TEST(an_unset_block_size_is_the_images_own),
		TEST(a_disk_may_have_smaller_blocks_than_its_image),
		TEST(an_image_without_a_usable_block_size_is_refused),
		TEST(a_number_of_queues_that_cannot_be_is_refused),
		TEST(seabios_finds_room_for_some_blocks_in_a_request),
		TEST(the_configuration_is_complete_and_true),
		TEST(sizes_are_in_blocks_and_sectors_are_always_512),
		TEST(limits_are_those_of_the_driver_in_whole_blocks),
		TEST(only_what_the_driver_can_do_is_offered),
		TEST(a_disk_is_read_only_by_request_or_by_its_image),
		TEST(seg_max_fits_the_smallest_queue),
		TEST(reads_of_the_configuration_honour_offset_and_size),
		TEST(reads_beyond_the_configuration_are_refused),
		TEST(the_configuration_is_as_long_as_any_front_end_asks),
		TEST(the_cache_mode_can_be_set_at_run_time),
		TEST(any_other_write_to_the_configuration_is_refused),
		TEST(the_next_client_finds_the_cache_mode_of_the_options),
		TEST(without_flush_the_cache_bit_says_no_cache),
		TEST(capacity_is_whole_blocks_and_the_rest_is_named),
		TEST(a_resize_reaches_the_configuration),
		TEST(destroying_nothing_is_harmless),
	};

	return cmocka_run_group_tests_name("virtio-blk", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk - one disk: what it offers and its configuration space
 *
 * The configuration space is kept as the guest sees it and each field has one
 * place where it is set. What the queues need of it is kept beside it, as
 * plain numbers, since they must not wait for the control thread.
 *
 * The write cache is a cache only if the guest can flush it. So writes are
 * durable until the guest has accepted FLUSH and as long as it has not asked
 * for the cache; the configuration space says which of the two holds.
 */
#include "server/virtio_blk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ringhost/device.h>

#include "common/base.h"
#include "common/lazy.h"
#include "common/log.h"
#include "server/virtio_blk_internal.h"
#include "server/virtio_blk_limits.h"

/*
 * With a header and a status, that many segments fit the 128-entry queue of
 * QEMU and cloud-hypervisor even without indirect descriptors; and together
 * they stay below BLK_MAX_DATA_BYTES.
 */
#define SEG_MAX 126
/*
 * SeaBIOS asks for as many blocks at once as the lower 16 bits of seg_max times
 * size_max have room for, so these must not be 0: now it is 16 blocks or more,
 * whatever the size of the queue.
 */
#define SIZE_MAX_BYTES ((16u << 20) - (60u << 10))

_Static_assert(SEG_MAX *UINT64_C(1) * SIZE_MAX_BYTES <= BLK_MAX_DATA_BYTES,
	       "a request that keeps to seg_max and size_max is served");

/*
 * The most of one discard or write-zeroes segment where the storage has no
 * limit: a multiple of every block size, and no single request takes long.
 */
#define MAX_RANGE_BYTES (UINT64_C(2) << 30)

bool virtio_blk_block_bytes_valid(uint64_t block_bytes)
{
	return is_power_of_2(block_bytes) &&
	       block_bytes >= BLK_MIN_BLOCK_BYTES &&
	       block_bytes <= BLK_MAX_BLOCK_BYTES;
}

static int check_options(const struct virtio_blk_options *options,
			 const struct driver_info *info)
{
	if (options->block_bytes &&
	    !virtio_blk_block_bytes_valid(options->block_bytes)) {
		rh_log(RH_LOG_ERROR, options->name,
		       "block size %" PRIu64 " is not possible: give a power "
		       "of two from %u to %u",
		       options->block_bytes, BLK_MIN_BLOCK_BYTES,
		       BLK_MAX_BLOCK_BYTES);
		return -EINVAL;
	}
	if (!virtio_blk_block_bytes_valid(info->logical_block_bytes)) {
		rh_log(RH_LOG_ERROR, options->name,
		       "the image has blocks of %" PRIu32
		       " bytes, a disk needs "
		       "a power of two from %u to %u: copy it to other storage",
		       info->logical_block_bytes, BLK_MIN_BLOCK_BYTES,
		       BLK_MAX_BLOCK_BYTES);
		return -EINVAL;
	}
	if (!options->nr_queues || options->nr_queues > RH_MAX_QUEUES) {
		rh_log(RH_LOG_ERROR, options->name,
		       "%u queues are not possible: give 1 to %u",
		       options->nr_queues, RH_MAX_QUEUES);
		return -EINVAL;
	}
	return 0;
}

/* max_bytes: of the driver, 0 for no limit */
static uint32_t range_sectors(const struct virtio_blk *blk, uint64_t max_bytes)
{
	if (!max_bytes || max_bytes > MAX_RANGE_BYTES)
		max_bytes = MAX_RANGE_BYTES;
	return align_down(max_bytes, blk->block_bytes) / SECTOR_BYTES;
}

static void fix_abilities(struct virtio_blk *blk,
			  const struct driver_info *info)
{
	if (blk->read_only)
		return;
	blk->max_discard_sectors = range_sectors(blk, info->max_discard_bytes);
	blk->max_write_zeroes_sectors =
		range_sectors(blk, info->max_write_zeroes_bytes);
	blk->can_discard = info->can_discard && blk->max_discard_sectors;
	blk->can_write_zeroes =
		info->can_write_zeroes && blk->max_write_zeroes_sectors;
	blk->may_unmap = blk->can_write_zeroes && info->can_discard;
}

static uint64_t offered_features(const struct virtio_blk *blk)
{
	uint64_t features = FEATURE_BIT(VIRTIO_BLK_F_SIZE_MAX) |
			    FEATURE_BIT(VIRTIO_BLK_F_SEG_MAX) |
			    FEATURE_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			    FEATURE_BIT(VIRTIO_BLK_F_TOPOLOGY) |
			    FEATURE_BIT(VIRTIO_BLK_F_FLUSH) |
			    FEATURE_BIT(VIRTIO_BLK_F_CONFIG_WCE) |
			    FEATURE_BIT(VIRTIO_BLK_F_MQ);

	if (blk->read_only)
		features |= FEATURE_BIT(VIRTIO_BLK_F_RO);
	if (blk->can_discard)
		features |= FEATURE_BIT(VIRTIO_BLK_F_DISCARD);
	if (blk->can_write_zeroes)
		features |= FEATURE_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	return features;
}

static void set_topology(struct virtio_blk *blk, const struct driver_info *info)
{
	struct virtio_blk_config *config = &blk->config;
	uint64_t physical_blocks =
		info->physical_block_bytes / blk->block_bytes;
	uint8_t exponent = 0;

	while (exponent < 15 && physical_blocks >> (exponent + 1))
		exponent++;
	config->blk_size = le32_make(blk->block_bytes);
	config->topology.physical_block_exp = exponent;
	config->topology.min_io_size = le16_make(1u << exponent);
	config->topology.opt_io_size =
		le32_make(info->optimal_io_bytes / blk->block_bytes);
}

static void set_ranges(struct virtio_blk *blk, const struct driver_info *info)
{
	struct virtio_blk_config *config = &blk->config;
	uint64_t align =
		MAX(blk->block_bytes, (uint64_t)info->discard_align_bytes);

	if (blk->can_discard) {
		config->max_discard_sectors =
			le32_make(blk->max_discard_sectors);
		config->max_discard_seg = le32_make(BLK_MAX_RANGES);
		config->discard_sector_alignment =
			le32_make(align / SECTOR_BYTES);
	}
	if (blk->can_write_zeroes) {
		config->max_write_zeroes_sectors =
			le32_make(blk->max_write_zeroes_sectors);
		config->max_write_zeroes_seg = le32_make(BLK_MAX_RANGES);
		config->write_zeroes_may_unmap = blk->may_unmap;
	}
}

static void set_config(struct virtio_blk *blk,
		       const struct virtio_blk_options *options)
{
	const struct driver_info *info = &blk->driver->info;
	unsigned int seg_max =
		options->queue_size > 3 ? options->queue_size - 2 : 1;

	blk->config.size_max = le32_make(SIZE_MAX_BYTES);
	blk->config.seg_max = le32_make(MIN(seg_max, (unsigned int)SEG_MAX));
	blk->config.num_queues = le16_make(options->nr_queues);
	set_topology(blk, info);
	set_ranges(blk, info);
}

static int make_limits(struct virtio_blk *blk, struct throttle *const *groups,
		       unsigned int nr_groups)
{
	struct blk_limits *limits;
	int error =
		blk_limits_create(groups, nr_groups, blk->nr_queues, &limits);

	if (!error)
		atomic_store_explicit(&blk->limits, limits,
				      memory_order_release);
	else if (error == -ENOSPC)
		rh_log(RH_LOG_ERROR, blk->name,
		       "a throttle group has at most %d disks",
		       THROTTLE_MAX_MEMBERS);
	else
		rh_log(RH_LOG_ERROR, blk->name, "out of memory");
	return error;
}

int virtio_blk_set_limits(struct virtio_blk *blk,
			  const struct throttle_limits *limits)
{
	int error = 0;

	if (!atomic_load(&blk->limits) && throttle_limits_any(limits))
		error = make_limits(blk, NULL, 0);
	if (!error && atomic_load(&blk->limits))
		throttle_set(blk_limits_own(blk->limits), limits);
	return error;
}

struct throttle_limits virtio_blk_limits(const struct virtio_blk *blk)
{
	const struct blk_limits *limits = atomic_load(&blk->limits);

	return limits ? *throttle_get(blk_limits_own(limits)) :
			THROTTLE_NO_LIMITS;
}

static int begin_limits(struct virtio_blk *blk,
			const struct virtio_blk_options *options)
{
	int error = 0;

	if (options->nr_groups)
		error = make_limits(blk, options->groups, options->nr_groups);
	if (!error && options->limits)
		error = virtio_blk_set_limits(blk, options->limits);
	return error;
}

int virtio_blk_create(const struct virtio_blk_options *options,
		      const struct driver *driver, struct virtio_blk **ret)
{
	const struct driver_info *info = &driver->info;
	struct virtio_blk *blk;
	int error;

	error = check_options(options, info);
	if (error)
		return error;
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return -ENOMEM;
	blk->driver = driver;
	blk->block_bytes = options->block_bytes ? options->block_bytes :
						  info->logical_block_bytes;
	blk->read_only = options->read_only || info->read_only;
	blk->writeback_at_start = info->cache != DRIVER_CACHE_WRITETHROUGH;
	blk->nr_queues = options->nr_queues;
	if (options->serial)
		memcpy(blk->serial, options->serial,
		       strnlen(options->serial, BLK_SERIAL_BYTES));
	blk->name = strdup(options->name);
	blk->stats = rh_lazy_table(blk->nr_queues, struct blk_stats);
	error = blk->name && blk->stats ? begin_limits(blk, options) : -ENOMEM;
	if (!error)
		error = blk_failures_create(blk->nr_queues, &blk->failures);
	if (error) {
		virtio_blk_destroy(blk);
		return error;
	}
	fix_abilities(blk, info);
	blk->features = offered_features(blk);
	set_config(blk, options);
	virtio_blk_resize(blk);
	virtio_blk_reset(blk);
	*ret = blk;
	return 0;
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
	if (!blk)
		return;
	blk_failures_destroy(blk->failures);
	blk_limits_destroy(blk->limits);
	rh_lazy_free(blk->stats, blk->nr_queues, sizeof(*blk->stats));
	free(blk->name);
	free(blk);
}

uint64_t virtio_blk_features(const struct virtio_blk *blk)
{
	return blk->features;
}

uint32_t virtio_blk_config_bytes(const struct virtio_blk *blk)
{
	return sizeof(blk->config);
}

int virtio_blk_config_get(struct virtio_blk *blk, uint32_t offset, void *data,
			  uint32_t size)
{
	uint64_t end;

	if (add_overflows(offset, size, &end) || end > sizeof(blk->config))
		return -EINVAL;
	memcpy(data, (const uint8_t *)&blk->config + offset, size);
	return 0;
}

static void update_cache_mode(struct virtio_blk *blk)
{
	bool may_cache = blk->flush_accepted || !blk->features_known;

	blk->config.writeback = blk->writeback_wanted && may_cache;
	atomic_store_explicit(&blk->durable,
			      !blk->writeback_wanted || !blk->flush_accepted,
			      memory_order_relaxed);
}

/* Whether CONFIG_WCE was accepted does not matter: front-ends differ. */
int virtio_blk_config_set(struct virtio_blk *blk, uint32_t offset,
			  const void *data, uint32_t size)
{
	const uint8_t *value = data;

	if (offset != offsetof(struct virtio_blk_config, writeback) ||
	    size != sizeof(*value) || *value > 1)
		return -EINVAL;
	virtio_blk_set_writeback(blk, *value);
	return 0;
}

bool virtio_blk_writeback(const struct virtio_blk *blk)
{
	return blk->writeback_wanted;
}

void virtio_blk_set_writeback(struct virtio_blk *blk, bool writeback)
{
	blk->writeback_wanted = writeback;
	update_cache_mode(blk);
}

void virtio_blk_features_set(struct virtio_blk *blk, uint64_t features)
{
	blk->features_known = true;
	blk->flush_accepted = features & FEATURE_BIT(VIRTIO_BLK_F_FLUSH);
	update_cache_mode(blk);
}

void virtio_blk_reset(struct virtio_blk *blk)
{
	blk->features_known = false;
	blk->flush_accepted = false;
	blk->writeback_wanted = blk->writeback_at_start;
	update_cache_mode(blk);
}

void virtio_blk_resize(struct virtio_blk *blk)
{
	uint64_t image_bytes = blk->driver->info.size_bytes;
	uint64_t size_bytes = align_down(image_bytes, blk->block_bytes);

	if (size_bytes != image_bytes)
		rh_log(RH_LOG_WARNING, blk->name,
		       "the last %" PRIu64 " bytes of the image are not "
		       "offered: make its size a multiple of %" PRIu64,
		       image_bytes - size_bytes, blk->block_bytes);
	blk->config.capacity = le64_make(size_bytes / SECTOR_BYTES);
	atomic_store_explicit(&blk->size_bytes, size_bytes,
			      memory_order_relaxed);
}

struct blk_failures *virtio_blk_failures(const struct virtio_blk *blk)
{
	return blk->failures;
}

const struct blk_stats *virtio_blk_stats(const struct virtio_blk *blk,
					 unsigned int queue)
{
	assert(queue < blk->nr_queues);
	return &blk->stats[queue];
}

void virtio_blk_counters(const struct virtio_blk *blk, struct blk_counters *ret)
{
	struct blk_kind_sum sums[BLK_NR_KINDS] = { 0 };
	struct blk_counters counters = { 0 };

	for (unsigned int kind = 0; kind < BLK_NR_KINDS; kind++) {
		for (unsigned int i = 0; i < blk->nr_queues; i++)
			blk_stats_sum(&blk->stats[i], kind, &sums[kind]);
		counters.errors += sums[kind].nr_failed;
	}
	counters.reads = sums[BLK_KIND_READ].nr;
	counters.read_bytes = sums[BLK_KIND_READ].bytes;
	counters.writes = sums[BLK_KIND_WRITE].nr;
	counters.written_bytes = sums[BLK_KIND_WRITE].bytes;
	counters.flushes = sums[BLK_KIND_FLUSH].nr;
	counters.others = sums[BLK_KIND_DISCARD].nr +
			  sums[BLK_KIND_WRITE_ZEROES].nr +
			  sums[BLK_KIND_OTHER].nr;
	*ret = counters;
}

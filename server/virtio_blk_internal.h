/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk_internal - layouts and numbers of virtio-blk, the disk itself
 *
 * For virtio_blk.c and blk_queue.c, and for nobody else: the names are those
 * of virtio 1.3, 5.2. struct virtio_blk is the control thread's but for what
 * is marked: that is fixed at creation, or atomic, and a queue's owner reads
 * it for each request.
 */
#ifndef SERVER_VIRTIO_BLK_INTERNAL_H
#define SERVER_VIRTIO_BLK_INTERNAL_H

#include <stdatomic.h>

#include "common/base.h"
#include "common/endian.h"
#include "server/blk_stats.h"
#include "server/virtio_blk.h"

#define FEATURE_BIT(number) (UINT64_C(1) << (number))

/* Feature bits (virtio 1.3, 5.2.3) */
#define VIRTIO_BLK_F_SIZE_MAX	  1
#define VIRTIO_BLK_F_SEG_MAX	  2
#define VIRTIO_BLK_F_RO		  5
#define VIRTIO_BLK_F_BLK_SIZE	  6
#define VIRTIO_BLK_F_FLUSH	  9
#define VIRTIO_BLK_F_TOPOLOGY	  10
#define VIRTIO_BLK_F_CONFIG_WCE	  11
#define VIRTIO_BLK_F_MQ		  12
#define VIRTIO_BLK_F_DISCARD	  13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/*
 * virtio 1.3, 5.2.4. All of it, though nothing here is zoned or can erase
 * securely: a front-end asks for as much as it knows of (60 to 96 bytes) and
 * gives up if the device has less.
 */
struct virtio_blk_config {
	struct le64 capacity; /* in sectors */
	struct le32 size_max;
	struct le32 seg_max;
	struct {
		struct le16 cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	struct le32 blk_size;
	struct {
		uint8_t physical_block_exp;
		uint8_t alignment_offset;
		struct le16 min_io_size;
		struct le32 opt_io_size;
	} topology;
	uint8_t writeback;
	uint8_t unused0;
	struct le16 num_queues;
	struct le32 max_discard_sectors;
	struct le32 max_discard_seg;
	struct le32 discard_sector_alignment;
	struct le32 max_write_zeroes_sectors;
	struct le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	struct le32 max_secure_erase_sectors;
	struct le32 max_secure_erase_seg;
	struct le32 secure_erase_sector_alignment;
	struct {
		struct le32 zone_sectors;
		struct le32 max_open_zones;
		struct le32 max_active_zones;
		struct le32 max_append_sectors;
		struct le32 write_granularity;
		uint8_t model;
		uint8_t unused2[3];
	} zoned;
};

_Static_assert(sizeof(struct virtio_blk_config) == 96, "virtio 1.3, 5.2.4");
_Static_assert(offsetof(struct virtio_blk_config, writeback) == 32, "5.2.4");
_Static_assert(offsetof(struct virtio_blk_config, zoned) == 72, "5.2.4");

/* The first bytes that the device reads (virtio 1.3, 5.2.6) */
struct virtio_blk_outhdr {
	struct le32 type;
	struct le32 reserved; /* ioprio of old drivers: ignored */
	struct le64 sector;
};

_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.3, 5.2.6");

#define VIRTIO_BLK_T_IN		  0
#define VIRTIO_BLK_T_OUT	  1
#define VIRTIO_BLK_T_FLUSH	  4
#define VIRTIO_BLK_T_GET_ID	  8
#define VIRTIO_BLK_T_DISCARD	  11
#define VIRTIO_BLK_T_WRITE_ZEROES 13
#define VIRTIO_BLK_T_SECURE_ERASE 14

/* Once "barrier before this request"; old drivers set it, nobody obeys it. */
#define VIRTIO_BLK_T_BARRIER 0x80000000u

struct virtio_blk_discard_write_zeroes {
	struct le64 sector;
	struct le32 num_sectors;
	struct le32 flags;
};

_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "5.2.6");

#define VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP 1u

/* The last byte that the device writes */
#define VIRTIO_BLK_S_OK	    0
#define VIRTIO_BLK_S_IOERR  1
#define VIRTIO_BLK_S_UNSUPP 2

/* The unit of sectors, whatever the block size (virtio 1.3, 5.2.4) */
#define SECTOR_BYTES 512

/* Segments of one discard or write-zeroes request that a slot has room for */
#define BLK_MAX_RANGES 32

/* What one host call moves at most, MAX_RW_COUNT of Linux with 4 KiB pages */
#define BLK_MAX_DATA_BYTES ((UINT64_C(2) << 30) - 4096)

struct blk_limits;

struct virtio_blk {
	/* Fixed at creation; any thread */
	const struct driver *driver; /* not owned */
	char *name;
	uint64_t block_bytes;
	bool read_only;
	bool can_discard;
	bool can_write_zeroes;
	bool may_unmap;
	uint32_t max_discard_sectors; /* of one segment */
	uint32_t max_write_zeroes_sectors;
	uint8_t serial[BLK_SERIAL_BYTES];
	uint64_t features; /* offered */
	bool writeback_at_start;
	unsigned int nr_queues;

	/* The control thread's */
	struct virtio_blk_config config;
	bool writeback_wanted;
	bool features_known; /* the guest has accepted some */
	bool flush_accepted;

	/* Written by the control thread, read by the queues' owners */
	_Atomic uint64_t size_bytes; /* a multiple of block_bytes */
	atomic_bool durable;	     /* no write may stay in a cache */
	/* NULL until the disk is first limited; then it stays. Owned. */
	_Atomic(struct blk_limits *) limits;

	/* One for each queue, written by its owner, read by any thread */
	struct blk_stats *stats;
	struct blk_failures *failures; /* by its own rules */
};

/* A segment of a discard or write-zeroes request, as first read. */
struct blk_range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

/* What a queue keeps for each request under way; the queue's owner's. */
struct blk_slot {
	struct blk_request request;
	struct blk_queue *queue;
	struct virtio_blk *blk;
	struct rh_chain *chain; /* the rh_queue's; NULL: the slot is free */
	uint8_t *status;	/* in guest memory */
	uint64_t start_nsec;	/* when it was taken */
	uint32_t type;		/* VIRTIO_BLK_T_... or BLK_NO_TYPE */
	uint32_t written_bytes; /* into data-in, if it succeeds */
	bool refused;		/* by the decoder: storage never saw it */
	struct list_node waiting;
	struct blk_slot *next_free; /* of a slot that is free */
	struct blk_range *ranges;   /* BLK_MAX_RANGES of them; not owned */
	unsigned int nr_ranges;
	unsigned int next_range;
};

/* slot->type of a chain whose header says nothing; no request has it. */
#define BLK_NO_TYPE VIRTIO_BLK_T_BARRIER

/* blk_decode_chain(): answer with slot->request.result. */
#define BLK_ANSWERED 1

/*
 * Find out what slot->chain asks for, and set all of the slot but queue, blk,
 * chain, waiting and ranges. Returns 0 when slot->request is to be submitted,
 * BLK_ANSWERED, or -EFAULT when the chain cannot be answered.
 */
int blk_decode_chain(struct blk_slot *slot);

/* The next function for a slot that has ranges, which may all be empty. */
bool blk_decode_range(struct blk_slot *slot);

/*
 * Make the next range that is not empty the request, if there is one. True
 * when it is to be submitted; false at the end, and for other requests.
 */
static inline bool blk_decode_next_range(struct blk_slot *slot)
{
	return unlikely(slot->next_range < slot->nr_ranges) &&
	       blk_decode_range(slot);
}

#endif

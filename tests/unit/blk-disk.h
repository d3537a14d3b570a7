/* SPDX-License-Identifier: MIT */
/*
 * blk-disk - a disk with a scripted driver, and a guest that talks to it
 *
 * For the tests of blk_decode.c and blk_queue.c. The driver keeps the disk's
 * first bytes in memory, answers each submit as the test says, and remembers
 * what it was asked. The guest has a header, a data area and a status byte at
 * fixed places, with a pattern around the status.
 *
 *	struct blk_disk disk;
 *
 *	disk_init(&disk, &(struct disk_setup){ .serial = "x" });
 *	disk_header(&disk, VIRTIO_BLK_T_OUT, 0);
 *	reply = disk_run(&disk, buffers, ARRAY_SIZE(buffers));
 *	disk_deinit(&disk);
 */
#ifndef TESTS_UNIT_BLK_DISK_H
#define TESTS_UNIT_BLK_DISK_H

#include <linux/virtio_blk.h>

#include "common/base.h"
#include "server/virtio_blk.h"
#include "tests/unit/ring-memory.h"

#define DISK_RING_SIZE	  128
#define DISK_BYTES	  (UINT64_C(1) << 20)
#define DISK_DATA_BYTES	  (UINT64_C(1) << 20)
#define DISK_MAX_CALLS	  256
#define DISK_STATUS_UNSET 0xee
#define DISK_PATTERN	  0x5a

struct disk_setup {
	const char *serial;
	uint64_t block_bytes;
	uint64_t size_bytes; /* 0: DISK_BYTES; only those have storage */
	bool read_only;
	bool cannot_discard;
	bool cannot_write_zeroes;
	uint64_t max_range_bytes;
	bool no_flush;
};

/* One submit, as the driver saw it. */
struct disk_call {
	enum blk_op op;
	uint32_t flags;
	uint64_t offset_bytes;
	uint64_t bytes;
	unsigned int nr_iov;
};

struct blk_disk {
	struct ring_memory ring;
	struct driver_ops ops;
	struct driver driver;
	struct driver_context context;
	struct turn_clock clock; /* the test may set it */
	struct virtio_blk *blk;
	struct blk_queue *queue;

	/* The script */
	enum driver_answer answer;
	int result;	      /* of DRIVER_COMPLETED */
	unsigned int nr_busy; /* so many submits are answered DRIVER_BUSY */
	void (*at_submit)(struct blk_disk *disk);

	/* What happened */
	uint8_t storage[DISK_BYTES];
	struct disk_call calls[DISK_MAX_CALLS];
	unsigned int nr_calls; /* without those answered DRIVER_BUSY */
	unsigned int nr_busy_calls;
	struct blk_request *held[DISK_MAX_CALLS]; /* DRIVER_QUEUED */
	unsigned int nr_held;
	unsigned int nr_progress;

	/* The guest */
	uint64_t header; /* 16 bytes */
	uint64_t data;	 /* DISK_DATA_BYTES */
	uint64_t status; /* one byte, 8 of DISK_PATTERN on either side */
	uint16_t next_desc;
};

struct disk_reply {
	bool done;
	uint8_t status;
	uint32_t len; /* of the used entry */
};

/* A disk whose driver answers DRIVER_COMPLETED, its queue running. */
void disk_init(struct blk_disk *disk, const struct disk_setup *setup);

/* Nothing is under way; asserts it. */
void disk_deinit(struct blk_disk *disk);

/* Stop and start the queue, for a change of memory in between. */
void disk_pause(struct blk_disk *disk);
void disk_resume(struct blk_disk *disk);

/* The driver completes the request that it has held at this place. */
void disk_complete(struct blk_disk *disk, unsigned int held, int result);

/* The guest's view of the data area. */
void *disk_data(const struct blk_disk *disk);

void disk_header(struct blk_disk *disk, uint32_t type, uint64_t sector);

/* Make a chain available. Returns its head. */
uint16_t disk_send(struct blk_disk *disk, const struct ring_buffer *buffers,
		   unsigned int nr);

/* Take, publish. Returns what blk_queue_take() said. */
bool disk_turn(struct blk_disk *disk);

/* One request, start to end. Its status was set to something else before. */
struct disk_reply disk_run(struct blk_disk *disk,
			   const struct ring_buffer *buffers, unsigned int nr);

/* A header, data if bytes is not 0, a status: one buffer each. */
struct disk_reply disk_request(struct blk_disk *disk, uint32_t type,
			       uint64_t sector, uint32_t bytes, bool writable);

struct disk_reply disk_read(struct blk_disk *disk, uint64_t sector,
			    uint32_t bytes);
struct disk_reply disk_write(struct blk_disk *disk, uint64_t sector,
			     uint32_t bytes);

/* Put a segment of a discard or write-zeroes request into the data area. */
void disk_segment(struct blk_disk *disk, unsigned int i, uint64_t sector,
		  uint32_t num_sectors, uint32_t flags);

/* A discard or write-zeroes request of the segments put there before. */
struct disk_reply disk_ranges(struct blk_disk *disk, uint32_t type,
			      unsigned int nr);

#define assert_reply(reply, expected_status, expected_len)                     \
	do {                                                                   \
		struct disk_reply reply_ = (reply);                            \
		assert_true(reply_.done);                                      \
		assert_int_equal(reply_.status, expected_status);              \
		assert_int_equal(reply_.len, expected_len);                    \
	} while (0)

#define assert_ioerr(reply)  assert_reply(reply, VIRTIO_BLK_S_IOERR, 1)
#define assert_unsupp(reply) assert_reply(reply, VIRTIO_BLK_S_UNSUPP, 1)

#endif

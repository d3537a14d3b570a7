/* SPDX-License-Identifier: MIT */
/* blk-disk - a disk with a scripted driver, and a guest that talks to it */
#include <limits.h>
#include <string.h>

#include "tests/unit/blk-disk.h"

static void move_data(struct blk_disk *disk, const struct blk_request *request)
{
	uint8_t *at = disk->storage + request->offset_bytes;

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		if (request->op == BLK_READ)
			memcpy(iov->iov_base, at, iov->iov_len);
		else
			memcpy(at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
	assert_int_equal(at - disk->storage,
			 request->offset_bytes + request->bytes);
}

static void perform(struct blk_disk *disk, const struct blk_request *request)
{
	if (request->op == BLK_FLUSH ||
	    request->offset_bytes + request->bytes > DISK_BYTES)
		return;
	if (request->op == BLK_READ || request->op == BLK_WRITE)
		move_data(disk, request);
	else
		memset(disk->storage + request->offset_bytes, 0,
		       request->bytes);
}

static enum driver_answer submit(struct driver_context *context,
				 struct blk_request *request)
{
	struct blk_disk *disk = container_of(context, struct blk_disk, context);

	assert_true(request->offset_bytes + request->bytes <=
		    disk->driver.info.size_bytes);
	if (disk->nr_busy) {
		disk->nr_busy--;
		disk->nr_busy_calls++;
		return DRIVER_BUSY;
	}
	assert_true(disk->nr_calls < DISK_MAX_CALLS);
	disk->calls[disk->nr_calls++] = (struct disk_call){
		.op = request->op,
		.flags = request->flags,
		.offset_bytes = request->offset_bytes,
		.bytes = request->bytes,
		.nr_iov = request->nr_iov,
	};
	if (disk->at_submit)
		disk->at_submit(disk);
	if (disk->answer == DRIVER_QUEUED) {
		disk->held[disk->nr_held++] = request;
		return DRIVER_QUEUED;
	}
	if (!disk->result)
		perform(disk, request);
	request->result = disk->result;
	return DRIVER_COMPLETED;
}

void disk_complete(struct blk_disk *disk, unsigned int held, int result)
{
	struct blk_request *request = disk->held[held];

	assert_true(held < disk->nr_held);
	assert_non_null(request);
	disk->held[held] = NULL;
	if (!result)
		perform(disk, request);
	request->complete(request, result);
}

static void note_progress(void *opaque)
{
	struct blk_disk *disk = opaque;

	disk->nr_progress++;
}

static void init_driver(struct blk_disk *disk, const struct disk_setup *setup)
{
	disk->ops.submit = submit;
	disk->driver.ops = &disk->ops;
	disk->driver.info = (struct driver_info){
		.size_bytes =
			setup->size_bytes ? setup->size_bytes : DISK_BYTES,
		.logical_block_bytes = 512,
		.physical_block_bytes = 512,
		.can_discard = !setup->cannot_discard,
		.can_write_zeroes = !setup->cannot_write_zeroes,
		.max_discard_bytes = setup->max_range_bytes,
		.max_write_zeroes_bytes = setup->max_range_bytes,
	};
	disk->context.driver = &disk->driver;
	disk->answer = DRIVER_COMPLETED;
	for (unsigned int i = 0; i < DISK_BYTES; i++)
		disk->storage[i] = (uint8_t)(i * 7 + i / 512 + 1);
}

void disk_pause(struct blk_disk *disk)
{
	assert_int_equal(blk_queue_under_way(disk->queue), 0);
	blk_queue_destroy(disk->queue);
	disk->queue = NULL;
	ring_stop(&disk->ring);
}

void disk_resume(struct blk_disk *disk)
{
	const struct blk_queue_host host = {
		.context = &disk->context,
		.clock = &disk->clock,
		.progress = note_progress,
		.opaque = disk,
	};

	ring_start(&disk->ring, 0);
	assert_int_equal(blk_queue_create(disk->blk, &disk->ring.queue, &host,
					  &disk->queue),
			 0);
}

void disk_init(struct blk_disk *disk, const struct disk_setup *setup)
{
	const struct virtio_blk_options options = {
		.name = "disk0",
		.serial = setup->serial,
		.block_bytes = setup->block_bytes,
		.read_only = setup->read_only,
		.nr_queues = 1,
		.queue_size = DISK_RING_SIZE,
	};

	memset(disk, 0, sizeof(*disk));
	init_driver(disk, setup);
	assert_int_equal(virtio_blk_create(&options, &disk->driver, &disk->blk),
			 0);
	virtio_blk_features_set(
		disk->blk,
		setup->no_flush ? 0 : UINT64_C(1) << VIRTIO_BLK_F_FLUSH);

	ring_init_keeping_bad_chains(&disk->ring, DISK_RING_SIZE);
	disk_resume(disk);
	disk->header = ring_alloc(&disk->ring, 16, 16);
	disk->data = ring_alloc(&disk->ring, DISK_DATA_BYTES, 4096);
	disk->status = ring_alloc(&disk->ring, 17, 1) + 8;
	memset(ring_at(&disk->ring, disk->data), DISK_PATTERN, DISK_DATA_BYTES);
	memset(ring_at(&disk->ring, disk->status - 8), DISK_PATTERN, 17);
}

void disk_deinit(struct blk_disk *disk)
{
	disk_pause(disk);
	ring_deinit(&disk->ring);
	virtio_blk_destroy(disk->blk);
}

void *disk_data(const struct blk_disk *disk)
{
	return ring_at(&disk->ring, disk->data);
}

void disk_header(struct blk_disk *disk, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {
		.type = htole32(type),
		.ioprio = htole32(0x12345678), /* means nothing */
		.sector = htole64(sector),
	};

	memcpy(ring_at(&disk->ring, disk->header), &header, sizeof(header));
}

uint16_t disk_send(struct blk_disk *disk, const struct ring_buffer *buffers,
		   unsigned int nr)
{
	uint16_t head = disk->next_desc;

	if (head + nr > DISK_RING_SIZE)
		head = 0;
	disk->next_desc = (uint16_t)(head + nr);
	ring_add(&disk->ring, head, buffers, nr);
	return head;
}

bool disk_turn(struct blk_disk *disk)
{
	unsigned int budget = UINT_MAX;
	bool more = blk_queue_take(disk->queue, &budget);

	blk_queue_flush(disk->queue);
	return more;
}

/* The byte where the guest looks for the status of these buffers. */
static uint8_t *find_status(const struct blk_disk *disk,
			    const struct ring_buffer *buffers, unsigned int nr)
{
	for (unsigned int i = nr; i-- > 0;) {
		uint64_t last = buffers[i].addr + buffers[i].len - 1;

		if (buffers[i].writable && buffers[i].len)
			return last - RING_GUEST_BASE < RING_MEMORY_BYTES ?
				       ring_at(&disk->ring, last) :
				       NULL;
	}
	return NULL;
}

struct disk_reply disk_run(struct blk_disk *disk,
			   const struct ring_buffer *buffers, unsigned int nr)
{
	struct disk_reply reply = { 0 };
	uint8_t *status = find_status(disk, buffers, nr);
	uint16_t head;
	uint32_t id;

	if (status)
		*status = DISK_STATUS_UNSET;
	head = disk_send(disk, buffers, nr);
	disk_turn(disk);
	reply.status = status ? *status : DISK_STATUS_UNSET;
	reply.done = ring_take_used(&disk->ring, &id, &reply.len);
	if (reply.done)
		assert_int_equal(id, head);
	return reply;
}

struct disk_reply disk_request(struct blk_disk *disk, uint32_t type,
			       uint64_t sector, uint32_t bytes, bool writable)
{
	struct ring_buffer buffers[3] = { { disk->header, 16, false } };
	unsigned int nr = 1;

	disk_header(disk, type, sector);
	if (bytes)
		buffers[nr++] =
			(struct ring_buffer){ disk->data, bytes, writable };
	buffers[nr++] = (struct ring_buffer){ disk->status, 1, true };
	return disk_run(disk, buffers, nr);
}

struct disk_reply disk_read(struct blk_disk *disk, uint64_t sector,
			    uint32_t bytes)
{
	return disk_request(disk, VIRTIO_BLK_T_IN, sector, bytes, true);
}

struct disk_reply disk_write(struct blk_disk *disk, uint64_t sector,
			     uint32_t bytes)
{
	return disk_request(disk, VIRTIO_BLK_T_OUT, sector, bytes, false);
}

void disk_segment(struct blk_disk *disk, unsigned int i, uint64_t sector,
		  uint32_t num_sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(sector),
		.num_sectors = htole32(num_sectors),
		.flags = htole32(flags),
	};

	memcpy((uint8_t *)disk_data(disk) + i * sizeof(segment), &segment,
	       sizeof(segment));
}

struct disk_reply disk_ranges(struct blk_disk *disk, uint32_t type,
			      unsigned int nr)
{
	return disk_request(disk, type, 0, nr * 16, false);
}

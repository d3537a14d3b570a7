/* SPDX-License-Identifier: MIT */
/*
 * world - a guest, its queue and its disk in one process
 */
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/race/world.h"

#define PAGE_BYTES    4096
#define DISK_BYTES    (WORLD_SECTORS * 512)
#define MARGIN_BYTES  65536 /* of pattern */
#define ALLOWED_BYTES (WORLD_CONTROL_BYTES + WORLD_DATA_BYTES)

void *__real_mmap64(void *start, size_t bytes, int protection, int flags,
		    int fd, off_t offset);
void *__wrap_mmap64(void *start, size_t bytes, int protection, int flags,
		    int fd, off_t offset);

/*
 * With 64 bits for an offset, which the build asks for, mmap() is this symbol.
 * The pages around a mapping stay when it goes: two for each.
 */
void *__wrap_mmap64(void *start, size_t bytes, int protection, int flags,
		    int fd, off_t offset)
{
	uint8_t *reserved;

	if (start || !(flags & MAP_SHARED))
		return __real_mmap64(start, bytes, protection, flags, fd,
				     offset);
	reserved = __real_mmap64(NULL, bytes + 2 * PAGE_BYTES, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
	if (reserved == MAP_FAILED)
		return MAP_FAILED;
	return __real_mmap64(reserved + PAGE_BYTES, bytes, protection,
			     flags | MAP_FIXED, fd, offset);
}

static bool is_allowed(const struct world *world,
		       const struct blk_request *request)
{
	const uint8_t *memory = world_host(world);

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];
		uint64_t offset =
			(uint64_t)((const uint8_t *)iov->iov_base - memory);

		if (offset > ALLOWED_BYTES ||
		    iov->iov_len > ALLOWED_BYTES - offset)
			return false;
	}
	return request->offset_bytes <= DISK_BYTES &&
	       request->bytes <= DISK_BYTES - request->offset_bytes;
}

static void move_data(struct world *world, const struct blk_request *request)
{
	uint8_t *at = world->storage + request->offset_bytes;

	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		if (request->op == BLK_READ)
			memcpy(iov->iov_base, at, iov->iov_len);
		else
			memcpy(at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
}

static enum driver_answer submit(struct driver_context *context,
				 struct blk_request *request)
{
	struct world *world = container_of(context, struct world, context);

	world->nr_requests++;
	request->result = 0;
	if (!is_allowed(world, request)) {
		world->nr_outside++;
		return DRIVER_COMPLETED;
	}
	if (request->op == BLK_READ || request->op == BLK_WRITE)
		move_data(world, request);
	else if (request->op != BLK_FLUSH)
		memset(world->storage + request->offset_bytes, 0,
		       request->bytes);
	return DRIVER_COMPLETED;
}

static void init_disk(struct world *world)
{
	const struct virtio_blk_options options = {
		.name = "disk",
		.nr_queues = 1,
		.queue_size = WORLD_RING_SIZE,
	};

	world->ops.submit = submit;
	world->driver.ops = &world->ops;
	world->driver.info = (struct driver_info){
		.size_bytes = DISK_BYTES,
		.logical_block_bytes = 512,
		.physical_block_bytes = 512,
		.can_discard = true,
		.can_write_zeroes = true,
	};
	world->context.driver = &world->driver;
	world->storage =
		mmap(NULL, DISK_BYTES + 2 * MARGIN_BYTES,
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world->storage, MAP_FAILED);
	memset(world->storage, WORLD_PATTERN, DISK_BYTES + 2 * MARGIN_BYTES);
	world->storage += MARGIN_BYTES;
	assert_int_equal(
		virtio_blk_create(&options, &world->driver, &world->blk), 0);
	virtio_blk_features_set(world->blk, virtio_blk_features(world->blk));
}

static void init_inflight(struct world *world)
{
	uint64_t bytes = rh_inflight_bytes(1, WORLD_RING_SIZE);
	int fd = rh_memfd_create("inflight", bytes);

	assert_true(fd >= 0);
	assert_int_equal(
		rh_range_map(fd, 0, bytes, NULL, &world->inflight.range), 0);
	rh_fd_close(&fd);
	world->inflight.nr_queues = 1;
	world->inflight.queue_size = WORLD_RING_SIZE;
	world->memory.ring.queue.inflight = &world->inflight;
}

/* The system call fails where a read by this process would be its end. */
static void assert_guarded(const uint8_t *start, size_t bytes)
{
	int fd = rh_memfd_create("", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, start - 1, 1), -1);
	assert_int_equal(write(fd, start, 1), 1);
	assert_int_equal(write(fd, start + bytes - 1, 1), 1);
	assert_int_equal(write(fd, start + bytes, 1), -1);
	rh_fd_close(&fd);
}

void world_init(struct world *world, bool is_packed)
{
	struct ring_memory *ring = &world->memory.ring;

	memset(world, 0, sizeof(*world));
	world->is_packed = is_packed;
	world->features = RING_EVENT_IDX | (is_packed ? RING_PACKED : 0);
	if (is_packed)
		packed_memory_init(&world->memory, WORLD_RING_SIZE);
	else
		ring_init(ring, WORLD_RING_SIZE);
	ring->queue.keep_bad_chains = true;
	world->data = RING_GUEST_BASE + WORLD_CONTROL_BYTES;
	memset(world_guest(world) + WORLD_CONTROL_BYTES, WORLD_PATTERN,
	       WORLD_DATA_BYTES + MARGIN_BYTES);
	init_disk(world);
	init_inflight(world);
	assert_guarded(world_host(world), RING_MEMORY_BYTES);
	assert_guarded(world->storage - MARGIN_BYTES,
		       DISK_BYTES + 2 * MARGIN_BYTES);
	assert_guarded(world->inflight.range.address, PAGE_BYTES);
}

void world_deinit(struct world *world)
{
	if (world->queue)
		world_stop(world);
	assert_true(world_is_intact(world));
	assert_int_equal(world->nr_outside, 0);
	ring_deinit(&world->memory.ring);
	rh_inflight_drop(&world->inflight);
	virtio_blk_destroy(world->blk);
	munmap(world->storage - MARGIN_BYTES, DISK_BYTES + 2 * MARGIN_BYTES);
}

static void note_progress(void *opaque)
{
	(void)opaque;
}

bool world_start(struct world *world)
{
	struct ring_memory *ring = &world->memory.ring;
	const struct blk_queue_host host = {
		.context = &world->context,
		.clock = &world->clock,
		.progress = note_progress,
	};

	if (rh_queue_start(&ring->queue, ring->map, world->features))
		return false;
	ring->queue.state = RH_QUEUE_RUNNING;
	assert_int_equal(blk_queue_create(world->blk, &ring->queue, &host,
					  &world->queue),
			 0);
	return true;
}

void world_stop(struct world *world)
{
	assert_int_equal(blk_queue_under_way(world->queue), 0);
	blk_queue_destroy(world->queue);
	world->queue = NULL;
	ring_stop(&world->memory.ring);
}

bool world_turn(struct world *world)
{
	unsigned int budget = WORLD_RING_SIZE;

	rh_queue_suppress_kicks(&world->memory.ring.queue);
	blk_queue_take(world->queue, &budget);
	blk_queue_flush(world->queue);
	rh_queue_expect_kicks(&world->memory.ring.queue);
	return !rh_queue_broken(&world->memory.ring.queue);
}

static bool is_pattern(const uint8_t *bytes, size_t nr)
{
	return bytes[0] == WORLD_PATTERN && !memcmp(bytes, bytes + 1, nr - 1);
}

bool world_is_intact(const struct world *world)
{
	return is_pattern(world_guest(world) + ALLOWED_BYTES, MARGIN_BYTES) &&
	       is_pattern(world->storage - MARGIN_BYTES, MARGIN_BYTES) &&
	       is_pattern(world->storage + DISK_BYTES, MARGIN_BYTES);
}

uint8_t *world_host(const struct world *world)
{
	return ring_host(&world->memory.ring, RING_GUEST_BASE);
}

uint8_t *world_guest(const struct world *world)
{
	return world->memory.ring.bytes;
}

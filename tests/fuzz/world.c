/* SPDX-License-Identifier: MIT */
/* world - a guest with a disk on one virtqueue, driven by an input */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/fuzz/world.h"

#define MAX_STEPS 256

static void create(struct fuzz_world *world)
{
	int wake_fd = rh_eventfd_create();

	FUZZ_CHECK(wake_fd >= 0);
	fuzz_keep_quiet();
	guest_create(&world->guest);
	disk_create(&world->disk, &world->guest);
	rh_queue_init(&world->queue, "fuzz", 0, wake_fd, true);
	world->queue.log = &world->guest.log;
}

static void set_up_queue(struct fuzz_world *world)
{
	struct rh_queue *queue = &world->queue;

	queue->size = world->size;
	queue->has_addr = true;
	queue->has_kick = true;
	queue->enabled = true;
	queue->desc_addr.value = WORLD_DESC + GUEST_TO_FRONTEND;
	queue->avail_addr.value = WORLD_DRIVER + GUEST_TO_FRONTEND;
	queue->used_addr.value = WORLD_DEVICE + GUEST_TO_FRONTEND;
	queue->log_used = world->guest.logs;
	queue->log_addr.value = WORLD_DEVICE;
	queue->inflight = world->inflight;
	FUZZ_CHECK(rh_queue_ready(queue));
}

static uint64_t feature_if(bool on, unsigned int bit)
{
	return on ? FEATURE_BIT(bit) : 0;
}

void world_begin(struct fuzz_world *world, const struct world_layout *layout,
		 const uint8_t *data, size_t size)
{
	struct disk_setup setup;
	uint8_t negotiated;
	uint8_t kind;

	if (!world->layout)
		create(world);
	fuzz_note_fds();
	world->layout = layout;
	world->in = (struct fuzz_input){ data, data + size };
	world->nr_requests = 0;
	negotiated = fuzz_u8(&world->in);
	kind = fuzz_u8(&world->in);
	world->size = layout->size(fuzz_u8(&world->in));
	world->features = layout->features |
			  feature_if(negotiated & 1, VIRTIO_F_RING_EVENT_IDX) |
			  feature_if(negotiated & 2, VIRTIO_F_IN_ORDER) |
			  feature_if(negotiated & 4, VIRTIO_F_NOTIFY_ON_EMPTY) |
			  feature_if(negotiated & 8, VHOST_F_LOG_ALL);
	guest_cut_log(&world->guest, negotiated & 16);
	setup = (struct disk_setup){
		.read_only = kind & 1,
		.cannot_discard = kind & 2,
		.cannot_write_zeroes = kind & 4,
		.large_blocks = kind & 8,
		.impossible = kind / 16,
		.in_order = negotiated & 2,
		.ring_bytes = WORLD_HEADERS - GUEST_BASE,
	};
	guest_reset(&world->guest, negotiated & 8);
	disk_begin(&world->disk, &world->queue, &world->in, &setup);
	world->is_running = false;
	world->is_used = false;
	world->is_kept = false;
	world->is_honest = true;
	world->next_desc = 0;
}

/* What the device does between these two is watched. */
static void watch(struct fuzz_world *world)
{
	disk_narrow(&world->disk);
	world->layout->open(world);
}

static void check(struct fuzz_world *world)
{
	guest_check(&world->guest);
}

/* Where the used place is, a record says, whatever the driver does. */
static void follow_record(struct fuzz_world *world)
{
	const struct rh_ring *ring = &world->queue.ring;

	if (!world->inflight || !ring->is_packed)
		return;
	world->next_used = ring->packed.next_used.index;
	world->used_wrap = ring->packed.next_used.wrap;
}

void world_start(struct fuzz_world *world)
{
	int error;

	world->queue.hold = RH_HOLD_NONE;
	set_up_queue(world);
	world->queue.base = world->layout->start(world);
	world->queue.has_base = true;
	watch(world);
	error = rh_queue_start(&world->queue, world->guest.map,
			       world->features);
	check(world);
	world->is_running = !error;
	world->is_kept = false;
	if (error) {
		FUZZ_CHECK(error == -EPROTO && world->inflight);
		rh_queue_finish(&world->queue);
		return;
	}
	world->queue.state = RH_QUEUE_RUNNING;
	follow_record(world);
	disk_start(&world->disk);
}

bool world_ring_is_ours(const struct fuzz_world *world)
{
	return !world->disk.was_written && !world->disk.is_overlaid;
}

static void flush(struct fuzz_world *world)
{
	struct fuzz_disk *disk = &world->disk;

	blk_queue_flush(disk->blk_queue);
	world->layout->check_used(world, disk->used, disk->nr_used);
	disk->nr_used = 0;
	disk->was_written = false;
}

void world_stop(struct fuzz_world *world)
{
	if (!world->is_running)
		return;
	watch(world);
	disk_drain(&world->disk);
	flush(world);
	disk_stop(&world->disk);
	rh_queue_stopped(&world->queue);
	FUZZ_CHECK(atomic_load(&world->queue.given_back));
	rh_queue_finish(&world->queue);
	check(world);
	world->is_running = false;
}

void world_end(struct fuzz_world *world)
{
	world_stop(world);
	rh_queue_reset(&world->queue);
	disk_end(&world->disk);
	fuzz_check_fds();
}

static void turn(struct fuzz_world *world)
{
	unsigned int budget = 1 + fuzz_u8(&world->in) % 64;
	bool more = blk_queue_take(world->disk.blk_queue, &budget);

	FUZZ_CHECK(!more || (!budget && rh_queue_pending(&world->queue)));
	flush(world);
}

static void complete(struct fuzz_world *world)
{
	uint8_t which = fuzz_u8(&world->in);

	disk_complete(&world->disk, which / 4, which % 4 == 3 ? -EIO : 0);
	if (which & 1)
		flush(world);
}

static void change_kicks(struct fuzz_world *world)
{
	switch (fuzz_u8(&world->in) % 4) {
	case 0:
		rh_queue_suppress_kicks(&world->queue);
		break;
	case 1:
		rh_queue_expect_kicks(&world->queue);
		break;
	case 2:
		blk_queue_retry(world->disk.blk_queue);
		break;
	case 3:
		rh_queue_fail(&world->queue, "the fuzzer says so");
		break;
	}
}

/* The device's; nothing happens while its queue cannot be started. */
static void step_device(struct fuzz_world *world, uint8_t what)
{
	if (!world->is_running)
		return;
	watch(world);
	switch (what) {
	case 0:
		turn(world);
		break;
	case 1:
		complete(world);
		break;
	case 2:
		change_kicks(world);
		break;
	case 3:
		disk_change(&world->disk);
		break;
	}
	check(world);
}

static void plan(struct fuzz_world *world)
{
	world->disk.script = fuzz_u16(&world->in);
	world->disk.nr_writes = fuzz_u8(&world->in) % 4;
	if (world->disk.nr_writes) /* anywhere, and not only under a request */
		world->is_honest = false;
}

static void restart(struct fuzz_world *world)
{
	world_stop(world);
	world_start(world);
}

void world_step(struct fuzz_world *world)
{
	uint8_t what = fuzz_u8(&world->in) % 16;

	/* What was given and not shown yet may be written over. */
	if (what >= 4 && world->disk.nr_used)
		world->disk.was_written = true;
	switch (what) {
	case 0:
	case 1:
	case 2:
	case 3:
		step_device(world, what);
		break;
	case 4:
		world->is_honest = false;
		guest_scribble(&world->guest, &world->in);
		break;
	case 5:
	case 6:
		world->is_honest = false;
		world->layout->spoil(world);
		break;
	case 7:
		restart(world);
		break;
	case 8:
		plan(world);
		break;
	default:
		world_request(world);
	}
}

void world_run(struct fuzz_world *world, const struct world_layout *layout,
	       const uint8_t *data, size_t size)
{
	world_begin(world, layout, data, size);
	world_start(world);
	for (int i = 0; i < MAX_STEPS && fuzz_more(&world->in); i++)
		world_step(world);
	world_end(world);
}

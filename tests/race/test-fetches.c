/* SPDX-License-Identifier: MIT */
/*
 * fetches - what a guest has written is read once
 *
 * Catalogue G-08: a guest that changes a field between two reads of it.
 * Here it always does: each byte of the rings, indirect tables, headers and
 * segments that was read is another one at once. The request has to come out
 * as it was first written, and the counts say why.
 *
 * Words that a driver and a device pass each other are looked at again and
 * again, which is what they are for: the index and the flags of an available
 * ring, the flags of a packed ring's next descriptor, event words. They are
 * left as they are, except where a test says so.
 */
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/race/watch.h"
#include "tests/race/world.h"

#define CONTROL_BYTES  2048 /* of a request: header, segments, status */
#define DATA_BYTES     8192
#define SECTOR	       100
#define NO_STATUS      0xee
#define MAX_BUFFERS    12
#define SEGMENT_BYTES  16
#define FOREIGN_REGION (RING_GUEST_BASE + RING_MEMORY_BYTES)

enum how {
	DIRECT,
	INDIRECT,
	INDIRECT_CUT
};

struct scene {
	struct world world;
	struct watch watch;
	uint8_t *host;		/* the library's mapping, which is watched */
	uint8_t *foreign_guest; /* the second region, in two mappings */
	uint8_t *foreign_host;
	bool polled[WORLD_CONTROL_BYTES];
	uint64_t header;
	uint64_t segments;
	uint64_t status;
	unsigned int nr_buffers;
	struct ring_buffer buffers[MAX_BUFFERS];
};

static void spoil(struct watch *watch, const uint8_t *start, unsigned int bytes)
{
	struct scene *scene = watch->opaque;
	uint8_t *guest = world_guest(&scene->world);

	for (unsigned int i = 0; i < bytes; i++) {
		size_t offset = (size_t)(start + i - scene->host);

		if (offset >= WORLD_CONTROL_BYTES) {
			offset = (size_t)(start + i - scene->foreign_host);
			if (offset < 4096)
				scene->foreign_guest[offset] ^= 0xff;
		} else if (!scene->polled[offset]) {
			guest[offset] ^= 0xff;
		}
	}
}

/* field: as the guest sees it */
static void poll_field(struct scene *scene, const void *field, size_t bytes)
{
	const uint8_t *guest = world_guest(&scene->world);

	memset(&scene->polled[(const uint8_t *)field - guest], true, bytes);
}

/* Whether the next descriptor of a packed ring is available */
static void poll_next(struct scene *scene)
{
	struct packed_side *driver = &scene->world.memory.driver;

	poll_field(scene, &driver->desc[driver->avail.index].flags, 2);
}

static void poll_words(struct scene *scene)
{
	struct ring_memory *ring = &scene->world.memory.ring;

	if (scene->world.is_packed) {
		poll_field(scene, scene->world.memory.driver.driver_event, 4);
		return;
	}
	poll_field(scene, ring->avail, 4);
	poll_field(scene, ring_used_event(ring), 2);
}

static struct scene *scene_create(bool is_packed)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct ring_memory *ring = &scene->world.memory.ring;

	assert_non_null(scene);
	world_init(&scene->world, is_packed);
	scene->header = ring_alloc(ring, CONTROL_BYTES, 64);
	scene->segments = scene->header + 64;
	scene->status = scene->header + CONTROL_BYTES - 64;
	scene->foreign_guest = ring_add_region(ring, FOREIGN_REGION, 4096);
	scene->host = world_host(&scene->world);
	scene->foreign_host = ring_host(ring, FOREIGN_REGION);
	scene->watch.was_read = spoil;
	scene->watch.opaque = scene;
	watch_add(&scene->watch, scene->host, WORLD_CONTROL_BYTES);
	watch_add(&scene->watch, scene->foreign_host, 4096);
	*(uint8_t *)ring_at(ring, scene->status) = NO_STATUS;
	return scene;
}

static void scene_destroy(struct scene *scene)
{
	watch_deinit(&scene->watch);
	world_deinit(&scene->world);
	free(scene);
}

static void set_header(struct scene *scene, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {
		.type = htole32(type),
		.sector = htole64(sector),
	};

	memcpy(ring_at(&scene->world.memory.ring, scene->header), &header,
	       sizeof(header));
}

static void set_segment(struct scene *scene, unsigned int i, uint64_t sector)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(sector),
		.num_sectors = htole32(1),
	};

	memcpy(ring_at(&scene->world.memory.ring,
		       scene->segments + i * SEGMENT_BYTES),
	       &segment, sizeof(segment));
}

static void add_buffer(struct scene *scene, uint64_t addr, uint32_t len,
		       bool writable)
{
	assert_true(scene->nr_buffers < MAX_BUFFERS);
	scene->buffers[scene->nr_buffers++] =
		(struct ring_buffer){ addr, len, writable };
}

static uint64_t fill_packed_table(struct scene *scene, void *table)
{
	struct pvirtq_desc *desc = table;

	for (unsigned int i = 0; i < scene->nr_buffers; i++)
		desc[i] = packed_buffer(scene->buffers[i]);
	return scene->nr_buffers * sizeof(*desc);
}

/* The table's first half in one region, the other one in the next */
static void add_cut_table(struct scene *scene)
{
	struct ring_memory *ring = &scene->world.memory.ring;
	uint32_t bytes = scene->nr_buffers * 16;
	uint32_t lead = bytes / 2 + 8;
	uint64_t addr = FOREIGN_REGION - lead;
	struct pvirtq_desc desc =
		packed_side_desc(addr, bytes, 0, VIRTQ_DESC_F_INDIRECT);
	struct virtq_desc table[MAX_BUFFERS];

	if (scene->world.is_packed)
		fill_packed_table(scene, table);
	else
		ring_fill(table, 0, scene->buffers, scene->nr_buffers);
	memcpy(ring->bytes + RING_MEMORY_BYTES - lead, table, lead);
	memcpy(scene->foreign_guest, (uint8_t *)table + lead, bytes - lead);
	if (scene->world.is_packed) {
		packed_side_add(&scene->world.memory.driver, 3, &desc, 1);
		return;
	}
	ring->desc[3] = ring_desc(addr, bytes, VIRTQ_DESC_F_INDIRECT, 0);
	ring_make_available(ring, 3);
}

static void add_chain(struct scene *scene, enum how how)
{
	struct packed_memory *memory = &scene->world.memory;
	const struct ring_buffer *buffers = scene->buffers;
	unsigned int nr = scene->nr_buffers;

	if (how == INDIRECT_CUT)
		add_cut_table(scene);
	else if (scene->world.is_packed && how == INDIRECT)
		packed_memory_add_indirect(memory, 3, buffers, nr);
	else if (scene->world.is_packed)
		packed_memory_add(memory, 3, buffers, nr);
	else if (how == INDIRECT)
		ring_add_indirect(&memory->ring, 3, buffers, nr);
	else
		ring_add(&memory->ring, 3, buffers, nr);
}

static void assert_read_once(const struct scene *scene)
{
	for (size_t i = 0; i < WORLD_CONTROL_BYTES; i++) {
		unsigned int nr = watch_reads(&scene->watch, scene->host + i);

		if (nr > 1 && !scene->polled[i])
			fail_msg("byte %zu of memory was read %u times", i, nr);
	}
	for (size_t i = 0; i < 4096; i++)
		assert_in_range(watch_reads(&scene->watch,
					    scene->foreign_host + i),
				0, 1);
}

/* Of what holds a request nothing may have been left out. */
static void assert_was_read(const struct scene *scene, uint64_t addr,
			    size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(
			watch_reads(&scene->watch,
				    scene->host + addr - RING_GUEST_BASE + i),
			1);
}

static void assert_answered(const struct scene *scene, uint8_t status)
{
	const uint8_t *host = scene->host + (scene->status - RING_GUEST_BASE);

	assert_int_equal(*(uint8_t *)ring_at(&scene->world.memory.ring,
					     scene->status),
			 status);
	assert_int_equal(watch_reads(&scene->watch, host), 0);
	assert_int_equal(watch_writes(&scene->watch, host), 1);
}

/* Of the buffers that were added, from the ring to the status. */
static void run(struct scene *scene, enum how how)
{
	bool goes_on;

	poll_words(scene);
	if (scene->world.is_packed)
		poll_next(scene);
	add_chain(scene, how);
	if (scene->world.is_packed)
		poll_next(scene);
	assert_true(world_start(&scene->world));
	watch_begin(&scene->watch);
	goes_on = world_turn(&scene->world);
	watch_end(&scene->watch);
	assert_true(goes_on);
	assert_read_once(scene);
	assert_answered(scene, VIRTIO_BLK_S_OK);
	world_stop(&scene->world);
}

static void run_transfer(bool is_packed, enum how how, uint32_t type)
{
	struct scene *scene = scene_create(is_packed);
	bool reads = type == VIRTIO_BLK_T_IN;
	uint8_t *guest = ring_at(&scene->world.memory.ring, scene->world.data);
	uint8_t *disk = scene->world.storage + SECTOR * 512;

	memset(reads ? disk : guest, 0x77, DATA_BYTES);
	set_header(scene, type, SECTOR);
	add_buffer(scene, scene->header, 16, false);
	add_buffer(scene, scene->world.data, DATA_BYTES / 2, reads);
	add_buffer(scene, scene->world.data + DATA_BYTES / 2, DATA_BYTES / 2,
		   reads);
	add_buffer(scene, scene->status, 1, true);
	run(scene, how);
	assert_was_read(scene, scene->header, 16);
	assert_int_equal(scene->world.nr_requests, 1);
	assert_memory_equal(guest, disk, DATA_BYTES);
	assert_int_equal(guest[DATA_BYTES - 1], 0x77);
	scene_destroy(scene);
}

static void run_transfers(bool is_packed)
{
	for (enum how how = DIRECT; how <= INDIRECT_CUT; how++) {
		run_transfer(is_packed, how, VIRTIO_BLK_T_IN);
		run_transfer(is_packed, how, VIRTIO_BLK_T_OUT);
	}
}

/* G-08 */
static void a_chain_of_a_split_ring_is_read_once(void **state)
{
	(void)state;
	run_transfers(false);
}

/* G-08 */
static void a_chain_of_a_packed_ring_is_read_once(void **state)
{
	(void)state;
	run_transfers(true);
}

/* The last buffer but the data's, too */
static void run_cut_header(bool is_packed, uint32_t piece_bytes)
{
	struct scene *scene = scene_create(is_packed);

	set_header(scene, VIRTIO_BLK_T_IN, SECTOR);
	for (uint32_t at = 0; at < 16; at += MIN(piece_bytes, 16 - at))
		add_buffer(scene, scene->header + at, MIN(piece_bytes, 16 - at),
			   false);
	add_buffer(scene, scene->world.data, 4096, true);
	add_buffer(scene, scene->status, 1, true);
	run(scene, INDIRECT);
	assert_was_read(scene, scene->header, 16);
	assert_int_equal(scene->world.nr_requests, 1);
	scene_destroy(scene);
}

/* G-08 */
static void a_header_in_pieces_is_read_once(void **state)
{
	(void)state;
	for (uint32_t piece_bytes = 2; piece_bytes <= 16; piece_bytes++) {
		run_cut_header(false, piece_bytes);
		run_cut_header(true, piece_bytes);
	}
}

static void run_segments(bool is_packed, uint32_t type, uint32_t piece_bytes)
{
	const unsigned int nr = 3;
	struct scene *scene = scene_create(is_packed);

	for (unsigned int i = 0; i < nr; i++)
		set_segment(scene, i, SECTOR + i * 2);
	set_header(scene, type, 0);
	add_buffer(scene, scene->header, 16, false);
	for (uint32_t at = 0; at < nr * SEGMENT_BYTES; at += piece_bytes)
		add_buffer(scene, scene->segments + at,
			   MIN(piece_bytes, nr * SEGMENT_BYTES - at), false);
	add_buffer(scene, scene->status, 1, true);
	run(scene, INDIRECT);
	assert_was_read(scene, scene->segments, nr * SEGMENT_BYTES);
	assert_int_equal(scene->world.nr_requests, nr);
	for (unsigned int i = 0; i < 2 * nr; i++)
		assert_int_equal(scene->world.storage[(SECTOR + i) * 512],
				 i % 2 ? WORLD_PATTERN : 0);
	scene_destroy(scene);
}

/* G-08 */
static void segments_are_read_once(void **state)
{
	static const uint32_t pieces[] = { 48, 16, 8, 13 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		run_segments(false, VIRTIO_BLK_T_DISCARD, pieces[i]);
		run_segments(true, VIRTIO_BLK_T_DISCARD, pieces[i]);
		run_segments(false, VIRTIO_BLK_T_WRITE_ZEROES, pieces[i]);
		run_segments(true, VIRTIO_BLK_T_WRITE_ZEROES, pieces[i]);
	}
}

static void add_read(struct scene *scene)
{
	scene->nr_buffers = 0;
	set_header(scene, VIRTIO_BLK_T_IN, SECTOR);
	add_buffer(scene, scene->header, 16, false);
	add_buffer(scene, scene->world.data, 4096, true);
	add_buffer(scene, scene->status, 1, true);
	add_chain(scene, DIRECT);
}

static void run_used(bool is_packed)
{
	struct scene *scene = scene_create(is_packed);
	struct ring_memory *ring = &scene->world.memory.ring;
	const void *used =
		is_packed ? (void *)scene->world.memory.driver.device_event :
			    (void *)ring->used;
	size_t bytes = is_packed ? 4 : rh_split_used_bytes(WORLD_RING_SIZE);
	const uint8_t *host =
		scene->host + ((const uint8_t *)used - ring->bytes);
	unsigned int nr_writes = 0;

	scene->watch.was_read = NULL;
	assert_true(world_start(&scene->world));
	watch_begin(&scene->watch);
	for (unsigned int i = 0; i < 2 * WORLD_RING_SIZE; i++) {
		add_read(scene);
		world_turn(&scene->world);
	}
	watch_end(&scene->watch);
	for (size_t i = 0; i < bytes; i++) {
		assert_int_equal(watch_reads(&scene->watch, host + i), 0);
		nr_writes += watch_writes(&scene->watch, host + i);
	}
	assert_true(nr_writes > 0);
	assert_int_equal(scene->world.nr_requests, 2 * WORLD_RING_SIZE);
	scene_destroy(scene);
}

/* Catalogue 2b: "own copies are used, the guest only hurts itself" */
static void what_the_device_has_written_is_not_read_back(void **state)
{
	(void)state;
	run_used(false);
	run_used(true);
}

static void run_record(bool is_packed)
{
	struct scene *scene = scene_create(is_packed);
	uint8_t *region = scene->world.inflight.range.address;
	struct watch watch = { 0 };
	unsigned int nr_writes = 0;

	watch_add(&watch, region, 4096);
	assert_true(world_start(&scene->world));
	watch_begin(&watch);
	for (unsigned int i = 0; i < 2 * WORLD_RING_SIZE; i++) {
		add_read(scene);
		world_turn(&scene->world);
	}
	watch_end(&watch);
	for (size_t i = 0; i < watch.ranges[0].bytes; i++) {
		assert_int_equal(watch_reads(&watch, region + i), 0);
		nr_writes += watch_writes(&watch, region + i);
	}
	assert_true(nr_writes > 0);
	watch_deinit(&watch);
	scene_destroy(scene);
}

/* Catalogue 2a: "own state is not taken from it while running" */
static void a_running_queue_does_not_read_its_record(void **state)
{
	(void)state;
	run_record(false);
	run_record(true);
}

/*
 * They are looked at, and then copied with the rest of the descriptor: it is
 * the copy that counts. Here it says that the descriptor is not available.
 */
static void a_head_whose_flags_change_is_refused(void **state)
{
	struct scene *scene = scene_create(true);

	(void)state;
	add_read(scene);
	poll_words(scene);
	assert_true(world_start(&scene->world));
	watch_begin(&scene->watch);
	assert_false(world_turn(&scene->world));
	watch_end(&scene->watch);
	assert_int_equal(scene->world.nr_requests, 0);
	assert_int_equal(*(uint8_t *)ring_at(&scene->world.memory.ring,
					     scene->status),
			 NO_STATUS);
	scene_destroy(scene);
}

/* What all of the above rests on. */
static void a_second_read_is_seen_and_finds_another_value(void **state)
{
	struct scene *scene = scene_create(false);
	const volatile uint32_t *type =
		(void *)(scene->host + (scene->header - RING_GUEST_BASE));
	uint32_t first;
	uint32_t second;

	(void)state;
	set_header(scene, VIRTIO_BLK_T_IN, SECTOR);
	watch_begin(&scene->watch);
	first = *type;
	second = *type;
	watch_end(&scene->watch);
	assert_int_equal(first, htole32(VIRTIO_BLK_T_IN));
	assert_int_equal(second, ~first);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(watch_reads(&scene->watch,
					     (const uint8_t *)type + i),
				 2);
	assert_int_equal(watch_reads(&scene->watch, (const void *)(type + 1)),
			 0);
	scene_destroy(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_of_a_split_ring_is_read_once),
		cmocka_unit_test(a_chain_of_a_packed_ring_is_read_once),
		cmocka_unit_test(a_header_in_pieces_is_read_once),
		cmocka_unit_test(segments_are_read_once),
		cmocka_unit_test(what_the_device_has_written_is_not_read_back),
		cmocka_unit_test(a_running_queue_does_not_read_its_record),
		cmocka_unit_test(a_head_whose_flags_change_is_refused),
		cmocka_unit_test(a_second_read_is_seen_and_finds_another_value),
	};

	return cmocka_run_group_tests_name("fetches", tests, NULL, NULL);
}

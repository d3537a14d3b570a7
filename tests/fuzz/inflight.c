/* SPDX-License-Identifier: MIT */
/*
 * inflight - fuzzes the record of requests under way, in both layouts
 *
 * Untrusted here: the whole region, before a start, where it is read, and
 * under a running queue, where it is not. A death of the back-end is played by
 * taking back all that it did in its last moments: memory is set to what it
 * was. If neither the driver nor anybody at the region has lied, the next
 * back-end begins with exactly the requests that the guest does not have back.
 */
#include <string.h>
#include <sys/mman.h>

#include "common/base.h"
#include "common/fd.h"
#include "lib/inflight_region.h"
#include "tests/fuzz/layouts.h"
#include "tests/fuzz/poison.h"

#define MAX_STEPS    256
#define FILE_BYTES   8192
#define MOST_ENTRIES 64

static struct fuzz_world world;
static struct rh_inflight inflight;
static uint8_t *region; /* of whoever else has the file */
static uint8_t canaries[FILE_BYTES];
static bool is_sound; /* the region holds what we wrote */

static void create(void)
{
	int fd = rh_memfd_create("inflight", FILE_BYTES);

	FUZZ_CHECK(fd >= 0);
	region = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	FUZZ_CHECK(region != MAP_FAILED);
	FUZZ_CHECK(!rh_range_map(fd, 0, FILE_BYTES, NULL, &inflight.range));
	inflight.nr_queues = 1;
	memset(canaries, 0xc5, FILE_BYTES);
	rh_fd_close(&fd);
}

/* As large as a part of so many entries, and nothing behind it */
static void set_size(uint16_t nr_entries, bool is_packed)
{
	uint8_t *address = inflight.range.address;
	uint64_t bytes = rh_inflight_part_bytes(is_packed, nr_entries);

	unpoison(address, FILE_BYTES);
	memset(address, 0, bytes);
	memset(address + bytes, 0xc5, FILE_BYTES - bytes);
	poison(address + bytes, FILE_BYTES - bytes);
	inflight.queue_size = nr_entries;
	inflight.range.bytes = bytes;
}

static void check_canaries(void)
{
	FUZZ_CHECK(!fuzz_differs(region + inflight.range.bytes, canaries,
				 FILE_BYTES - inflight.range.bytes));
}

static void put(size_t offset, const void *data, size_t bytes)
{
	if (offset + bytes <= inflight.range.bytes)
		memcpy(region + offset, data, bytes);
}

/* Entry i, with marks that may be right */
static void put_entry(struct fuzz_input *in, bool is_packed, unsigned int i)
{
	const struct rh_desc_split split = {
		.inflight = fuzz_u8(in) % 4,
		.next = fuzz_u8(in),
		.counter = fuzz_u8(in),
	};
	struct rh_desc_packed packed = {
		.inflight = split.inflight,
		.next = split.next,
		.counter = split.counter,
	};

	if (!is_packed) {
		put(sizeof(struct rh_region_split) + i * sizeof(split), &split,
		    sizeof(split));
		return;
	}
	packed.last = fuzz_u8(in);
	packed.num = fuzz_u8(in);
	packed.id = fuzz_u8(in);
	packed.flags = fuzz_u8(in) & 7;
	packed.len = fuzz_u16(in);
	packed.addr = WORLD_HEADERS + fuzz_u8(in) * 8u;
	put(sizeof(struct rh_region_packed) + i * sizeof(packed), &packed,
	    sizeof(packed));
}

/* A region that somebody has used, or says so */
static void write_region(struct fuzz_input *in, bool is_packed)
{
	uint8_t how = fuzz_u8(in);
	const struct rh_region_head head = {
		.features = how & 1 ? fuzz_u8(in) : 0,
		.version = how & 2 ? fuzz_u8(in) : 1,
		.desc_num = how & 4 ? fuzz_u8(in) : inflight.queue_size,
	};
	uint8_t rest[12];
	unsigned int nr = how / 8;

	is_sound = false;
	put(0, &head, 12);
	fuzz_bytes(in, rest, sizeof(rest));
	put(12, rest, sizeof(rest));
	for (unsigned int i = 0; i < nr; i++)
		put_entry(in, is_packed, i);
}

/* A free list from the first entry to the last, and chains taken from it */
static void link_entries(struct fuzz_input *in)
{
	unsigned int nr_free = fuzz_u8(in) % (inflight.queue_size + 1u);

	for (uint16_t i = 0; i < inflight.queue_size; i++) {
		uint16_t next = i + 1;
		size_t entry = sizeof(struct rh_region_packed) +
			       i * sizeof(struct rh_desc_packed);
		const struct rh_desc_packed taken = {
			.inflight = 1,
			.num = 1,
			.last = i,
			.next = next,
			.id = i,
			.counter = fuzz_u8(in),
			.addr = WORLD_DATA,
			.len = 512,
			.flags = VIRTQ_DESC_F_WRITE,
		};

		if (i < nr_free)
			put(entry + offsetof(struct rh_desc_packed, next),
			    &next, sizeof(next));
		else
			put(entry, &taken, sizeof(taken));
	}
}

static void scribble(struct fuzz_input *in)
{
	uint8_t bytes[8];
	size_t offset = fuzz_u16(in);
	size_t nr = 1 + fuzz_u8(in) % sizeof(bytes);

	is_sound = false;
	fuzz_bytes(in, bytes, nr);
	put(offset, bytes, nr);
}

/* What is to be found at the next start, if all were honest */
struct legacy {
	uint8_t memory[GUEST_FILE_BYTES];
	uint8_t region[FILE_BYTES];
	uint16_t next_used;
	bool used_wrap;
	unsigned int nr;
	uint16_t heads[DISK_MAX_HEADS];
};

static void die(void)
{
	static struct legacy left;
	bool is_whole = !rh_queue_broken(&world.queue) && is_sound &&
			world.is_honest && world_ring_is_ours(&world);

	if (!world.is_running)
		return;
	memcpy(left.memory, world.guest.view, sizeof(left.memory));
	memcpy(left.region, region, sizeof(left.region));
	left.next_used = world.next_used;
	left.used_wrap = world.used_wrap;
	if (is_whole)
		left.nr = disk_list_taken(&world.disk, left.heads);
	world_stop(&world);
	guest_restore(&world.guest, left.memory);
	memcpy(region, left.region, inflight.range.bytes);
	world.next_used = left.next_used;
	world.used_wrap = left.used_wrap;
	world.is_kept = true;
	world_start(&world);
	if (!is_whole) {
		world.is_honest = false; /* nobody knows what is owed now */
		return;
	}
	FUZZ_CHECK(world.is_running);
	FUZZ_CHECK(rh_queue_owes(&world.queue) == (left.nr > 0));
	disk_expect(&world.disk, left.heads, left.nr);
}

/* What waits for the driver stays recorded. */
static void stop_without_draining(void)
{
	if (!world.is_running)
		return;
	atomic_store(&world.queue.may_abandon, true);
	blk_queue_abandon(world.disk.blk_queue);
	world.is_honest = false;
	world_stop(&world);
	world_start(&world);
}

static void step(bool is_packed)
{
	switch (fuzz_u8(&world.in) % 8) {
	case 0:
		die();
		break;
	case 1:
		stop_without_draining();
		break;
	case 2:
		scribble(&world.in);
		break;
	case 3: /* by its owner, while the queue is stopped */
		world_stop(&world);
		write_region(&world.in, is_packed);
		world_start(&world);
		break;
	default:
		world_step(&world);
	}
	check_canaries();
}

static void begin(const uint8_t *data, size_t size)
{
	uint8_t choice = size ? data[0] : 0;
	bool is_packed = choice & 1;

	world.inflight = &inflight;
	world_begin(&world, is_packed ? &layout_packed : &layout_split,
		    size ? data + 1 : data, size ? size - 1 : 0);
	set_size(choice & 2 ? world.size : MOST_ENTRIES, is_packed);
	is_sound = true;
	if (choice & 4)
		write_region(&world.in, is_packed);
	if (choice & 8 && is_packed) {
		is_sound = false;
		link_entries(&world.in);
	}
	world_start(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!region)
		create();
	begin(data, size);
	for (int i = 0; i < MAX_STEPS && fuzz_more(&world.in); i++)
		step(size && data[0] & 1);
	world_end(&world);
	check_canaries();
	return 0;
}

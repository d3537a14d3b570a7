/* SPDX-License-Identifier: MIT */
/* guest - guest memory in which every byte is watched */
#include <string.h>
#include <sys/mman.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/fuzz/guest.h"
#include "tests/fuzz/poison.h"

#define CANARY	    0xc5
#define LOG_BYTES   32 /* of pages below the third region's end, and more */
#define CUT_BYTES   3  /* of those below some place behind the second one */
#define BLOCK_BYTES 256

struct piece {
	uint64_t addr;
	uint32_t bytes;
	uint32_t offset; /* in the file */
};

static const struct piece pieces[] = {
	{ GUEST_BASE, GUEST_FIRST_BYTES, 0x1000 },
	{ GUEST_SECOND, GUEST_SECOND_BYTES, 0x6000 },
	{ GUEST_THIRD, GUEST_THIRD_BYTES, 0x8200 },
};

static const struct piece *find(uint64_t addr)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		if (addr - pieces[i].addr < pieces[i].bytes)
			return &pieces[i];
	}
	return NULL;
}

static uint8_t *map_file(int fd, size_t bytes)
{
	void *address =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	FUZZ_CHECK(address != MAP_FAILED);
	return address;
}

static void add_piece(struct fuzz_guest *guest, const struct piece *piece)
{
	const struct vhost_user_region region = {
		.guest_addr = piece->addr,
		.size_bytes = piece->bytes,
		.user_addr = piece->addr + GUEST_TO_FRONTEND,
		.mmap_offset = piece->offset,
	};
	struct rh_map *next;

	FUZZ_CHECK(!rh_map_add(guest->map, &region, guest->fd, &next));
	rh_map_put(guest->map);
	guest->map = next;
}

/* The parts of the library's pages that were not shared */
static void poison_around(const struct rh_region *region)
{
	size_t bytes;
	uint8_t *pages = rh_region_pages(region, &bytes);
	size_t used = region->guest_end - region->guest_start;

	poison(pages, (size_t)(region->host - pages));
	poison(region->host + used,
	       (size_t)(pages + bytes - (region->host + used)));
}

static void create_log(struct fuzz_guest *guest)
{
	int fd = rh_memfd_create("log", LOG_BYTES);

	FUZZ_CHECK(fd >= 0);
	rh_dirty_log_init(&guest->log);
	FUZZ_CHECK(!rh_range_map(fd, 0, LOG_BYTES, NULL, &guest->log.bitmap));
	guest->log_view = map_file(fd, LOG_BYTES);
	rh_fd_close(&fd);
}

void guest_create(struct fuzz_guest *guest)
{
	guest->fd = rh_memfd_create("guest", GUEST_FILE_BYTES);
	FUZZ_CHECK(guest->fd >= 0);
	guest->view = map_file(guest->fd, GUEST_FILE_BYTES);
	guest->before = malloc(GUEST_FILE_BYTES);
	guest->open = calloc(1, GUEST_FILE_BYTES);
	FUZZ_CHECK(guest->before && guest->open);
	FUZZ_CHECK(!rh_map_create(&guest->map));
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++)
		add_piece(guest, &pieces[i]);
	for (unsigned int i = 0; i < guest->map->nr_regions; i++)
		poison_around(&guest->map->regions[i]);
	create_log(guest);
}

void guest_reset(struct fuzz_guest *guest, bool logs)
{
	memset(guest->before, CANARY, GUEST_FILE_BYTES);
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++)
		memset(guest->before + pieces[i].offset, 0, pieces[i].bytes);
	memcpy(guest->view, guest->before, GUEST_FILE_BYTES);
	guest_close(guest);
	memset(guest->log_view, 0, LOG_BYTES);
	guest->logs = logs;
}

void guest_cut_log(struct fuzz_guest *guest, bool is_cut)
{
	guest->log.bitmap.bytes = is_cut ? CUT_BYTES : LOG_BYTES;
}

void *guest_at(const struct fuzz_guest *guest, uint64_t addr, uint64_t bytes)
{
	const struct piece *piece = find(addr);

	if (!piece || bytes > piece->bytes - (addr - piece->addr))
		return NULL;
	return guest->view + piece->offset + (addr - piece->addr);
}

uint64_t guest_addr_of(const struct fuzz_guest *guest, const void *host)
{
	const uint8_t *at = host;

	for (unsigned int i = 0; i < guest->map->nr_regions; i++) {
		const struct rh_region *region = &guest->map->regions[i];
		uint64_t bytes = region->guest_end - region->guest_start;

		if (at >= region->host && at < region->host + bytes)
			return region->guest_start +
			       (uint64_t)(at - region->host);
	}
	return 0;
}

void guest_write(struct fuzz_guest *guest, uint64_t addr, const void *data,
		 size_t bytes)
{
	const uint8_t *from = data;
	uint8_t *whole = guest_at(guest, addr, bytes);

	if (whole) {
		memcpy(whole, data, bytes);
		memcpy(guest->before + (whole - guest->view), data, bytes);
		return;
	}
	for (size_t i = 0; i < bytes; i++) {
		uint8_t *to = guest_at(guest, addr + i, 1);

		if (!to)
			continue;
		*to = from[i];
		guest->before[to - guest->view] = from[i];
	}
}

void guest_scribble(struct fuzz_guest *guest, struct fuzz_input *in)
{
	uint8_t data[32];
	uint64_t addr = GUEST_BASE + fuzz_u16(in) % GUEST_FIRST_BYTES;
	size_t bytes = 1 + fuzz_u8(in) % sizeof(data);

	fuzz_bytes(in, data, bytes);
	guest_write(guest, addr, data, bytes);
}

void guest_restore(struct fuzz_guest *guest, const uint8_t *memory)
{
	memcpy(guest->view, memory, GUEST_FILE_BYTES);
	memcpy(guest->before, memory, GUEST_FILE_BYTES);
}

void guest_close(struct fuzz_guest *guest)
{
	while (guest->nr_opened) {
		guest->nr_opened--;
		memset(guest->open + guest->opened[guest->nr_opened].at, 0,
		       guest->opened[guest->nr_opened].bytes);
	}
}

void guest_open(struct fuzz_guest *guest, uint64_t addr, uint64_t bytes)
{
	uint8_t *at = guest_at(guest, addr, bytes);

	FUZZ_CHECK(at && guest->nr_opened < GUEST_MAX_OPENED);
	guest->opened[guest->nr_opened].at = (uint32_t)(at - guest->view);
	guest->opened[guest->nr_opened++].bytes = (uint32_t)bytes;
	memset(guest->open + (at - guest->view), 1, bytes);
}

bool guest_is_open(const struct fuzz_guest *guest, uint64_t addr,
		   uint64_t bytes)
{
	uint8_t *at = guest_at(guest, addr, bytes);

	return at && !memchr(guest->open + (at - guest->view), 0, bytes);
}

/* Its page is marked, if it has a place in the log. */
static bool is_logged(const struct fuzz_guest *guest, size_t offset)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		uint64_t page;

		if (offset - pieces[i].offset >= pieces[i].bytes)
			continue;
		page = (pieces[i].addr + (offset - pieces[i].offset)) /
		       VHOST_LOG_PAGE_BYTES;
		if (page / 8 >= guest->log.bitmap.bytes)
			return !guest->log_view[page / 8];
		return guest->log_view[page / 8] & (1u << page % 8);
	}
	return false;
}

static void check_block(struct fuzz_guest *guest, size_t at)
{
	for (size_t i = at; i < at + BLOCK_BYTES; i++) {
		if (guest->before[i] == guest->view[i])
			continue;
		FUZZ_CHECK(guest->open[i]);
		FUZZ_CHECK(!guest->logs || is_logged(guest, i));
		guest->before[i] = guest->view[i];
	}
}

FUZZ_PLAIN void guest_check(struct fuzz_guest *guest)
{
	for (size_t at = 0; at < GUEST_FILE_BYTES; at += BLOCK_BYTES) {
		if (fuzz_differs(guest->before + at, guest->view + at,
				 BLOCK_BYTES))
			check_block(guest, at);
	}
}

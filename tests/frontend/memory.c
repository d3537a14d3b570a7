/* SPDX-License-Identifier: MIT */
/*
 * memory - the guest's memory: memfd regions of any layout
 *
 * A region's mapping lies inside a reservation one page larger on either side,
 * so that a test which reads or writes past a region faults at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/frontend/memory.h"

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void fe_memory_init(struct fe_memory *memory)
{
	memory->nr_regions = 0;
}

void fe_memory_remove_last(struct fe_memory *memory)
{
	struct fe_region *region = &memory->regions[--memory->nr_regions];

	munmap(region->reserved, region->reserved_bytes);
	rh_fd_close(&region->fd);
}

void fe_memory_deinit(struct fe_memory *memory)
{
	while (memory->nr_regions)
		fe_memory_remove_last(memory);
}

static int map_file(uint8_t *where, uint64_t size_bytes, int fd,
		    uint64_t offset)
{
	void *host = mmap(where, size_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, fd, (off_t)offset);

	return host == MAP_FAILED ? -errno : 0;
}

/* fd: the region's on success */
static int add_region(struct fe_memory *memory, struct fe_wire_region wire,
		      int fd)
{
	struct fe_region *region = &memory->regions[memory->nr_regions];
	size_t reserved_bytes = wire.size_bytes + 2 * page_bytes();
	void *reserved;
	int error;

	if (memory->nr_regions == FE_MAX_REGIONS)
		return -ENOSPC;
	reserved = mmap(NULL, reserved_bytes, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	*region = (struct fe_region){
		.wire = wire,
		.fd = fd,
		.host = (uint8_t *)reserved + page_bytes(),
		.reserved = reserved,
		.reserved_bytes = reserved_bytes,
	};
	region->wire.user_addr = (uint64_t)(uintptr_t)region->host;
	error = map_file(region->host, wire.size_bytes, fd, wire.mmap_offset);
	if (error) {
		munmap(reserved, reserved_bytes);
		return error;
	}
	return (int)memory->nr_regions++;
}

int fe_memory_add_file(struct fe_memory *memory, uint64_t guest_addr,
		       uint64_t size_bytes, int fd, uint64_t offset)
{
	struct fe_wire_region wire = {
		.guest_addr = guest_addr,
		.size_bytes = size_bytes,
		.mmap_offset = offset,
	};
	cleanup_close int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int ret;

	if (own_fd < 0)
		return -errno;
	ret = add_region(memory, wire, own_fd);
	if (ret >= 0)
		steal_fd(&own_fd);
	return ret;
}

int fe_memory_add(struct fe_memory *memory, uint64_t guest_addr,
		  uint64_t size_bytes)
{
	cleanup_close int fd = rh_memfd_create("guest", size_bytes);

	if (fd < 0)
		return fd;
	return fe_memory_add_file(memory, guest_addr, size_bytes, fd, 0);
}

int fe_memory_replace(struct fe_memory *memory, unsigned int i)
{
	struct fe_region *region = &memory->regions[i];
	cleanup_close int fd =
		rh_memfd_create("guest", region->wire.size_bytes);
	size_t size_bytes = region->wire.size_bytes;
	void *fresh;
	int error;

	if (fd < 0)
		return fd;
	fresh = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	if (fresh == MAP_FAILED)
		return -errno;
	memcpy(fresh, region->host, size_bytes);
	munmap(fresh, size_bytes);
	error = map_file(region->host, size_bytes, fd, 0);
	if (error)
		return error;
	region->wire.mmap_offset = 0;
	rh_fd_close(&region->fd);
	region->fd = steal_fd(&fd);
	return 0;
}

static const struct fe_region *find(const struct fe_memory *memory,
				    uint64_t guest_addr)
{
	for (unsigned int i = 0; i < memory->nr_regions; i++) {
		const struct fe_wire_region *wire = &memory->regions[i].wire;

		if (guest_addr >= wire->guest_addr &&
		    guest_addr - wire->guest_addr < wire->size_bytes)
			return &memory->regions[i];
	}
	return NULL;
}

void *fe_memory_pointer(const struct fe_memory *memory, uint64_t guest_addr,
			uint64_t bytes)
{
	const struct fe_region *region = find(memory, guest_addr);
	uint64_t offset;

	if (!region)
		return NULL;
	offset = guest_addr - region->wire.guest_addr;
	if (bytes > region->wire.size_bytes - offset)
		return NULL;
	return region->host + offset;
}

uint64_t fe_memory_user_addr(const struct fe_memory *memory,
			     uint64_t guest_addr)
{
	const struct fe_region *region = find(memory, guest_addr);

	if (!region)
		return 0;
	return region->wire.user_addr + (guest_addr - region->wire.guest_addr);
}

int fe_memory_alloc(struct fe_memory *memory, unsigned int i, uint64_t bytes,
		    uint64_t align, uint64_t *guest_addr)
{
	struct fe_region *region = &memory->regions[i];
	uint64_t begin = region->wire.guest_addr + region->allocated_bytes;
	uint64_t end = region->wire.guest_addr + region->wire.size_bytes;

	begin = align_down(begin + align - 1, align);
	if (begin > end || bytes > end - begin)
		return -ENOMEM;
	region->allocated_bytes = begin + bytes - region->wire.guest_addr;
	*guest_addr = begin;
	return 0;
}

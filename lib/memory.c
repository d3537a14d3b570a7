/* SPDX-License-Identifier: MIT */
/*
 * memory - guest memory, mapped from the front-end's fds
 *
 * Every number here comes from the front-end. A region is checked with
 * arithmetic that notices a wrap, against the size of its file, and against
 * all other regions, before anything is mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/peerfd.h"
#include "lib/guard.h"
#include "lib/memory.h"
#include "lib/range.h"

struct rh_mapping {
	unsigned int nr_refs;
	void *address;
	size_t size_bytes;
	struct rh_guard *guard;
	uint64_t offset; /* of address in its file */
	int fd;		 /* the file; -1: not kept */
};

static void put_mapping(struct rh_mapping *mapping)
{
	if (--mapping->nr_refs)
		return;
	if (mapping->guard)
		rh_guard_release(mapping->guard);
	munmap(mapping->address, mapping->size_bytes);
	rh_peerfd_close(&mapping->fd);
	free(mapping);
}

/* like: what it inherits from; NULL: nothing */
static struct rh_map *allocate_map(unsigned int nr_regions,
				   const struct rh_map *like)
{
	struct rh_map *map;

	map = calloc(1, sizeof(*map) + nr_regions * sizeof(map->regions[0]));
	if (!map)
		return NULL;
	map->nr_refs = 1;
	map->wake_fd = like ? like->wake_fd : -1;
	map->keeps_files = like && like->keeps_files;
	return map;
}

int rh_map_create(struct rh_map **ret)
{
	struct rh_map *map = allocate_map(0, NULL);

	if (!map)
		return -ENOMEM;
	*ret = map;
	return 0;
}

struct rh_map *rh_map_get(struct rh_map *map)
{
	map->nr_refs++;
	return map;
}

void rh_map_put(struct rh_map *map)
{
	if (!map || --map->nr_refs)
		return;
	for (unsigned int i = 0; i < map->nr_regions; i++)
		put_mapping(map->regions[i].mapping);
	free(map);
}

bool rh_map_lost(const struct rh_map *map)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		if (rh_guard_lost(map->regions[i].mapping->guard))
			return true;
	}
	return false;
}

void rh_map_revoke(const struct rh_map *map)
{
	for (unsigned int i = 0; i < map->nr_regions; i++)
		rh_guard_revoke(map->regions[i].mapping->guard);
}

void *rh_region_pages(const struct rh_region *region, size_t *size_bytes)
{
	*size_bytes = region->mapping->size_bytes;
	return region->mapping->address;
}

/* Whole regions and ranges begin in the mapping, at lead_bytes. */
static int file_of(const struct rh_mapping *mapping, uint64_t lead_bytes,
		   uint64_t *offset)
{
	*offset = mapping->offset + lead_bytes;
	return mapping->fd;
}

int rh_region_file(const struct rh_region *region, uint64_t *offset)
{
	const uint8_t *begin = region->mapping->address;

	return file_of(region->mapping, (uint64_t)(region->host - begin),
		       offset);
}

/* Append region to a map that has room for it; its mapping gets shared. */
static void append_region(struct rh_map *map, const struct rh_region *region)
{
	map->regions[map->nr_regions++] = *region;
	region->mapping->nr_refs++;
}

static bool ranges_overlap(uint64_t a, uint64_t a_bytes, uint64_t b,
			   uint64_t b_bytes)
{
	return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static bool overlaps_any(const struct rh_map *map,
			 const struct vhost_user_region *wire)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		const struct rh_region *region = &map->regions[i];
		uint64_t bytes = region->guest_end - region->guest_start;

		if (ranges_overlap(region->guest_start, bytes, wire->guest_addr,
				   wire->size_bytes) ||
		    ranges_overlap(region->frontend_start, bytes,
				   wire->user_addr, wire->size_bytes))
			return true;
	}
	return false;
}

/* The end of the region in its file, if no range of it is empty or wraps. */
static int check_region(const struct vhost_user_region *wire,
			uint64_t *file_end)
{
	uint64_t end;

	if (!wire->size_bytes ||
	    add_overflows(wire->guest_addr, wire->size_bytes, &end) ||
	    add_overflows(wire->user_addr, wire->size_bytes, &end) ||
	    add_overflows(wire->mmap_offset, wire->size_bytes, &end) ||
	    end > INT64_MAX - UINT32_MAX)
		return -EINVAL;
	*file_end = end;
	return 0;
}

/* Memory beyond the end of a file would be a SIGBUS at first touch. */
static int check_file(int fd, uint64_t file_end)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (S_ISREG(file.st_mode) && (uint64_t)file.st_size < file_end)
		return -EINVAL;
	return 0;
}

/* munmap(2) of huge pages wants whole ones. */
static uint64_t page_bytes_of(int fd)
{
	struct statfs filesystem;

	if (fstatfs(fd, &filesystem) == 0 &&
	    (uint32_t)filesystem.f_type == HUGETLBFS_MAGIC)
		return (uint64_t)filesystem.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int map_file(int fd, uint64_t offset, size_t size_bytes,
		    struct rh_mapping **ret)
{
	struct rh_mapping *mapping = calloc(1, sizeof(*mapping));
	int error;

	if (!mapping)
		return -ENOMEM;
	mapping->nr_refs = 1;
	mapping->size_bytes = size_bytes;
	mapping->offset = offset;
	mapping->fd = -1;
	mapping->address = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (mapping->address == MAP_FAILED) {
		error = -errno;
		free(mapping);
		return error;
	}
	/* A core file of ours is no place for a guest's secrets. */
	madvise(mapping->address, size_bytes, MADV_DONTDUMP);
	*ret = mapping;
	return 0;
}

/*
 * As map_file(), for memory that its owner can take back at any moment. Without
 * a file descriptor to spare the session is as good, but for being handed over.
 */
static int map_guarded(int fd, uint64_t offset, size_t size_bytes,
		       const struct rh_map *like, struct rh_mapping **ret)
{
	struct rh_mapping *mapping = NULL;
	int error;

	error = map_file(fd, offset, size_bytes, &mapping);
	if (error)
		return error;
	error = rh_guard_create(mapping->address, size_bytes,
				like ? like->wake_fd : -1, &mapping->guard);
	if (error) {
		put_mapping(mapping);
		return error;
	}
	if (like && like->keeps_files)
		mapping->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	*ret = mapping;
	return 0;
}

/* An offset within a page is served by mapping from the page's start on. */
static int map_region(const struct vhost_user_region *wire, int fd,
		      const struct rh_map *like, struct rh_region *region)
{
	uint64_t file_start =
		align_down(wire->mmap_offset, (uint64_t)sysconf(_SC_PAGESIZE));
	uint64_t lead_bytes = wire->mmap_offset - file_start;
	uint64_t page_bytes = page_bytes_of(fd);
	struct rh_mapping *mapping = NULL;
	size_t size_bytes;
	int error;

	size_bytes = align_down(lead_bytes + wire->size_bytes + page_bytes - 1,
				page_bytes);
	error = map_guarded(fd, file_start, size_bytes, like, &mapping);
	if (error)
		return error;

	region->guest_start = wire->guest_addr;
	region->guest_end = wire->guest_addr + wire->size_bytes;
	region->frontend_start = wire->user_addr;
	region->host = (uint8_t *)mapping->address + lead_bytes;
	region->mapping = mapping;
	return 0;
}

int rh_map_add(const struct rh_map *map, const struct vhost_user_region *wire,
	       int fd, struct rh_map **ret)
{
	struct rh_region region;
	struct rh_map *next;
	uint64_t file_end;
	unsigned int i;
	int error;

	error = check_region(wire, &file_end);
	if (!error)
		error = check_file(fd, file_end);
	if (error)
		return error;
	if (map->nr_regions >= RH_MAX_MEM_SLOTS)
		return -ENOSPC;
	if (overlaps_any(map, wire))
		return -EEXIST;

	next = allocate_map(map->nr_regions + 1, map);
	if (!next)
		return -ENOMEM;
	error = map_region(wire, fd, map, &region);
	if (error) {
		rh_map_put(next);
		return error;
	}
	for (i = 0; i < map->nr_regions &&
		    map->regions[i].guest_start < region.guest_start;
	     i++)
		append_region(next, &map->regions[i]);
	append_region(next, &region);
	for (; i < map->nr_regions; i++)
		append_region(next, &map->regions[i]);
	put_mapping(region.mapping);
	*ret = next;
	return 0;
}

static bool is_region(const struct rh_region *region,
		      const struct vhost_user_region *wire)
{
	return region->guest_start == wire->guest_addr &&
	       region->frontend_start == wire->user_addr &&
	       region->guest_end - region->guest_start == wire->size_bytes;
}

int rh_map_remove(const struct rh_map *map,
		  const struct vhost_user_region *wire, struct rh_map **ret)
{
	unsigned int found = 0;
	struct rh_map *next;

	while (found < map->nr_regions &&
	       !is_region(&map->regions[found], wire))
		found++;
	if (found == map->nr_regions)
		return -ENOENT;

	next = allocate_map(map->nr_regions - 1, map);
	if (!next)
		return -ENOMEM;
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		if (i != found)
			append_region(next, &map->regions[i]);
	}
	*ret = next;
	return 0;
}

const struct rh_region *rh_map_frontend_region(const struct rh_map *map,
					       struct frontend_addr addr)
{
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		const struct rh_region *region = &map->regions[i];
		uint64_t bytes = region->guest_end - region->guest_start;

		if (addr.value >= region->frontend_start &&
		    addr.value - region->frontend_start < bytes)
			return region;
	}
	return NULL;
}

uint8_t *rh_map_frontend(const struct rh_map *map, struct frontend_addr addr,
			 uint64_t bytes)
{
	const struct rh_region *region = rh_map_frontend_region(map, addr);
	uint64_t offset;

	if (!region)
		return NULL;
	offset = addr.value - region->frontend_start;
	if (bytes > region->guest_end - region->guest_start - offset)
		return NULL;
	return region->host + offset;
}

int rh_range_map(int fd, uint64_t offset, uint64_t bytes,
		 const struct rh_map *like, struct rh_range *ret)
{
	struct rh_mapping *mapping = NULL;
	uint64_t page_bytes = page_bytes_of(fd);
	uint64_t end;
	int error;

	if (!bytes || !is_aligned(offset, (uint64_t)sysconf(_SC_PAGESIZE)) ||
	    add_overflows(offset, bytes, &end) || end > INT64_MAX - UINT32_MAX)
		return -EINVAL;
	error = check_file(fd, end);
	if (error)
		return error;
	error = map_guarded(fd, offset,
			    align_down(bytes + page_bytes - 1, page_bytes),
			    like, &mapping);
	if (error)
		return error;
	ret->address = mapping->address;
	ret->bytes = bytes;
	ret->mapping = mapping;
	return 0;
}

void rh_range_unmap(struct rh_range *range)
{
	if (range->mapping)
		put_mapping(range->mapping);
	memset(range, 0, sizeof(*range));
}

int rh_range_file(const struct rh_range *range, uint64_t *offset)
{
	return range->mapping ? file_of(range->mapping, 0, offset) : -1;
}

bool rh_range_lost(const struct rh_range *range)
{
	return range->mapping && rh_guard_lost(range->mapping->guard);
}

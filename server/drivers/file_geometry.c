/* SPDX-License-Identifier: MIT */
/*
 * file_geometry - sizes, alignment and limits as the kernel tells them
 *
 * A block device is shown as it is. A regular file is shown with 512-byte
 * sectors wherever it lies: an image that moves to another file system must
 * stay the same disk, or its partition table would not be found again. What
 * its file system prefers is said as the physical block size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "server/drivers/file_geometry.h"

#define PAGE_BYTES 4096

int file_learn_size(const struct file *file, uint64_t *ret)
{
	struct stat status;

	if (file->is_block_device)
		return ioctl(file->fd, BLKGETSIZE64, ret) < 0 ? -errno : 0;
	if (fstat(file->fd, &status) < 0)
		return -errno;
	*ret = (uint64_t)status.st_size;
	return 0;
}

/* True if the kernel (6.1) says what O_DIRECT needs; 0: it does not work. */
#ifdef STATX_DIOALIGN
static bool ask_for_alignment(int fd, uint32_t *offset, uint32_t *buffer)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
	    !(status.stx_mask & STATX_DIOALIGN))
		return false;
	*offset = status.stx_dio_offset_align;
	*buffer = status.stx_dio_mem_align;
	return true;
}
#else
static bool ask_for_alignment(int fd, uint32_t *offset, uint32_t *buffer)
{
	(void)fd;
	(void)offset;
	(void)buffer;
	return false;
}
#endif

/*
 * Read the start in smaller and smaller pieces as long as that works; *ret is
 * untouched if none does. An empty file refuses nothing, so it tells nothing.
 */
static void probe_offset_align(int fd, uint32_t smallest, uint32_t *ret)
{
	void *page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);

	for (uint32_t bytes = PAGE_BYTES; page && bytes >= smallest;
	     bytes /= 2) {
		ssize_t done = pread(fd, page, bytes, 0);

		if (done < 0)
			break;
		*ret = bytes;
		if (!done)
			break;
	}
	free(page);
}

int file_learn_alignment(struct file *file)
{
	uint32_t smallest = MAX(file->device_block_bytes, 512u);
	uint32_t offset = 0;
	uint32_t buffer = 0;

	if (!ask_for_alignment(file->fd, &offset, &buffer)) {
		probe_offset_align(file->fd, smallest, &offset);
		buffer = offset;
	}
	if (!is_power_of_2(offset) || offset > BOUNCE_MAX_ALIGN ||
	    !is_power_of_2(buffer) || buffer > BOUNCE_MAX_ALIGN)
		return -EOPNOTSUPP;
	/* Smaller ones than a sector are of no use, and 1 means "any". */
	file->offset_align = MAX(offset, smallest);
	file->buffer_align = buffer;
	return 0;
}

/* A number of the device's queue, from sysfs; or_else if it is not there. */
static uint64_t queue_number(dev_t device, const char *name, uint64_t or_else)
{
	/* A partition has its queue one level up. */
	static const char *const formats[] = {
		"/sys/dev/block/%u:%u/queue/%s",
		"/sys/dev/block/%u:%u/../queue/%s",
	};
	unsigned long long number;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		char path[128];
		FILE *stream;
		int nr_read;

		snprintf(path, sizeof(path), formats[i], major(device),
			 minor(device), name);
		stream = fopen(path, "re");
		if (!stream)
			continue;
		nr_read = fscanf(stream, "%llu", &number);
		fclose(stream);
		if (nr_read == 1)
			return number;
	}
	return or_else;
}

static void learn_device_limits(const struct file *file,
				struct driver_info *info)
{
	unsigned int physical_bytes = 0;
	unsigned int optimal_bytes = 0;
	uint64_t granularity;
	struct stat status;

	info->logical_block_bytes = file->device_block_bytes;
	if (!ioctl(file->fd, BLKPBSZGET, &physical_bytes) &&
	    is_power_of_2(physical_bytes))
		info->physical_block_bytes = physical_bytes;
	if (!ioctl(file->fd, BLKIOOPT, &optimal_bytes))
		info->optimal_io_bytes = optimal_bytes;
	if (fstat(file->fd, &status) < 0)
		return;
	/* Not known: offered, and learned from the first refusal. */
	info->can_discard = queue_number(status.st_rdev, "discard_max_bytes",
					 UINT32_MAX) > 0;
	granularity = queue_number(status.st_rdev, "discard_granularity", 0);
	info->discard_align_bytes =
		(uint32_t)MIN(granularity, (uint64_t)UINT32_MAX);
}

/*
 * Punching a hole is the one way to find out whether it works. There is
 * nothing behind the end to lose.
 */
static bool can_punch(const struct file *file)
{
	off_t behind = (off_t)align_down(file->size_bytes, 1 << 20) + (2 << 20);

	return !fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  behind, PAGE_BYTES) ||
	       errno != EOPNOTSUPP;
}

static void learn_file_limits(const struct file *file, struct driver_info *info)
{
	struct stat status;

	info->logical_block_bytes = FILE_SECTOR_BYTES;
	info->physical_block_bytes = FILE_SECTOR_BYTES;
	if (!fstat(file->fd, &status) &&
	    is_power_of_2((uint64_t)status.st_blksize) &&
	    status.st_blksize > FILE_SECTOR_BYTES)
		info->physical_block_bytes =
			(uint32_t)MIN(status.st_blksize, PAGE_BYTES);
	info->discard_align_bytes = info->physical_block_bytes;
	info->can_discard = !info->read_only && can_punch(file);
}

void file_learn_limits(struct file *file)
{
	struct driver_info *info = &file->driver.info;

	info->size_bytes = file->size_bytes;
	if (file->is_block_device)
		learn_device_limits(file, info);
	else
		learn_file_limits(file, info);
	info->physical_block_bytes =
		MAX(info->physical_block_bytes, info->logical_block_bytes);
	info->physical_block_bytes =
		MAX(info->physical_block_bytes, file->offset_align);
	info->discard_align_bytes =
		MAX(info->discard_align_bytes, info->logical_block_bytes);
	info->can_discard = info->can_discard && !info->read_only;
	info->can_write_zeroes = !info->read_only;
	if (!info->can_discard)
		file->no_discard = true;
}

/*
 * io_uring tries an operation without waiting first, where the file system
 * can say that it would have to wait; else it leaves it to another thread.
 * Those in memory cannot say so, nor can ext4 for a write. A device node says
 * nothing of its device by the file system that it is in.
 */
void file_learn_speed(struct file *file)
{
	struct statfs system;
	bool buffered = file->driver.info.cache != DRIVER_CACHE_NONE;

	if (file->is_block_device || fstatfs(file->fd, &system) < 0)
		return;
	switch ((uint32_t)system.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case HUGETLBFS_MAGIC:
		file->in_memory = true;
		file->prompt_reads = true;
		file->prompt_writes = true;
		break;
	case EXT4_SUPER_MAGIC:
		file->prompt_writes = buffered;
		break;
	}
}

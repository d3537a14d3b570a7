/* SPDX-License-Identifier: MIT */
/*
 * postcopy - guest memory whose pages arrive while the guest runs already
 *
 * Requests are read and written by the kernel too, so a userfaultfd that sees
 * faults of user space only, which everybody may have, is of no use here: the
 * kernel's own touch of a missing page would fail. The full one needs a
 * privilege, the sysctl vm.unprivileged_userfaultfd, or the right to open
 * /dev/userfaultfd.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "lib/postcopy.h"

#define DEVICE "/dev/userfaultfd"

/* In Linux since 6.1, in its headers a little later. */
#define DEVICE_NEW _IO(UFFDIO, 0x00)

static void set_phase(struct rh_postcopy *postcopy,
		      enum rh_postcopy_phase phase)
{
	static const unsigned int may_come_from[] = {
		[RH_POSTCOPY_OFF] = ~0u,
		[RH_POSTCOPY_ADVISED] = 1u << RH_POSTCOPY_OFF,
		[RH_POSTCOPY_LISTENING] = 1u << RH_POSTCOPY_ADVISED |
					  1u << RH_POSTCOPY_LISTENING |
					  1u << RH_POSTCOPY_UNCONFIRMED,
		[RH_POSTCOPY_UNCONFIRMED] = 1u << RH_POSTCOPY_LISTENING |
					    1u << RH_POSTCOPY_UNCONFIRMED,
	};

	assert(may_come_from[phase] & (1u << postcopy->phase));
	postcopy->phase = phase;
}

void rh_postcopy_init(struct rh_postcopy *postcopy)
{
	postcopy->phase = RH_POSTCOPY_OFF;
	postcopy->fd = -1;
	postcopy->device_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
}

void rh_postcopy_deinit(struct rh_postcopy *postcopy)
{
	rh_postcopy_reset(postcopy);
	rh_fd_close(&postcopy->device_fd);
}

static int open_unversioned(const struct rh_postcopy *postcopy)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int fd = -1;

	if (postcopy->device_fd >= 0)
		fd = ioctl(postcopy->device_fd, DEVICE_NEW, flags);
	if (fd < 0)
		fd = (int)syscall(SYS_userfaultfd, flags);
	return fd >= 0 ? fd : -errno;
}

/* Returns a userfaultfd that works for shared memory, or -errno. */
static int open_fd(const struct rh_postcopy *postcopy)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = open_unversioned(postcopy);
	int error = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api) < 0)
		error = -errno;
	else if (!(api.features & UFFD_FEATURE_MISSING_SHMEM))
		error = -EOPNOTSUPP;
	if (!error)
		return fd;
	close(fd);
	return error;
}

bool rh_postcopy_possible(const struct rh_postcopy *postcopy)
{
	int fd = open_fd(postcopy);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int rh_postcopy_advise(struct rh_postcopy *postcopy, int *ret)
{
	int duplicate;
	int fd = open_fd(postcopy);

	if (fd < 0)
		return fd;
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (duplicate < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	set_phase(postcopy, RH_POSTCOPY_ADVISED);
	postcopy->fd = fd;
	*ret = duplicate;
	return 0;
}

void rh_postcopy_listen(struct rh_postcopy *postcopy)
{
	set_phase(postcopy, RH_POSTCOPY_LISTENING);
}

static struct uffdio_range range_of(const struct rh_region *region)
{
	struct uffdio_range range;
	size_t size_bytes;

	range.start = (uintptr_t)rh_region_pages(region, &size_bytes);
	range.len = size_bytes;
	return range;
}

/*
 * A huge page would be mapped whole, and with it small pages in it that wait
 * for the front-end would be there without a word to who waits. Memory that
 * has huge pages of its own refuses the advice, and needs none.
 */
static int watch_region(int fd, const struct rh_region *region)
{
	struct uffdio_register watched = {
		.range = range_of(region),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	madvise((void *)(uintptr_t)watched.range.start, watched.range.len,
		MADV_NOHUGEPAGE);
	if (ioctl(fd, UFFDIO_REGISTER, &watched) < 0)
		return -errno;
	return 0;
}

int rh_postcopy_watch(struct rh_postcopy *postcopy, const struct rh_map *map)
{
	int error;

	for (unsigned int i = 0; i < map->nr_regions; i++) {
		error = watch_region(postcopy->fd, &map->regions[i]);
		if (error)
			return error;
	}
	set_phase(postcopy, RH_POSTCOPY_UNCONFIRMED);
	return 0;
}

void rh_postcopy_confirm(struct rh_postcopy *postcopy)
{
	set_phase(postcopy, RH_POSTCOPY_LISTENING);
}

/* Closing alone would not do: the front-end's duplicate keeps it in force. */
void rh_postcopy_end(struct rh_postcopy *postcopy, const struct rh_map *map)
{
	struct uffdio_range range;

	assert(rh_postcopy_active(postcopy));
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		range = range_of(&map->regions[i]);
		ioctl(postcopy->fd, UFFDIO_UNREGISTER, &range);
	}
	rh_postcopy_reset(postcopy);
}

void rh_postcopy_abandon(struct rh_postcopy *postcopy, const struct rh_map *map)
{
	struct uffdio_range range;

	if (!rh_postcopy_active(postcopy))
		return;
	rh_map_revoke(map);
	for (unsigned int i = 0; i < map->nr_regions; i++) {
		range = range_of(&map->regions[i]);
		ioctl(postcopy->fd, UFFDIO_WAKE, &range);
	}
}

void rh_postcopy_reset(struct rh_postcopy *postcopy)
{
	set_phase(postcopy, RH_POSTCOPY_OFF);
	rh_fd_close(&postcopy->fd);
}

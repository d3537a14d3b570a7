/* SPDX-License-Identifier: MIT */
/*
 * sync_fds - an open file description of an image for each worker's flushes
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base.h"
#include "common/fd.h"
#include "server/drivers/sync_fds.h"

static int open_again(int image_fd)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(image_fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int sync_fds_open(struct sync_fds *sync_fds, int image_fd, unsigned int nr)
{
	sync_fds->image_fd = image_fd;
	sync_fds->fds = calloc(nr, sizeof(*sync_fds->fds));
	if (!sync_fds->fds && nr)
		return -ENOMEM;
	while (sync_fds->nr < nr) {
		int fd = open_again(image_fd);

		if (fd < 0)
			return fd;
		atomic_init(&sync_fds->fds[sync_fds->nr++], fd);
	}
	return 0;
}

void sync_fds_close(struct sync_fds *sync_fds)
{
	for (unsigned int i = 0; i < sync_fds->nr; i++) {
		int fd = atomic_load(&sync_fds->fds[i]);

		rh_fd_close(&fd);
	}
	free(sync_fds->fds);
	*sync_fds = (struct sync_fds){ .image_fd = -1 };
}

int sync_fds_take(struct sync_fds *sync_fds)
{
	for (unsigned int i = 0; i < sync_fds->nr; i++) {
		int fd = atomic_exchange(&sync_fds->fds[i], -1);

		if (fd >= 0)
			return fd;
	}
	return open_again(sync_fds->image_fd);
}

/* One that was opened when all were taken may find no place. */
void sync_fds_give(struct sync_fds *sync_fds, int *fd)
{
	for (unsigned int i = 0; *fd >= 0 && i < sync_fds->nr; i++) {
		int none = -1;

		if (atomic_compare_exchange_strong(&sync_fds->fds[i], &none,
						   *fd))
			*fd = -1;
	}
	rh_fd_close(fd);
}

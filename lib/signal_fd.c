/* SPDX-License-Identifier: MIT */
/*
 * signal_fd - an eventfd that is exchanged under the thread which signals it
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/peerfd.h"
#include "lib/signal_fd.h"

void rh_signal_fd_init(struct rh_signal_fd *signal_fd)
{
	atomic_init(&signal_fd->number, -1);
	signal_fd->slot = -1;
}

void rh_signal_fd_deinit(struct rh_signal_fd *signal_fd)
{
	rh_fd_close(&signal_fd->slot);
	rh_signal_fd_init(signal_fd);
}

void rh_signal_fd_set(struct rh_signal_fd *signal_fd, int fd)
{
	int done;

	if (fd < 0) {
		/* The owner may have read the number: the slot stays open. */
		atomic_store(&signal_fd->number, -1);
		return;
	}
	rh_fd_set_nonblocking(fd);
	if (signal_fd->slot < 0) {
		signal_fd->slot = fd;
	} else {
		do {
			done = dup3(fd, signal_fd->slot, O_CLOEXEC);
		} while (done < 0 && (errno == EINTR || errno == EBUSY));
		assert(done == signal_fd->slot);
		close(fd);
	}
	atomic_store(&signal_fd->number, signal_fd->slot);
}

void rh_signal_fd_settle(struct rh_signal_fd *signal_fd)
{
	if (atomic_load(&signal_fd->number) < 0)
		rh_fd_close(&signal_fd->slot);
}

void rh_signal_fd_send(struct rh_signal_fd *signal_fd)
{
	int fd = atomic_load(&signal_fd->number);

	if (fd >= 0)
		rh_peerfd_signal(fd);
}

/* SPDX-License-Identifier: MIT */
/*
 * export_handover - an export goes on in another process
 *
 * The library hands over what the front-end has set up. What the guest has set
 * is ours: the cache mode, by which it counts on its writes.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <ringhost/handover.h>

#include "common/fd.h"
#include "server/export_handover.h"
#include "server/export_internal.h"

#define WAIT_MSEC 10000

/* Ahead of what the library says. */
struct said {
	uint8_t writeback;
	uint8_t paused; /* by command */
};

void export_freeze(struct export *export)
{
	export->freezes = true;
	rh_device_pause(export->device);
	export_release_if_idle(export);
}

bool export_frozen(const struct export *export)
{
	return export->claim == UNCLAIMED && !export_any_queue_runs(export);
}

bool export_may_let_go(const struct export *export)
{
	return export->freezes && export_frozen(export);
}

void export_thaw(struct export *export)
{
	export->freezes = false;
	rh_device_resume(export->device);
}

int export_hand_over(struct export *export, int fd)
{
	const struct said said = {
		.writeback = virtio_blk_writeback(export->blk),
		.paused = export->paused,
	};
	int error = rh_fd_put_all(fd, &said, sizeof(said), WAIT_MSEC);

	if (!error)
		error = rh_device_hand_over(export->device, fd);
	if (error)
		rh_log(RH_LOG_ERROR, export->name, "cannot be handed over: %s",
		       error == -EBUSY ? "its guest is being migrated" :
					 strerror(-error));
	return error;
}

int export_take_over(struct export *export, int fd)
{
	struct said said;
	int error = rh_fd_get_all(fd, &said, sizeof(said), WAIT_MSEC);

	if (error) {
		rh_log(RH_LOG_ERROR, export->name, "cannot be taken over: %s",
		       strerror(-error));
		return error;
	}
	error = rh_device_take_over(export->device, fd);
	if (error)
		return error;
	virtio_blk_set_writeback(export->blk, said.writeback);
	export->paused = said.paused;
	export->freezes = true;
	return 0;
}

void export_let_go(struct export *export)
{
	rh_device_let_go(export->device);
	export->peer = -1;
}

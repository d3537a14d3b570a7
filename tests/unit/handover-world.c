/* SPDX-License-Identifier: MIT */
/* handover-world - a session that goes on in another device of this process */
#include <dirent.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "tests/unit/handover-world.h"
#include "tests/unit/session-compare.h"

void handover_create(struct world *world)
{
	world_create_flags(world, &world_ops, RH_DEVICE_HAND_OVER);
}

void handover_create_running(struct world *world)
{
	handover_create(world);
	world_attach(world);
	world_negotiate(world);
	world_share_memory(world);
	world_start_queue(world, 0);
	assert_int_equal(world->nr_started, 1);
}

void handover_pause(struct world *world)
{
	unsigned int nr_paused = world->nr_paused;

	rh_device_pause(world->device);
	world_run(world);
	assert_int_equal(world->nr_paused, nr_paused + 1);
}

int handover_tell(struct world *from, struct world *to)
{
	int fds[2];
	int error;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(rh_device_hand_over(from->device, fds[0]), 0);
	rh_fd_close(&fds[0]);
	error = rh_device_take_over(to->device, fds[1]);
	rh_fd_close(&fds[1]);
	if (!error)
		session_assert_same(from->device, to->device);
	return error;
}

void handover_let_go(struct world *from, struct world *to)
{
	rh_device_let_go(from->device);
	assert_true(rh_device_finished(from->device));
	assert_int_equal(from->nr_disconnected, 0);
	to->front_end = from->front_end;
	from->front_end = -1;
	to->slow = from->slow;
	memcpy(to->config, from->config, sizeof(to->config));
	rh_fd_close(&to->memory_fd);
	to->memory_fd = from->memory_fd;
	from->memory_fd = -1;
	world_destroy(from);
}

/* The device does not know where its world is: it has a new one there. */
void handover_paused(struct world *world)
{
	struct world from = *world;
	struct world to;

	from.device->config.opaque = &from;
	world_create_flags(&to, from.device->config.ops,
			   from.device->config.flags);
	assert_int_equal(handover_tell(&from, &to), 0);
	assert_int_equal(to.nr_connected, from.device->state != RH_DEVICE_IDLE);
	assert_int_equal(to.nr_started, 0);
	handover_let_go(&from, &to);
	*world = to;
	world->device->config.opaque = world;
	rh_device_resume(world->device);
	world_run(world);
}

void handover(struct world *world)
{
	handover_pause(world);
	handover_paused(world);
}

unsigned int handover_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

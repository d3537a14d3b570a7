/* SPDX-License-Identifier: MIT */
/*
 * postcopy-world - a front-end of a device-world that migrates in postcopy
 *
 * Its memory is a memfd of which no page was ever written: all are missing.
 */
#ifndef TESTS_UNIT_POSTCOPY_WORLD_H
#define TESTS_UNIT_POSTCOPY_WORLD_H

#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/fd.h"
#include "lib/postcopy.h"
#include "tests/unit/device-world.h"

#define PAGE_BYTES 4096u

#define NEEDS_USERFAULTFD()                                                    \
	do {                                                                   \
		if (!userfaultfd_works())                                      \
			skip();                                                \
	} while (0)

static inline bool userfaultfd_works(void)
{
	struct rh_postcopy postcopy;
	bool works;

	rh_postcopy_init(&postcopy);
	works = rh_postcopy_possible(&postcopy);
	rh_postcopy_deinit(&postcopy);
	return works;
}

static inline void create_negotiated(struct world *world)
{
	world_create(world);
	world_attach(world);
	world_negotiate(world);
}

/* The answer to POSTCOPY_ADVISE: no payload, one fd, which is the caller's. */
static inline int take_userfaultfd(struct world *world)
{
	struct vhost_user_header header = { 0 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &header, sizeof(header) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fd;

	assert_int_equal(recvmsg(world->front_end, &message, MSG_DONTWAIT),
			 sizeof(header));
	assert_int_equal(header.request, VHOST_USER_POSTCOPY_ADVISE);
	assert_int_equal(header.flags, 1 | VHOST_USER_FLAG_REPLY);
	assert_int_equal(header.size, 0);
	assert_non_null(CMSG_FIRSTHDR(&message));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static inline int advise(struct world *world)
{
	world_tell(world, VHOST_USER_POSTCOPY_ADVISE, NULL, 0, -1);
	world_run(world);
	return take_userfaultfd(world);
}

static inline uint64_t listen_for(struct world *world)
{
	return world_ask(world, VHOST_USER_POSTCOPY_LISTEN, NULL, 0, -1);
}

/* Share the memory; returns where the back-end says that it has it. */
static inline uint64_t add_memory(struct world *world)
{
	struct vhost_user_single_region single = world_whole_memory();
	struct vhost_user_single_region answer;

	world_tell(world, VHOST_USER_ADD_MEM_REG, &single, sizeof(single),
		   world->memory_fd);
	world_run(world);
	assert_int_equal(world_take_reply(world, VHOST_USER_ADD_MEM_REG,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(answer.region.guest_addr, single.region.guest_addr);
	assert_int_equal(answer.region.size_bytes, single.region.size_bytes);
	return answer.region.user_addr;
}

static inline uint64_t confirm(struct world *world, uint32_t request)
{
	return world_ask_u64(world, request, 0);
}

/* One queue runs on memory of which all is missing. */
static inline int create_listening(struct world *world, uint64_t *address)
{
	int fd;

	create_negotiated(world);
	fd = advise(world);
	assert_int_equal(listen_for(world), 0);
	*address = add_memory(world);
	assert_int_equal(confirm(world, VHOST_USER_ADD_MEM_REG), 0);
	world_start_queue(world, 0);
	assert_int_equal(world->nr_started, 1);
	return fd;
}

/* Whether somebody waits for a page. */
static inline bool has_fault(int userfaultfd, int timeout_msec)
{
	struct pollfd pollfd = { userfaultfd, POLLIN, 0 };

	return poll(&pollfd, 1, timeout_msec) == 1 && pollfd.revents == POLLIN;
}

#endif

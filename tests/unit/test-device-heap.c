/* SPDX-License-Identifier: MIT */
/*
 * device-heap - each allocation of a device and its session fails in turn
 *
 * Linked with --wrap, so that each call of the library for memory passes
 * through here. A life of a device goes on behind the one that fails as far as
 * its front-end can bring it; then all that was allocated must be free, and all
 * that was opened closed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/unit/device-world.h"

#define LOG_BYTES   4096
#define STATE_BYTES 100000
#define ALL_FDS	    8

/* Exit statuses of a life. */
enum {
	MEMORY_LEFT = 1,
	FDS_LEFT,
	NOT_FAILED,
	NOT_WELL
};

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *memory);

static unsigned int nr_allocations;
static unsigned int nth_fails; /* 0: none */
static long nr_live;

static bool fails(void)
{
	return ++nr_allocations == nth_fails;
}

static void *count_live(void *memory)
{
	nr_live += memory != NULL;
	return memory;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : count_live(__real_malloc(bytes));
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	return fails() ? NULL : count_live(__real_calloc(nr, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
	void *memory = fails() ? NULL : __real_realloc(old, bytes);

	return old ? memory : count_live(memory);
}

void __wrap_free(void *memory)
{
	nr_live -= memory != NULL;
	__real_free(memory);
}

/* What the driver accepts of the features that worlds refuse. */
struct kind {
	uint64_t more_features;
	uint32_t vring_base;
	unsigned int nr_starts; /* of a ring, at least */
};

/* A second start is for the log. */
static const struct kind split = { .nr_starts = 2 };
static const struct kind packed = {
	.more_features = FEATURE_BIT(VIRTIO_F_RING_PACKED),
	.vring_base = 0x80008000,
	.nr_starts = 2,
};
/* Nobody answers where the ring is. */
static const struct kind translated = {
	.more_features = FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM),
};

static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int nr = 0;

	while (readdir(directory))
		nr++;
	closedir(directory);
	return nr;
}

/* Whatever was answered. */
static void forget_answers(struct world *world)
{
	char bytes[RH_MAX_PAYLOAD_BYTES];
	char control[CMSG_SPACE(ALL_FDS * sizeof(int))];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int fd;

	for (;;) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		if (recvmsg(world->front_end, &message, MSG_DONTWAIT) <= 0)
			return;
		cmsg = CMSG_FIRSTHDR(&message);
		if (!cmsg)
			continue;
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		close(fd); /* one at most in an answer */
	}
}

/* As long as there is a session. fd: closed here, or -1. */
static void say(struct world *world, uint32_t request, const void *payload,
		uint32_t bytes, int fd)
{
	if (!world->nr_disconnected) {
		world_tell(world, request, payload, bytes, fd);
		world_run(world);
		forget_answers(world);
	}
	rh_fd_close(&fd);
}

static void say_u64(struct world *world, uint32_t request, uint64_t value,
		    int fd)
{
	say(world, request, &value, sizeof(value), fd);
}

static void say_state(struct world *world, uint32_t request, uint32_t num)
{
	const struct vhost_user_vring_state vring = { 0, num };

	say(world, request, &vring, sizeof(vring), -1);
}

static void negotiate(struct world *world, const struct kind *kind,
		      uint64_t more)
{
	uint64_t features = FEATURE_BIT(VIRTIO_F_VERSION_1) |
			    FEATURE_BIT(VIRTIO_F_IN_ORDER) |
			    FEATURE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);

	say_u64(world, VHOST_USER_SET_FEATURES,
		features | kind->more_features | more, -1);
}

static uint64_t protocol_features(void)
{
	return FEATURE_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
	       FEATURE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
	       FEATURE_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
	       FEATURE_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
	       FEATURE_BIT(VHOST_USER_PROTOCOL_F_DEVICE_STATE);
}

/* Returns our end. */
static int give_channel(struct world *world)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	say(world, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, fds[1]);
	return fds[0];
}

static void start_ring(struct world *world, const struct kind *kind)
{
	const struct vhost_user_inflight inflight = { .nr_queues = 1,
						      .queue_size = 64 };
	const struct vhost_user_vring_addr addr = {
		.desc_user_addr = WORLD_USER_BASE,
		.avail_user_addr = WORLD_USER_BASE + 0x1000,
		.used_user_addr = WORLD_USER_BASE + 0x2000,
	};

	say(world, VHOST_USER_GET_INFLIGHT_FD, &inflight, sizeof(inflight), -1);
	say_state(world, VHOST_USER_SET_VRING_NUM, 64);
	say(world, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	say_state(world, VHOST_USER_SET_VRING_BASE, kind->vring_base);
	say_u64(world, VHOST_USER_SET_VRING_CALL, 0, rh_eventfd_create());
	say_u64(world, VHOST_USER_SET_VRING_ERR, 0, rh_eventfd_create());
	say_u64(world, VHOST_USER_SET_VRING_KICK, 0, rh_eventfd_create());
	say_state(world, VHOST_USER_SET_VRING_ENABLE, 1);
}

static void add_and_remove_memory(struct world *world)
{
	struct vhost_user_single_region single = world_whole_memory();

	single.region.guest_addr += WORLD_MEMORY_BYTES;
	single.region.user_addr += WORLD_MEMORY_BYTES;
	say(world, VHOST_USER_ADD_MEM_REG, &single, sizeof(single),
	    rh_memfd_create("more", WORLD_MEMORY_BYTES));
	say(world, VHOST_USER_REM_MEM_REG, &single, sizeof(single), -1);
}

static void log_writes(struct world *world, const struct kind *kind)
{
	const struct vhost_user_log log = { .size_bytes = LOG_BYTES };

	say(world, VHOST_USER_SET_LOG_BASE, &log, sizeof(log),
	    rh_memfd_create("log", LOG_BYTES));
	negotiate(world, kind, FEATURE_BIT(VHOST_F_LOG_ALL));
}

static void load_state(struct world *world)
{
	static const uint8_t state[STATE_BYTES];
	const struct vhost_user_transfer load = { .direction = 1 };
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	say(world, VHOST_USER_SET_DEVICE_STATE_FD, &load, sizeof(load), fds[1]);
	send(fds[0], state, sizeof(state), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fds[0]);
	world_run(world);
	say(world, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0, -1);
}

static void have_session(struct world *world, const struct kind *kind)
{
	struct vhost_user_single_region single = world_whole_memory();
	int channel;

	world_attach(world);
	say_u64(world, VHOST_USER_SET_PROTOCOL_FEATURES, protocol_features(),
		-1);
	negotiate(world, kind, 0);
	say(world, VHOST_USER_SET_OWNER, NULL, 0, -1);
	channel = give_channel(world);
	say(world, VHOST_USER_ADD_MEM_REG, &single, sizeof(single),
	    rh_memfd_create("memory", WORLD_MEMORY_BYTES));
	start_ring(world, kind);
	add_and_remove_memory(world);
	log_writes(world, kind);
	say_state(world, VHOST_USER_GET_VRING_BASE, 0);
	load_state(world);
	close(channel);
	rh_fd_close(&world->front_end);
	rh_device_stop(world->device);
	world_run(world);
}

/* Returns how many queues were started. */
static unsigned int live(const struct kind *kind)
{
	struct rh_device_ops ops = world_ops;
	struct world world = { .front_end = -1 };
	const struct rh_device_config config = {
		.name = "test",
		.ops = &ops,
		.opaque = &world,
		.nr_queues = 1,
	};

	ops.state_save = world_save_nothing;
	ops.state_load = world_load_anything;
	nr_allocations = 0;
	if (rh_device_create(&config, &world.device) == 0) {
		have_session(&world, kind);
		assert_true(rh_device_finished(world.device));
		rh_device_destroy(world.device);
	}
	return world.nr_started;
}

/* Of a life that nothing happens to; shared with the processes below. */
struct outcome {
	unsigned int nr_allocations;
	unsigned int nr_started;
	long nr_live; /* lib/guard.c keeps as many as there were at a time */
};

static struct outcome *unharmed;

static int measure(const struct kind *kind)
{
	unharmed->nr_started = live(kind);
	unharmed->nr_allocations = nr_allocations;
	unharmed->nr_live = nr_live;
	live(kind);
	return nr_live == unharmed->nr_live ? 0 : MEMORY_LEFT;
}

/* The life behind it allocates what is kept for the ones to come. */
static int fail_one(const struct kind *kind, unsigned int nth)
{
	int nr_fds = count_fds();

	nth_fails = nth;
	live(kind);
	if (nr_allocations < nth)
		return NOT_FAILED;
	if (count_fds() != nr_fds)
		return FDS_LEFT;
	nth_fails = 0;
	if (live(kind) != unharmed->nr_started)
		return NOT_WELL;
	return nr_live == unharmed->nr_live ? 0 : MEMORY_LEFT;
}

/* In a process that has allocated nothing yet. nth: 0 for an unharmed life. */
static int in_child(const struct kind *kind, unsigned int nth)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(nth ? fail_one(kind, nth) : measure(kind));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_failed_allocation_leaves_nothing_behind(void **state)
{
	const struct kind *kind = *state;
	unsigned int nr;
	int status;

	assert_int_equal(in_child(kind, 0), 0);
	nr = unharmed->nr_allocations;
	assert_in_range(nr, 15, 1000);
	assert_true(unharmed->nr_started >= kind->nr_starts);
	for (unsigned int nth = 1; nth <= nr; nth++) {
		status = in_child(kind, nth);
		if (status)
			fail_msg("allocation %u of %u: status %#x", nth, nr,
				 (unsigned int)status);
	}
	print_message("# %u allocations failed\n", nr);
}

static int share_outcome(void **state)
{
	(void)state;
	unharmed = mmap(NULL, sizeof(*unharmed), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return unharmed == MAP_FAILED;
}

int main(void)
{
	struct CMUnitTest tests[] = {
		{ "a_failed_allocation_leaves_nothing_behind on split rings",
		  a_failed_allocation_leaves_nothing_behind, NULL, NULL,
		  (void *)&split },
		{ "a_failed_allocation_leaves_nothing_behind on packed rings",
		  a_failed_allocation_leaves_nothing_behind, NULL, NULL,
		  (void *)&packed },
		{ "a_failed_allocation_leaves_nothing_behind with an IOMMU",
		  a_failed_allocation_leaves_nothing_behind, NULL, NULL,
		  (void *)&translated },
	};

	return cmocka_run_group_tests(tests, share_outcome, NULL);
}

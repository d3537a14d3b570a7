/* SPDX-License-Identifier: MIT */
/* device-dirty - the migration log is given, switched and exchanged */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/device-world.h"

/* A bit for each of the 16 pages of a world's memory */
#define LOG_BYTES (WORLD_MEMORY_BYTES / 4096 / 8)
#define LOG_ALL	  FEATURE_BIT(VHOST_F_LOG_ALL)

/* Of queue 0 */
#define USED_PAGE (0x2000 / 4096)

struct fixture {
	struct world world;
	uint64_t features; /* LOG_ALL is not among them */
	int log_fd;
};

static void set_up(struct fixture *f)
{
	struct world *world = &f->world;

	world_create(world);
	world_attach(world);
	world_negotiate(world);
	f->features = world_get_u64(world, VHOST_USER_GET_FEATURES) & ~LOG_ALL &
		      ~FEATURE_BIT(VIRTIO_F_RING_PACKED) &
		      ~FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(
		world_ask_u64(world, VHOST_USER_SET_FEATURES, f->features), 0);
	world_share_memory(world);
	f->log_fd = rh_memfd_create("log", 2 * 4096);
	assert_true(f->log_fd >= 0);
}

static void tear_down(struct fixture *f)
{
	world_destroy(&f->world);
	rh_fd_close(&f->log_fd);
}

static uint64_t set_log(struct fixture *f, uint64_t bytes, uint64_t offset)
{
	const struct vhost_user_log log = { bytes, offset };

	return world_ask(&f->world, VHOST_USER_SET_LOG_BASE, &log, sizeof(log),
			 f->log_fd);
}

static uint64_t switch_log(struct fixture *f, bool on)
{
	return world_ask_u64(&f->world, VHOST_USER_SET_FEATURES,
			     f->features | (on ? LOG_ALL : 0));
}

static uint64_t switch_used_log(struct fixture *f, bool on, uint64_t log_addr)
{
	const struct vhost_user_vring_addr addr = {
		.flags = on ? VHOST_VRING_F_LOG : 0,
		.desc_user_addr = WORLD_USER_BASE,
		.avail_user_addr = WORLD_USER_BASE + 0x1000,
		.used_user_addr = WORLD_USER_BASE + 0x2000,
		.log_guest_addr = log_addr,
	};

	return world_ask(&f->world, VHOST_USER_SET_VRING_ADDR, &addr,
			 sizeof(addr), -1);
}

/* The first bytes of the log, 32 pages at most; it is clear then. */
static uint32_t take_marks(const struct fixture *f, off_t offset)
{
	const uint32_t none = 0;
	uint32_t marks = 0;

	assert_int_equal(pread(f->log_fd, &marks, sizeof(marks), offset), 4);
	assert_int_equal(pwrite(f->log_fd, &none, sizeof(none), offset), 4);
	return marks;
}

/* A chain of one byte in this page goes through queue 0. */
static void serve(struct fixture *f, unsigned int page)
{
	struct rh_queue *queue = &f->world.device->queues[0];
	const struct virtq_desc desc = {
		.addr = le64_make(page * UINT64_C(4096)),
		.len = le32_make(1),
		.flags = le16_make(VIRTQ_DESC_F_WRITE),
	};
	uint16_t idx = 0;
	struct rh_chain *chain = NULL;

	assert_int_equal(pwrite(f->world.memory_fd, &desc, sizeof(desc), 0),
			 sizeof(desc));
	assert_int_equal(pread(f->world.memory_fd, &idx, 2, 0x1002), 2);
	idx++;
	assert_int_equal(pwrite(f->world.memory_fd, &idx, 2, 0x1002), 2);
	assert_int_equal(rh_queue_pop(queue, &chain), 1);
	rh_queue_push(queue, chain, 1);
	rh_queue_flush(queue);
}

/* The front-end waits for an answer to SET_LOG_BASE, and to no other */
static void a_log_is_answered_though_nobody_asked(void **state)
{
	const struct vhost_user_log log = { LOG_BYTES, 0 };
	struct fixture f = { 0 };
	uint64_t answer = 77;
	int fd;

	(void)state;
	set_up(&f);
	world_tell(&f.world, VHOST_USER_SET_LOG_BASE, &log, sizeof(log),
		   f.log_fd);
	world_run(&f.world);
	assert_int_equal(world_take_reply(&f.world, VHOST_USER_SET_LOG_BASE,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(answer, 0);
	fd = rh_eventfd_create();
	world_tell(&f.world, VHOST_USER_SET_LOG_FD, NULL, 0, fd);
	world_run(&f.world);
	assert_int_equal(world_take_reply(&f.world, VHOST_USER_SET_LOG_FD,
					  &answer, sizeof(answer)),
			 -1);
	assert_int_equal(f.world.nr_disconnected, 0);
	rh_fd_close(&fd);
	tear_down(&f);
}

/* F-03, F-09 */
static void a_log_that_cannot_be_is_refused(void **state)
{
	static const struct vhost_user_log bad[] = {
		{ 0, 0 },
		{ LOG_BYTES - 1, 0 }, /* not all of the memory */
		{ 2 * 4096 + 1, 0 },
		{ 4096, 4097 },
		{ 8, 1 },
		{ 8, 2 * 4096 },
		{ UINT64_MAX - 4095, 8192 },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
		{ UINT64_MAX, 0 },
	};
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	world_start_queue(&f.world, 0);
	assert_int_equal(switch_log(&f, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			set_log(&f, bad[i].size_bytes, bad[i].mmap_offset), 1);
	/* the old one still is in use */
	serve(&f, 5);
	assert_int_equal(take_marks(&f, 0), 1 << 5);
	tear_down(&f);
}

static void an_eventfd_is_all_that_set_log_fd_takes(void **state)
{
	struct fixture f = { 0 };
	uint64_t count = 0;
	int fd;

	(void)state;
	set_up(&f);
	assert_int_equal(world_ask(&f.world, VHOST_USER_SET_LOG_FD, NULL, 0,
				   f.log_fd),
			 1);
	fd = rh_eventfd_create();
	assert_int_equal(
		world_ask(&f.world, VHOST_USER_SET_LOG_FD, NULL, 0, fd), 0);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	world_start_queue(&f.world, 0);
	serve(&f, 5);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	rh_fd_close(&fd);
	tear_down(&f);
}

static void logging_is_switched_while_a_queue_runs(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	world_start_queue(&f.world, 0);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	serve(&f, 5);
	assert_int_equal(take_marks(&f, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	serve(&f, 5);
	assert_int_equal(take_marks(&f, 0), 1 << 5);
	assert_int_equal(switch_used_log(&f, true, 0x2000), 0);
	assert_int_equal(take_marks(&f, 0), 1 << USED_PAGE);
	serve(&f, 6);
	assert_int_equal(take_marks(&f, 0), 1 << 6 | 1 << USED_PAGE);
	/* the order in which a front-end switches it off is its own */
	assert_int_equal(switch_log(&f, false), 0);
	serve(&f, 6);
	assert_int_equal(take_marks(&f, 0), 1 << USED_PAGE);
	assert_int_equal(switch_used_log(&f, false, 0), 0);
	serve(&f, 6);
	assert_int_equal(take_marks(&f, 0), 0);
	tear_down(&f);
}

/* What switches nothing costs a running queue nothing. */
static void a_switch_that_is_none_stops_no_queue(void **state)
{
	struct fixture f = { 0 };
	unsigned int nr_stopped;

	(void)state;
	set_up(&f);
	world_start_queue(&f.world, 0);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	assert_int_equal(switch_used_log(&f, true, 0x2000), 0);
	nr_stopped = f.world.nr_stop_asked;
	assert_int_equal(nr_stopped, 3);
	assert_int_equal(switch_log(&f, true), 0);
	assert_int_equal(switch_used_log(&f, true, 0x2000), 0);
	assert_int_equal(f.world.nr_stop_asked, nr_stopped);
	tear_down(&f);
}

/* F-18: with the log bit or without it, all other features stay */
static void no_other_feature_changes_along_with_the_log(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	world_start_queue(&f.world, 0);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	f.features ^= FEATURE_BIT(5);
	assert_int_equal(switch_log(&f, true), 1);
	f.features ^= FEATURE_BIT(5);
	serve(&f, 5);
	assert_int_equal(take_marks(&f, 0), 0);
	assert_int_equal(f.world.nr_stop_asked, 1);
	tear_down(&f);
}

/* So a front-end does that starts a device in the middle of a migration */
static void logging_may_be_asked_for_before_the_log_is_there(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	assert_int_equal(switch_log(&f, true), 0);
	world_start_queue(&f.world, 0);
	serve(&f, 5);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(take_marks(&f, 0), 0);
	serve(&f, 6);
	assert_int_equal(take_marks(&f, 0), 1 << 6);
	tear_down(&f);
}

static void a_running_queue_does_not_begin_to_log_nowhere(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	world_start_queue(&f.world, 0);
	assert_int_equal(switch_log(&f, true), 1);
	assert_int_equal(f.world.nr_stop_asked, 0);
	assert_int_equal(f.world.nr_disconnected, 0);
	tear_down(&f);
}

/* Each bit is in the old log or in the new one. */
static void a_new_log_replaces_the_old_one_between_two_requests(void **state)
{
	struct fixture f = { 0 };
	struct rh_queue *queue;
	struct rh_chain *chain = NULL;
	struct virtq_desc desc = {
		.addr = le64_make(7 * 4096),
		.len = le32_make(1),
		.flags = le16_make(VIRTQ_DESC_F_WRITE),
	};
	const struct vhost_user_log second = { LOG_BYTES, 4096 };
	uint16_t one = 1;
	uint64_t answer = 77;

	(void)state;
	set_up(&f);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	world_start_queue(&f.world, 0);
	queue = &f.world.device->queues[0];
	assert_int_equal(pwrite(f.world.memory_fd, &desc, sizeof(desc), 0),
			 sizeof(desc));
	assert_int_equal(pwrite(f.world.memory_fd, &one, 2, 0x1002), 2);
	assert_int_equal(rh_queue_pop(queue, &chain), 1);

	f.world.slow = true;
	world_tell(&f.world, VHOST_USER_SET_LOG_BASE, &second, sizeof(second),
		   f.log_fd);
	world_run(&f.world);
	assert_int_equal(world_take_reply(&f.world, VHOST_USER_SET_LOG_BASE,
					  &answer, sizeof(answer)),
			 -1);
	rh_queue_push(queue, chain, 1);
	world_give_back(&f.world);
	assert_int_equal(world_take_reply(&f.world, VHOST_USER_SET_LOG_BASE,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(take_marks(&f, 0), 1 << 7);
	assert_int_equal(take_marks(&f, 4096), 0);
	f.world.slow = false;
	serve(&f, 8);
	assert_int_equal(take_marks(&f, 0), 0);
	assert_int_equal(take_marks(&f, 4096), 1 << 8);
	tear_down(&f);
}

/* D-08 */
static void all_is_marked_before_a_queue_is_answered_as_stopped(void **state)
{
	const struct vhost_user_vring_state vring = { 0, 0 };
	struct vhost_user_vring_state answer;
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	world_start_queue(&f.world, 0);
	assert_int_equal(switch_used_log(&f, true, 0x2000), 0);
	serve(&f, 9);
	take_marks(&f, 0);
	serve(&f, 9);
	world_tell(&f.world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_run(&f.world);
	assert_int_equal(world_take_reply(&f.world, VHOST_USER_GET_VRING_BASE,
					  &answer, sizeof(answer)),
			 sizeof(answer));
	assert_int_equal(answer.num, 2);
	assert_int_equal(take_marks(&f, 0), 1 << 9 | 1 << USED_PAGE);
	tear_down(&f);
}

/* F-24 */
static void a_log_that_is_taken_back_ends_the_session(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	assert_int_equal(rh_device_guard_memory(), 0);
	set_up(&f);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_int_equal(switch_log(&f, true), 0);
	world_start_queue(&f.world, 0);
	assert_int_equal(ftruncate(f.log_fd, 0), 0);
	serve(&f, 5);
	world_run(&f.world);
	assert_int_equal(f.world.nr_disconnected, 1);
	assert_int_equal(f.world.last_error, -EFAULT);
	tear_down(&f);
}

static void the_log_goes_with_its_session(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	set_up(&f);
	assert_int_equal(set_log(&f, LOG_BYTES, 0), 0);
	assert_true(rh_dirty_log_exists(&f.world.device->session.log));
	rh_fd_close(&f.world.front_end);
	world_run(&f.world);
	assert_int_equal(f.world.nr_disconnected, 1);
	assert_false(rh_dirty_log_exists(&f.world.device->session.log));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_is_answered_though_nobody_asked),
		cmocka_unit_test(a_log_that_cannot_be_is_refused),
		cmocka_unit_test(an_eventfd_is_all_that_set_log_fd_takes),
		cmocka_unit_test(logging_is_switched_while_a_queue_runs),
		cmocka_unit_test(a_switch_that_is_none_stops_no_queue),
		cmocka_unit_test(no_other_feature_changes_along_with_the_log),
		cmocka_unit_test(
			logging_may_be_asked_for_before_the_log_is_there),
		cmocka_unit_test(a_running_queue_does_not_begin_to_log_nowhere),
		cmocka_unit_test(
			a_new_log_replaces_the_old_one_between_two_requests),
		cmocka_unit_test(
			all_is_marked_before_a_queue_is_answered_as_stopped),
		cmocka_unit_test(a_log_that_is_taken_back_ends_the_session),
		cmocka_unit_test(the_log_goes_with_its_session),
	};

	return cmocka_run_group_tests_name("device-dirty", tests, NULL, NULL);
}

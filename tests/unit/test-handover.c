/* SPDX-License-Identifier: MIT */
/* handover - what a front-end has set up is there in the device that goes on */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ringhost/socket.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "tests/unit/device-channel.h"
#include "tests/unit/handover-world.h"

#define PAGE	    4096u
#define PROTOCOL(f) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##f)

static struct rh_queue *queue_of(struct world *world, unsigned int index)
{
	return &world->device->queues[index];
}

static uint64_t set_vring_fd(struct world *world, uint32_t request, int fd)
{
	uint64_t value = fd < 0 ? VHOST_USER_VRING_NOFD : 0;

	return world_ask(world, request, &value, sizeof(value), fd);
}

static uint32_t get_base(struct world *world, uint32_t index)
{
	struct vhost_user_vring_state vring = { index, 0 };

	world_tell(world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring), -1);
	world_run(world);
	assert_int_equal(world_take_reply(world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	return vring.num;
}

static void set_features(struct world *world, uint64_t features)
{
	assert_int_equal(
		world_ask_u64(world, VHOST_USER_SET_FEATURES, features), 0);
}

static uint8_t *map_memory(const struct world *world)
{
	uint8_t *bytes = mmap(NULL, WORLD_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED, world->memory_fd, 0);

	assert_ptr_not_equal(bytes, MAP_FAILED);
	return bytes;
}

/* One readable buffer as the only chain that head begins; entry: of the ring */
static void add_split(uint8_t *bytes, uint16_t entry, uint16_t head)
{
	struct virtq_desc *desc = (struct virtq_desc *)bytes;
	struct virtq_avail *avail = (struct virtq_avail *)(bytes + 0x1000);

	desc[head].addr = le64_make(0x8000);
	desc[head].len = le32_make(16);
	avail->ring[entry] = le16_make(head);
	avail->idx = le16_make(entry + 1);
}

static void pass_one(struct rh_queue *queue, uint16_t head)
{
	struct rh_chain *chain;

	assert_int_equal(rh_queue_pop(queue, &chain), 1);
	assert_int_equal(chain->index, head);
	rh_queue_push(queue, chain, 0);
	rh_queue_flush(queue);
}

static void a_queue_goes_on_at_the_entry_where_it_was(void **state)
{
	struct rh_chain *chain;
	struct world world;
	uint8_t *bytes;

	(void)state;
	handover_create_running(&world);
	bytes = map_memory(&world);
	add_split(bytes, 0, 5);
	pass_one(queue_of(&world, 0), 5);
	add_split(bytes, 1, 7);
	handover(&world);
	assert_int_equal(world.nr_started, 1);
	assert_true(rh_queue_running(queue_of(&world, 0)));
	assert_false(rh_queue_running(queue_of(&world, 1)));
	pass_one(queue_of(&world, 0), 7);
	assert_int_equal(rh_queue_pop(queue_of(&world, 0), &chain), 0);
	/* and once more */
	handover(&world);
	add_split(bytes, 2, 9);
	pass_one(queue_of(&world, 0), 9);
	assert_int_equal(le16_get(((struct virtq_used *)(bytes + 0x2000))->idx),
			 3);
	assert_int_equal(get_base(&world, 0), 3);
	munmap(bytes, WORLD_MEMORY_BYTES);
	world_destroy(&world);
}

static void add_packed(uint8_t *bytes, uint16_t entry, bool wrap, uint16_t id)
{
	struct pvirtq_desc *desc = (struct pvirtq_desc *)bytes;

	desc[entry].addr = le64_make(0x8000);
	desc[entry].len = le32_make(16);
	desc[entry].id = le16_make(id);
	desc[entry].flags =
		le16_make(wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
}

/* The position that is handed over has a wrap counter of its own. */
static void a_packed_ring_goes_on_behind_its_end(void **state)
{
	struct world world;
	uint8_t *bytes;
	uint64_t features;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	features = world_get_u64(&world, VHOST_USER_GET_FEATURES);
	set_features(&world, features & ~FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM));
	world_share_memory(&world);
	bytes = map_memory(&world);
	/* no power of two */
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_NUM, 0, 3), 0);
	assert_int_equal(world_set_addr(&world, 0), 0);
	assert_int_equal(world_set_kick(&world, 0), 0);
	assert_int_equal(
		world_ask_state(&world, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	assert_int_equal(world.nr_started, 1);
	for (uint16_t i = 0; i < 7; i++) {
		add_packed(bytes, i % 3, i / 3 % 2 == 0, i % 3);
		if (i % 2)
			handover(&world);
		pass_one(queue_of(&world, 0), i % 3);
	}
	handover(&world);
	/* both positions: what is taken, and what is used */
	assert_int_equal(get_base(&world, 0), (1u | PVIRTQ_WRAP) * 0x10001u);
	munmap(bytes, WORLD_MEMORY_BYTES);
	world_destroy(&world);
}

static void kicks_and_calls_arrive_through_the_same_eventfds(void **state)
{
	int call_fd = rh_eventfd_create();
	int kick_fd = rh_eventfd_create();
	int err_fd = rh_eventfd_create();
	struct world world;

	(void)state;
	handover_create_running(&world);
	assert_int_equal(
		set_vring_fd(&world, VHOST_USER_SET_VRING_KICK, kick_fd), 0);
	assert_int_equal(
		set_vring_fd(&world, VHOST_USER_SET_VRING_CALL, call_fd), 0);
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_ERR, err_fd),
			 0);
	/* A kick that nobody has seen is not lost. */
	rh_peerfd_signal(kick_fd);
	handover(&world);
	assert_true(rh_eventfd_drain(rh_queue_kick_fd(queue_of(&world, 0))));
	rh_eventfd_drain(call_fd);
	rh_queue_notify(queue_of(&world, 0));
	assert_true(rh_eventfd_drain(call_fd));
	assert_false(rh_eventfd_drain(err_fd));
	rh_queue_fail(queue_of(&world, 0), "the test says so");
	assert_true(rh_eventfd_drain(err_fd));
	/* and a ring that is polled is polled */
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_KICK, -1),
			 0);
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_CALL, -1),
			 0);
	handover(&world);
	assert_int_equal(rh_queue_kick_fd(queue_of(&world, 0)), -1);
	assert_int_equal(rh_queue_call_fd(queue_of(&world, 0)), -1);
	assert_true(rh_queue_running(queue_of(&world, 0)));
	close(call_fd);
	close(kick_fd);
	close(err_fd);
	world_destroy(&world);
}

static void a_session_that_has_just_begun_goes_on(void **state)
{
	struct world world;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	handover(&world);
	assert_int_equal(world.peer, getpid());
	world_negotiate(&world);
	handover(&world);
	world_share_memory(&world);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 1);
	rh_fd_close(&world.front_end);
	world_run(&world);
	assert_int_equal(world.nr_disconnected, 1);
	assert_int_equal(world.last_error, 0);
	world_destroy(&world);
}

static void without_a_session_the_listening_socket_goes_along(void **state)
{
	char path[] = "/tmp/ringhost-handover-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct world world;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", path);
	handover_create(&world);
	assert_int_equal(rh_socket_listen(addr.sun_path, 0600, (gid_t)-1, &fd),
			 0);
	assert_int_equal(rh_device_listen(world.device, fd), 0);
	handover(&world);
	for (int i = 0; i < 2; i++) {
		world.front_end = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(world.front_end,
					 (struct sockaddr *)&addr,
					 sizeof(addr)),
				 0);
		world_run(&world);
		world_negotiate(&world);
		/* The listening socket of one that has a session, too */
		handover(&world);
		rh_fd_close(&world.front_end);
		world_run(&world);
		assert_int_equal(world.nr_disconnected, 1);
		world.nr_disconnected = 0;
	}
	assert_false(rh_device_finished(world.device));
	world_destroy(&world);
	unlink(addr.sun_path);
	rmdir(path);
}

/* Handed over without any message of the session */
static void a_device_with_nothing_at_all_can_be_handed_over(void **state)
{
	struct world world;

	(void)state;
	handover_create(&world);
	handover(&world);
	assert_true(rh_device_finished(world.device));
	world_attach(&world);
	world_negotiate(&world);
	world_destroy(&world);
}

static void add_region(struct world *world, uint64_t i)
{
	const struct vhost_user_single_region single = {
		.region = { i * 2 * PAGE, PAGE, WORLD_USER_BASE + i * 2 * PAGE,
			    (i % 4) * PAGE },
	};

	assert_int_equal(world_ask(world, VHOST_USER_ADD_MEM_REG, &single,
				   sizeof(single), world->memory_fd),
			 0);
}

/* A table holds 8, and what may come one by one must be negotiated. */
static void any_number_of_regions_goes_along(void **state)
{
	uint64_t protocol;
	struct world world;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	for (unsigned int i = 0; i < 20; i++) {
		add_region(&world, i);
		if (i == 0 || i == 7 || i == 8)
			handover(&world);
		assert_int_equal(world.device->session.map->nr_regions, i + 1);
	}
	protocol = world_get_u64(&world, VHOST_USER_GET_PROTOCOL_FEATURES) &
		   ~(PROTOCOL(INBAND_NOTIFICATIONS) |
		     PROTOCOL(CONFIGURE_MEM_SLOTS));
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_PROTOCOL_FEATURES,
				       protocol),
			 0);
	handover(&world);
	assert_int_equal(world.device->session.map->nr_regions, 20);
	world_destroy(&world);
}

/* A region may begin anywhere in a page of its file. */
static void a_region_within_a_page_stays_where_it_is(void **state)
{
	const struct vhost_user_memory table = {
		.nr_regions = 1,
		.regions = { { 0x100, 0x2000, WORLD_USER_BASE, 0x1234 } },
	};
	uint64_t contiguous;
	struct world world;
	uint8_t *bytes;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_MEM_TABLE, &table, 40,
				   world.memory_fd),
			 0);
	bytes = map_memory(&world);
	bytes[0x1234 + 3] = 0x5a;
	handover(&world);
	assert_int_equal(*rh_map_guest(world.device->session.map,
				       (struct guest_addr){ 0x103 }, 1,
				       &contiguous),
			 0x5a);
	munmap(bytes, WORLD_MEMORY_BYTES);
	world_destroy(&world);
}

static void set_log(struct world *world, int fd, uint64_t bytes)
{
	const struct vhost_user_log wire = { .size_bytes = bytes,
					     .mmap_offset = PAGE };
	uint64_t value;

	world_tell(world, VHOST_USER_SET_LOG_BASE, &wire, sizeof(wire), fd);
	world_run(world);
	assert_int_equal(world_take_reply(world, VHOST_USER_SET_LOG_BASE,
					  &value, sizeof(value)),
			 sizeof(value));
}

static void the_migration_log_goes_along(void **state)
{
	int log_fd = rh_memfd_create("log", 2 * PAGE);
	int event_fd = rh_eventfd_create();
	struct rh_dirty_marks marks = { 0 };
	struct world world;
	uint64_t features;
	uint8_t byte = 0;

	(void)state;
	handover_create_running(&world);
	set_log(&world, log_fd, 64);
	assert_int_equal(
		world_ask(&world, VHOST_USER_SET_LOG_FD, NULL, 0, event_fd), 0);
	features = world.device->session.session.features;
	set_features(&world, features | FEATURE_BIT(VHOST_F_LOG_ALL));
	handover(&world);
	assert_non_null(queue_of(&world, 0)->tracker);
	rh_dirty_log_mark(&world.device->session.log,
			  (struct guest_addr){ 3 * PAGE }, 1, &marks);
	rh_dirty_log_signal(&world.device->session.log);
	assert_int_equal(pread(log_fd, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 1 << 3);
	assert_true(rh_eventfd_drain(event_fd));
	/* memory that came later lies beyond it */
	add_region(&world, 0x1000);
	handover(&world);
	assert_int_equal(world.device->session.log.bitmap.bytes, 64);
	close(log_fd);
	close(event_fd);
	world_destroy(&world);
}

static void set_addr_logged(struct world *world)
{
	const struct vhost_user_vring_addr addr = {
		.flags = VHOST_VRING_F_LOG,
		.desc_user_addr = WORLD_USER_BASE,
		.avail_user_addr = WORLD_USER_BASE + 0x1000,
		.used_user_addr = WORLD_USER_BASE + 0x2000,
		.log_guest_addr = 0x2000,
	};

	assert_int_equal(world_ask(world, VHOST_USER_SET_VRING_ADDR, &addr,
				   sizeof(addr), -1),
			 0);
}

static void a_used_ring_that_is_logged_stays_logged(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	set_addr_logged(&world);
	handover(&world);
	assert_true(queue_of(&world, 0)->log_used);
	assert_int_equal(queue_of(&world, 0)->log_addr.value, 0x2000);
	world_destroy(&world);
}

static void the_device_status_goes_along(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_STATUS, 1 | 2),
			 0);
	handover(&world);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_STATUS), 1 | 2);
	/* features that were refused stay refused, and the old ones valid */
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_FEATURES,
				       FEATURE_BIT(6)),
			 1);
	handover(&world);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_STATUS,
				       VIRTIO_STATUS_FEATURES_OK),
			 0);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_STATUS), 0);
	world_destroy(&world);
}

/* virtio 1.3, 2.1: it broke after the last look at it, and then stopped. */
static void a_queue_that_broke_is_broken_and_needs_a_reset(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	rh_queue_fail(queue_of(&world, 0), "the test says so");
	rh_device_pause(world.device);
	assert_int_equal(world.nr_paused, 1);
	handover_paused(&world);
	assert_int_equal(world.nr_started, 0);
	assert_int_equal(world_get_u64(&world, VHOST_USER_GET_STATUS),
			 VIRTIO_STATUS_DEVICE_NEEDS_RESET);
	/* until it is set up anew */
	assert_int_equal(world_set_kick(&world, 0), 0);
	assert_int_equal(world.nr_started, 1);
	world_destroy(&world);
}

/* It is not tried again, with one more error for the front-end. */
static void a_queue_outside_of_memory_waits_for_other_memory(void **state)
{
	struct vhost_user_single_region single = world_whole_memory();
	int err_fd = rh_eventfd_create();
	struct world world;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	world_negotiate(&world);
	assert_int_equal(set_vring_fd(&world, VHOST_USER_SET_VRING_ERR, err_fd),
			 0);
	world_start_queue(&world, 0);
	assert_true(rh_eventfd_drain(err_fd));
	handover(&world);
	assert_false(rh_eventfd_drain(err_fd));
	assert_int_equal(world_ask(&world, VHOST_USER_ADD_MEM_REG, &single,
				   sizeof(single), world.memory_fd),
			 0);
	assert_int_equal(world.nr_started, 1);
	close(err_fd);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_goes_on_at_the_entry_where_it_was),
		cmocka_unit_test(a_packed_ring_goes_on_behind_its_end),
		cmocka_unit_test(
			kicks_and_calls_arrive_through_the_same_eventfds),
		cmocka_unit_test(a_session_that_has_just_begun_goes_on),
		cmocka_unit_test(
			without_a_session_the_listening_socket_goes_along),
		cmocka_unit_test(
			a_device_with_nothing_at_all_can_be_handed_over),
		cmocka_unit_test(any_number_of_regions_goes_along),
		cmocka_unit_test(a_region_within_a_page_stays_where_it_is),
		cmocka_unit_test(the_migration_log_goes_along),
		cmocka_unit_test(a_used_ring_that_is_logged_stays_logged),
		cmocka_unit_test(the_device_status_goes_along),
		cmocka_unit_test(
			a_queue_that_broke_is_broken_and_needs_a_reset),
		cmocka_unit_test(
			a_queue_outside_of_memory_waits_for_other_memory),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}

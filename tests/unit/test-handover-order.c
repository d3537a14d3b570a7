/* SPDX-License-Identifier: MIT */
/*
 * handover - what was legal when it was set goes along, whatever came since
 *
 * A session is told in the protocol's own messages, long after they were sent:
 * each of these is about one that would be refused if it came only now.
 */
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "common/peerfd.h"
#include "tests/unit/device-channel.h"
#include "tests/unit/handover-world.h"

#define PAGE	    4096u
#define PROTOCOL(f) FEATURE_BIT(VHOST_USER_PROTOCOL_F_##f)
#define PACKED	    FEATURE_BIT(VIRTIO_F_RING_PACKED)
#define PLATFORM    FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM)

static struct rh_queue *queue_of(struct world *world, unsigned int index)
{
	return &world->device->queues[index];
}

static void create(struct world *world)
{
	handover_create(world);
	world_attach(world);
	world_negotiate(world);
}

static uint64_t offered(struct world *world)
{
	return world_get_u64(world, VHOST_USER_GET_FEATURES);
}

static void set_features(struct world *world, uint64_t features)
{
	assert_int_equal(
		world_ask_u64(world, VHOST_USER_SET_FEATURES, features), 0);
}

static void set_protocol(struct world *world, uint64_t features)
{
	world_tell(world, VHOST_USER_SET_PROTOCOL_FEATURES, &features,
		   sizeof(features), -1);
	world_run(world);
}

static void set(struct world *world, uint32_t request, uint32_t index,
		uint32_t num)
{
	assert_int_equal(world_ask_state(world, request, index, num), 0);
}

static void a_size_for_a_layout_that_was_given_up(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	set_features(&world, offered(&world) & ~PLATFORM);
	set(&world, VHOST_USER_SET_VRING_NUM, 0, 100);
	set_features(&world, offered(&world) & ~PLATFORM & ~PACKED);
	handover(&world);
	assert_int_equal(queue_of(&world, 0)->size, 100);
	/* which is looked at when it starts */
	world_share_memory(&world);
	assert_int_equal(world_set_addr(&world, 0), 0);
	assert_int_equal(world_set_kick(&world, 0), 0);
	set(&world, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(world.nr_started, 0);
	assert_true(rh_queue_broken(queue_of(&world, 0)));
	world_destroy(&world);
}

static void a_base_that_came_before_its_size(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	set_features(&world, offered(&world) & ~PLATFORM);
	set(&world, VHOST_USER_SET_VRING_BASE, 0, 0x80638063);
	set(&world, VHOST_USER_SET_VRING_BASE, 1, UINT32_MAX);
	set(&world, VHOST_USER_SET_VRING_NUM, 1, 64);
	handover(&world);
	assert_int_equal(queue_of(&world, 0)->base, 0x80638063);
	assert_int_equal(queue_of(&world, 1)->base, UINT32_MAX);
	set_features(&world, offered(&world) & ~PLATFORM & ~PACKED);
	handover(&world);
	assert_int_equal(queue_of(&world, 0)->base, 0x80638063);
	world_destroy(&world);
}

static void queues_that_were_set_up_before_the_features(void **state)
{
	struct world world;

	(void)state;
	handover_create(&world);
	world_attach(&world);
	set_protocol(&world, PROTOCOL(REPLY_ACK));
	set(&world, VHOST_USER_SET_VRING_NUM, 0, 64);
	set(&world, VHOST_USER_SET_VRING_BASE, 0, 3);
	assert_int_equal(world_set_addr(&world, 0), 0);
	assert_int_equal(world_set_kick(&world, 0), 0);
	handover(&world);
	/* and without any, a ring begins enabled */
	set_features(&world, FEATURE_BIT(VIRTIO_F_VERSION_1));
	assert_true(queue_of(&world, 0)->enabled);
	handover(&world);
	assert_true(queue_of(&world, 0)->enabled);
	assert_int_equal(queue_of(&world, 0)->base, 3);
	world_destroy(&world);
}

static void features_that_were_set_twice_with_rings_in_between(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	set(&world, VHOST_USER_SET_VRING_ENABLE, 1, 1);
	set_features(&world, FEATURE_BIT(VIRTIO_F_VERSION_1));
	handover(&world);
	assert_true(queue_of(&world, 0)->enabled);
	set_features(&world, offered(&world) & ~PLATFORM & ~PACKED);
	assert_false(queue_of(&world, 0)->enabled);
	set(&world, VHOST_USER_SET_VRING_ENABLE, 2, 1);
	handover(&world);
	assert_false(queue_of(&world, 1)->enabled);
	assert_true(queue_of(&world, 2)->enabled);
	world_destroy(&world);
}

/* vhost-user, RESET_OWNER */
static void rings_that_were_disabled_without_being_asked_for(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	world_share_memory(&world);
	set_features(&world, FEATURE_BIT(VIRTIO_F_VERSION_1));
	set(&world, VHOST_USER_SET_VRING_NUM, 0, 64);
	assert_int_equal(world_set_addr(&world, 0), 0);
	assert_int_equal(world_ask(&world, VHOST_USER_RESET_OWNER, NULL, 0, -1),
			 0);
	assert_int_equal(world_set_kick(&world, 0), 0);
	assert_int_equal(world.nr_started, 0);
	handover(&world);
	assert_int_equal(world.nr_started, 0);
	world_destroy(&world);
}

/* All that takes a protocol feature, which is given up then. */
static void protocol_features_that_were_given_up(void **state)
{
	const struct vhost_user_log log = { .size_bytes = 64 };
	struct vhost_user_inflight inflight = { 0, 0, 1, 64, { 0 } };
	int fd = rh_memfd_create("log", PAGE);
	int event_fd = rh_eventfd_create();
	struct world world;
	uint64_t value;
	int channel;

	(void)state;
	create(&world);
	world_share_memory(&world);
	channel = channel_open(&world);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_STATUS, 3), 0);
	world_tell(&world, VHOST_USER_SET_LOG_BASE, &log, sizeof(log), fd);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_SET_LOG_BASE,
					  &value, sizeof(value)),
			 sizeof(value));
	assert_int_equal(
		world_ask(&world, VHOST_USER_SET_LOG_FD, NULL, 0, event_fd), 0);
	inflight.mmap_bytes = rh_inflight_bytes(1, 64);
	assert_int_equal(ftruncate(fd, 16 * PAGE), 0);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_INFLIGHT_FD,
				   &inflight, sizeof(inflight), fd),
			 0);
	set_protocol(&world, PROTOCOL(REPLY_ACK));
	handover(&world);
	assert_int_equal(world.device->session.status.byte, 3);
	assert_int_equal(world.device->session.map->nr_regions, 1);
	assert_int_equal(world.device->session.inflight.nr_queues, 1);
	assert_true(rh_dirty_log_exists(&world.device->session.log));
	assert_int_equal(world.device->session.outbox.channel.state,
			 RH_CHANNEL_OPEN);
	set_protocol(&world, 0);
	handover(&world);
	assert_int_equal(world.device->session.session.protocol_features, 0);
	close(fd);
	close(event_fd);
	close(channel);
	world_destroy(&world);
}

/* With room for split rings only, and a size that these cannot have */
static void an_inflight_region_for_another_layout(void **state)
{
	const uint64_t split_bytes = rh_inflight_part_bytes(false, 128);
	const struct vhost_user_inflight split = {
		split_bytes, 0, 1, 128, { 0 }
	};
	struct vhost_user_inflight packed = { 0, 0, 1, 100, { 0 } };
	int fd = rh_memfd_create("inflight", 16 * PAGE);
	struct world world;
	uint64_t features;

	(void)state;
	create(&world);
	features = offered(&world) & ~PLATFORM;
	assert_true(split_bytes < rh_inflight_part_bytes(true, 128));
	assert_int_equal(world_ask(&world, VHOST_USER_SET_INFLIGHT_FD, &split,
				   sizeof(split), fd),
			 0);
	set_features(&world, features);
	handover(&world);
	assert_int_equal(world.device->session.inflight.queue_size, 128);
	packed.mmap_bytes = rh_inflight_bytes(1, 100);
	assert_int_equal(world_ask(&world, VHOST_USER_SET_INFLIGHT_FD, &packed,
				   sizeof(packed), fd),
			 0);
	set_features(&world, features & ~PACKED);
	handover(&world);
	assert_int_equal(world.device->session.inflight.queue_size, 100);
	close(fd);
	world_destroy(&world);
}

/* One that we made, and a record that is empty since we left it so */
static void an_inflight_region_of_ours_and_a_settled_queue(void **state)
{
	struct vhost_user_inflight wire = { 0, 0, WORLD_QUEUES, 64, { 0 } };
	struct rh_incoming answer;
	struct world world;

	(void)state;
	create(&world);
	world_share_memory(&world);
	world_tell(&world, VHOST_USER_GET_INFLIGHT_FD, &wire, sizeof(wire), -1);
	world_run(&world);
	assert_int_equal(world_take_reply_fds(&world, &answer), 1);
	rh_incoming_reset(&answer);
	world_start_queue(&world, 0);
	handover(&world);
	assert_true(world.device->session.inflight.has_run);
	assert_non_null(queue_of(&world, 0)->record);
	set(&world, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	handover(&world);
	assert_true(queue_of(&world, 0)->is_settled);
	assert_false(queue_of(&world, 1)->is_settled);
	world_destroy(&world);
}

static void a_position_that_is_only_to_be_told(void **state)
{
	struct vhost_user_vring_state vring = { 0 };
	struct world world;

	(void)state;
	create(&world);
	world_share_memory(&world);
	set(&world, VHOST_USER_SET_VRING_BASE, 0, 7);
	assert_int_equal(world_ask_u64(&world, VHOST_USER_SET_STATUS, 0), 0);
	handover(&world);
	world_tell(&world, VHOST_USER_GET_VRING_BASE, &vring, sizeof(vring),
		   -1);
	world_run(&world);
	assert_int_equal(world_take_reply(&world, VHOST_USER_GET_VRING_BASE,
					  &vring, sizeof(vring)),
			 sizeof(vring));
	assert_int_equal(vring.num, 7);
	world_destroy(&world);
}

static void update(struct world *world, uint64_t iova, uint64_t bytes,
		   uint64_t user, uint8_t permission)
{
	const struct vhost_user_iotlb message = {
		.iova = iova,
		.size_bytes = bytes,
		.user_addr = user,
		.permission = permission,
		.type = VHOST_IOTLB_UPDATE,
	};

	assert_int_equal(world_ask(world, VHOST_USER_IOTLB_MSG, &message,
				   sizeof(message), -1),
			 0);
}

static void what_the_iommu_allows(void **state)
{
	struct world world;

	(void)state;
	create(&world);
	set_features(&world, offered(&world) & ~PACKED);
	world_share_memory(&world);
	update(&world, 0, 0x1000, WORLD_USER_BASE, VHOST_ACCESS_RO);
	update(&world, 0x1000, 0x1000, WORLD_USER_BASE + 0x5000,
	       VHOST_ACCESS_WO);
	update(&world, UINT64_MAX - 0xfff, 0x1000, WORLD_USER_BASE,
	       VHOST_ACCESS_RW);
	update(&world, WORLD_USER_BASE, 0x4000, WORLD_USER_BASE,
	       VHOST_ACCESS_RW);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 1);
	handover(&world);
	assert_int_equal(world.nr_started, 1);
	world_destroy(&world);
}

/* The ring lies where nobody has said anything yet; without a channel, too. */
static void a_ring_whose_address_was_asked_for(void **state)
{
	struct vhost_user_iotlb question;
	struct world world;
	int channel;

	(void)state;
	create(&world);
	set_features(&world, offered(&world) & ~PACKED);
	world_share_memory(&world);
	world_start_queue(&world, 0);
	handover(&world);
	channel = channel_open(&world);
	channel_expect(channel, VHOST_USER_BACKEND_IOTLB_MSG, &question,
		       sizeof(question));
	handover(&world);
	/* of the first one, which is then not the answer to the second one */
	channel_answer(channel, VHOST_USER_BACKEND_IOTLB_MSG, 0, -1);
	world_run(&world);
	channel_expect(channel, VHOST_USER_BACKEND_IOTLB_MSG, &question,
		       sizeof(question));
	assert_int_equal(question.iova, WORLD_USER_BASE);
	assert_int_equal(world.nr_started, 0);
	update(&world, WORLD_USER_BASE, 0x4000, WORLD_USER_BASE,
	       VHOST_ACCESS_RW);
	assert_int_equal(world.nr_started, 1);
	close(channel);
	world_destroy(&world);
}

static void chains_that_come_back_in_order(void **state)
{
	struct world world;

	(void)state;
	handover_create_running(&world);
	assert_true(world.device->session.session.features &
		    FEATURE_BIT(VIRTIO_F_IN_ORDER));
	handover(&world);
	assert_true(rh_order_is_kept(&queue_of(&world, 0)->order));
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_for_a_layout_that_was_given_up),
		cmocka_unit_test(a_base_that_came_before_its_size),
		cmocka_unit_test(queues_that_were_set_up_before_the_features),
		cmocka_unit_test(
			features_that_were_set_twice_with_rings_in_between),
		cmocka_unit_test(
			rings_that_were_disabled_without_being_asked_for),
		cmocka_unit_test(protocol_features_that_were_given_up),
		cmocka_unit_test(an_inflight_region_for_another_layout),
		cmocka_unit_test(
			an_inflight_region_of_ours_and_a_settled_queue),
		cmocka_unit_test(a_position_that_is_only_to_be_told),
		cmocka_unit_test(what_the_iommu_allows),
		cmocka_unit_test(a_ring_whose_address_was_asked_for),
		cmocka_unit_test(chains_that_come_back_in_order),
	};

	return cmocka_run_group_tests_name("handover-order", tests, NULL, NULL);
}

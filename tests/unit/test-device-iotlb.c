/* SPDX-License-Identifier: MIT */
/* device - the front-end's side of an IOMMU: updates, misses, invalidations */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/device-world.h"

#define PAGE UINT64_C(4096)
/* As world_set_addr() places the first ring */
#define RING WORLD_USER_BASE

static unsigned int nr_lines;
static char line_seen[512];

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	nr_lines++;
	strncpy(line_seen, line, sizeof(line_seen) - 1);
}

static uint64_t iotlb(struct world *world, uint8_t type, uint64_t iova,
		      uint64_t bytes, uint64_t user)
{
	const struct vhost_user_iotlb message = {
		.iova = iova,
		.size_bytes = bytes,
		.user_addr = user,
		.permission = VHOST_ACCESS_RW,
		.type = type,
	};

	return world_ask(world, VHOST_USER_IOTLB_MSG, &message, sizeof(message),
			 -1);
}

static uint64_t update(struct world *world, uint64_t iova, uint64_t bytes)
{
	return iotlb(world, VHOST_IOTLB_UPDATE, iova, bytes, iova);
}

static uint64_t invalidate(struct world *world, uint64_t iova, uint64_t bytes)
{
	return iotlb(world, VHOST_IOTLB_INVALIDATE, iova, bytes, 0);
}

/* A front-end with an IOMMU; its memory is shared, no ring is set up. */
static void create(struct world *world)
{
	uint64_t features;

	world_create(world);
	world_attach(world);
	world_negotiate(world);
	features = world_get_u64(world, VHOST_USER_GET_FEATURES) &
		   ~FEATURE_BIT(VIRTIO_F_RING_PACKED);
	assert_true(features & FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM));
	assert_int_equal(
		world_ask_u64(world, VHOST_USER_SET_FEATURES, features), 0);
	world_share_memory(world);
}

static int open_channel(struct world *world)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(world_ask(world, VHOST_USER_SET_BACKEND_REQ_FD, NULL,
				   0, fds[1]),
			 0);
	close(fds[1]);
	return fds[0];
}

/* Returns false if nothing was asked. */
static bool take_question(int channel, struct vhost_user_iotlb *question)
{
	struct {
		struct vhost_user_header header;
		struct vhost_user_iotlb iotlb;
	} __attribute__((packed)) message;
	ssize_t bytes = recv(channel, &message, sizeof(message), MSG_DONTWAIT);

	if (bytes < 0)
		return false;
	assert_int_equal(bytes, sizeof(message));
	assert_int_equal(message.header.request, VHOST_USER_BACKEND_IOTLB_MSG);
	*question = message.iotlb;
	return true;
}

static void answer(struct world *world, int channel, uint64_t value)
{
	struct {
		struct vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) message = {
		.header = { VHOST_USER_BACKEND_IOTLB_MSG,
			    VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
			    sizeof(uint64_t) },
		.value = value,
	};

	assert_int_equal(send(channel, &message, sizeof(message), 0),
			 sizeof(message));
	world_run(world);
}

/* Behind an IOMMU, with a channel and one running queue. Returns the channel */
static int create_running(struct world *world)
{
	int channel;

	create(world);
	channel = open_channel(world);
	assert_int_equal(update(world, RING, 3 * PAGE), 0);
	world_start_queue(world, 0);
	assert_int_equal(world->nr_started, 1);
	return channel;
}

static void a_ring_is_asked_for_and_starts_when_all_of_it_is_there(void **state)
{
	struct vhost_user_iotlb question;
	struct world world;
	int channel;

	(void)state;
	create(&world);
	channel = open_channel(&world);
	world_start_queue(&world, 0);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(world.nr_started, 0);
		assert_true(take_question(channel, &question));
		assert_int_equal(question.type, VHOST_IOTLB_MISS);
		assert_int_equal(question.iova, RING + i * PAGE);
		assert_false(take_question(channel, &question));
		assert_int_equal(update(&world, RING + i * PAGE, PAGE), 0);
		answer(&world, channel, 0);
	}
	assert_int_equal(world.nr_started, 1);
	assert_false(take_question(channel, &question));
	close(channel);
	world_destroy(&world);
}

static void an_update_is_taken_while_queues_run(void **state)
{
	struct world world;
	int channel;

	(void)state;
	channel = create_running(&world);
	assert_int_equal(update(&world, PAGE, PAGE), 1);
	assert_int_equal(iotlb(&world, VHOST_IOTLB_UPDATE, PAGE, PAGE,
			       WORLD_USER_BASE),
			 0);
	assert_int_equal(world.nr_stop_asked, 0);
	close(channel);
	world_destroy(&world);
}

static void an_invalidation_is_acknowledged_when_all_is_quiet(void **state)
{
	const struct vhost_user_iotlb message = {
		.iova = PAGE,
		.size_bytes = PAGE,
		.type = VHOST_IOTLB_INVALIDATE,
	};
	struct world world;
	uint64_t failed;
	int channel;

	(void)state;
	channel = create_running(&world);
	world.slow = true;
	world_tell(&world, VHOST_USER_IOTLB_MSG, &message, sizeof(message), -1);
	world_run(&world);
	assert_int_equal(world.nr_stop_asked, 1);
	assert_true(rh_queue_running(&world.device->queues[0]));
	world_give_back(&world);
	world.slow = false;
	assert_int_equal(world.nr_started, 2);
	assert_int_equal(world_take_reply(&world, VHOST_USER_IOTLB_MSG, &failed,
					  sizeof(failed)),
			 -1); /* it did not ask for one */
	assert_int_equal(invalidate(&world, PAGE, PAGE), 0);
	close(channel);
	world_destroy(&world);
}

static void a_ring_that_is_invalidated_is_asked_for_anew(void **state)
{
	struct vhost_user_iotlb question;
	struct world world;
	int channel;

	(void)state;
	channel = create_running(&world);
	assert_int_equal(invalidate(&world, 0, 0), 0);
	assert_false(rh_queue_running(&world.device->queues[0]));
	assert_true(take_question(channel, &question));
	assert_int_equal(question.iova, RING);
	assert_int_equal(update(&world, RING, 3 * PAGE), 0);
	assert_true(rh_queue_running(&world.device->queues[0]));
	close(channel);
	world_destroy(&world);
}

static void what_is_no_update_and_no_invalidation_is_refused(void **state)
{
	struct world world;
	int channel;

	(void)state;
	channel = create_running(&world);
	for (unsigned int type = 0; type < 256; type++) {
		if (type == VHOST_IOTLB_UPDATE ||
		    type == VHOST_IOTLB_INVALIDATE)
			continue;
		assert_int_equal(iotlb(&world, (uint8_t)type, RING, PAGE, RING),
				 1);
	}
	assert_int_equal(update(&world, RING, 0), 1);
	assert_int_equal(update(&world, UINT64_MAX, 2), 1);
	assert_int_equal(update(&world, RING, WORLD_MEMORY_BYTES + 1), 1);
	assert_int_equal(invalidate(&world, UINT64_MAX, 2), 1);
	assert_true(rh_queue_running(&world.device->queues[0]));
	close(channel);
	world_destroy(&world);
}

static void without_the_bit_the_message_is_refused(void **state)
{
	struct world world;

	(void)state;
	world_create_running(&world);
	assert_int_equal(update(&world, RING, PAGE), 1);
	assert_int_equal(invalidate(&world, 0, 0), 1);
	assert_int_equal(world.nr_stop_asked, 0);
	world_destroy(&world);
}

static void without_a_channel_the_log_says_what_is_missing(void **state)
{
	struct world world;
	int channel;

	(void)state;
	nr_lines = 0;
	rh_log_set(remember, NULL, RH_LOG_WARNING);
	create(&world);
	world_start_queue(&world, 0);
	assert_int_equal(world.nr_started, 0);
	assert_true(nr_lines > 0);
	assert_non_null(strstr(line_seen, "SET_BACKEND_REQ_FD"));
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	/* it may come later */
	channel = open_channel(&world);
	assert_int_equal(update(&world, RING, 3 * PAGE), 0);
	assert_int_equal(world.nr_started, 1);
	close(channel);
	world_destroy(&world);
}

static void new_memory_and_new_features_empty_the_table(void **state)
{
	struct vhost_user_iotlb question;
	struct vhost_user_single_region region = world_whole_memory();
	struct world world;
	int channel;

	(void)state;
	channel = create_running(&world);
	assert_int_equal(world_ask(&world, VHOST_USER_REM_MEM_REG, &region,
				   sizeof(region), -1),
			 0);
	assert_false(rh_queue_running(&world.device->queues[0]));
	assert_true(take_question(channel, &question));
	/* what it says of memory that is gone is refused */
	assert_int_equal(update(&world, RING, PAGE), 1);
	world_share_memory(&world);
	assert_int_equal(update(&world, RING, 3 * PAGE), 0);
	assert_true(rh_queue_running(&world.device->queues[0]));
	close(channel);
	world_destroy(&world);
}

static void a_refused_ring_is_tried_again_after_an_update(void **state)
{
	struct vhost_user_iotlb question;
	struct world world;
	int channel;

	(void)state;
	create(&world);
	channel = open_channel(&world);
	world_start_queue(&world, 0);
	assert_true(take_question(channel, &question));
	answer(&world, channel, 1);
	assert_int_equal(world.nr_started, 0);
	assert_false(take_question(channel, &question));
	assert_int_equal(update(&world, RING, 3 * PAGE), 0);
	assert_int_equal(world.nr_started, 1);
	close(channel);
	world_destroy(&world);
}

static void a_channel_that_ends_leaves_the_question_for_the_next(void **state)
{
	struct vhost_user_iotlb question;
	struct world world;
	int channel;

	(void)state;
	create(&world);
	channel = open_channel(&world);
	world_start_queue(&world, 0);
	assert_true(take_question(channel, &question));
	close(channel);
	world_run(&world);
	channel = open_channel(&world);
	assert_true(take_question(channel, &question));
	assert_int_equal(question.iova, RING);
	close(channel);
	world_destroy(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_ring_is_asked_for_and_starts_when_all_of_it_is_there),
		cmocka_unit_test(an_update_is_taken_while_queues_run),
		cmocka_unit_test(
			an_invalidation_is_acknowledged_when_all_is_quiet),
		cmocka_unit_test(a_ring_that_is_invalidated_is_asked_for_anew),
		cmocka_unit_test(
			what_is_no_update_and_no_invalidation_is_refused),
		cmocka_unit_test(without_the_bit_the_message_is_refused),
		cmocka_unit_test(
			without_a_channel_the_log_says_what_is_missing),
		cmocka_unit_test(new_memory_and_new_features_empty_the_table),
		cmocka_unit_test(a_refused_ring_is_tried_again_after_an_update),
		cmocka_unit_test(
			a_channel_that_ends_leaves_the_question_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

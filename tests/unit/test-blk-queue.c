/* SPDX-License-Identifier: MIT */
/* blk-queue - requests go to the driver and come back once each */
#include <errno.h>
#include <string.h>

#include "tests/unit/blk-disk.h"

static struct blk_disk disk;

static int usual_disk(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ 0 });
	return 0;
}

static int disk_without_flush(void **state)
{
	(void)state;
	disk_init(&disk, &(struct disk_setup){ .no_flush = true });
	return 0;
}

static int no_disk_left(void **state)
{
	(void)state;
	disk_deinit(&disk);
	return 0;
}

/*
 * Several requests at a time: number i reads or writes sector i from its own
 * place in the data area, with a header and a status of its own behind it.
 */
static uint64_t place_of(unsigned int i)
{
	return disk.data + i * UINT64_C(1024);
}

static uint8_t status_of(unsigned int i)
{
	return *(uint8_t *)ring_at(&disk.ring, place_of(i) + 528);
}

static void send_number(unsigned int i, uint32_t type)
{
	uint64_t place = place_of(i);
	struct ring_buffer buffers[] = {
		{ place + 512, 16, false },
		{ place, 512, type == VIRTIO_BLK_T_IN },
		{ place + 528, 1, true },
	};

	disk_header(&disk, type, i);
	memcpy(ring_at(&disk.ring, place + 512),
	       ring_at(&disk.ring, disk.header), 16);
	*(uint8_t *)ring_at(&disk.ring, place + 528) = DISK_STATUS_UNSET;
	assert_int_equal(disk_send(&disk, buffers, 3), i * 3);
}

static void assert_used(uint32_t expected_id, uint32_t expected_len)
{
	uint32_t id;
	uint32_t len;

	assert_true(ring_take_used(&disk.ring, &id, &len));
	assert_int_equal(id, expected_id);
	assert_int_equal(len, expected_len);
}

static void assert_nothing_used(void)
{
	uint32_t id;
	uint32_t len;

	assert_false(ring_take_used(&disk.ring, &id, &len));
}

static void set_cache(uint8_t wce)
{
	assert_int_equal(virtio_blk_config_set(disk.blk, 32, &wce, 1), 0);
}

/* So that no more memory is touched than was needed at a time. */
static void the_slot_that_was_freed_last_is_used_first(void **state)
{
	struct blk_request *held[4];

	(void)state;
	disk.answer = DRIVER_QUEUED;
	for (unsigned int i = 0; i < 4; i++)
		send_number(i, VIRTIO_BLK_T_IN);
	disk_turn(&disk);
	memcpy(held, disk.held, sizeof(held));
	disk_complete(&disk, 0, 0);
	disk_complete(&disk, 2, 0);
	blk_queue_flush(disk.queue);

	/* heads that were not in use yet */
	for (unsigned int i = 4; i < 7; i++)
		send_number(i, VIRTIO_BLK_T_IN);
	disk_turn(&disk);
	assert_int_equal(disk.nr_held, 7);
	assert_ptr_equal(disk.held[4], held[2]);
	assert_ptr_equal(disk.held[5], held[0]);
	for (unsigned int i = 0; i < ARRAY_SIZE(held); i++)
		assert_ptr_not_equal(disk.held[6], held[i]);
	disk_complete(&disk, 1, 0);
	for (unsigned int i = 3; i < 7; i++)
		disk_complete(&disk, i, 0);
	blk_queue_flush(disk.queue);
}

/* Behaviour 25 */
static void requests_run_concurrently_and_end_in_any_order(void **state)
{
	(void)state;
	disk.answer = DRIVER_QUEUED;
	for (unsigned int i = 0; i < 4; i++)
		send_number(i, VIRTIO_BLK_T_IN);
	assert_false(disk_turn(&disk));
	assert_int_equal(disk.nr_held, 4);
	assert_int_equal(blk_queue_under_way(disk.queue), 4);
	assert_nothing_used();

	disk_complete(&disk, 2, 0);
	disk_complete(&disk, 0, -EIO);
	assert_int_equal(blk_queue_under_way(disk.queue), 2);
	blk_queue_flush(disk.queue);
	assert_used(2 * 3, 513);
	assert_used(0, 1);
	assert_nothing_used();
	assert_int_equal(status_of(2), VIRTIO_BLK_S_OK);
	assert_int_equal(status_of(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(status_of(1), DISK_STATUS_UNSET);
	assert_int_equal(status_of(3), DISK_STATUS_UNSET);

	disk_complete(&disk, 3, 0);
	disk_complete(&disk, 1, 0);
	blk_queue_flush(disk.queue);
	assert_used(3 * 3, 513);
	assert_used(1 * 3, 513);
	assert_memory_equal(ring_at(&disk.ring, place_of(3)),
			    disk.storage + 3 * 512, 512);
}

/* Behaviour 31: one flush, so one notification, for all of them */
static void nothing_is_shown_before_the_flush(void **state)
{
	unsigned int budget = 3;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		send_number(i, VIRTIO_BLK_T_OUT);
	blk_queue_take(disk.queue, &budget);
	assert_nothing_used();
	assert_true(blk_queue_flush(disk.queue));
	for (unsigned int i = 0; i < 3; i++)
		assert_used(i * 3, 1);
	assert_false(blk_queue_flush(disk.queue));
}

static void progress_is_told_of_late_completions_only(void **state)
{
	(void)state;
	send_number(0, VIRTIO_BLK_T_OUT);
	disk_turn(&disk);
	assert_int_equal(disk.nr_progress, 0);
	disk.answer = DRIVER_QUEUED;
	send_number(1, VIRTIO_BLK_T_OUT);
	disk_turn(&disk);
	assert_int_equal(disk.nr_progress, 0);
	disk_complete(&disk, 0, 0);
	assert_int_equal(disk.nr_progress, 1);
}

/* G-25 */
static void a_full_ring_is_served_in_one_turn(void **state)
{
	struct ring_buffer buffer = { disk.data, 1, true };

	(void)state;
	for (unsigned int i = 0; i < DISK_RING_SIZE; i++)
		disk_send(&disk, &buffer, 1);
	assert_false(disk_turn(&disk));
	for (unsigned int i = 0; i < DISK_RING_SIZE; i++)
		assert_used(i, 1);
	assert_nothing_used();
}

static void make_the_same_head_available_again(struct blk_disk *of)
{
	ring_make_available(&of->ring, 0);
}

/* G-19 */
static void a_flooding_guest_gets_a_budget_of_requests_a_turn(void **state)
{
	unsigned int budget = 10;

	(void)state;
	disk.at_submit = make_the_same_head_available_again;
	send_number(0, VIRTIO_BLK_T_OUT);
	assert_true(blk_queue_take(disk.queue, &budget));
	assert_int_equal(budget, 0);
	assert_int_equal(disk.nr_calls, 10);
	disk.at_submit = NULL;
	budget = 10;
	assert_false(blk_queue_take(disk.queue, &budget));
	assert_int_equal(budget, 9);
	assert_int_equal(disk.nr_calls, 11);
}

static void a_spent_budget_is_not_exceeded(void **state)
{
	unsigned int budget = 3;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		send_number(i, VIRTIO_BLK_T_OUT);
	assert_false(blk_queue_take(disk.queue, &budget));
	send_number(3, VIRTIO_BLK_T_OUT);
	assert_true(blk_queue_take(disk.queue, &budget));
	assert_int_equal(disk.nr_calls, 3);
}

static void large_requests_cost_more_of_the_budget(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, 2 * BLK_BYTES_A_UNIT, true },
		{ disk.status, 1, true },
	};
	unsigned int budget = 5;

	(void)state;
	disk_header(&disk, VIRTIO_BLK_T_IN, 0);
	for (unsigned int i = 0; i < 3; i++)
		disk_send(&disk, buffers, 3);
	/* 1 + 2 units each: the second one is begun with 2 left */
	assert_true(blk_queue_take(disk.queue, &budget));
	assert_int_equal(budget, 0);
	assert_int_equal(disk.nr_calls, 2);
}

/* D-14 */
static void what_a_busy_driver_left_goes_first_and_in_order(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		send_number(i, VIRTIO_BLK_T_OUT);
	disk.nr_busy = 1;
	assert_false(disk_turn(&disk));
	/* nothing was popped beyond the one that it was too busy for */
	assert_int_equal(blk_queue_under_way(disk.queue), 1);
	assert_int_equal(disk.nr_busy_calls, 1);
	assert_int_equal(disk.nr_calls, 0);
	assert_nothing_used();

	disk.nr_busy = 1;
	assert_false(disk_turn(&disk));
	assert_int_equal(blk_queue_under_way(disk.queue), 1);
	assert_int_equal(disk.nr_busy_calls, 2);
	assert_true(blk_queue_waits(disk.queue));

	assert_false(disk_turn(&disk));
	assert_false(blk_queue_waits(disk.queue));
	assert_int_equal(disk.nr_calls, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(disk.calls[i].offset_bytes, i * 512);
		assert_used(i * 3, 1);
	}
}

/* D-14 */
static void a_driver_busy_at_each_submit_still_gets_all_of_it(void **state)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 10, false },	{ disk.header + 10, 6, false },
		{ disk.data, 700, true },	{ disk.data + 700, 1, true },
		{ disk.data + 701, 324, true },
	};

	(void)state;
	buffers[4].len = 1024 - 701 + 1; /* the status too */
	for (unsigned int i = 0; i < 20; i++) {
		disk_header(&disk, VIRTIO_BLK_T_IN, i);
		disk_send(&disk, buffers, 5);
		disk.nr_busy = 1;
		assert_false(disk_turn(&disk));
		assert_nothing_used();
		assert_false(disk_turn(&disk));
		assert_memory_equal(disk_data(&disk), disk.storage + i * 512,
				    1024);
		disk.ring.used_idx++;
	}
	assert_int_equal(disk.nr_busy_calls, 20);
}

/* Behaviour 18, 33 */
static void a_queue_that_stops_retries_and_takes_nothing_new(void **state)
{
	(void)state;
	send_number(0, VIRTIO_BLK_T_OUT);
	send_number(1, VIRTIO_BLK_T_OUT);
	disk.nr_busy = 2;
	assert_false(disk_turn(&disk));
	assert_false(blk_queue_retry(disk.queue));
	assert_int_equal(disk.nr_calls, 0);
	assert_true(blk_queue_retry(disk.queue));
	assert_int_equal(disk.nr_calls, 1);
	assert_int_equal(blk_queue_under_way(disk.queue), 0);
	assert_true(blk_queue_retry(disk.queue));
	assert_int_equal(disk.nr_calls, 1);
}

/* Behaviour 24; one function turns an errno into a status */
static void the_guest_learns_how_the_driver_failed(void **state)
{
	const struct {
		int result;
		uint8_t status;
	} rows[] = {
		{ -EIO, VIRTIO_BLK_S_IOERR },
		{ -ENOSPC, VIRTIO_BLK_S_IOERR },
		{ -EROFS, VIRTIO_BLK_S_IOERR },
		{ -EBADF, VIRTIO_BLK_S_IOERR },
		{ -EINVAL, VIRTIO_BLK_S_IOERR },
		{ -ETIMEDOUT, VIRTIO_BLK_S_IOERR },
		{ -EOPNOTSUPP, VIRTIO_BLK_S_UNSUPP },
	};
	const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
				   VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_DISCARD };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		disk.result = rows[i].result;
		for (unsigned int t = 0; t < ARRAY_SIZE(types); t++) {
			uint32_t bytes = t == 3 ? 16 : 512;

			disk_segment(&disk, 0, 0, 8, 0);
			assert_reply(disk_request(&disk, types[t], 0, bytes,
						  t == 0),
				     rows[i].status, 1);
		}
	}
}

static const uint32_t changing[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
				     VIRTIO_BLK_T_WRITE_ZEROES };

/* The flags that the driver saw with each kind of change. */
static void assert_changes_are_durable(bool durable)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(changing); i++) {
		bool write = changing[i] == VIRTIO_BLK_T_OUT;

		disk.nr_calls = 0;
		disk_segment(&disk, 0, 0, 8, 0);
		assert_reply(disk_request(&disk, changing[i], 0,
					  write ? 512 : 16, false),
			     VIRTIO_BLK_S_OK, 1);
		assert_int_equal(disk.calls[0].flags, durable ? BLK_FUA : 0);
	}
}

/* Behaviour 23 */
static void changes_are_durable_unless_the_guest_can_flush(void **state)
{
	const uint8_t on = 1;

	(void)state;
	assert_changes_are_durable(true);
	assert_int_equal(virtio_blk_config_set(disk.blk, 32, &on, 1), 0);
	assert_changes_are_durable(true);
	virtio_blk_features_set(disk.blk, UINT64_C(1) << VIRTIO_BLK_F_FLUSH);
	assert_changes_are_durable(false);
	virtio_blk_reset(disk.blk);
	assert_changes_are_durable(true);
}

/* Behaviour 23 */
static void changes_are_durable_while_the_cache_is_off(void **state)
{
	(void)state;
	assert_changes_are_durable(false);
	set_cache(0);
	assert_changes_are_durable(true);
	set_cache(1);
	assert_changes_are_durable(false);
}

static void reads_and_flushes_are_never_marked_durable(void **state)
{
	(void)state;
	set_cache(0);
	disk_read(&disk, 0, 512);
	disk_request(&disk, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	assert_int_equal(disk.calls[0].flags, 0);
	assert_int_equal(disk.calls[1].flags, 0);
}

/* Behaviour 23: what the driver gets after the change counts */
static void a_write_that_waited_obeys_the_new_cache_mode(void **state)
{
	(void)state;
	send_number(0, VIRTIO_BLK_T_OUT);
	disk.nr_busy = 1;
	disk_turn(&disk);
	set_cache(0);
	disk_turn(&disk);
	assert_int_equal(disk.calls[0].flags, BLK_FUA);

	send_number(1, VIRTIO_BLK_T_OUT);
	disk.nr_busy = 1;
	disk_turn(&disk);
	set_cache(1);
	disk_turn(&disk);
	assert_int_equal(disk.calls[1].flags, 0);
}

static void send_segments(unsigned int nr)
{
	struct ring_buffer buffers[] = {
		{ disk.header, 16, false },
		{ disk.data, nr * 16, false },
		{ disk.status, 1, true },
	};

	for (unsigned int i = 0; i < nr; i++)
		disk_segment(&disk, i, i * 8, 8, 0);
	disk_header(&disk, VIRTIO_BLK_T_DISCARD, 0);
	disk_send(&disk, buffers, 3);
}

/* Behaviour 30 */
static void segments_are_carried_out_one_after_another(void **state)
{
	(void)state;
	disk.answer = DRIVER_QUEUED;
	send_segments(3);
	disk_turn(&disk);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(disk.nr_held, i + 1);
		assert_int_equal(disk.calls[i].offset_bytes, i * 8 * 512);
		assert_nothing_used();
		disk_complete(&disk, i, 0);
		blk_queue_flush(disk.queue);
	}
	assert_int_equal(disk.nr_held, 3);
	assert_used(0, 1);
	assert_nothing_used();
}

/* Behaviour 30 */
static void a_failed_segment_is_the_last_one(void **state)
{
	(void)state;
	disk.answer = DRIVER_QUEUED;
	send_segments(3);
	disk_turn(&disk);
	disk_complete(&disk, 0, 0);
	disk_complete(&disk, 1, -EIO);
	blk_queue_flush(disk.queue);
	assert_int_equal(disk.nr_calls, 2);
	assert_used(0, 1);
	assert_int_equal(*(uint8_t *)ring_at(&disk.ring, disk.status),
			 VIRTIO_BLK_S_IOERR);
}

/* D-14 */
static void a_segment_waits_for_a_busy_driver_too(void **state)
{
	(void)state;
	disk.answer = DRIVER_QUEUED;
	send_segments(2);
	disk_turn(&disk);
	disk.nr_busy = 1;
	disk_complete(&disk, 0, 0);
	assert_int_equal(disk.nr_calls, 1);
	assert_int_equal(disk.nr_progress, 1);
	assert_int_equal(blk_queue_under_way(disk.queue), 1);
	disk_turn(&disk);
	assert_int_equal(disk.nr_calls, 2);
	assert_int_equal(disk.calls[1].offset_bytes, 8 * 512);
	disk_complete(&disk, 1, 0);
	blk_queue_flush(disk.queue);
	assert_used(0, 1);
}

/* G-20 */
static void a_broken_queue_finishes_what_is_under_way(void **state)
{
	struct ring_buffer hopeless = { disk.header, 16, false };

	(void)state;
	disk.answer = DRIVER_QUEUED;
	send_number(0, VIRTIO_BLK_T_OUT);
	disk_send(&disk, &hopeless, 1);
	assert_false(disk_turn(&disk));
	assert_true(rh_queue_broken(&disk.ring.queue));
	assert_int_equal(blk_queue_under_way(disk.queue), 1);
	disk_complete(&disk, 0, 0);
	blk_queue_flush(disk.queue);
	assert_used(0, 1);
	assert_int_equal(status_of(0), VIRTIO_BLK_S_OK);
	assert_nothing_used();
}

/* Behaviour 26 */
static void a_slot_serves_one_request_after_another(void **state)
{
	(void)state;
	send_segments(3);
	disk_turn(&disk);
	disk.ring.used_idx++;
	disk.next_desc = 0;
	disk.nr_calls = 0;
	send_number(0, VIRTIO_BLK_T_IN);
	disk_turn(&disk);
	assert_used(0, 513);
	assert_int_equal(disk.nr_calls, 1);
	disk.next_desc = 0;
	disk.nr_calls = 0;
	send_number(0, VIRTIO_BLK_T_OUT);
	disk_turn(&disk);
	assert_used(0, 1);
	assert_int_equal(disk.nr_calls, 1);
}

#define TEST_ON(setup, name)                                                   \
	cmocka_unit_test_setup_teardown(name, setup, no_disk_left)
#define TEST(name) TEST_ON(usual_disk, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_slot_that_was_freed_last_is_used_first),
		TEST(requests_run_concurrently_and_end_in_any_order),
		TEST(nothing_is_shown_before_the_flush),
		TEST(progress_is_told_of_late_completions_only),
		TEST(a_full_ring_is_served_in_one_turn),
		TEST(a_flooding_guest_gets_a_budget_of_requests_a_turn),
		TEST(a_spent_budget_is_not_exceeded),
		TEST(large_requests_cost_more_of_the_budget),
		TEST(what_a_busy_driver_left_goes_first_and_in_order),
		TEST(a_driver_busy_at_each_submit_still_gets_all_of_it),
		TEST(a_queue_that_stops_retries_and_takes_nothing_new),
		TEST(the_guest_learns_how_the_driver_failed),
		TEST_ON(disk_without_flush,
			changes_are_durable_unless_the_guest_can_flush),
		TEST(changes_are_durable_while_the_cache_is_off),
		TEST(reads_and_flushes_are_never_marked_durable),
		TEST(a_write_that_waited_obeys_the_new_cache_mode),
		TEST(segments_are_carried_out_one_after_another),
		TEST(a_failed_segment_is_the_last_one),
		TEST(a_segment_waits_for_a_busy_driver_too),
		TEST(a_broken_queue_finishes_what_is_under_way),
		TEST(a_slot_serves_one_request_after_another),
	};

	return cmocka_run_group_tests_name("blk-queue", tests, NULL, NULL);
}

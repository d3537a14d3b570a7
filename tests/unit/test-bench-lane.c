/* SPDX-License-Identifier: MIT */
/* bench-lane - one queue at work: asked, answered, counted */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ringhost/log.h>

#include "bench/lane.h"
#include "common/nsec.h"
#include "common/fd.h"
#include "tests/unit/hand-device.h"

#define DEPTH	     4
#define BLOCK_BYTES  1024
#define NR_BLOCKS    16
#define MEMORY_BYTES (1u << 20)

struct fixture {
	struct fe_memory memory;
	struct lane lane;
	struct hand_device device;
	uint8_t disk[NR_BLOCKS * BLOCK_BYTES];
	char logged[512];
	unsigned int nr_logged;
};

static void remember(void *opaque, enum rh_log_level level, const char *tag,
		     const char *line)
{
	struct fixture *f = opaque;

	(void)level;
	(void)tag;
	snprintf(f->logged, sizeof(f->logged), "%s", line);
	f->nr_logged++;
}

static struct fixture *start(uint32_t read_percent, uint64_t rate, bool verify)
{
	static struct fixture f;
	struct lane_setup setup = {
		.shape = { .size = 16,
			   .nr_slots = DEPTH,
			   .data_bytes = BLOCK_BYTES },
		.block_bytes = BLOCK_BYTES,
		.run = 5,
		.verify = verify,
	};

	memset(&f, 0, sizeof(f));
	rh_log_set(remember, &f, RH_LOG_ERROR);
	assert_int_equal(fe_memory_add(&f.memory, 0, MEMORY_BYTES), 0);
	job_init(&setup.job, (struct job_range){ 0, NR_BLOCKS }, false,
		 read_percent, 1);
	assert_int_equal(lane_init(&f.lane, &f.memory, &setup), 0);
	lane_start(&f.lane, rate);
	f.device.vq = &f.lane.vq;
	return &f;
}

static void stop(struct fixture *f)
{
	lane_deinit(&f->lane);
	lane_deinit(&f->lane); /* harmless */
	fe_memory_deinit(&f->memory);
}

/* Carry out one request that waits; returns false when none does. */
static bool serve(struct fixture *f, uint8_t status)
{
	const struct virtio_blk_outhdr *header;
	struct hand_request request;
	uint8_t *place;
	void *data;

	if (!hand_take(&f->device, &request))
		return false;
	header = hand_pointer(&f->device, &request.pieces[0]);
	data = hand_pointer(&f->device, &request.pieces[1]);
	assert_in_range(le64toh(header->sector), 0, 2 * NR_BLOCKS - 2);
	place = f->disk + le64toh(header->sector) * 512;
	if (le32toh(header->type) == VIRTIO_BLK_T_OUT && status == 0)
		memcpy(place, data, BLOCK_BYTES);
	else if (le32toh(header->type) == VIRTIO_BLK_T_IN)
		memcpy(data, place, BLOCK_BYTES);
	hand_complete(&f->device, &request, status);
	return true;
}

static void serve_all(struct fixture *f)
{
	while (serve(f, VIRTIO_BLK_S_OK))
		continue;
}

static void it_keeps_iodepth_requests_under_way(void **state)
{
	struct fixture *f = start(100, 0, false);

	(void)state;
	assert_true(lane_is_idle(&f->lane));
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), DEPTH);
	assert_int_equal(atomic_load(&f->lane.nr_under_way), DEPTH);
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), 0);
	assert_true(serve(f, VIRTIO_BLK_S_OK));
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), 2); /* out and in */
	assert_int_equal(atomic_load(&f->lane.nr_under_way), DEPTH);
	assert_int_equal(atomic_load(&f->lane.nr_answered), 1);
	assert_int_equal(f->lane.reads.latency.nr, 1);
	assert_int_equal(f->lane.writes.latency.nr, 0);
	stop(f);
}

static void a_batch_is_one_kick(void **state)
{
	struct fixture *f = start(100, 0, false);

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(f->lane.nr_kicks, 1);
	assert_true(rh_eventfd_drain(f->lane.vq.vring.kick_fd));
	serve_all(f);
	f->lane.vq.vring.used->flags = htole16(VRING_USED_F_NO_NOTIFY);
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(f->lane.nr_kicks, 1);
	assert_false(rh_eventfd_drain(f->lane.vq.vring.kick_fd));
	stop(f);
}

/* As a guest's driver does: asked for before the request is sent. */
static void who_waits_asks_for_a_call_with_the_next_used_entry(void **state)
{
	struct fixture *f = start(100, 0, false);
	const struct fe_vring *vring = &f->lane.vq.vring;

	(void)state;
	assert_int_equal(le16toh(vring->avail->flags),
			 VRING_AVAIL_F_NO_INTERRUPT);
	lane_turn(&f->lane, LANE_ASKS); /* it polls */
	assert_int_equal(le16toh(vring->avail->flags),
			 VRING_AVAIL_F_NO_INTERRUPT);
	f->lane.waits = true;
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(le16toh(vring->avail->flags), 0);
	lane_wake(&f->lane);
	assert_int_equal(le16toh(vring->avail->flags),
			 VRING_AVAIL_F_NO_INTERRUPT);
	serve_all(f);
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), 2 * DEPTH);
	assert_int_equal(le16toh(vring->avail->flags), 0);
	stop(f);
}

static void who_ends_asks_nothing_more_and_counts_nothing(void **state)
{
	struct fixture *f = start(100, 0, false);

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	serve_all(f);
	assert_int_equal(lane_turn(&f->lane, LANE_ENDS), DEPTH);
	assert_true(lane_is_idle(&f->lane));
	assert_int_equal(lane_turn(&f->lane, LANE_ENDS), 0);
	assert_int_equal(f->lane.reads.latency.nr, 0);
	stop(f);
}

static void latency_is_from_publication_to_use(void **state)
{
	struct fixture *f = start(0, 0, false);
	uint64_t before, after;

	(void)state;
	before = nsec_now();
	lane_turn(&f->lane, LANE_ASKS);
	after = nsec_now();
	while (nsec_now() < after + 2 * NSEC_PER_MSEC)
		continue;
	serve_all(f);
	lane_turn(&f->lane, LANE_ENDS);
	lane_turn(&f->lane, LANE_ASKS);
	serve_all(f);
	lane_turn(&f->lane, LANE_ASKS);
	assert_true(f->lane.writes.latency.nr == DEPTH);
	assert_true(f->lane.writes.latency.max < nsec_now() - before);
	/* and again, with a wait in between */
	after = nsec_now();
	while (nsec_now() < after + 2 * NSEC_PER_MSEC)
		continue;
	serve_all(f);
	lane_turn(&f->lane, LANE_ASKS);
	assert_true(f->lane.writes.latency.max >= 2 * NSEC_PER_MSEC);
	stop(f);
}

/*
 * With requests that are due every millisecond, the first of which has been
 * made: again until no second one has become due before one could look.
 */
static struct fixture *start_with_one(void)
{
	struct fixture *f;
	unsigned int nr;

	for (;;) {
		f = start(100, 1000, false);
		nr = lane_turn(&f->lane, LANE_ASKS);
		if (nsec_now() < f->lane.pace.start_nsec + NSEC_PER_MSEC)
			break;
		stop(f);
	}
	assert_int_equal(nr, 1);
	return f;
}

/* A device that is slow makes requests late, and this shows. */
static void with_a_rate_latency_is_from_when_a_request_was_due(void **state)
{
	struct fixture *f = start_with_one();
	uint64_t begin = f->lane.pace.start_nsec;

	(void)state;
	assert_int_equal(lane_due_nsec(&f->lane, LANE_ASKS),
			 begin + NSEC_PER_MSEC);
	while (nsec_now() < begin + 10 * NSEC_PER_MSEC)
		continue;
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), DEPTH - 1);
	assert_true(lane_due_nsec(&f->lane, LANE_ASKS) == UINT64_MAX);
	serve_all(f);
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(f->lane.reads.latency.nr, DEPTH);
	/* the last of the first four was due after three milliseconds */
	assert_true(f->lane.reads.latency.min >= 7 * NSEC_PER_MSEC);
	assert_true(f->lane.reads.latency.max >= 10 * NSEC_PER_MSEC);
	stop(f);
}

static void errors_are_counted_and_the_first_is_told(void **state)
{
	struct fixture *f = start(100, 0, false);

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	assert_true(serve(f, VIRTIO_BLK_S_OK));
	assert_true(serve(f, VIRTIO_BLK_S_IOERR));
	assert_true(serve(f, VIRTIO_BLK_S_IOERR));
	assert_true(serve(f, 0xff));
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(f->lane.reads.nr_errors, 3);
	assert_int_equal(f->lane.reads.latency.nr, DEPTH);
	assert_int_equal(f->nr_logged, 1);
	assert_non_null(strstr(f->logged,
			       "the read of 1024 bytes at 1024 "
			       "failed: its status is 1 (I/O error)"));
	stop(f);
}

static void a_broken_queue_stands_still(void **state)
{
	struct fixture *f = start(100, 0, false);

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	hand_use(&f->device, 1, 1);
	lane_turn(&f->lane, LANE_ASKS);
	assert_int_equal(atomic_load(&f->lane.error), -EPROTO);
	serve_all(f);
	assert_int_equal(lane_turn(&f->lane, LANE_ASKS), 0);
	stop(f);
}

/* Everything is written once, and read back. */
static struct fixture *write_all_and_stop(void)
{
	struct fixture *f = start(0, 0, true);

	while (atomic_load(&f->lane.nr_answered) < NR_BLOCKS) {
		lane_turn(&f->lane, LANE_ASKS);
		serve_all(f);
	}
	while (lane_turn(&f->lane, LANE_ENDS))
		continue;
	return f;
}

static void read_back(struct fixture *f)
{
	while (lane_turn(&f->lane, LANE_CHECKS))
		serve_all(f);
	assert_true(lane_is_idle(&f->lane));
}

static void what_was_written_is_read_back_once_and_not_counted(void **state)
{
	struct fixture *f = write_all_and_stop();

	(void)state;
	read_back(f);
	assert_int_equal(f->lane.nr_checked, NR_BLOCKS);
	assert_int_equal(f->lane.nr_mismatches, 0);
	assert_int_equal(f->lane.reads.latency.nr, 0);
	assert_int_equal(f->nr_logged, 0);
	stop(f);
}

static void damage_is_found_and_told(void **state)
{
	struct fixture *f = write_all_and_stop();

	(void)state;
	f->disk[3 * BLOCK_BYTES + 100] ^= 1;
	memset(f->disk + 5 * BLOCK_BYTES, 0, BLOCK_BYTES);
	read_back(f);
	assert_int_equal(f->lane.nr_checked, NR_BLOCKS);
	assert_int_equal(f->lane.nr_mismatches, 2);
	assert_int_equal(f->nr_logged, 1);
	stop(f);
}

static void a_lost_write_is_found(void **state)
{
	struct fixture *f = start(0, 0, true);
	uint8_t old[BLOCK_BYTES];

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	serve_all(f);
	memcpy(old, f->disk, sizeof(old));
	while (atomic_load(&f->lane.nr_answered) < 2 * NR_BLOCKS) {
		lane_turn(&f->lane, LANE_ASKS);
		serve_all(f);
	}
	memcpy(f->disk, old, sizeof(old));
	read_back(f);
	assert_int_equal(f->lane.nr_mismatches, 1);
	assert_non_null(strstr(f->logged, "holds what an earlier write wrote"));
	stop(f);
}

static void a_write_that_failed_is_not_checked(void **state)
{
	struct fixture *f = start(0, 0, true);

	(void)state;
	lane_turn(&f->lane, LANE_ASKS);
	assert_true(serve(f, VIRTIO_BLK_S_IOERR));
	serve_all(f);
	read_back(f);
	assert_int_equal(f->lane.writes.nr_errors, 1);
	assert_int_equal(f->lane.nr_checked, DEPTH - 1);
	assert_int_equal(f->lane.nr_mismatches, 0);
	stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_keeps_iodepth_requests_under_way),
		cmocka_unit_test(a_batch_is_one_kick),
		cmocka_unit_test(
			who_waits_asks_for_a_call_with_the_next_used_entry),
		cmocka_unit_test(who_ends_asks_nothing_more_and_counts_nothing),
		cmocka_unit_test(latency_is_from_publication_to_use),
		cmocka_unit_test(
			with_a_rate_latency_is_from_when_a_request_was_due),
		cmocka_unit_test(errors_are_counted_and_the_first_is_told),
		cmocka_unit_test(a_broken_queue_stands_still),
		cmocka_unit_test(
			what_was_written_is_read_back_once_and_not_counted),
		cmocka_unit_test(damage_is_found_and_told),
		cmocka_unit_test(a_lost_write_is_found),
		cmocka_unit_test(a_write_that_failed_is_not_checked),
	};

	return cmocka_run_group_tests_name("bench-lane", tests, NULL, NULL);
}

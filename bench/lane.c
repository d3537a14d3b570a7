/* SPDX-License-Identifier: MIT */
/*
 * lane - one queue at work: filled, published, reaped, counted
 *
 * Whoever reaps takes the whole batch first and reads the clock then, so that
 * no latency comes out too short.
 */
#include "bench/lane.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/nsec.h"
#include "common/base.h"
#include "common/log.h"

#define TAG	     "ringhost"
#define SECTOR_BYTES 512
#define NO_STATUS    0xff
#define SEQUENCES    (1u << 31)
#define QUIET_FOR    0x4000 /* answers; an event index is 0x10000 away at most */

int lane_init(struct lane *lane, struct fe_memory *memory,
	      const struct lane_setup *setup)
{
	uint32_t nr = setup->shape.nr_slots;
	int error;

	lane->job = setup->job;
	lane->block_bytes = setup->block_bytes;
	lane->run = setup->run;
	lane->waits = setup->waits;
	error = vq_init(&lane->vq, memory, &setup->shape);
	if (error)
		return error;
	lane->slots = calloc(nr, sizeof(*lane->slots));
	lane->free = calloc(nr, sizeof(*lane->free));
	lane->batch = calloc(nr, sizeof(*lane->batch));
	if (!lane->slots || !lane->free || !lane->batch)
		return -ENOMEM;
	while (lane->nr_free < nr) {
		pattern_fill(
			vq_data(&lane->vq, lane->nr_free), setup->block_bytes,
			(struct pattern_stamp){ lane->nr_free, 0, setup->run });
		lane->free[lane->nr_free] = nr - 1 - lane->nr_free;
		lane->nr_free++;
	}
	lane_clear(lane);
	return setup->verify ? ledger_init(&lane->ledger, setup->job.range) : 0;
}

void lane_deinit(struct lane *lane)
{
	if (lane->vq.nr_slots)
		vq_deinit(&lane->vq);
	ledger_deinit(&lane->ledger);
	free(lane->slots);
	free(lane->free);
	free(lane->batch);
	lane->slots = NULL;
	lane->free = NULL;
	lane->batch = NULL;
}

static void suppress_calls(struct lane *lane)
{
	fe_vring_suppress_calls(&lane->vq.vring);
	lane->nr_since_quiet = 0;
	lane->armed = false;
}

void lane_start(struct lane *lane, uint64_t rate)
{
	suppress_calls(lane);
	lane->has_pace = rate != 0;
	if (rate)
		pace_init(&lane->pace, rate, nsec_now());
}

void lane_clear(struct lane *lane)
{
	tally_clear(&lane->reads);
	tally_clear(&lane->writes);
	lane->nr_kicks = 0;
}

static struct pattern_stamp stamp_of(const struct lane *lane,
				     const struct lane_slot *slot)
{
	return (struct pattern_stamp){ slot->block * lane->block_bytes,
				       slot->sequence, lane->run };
}

static void check_data(struct lane *lane, uint32_t i)
{
	const struct lane_slot *slot = &lane->slots[i];
	enum pattern_verdict verdict = pattern_check(
		vq_data(&lane->vq, i), lane->block_bytes, stamp_of(lane, slot));

	lane->nr_checked++;
	if (verdict == PATTERN_GOOD)
		return;
	if (lane->nr_mismatches++ == 0)
		rh_log(RH_LOG_ERROR, TAG,
		       "the block of %" PRIu64 " bytes at %" PRIu64
		       " of the disk %s",
		       lane->block_bytes, slot->block * lane->block_bytes,
		       pattern_words(verdict));
}

/* An answer to a request of a lane that verifies */
static void settle(struct lane *lane, uint32_t i, bool good)
{
	struct lane_slot *slot = &lane->slots[i];

	if (good && !slot->writes && slot->sequence)
		check_data(lane, i);
	/* after a write that failed nobody knows what is there */
	if (slot->writes && !good)
		slot->sequence = 0;
	ledger_put(&lane->ledger, slot->block, slot->sequence);
}

static void tell_failure(const struct lane *lane, uint32_t i, uint8_t status)
{
	const struct lane_slot *slot = &lane->slots[i];

	rh_log(RH_LOG_ERROR, TAG,
	       "the %s of %" PRIu64 " bytes at %" PRIu64
	       " failed: its status is %u (%s)",
	       slot->writes ? "write" : "read", lane->block_bytes,
	       slot->block * lane->block_bytes, status,
	       status == VIRTIO_BLK_S_IOERR  ? "I/O error" :
	       status == VIRTIO_BLK_S_UNSUPP ? "not supported" :
	       status == NO_STATUS	     ? "none was written" :
					       "unknown");
}

static void finish(struct lane *lane, uint32_t i, enum lane_mode mode,
		   uint64_t now)
{
	const struct lane_slot *slot = &lane->slots[i];
	struct tally *tally = slot->writes ? &lane->writes : &lane->reads;
	uint8_t status = lane->vq.requests[i].status;

	if (unlikely(status != VIRTIO_BLK_S_OK) && tally->nr_errors++ == 0)
		tell_failure(lane, i, status);
	if (mode == LANE_ASKS)
		histogram_add(&tally->latency, now - slot->since_nsec);
	if (lane->ledger.entries)
		settle(lane, i, status == VIRTIO_BLK_S_OK);
	lane->free[lane->nr_free++] = i;
}

static uint32_t reap(struct lane *lane, enum lane_mode mode)
{
	uint32_t nr_under_way = lane->vq.nr_slots - lane->nr_free;
	uint32_t *batch = lane->batch;
	uint32_t nr = 0;
	uint64_t now;
	int ret;

	while (nr < nr_under_way) {
		ret = vq_take(&lane->vq, &batch[nr]);
		if (unlikely(ret < 0))
			atomic_store(&lane->error, ret);
		if (ret <= 0)
			break;
		nr++;
	}
	if (!nr)
		return 0;
	now = nsec_now();
	lane->nr_since_quiet += nr;
	if (unlikely(lane->nr_since_quiet > QUIET_FOR) && !lane->waits)
		suppress_calls(lane);
	for (uint32_t i = 0; i < nr; i++)
		finish(lane, batch[i], mode, now);
	atomic_store_explicit(&lane->nr_answered,
			      atomic_load_explicit(&lane->nr_answered,
						   memory_order_relaxed) +
				      nr,
			      memory_order_relaxed);
	return nr;
}

/* Ask for a call; takes what came before that. */
static uint32_t arm(struct lane *lane, enum lane_mode mode)
{
	uint32_t nr_more = 0;
	uint32_t nr;

	while (fe_vring_expect_calls(&lane->vq.vring)) {
		nr = reap(lane, mode);
		if (!nr)
			break; /* a broken queue */
		nr_more += nr;
	}
	lane->armed = true;
	return nr_more;
}

static bool next_step(struct lane *lane, enum lane_mode mode,
		      struct job_step *step)
{
	if (mode == LANE_ENDS)
		return false;
	if (mode == LANE_CHECKS) {
		step->writes = false;
		return lane->ledger.entries &&
		       ledger_next_written(&lane->ledger, &step->block);
	}
	if (lane->has_pace && pace_due_nsec(&lane->pace) > nsec_now())
		return false;
	*step = job_next(&lane->job);
	return !lane->ledger.entries || ledger_get(&lane->ledger, &step->block);
}

/* What a lane that verifies writes, or must find. */
static void promise(struct lane *lane, uint32_t i)
{
	struct lane_slot *slot = &lane->slots[i];

	if (!slot->writes) {
		slot->sequence = ledger_sequence(&lane->ledger, slot->block);
		return;
	}
	lane->last_sequence = (lane->last_sequence + 1) % SEQUENCES;
	slot->sequence = MAX(lane->last_sequence, 1u);
	pattern_fill(vq_data(&lane->vq, i), lane->block_bytes,
		     stamp_of(lane, slot));
}

static void ask(struct lane *lane, uint32_t i, struct job_step step)
{
	struct vq_request *request = &lane->vq.requests[i];
	struct lane_slot *slot = &lane->slots[i];

	slot->block = step.block;
	slot->writes = step.writes;
	if (lane->ledger.entries)
		promise(lane, i);
	request->header.type =
		htole32(step.writes ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	request->header.sector =
		htole64(step.block * (lane->block_bytes / SECTOR_BYTES));
	request->status = NO_STATUS;
	vq_add(&lane->vq, i, !step.writes);
}

static uint32_t fill(struct lane *lane, enum lane_mode mode)
{
	struct job_step step;
	uint32_t nr = 0;
	uint64_t now;

	while (lane->nr_free && next_step(lane, mode, &step)) {
		uint32_t i = lane->free[--lane->nr_free];

		ask(lane, i, step);
		if (lane->has_pace) {
			lane->slots[i].since_nsec = pace_due_nsec(&lane->pace);
			pace_step(&lane->pace);
		}
		lane->batch[nr++] = i;
	}
	if (!nr)
		return 0;
	if (!lane->has_pace) {
		now = nsec_now();
		for (uint32_t i = 0; i < nr; i++)
			lane->slots[lane->batch[i]].since_nsec = now;
	}
	if (fe_vring_publish(&lane->vq.vring)) {
		fe_vring_kick(&lane->vq.vring);
		lane->nr_kicks++;
	}
	return nr;
}

uint32_t lane_turn(struct lane *lane, enum lane_mode mode)
{
	uint32_t nr;

	if (unlikely(atomic_load_explicit(&lane->error, memory_order_relaxed)))
		return 0;
	nr = reap(lane, mode);
	if (lane->waits && (nr || !lane->armed))
		nr += arm(lane, mode);
	if (lane->nr_free)
		nr += fill(lane, mode);
	if (nr)
		atomic_store_explicit(&lane->nr_under_way,
				      lane->vq.nr_slots - lane->nr_free,
				      memory_order_relaxed);
	return nr;
}

uint64_t lane_due_nsec(const struct lane *lane, enum lane_mode mode)
{
	if (mode > LANE_GOES_ON || !lane->has_pace || !lane->nr_free)
		return UINT64_MAX;
	return pace_due_nsec(&lane->pace);
}

void lane_wake(struct lane *lane)
{
	const struct fe_vring *vring = &lane->vq.vring;

	/* a split ring's event index is behind already once it was called */
	if (!vring->event_idx || vring->is_packed)
		suppress_calls(lane);
}

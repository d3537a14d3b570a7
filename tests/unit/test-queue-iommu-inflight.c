/* SPDX-License-Identifier: MIT */
/* queue - behind an IOMMU, with a record of what is under way */
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "tests/unit/iommu-queue.h"

#define REGION_BYTES 512
#define RING_BYTES   1024 /* of which the ring's parts are the beginning */

static struct rh_inflight inflight;

static void keep_record(struct iommu_queue *f)
{
	int fd = rh_memfd_create("inflight", REGION_BYTES);

	assert_true(fd >= 0);
	assert_int_equal(
		rh_range_map(fd, 0, REGION_BYTES, NULL, &inflight.range), 0);
	rh_fd_close(&fd);
	inflight.nr_queues = 1;
	inflight.queue_size = SIZE;
	f->queue->inflight = &inflight;
}

static int set_up_split(void **state)
{
	iommu_set_up_split(state);
	keep_record(*state);
	iommu_start(*state);
	return 0;
}

static int set_up_packed(void **state)
{
	iommu_set_up_packed(state);
	keep_record(*state);
	iommu_start(*state);
	return 0;
}

static int tear_down(void **state)
{
	iommu_tear_down(state);
	rh_inflight_drop(&inflight);
	return 0;
}

static void what_waits_for_an_address_is_not_recorded(void **state)
{
	struct iommu_queue *f = *state;
	uint8_t before[REGION_BYTES];
	struct rh_chain *chain;

	memcpy(before, inflight.range.address, sizeof(before));
	iommu_add_page(f, true);
	for (int i = 0; i < 3; i++)
		iommu_assert_nothing_to_pop(f);
	assert_memory_equal(before, inflight.range.address, sizeof(before));
	assert_int_equal(f->queue->record->nr_recorded, 0);

	iommu_allow(f, f->data, PAGE, RW);
	chain = iommu_pop(f);
	assert_int_equal(f->queue->record->nr_recorded, 1);
	assert_memory_not_equal(before, inflight.range.address, sizeof(before));
	rh_queue_push(f->queue, chain, 0);
	rh_queue_flush(f->queue);
	assert_int_equal(f->queue->record->nr_recorded, 0);
}

/* What a queue leaves behind whose process dies now; its table is empty. */
static void die_and_start(struct iommu_queue *f, struct rh_chain *under_way)
{
	uint8_t region[REGION_BYTES];
	uint8_t ring[RING_BYTES];

	memcpy(ring, f->ring->bytes, sizeof(ring));
	memcpy(region, inflight.range.address, sizeof(region));
	rh_queue_push(f->queue, under_way, 0);
	ring_stop(f->ring);
	memcpy(f->ring->bytes, ring, sizeof(ring));
	memcpy(inflight.range.address, region, sizeof(region));
	rh_iotlb_clear(f->iotlb);
	iommu_start(f);
}

static void what_is_owed_waits_for_its_address_and_comes_once(void **state)
{
	struct iommu_queue *f = *state;

	iommu_allow(f, f->data, PAGE, RW);
	iommu_add_page(f, true);
	die_and_start(f, iommu_pop(f));

	assert_true(rh_queue_owes(f->queue));
	iommu_assert_nothing_to_pop(f);
	iommu_assert_asked(f, f->data, WO);
	assert_false(rh_queue_pending(f->queue));

	/* a stop waits for no answer: the front-end may be waiting for it */
	assert_false(rh_queue_owes(f->queue));
	ring_stop(f->ring);
	iommu_start(f);
	assert_true(rh_queue_owes(f->queue));

	iommu_allow(f, f->data, PAGE, RW);
	rh_queue_push(f->queue, iommu_pop(f), 0);
	rh_queue_flush(f->queue);
	assert_false(rh_queue_owes(f->queue));
	iommu_assert_nothing_to_pop(f);
	assert_int_equal(f->queue->record->nr_recorded, 0);
}

#define BOTH(name)                                                             \
	{ #name " (split)", name, set_up_split, tear_down, NULL },             \
	{                                                                      \
#name " (packed)", name, set_up_packed, tear_down, NULL        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_waits_for_an_address_is_not_recorded),
		BOTH(what_is_owed_waits_for_its_address_and_comes_once),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}

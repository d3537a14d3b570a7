/* SPDX-License-Identifier: MIT */
/* queue - a ring behind an IOMMU starts when its addresses are known */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/iommu-queue.h"

static void a_ring_waits_for_its_addresses(void **state)
{
	struct iommu_queue *f = *state;

	assert_true(rh_queue_ready(f->queue));
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EAGAIN);
	assert_int_equal(f->queue->hold, RH_HOLD_MISS);
	assert_false(rh_queue_ready(f->queue));
	iommu_assert_asked(f, f->queue->desc_addr.value, f->packed ? RW : RO);
	rh_queue_recheck(f->queue);
	assert_false(rh_queue_ready(f->queue));
	iommu_allow_ring(f);
	rh_queue_recheck(f->queue);
	assert_true(rh_queue_ready(f->queue));
	iommu_start(f);
	assert_false(rh_queue_broken(f->queue));
}

static void a_ring_may_lie_in_entries_that_are_one_piece(void **state)
{
	struct iommu_queue *f = *state;
	uint64_t desc = f->queue->desc_addr.value;

	iommu_update(f, desc, desc - RING_FRONTEND_BASE, 32, RW);
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EAGAIN);
	iommu_assert_asked(f, desc + 32, f->packed ? RW : RO);
	iommu_update(f, desc + 32, desc + 32 - RING_FRONTEND_BASE, PAGE, RW);
	rh_queue_recheck(f->queue);
	ring_start(f->ring, f->features);
}

static void a_ring_in_several_pieces_does_not_start(void **state)
{
	struct iommu_queue *f = *state;
	uint64_t desc = f->queue->desc_addr.value;

	iommu_update(f, desc, desc - RING_FRONTEND_BASE, 32, RW);
	iommu_update(f, desc + 32, desc + 64 - RING_FRONTEND_BASE, PAGE, RW);
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EFAULT);
	assert_true(rh_queue_broken(f->queue));
}

static void
a_ring_that_is_refused_does_not_start_until_set_up_anew(void **state)
{
	struct iommu_queue *f = *state;
	struct vhost_user_iotlb question;

	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EAGAIN);
	question = iommu_assert_asked(f, f->queue->desc_addr.value,
				      f->packed ? RW : RO);
	rh_miss_answered(&f->miss, &question, true);
	rh_queue_recheck(f->queue);
	assert_true(rh_queue_ready(f->queue));
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EFAULT);
	assert_true(rh_queue_broken(f->queue));
	/* a new start asks anew */
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EAGAIN);
}

static void a_ring_that_may_not_be_written_does_not_start(void **state)
{
	struct iommu_queue *f = *state;

	iommu_update(f, RING_FRONTEND_BASE, 0, PAGE, RO);
	assert_int_equal(rh_queue_start(f->queue, f->ring->map, f->features),
			 -EFAULT);
}

static void without_the_bit_the_table_is_not_looked_at(void **state)
{
	struct iommu_queue *f = *state;

	f->features &= ~FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	ring_start(f->ring, f->features);
	iommu_add_page(f, true);
	rh_queue_push(f->queue, iommu_pop(f), 0);
	iommu_assert_silent(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IOMMU_STOPPED(a_ring_waits_for_its_addresses),
		IOMMU_STOPPED(a_ring_may_lie_in_entries_that_are_one_piece),
		IOMMU_STOPPED(a_ring_in_several_pieces_does_not_start),
		IOMMU_STOPPED(
			a_ring_that_is_refused_does_not_start_until_set_up_anew),
		IOMMU_STOPPED(a_ring_that_may_not_be_written_does_not_start),
		IOMMU_STOPPED(without_the_bit_the_table_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

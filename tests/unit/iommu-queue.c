/* SPDX-License-Identifier: MIT */
/*
 * iommu-queue - a queue behind an IOMMU, in both layouts, for its tests
 *
 * What fails in here fails the test that called it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "tests/unit/iommu-queue.h"

static void ignore(void *opaque, enum rh_log_level level, const char *tag,
		   const char *line)
{
	(void)opaque;
	(void)level;
	(void)tag;
	(void)line;
}

static struct iommu_queue *create(bool packed)
{
	struct iommu_queue *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rh_log_set(ignore, NULL, RH_LOG_WARNING);
	if (packed)
		packed_memory_init(&f->memory, SIZE);
	else
		ring_init(&f->memory.ring, SIZE);
	f->packed = packed;
	f->features = FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		      (packed ? RING_PACKED : 0);
	f->ring = &f->memory.ring;
	f->queue = &f->ring->queue;
	f->queue->keep_bad_chains = true;
	f->queue->kick_fd = rh_eventfd_create();
	assert_int_equal(rh_iotlb_create(1, &f->iotlb), 0);
	rh_miss_init(&f->miss, f->iotlb, f->ring->wake_fd, &f->queue->kick_fd);
	f->queue->miss = &f->miss;
	f->data = ring_alloc(f->ring, 16 * PAGE, PAGE);
	return f;
}

void iommu_update(struct iommu_queue *f, uint64_t iova, uint64_t offset,
		  uint64_t bytes, uint8_t permission)
{
	const struct vhost_user_iotlb message = {
		.iova = iova,
		.size_bytes = bytes,
		.user_addr = RING_FRONTEND_BASE + offset,
		.permission = permission,
	};

	assert_int_equal(rh_iotlb_update(f->iotlb, f->ring->map, &message), 0);
	rh_miss_settle(&f->miss);
}

void iommu_allow(struct iommu_queue *f, uint64_t guest, uint64_t bytes,
		 uint8_t permission)
{
	iommu_update(f, guest, guest - RING_GUEST_BASE, bytes, permission);
}

void iommu_allow_ring(struct iommu_queue *f)
{
	iommu_update(f, RING_FRONTEND_BASE, 0, PAGE, RW);
}

bool iommu_is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static void drain(struct iommu_queue *f)
{
	uint64_t count;

	if (iommu_is_readable(f->queue->kick_fd))
		assert_int_equal(read(f->queue->kick_fd, &count, 8), 8);
	if (iommu_is_readable(f->ring->wake_fd))
		assert_int_equal(read(f->ring->wake_fd, &count, 8), 8);
}

int iommu_set_up_split(void **state)
{
	*state = create(false);
	return 0;
}

int iommu_set_up_packed(void **state)
{
	*state = create(true);
	return 0;
}

void iommu_start(struct iommu_queue *f)
{
	iommu_allow_ring(f);
	ring_start(f->ring, f->features);
	drain(f);
}

int iommu_set_up_split_running(void **state)
{
	*state = create(false);
	iommu_start(*state);
	return 0;
}

int iommu_set_up_packed_running(void **state)
{
	*state = create(true);
	iommu_start(*state);
	return 0;
}

int iommu_tear_down(void **state)
{
	struct iommu_queue *f = *state;

	ring_deinit(f->ring);
	rh_iotlb_destroy(f->iotlb);
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	free(f);
	return 0;
}

void iommu_add(struct iommu_queue *f, const struct ring_buffer *buffers,
	       unsigned int nr)
{
	if (f->packed)
		packed_memory_add(&f->memory, 3, buffers, nr);
	else
		ring_add(f->ring, 3, buffers, nr);
}

/* Returns the address of the indirect table. */
uint64_t iommu_add_indirect(struct iommu_queue *f,
			    const struct ring_buffer *buffers, unsigned int nr)
{
	uint64_t pages = ring_alloc(f->ring, PAGE - 16, PAGE);

	/* so that the table, which comes next, crosses the page's end */
	if (f->packed)
		packed_memory_add_indirect(&f->memory, 3, buffers, nr);
	else
		ring_add_indirect(f->ring, 3, buffers, nr);
	return pages + PAGE - 16;
}

void iommu_add_page(struct iommu_queue *f, bool writable)
{
	const struct ring_buffer buffer = { f->data, PAGE, writable };

	iommu_add(f, &buffer, 1);
}

struct rh_chain *iommu_pop(struct iommu_queue *f)
{
	struct rh_chain *chain = NULL;

	assert_int_equal(rh_queue_pop(f->queue, &chain), 1);
	assert_non_null(chain);
	return chain;
}

void iommu_assert_nothing_to_pop(struct iommu_queue *f)
{
	struct rh_chain *chain = NULL;

	assert_int_equal(rh_queue_pop(f->queue, &chain), 0);
	assert_null(chain);
	assert_false(rh_queue_pending(f->queue));
	assert_false(rh_queue_expect_kicks(f->queue));
	assert_false(rh_queue_broken(f->queue));
}

bool iommu_take_message(struct iommu_queue *f, struct vhost_user_iotlb *message)
{
	*message = (struct vhost_user_iotlb){ 0 };
	return rh_miss_next(&f->miss, 1, &f->index, message);
}

struct vhost_user_iotlb iommu_assert_asked(struct iommu_queue *f, uint64_t iova,
					   uint8_t permission)
{
	struct vhost_user_iotlb message;

	assert_true(iommu_take_message(f, &message));
	assert_int_equal(message.type, VHOST_IOTLB_MISS);
	assert_int_equal(message.iova, iova);
	assert_int_equal(message.permission, permission);
	return message;
}

void iommu_assert_silent(struct iommu_queue *f)
{
	struct vhost_user_iotlb message;

	assert_false(iommu_take_message(f, &message));
}

/* SPDX-License-Identifier: MIT */
/*
 * iommu-queue - a queue behind an IOMMU, in both layouts, for its tests
 *
 * Data has the I/O virtual address that is its guest address, the rings that
 * which is the front-end's. Nothing is there until a test allows it.
 */
#ifndef TESTS_UNIT_IOMMU_QUEUE_H
#define TESTS_UNIT_IOMMU_QUEUE_H

#include "tests/unit/packed-memory.h"

#define SIZE 8
#define PAGE UINT64_C(4096)
#define RO   VHOST_ACCESS_RO
#define WO   VHOST_ACCESS_WO
#define RW   VHOST_ACCESS_RW

struct iommu_queue {
	struct packed_memory memory; /* memory.ring in both layouts */
	struct ring_memory *ring;
	struct rh_queue *queue;
	struct rh_iotlb *iotlb;
	struct rh_miss miss;
	unsigned int index; /* of rh_miss_next() */
	bool packed;
	uint64_t features;
	uint64_t data; /* 16 pages */
};

int iommu_set_up_split(void **state);
int iommu_set_up_packed(void **state);
int iommu_set_up_split_running(void **state);
int iommu_set_up_packed_running(void **state);
int iommu_tear_down(void **state);

/* Start the queue, whose ring is allowed for it. */
void iommu_start(struct iommu_queue *f);

/* An update; offset: in the first region. */
void iommu_update(struct iommu_queue *f, uint64_t iova, uint64_t offset,
		  uint64_t bytes, uint8_t permission);
void iommu_allow(struct iommu_queue *f, uint64_t guest, uint64_t bytes,
		 uint8_t permission);
void iommu_allow_ring(struct iommu_queue *f);

bool iommu_is_readable(int fd);

/* A chain of head 3 */
void iommu_add(struct iommu_queue *f, const struct ring_buffer *buffers,
	       unsigned int nr);
void iommu_add_page(struct iommu_queue *f, bool writable);

/*
 * In an indirect table that begins 16 bytes in front of a page's end. Returns
 * its address.
 */
uint64_t iommu_add_indirect(struct iommu_queue *f,
			    const struct ring_buffer *buffers, unsigned int nr);

struct rh_chain *iommu_pop(struct iommu_queue *f);
void iommu_assert_nothing_to_pop(struct iommu_queue *f);

/* What the front-end is to be told */
bool iommu_take_message(struct iommu_queue *f,
			struct vhost_user_iotlb *message);
struct vhost_user_iotlb iommu_assert_asked(struct iommu_queue *f, uint64_t iova,
					   uint8_t permission);
void iommu_assert_silent(struct iommu_queue *f);

#define IOMMU_STOPPED(name)                                                    \
	{ #name " (split)", name, iommu_set_up_split, iommu_tear_down, NULL }, \
	{                                                                      \
#name " (packed)", name, iommu_set_up_packed, iommu_tear_down, \
			NULL                                                   \
	}
#define IOMMU_RUNNING(name)                                                    \
	{ #name " (split)", name, iommu_set_up_split_running, iommu_tear_down, \
	  NULL },                                                              \
	{                                                                      \
#name " (packed)", name, iommu_set_up_packed_running,          \
			iommu_tear_down, NULL                                  \
	}

#endif

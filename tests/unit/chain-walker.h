/* SPDX-License-Identifier: MIT */
/*
 * chain-walker - what the tests of chain share: descriptors and a slot
 *
 * The ring's table has SIZE descriptors; one indirect table is at hand, as
 * large as any may be.
 */
#ifndef TESTS_UNIT_CHAIN_WALKER_H
#define TESTS_UNIT_CHAIN_WALKER_H

#include <stdlib.h>

#include "tests/unit/ring-memory.h"

#define SIZE   8
#define ALL    0xffffffffu
#define PAGE   UINT64_C(4096)
#define SECOND (RING_GUEST_BASE + RING_MEMORY_BYTES)
#define HOLE   UINT64_C(0x10000000)

/* A ring, one slot to walk into, and three buffers of a request. */
struct walker {
	struct ring_memory ring;
	struct rh_chains chains;
	struct rh_chain *chain;
	uint64_t header;
	uint64_t data;
	uint64_t status;
	uint64_t table;		   /* indirect, as large as any may be */
	struct rh_chain_slot slot; /* last: ASan sees what exceeds it */
};

static inline int walker_set_up(void **state)
{
	struct walker *walker = calloc(1, sizeof(*walker));

	assert_non_null(walker);
	ring_init(&walker->ring, SIZE);
	walker->chain = &walker->slot.chain;
	walker->slot.spill = calloc(RH_CHAIN_MAX_IOV, sizeof(struct iovec));
	assert_non_null(walker->slot.spill);
	walker->header = ring_alloc(&walker->ring, 16, 16);
	walker->data = ring_alloc(&walker->ring, 16 * PAGE, PAGE);
	walker->status = ring_alloc(&walker->ring, 1, 1);
	walker->table = ring_alloc(&walker->ring, 4096 * 16, PAGE);
	*state = walker;
	return 0;
}

static inline int walker_tear_down(void **state)
{
	struct walker *walker = *state;

	ring_deinit(&walker->ring);
	free(walker->slot.spill);
	free(walker);
	return 0;
}

/* As a queue of this size. */
static inline int walker_walk_in(struct walker *walker, uint16_t size,
				 uint16_t head)
{
	const struct virtq_desc *desc = (const void *)rh_map_frontend(
		walker->ring.map, walker->ring.queue.desc_addr, 1);

	if (walker->chains.map != walker->ring.map)
		rh_chains_init(&walker->chains, walker->ring.map, NULL);
	return rh_chain_walk(&walker->chains, desc, size, head, &walker->slot);
}

static inline int walker_walk(struct walker *walker, uint16_t head)
{
	return walker_walk_in(walker, SIZE, head);
}

static inline void walker_set(struct walker *walker, uint16_t i, uint64_t addr,
			      uint32_t len, uint16_t flags)
{
	walker->ring.desc[i] = ring_desc(addr, len, flags, (uint16_t)(i + 1));
}

static inline struct virtq_desc *walker_table(const struct walker *walker)
{
	return ring_at(&walker->ring, walker->table);
}

/* Descriptor 0 refers to the first bytes of the indirect table. */
static inline void walker_use_table(struct walker *walker, uint32_t bytes)
{
	walker->ring.desc[0] =
		ring_desc(walker->table, bytes, VIRTQ_DESC_F_INDIRECT, 0);
}

static inline void walker_assert_iov(const struct walker *walker,
				     const struct iovec *iov, uint64_t guest,
				     uint64_t len)
{
	assert_ptr_equal(iov->iov_base, ring_host(&walker->ring, guest));
	assert_int_equal(iov->iov_len, len);
}

/* nr readable buffers of a byte each, then nr writable ones, indirect */
static inline void walker_set_long(struct walker *walker, uint32_t nr_readable,
				   uint32_t nr_writable)
{
	uint32_t nr = nr_readable + nr_writable;

	for (uint32_t i = 0; i < nr; i++) {
		uint16_t flags = i < nr_readable ? 0 : VIRTQ_DESC_F_WRITE;

		if (i + 1 < nr)
			flags |= VIRTQ_DESC_F_NEXT;
		walker_table(walker)[i] = ring_desc(walker->data + i, 1, flags,
						    (uint16_t)(i + 1));
	}
	walker_use_table(walker, nr * 16);
}

#define WALK_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, walker_set_up, walker_tear_down)

#endif

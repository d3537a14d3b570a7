/* SPDX-License-Identifier: MIT */
/* chain - what a walk makes of packed descriptors, well shaped and not */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/packed-memory.h"

#define SIZE   8
#define PAGE   UINT64_C(4096)
#define SECOND (RING_GUEST_BASE + RING_MEMORY_BYTES)

struct walker {
	struct ring_memory ring;
	struct rh_chains chains;
	uint64_t header;
	uint64_t data;
	uint64_t status;
	uint64_t table; /* room for all that an indirect table may be */
	struct pvirtq_desc desc[SIZE];
	struct rh_chain_slot slot; /* last: ASan sees what exceeds it */
};

static int set_up(void **state)
{
	struct walker *walker = calloc(1, sizeof(*walker));

	assert_non_null(walker);
	ring_init(&walker->ring, SIZE);
	walker->slot.spill = calloc(RH_CHAIN_MAX_IOV, sizeof(struct iovec));
	assert_non_null(walker->slot.spill);
	walker->header = ring_alloc(&walker->ring, 16, 16);
	walker->data = ring_alloc(&walker->ring, 16 * PAGE, PAGE);
	walker->status = ring_alloc(&walker->ring, 1, 1);
	walker->table = ring_alloc(&walker->ring, 4096 * 16, PAGE);
	*state = walker;
	return 0;
}

static int tear_down(void **state)
{
	struct walker *walker = *state;

	ring_deinit(&walker->ring);
	free(walker->slot.spill);
	free(walker);
	return 0;
}

/* The first nr descriptors, as those of a queue of this size */
static int walk_in(struct walker *walker, uint16_t size, uint16_t nr)
{
	walker->slot.nr_desc = nr;
	if (walker->chains.map != walker->ring.map)
		rh_chains_init(&walker->chains, walker->ring.map, NULL);
	return rh_chain_walk_packed(&walker->chains, walker->desc, size,
				    &walker->slot);
}

static int walk(struct walker *walker, uint16_t nr)
{
	return walk_in(walker, SIZE, nr);
}

static struct pvirtq_desc *table(const struct walker *walker)
{
	return ring_at(&walker->ring, walker->table);
}

static void use_table(struct walker *walker, uint32_t bytes, uint16_t flags)
{
	walker->desc[0] = packed_side_desc(walker->table, bytes, 0,
					   VIRTQ_DESC_F_INDIRECT | flags);
}

static void set_request(const struct walker *walker, struct pvirtq_desc *desc)
{
	desc[0] = packed_side_desc(walker->header, 16, 7, VIRTQ_DESC_F_NEXT);
	desc[1] = packed_side_desc(walker->data, PAGE, 7,
				   VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	desc[2] = packed_side_desc(walker->status, 1, 7, VIRTQ_DESC_F_WRITE);
}

static void assert_iov(const struct walker *walker, const struct iovec *iov,
		       uint64_t guest, uint64_t len)
{
	assert_ptr_equal(iov->iov_base, ring_host(&walker->ring, guest));
	assert_int_equal(iov->iov_len, len);
}

static void assert_request(const struct walker *walker)
{
	const struct rh_chain *chain = &walker->slot.chain;

	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	assert_iov(walker, &chain->readable[0], walker->header, 16);
	assert_int_equal(chain->nr_writable, 2);
	assert_int_equal(chain->writable_bytes, PAGE + 1);
	assert_iov(walker, &chain->writable[0], walker->data, PAGE);
	assert_iov(walker, &chain->writable[1], walker->status, 1);
}

static void three_descriptors_become_three_iovecs(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker->desc);
	assert_int_equal(walk(walker, 3), 0);
	assert_request(walker);
}

/* Section 2.8.7: entries follow each other, NEXT or not. */
static void an_indirect_table_needs_no_next_flags(void **state)
{
	struct walker *walker = *state;

	set_request(walker, table(walker));
	use_table(walker, 48, 0);
	assert_int_equal(walk(walker, 1), 0);
	assert_request(walker);
	for (int i = 0; i < 3; i++)
		table(walker)[i].flags.raw ^= htole16(VIRTQ_DESC_F_NEXT);
	assert_int_equal(walk(walker, 1), 0);
	assert_request(walker);
}

static void ids_and_reserved_flags_are_ignored_in_a_table(void **state)
{
	struct walker *walker = *state;

	set_request(walker, table(walker));
	for (int i = 0; i < 3; i++) {
		table(walker)[i].id = le16_make(0xffff);
		table(walker)[i].flags.raw |= htole16(0xfff8);
	}
	use_table(walker, 48, VIRTQ_DESC_F_WRITE | 0xff80);
	assert_int_equal(walk(walker, 1), 0);
	assert_request(walker);
}

/* Hostile lengths of a table, and the longest one that is none */
static void a_table_of_a_wrong_length_is_refused(void **state)
{
	static const uint32_t bad[] = {
		0, 1, 15, 17, 24, 1025 * 16, 0xfffffff0
	};
	struct walker *walker = *state;

	set_request(walker, table(walker));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		use_table(walker, bad[i], 0);
		assert_int_equal(walk(walker, 1), -EPROTO);
	}
	use_table(walker, 16, 0);
	assert_int_equal(walk(walker, 1), 0);
	use_table(walker, 1024 * 16, 0);
	assert_int_equal(walk(walker, 1), 0);
	use_table(walker, 2048 * 16, 0);
	assert_int_equal(walk_in(walker, 2047, 1), -EPROTO);
	assert_int_equal(walk_in(walker, 2048, 1), 0);
}

static void a_table_outside_memory_is_refused(void **state)
{
	struct walker *walker = *state;

	walker->desc[0] =
		packed_side_desc(SECOND - 16, 32, 0, VIRTQ_DESC_F_INDIRECT);
	assert_int_equal(walk(walker, 1), -EPROTO);
	walker->desc[0] =
		packed_side_desc(UINT64_MAX - 15, 32, 0, VIRTQ_DESC_F_INDIRECT);
	assert_int_equal(walk(walker, 1), -EPROTO);
}

static void a_table_may_lie_in_two_regions(void **state)
{
	struct walker *walker = *state;
	uint8_t *second = ring_add_region(&walker->ring, SECOND, PAGE);
	struct pvirtq_desc request[3];

	set_request(walker, request);
	memcpy(ring_at(&walker->ring, SECOND - 24), request, 24);
	memcpy(second, (uint8_t *)request + 24, 24);
	walker->desc[0] =
		packed_side_desc(SECOND - 24, 48, 0, VIRTQ_DESC_F_INDIRECT);
	assert_int_equal(walk(walker, 1), 0);
	assert_request(walker);
	munmap(second, PAGE);
}

static void a_table_in_a_table_is_refused(void **state)
{
	struct walker *walker = *state;

	set_request(walker, table(walker));
	use_table(walker, 48, 0);
	for (int i = 0; i < 3; i++) {
		table(walker)[i].flags.raw ^= htole16(VIRTQ_DESC_F_INDIRECT);
		assert_int_equal(walk(walker, 1), -EPROTO);
		table(walker)[i].flags.raw ^= htole16(VIRTQ_DESC_F_INDIRECT);
	}
	table(walker)[0].flags.raw ^= htole16(VIRTQ_DESC_F_INDIRECT);
	use_table(walker, 16, 0);
	assert_int_equal(walk(walker, 1), -EPROTO);
}

/* Section 2.8.19: nothing is linked to an indirect descriptor. */
static void an_indirect_descriptor_stands_alone(void **state)
{
	struct walker *walker = *state;

	set_request(walker, table(walker));
	use_table(walker, 48, VIRTQ_DESC_F_NEXT);
	walker->desc[1] = packed_side_desc(walker->status, 1, 0, 0);
	assert_int_equal(walk(walker, 1), -EPROTO);
	assert_int_equal(walk(walker, 2), -EPROTO);
	walker->desc[1] = walker->desc[0];
	walker->desc[1].flags = le16_make(VIRTQ_DESC_F_INDIRECT);
	walker->desc[0] =
		packed_side_desc(walker->header, 16, 0, VIRTQ_DESC_F_NEXT);
	assert_int_equal(walk(walker, 2), -EPROTO);
}

/* G-02, G-12 */
static void zero_length_buffers_are_left_out(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker->desc);
	walker->desc[4] = walker->desc[2];
	walker->desc[3] = packed_side_desc(UINT64_MAX, 0, 0, 0);
	walker->desc[2] = walker->desc[1];
	walker->desc[1] = packed_side_desc(0, 0, 0, VIRTQ_DESC_F_WRITE);
	assert_int_equal(walk(walker, 5), 0);
	assert_request(walker);
}

static void what_a_device_can_answer_is_no_malformed_chain(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker->desc);
	walker->desc[1].addr = le64_make(1);
	assert_int_equal(walk(walker, 3), 0);
	assert_int_equal(walker->slot.chain.error, -EFAULT);

	set_request(walker, walker->desc);
	walker->desc[3] = packed_side_desc(walker->header, 16, 0, 0);
	assert_int_equal(walk(walker, 4), 0);
	assert_int_equal(walker->slot.chain.error, -EPROTO);

	set_request(walker, walker->desc);
	walker->desc[1].len = le32_make(UINT32_MAX);
	assert_int_equal(walk(walker, 3), 0);
	assert_int_equal(walker->slot.chain.error, -EMSGSIZE);
	assert_iov(walker, &walker->slot.chain.writable[0], walker->status, 1);
}

static void a_long_table_moves_to_the_spill_area(void **state)
{
	struct walker *walker = *state;
	const struct rh_chain *chain = &walker->slot.chain;

	for (unsigned int i = 0; i < RH_CHAIN_MAX_IOV; i++)
		table(walker)[i] = packed_side_desc(
			walker->data + i, 1, 0, i < 9 ? 0 : VIRTQ_DESC_F_WRITE);
	use_table(walker, RH_CHAIN_MAX_IOV * 16, 0);
	assert_int_equal(walk(walker, 1), 0);
	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 9);
	assert_int_equal(chain->nr_writable, RH_CHAIN_MAX_IOV - 9);
	assert_ptr_equal(chain->readable, walker->slot.spill);
	for (unsigned int i = 0; i < RH_CHAIN_MAX_IOV; i++)
		assert_iov(walker, &chain->readable[i], walker->data + i, 1);
}

#define WALK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALK_TEST(three_descriptors_become_three_iovecs),
		WALK_TEST(an_indirect_table_needs_no_next_flags),
		WALK_TEST(ids_and_reserved_flags_are_ignored_in_a_table),
		WALK_TEST(a_table_of_a_wrong_length_is_refused),
		WALK_TEST(a_table_outside_memory_is_refused),
		WALK_TEST(a_table_may_lie_in_two_regions),
		WALK_TEST(a_table_in_a_table_is_refused),
		WALK_TEST(an_indirect_descriptor_stands_alone),
		WALK_TEST(zero_length_buffers_are_left_out),
		WALK_TEST(what_a_device_can_answer_is_no_malformed_chain),
		WALK_TEST(a_long_table_moves_to_the_spill_area),
	};

	return cmocka_run_group_tests_name("chain-packed", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* chain - what a walk makes of descriptors, well shaped and not */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/chain-walker.h"

/* The walk gave the request that set_request() made. */
static void assert_request(const struct walker *walker)
{
	const struct rh_chain *chain = walker->chain;

	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	walker_assert_iov(walker, &chain->readable[0], walker->header, 16);
	assert_int_equal(chain->nr_writable, 2);
	assert_int_equal(chain->writable_bytes, PAGE + 1);
	walker_assert_iov(walker, &chain->writable[0], walker->data, PAGE);
	walker_assert_iov(walker, &chain->writable[1], walker->status, 1);
}

static void set_request(struct walker *walker, struct virtq_desc *desc,
			uint16_t first)
{
	const struct ring_buffer buffers[] = {
		{ walker->header, 16, false },
		{ walker->data, PAGE, true },
		{ walker->status, 1, true },
	};

	ring_fill(desc, first, buffers, ARRAY_SIZE(buffers));
}

static void three_descriptors_become_three_iovecs(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker->ring.desc, 4);
	assert_int_equal(walker_walk(walker, 4), 0);
	assert_request(walker);
}

static void an_indirect_table_gives_the_same(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker_table(walker), 0);
	walker_use_table(walker, 48);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_request(walker);
}

static void descriptors_are_followed_in_any_order(void **state)
{
	struct walker *walker = *state;
	struct virtq_desc *desc = walker->ring.desc;

	desc[7] = ring_desc(walker->header, 16, VIRTQ_DESC_F_NEXT, 0);
	desc[0] = ring_desc(walker->data, PAGE,
			    VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 3);
	desc[3] = ring_desc(walker->status, 1, VIRTQ_DESC_F_WRITE, 7);
	assert_int_equal(walker_walk(walker, 7), 0);
	assert_request(walker);
}

/* Section 2.7.5.3.2 */
static void direct_descriptors_may_end_in_an_indirect_one(void **state)
{
	struct walker *walker = *state;

	walker_set(walker, 5, walker->header, 16, VIRTQ_DESC_F_NEXT);
	walker->ring.desc[6] =
		ring_desc(walker->table, 32, VIRTQ_DESC_F_INDIRECT, 0);
	walker_table(walker)[0] = ring_desc(
		walker->data, PAGE, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
	walker_table(walker)[1] =
		ring_desc(walker->status, 1, VIRTQ_DESC_F_WRITE, 0);
	assert_int_equal(walker_walk(walker, 5), 0);
	assert_request(walker);
}

/* Section 2.7.5.3.2 */
static void the_write_flag_of_an_indirect_descriptor_is_ignored(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker_table(walker), 0);
	walker->ring.desc[0] =
		ring_desc(walker->table, 48,
			  VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 0);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_request(walker);
}

static void unknown_flags_are_ignored(void **state)
{
	struct walker *walker = *state;

	set_request(walker, walker->ring.desc, 0);
	for (int i = 0; i < 3; i++)
		walker->ring.desc[i].flags.raw |= htole16(0xfff8);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_request(walker);
}

static void a_chain_may_have_one_part_only(void **state)
{
	struct walker *walker = *state;

	walker_set(walker, 0, walker->header, 16, 0);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->nr_readable, 1);
	assert_int_equal(walker->chain->nr_writable, 0);
	assert_int_equal(walker->chain->writable_bytes, 0);

	walker_set(walker, 0, walker->status, 1, VIRTQ_DESC_F_WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->nr_readable, 0);
	assert_int_equal(walker->chain->readable_bytes, 0);
	assert_int_equal(walker->chain->nr_writable, 1);
}

/* G-02, G-12: also where the address is wild */
static void zero_length_buffers_are_left_out(void **state)
{
	struct walker *walker = *state;
	static const uint64_t addrs[] = { 0, HOLE, UINT64_MAX };

	for (unsigned int i = 0; i < ARRAY_SIZE(addrs); i++) {
		const struct ring_buffer buffers[] = {
			{ addrs[i], 0, true },	 { walker->header, 16, false },
			{ addrs[i], 0, false },	 { walker->data, PAGE, true },
			{ addrs[i], 0, false },	 { walker->status, 1, true },
			{ UINT64_MAX, 0, true },
		};

		ring_fill(walker->ring.desc, 0, buffers, ARRAY_SIZE(buffers));
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_request(walker);
	}
}

static void a_chain_of_nothing_is_empty(void **state)
{
	struct walker *walker = *state;

	walker_set(walker, 0, walker->data, 0, VIRTQ_DESC_F_NEXT);
	walker_set(walker, 1, walker->data, 0, VIRTQ_DESC_F_WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->error, 0);
	assert_int_equal(walker->chain->nr_readable, 0);
	assert_int_equal(walker->chain->nr_writable, 0);
}

/* D-16 */
static void the_same_page_may_come_twice(void **state)
{
	struct walker *walker = *state;

	walker_set(walker, 0, walker->data, PAGE,
		   VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	walker_set(walker, 1, walker->data, PAGE, VIRTQ_DESC_F_WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->nr_writable, 2);
	walker_assert_iov(walker, &walker->chain->writable[0], walker->data,
			  PAGE);
	walker_assert_iov(walker, &walker->chain->writable[1], walker->data,
			  PAGE);
}

/* Also longer than the queue, as Windows has them. */
static void a_long_chain_moves_out_of_the_slot(void **state)
{
	struct walker *walker = *state;
	static const uint32_t lengths[] = { 1,
					    RH_CHAIN_INLINE_IOV - 1,
					    RH_CHAIN_INLINE_IOV,
					    RH_CHAIN_INLINE_IOV + 1,
					    500,
					    RH_CHAIN_MAX_IOV };

	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint32_t nr_readable = lengths[i] / 3;
		uint32_t nr_writable = lengths[i] - nr_readable;
		const struct rh_chain *chain = walker->chain;

		walker_set_long(walker, nr_readable, nr_writable);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_int_equal(chain->error, 0);
		assert_int_equal(chain->nr_readable, nr_readable);
		assert_int_equal(chain->nr_writable, nr_writable);
		assert_int_equal(chain->readable_bytes, nr_readable);
		assert_int_equal(chain->writable_bytes, nr_writable);
		for (uint32_t n = 0; n < nr_readable; n++)
			walker_assert_iov(walker, &chain->readable[n],
					  walker->data + n, 1);
		for (uint32_t n = 0; n < nr_writable; n++)
			walker_assert_iov(walker, &chain->writable[n],
					  walker->data + nr_readable + n, 1);
	}
}

/* Section 2.7.5.3.1: no more entries than the queue, if that is more. */
static void a_table_as_long_as_a_large_queue_is_walked(void **state)
{
	struct walker *walker = *state;
	const uint16_t size = 4096;

	for (uint16_t i = 0; i < size; i++)
		walker_table(walker)[i] =
			ring_desc(walker->data, i + 1 == size,
				  i + 1 == size ? 0 : VIRTQ_DESC_F_NEXT,
				  (uint16_t)(i + 1));
	walker_use_table(walker, size * 16);
	assert_int_equal(walker_walk_in(walker, size, 0), 0);
	assert_int_equal(walker->chain->readable_bytes, 1);
	assert_int_equal(walker_walk_in(walker, size / 2, 0), -EPROTO);
}

/* G-01 */
static void a_loop_ends_in_an_error(void **state)
{
	struct walker *walker = *state;
	struct virtq_desc *desc = walker->ring.desc;
	const uint16_t next = VIRTQ_DESC_F_NEXT;

	desc[0] = ring_desc(walker->data, 1, next, 0);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);

	desc[0] = ring_desc(walker->data, 1, next, 1);
	desc[1] = ring_desc(walker->data, 1, next, 0);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);

	/* not through the head, and of nothing */
	desc[1] = ring_desc(walker->data, 0, next, 2);
	desc[2] = ring_desc(walker->data, 0, next, 1);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);

	walker_table(walker)[0] = ring_desc(walker->data, 1, next, 1);
	walker_table(walker)[1] = ring_desc(walker->data, 1, next, 0);
	walker_use_table(walker, 32);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);
}

static void a_chain_through_the_whole_table_is_no_loop(void **state)
{
	struct walker *walker = *state;

	for (uint16_t i = 0; i < SIZE; i++)
		walker_set(walker, i, walker->data + i, 1,
			   i + 1 < SIZE ? VIRTQ_DESC_F_NEXT : 0);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->nr_readable, SIZE);
}

/* Section 2.7.5 */
static void a_next_beyond_the_table_is_refused(void **state)
{
	struct walker *walker = *state;
	static const uint16_t nexts[] = { 3, SIZE, 32768, 65535 };
	const uint16_t next = VIRTQ_DESC_F_NEXT;

	/* 3 is beyond the indirect table below, though not beyond the ring */
	for (unsigned int i = 0; i < ARRAY_SIZE(nexts); i++) {
		if (nexts[i] >= SIZE) {
			walker->ring.desc[0] =
				ring_desc(walker->data, 1, next, nexts[i]);
			assert_int_equal(walker_walk(walker, 0), -EPROTO);
		}
		walker_table(walker)[0] =
			ring_desc(walker->data, 1, next, nexts[i]);
		walker_use_table(walker, 48);
		assert_int_equal(walker_walk(walker, 0), -EPROTO);
	}
}

/* Section 2.7.5.3 */
static void an_indirect_table_of_a_bad_length_is_refused(void **state)
{
	struct walker *walker = *state;
	static const uint32_t lengths[] = {
		0, 1, 15, 17, 24, (RH_CHAIN_MAX_IOV + 1) * 16, ALL - 15, ALL,
	};

	walker_table(walker)[0] = ring_desc(walker->data, 1, 0, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		walker_use_table(walker, lengths[i]);
		assert_int_equal(walker_walk(walker, 0), -EPROTO);
	}
	walker_use_table(walker, RH_CHAIN_MAX_IOV * 16);
	assert_int_equal(walker_walk(walker, 0), 0);
}

/* Section 2.7.5.3.1 */
static void an_indirect_table_inside_another_is_refused(void **state)
{
	struct walker *walker = *state;

	walker_table(walker)[0] =
		ring_desc(walker->table + 16, 16, VIRTQ_DESC_F_INDIRECT, 0);
	walker_table(walker)[1] = ring_desc(walker->data, 1, 0, 0);
	walker_use_table(walker, 16);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);
}

/* Section 2.7.5.3.1 */
static void indirect_together_with_next_is_refused(void **state)
{
	struct walker *walker = *state;

	walker_table(walker)[0] = ring_desc(walker->data, 1, 0, 0);
	walker_set(walker, 0, walker->table, 16,
		   VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT);
	walker_set(walker, 1, walker->data, 1, 0);
	assert_int_equal(walker_walk(walker, 0), -EPROTO);
}

/* G-11 */
static void an_indirect_table_outside_memory_is_refused(void **state)
{
	struct walker *walker = *state;
	static const uint64_t addrs[] = {
		0, HOLE, SECOND, SECOND - 31, UINT64_MAX - 15, UINT64_MAX
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(addrs); i++) {
		walker->ring.desc[0] =
			ring_desc(addrs[i], 32, VIRTQ_DESC_F_INDIRECT, 0);
		assert_int_equal(walker_walk(walker, 0), -EPROTO);
	}
	walker->ring.desc[0] =
		ring_desc(SECOND - 32, 32, VIRTQ_DESC_F_INDIRECT, 0);
	assert_int_equal(walker_walk(walker, 0), 0);
}

static void an_indirect_table_may_lie_at_any_address(void **state)
{
	struct walker *walker = *state;

	for (uint64_t shift = 1; shift < 16; shift++) {
		struct virtq_desc entries[3];

		set_request(walker, entries, 0);
		memcpy(ring_at(&walker->ring, walker->table + shift), entries,
		       sizeof(entries));
		walker->ring.desc[0] =
			ring_desc(walker->table + shift, sizeof(entries),
				  VIRTQ_DESC_F_INDIRECT, 0);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_request(walker);
	}
}

/* F-01: at each byte of the table, between descriptors and within one */
static void an_indirect_table_may_lie_in_two_regions(void **state)
{
	struct walker *walker = *state;
	uint8_t *second = ring_add_region(&walker->ring, SECOND, PAGE);
	struct virtq_desc entries[3];

	set_request(walker, entries, 0);
	for (size_t cut = 1; cut < sizeof(entries); cut++) {
		memcpy(ring_at(&walker->ring, SECOND - cut), entries, cut);
		memcpy(second, (uint8_t *)entries + cut, sizeof(entries) - cut);
		walker->ring.desc[0] = ring_desc(SECOND - cut, sizeof(entries),
						 VIRTQ_DESC_F_INDIRECT, 0);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_request(walker);
	}
	munmap(second, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALK_TEST(three_descriptors_become_three_iovecs),
		WALK_TEST(an_indirect_table_gives_the_same),
		WALK_TEST(descriptors_are_followed_in_any_order),
		WALK_TEST(direct_descriptors_may_end_in_an_indirect_one),
		WALK_TEST(the_write_flag_of_an_indirect_descriptor_is_ignored),
		WALK_TEST(unknown_flags_are_ignored),
		WALK_TEST(a_chain_may_have_one_part_only),
		WALK_TEST(zero_length_buffers_are_left_out),
		WALK_TEST(a_chain_of_nothing_is_empty),
		WALK_TEST(the_same_page_may_come_twice),
		WALK_TEST(a_long_chain_moves_out_of_the_slot),
		WALK_TEST(a_table_as_long_as_a_large_queue_is_walked),
		WALK_TEST(a_loop_ends_in_an_error),
		WALK_TEST(a_chain_through_the_whole_table_is_no_loop),
		WALK_TEST(a_next_beyond_the_table_is_refused),
		WALK_TEST(an_indirect_table_of_a_bad_length_is_refused),
		WALK_TEST(an_indirect_table_inside_another_is_refused),
		WALK_TEST(indirect_together_with_next_is_refused),
		WALK_TEST(an_indirect_table_outside_memory_is_refused),
		WALK_TEST(an_indirect_table_may_lie_at_any_address),
		WALK_TEST(an_indirect_table_may_lie_in_two_regions),
	};

	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}

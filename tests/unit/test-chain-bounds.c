/* SPDX-License-Identifier: MIT */
/* chain-bounds - buffers cut by regions, outside memory, or too large */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/unit/chain-walker.h"

#define GIB   UINT64_C(0x40000000)
#define NEXT  VIRTQ_DESC_F_NEXT
#define WRITE VIRTQ_DESC_F_WRITE
#define FAR   (RING_GUEST_BASE + 8 * GIB)
#define THIRD (SECOND + PAGE)

/* walks while descriptors change, and changes */
#define NR_WALKS 100000

/* header, a data buffer of any shape, status */
static void set_request_with(struct walker *walker, uint64_t addr, uint32_t len)
{
	walker_set(walker, 0, walker->header, 16, NEXT);
	walker_set(walker, 1, addr, len, NEXT | WRITE);
	walker_set(walker, 2, walker->status, 1, WRITE);
}

static void assert_status_is_last(const struct walker *walker)
{
	const struct rh_chain *chain = walker->chain;

	assert_true(chain->nr_writable > 0);
	walker_assert_iov(walker, &chain->writable[chain->nr_writable - 1],
			  walker->status, 1);
}

/* F-01 */
static void a_buffer_in_two_regions_comes_in_two_pieces(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, SECOND, PAGE);
	const struct rh_chain *chain = walker->chain;

	set_request_with(walker, SECOND - PAGE, 2 * PAGE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_writable, 3);
	assert_int_equal(chain->writable_bytes, 2 * PAGE + 1);
	walker_assert_iov(walker, &chain->writable[0], SECOND - PAGE, PAGE);
	walker_assert_iov(walker, &chain->writable[1], SECOND, PAGE);
	assert_status_is_last(walker);
	munmap(view, PAGE);
}

static void a_buffer_in_three_regions_comes_in_three_pieces(void **state)
{
	struct walker *walker = *state;
	uint8_t *second = ring_add_region(&walker->ring, SECOND, PAGE);
	uint8_t *third = ring_add_region(&walker->ring, THIRD, PAGE);
	const struct rh_chain *chain = walker->chain;

	walker_set(walker, 0, SECOND - 3, (uint32_t)PAGE + 5, 0);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 3);
	walker_assert_iov(walker, &chain->readable[0], SECOND - 3, 3);
	walker_assert_iov(walker, &chain->readable[1], SECOND, PAGE);
	walker_assert_iov(walker, &chain->readable[2], THIRD, 2);
	munmap(second, PAGE);
	munmap(third, PAGE);
}

/* F-01, G-11 */
static void a_buffer_that_ends_past_memory_is_an_error(void **state)
{
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	set_request_with(walker, SECOND - PAGE, PAGE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, 0);

	set_request_with(walker, SECOND - PAGE, (uint32_t)PAGE + 1);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EFAULT);
	assert_int_equal(chain->nr_writable, 3);
	assert_int_equal(chain->writable_bytes, PAGE + 2);
	walker_assert_iov(walker, &chain->writable[0], SECOND - PAGE, PAGE);
	assert_null(chain->writable[1].iov_base);
	assert_int_equal(chain->writable[1].iov_len, 1);
	assert_status_is_last(walker);
}

/* G-11, G-21: whatever the address, the status byte is found */
static void a_buffer_outside_memory_does_not_end_the_walk(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} wild[] = {
		{ 0, 1 },
		{ HOLE, 4096 },
		{ RING_GUEST_BASE - 1, 4096 },
		{ SECOND, ALL - 100 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 4096 },
		{ UINT64_MAX - 4095, 4096 },
		{ UINT64_MAX - 100, ALL - 100 },
	};
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	for (unsigned int i = 0; i < ARRAY_SIZE(wild); i++) {
		set_request_with(walker, wild[i].addr, wild[i].len);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_int_equal(chain->error, -EFAULT);
		assert_int_equal(chain->nr_readable, 1);
		walker_assert_iov(walker, &chain->readable[0], walker->header,
				  16);
		assert_int_equal(chain->nr_writable, 2);
		assert_null(chain->writable[0].iov_base);
		assert_int_equal(chain->writable[0].iov_len, wild[i].len);
		assert_status_is_last(walker);
	}
}

static void a_header_outside_memory_is_told_too(void **state)
{
	struct walker *walker = *state;

	walker_set(walker, 0, HOLE, 16, NEXT);
	walker_set(walker, 1, walker->status, 1, WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->error, -EFAULT);
	assert_null(walker->chain->readable[0].iov_base);
	assert_int_equal(walker->chain->readable_bytes, 16);
	assert_status_is_last(walker);
}

/* Section 2.7.4.2 */
static void a_readable_buffer_behind_a_writable_one_is_left_out(void **state)
{
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	walker_set(walker, 0, walker->header, 16, NEXT);
	walker_set(walker, 1, walker->data, 512, NEXT | WRITE);
	walker_set(walker, 2, walker->data, 512, NEXT);
	walker_set(walker, 3, walker->status, 1, WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EPROTO);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	assert_int_equal(chain->nr_writable, 2);
	assert_int_equal(chain->writable_bytes, 513);
	assert_status_is_last(walker);
}

/* Section 2.7.5.2; the largest is fine */
static void a_chain_of_one_byte_less_than_4_gib_is_whole(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * GIB);

	walker_set(walker, 0, FAR, (uint32_t)(2 * GIB), NEXT);
	walker_set(walker, 1, FAR, (uint32_t)(2 * GIB - 2), NEXT | WRITE);
	walker_set(walker, 2, walker->status, 1, WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->error, 0);
	assert_int_equal(walker->chain->readable_bytes, 2 * GIB);
	assert_int_equal(walker->chain->writable_bytes, 2 * GIB - 1);
	munmap(view, 2 * GIB);
}

/* G-18 */
static void a_chain_of_4_gib_keeps_its_last_byte(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * GIB);
	const struct rh_chain *chain = walker->chain;

	set_request_with(walker, FAR, (uint32_t)(2 * GIB));
	walker_set(walker, 2, FAR, (uint32_t)(2 * GIB), NEXT | WRITE);
	walker_set(walker, 3, walker->status, 1, WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EMSGSIZE);
	assert_int_equal(chain->readable_bytes, 16);
	assert_in_range(chain->writable_bytes, 1, ALL);
	assert_status_is_last(walker);

	/* the status byte as the last one of the buffer that exceeds */
	walker_set(walker, 2, FAR, (uint32_t)(2 * GIB), WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EMSGSIZE);
	walker_assert_iov(walker, &chain->writable[chain->nr_writable - 1],
			  FAR + 2 * GIB - 1, 1);
	munmap(view, 2 * GIB);
}

static void a_last_byte_outside_memory_has_no_address(void **state)
{
	static const uint64_t addrs[] = { HOLE, UINT64_MAX - 7 };
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	/* The second one wraps to where memory would be. */
	for (unsigned int i = 0; i < ARRAY_SIZE(addrs); i++) {
		set_request_with(walker, walker->data, 1);
		walker_set(walker, 2, addrs[i], ALL, WRITE);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_int_equal(chain->error, -EMSGSIZE);
		assert_int_equal(chain->nr_writable, 1);
		assert_null(chain->writable[0].iov_base);
		assert_int_equal(chain->writable_bytes, 1);
	}
}

/* Make the chain of the table begin with seven writable bytes more. */
static void put_seven_in_front(struct walker *walker, uint32_t table_bytes)
{
	for (uint16_t i = 0; i < 7; i++)
		walker_set(walker, i, walker->data, 1, NEXT | WRITE);
	walker->ring.desc[7] =
		ring_desc(walker->table, table_bytes, VIRTQ_DESC_F_INDIRECT, 0);
}

static void too_many_pieces_keep_the_last_one(void **state)
{
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	walker_set_long(walker, 0, RH_CHAIN_MAX_IOV);
	walker_table(walker)[RH_CHAIN_MAX_IOV - 1].addr =
		le64_make(walker->status);
	put_seven_in_front(walker, RH_CHAIN_MAX_IOV * 16);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EMSGSIZE);
	assert_int_equal(chain->nr_readable, 0);
	assert_int_equal(chain->nr_writable, RH_CHAIN_MAX_IOV);
	assert_int_equal(chain->writable_bytes, RH_CHAIN_MAX_IOV);
	assert_status_is_last(walker);
}

static void too_many_readable_pieces_leave_room_for_a_status(void **state)
{
	struct walker *walker = *state;
	const struct rh_chain *chain = walker->chain;

	walker_set_long(walker, RH_CHAIN_MAX_IOV - 1, 1);
	walker_table(walker)[RH_CHAIN_MAX_IOV - 1].addr =
		le64_make(walker->status);
	put_seven_in_front(walker, RH_CHAIN_MAX_IOV * 16);
	for (uint16_t i = 0; i < 7; i++)
		walker->ring.desc[i].flags = le16_make(NEXT);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EMSGSIZE);
	assert_int_equal(chain->nr_readable, RH_CHAIN_MAX_IOV - 1);
	assert_int_equal(chain->readable_bytes, RH_CHAIN_MAX_IOV - 1);
	assert_int_equal(chain->nr_writable, 1);
	assert_status_is_last(walker);
}

/* The last buffer's second piece is the one too many. */
static void a_cut_may_be_what_exceeds(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, SECOND, PAGE);
	const struct rh_chain *chain = walker->chain;
	struct virtq_desc *last = walker_table(walker) + RH_CHAIN_MAX_IOV - 1;

	walker_set_long(walker, 1, RH_CHAIN_MAX_IOV - 1);
	*last = ring_desc(SECOND - 1, 2, WRITE, 0);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(chain->error, -EMSGSIZE);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->nr_writable, RH_CHAIN_MAX_IOV - 1);
	walker_assert_iov(walker, &chain->writable[RH_CHAIN_MAX_IOV - 2],
			  SECOND, 1);
	munmap(view, PAGE);
}

/* True if the piece lies in one region as the library has it, or nowhere. */
static bool piece_is_sound(const struct rh_map *map, const struct iovec *iov)
{
	uint8_t *base = iov->iov_base;

	for (unsigned int i = 0; base && i < map->nr_regions; i++) {
		const struct rh_region *region = &map->regions[i];
		size_t bytes = region->guest_end - region->guest_start;

		if (base >= region->host && base < region->host + bytes)
			return iov->iov_len <= bytes &&
			       base - region->host <=
				       (ptrdiff_t)(bytes - iov->iov_len);
	}
	return !base;
}

static bool pieces_are_sound(const struct walker *walker,
			     const struct iovec *iov, unsigned int nr,
			     size_t bytes)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (!iov[i].iov_len ||
		    !piece_is_sound(walker->ring.map, &iov[i]))
			return false;
		sum += iov[i].iov_len;
	}
	return sum == bytes && sum <= ALL;
}

static bool chain_is_sound(const struct walker *walker)
{
	const struct rh_chain *chain = walker->chain;

	return pieces_are_sound(walker, chain->readable, chain->nr_readable,
				chain->readable_bytes) &&
	       pieces_are_sound(walker, chain->writable, chain->nr_writable,
				chain->writable_bytes);
}

struct flipper {
	struct walker *walker;
	atomic_uint nr_flips;
	atomic_bool stop;
};

/* Rewrites whole descriptors with good and bad values at full speed. */
static void *flip(void *opaque)
{
	struct flipper *flipper = opaque;
	struct walker *walker = flipper->walker;
	const uint64_t addrs[] = {
		walker->data, SECOND - PAGE,  SECOND - 1,
		HOLE,	      UINT64_MAX - 1, walker->table
	};
	static const uint32_t lens[] = { 0, 1, 16, 48, 4096, 1u << 31, ALL };
	unsigned int seed = 1;

	while (!atomic_load(&flipper->stop)) {
		unsigned int random = (unsigned int)rand_r(&seed);
		struct virtq_desc *desc =
			random & 1 ? walker_table(walker) : walker->ring.desc;
		volatile struct virtq_desc *victim = &desc[random >> 1 & 3];

		victim->addr.raw = addrs[(random >> 3) % ARRAY_SIZE(addrs)];
		victim->len.raw = lens[(random >> 6) % ARRAY_SIZE(lens)];
		victim->flags.raw = random >> 10 & 7;
		victim->next.raw = random >> 14 & 3;
		atomic_fetch_add(&flipper->nr_flips, 1);
	}
	return NULL;
}

/* G-08 */
static void descriptors_that_change_during_the_walk_are_safe(void **state)
{
	struct walker *walker = *state;
	struct flipper flipper = { .walker = walker };
	unsigned int nr_walked = 0;
	bool sound = true;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, flip, &flipper), 0);
	for (unsigned int i = 0;
	     sound && (nr_walked < NR_WALKS ||
		       atomic_load(&flipper.nr_flips) < NR_WALKS);
	     i++) {
		if (i % 1024 == 0)
			sched_yield();
		if (walker_walk(walker, i & 3) < 0)
			continue;
		nr_walked++;
		sound = chain_is_sound(walker);
	}
	atomic_store(&flipper.stop, true);
	pthread_join(thread, NULL);
	assert_true(sound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALK_TEST(a_buffer_in_two_regions_comes_in_two_pieces),
		WALK_TEST(a_buffer_in_three_regions_comes_in_three_pieces),
		WALK_TEST(a_buffer_that_ends_past_memory_is_an_error),
		WALK_TEST(a_buffer_outside_memory_does_not_end_the_walk),
		WALK_TEST(a_header_outside_memory_is_told_too),
		WALK_TEST(a_readable_buffer_behind_a_writable_one_is_left_out),
		WALK_TEST(a_chain_of_one_byte_less_than_4_gib_is_whole),
		WALK_TEST(a_chain_of_4_gib_keeps_its_last_byte),
		WALK_TEST(a_last_byte_outside_memory_has_no_address),
		WALK_TEST(too_many_pieces_keep_the_last_one),
		WALK_TEST(too_many_readable_pieces_leave_room_for_a_status),
		WALK_TEST(a_cut_may_be_what_exceeds),
		WALK_TEST(descriptors_that_change_during_the_walk_are_safe),
	};

	return cmocka_run_group_tests_name("chain-bounds", tests, NULL, NULL);
}

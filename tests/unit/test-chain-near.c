/* SPDX-License-Identifier: MIT */
/* chain-near - where a walk looks first is never where it looks only */
#include <errno.h>
#include <sys/mman.h>

#include "tests/unit/chain-walker.h"

#define NEXT  VIRTQ_DESC_F_NEXT
#define WRITE VIRTQ_DESC_F_WRITE
#define FAR   (SECOND + 16 * PAGE)

static void assert_near(const struct walker *walker, uint64_t guest)
{
	const struct rh_region *near = walker->chains.near;

	assert_true(near >= &walker->ring.map->regions[0]);
	assert_true(near < &walker->ring.map->regions[0] +
				   walker->ring.map->nr_regions);
	assert_in_range(guest, near->guest_start, near->guest_end - 1);
}

static void assert_request(const struct walker *walker, uint64_t header,
			   uint64_t data, uint64_t status)
{
	const struct rh_chain *chain = walker->chain;

	assert_int_equal(chain->error, 0);
	assert_int_equal(chain->nr_readable, 1);
	assert_int_equal(chain->readable_bytes, 16);
	walker_assert_iov(walker, &chain->readable[0], header, 16);
	assert_int_equal(chain->nr_writable, 2);
	assert_int_equal(chain->writable_bytes, PAGE + 1);
	walker_assert_iov(walker, &chain->writable[0], data, PAGE);
	walker_assert_iov(walker, &chain->writable[1], status, 1);
}

static void walk_request(struct walker *walker, uint64_t header, uint64_t data,
			 uint64_t status)
{
	const struct ring_buffer buffers[] = {
		{ header, 16, false },
		{ data, PAGE, true },
		{ status, 1, true },
	};

	ring_fill(walker->ring.desc, 0, buffers, ARRAY_SIZE(buffers));
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_request(walker, header, data, status);
}

static void the_buffers_of_a_chain_may_lie_in_turns_in_two_regions(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * PAGE);

	for (int i = 0; i < 2; i++) {
		walk_request(walker, walker->header, FAR, walker->status);
		walk_request(walker, FAR, walker->data, FAR + 16);
		walk_request(walker, FAR + PAGE, FAR, FAR + PAGE + 16);
		walk_request(walker, walker->header, walker->data,
			     walker->status);
	}
	munmap(view, 2 * PAGE);
}

static void the_next_chain_begins_where_the_last_one_ended(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * PAGE);

	walk_request(walker, walker->header, walker->data, FAR);
	assert_near(walker, FAR);
	walk_request(walker, FAR, FAR, walker->status);
	assert_near(walker, walker->status);
	munmap(view, 2 * PAGE);
}

static void a_table_may_lie_far_from_the_buffers(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * PAGE);
	const struct ring_buffer buffers[] = {
		{ FAR + PAGE, 16, false },
		{ FAR, PAGE, true },
		{ FAR + PAGE + 16, 1, true },
	};

	for (int i = 0; i < 2; i++) {
		ring_fill(walker_table(walker), 0, buffers, 3);
		walker_use_table(walker, 48);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_request(walker, FAR + PAGE, FAR, FAR + PAGE + 16);
		assert_near(walker, FAR);
	}
	munmap(view, 2 * PAGE);
}

/* The first and the last byte of the near region, and those beside them */
static void a_buffer_just_outside_the_near_region_is_outside(void **state)
{
	struct walker *walker = *state;
	const struct {
		uint64_t addr;
		uint32_t len;
		int error;
	} edges[] = {
		{ RING_GUEST_BASE, 1, 0 },
		{ RING_GUEST_BASE - 1, 1, -EFAULT },
		{ RING_GUEST_BASE - 1, 2, -EFAULT },
		{ SECOND - 1, 1, 0 },
		{ SECOND - 1, 2, -EFAULT },
		{ SECOND, 1, -EFAULT },
		{ RING_GUEST_BASE, RING_MEMORY_BYTES, 0 },
		{ RING_GUEST_BASE, RING_MEMORY_BYTES + 1, -EFAULT },
		{ UINT64_MAX, 2, -EFAULT },
		{ 0, ALL - 100, -EFAULT },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		walk_request(walker, walker->header, walker->data,
			     walker->status);
		walker_set(walker, 0, walker->header, 16, NEXT);
		walker_set(walker, 1, edges[i].addr, edges[i].len, WRITE);
		assert_int_equal(walker_walk(walker, 0), 0);
		assert_int_equal(walker->chain->error, edges[i].error);
		assert_near(walker, walker->header);
	}
}

/* Whatever is wrong with a chain, the next one is looked at as ever. */
static void a_bad_chain_leaves_the_near_region_as_it_was(void **state)
{
	struct walker *walker = *state;
	uint8_t *view = ring_add_region(&walker->ring, FAR, 2 * PAGE);

	walk_request(walker, walker->header, FAR, FAR + PAGE);
	walker_set(walker, 0, walker->header, 16, NEXT | WRITE);
	walker_set(walker, 1, FAR, PAGE, NEXT);
	walker_set(walker, 2, FAR, ALL, NEXT | WRITE);
	walker_set(walker, 3, FAR + PAGE, 1, WRITE);
	assert_int_equal(walker_walk(walker, 0), 0);
	assert_int_equal(walker->chain->error, -EPROTO);
	assert_near(walker, walker->header);
	walk_request(walker, walker->header, FAR, FAR + PAGE);
	munmap(view, 2 * PAGE);
}

static void without_any_region_every_buffer_is_outside(void **state)
{
	struct walker *walker = *state;
	struct virtq_desc desc = ring_desc(walker->data, 16, WRITE, 0);
	struct rh_chains chains;
	struct rh_map *empty;

	assert_int_equal(rh_map_create(&empty), 0);
	rh_chains_init(&chains, empty, NULL);
	assert_int_equal(rh_chain_walk(&chains, &desc, 1, 0, &walker->slot), 0);
	assert_int_equal(walker->chain->error, -EFAULT);
	assert_null(walker->chain->writable[0].iov_base);
	desc = ring_desc(walker->table, 16, VIRTQ_DESC_F_INDIRECT, 0);
	assert_int_equal(rh_chain_walk(&chains, &desc, 1, 0, &walker->slot),
			 -EPROTO);
	rh_map_put(empty);
}

static uint8_t *replace_region(struct ring_memory *ring, uint64_t guest,
			       uint64_t bytes)
{
	const struct vhost_user_region region = {
		.guest_addr = guest,
		.size_bytes = bytes,
		.user_addr = guest - RING_GUEST_BASE + RING_FRONTEND_BASE,
	};
	struct rh_map *rest;

	assert_int_equal(rh_map_remove(ring->map, &region, &rest), 0);
	rh_map_put(ring->map);
	ring->map = rest;
	return ring_add_region(ring, guest, bytes);
}

/* F-17: the same guest address, other memory */
static void a_queue_that_starts_again_forgets_the_old_map(void **state)
{
	struct walker *walker = *state;
	struct ring_memory *ring = &walker->ring;
	const struct ring_buffer buffer = { FAR, 16, true };
	struct rh_chain *chain;
	uint8_t *old_view = ring_add_region(ring, FAR, PAGE);
	uint8_t *new_view;
	void *old_host;

	ring_start(ring, 0);
	old_host = ring_host(ring, FAR);
	ring_add(ring, 0, &buffer, 1);
	assert_int_equal(rh_queue_pop(&ring->queue, &chain), 1);
	assert_ptr_equal(chain->writable[0].iov_base, old_host);
	rh_queue_push(&ring->queue, chain, 0);
	ring_stop(ring);
	assert_null(ring->queue.chains.near);

	new_view = replace_region(ring, FAR, PAGE);
	ring_start(ring, 0);
	ring_add(ring, 0, &buffer, 1);
	assert_int_equal(rh_queue_pop(&ring->queue, &chain), 1);
	assert_ptr_equal(chain->writable[0].iov_base, ring_host(ring, FAR));
	*(uint8_t *)chain->writable[0].iov_base = 0x5a;
	assert_int_equal(*new_view, 0x5a);
	assert_int_equal(*old_view, 0);
	rh_queue_push(&ring->queue, chain, 1);
	ring_stop(ring);
	munmap(old_view, PAGE);
	munmap(new_view, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALK_TEST(
			the_buffers_of_a_chain_may_lie_in_turns_in_two_regions),
		WALK_TEST(the_next_chain_begins_where_the_last_one_ended),
		WALK_TEST(a_table_may_lie_far_from_the_buffers),
		WALK_TEST(a_buffer_just_outside_the_near_region_is_outside),
		WALK_TEST(a_bad_chain_leaves_the_near_region_as_it_was),
		WALK_TEST(without_any_region_every_buffer_is_outside),
		WALK_TEST(a_queue_that_starts_again_forgets_the_old_map),
	};

	return cmocka_run_group_tests_name("chain-near", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * iotlb-threads - a reader never sees half of a change
 *
 * The writer changes what each of 32 pages is, at full speed. An address is
 * always put at the same offset in one of two places, and which one it is
 * decides on the permission, so what a reader finds tells whether its parts
 * belong together.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/iotlb.h"
#include "tests/unit/ring-memory.h"

#define PAGE	UINT64_C(4096)
#define PAGES	32
#define PLACE	(PAGES * PAGE)
#define CHANGES 200000
#define READERS 2

struct shared {
	struct ring_memory memory;
	struct rh_iotlb *iotlb;
	uint8_t *host;
	atomic_bool done;
	atomic_uint nr_found;
	atomic_uint nr_wrong;
};

static void look(struct shared *shared, uint64_t page)
{
	const struct iova iova = { page * PAGE + page };
	uint64_t contiguous = 0;
	uint8_t *host = NULL;
	uint64_t offset;
	int result;

	result = rh_iotlb_find(shared->iotlb,
			       (struct rh_reach){ iova, PAGE, VHOST_ACCESS_WO },
			       &host, &contiguous);
	if (result) /* absent, or readable only: the first place */
		return;
	offset = (uint64_t)(host - shared->host);
	atomic_fetch_add(&shared->nr_found, 1);
	if (offset != PLACE + iova.value || contiguous < PAGE - page ||
	    contiguous > PAGE)
		atomic_fetch_add(&shared->nr_wrong, 1);
}

static void *read_on(void *opaque)
{
	struct shared *shared = opaque;

	while (!atomic_load(&shared->done)) {
		for (uint64_t page = 0; page < PAGES; page++)
			look(shared, page);
	}
	return NULL;
}

static void change(struct shared *shared, unsigned int *seed)
{
	uint64_t page = (uint64_t)rand_r(seed) % PAGES;
	bool second = rand_r(seed) % 2;
	struct vhost_user_iotlb update = {
		.iova = page * PAGE,
		.size_bytes = PAGE,
		.user_addr =
			RING_FRONTEND_BASE + page * PAGE + (second ? PLACE : 0),
		.permission = second ? VHOST_ACCESS_RW : VHOST_ACCESS_RO,
	};

	if (rand_r(seed) % 3)
		rh_iotlb_update(shared->iotlb, shared->memory.map, &update);
	else
		rh_iotlb_invalidate(shared->iotlb, (struct iova){ page * PAGE },
				    (struct iova){ page * PAGE + PAGE - 1 });
}

static void a_reader_sees_a_whole_state_of_the_table(void **state)
{
	static struct shared shared;
	pthread_t readers[READERS];
	unsigned int seed = 1;

	(void)state;
	ring_init(&shared.memory, 8);
	assert_int_equal(rh_iotlb_create(1, &shared.iotlb), 0);
	shared.host = ring_host(&shared.memory, RING_GUEST_BASE);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(
			pthread_create(&readers[i], NULL, read_on, &shared), 0);
	for (int i = 0; i < CHANGES; i++)
		change(&shared, &seed);
	/* one that is there for good, for readers that got no turn before */
	while (!atomic_load(&shared.nr_found))
		change(&shared, &seed);
	atomic_store(&shared.done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(shared.nr_wrong, 0);
	rh_iotlb_destroy(shared.iotlb);
	ring_deinit(&shared.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_sees_a_whole_state_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * words - what the other side sees of a ring changes in whole words
 *
 * Of each verb of both layouts, the accesses to the ring that its compiled
 * code makes: an index, a flags word or an event is one load or one store, at
 * its own address; nothing is looked at that the verb does not need, and
 * nothing twice, save that the flags which say that a packed chain is there
 * come once more with the rest of its first descriptor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "lib/packed.h"
#include "lib/split.h"
#include "tests/race/watch.h"

#define SIZE	      8
#define MEMORY_BYTES  4096u
#define MOST_ACCESSES 64u
#define AVAIL_AT      256u
#define USED_AT	      512u

struct access {
	size_t offset;
	unsigned int bytes;
	bool writes;
};

static struct watch watch;
static uint8_t *memory; /* MEMORY_BYTES */
static struct rh_split split;
static struct rh_packed packed;
static struct pvirtq_desc chain[SIZE];

/* Those since the last begin(); there may be more than were kept. */
static unsigned int nr_accesses;
static struct access accesses[MOST_ACCESSES];

static void note(struct watch *of, const uint8_t *start, unsigned int bytes,
		 bool writes)
{
	(void)of;
	if (nr_accesses < MOST_ACCESSES)
		accesses[nr_accesses] = (struct access){
			.offset = (size_t)(start - memory),
			.bytes = bytes,
			.writes = writes,
		};
	nr_accesses++;
}

static void make_memory(void)
{
	memory = aligned_alloc(MEMORY_BYTES, MEMORY_BYTES);
	assert_non_null(memory);
	memset(memory, 0, MEMORY_BYTES);
	watch = (struct watch){ .was_accessed = note };
	watch_add(&watch, memory, MEMORY_BYTES);
}

static void unmake(void)
{
	watch_deinit(&watch);
	free(memory);
}

static void begin(void)
{
	nr_accesses = 0;
	watch_begin(&watch);
}

static bool is_same(const struct access *a, const struct access *b)
{
	return a->offset == b->offset && a->bytes == b->bytes &&
	       a->writes == b->writes;
}

static void end_with(const struct access *expected, unsigned int nr)
{
	bool same = nr_accesses == nr;

	watch_end(&watch);
	for (unsigned int i = 0; same && i < nr; i++)
		same = is_same(&accesses[i], &expected[i]);
	if (same)
		return;
	for (unsigned int i = 0; i < MIN(nr_accesses, MOST_ACCESSES); i++)
		print_message("# %s %u bytes at %zu\n",
			      accesses[i].writes ? "stores" : "loads",
			      accesses[i].bytes, accesses[i].offset);
	fail();
}

#define END_WITH(...)                                                          \
	end_with((const struct access[]){ __VA_ARGS__ },                       \
		 ARRAY_SIZE(((const struct access[]){ __VA_ARGS__ })))

#define LOAD(offset)                                                           \
	{                                                                      \
		offset, 2, false                                               \
	}
#define LOAD_HALF(offset)                                                      \
	{                                                                      \
		offset, 8, false                                               \
	} /* of a descriptor */
#define STORE(offset)                                                          \
	{                                                                      \
		offset, 2, true                                                \
	}
#define STORE_LONG(offset)                                                     \
	{                                                                      \
		offset, 4, true                                                \
	}

/* Places of a split ring */
#define AVAIL_FLAGS   (AVAIL_AT + offsetof(struct virtq_avail, flags))
#define AVAIL_IDX     (AVAIL_AT + offsetof(struct virtq_avail, idx))
#define AVAIL_RING(i) (AVAIL_AT + sizeof(struct virtq_avail) + 2u * (i))
#define USED_EVENT    AVAIL_RING(SIZE)
#define USED_FLAGS    (USED_AT + offsetof(struct virtq_used, flags))
#define USED_IDX      (USED_AT + offsetof(struct virtq_used, idx))
#define USED_RING(i)  (USED_AT + sizeof(struct virtq_used) + 8u * (i))
#define AVAIL_EVENT   USED_RING(SIZE)

static void make_split(bool event_idx)
{
	make_memory();
	split = (struct rh_split){
		.desc = (void *)memory,
		.avail = (void *)(memory + AVAIL_AT),
		.used = (void *)(memory + USED_AT),
		.size = SIZE,
		.event_idx = event_idx,
	};
	rh_split_start(&split, 0);
	split.avail->idx = le16_make(3);
	split.has_published = true;
}

/* G-24 */
static void an_index_of_a_split_ring_is_one_access(void **state)
{
	uint16_t head;
	int taken;

	(void)state;
	make_split(true);
	begin();
	taken = rh_split_take(&split, &head);
	END_WITH(LOAD(AVAIL_IDX), LOAD(AVAIL_RING(0)));
	assert_int_equal(taken, 1);

	/* the index is known to be further */
	begin();
	taken = rh_split_take(&split, &head);
	END_WITH(LOAD(AVAIL_RING(1)));
	assert_int_equal(taken, 1);

	begin();
	rh_split_give(&split, 0, 1);
	rh_split_give(&split, 0, 1);
	END_WITH(STORE_LONG(USED_RING(0)), STORE_LONG(USED_RING(0) + 4),
		 STORE_LONG(USED_RING(1)), STORE_LONG(USED_RING(1) + 4));

	begin();
	rh_split_publish(&split);
	END_WITH(STORE(USED_IDX), LOAD(USED_EVENT));

	begin();
	rh_split_suppress_kicks(&split);
	end_with(NULL, 0);

	split.next_avail = split.known_avail;
	begin();
	rh_split_expect_kicks(&split);
	END_WITH(STORE(AVAIL_EVENT), LOAD(AVAIL_IDX));
	unmake();
}

/* G-24 */
static void the_flags_of_a_split_ring_are_one_access(void **state)
{
	uint16_t head;

	(void)state;
	make_split(false);
	assert_int_equal(rh_split_take(&split, &head), 1);
	rh_split_give(&split, head, 1);
	begin();
	rh_split_publish(&split);
	END_WITH(STORE(USED_IDX), LOAD(AVAIL_FLAGS));

	begin();
	rh_split_suppress_kicks(&split);
	rh_split_suppress_kicks(&split);
	END_WITH(STORE(USED_FLAGS));

	split.next_avail = split.known_avail;
	begin();
	rh_split_expect_kicks(&split);
	END_WITH(STORE(USED_FLAGS), LOAD(AVAIL_IDX));

	begin();
	rh_split_start(&split, 0);
	END_WITH(LOAD(USED_IDX), STORE(USED_FLAGS));
	unmake();
}

/* Places of a packed ring */
#define DESC(i)	      (16u * (i))
#define DESC_LEN(i)   (DESC(i) + offsetof(struct pvirtq_desc, len))
#define DESC_ID(i)    (DESC(i) + offsetof(struct pvirtq_desc, id))
#define DESC_FLAGS(i) (DESC(i) + offsetof(struct pvirtq_desc, flags))
#define DRIVER_PLACE  (AVAIL_AT + offsetof(struct pvirtq_event_suppress, desc))
#define DRIVER_FLAGS  (AVAIL_AT + offsetof(struct pvirtq_event_suppress, flags))
#define DEVICE_PLACE  (USED_AT + offsetof(struct pvirtq_event_suppress, desc))
#define DEVICE_FLAGS  (USED_AT + offsetof(struct pvirtq_event_suppress, flags))

/* A chain of two descriptors, and one of one */
static void make_packed(bool event_idx)
{
	make_memory();
	packed = (struct rh_packed){
		.desc = (void *)memory,
		.driver_event = (void *)(memory + AVAIL_AT),
		.device_event = (void *)(memory + USED_AT),
		.chain = chain,
		.size = SIZE,
		.event_idx = event_idx,
	};
	rh_packed_start(&packed, RH_PACKED_FIRST_BASE);
	packed.desc[0].flags =
		le16_make(VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_NEXT);
	packed.desc[1].flags = le16_make(VIRTQ_DESC_F_AVAIL);
	packed.desc[2].flags = le16_make(VIRTQ_DESC_F_AVAIL);
	packed.driver_event->flags = le16_make(
		event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE);
}

/* G-24 */
static void a_descriptor_of_a_packed_ring_is_read_once(void **state)
{
	uint16_t id;
	int taken;

	(void)state;
	make_packed(true);
	begin();
	taken = rh_packed_take(&packed, &id);
	END_WITH(LOAD(DESC_FLAGS(0)), LOAD_HALF(DESC(0)),
		 LOAD_HALF(DESC(0) + 8), LOAD_HALF(DESC(1)),
		 LOAD_HALF(DESC(1) + 8));
	assert_int_equal(taken, 1);

	begin();
	taken = rh_packed_take(&packed, &id) + rh_packed_take(&packed, &id);
	END_WITH(LOAD(DESC_FLAGS(2)), LOAD_HALF(DESC(2)),
		 LOAD_HALF(DESC(2) + 8), LOAD(DESC_FLAGS(3)));
	assert_int_equal(taken, 1);
	unmake();
}

/* G-24 */
static void the_flags_of_a_packed_ring_are_one_access(void **state)
{
	uint16_t id;

	(void)state;
	make_packed(true);
	assert_int_equal(rh_packed_take(&packed, &id), 1);
	assert_int_equal(rh_packed_take(&packed, &id), 1);
	begin();
	rh_packed_give(&packed, 0, 2, 1);
	rh_packed_give(&packed, 0, 1, 1);
	END_WITH(STORE(DESC_ID(0)), STORE_LONG(DESC_LEN(0)), STORE(DESC_ID(2)),
		 STORE_LONG(DESC_LEN(2)), STORE(DESC_FLAGS(2)));

	begin();
	rh_packed_publish(&packed);
	END_WITH(STORE(DESC_FLAGS(0)), LOAD(DRIVER_FLAGS), LOAD(DRIVER_PLACE));

	begin();
	rh_packed_expect_kicks(&packed);
	END_WITH(STORE(DEVICE_PLACE), STORE(DEVICE_FLAGS), LOAD(DESC_FLAGS(3)));
	unmake();

	make_packed(false);
	begin();
	rh_packed_suppress_kicks(&packed);
	rh_packed_expect_kicks(&packed);
	END_WITH(STORE(DEVICE_FLAGS), STORE(DEVICE_FLAGS), LOAD(DESC_FLAGS(0)));
	unmake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_of_a_split_ring_is_one_access),
		cmocka_unit_test(the_flags_of_a_split_ring_are_one_access),
		cmocka_unit_test(a_descriptor_of_a_packed_ring_is_read_once),
		cmocka_unit_test(the_flags_of_a_packed_ring_are_one_access),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}

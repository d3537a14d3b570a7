/* SPDX-License-Identifier: MIT */
/*
 * packed-ring - a packed ring in memory of its own, with both sides of it
 *
 * For the unit tests of packed: each part is as large as it must be and not a
 * byte more.
 */
#ifndef TESTS_UNIT_PACKED_RING_H
#define TESTS_UNIT_PACKED_RING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/unit/packed-side.h"

struct packed_ring {
	struct rh_packed device;
	struct packed_side driver;
};

/* A new ring, started. */
static inline struct packed_ring packed_ring(uint16_t size, bool event_idx)
{
	struct packed_ring ring = {
		.device = {
			.desc = calloc(1, rh_packed_desc_bytes(size)),
			.driver_event = calloc(1, 4),
			.device_event = calloc(1, 4),
			.chain = calloc(1, rh_packed_desc_bytes(size)),
			.size = size,
			.event_idx = event_idx,
		},
	};

	assert_non_null(ring.device.desc);
	assert_non_null(ring.device.driver_event);
	assert_non_null(ring.device.device_event);
	assert_non_null(ring.device.chain);
	rh_packed_start(&ring.device, RH_PACKED_FIRST_BASE);
	ring.driver = (struct packed_side){
		.desc = ring.device.desc,
		.driver_event = ring.device.driver_event,
		.device_event = ring.device.device_event,
		.size = size,
		.avail = { 0, true },
		.used = { 0, true },
	};
	return ring;
}

static inline void packed_ring_free(struct packed_ring *ring)
{
	free(ring->device.desc);
	free(ring->device.driver_event);
	free(ring->device.device_event);
	free(ring->device.chain);
}

/*
 * A chain of nr descriptors goes all the way through the ring, which is empty
 * before and after. Returns what publish said.
 */
static inline bool packed_ring_pass(struct packed_ring *ring, uint16_t id,
				    uint16_t nr)
{
	struct pvirtq_desc used;
	uint16_t taken;
	bool notify;

	packed_side_add_empty(&ring->driver, id, nr);
	assert_true(rh_packed_pending(&ring->device));
	assert_int_equal(rh_packed_take(&ring->device, &taken), 1);
	assert_int_equal(taken, id);
	assert_int_equal(ring->device.nr_taken, nr);
	rh_packed_give(&ring->device, id, nr, id);
	notify = rh_packed_publish(&ring->device);
	assert_true(packed_side_take_used(&ring->driver, &used));
	assert_int_equal(le16_get(used.id), id);
	assert_int_equal(le32_get(used.len), id);
	packed_side_skip(&ring->driver, nr);
	assert_false(packed_side_has_used(&ring->driver));
	assert_false(rh_packed_pending(&ring->device));
	return notify;
}

#endif

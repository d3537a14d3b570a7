/* SPDX-License-Identifier: MIT */
/* bench-vq - requests that are prepared once, in each layout of the ring */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/frontend/wire.h"
#include "tests/unit/hand-device.h"

#define NR_SLOTS     5
#define DATA_BYTES   4096
#define MEMORY_BYTES (1u << 20)
#define GUEST_BASE   0x40000000

struct fixture {
	struct fe_memory memory;
	struct vq vq;
	struct hand_device device;
};

static const uint64_t kinds[] = {
	0,
	FE_FEATURE_INDIRECT,
	FE_FEATURE_INDIRECT | FE_FEATURE_EVENT_IDX,
	FE_FEATURE_PACKED,
	FE_FEATURE_PACKED | FE_FEATURE_INDIRECT,
	FE_FEATURE_PACKED | FE_FEATURE_INDIRECT | FE_FEATURE_EVENT_IDX,
};

static struct fixture *set_up(uint64_t features)
{
	static struct fixture f;
	const struct vq_shape shape = {
		/* a packed ring's size need not be a power of two */
		.size = features & FE_FEATURE_PACKED ? 17 : 16,
		.nr_slots = NR_SLOTS,
		.data_bytes = DATA_BYTES,
		.features = features,
	};

	fe_memory_init(&f.memory);
	assert_int_equal(fe_memory_add(&f.memory, GUEST_BASE, MEMORY_BYTES), 0);
	assert_true(vq_memory_bytes(&shape) < MEMORY_BYTES);
	assert_int_equal(vq_init(&f.vq, &f.memory, &shape), 0);
	f.device = (struct hand_device){ .vq = &f.vq };
	return &f;
}

static void tear_down(struct fixture *f)
{
	vq_deinit(&f->vq);
	fe_memory_deinit(&f->memory);
}

/* Run a test on each kind of ring. */
static void on_each(void (*test)(struct fixture *f))
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct fixture *f = set_up(kinds[i]);

		test(f);
		tear_down(f);
	}
}

static void check_pieces(struct fixture *f, const struct hand_request *request,
			 uint32_t slot, bool reads)
{
	const struct hand_piece *pieces = request->pieces;

	assert_int_equal(request->nr_pieces, 3);
	assert_ptr_equal(hand_pointer(&f->device, &pieces[0]),
			 &f->vq.requests[slot].header);
	assert_int_equal(pieces[0].bytes, 16);
	assert_false(pieces[0].writable);
	assert_ptr_equal(hand_pointer(&f->device, &pieces[1]),
			 vq_data(&f->vq, slot));
	assert_int_equal(pieces[1].bytes, DATA_BYTES);
	assert_int_equal(pieces[1].writable, reads);
	assert_ptr_equal(hand_pointer(&f->device, &pieces[2]),
			 &f->vq.requests[slot].status);
	assert_int_equal(pieces[2].bytes, 1);
	assert_true(pieces[2].writable);
}

/* Each slot as a read and as a write, several times round the ring. */
static void pass_round(struct fixture *f)
{
	struct hand_request request;
	uint32_t slot;

	for (unsigned int round = 0; round < 100; round++) {
		uint32_t i = round % NR_SLOTS;
		bool reads = round / NR_SLOTS % 2;

		vq_add(&f->vq, i, reads);
		assert_false(hand_take(&f->device, &request));
		fe_vring_publish(&f->vq.vring);
		assert_true(hand_take(&f->device, &request));
		check_pieces(f, &request, i, reads);
		assert_int_equal(vq_take(&f->vq, &slot), 0);
		hand_complete(&f->device, &request, 0);
		assert_int_equal(vq_take(&f->vq, &slot), 1);
		assert_int_equal(slot, i);
		assert_int_equal(vq_take(&f->vq, &slot), 0);
	}
}

static void a_request_has_header_data_and_status(void **state)
{
	(void)state;
	on_each(pass_round);
}

static void pass_batch(struct fixture *f)
{
	struct hand_request requests[NR_SLOTS], none;
	uint32_t slot;

	for (unsigned int round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < NR_SLOTS; i++)
			vq_add(&f->vq, i, true);
		fe_vring_publish(&f->vq.vring);
		for (uint32_t i = 0; i < NR_SLOTS; i++)
			assert_true(hand_take(&f->device, &requests[i]));
		assert_false(hand_take(&f->device, &none));
		/* the device is done with them in another order */
		for (uint32_t i = NR_SLOTS; i-- > 0;)
			hand_complete(&f->device, &requests[i], 0);
		for (uint32_t i = NR_SLOTS; i-- > 0;) {
			assert_int_equal(vq_take(&f->vq, &slot), 1);
			assert_int_equal(slot, i);
		}
		assert_int_equal(vq_take(&f->vq, &slot), 0);
	}
}

static void a_batch_is_seen_at_once_and_answered_in_any_order(void **state)
{
	(void)state;
	on_each(pass_batch);
}

/* One read is under way in slot 0, and the device uses this instead. */
static void assert_breaks(struct fixture *f, uint32_t id, uint32_t bytes)
{
	struct hand_request request;
	uint32_t slot;

	vq_add(&f->vq, 0, true);
	fe_vring_publish(&f->vq.vring);
	assert_true(hand_take(&f->device, &request));
	hand_use(&f->device, id, bytes);
	assert_int_equal(vq_take(&f->vq, &slot), -EPROTO);
}

static void use_another(struct fixture *f)
{
	assert_breaks(f, f->vq.vring.is_packed ? 1 : f->vq.nr_pieces, 1);
}

static void use_none(struct fixture *f)
{
	assert_breaks(f, NR_SLOTS * VQ_PIECES, 1);
}

static void use_far_off(struct fixture *f)
{
	assert_breaks(f, 0xffff, 1);
}

static void use_too_long(struct fixture *f)
{
	assert_breaks(f, 0, DATA_BYTES + 2);
}

static void use_twice(struct fixture *f)
{
	struct hand_request request;
	uint32_t slot;

	vq_add(&f->vq, 0, true);
	vq_add(&f->vq, 1, true);
	fe_vring_publish(&f->vq.vring);
	assert_true(hand_take(&f->device, &request));
	hand_use(&f->device, request.id, 1);
	hand_use(&f->device, request.id, 1);
	assert_int_equal(vq_take(&f->vq, &slot), 1);
	assert_int_equal(vq_take(&f->vq, &slot), -EPROTO);
}

static void use_write_as_read(struct fixture *f)
{
	struct hand_request request;
	uint32_t slot;

	vq_add(&f->vq, 0, false);
	fe_vring_publish(&f->vq.vring);
	assert_true(hand_take(&f->device, &request));
	hand_use(&f->device, request.id, 2);
	assert_int_equal(vq_take(&f->vq, &slot), -EPROTO);
}

static void what_is_not_under_way_cannot_be_used(void **state)
{
	(void)state;
	on_each(use_another);
	on_each(use_none);
	on_each(use_far_off);
	on_each(use_twice);
}

static void no_more_bytes_can_be_used_than_there_is_room(void **state)
{
	(void)state;
	on_each(use_too_long);
	on_each(use_write_as_read);
}

static void a_head_within_a_chain_is_none(void **state)
{
	struct fixture *f = set_up(0);

	(void)state;
	assert_breaks(f, 1, 1);
	tear_down(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_header_data_and_status),
		cmocka_unit_test(
			a_batch_is_seen_at_once_and_answered_in_any_order),
		cmocka_unit_test(what_is_not_under_way_cannot_be_used),
		cmocka_unit_test(no_more_bytes_can_be_used_than_there_is_room),
		cmocka_unit_test(a_head_within_a_chain_is_none),
	};

	return cmocka_run_group_tests_name("bench-vq", tests, NULL, NULL);
}

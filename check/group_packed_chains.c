/* SPDX-License-Identifier: MIT */
/*
 * group_packed_chains - packed virtqueues as no driver should write them
 *
 * A read lies in descriptors 0, 1 and 2, or in a table that descriptor 0 names;
 * a case spoils something before the device may see it.
 */
#include <endian.h>
#include <errno.h>

#include "check/groups.h"
#include "check/spoilt.h"
#include "common/fd.h"

#define QUIET_MSEC 50
#define SMALL	   8
#define NEXT	   VRING_DESC_F_NEXT
#define WRITE	   VRING_DESC_F_WRITE
#define INDIRECT   VRING_DESC_F_INDIRECT
#define AVAIL	   (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED	   (1u << VRING_PACKED_DESC_F_USED)
#define WRAP	   (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define FAR	   (UINT64_C(1) << 40)

static const struct vm_options packed = {
	.unusual_features = FE_FEATURE_PACKED,
	.queue_size = SMALL,
};

static struct vring_packed_desc *make(struct check *check,
				      struct spoilt *spoilt, bool indirect)
{
	struct vm *vm = check_open(check, &packed);

	vm->blks[0].framing.indirect = indirect;
	*spoilt = (struct spoilt){
		.check = check,
		.vm = vm,
		.vring = &vm->vrings[0],
		.request = check_add_read(check, vm, 0),
	};
	return vm->vrings[0].packed.desc;
}

static struct vring_packed_desc *table_of(const struct spoilt *spoilt)
{
	return fe_memory_pointer(&spoilt->vm->memory,
				 spoilt->request->table_addr,
				 3 * sizeof(struct vring_packed_desc));
}

static void ids_beyond_the_ring(struct check *check)
{
	const uint16_t ids[] = { SMALL, SMALL + 1, 32768, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		make(check, &spoilt, false)[2].id = htole16(ids[i]);
		spoilt_expect_refusal(&spoilt, "an id beyond the ring");
	}
}

static void chains_that_do_not_end(struct check *check)
{
	struct spoilt spoilt;
	struct vring_packed_desc *desc = make(check, &spoilt, false);

	desc[2].flags |= htole16(NEXT);
	spoilt_expect_refusal(&spoilt, "a chain whose last descriptor is not "
				       "available");
	/* and one that goes round the whole ring */
	desc = make(check, &spoilt, false);
	desc[2].flags |= htole16(NEXT);
	for (unsigned int i = 3; i < SMALL; i++) {
		desc[i] = desc[1];
		desc[i].flags |= htole16(NEXT);
	}
	spoilt_expect_refusal(&spoilt, "a chain that never ends");
}

static void table_sizes(struct check *check)
{
	const uint32_t sizes[] = { 0, 1, 15, 17, 24, 49, 0xfffffff0 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make(check, &spoilt, true)[0].len = htole32(sizes[i]);
		spoilt_expect_refusal(&spoilt, "a table of a wrong size");
	}
}

static void table_places(struct check *check)
{
	const uint64_t places[] = { FAR, UINT64_MAX - 47, UINT64_MAX };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		make(check, &spoilt, true)[0].addr = htole64(places[i]);
		spoilt_expect_refusal(&spoilt, "a table outside of memory");
	}
}

static void tables_in_tables(struct check *check)
{
	struct spoilt spoilt;

	make(check, &spoilt, true);
	table_of(&spoilt)[0].flags |= htole16(INDIRECT);
	table_of(&spoilt)[0].addr = htole64(spoilt.request->table_addr);
	table_of(&spoilt)[0].len = htole32(48);
	spoilt_expect_refusal(&spoilt, "a table in a table");
}

/* Descriptor 0 keeps its header; a table stands where the data was. */
static void table_in_a_chain(struct check *check)
{
	struct spoilt spoilt;
	struct vring_packed_desc *desc = make(check, &spoilt, false);

	desc[1].addr = htole64(spoilt.request->table_addr);
	desc[1].len = htole32(16);
	desc[1].flags |= htole16(INDIRECT);
	check_harmless(check,
		       spoilt_push(&spoilt) == -ECONNRESET ?
			       -ECONNRESET :
			       fe_session_sync(&spoilt.vm->session),
		       "an indirect descriptor inside a chain");
}

static void data_outside(struct check *check)
{
	struct spoilt spoilt;

	make(check, &spoilt, false)[1].addr = htole64(FAR);
	spoilt_expect_refusal(&spoilt, "data outside of memory");
}

/* Whether the ring breaks or both are answered, nothing else is harmed. */
static void one_id_twice(struct check *check)
{
	struct spoilt spoilt;
	struct vring_packed_desc *desc = make(check, &spoilt, false);

	check_add_read(check, spoilt.vm, 0);
	desc[5].id = desc[2].id;
	check_harmless(check,
		       spoilt_push(&spoilt) == -ECONNRESET ?
			       -ECONNRESET :
			       fe_session_sync(&spoilt.vm->session),
		       "two chains with one id");
}

/*
 * A chain with the flags of the other round is not there. Once it has those
 * of this round it is.
 */
static void wrong_wrap_counter(struct check *check)
{
	struct spoilt spoilt;
	struct fe_vring *vring;
	uint16_t right;

	make(check, &spoilt, false);
	vring = spoilt.vring;
	right = vring->packed.first_flags;
	vring->packed.first_flags = (uint16_t)(right ^ (AVAIL | USED));
	fe_vring_publish(vring);
	fe_vring_kick(vring);
	check_done(check, fe_session_sync(&spoilt.vm->session),
		   "a chain with the wrong wrap counter");
	vring->packed.desc[0].flags = htole16(right);
	fe_vring_kick(vring);
	check_reap(check, spoilt.vm, 0);
}

static void head_before_the_rest(struct check *check)
{
	struct spoilt spoilt;
	struct vring_packed_desc *desc = make(check, &spoilt, false);
	uint16_t flags = le16toh(desc[2].flags);
	int error;

	desc[2].flags = 0;
	error = spoilt_push(&spoilt);
	if (!error)
		check_fail(check, "a chain of which one descriptor was not "
				  "available was served");
	desc[2].flags = htole16(flags);
	fe_vring_kick(spoilt.vring);
	if (error != -ECONNRESET)
		error = fe_session_sync(&spoilt.vm->session);
	check_harmless(check, error, "a head that is available too early");
}

static void odd_events(struct check *check)
{
	const struct {
		uint16_t flags;
		uint16_t off_wrap;
	} rows[] = { { 2, SMALL },	  { 2, 0x7fff }, { 2, 0xffff },
		     { 2, SMALL | WRAP }, { 3, 0 },	 { 0xfffc, 0 },
		     { 0xffff, 0xffff } };
	struct fe_blk_request *request;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm *vm = check_open(check, &packed);
		struct fe_vring *vring = &vm->vrings[0];

		for (unsigned int n = 0; n < 2 * SMALL; n++) {
			check_add_read(check, vm, 0);
			vring->packed.driver->off_wrap =
				htole16(rows[i].off_wrap);
			vring->packed.driver->flags = htole16(rows[i].flags);
			fe_vring_submit(vring);
			check_done(check,
				   fe_vring_wait(vring,
						 vm->session.timeout_msec),
				   "a read with event flags 0x%x, place 0x%x",
				   rows[i].flags, rows[i].off_wrap);
			check_done(check,
				   fe_blk_reap(&vm->blks[0], &request) - 1,
				   "take a used descriptor");
			fe_blk_put(request);
		}
	}
}

static void scribbled_device_event(struct check *check)
{
	struct vm *vm = check_open(check, &packed);
	struct fe_vring *vring = &vm->vrings[0];

	for (unsigned int i = 0; i < 50; i++) {
		vring->packed.device->off_wrap = htole16((uint16_t)(i * 4099));
		vring->packed.device->flags = htole16((uint16_t)i);
		check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		check_reap(check, vm, 0);
	}
}

/* A place that the ring does not have: refused, or never looked at. */
static void bases_beyond_the_ring(struct check *check)
{
	const uint32_t bases[] = { SMALL, SMALL | WRAP, 0x7fff, 0xffffffff,
				   (SMALL | WRAP) << 16 | WRAP };

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		struct vm *vm = check_prepare(check, &packed);
		struct fe_vring *vring = &vm->vrings[0];
		int error;

		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
		error = fe_session_start_vring(&vm->session, vring, 0,
					       bases[i]);
		check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		fe_vring_wait(vring, QUIET_MSEC);
		if (!error || error == -EREMOTEIO)
			error = fe_session_sync(&vm->session);
		check_harmless(check, error, "base 0x%08x for a ring of %d",
			       bases[i], SMALL);
	}
}

static void impossible_sizes(struct check *check)
{
	const uint32_t sizes[] = { 0, 32769, 65535, 65536, 65537, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vm *vm = check_prepare(check, &packed);
		struct fe_vring *vring = &vm->vrings[0];
		int error;

		check_done(check,
			   fe_session_set_memory(&vm->session, &vm->memory),
			   "show the memory");
		vring->size = sizes[i];
		error = fe_session_start_vring(&vm->session, vring, 0,
					       fe_vring_base(vring));
		vring->size = SMALL;
		fe_vring_kick(vring);
		if (!error || error == -EREMOTEIO)
			error = fe_session_sync(&vm->session);
		check_harmless(check, error, "a packed ring of %u entries",
			       sizes[i]);
	}
}

#define BAD(case_name, case_section, case_promise, function, more)             \
	{                                                                      \
		.name = case_name, .section = case_section,                    \
		.promise = case_promise, .run = function,                      \
		.flags = CHECK_HOSTILE, .features = FE_FEATURE_PACKED | (more) \
	}

#define NOTICED                                                                \
	"such a request is completed with an error, or its ring is given up"

static const struct check_case cases[] = {
	BAD("packed-id-beyond-the-ring-is-noticed", "virtio 1.3: 2.8.6",
	    NOTICED, ids_beyond_the_ring, 0),
	BAD("packed-chain-without-an-end-is-noticed", "virtio 1.3: 2.8.17",
	    NOTICED, chains_that_do_not_end, 0),
	BAD("packed-table-of-a-wrong-size-is-noticed", "virtio 1.3: 2.8.19",
	    NOTICED, table_sizes, FE_FEATURE_INDIRECT),
	BAD("packed-table-outside-memory-is-noticed", "virtio 1.3: 2.8.7",
	    NOTICED, table_places, FE_FEATURE_INDIRECT),
	BAD("packed-table-in-a-table-is-noticed", "virtio 1.3: 2.8.19", NOTICED,
	    tables_in_tables, FE_FEATURE_INDIRECT),
	BAD("packed-data-outside-memory-is-noticed", "virtio 1.3: 2.8.5",
	    NOTICED, data_outside, 0),
	BAD("packed-table-in-a-chain-does-no-harm", "virtio 1.3: 2.8.19",
	    "an indirect descriptor stands alone; one that does not is refused, "
	    "or hurts nobody",
	    table_in_a_chain, FE_FEATURE_INDIRECT),
	BAD("packed-id-given-twice-does-no-harm", "virtio 1.3: 2.8.6",
	    "an id that is under way twice hurts nobody but its driver",
	    one_id_twice, 0),
	BAD("wrong-wrap-counter-is-not-available", "virtio 1.3: 2.8.1",
	    "a descriptor is available in the round of its flags only",
	    wrong_wrap_counter, 0),
	BAD("head-before-the-rest-is-not-served", "virtio 1.3: 2.8.17",
	    "a chain is not served before all its descriptors are available",
	    head_before_the_rest, 0),
	BAD("odd-driver-events-do-no-harm", "virtio 1.3: 2.8.14",
	    "whatever the driver's event structure says, requests are served",
	    odd_events, 0),
	BAD("scribbled-device-event-does-no-harm", "virtio 1.3: 2.8.14",
	    "the device writes its event structure and does not read it",
	    scribbled_device_event, 0),
	BAD("packed-base-beyond-the-ring-does-no-harm",
	    "vhost-user: SET_VRING_BASE",
	    "a place that the ring does not have is refused, or not processed",
	    bases_beyond_the_ring, 0),
	BAD("impossible-packed-sizes-do-no-harm", "virtio 1.3: 2.8.10.1",
	    "a packed ring of no entries, or of more than 32768, is refused, or "
	    "not processed",
	    impossible_sizes, 0),
};

const struct check_group group_packed_chains = CHECK_GROUP(
	"packed-chains", "packed virtqueues, as no driver may use them", cases);

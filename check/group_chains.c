/* SPDX-License-Identifier: MIT */
/*
 * group_chains - split virtqueues as no driver should write them
 *
 * Where the device may take any bytes for a header, the request is a GET_ID,
 * so that nothing that comes from the disk is ever taken for a request.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "check/groups.h"
#include "check/spoilt.h"
#include "tests/frontend/clock.h"

#define NEXT	      VRING_DESC_F_NEXT
#define WRITE	      VRING_DESC_F_WRITE
#define INDIRECT      VRING_DESC_F_INDIRECT
#define FAR	      (UINT64_C(1) << 40)
#define SCRIBBLE_MSEC 2000

static void heads(struct check *check)
{
	const uint16_t rows[] = { VM_QUEUE_SIZE, 32768, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt.vring->avail->ring[0] = htole16(rows[i]);
		spoilt_expect_refusal(&spoilt,
				      "a head behind the descriptor table");
	}
}

static void nexts(struct check *check)
{
	const uint16_t rows[] = { VM_QUEUE_SIZE, 32768, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt.desc[1].next = htole16(rows[i]);
		spoilt_expect_refusal(&spoilt,
				      "next behind the descriptor table");
	}
}

static void nexts_in_a_table(struct check *check)
{
	const uint16_t rows[] = { 3, VM_QUEUE_SIZE, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt_use_table(&spoilt);
		spoilt.table[1].next = htole16(rows[i]);
		spoilt_expect_refusal(&spoilt, "next behind an indirect table");
	}
}

static const struct {
	unsigned int at;
	uint16_t next;
} loop_rows[] = { { 0, 0 }, { 1, 1 }, { 1, 0 }, { 2, 1 }, { 2, 2 } };

static void loops(struct check *check)
{
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(loop_rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt.desc[loop_rows[i].at].flags |= htole16(NEXT);
		spoilt.desc[loop_rows[i].at].next = htole16(loop_rows[i].next);
		spoilt_expect_refusal(&spoilt, "a loop of descriptors");
	}
}

static void loops_in_a_table(struct check *check)
{
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(loop_rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt_use_table(&spoilt);
		spoilt.table[loop_rows[i].at].flags |= htole16(NEXT);
		spoilt.table[loop_rows[i].at].next = htole16(loop_rows[i].next);
		spoilt_expect_refusal(&spoilt, "a loop in an indirect table");
	}
}

static void index_jumps(struct check *check)
{
	const uint16_t rows[] = { VM_QUEUE_SIZE + 1, 1000, 32768, 65535 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt.vring->next_avail = rows[i];
		/* each entry would be a good read: they must not be taken */
		memset(spoilt.vring->avail->ring, 0, 2 * spoilt.vring->size);
		spoilt_expect_refusal(&spoilt,
				      "an available index that is ahead by "
				      "more than the ring holds");
	}
}

static void table_sizes(struct check *check)
{
	const uint32_t rows[] = { 0, 1, 15, 17, 47, 49, 0xfffffff0 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt_use_table(&spoilt);
		spoilt.desc[0].len = htole32(rows[i]);
		spoilt_expect_refusal(&spoilt,
				      "an indirect table of no whole number "
				      "of descriptors");
	}
}

static void table_places(struct check *check)
{
	const uint64_t rows[] = { FAR, UINT64_MAX - 47, UINT64_MAX };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt_use_table(&spoilt);
		spoilt.desc[0].addr = htole64(rows[i]);
		spoilt_expect_refusal(&spoilt,
				      "an indirect table outside of memory");
	}
}

static void tables_in_tables(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	spoilt_use_table(&spoilt);
	spoilt_set_desc(&spoilt.table[1], spoilt.request->table_addr + 48, 48,
			INDIRECT, 0);
	spoilt_expect_refusal(&spoilt,
			      "an indirect table in an indirect table");
	spoilt_make(check, &spoilt);
	spoilt_use_table(&spoilt);
	spoilt_set_desc(&spoilt.table[0], spoilt.request->table_addr, 48,
			INDIRECT, 0);
	spoilt_expect_refusal(&spoilt, "an indirect table in itself");
}

/* The table is good, and what follows is left out by some: both are safe. */
static void table_and_next(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	spoilt_use_table(&spoilt);
	spoilt.desc[0].flags |= htole16(NEXT);
	spoilt.desc[0].next = htole16(1);
	check_harmless(check, spoilt_push(&spoilt),
		       "INDIRECT together with NEXT");
}

static void header_outside(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	spoilt.desc[0].addr = htole64(FAR);
	spoilt_expect_refusal(&spoilt, "a header outside of memory");
}

static void data_outside(struct check *check)
{
	const uint64_t rows[] = { FAR, UINT64_MAX, UINT64_MAX - 4095 };
	struct spoilt spoilt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoilt_make(check, &spoilt);
		spoilt.desc[1].addr = htole64(rows[i]);
		spoilt_expect_refusal(&spoilt, "data outside of memory");
	}
}

static void data_past_the_end(struct check *check)
{
	struct spoilt spoilt;
	uint64_t end;

	spoilt_make(check, &spoilt);
	end = spoilt.vm->memory.regions[0].wire.size_bytes;
	spoilt.desc[1].addr = htole64(end - spoilt.request->data_bytes + 1);
	spoilt_expect_refusal(&spoilt,
			      "data of which one byte is outside of memory");
}

static void status_outside(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	spoilt.desc[2].addr = htole64(FAR);
	spoilt_expect_refusal(&spoilt, "a status byte outside of memory");
}

static void no_status(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	spoilt.desc[0].flags = 0;
	spoilt_expect_refusal(&spoilt, "a header and nothing else");
	spoilt_make(check, &spoilt);
	spoilt.desc[1].flags = htole16(NEXT);
	spoilt.desc[2].flags = 0;
	spoilt_expect_refusal(&spoilt, "a chain with nothing to write");
}

static void writable_first(struct check *check)
{
	struct spoilt spoilt;
	struct vring_desc header;

	spoilt_make(check, &spoilt);
	header = spoilt.desc[0];
	spoilt.desc[0] = spoilt.desc[1];
	spoilt.desc[0].next = htole16(1);
	spoilt.desc[1] = header;
	spoilt.desc[1].next = htole16(2);
	spoilt_expect_refusal(&spoilt, "data to write before the header");
}

static void short_headers(struct check *check)
{
	struct spoilt spoilt;

	for (uint32_t bytes = 1; bytes < FE_BLK_HEADER_BYTES; bytes += 7) {
		spoilt_make(check, &spoilt);
		spoilt.desc[0].len = htole32(bytes);
		spoilt_expect_refusal(&spoilt, "a header that is too short");
	}
}

static void bad_requests_cost_no_slot(struct check *check)
{
	struct spoilt spoilt;
	struct fe_vring *vring;

	spoilt_make(check, &spoilt);
	vring = spoilt.vring;
	spoilt.desc[0].len = htole32(8);
	for (unsigned int i = 0; i < 3u * VM_QUEUE_SIZE; i++) {
		if (i)
			fe_vring_add_head(vring, 0);
		*spoilt.request->status_byte = FE_BLK_NO_STATUS;
		switch (spoilt_push(&spoilt)) {
		case -EIO:
		case -EOPNOTSUPP:
			vring->next_used++;
			break;
		case -ETIMEDOUT:
			check_fail(check,
				   "malformed request %u was never returned",
				   i + 1);
		default:
			return; /* it stops the ring instead, which is good */
		}
	}
}

static void one_head_twice(struct check *check)
{
	struct spoilt spoilt;

	spoilt_make(check, &spoilt);
	fe_vring_add_head(spoilt.vring, 0);
	check_harmless(check, spoilt_push(&spoilt),
		       "one head, available twice");
}

static void wild_rings(struct check *check)
{
	const struct {
		const char *what;
		uint64_t desc;
		uint64_t avail;
		uint64_t used;
	} rows[] = {
		{ "a descriptor table outside of memory", FAR, 0, 0 },
		{ "an available ring outside of memory", 0, FAR, 0 },
		{ "a used ring outside of memory", 0, 0, FAR },
		{ "a misaligned descriptor table", 8, 0, 0 },
		{ "a misaligned available ring", 0, 1, 0 },
		{ "a misaligned used ring", 0, 0, 2 },
	};
	struct fe_message message;
	struct fe_vring *vring;
	struct vm *vm;
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vm = check_open(check, NULL);
		vring = &vm->vrings[1];
		check_done(check,
			   fe_vring_init(vring, &vm->memory, 0, VM_QUEUE_SIZE,
					 vm->session.features),
			   "make a ring");
		fe_session_get_base(&vm->session, 0, &(uint32_t){ 0 });
		fe_message_init(&message, FE_SET_VRING_ADDR,
				sizeof(message.payload.addr));
		message.payload.addr.desc =
			rows[i].desc +
			fe_memory_user_addr(&vm->memory, vring->desc_addr);
		message.payload.addr.avail =
			rows[i].avail +
			fe_memory_user_addr(&vm->memory, vring->avail_addr);
		message.payload.addr.used =
			rows[i].used +
			fe_memory_user_addr(&vm->memory, vring->used_addr);
		error = fe_session_exchange(&vm->session, &message, NULL, 0);
		if (!error)
			error = fe_session_set_vring_fd(&vm->session,
							FE_SET_VRING_KICK, 0,
							vring->kick_fd);
		fe_vring_kick(vring);
		if (!error)
			error = fe_session_sync(&vm->session);
		check_harmless(check, error, "%s", rows[i].what);
	}
}

/* A GET_ID whose 20 bytes go where they may not. */
static void data_over_the_ring(struct check *check)
{
	struct spoilt spoilt;
	uint64_t addrs[5];

	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		spoilt_make(check, &spoilt);
		addrs[0] = spoilt.vring->desc_addr;
		addrs[1] = spoilt.vring->avail_addr;
		addrs[2] = spoilt.vring->used_addr;
		addrs[3] = spoilt.request->data_addr - FE_BLK_HEADER_BYTES;
		addrs[4] =
			spoilt.request->data_addr + spoilt.request->data_bytes;
		spoilt.request->header->type = htole32(VIRTIO_BLK_T_GET_ID);
		spoilt.desc[1].addr = htole64(addrs[i]);
		spoilt.desc[1].len = htole32(20);
		spoilt_push(&spoilt);
	}
}

static void scribbled_flags(struct check *check)
{
	struct vm *vm = check_open(check, NULL);
	struct fe_vring *vring = &vm->vrings[0];

	for (unsigned int i = 0; i < 100; i++) {
		vring->used->flags = htole16((uint16_t)(i * 257));
		vring->avail->flags = htole16((uint16_t)(i << 1));
		memset(&vring->used->ring[(vring->next_used + 1) % vring->size],
		       0xff, sizeof(vring->used->ring[0]));
		check_add_read(check, vm, 0);
		fe_vring_publish(vring);
		fe_vring_kick(vring);
		check_reap(check, vm, 0);
	}
}

struct scribbler {
	struct spoilt *spoilt;
	atomic_bool stop;
};

/* Rewrite all fields, over and over; an address is the right one, or none. */
static void *scribble(void *opaque)
{
	struct scribbler *scribbler = opaque;
	struct spoilt *spoilt = scribbler->spoilt;
	uint64_t header = spoilt->request->data_addr - FE_BLK_HEADER_BYTES;
	const uint64_t good[] = { header, header + 16, header + 36 };
	unsigned int seed = 1;

	while (!atomic_load(&scribbler->stop)) {
		unsigned int i = (unsigned int)rand_r(&seed) % 3;
		volatile struct vring_desc *at = rand_r(&seed) % 2 ?
							 &spoilt->desc[i] :
							 &spoilt->table[i];

		at->addr = rand_r(&seed) % 4 ?
				   good[i] :
				   FAR + ((uint64_t)rand_r(&seed) << 12);
		at->len = (uint32_t)rand_r(&seed) % 64;
		at->flags = (uint16_t)(rand_r(&seed) % 4);
		at->next = (uint16_t)(rand_r(&seed) % 4);
	}
	return NULL;
}

static void fields_that_change(struct check *check)
{
	uint64_t deadline = fe_deadline(SCRIBBLE_MSEC);
	struct spoilt spoilt;
	struct scribbler scribbler = { .spoilt = &spoilt };
	pthread_t thread;

	spoilt_make(check, &spoilt);
	if (pthread_create(&thread, NULL, scribble, &scribbler))
		check_done(check, -EAGAIN, "start a thread");
	while (fe_now_usec() < deadline) {
		spoilt.request->header->type = htole32(VIRTIO_BLK_T_GET_ID);
		fe_vring_publish(spoilt.vring);
		fe_vring_kick(spoilt.vring);
		if (fe_vring_wait(spoilt.vring, 5) == 0) {
			spoilt.vring->next_used++;
		} else if (fe_session_sync(&spoilt.vm->session)) {
			atomic_store(&scribbler.stop, true);
			pthread_join(thread, NULL);
			spoilt_make(check, &spoilt);
			atomic_store(&scribbler.stop, false);
			if (pthread_create(&thread, NULL, scribble, &scribbler))
				check_done(check, -EAGAIN, "start a thread");
		}
		fe_vring_add_head(spoilt.vring, 0);
	}
	atomic_store(&scribbler.stop, true);
	pthread_join(thread, NULL);
}

#define BAD_CHAIN(case_name, case_section, function)                           \
	{                                                                      \
		.name = case_name, .section = case_section,                    \
		.promise =                                                     \
			"a chain that no driver may make is completed with "   \
			"an error, or its ring is given up and the error "     \
			"fd signalled, or the session ends",                   \
		.run = function, .flags = CHECK_HOSTILE                        \
	}

#define BAD_TABLE(case_name, case_section, function)                           \
	{                                                                      \
		.name = case_name, .section = case_section,                    \
		.promise =                                                     \
			"a table that no driver may make is completed with "   \
			"an error, or its ring is given up and the error "     \
			"fd signalled, or the session ends",                   \
		.run = function, .flags = CHECK_HOSTILE,                       \
		.features = FE_FEATURE_INDIRECT                                \
	}

static const struct check_case cases[] = {
	BAD_CHAIN("head-behind-the-table-is-noticed", "virtio 1.3: 2.7.6",
		  heads),
	BAD_CHAIN("next-behind-the-table-is-noticed", "virtio 1.3: 2.7.5",
		  nexts),
	BAD_TABLE("next-behind-an-indirect-table-is-noticed",
		  "virtio 1.3: 2.7.5.3.1", nexts_in_a_table),
	BAD_CHAIN("loop-is-noticed", "virtio 1.3: 2.7.5.2", loops),
	BAD_TABLE("loop-in-an-indirect-table-is-noticed",
		  "virtio 1.3: 2.7.5.3.1", loops_in_a_table),
	BAD_CHAIN("index-that-jumps-is-noticed", "virtio 1.3: 2.7.6.1",
		  index_jumps),
	BAD_TABLE("indirect-table-of-a-wrong-size-is-noticed",
		  "virtio 1.3: 2.7.5.3", table_sizes),
	BAD_TABLE("indirect-table-outside-memory-is-noticed",
		  "virtio 1.3: 2.7.5.3", table_places),
	BAD_TABLE("indirect-table-in-a-table-is-noticed",
		  "virtio 1.3: 2.7.5.3.1", tables_in_tables),
	{ .name = "indirect-and-next-do-no-harm",
	  .section = "virtio 1.3: 2.7.5.3.1",
	  .promise = "a descriptor with both flags is refused, or one of them "
		     "is left out",
	  .run = table_and_next,
	  .flags = CHECK_HOSTILE,
	  .features = FE_FEATURE_INDIRECT },
	BAD_CHAIN("header-outside-memory-is-noticed", "virtio 1.3: 2.7.5",
		  header_outside),
	BAD_CHAIN("data-outside-memory-is-noticed", "virtio 1.3: 2.7.5",
		  data_outside),
	BAD_CHAIN("data-past-the-end-of-memory-is-noticed", "virtio 1.3: 2.7.5",
		  data_past_the_end),
	BAD_CHAIN("status-outside-memory-is-noticed", "virtio 1.3: 2.7.5",
		  status_outside),
	BAD_CHAIN("request-without-status-is-noticed", "virtio 1.3: 5.2.6",
		  no_status),
	BAD_CHAIN("writable-before-readable-is-noticed", "virtio 1.3: 2.7.4.2",
		  writable_first),
	BAD_CHAIN("short-header-is-noticed", "virtio 1.3: 5.2.6",
		  short_headers),
	{ .name = "malformed-requests-are-returned",
	  .section = "virtio 1.3: 2.7.8",
	  .promise = "a request with a status byte is returned, also when it "
		     "is malformed, or its ring is given up; its descriptors "
		     "are not lost in silence",
	  .run = bad_requests_cost_no_slot,
	  .flags = CHECK_HOSTILE },
	{ .name = "head-given-twice-does-no-harm",
	  .section = "virtio 1.3: 2.7.13",
	  .promise = "a head that is available twice is served twice, or its "
		     "ring is given up",
	  .run = one_head_twice,
	  .flags = CHECK_HOSTILE },
	{ .name = "ring-at-a-wrong-place-does-no-harm",
	  .section = "virtio 1.3: 2.7",
	  .promise = "a ring outside of memory, or misaligned, is refused or "
		     "not processed",
	  .run = wild_rings,
	  .flags = CHECK_HOSTILE },
	{ .name = "data-over-the-ring-does-no-harm",
	  .section = "virtio 1.3: 2.7.5.1",
	  .promise = "a driver whose buffers lie over its own ring hurts "
		     "nobody else",
	  .run = data_over_the_ring,
	  .flags = CHECK_HOSTILE },
	{ .name = "scribbled-flags-do-no-harm",
	  .section = "virtio 1.3: 2.7.8",
	  .promise = "the used ring is written by the device and not read, and "
		     "unknown flags mean nothing",
	  .run = scribbled_flags,
	  .flags = CHECK_HOSTILE },
	{ .name = "fields-that-change-do-no-harm",
	  .section = "virtio 1.3: 2.7.5",
	  .promise = "descriptors that change while they are read hurt nobody "
		     "but their driver",
	  .run = fields_that_change,
	  .flags = CHECK_HOSTILE },
};

const struct check_group group_chains = CHECK_GROUP(
	"chains", "split virtqueues, as no driver may use them", cases);

/* SPDX-License-Identifier: MIT */
/*
 * chain - one request in descriptors that a test may spoil, in any layout
 *
 * A split ring's chain is always in descriptors 0, 1, ... with head 0, for
 * there is only one at a time; a packed ring's goes through the ring, as it
 * must, with id 0.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/chain.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/ring.h"
#include "tests/frontend/clock.h"

#define NEXT	  VRING_DESC_F_NEXT
#define WRITE	  VRING_DESC_F_WRITE
#define INDIRECT  VRING_DESC_F_INDIRECT
#define AVAIL	  (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED	  (1 << VRING_PACKED_DESC_F_USED)
#define LOOK_MSEC 20 /* for what should not be seen */

const char *const layout_names[NR_LAYOUTS] = {
	"split direct",
	"split indirect",
	"packed direct",
	"packed indirect",
};

bool chain_is_packed(const struct chain *chain)
{
	return 1u << chain->layout & ON_PACKED;
}

bool chain_is_indirect(const struct chain *chain)
{
	return 1u << chain->layout & ON_TABLE;
}

void chain_open(struct chain *chain, const struct server *server,
		enum layout layout)
{
	struct client_options options = {
		.nr_queues = 2,
		.more_protocol = FE_PROTOCOL_LOG_SHMFD,
	};
	struct client *client = &chain->client;

	chain->layout = layout;
	options.packed = chain_is_packed(chain);
	if (!options.packed)
		options.refused_features = FE_FEATURE_PACKED;
	assert_int_equal(client_open(client, server, &options), 0);
	assert_int_equal(client_check_io(client, 1, CHAIN_SECTOR / 8), 0);
	chain->vring = &client->vrings[0];
	assert_int_equal(chain->vring->is_packed, options.packed);
	chain->request = fe_blk_get(&client->blks[0]);
	chain->table =
		fe_memory_pointer(&client->memory, chain->request->table_addr,
				  FE_BLK_MAX_PIECES * sizeof(*chain->table));
	chain->packed_table = (struct vring_packed_desc *)chain->table;
	chain_cut(chain, VIRTIO_BLK_T_IN, CHAIN_SECTOR, CHAIN_DATA_BYTES);
}

void chain_close(struct chain *chain)
{
	client_close(&chain->client);
}

void chain_stop(struct chain *chain)
{
	uint32_t base;

	for (unsigned int i = 0; i < chain->client.nr_queues; i++)
		assert_int_equal(fe_session_get_base(&chain->client.session, i,
						     &base),
				 0);
}

void chain_start(struct chain *chain)
{
	struct fe_vring *vring = chain->client.vrings;

	for (unsigned int i = 0; i < chain->client.nr_queues; i++)
		assert_int_equal(fe_session_start_vring(
					 &chain->client.session, &vring[i], i,
					 fe_vring_base(&vring[i])),
				 0);
}

void chain_add_region(struct chain *chain, uint64_t addr, uint64_t bytes)
{
	struct client *client = &chain->client;

	if (client->memory.nr_regions > 1)
		return;
	assert_int_equal(fe_memory_add(&client->memory, addr, bytes), 1);
	assert_int_equal(fe_session_add_region(&client->session,
					       &client->memory.regions[1]),
			 0);
}

void chain_cut(struct chain *chain, uint32_t type, uint64_t sector,
	       uint32_t data_bytes)
{
	static struct fe_buffer array[FE_BLK_MAX_PIECES];
	struct fe_blk_request *request = chain->request;
	struct fe_buffers buffers;

	request->type = type;
	request->sector = sector;
	request->data_bytes = data_bytes;
	memset(request->data, CHAIN_FILL, data_bytes);
	assert_int_equal(fe_blk_cut(request, array, &buffers), 0);
	chain->nr = buffers.nr_readable + buffers.nr_writable;
	chain->used_when_well = 1 + (fe_blk_type_reads(type) ? data_bytes : 0);
	for (unsigned int i = 0; i < chain->nr; i++)
		chain->pieces[i] = (struct piece){
			.addr = array[i].guest_addr,
			.bytes = array[i].bytes,
			.flags = i < buffers.nr_readable ? 0 : WRITE,
		};
}

void chain_insert(struct chain *chain, unsigned int i, struct piece piece)
{
	assert_true(chain->nr < FE_BLK_MAX_PIECES && i <= chain->nr);
	memmove(&chain->pieces[i + 1], &chain->pieces[i],
		(chain->nr - i) * sizeof(piece));
	chain->pieces[i] = piece;
	chain->nr++;
}

void chain_remove(struct chain *chain, unsigned int i)
{
	assert_true(i < chain->nr);
	chain->nr--;
	memmove(&chain->pieces[i], &chain->pieces[i + 1],
		(chain->nr - i) * sizeof(chain->pieces[0]));
}

/* Where descriptor i of the chain is in a packed ring. */
static struct fe_place place_of(const struct chain *chain, int i)
{
	struct fe_place place = chain->place;
	uint32_t index = place.index + (uint32_t)MAX(i, 0);

	place.index = (uint16_t)(index % chain->vring->size);
	if (index >= chain->vring->size)
		place.wrap = !place.wrap;
	return place;
}

static bool is_in_table(const struct chain *chain, int i)
{
	return chain_is_indirect(chain) && i != CHAIN_TABLE;
}

static struct vring_desc *split_desc(const struct chain *chain, int i)
{
	if (is_in_table(chain, i))
		return &chain->table[i];
	return &chain->vring->desc[MAX(i, 0)];
}

static struct vring_packed_desc *packed_desc(const struct chain *chain, int i)
{
	if (is_in_table(chain, i))
		return &chain->packed_table[i];
	return &chain->vring->packed.desc[place_of(chain, i).index];
}

void chain_set_addr(struct chain *chain, int i, uint64_t addr)
{
	if (chain_is_packed(chain))
		packed_desc(chain, i)->addr = htole64(addr);
	else
		split_desc(chain, i)->addr = htole64(addr);
}

void chain_set_len(struct chain *chain, int i, uint32_t len)
{
	if (chain_is_packed(chain))
		packed_desc(chain, i)->len = htole32(len);
	else
		split_desc(chain, i)->len = htole32(len);
}

void chain_set_next(struct chain *chain, int i, uint16_t next)
{
	assert_false(chain_is_packed(chain));
	split_desc(chain, i)->next = htole16(next);
}

void chain_set_id(struct chain *chain, int i, uint16_t id)
{
	assert_true(chain_is_packed(chain));
	packed_desc(chain, i)->id = htole16(id);
}

/* The very first descriptor's flags of a packed ring wait for the push. */
static void set_packed_flags(struct chain *chain, int i, uint16_t flags)
{
	struct fe_place place = place_of(chain, i);

	if (is_in_table(chain, i)) {
		chain->packed_table[i].flags = htole16(flags);
		return;
	}
	flags |= place.wrap ? AVAIL : USED;
	if (i > 0)
		packed_desc(chain, i)->flags = htole16(flags);
	else
		chain->vring->packed.first_flags = flags;
}

void chain_desc_flags(struct chain *chain, int i, uint16_t flags)
{
	assert_true(chain_is_packed(chain));
	__atomic_store_n(&packed_desc(chain, i)->flags, htole16(flags),
			 __ATOMIC_RELEASE);
}

void chain_set_flags(struct chain *chain, int i, uint16_t flags)
{
	if (chain_is_packed(chain))
		set_packed_flags(chain, i, flags);
	else
		split_desc(chain, i)->flags = htole16(flags);
}

void chain_add_flags(struct chain *chain, int i, uint16_t flags)
{
	uint16_t old;

	if (!chain_is_packed(chain))
		old = split_desc(chain, i)->flags;
	else if (is_in_table(chain, i) || i > 0)
		old = packed_desc(chain, i)->flags;
	else
		old = htole16(chain->vring->packed.first_flags);
	old = le16toh(old);
	if (chain_is_packed(chain) && !is_in_table(chain, i))
		old &= (uint16_t) ~(AVAIL | USED);
	chain_set_flags(chain, i, old | flags);
}

static void put(struct chain *chain, int i, const struct piece *piece,
		uint16_t flags)
{
	chain_set_addr(chain, i, piece->addr);
	chain_set_len(chain, i, piece->bytes);
	if (chain_is_packed(chain))
		chain_set_id(chain, i, 0);
	else
		chain_set_next(chain, i, flags & NEXT ? (uint16_t)(i + 1) : 0);
	chain_set_flags(chain, i, piece->flags | flags);
}

void chain_lay(struct chain *chain)
{
	const struct piece table = {
		.addr = chain->request->table_addr,
		.bytes = chain->nr * (uint32_t)sizeof(*chain->table),
		.flags = INDIRECT,
	};
	bool has_next = chain->layout != PACKED_INDIRECT;
	struct fe_packed *packed = &chain->vring->packed;

	assert_true(chain_is_indirect(chain) ||
		    chain->nr <= chain->vring->size);
	chain->place = packed->next_avail;
	for (unsigned int i = 0; i < chain->nr; i++)
		put(chain, (int)i, &chain->pieces[i],
		    has_next && i + 1 < chain->nr ? NEXT : 0);
	if (chain_is_indirect(chain))
		put(chain, CHAIN_TABLE, &table, 0);
	if (chain_is_packed(chain)) {
		packed->nr_added =
			(uint16_t)(chain_is_indirect(chain) ? 1 : chain->nr);
		packed->next_avail = place_of(chain, packed->nr_added);
	} else {
		fe_vring_add_head(chain->vring, 0);
	}
}

void chain_push(struct chain *chain)
{
	fe_vring_publish(chain->vring);
	fe_vring_kick(chain->vring);
}

/* Take the used entry, which there is; returns whether it is this chain's. */
static bool take_used(struct chain *chain)
{
	struct fe_vring *vring = chain->vring;
	const struct vring_used_elem *elem;
	const struct vring_packed_desc *desc;

	if (!vring->is_packed) {
		elem = &vring->used->ring[vring->next_used++ % vring->size];
		chain->used_bytes = le32toh(elem->len);
		return le32toh(elem->id) == 0;
	}
	desc = &vring->packed.desc[vring->packed.next_used.index];
	chain->used_bytes = le32toh(desc->len);
	vring->packed.next_used = vring->packed.next_avail;
	return le16toh(desc->id) == 0 &&
	       !chain->used_bytes == !(le16toh(desc->flags) & WRITE);
}

/* Whether the answer with this status is true in all it says. */
static unsigned int judge(const struct chain *chain, int result)
{
	if (result == 0)
		return chain->used_bytes == chain->used_when_well ?
			       GOES_WELL :
			       OUT_OF_SHAPE;
	if (chain->used_bytes != 1)
		return OUT_OF_SHAPE;
	if (result == -EIO)
		return FAILS;
	return result == -EOPNOTSUPP ? UNSUPPORTED : OUT_OF_SHAPE;
}

unsigned int chain_wait(struct chain *chain)
{
	struct fe_blk_request *request = chain->request;
	int error = fe_vring_wait(chain->vring, FE_PATIENCE_MSEC);

	if (error == -EPIPE)
		return ring_is_broken(&chain->client) ? OUT_OF_SHAPE : BREAKS;
	if (error || !take_used(chain))
		return OUT_OF_SHAPE;
	request->status = *request->status_byte;
	*request->status_byte = FE_BLK_NO_STATUS;
	return judge(chain, fe_blk_result(request));
}

/* Looked at a second time when queue 1 has been served, so not just late. */
static unsigned int look(struct chain *chain)
{
	if (fe_vring_wait(chain->vring, LOOK_MSEC) != -ETIMEDOUT ||
	    client_check_io(&chain->client, 1, 3) ||
	    fe_vring_wait(chain->vring, 0) != -ETIMEDOUT)
		return OUT_OF_SHAPE;
	return NOT_SEEN;
}

static bool data_is_right(const struct chain *chain)
{
	const struct fe_blk_request *request = chain->request;

	return request->type != VIRTIO_BLK_T_IN ||
	       request->sector != CHAIN_SECTOR ||
	       request->data_bytes != CHAIN_DATA_BYTES ||
	       client_filled(request->data, CHAIN_DATA_BYTES, CHAIN_SECTOR / 8);
}

int chain_check(struct chain *chain)
{
	memset(&chain->request->framing, 0, sizeof(chain->request->framing));
	chain_cut(chain, VIRTIO_BLK_T_IN, CHAIN_SECTOR, CHAIN_DATA_BYTES);
	chain_lay(chain);
	chain_push(chain);
	return chain_wait(chain) == GOES_WELL && data_is_right(chain) ? 0 :
									-EIO;
}

void chain_try(struct chain *chain, const char *what, uint64_t detail,
	       unsigned int outcomes)
{
	unsigned int outcome;
	char name[128];

	chain_push(chain);
	outcome = outcomes == NOT_SEEN ? look(chain) : chain_wait(chain);
	snprintf(name, sizeof(name), "%s: %s: outcome %u of %u",
		 layout_names[chain->layout], what, outcome, outcomes);
	if (!(outcome & outcomes)) {
		probe_expect(name, detail, -EINVAL, 0);
		return;
	}
	if (outcome & ANY_ANSWER)
		probe_expect(name, detail, chain_check(chain), 0);
	probe_expect(name, detail, client_check_io(&chain->client, 1, 2), 0);
}

static void try_row(const struct server *server, const struct chain_row *row,
		    enum layout layout)
{
	unsigned int nr = hostile_volume(2, 10000);
	static struct chain chain;

	chain_open(&chain, server, layout);
	while (nr--) {
		chain_cut(&chain, VIRTIO_BLK_T_IN, CHAIN_SECTOR,
			  CHAIN_DATA_BYTES);
		if (row->shape)
			row->shape(&chain, row->value);
		chain_lay(&chain);
		if (row->spoil)
			row->spoil(&chain, row->value);
		chain_try(&chain, row->what, row->value, row->outcomes);
	}
	chain_close(&chain);
}

const struct server *chain_server(void **state)
{
	const struct hostile *hostile = *state;

	return &hostile->server;
}

void chain_try_rows(void **state, const struct chain_row *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		unsigned int layouts =
			rows[i].layouts ? rows[i].layouts : ON_ALL;

		for (unsigned int k = 0; k < NR_LAYOUTS; k++)
			if (layouts & 1u << k)
				try_row(chain_server(state), &rows[i],
					(enum layout)k);
	}
	probe_verdict();
}

/* SPDX-License-Identifier: MIT */
/*
 * harm - what a hostile guest does with its disk, again and again
 *
 * A ring that broke is set up anew, as a driver would, so that it can break
 * again; the answers of its messages say that the server has come so far.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/e2e/harm.h"
#include "tests/frontend/clock.h"

#define NR_KICKS     500
#define NR_MESSAGES  64
#define NR_PIECES    1022 /* with header and status as many as a table has */
#define PIECE_BYTES  (HARM_IMAGE_BYTES / 1024)
#define SECTOR_BYTES 512
#define DEPTH	     8

static const struct client_options options = {
	.depth = DEPTH,
	.data_bytes = 1024 * 32,
	.memory_bytes = 1u << 20,
};

void harm_end(struct harm *harm)
{
	if (harm->is_open)
		client_close(&harm->client);
	harm->is_open = false;
}

static int begin(struct harm *harm)
{
	int error;

	harm->nr_steps++;
	if (harm->is_open)
		return 0;
	harm->is_open = true;
	error = client_open(&harm->client, harm->server, &options);
	if (error)
		harm_end(harm);
	return error;
}

static struct fe_vring *ring_of(struct harm *harm)
{
	return &harm->client.vrings[0];
}

static int kick_on_and_on(struct harm *harm)
{
	int error = begin(harm);

	for (unsigned int i = 0; i < NR_KICKS && !error; i++)
		rh_eventfd_signal(ring_of(harm)->kick_fd);
	return error;
}

/* Each of them stops or starts a ring. */
static int send_on_and_on(struct harm *harm)
{
	struct fe_message message;
	int error = begin(harm);

	for (unsigned int i = 0; i < NR_MESSAGES && !error; i++) {
		fe_message_init(&message, FE_SET_VRING_ENABLE,
				sizeof(message.payload.state));
		message.payload.state.num = i % 2;
		error = fe_message_send(harm->client.session.sock, &message,
					NULL, 0);
	}
	return error;
}

static int send_half_a_message(struct harm *harm)
{
	static const uint8_t bytes[FE_HEADER_BYTES / 2] = { FE_GET_FEATURES };
	struct fe_session session;
	int error = fe_session_connect(&session, harm->server->socket);

	harm->nr_steps++;
	if (!error)
		error = fe_send_bytes(session.sock, bytes, sizeof(bytes), NULL,
				      0);
	fe_session_deinit(&session);
	return error;
}

static int come_and_go(struct harm *harm)
{
	int error = begin(harm);

	harm_end(harm);
	return error;
}

static int wait_until_it_breaks(struct fe_vring *vring)
{
	struct pollfd err = { .fd = vring->err_fd, .events = POLLIN };

	rh_eventfd_signal(vring->kick_fd);
	if (poll(&err, 1, FE_PATIENCE_MSEC) != 1)
		return -ETIMEDOUT;
	rh_eventfd_drain(vring->err_fd);
	return 0;
}

/* A ring that is as good as new, after it broke. */
static int set_up_anew(struct harm *harm)
{
	struct fe_vring *vring = ring_of(harm);
	struct fe_session *session = &harm->client.session;
	uint32_t base;
	int error = wait_until_it_breaks(vring);

	if (!error)
		error = fe_session_get_base(session, 0, &base);
	fe_vring_reset(vring);
	if (!error)
		error = fe_session_start_vring(session, vring, 0,
					       fe_vring_base(vring));
	return error;
}

static void show(struct fe_vring *vring, uint16_t idx)
{
	__atomic_store_n(&vring->avail->idx, htole16(idx), __ATOMIC_RELEASE);
}

static int break_the_ring(struct harm *harm)
{
	int error = begin(harm);

	if (error)
		return error;
	show(ring_of(harm), 0x7fff);
	return set_up_anew(harm);
}

/* A good read in as many pieces as there may be, all of them at one place. */
static int add_read(struct fe_blk_request *request, uint32_t piece_bytes)
{
	static struct fe_buffer pieces[NR_PIECES + 2];
	const struct fe_buffers buffers = {
		.array = pieces,
		.nr_readable = 1,
		.nr_writable = NR_PIECES + 1,
		.table = request->table_addr,
	};
	uint64_t header = request->data_addr - FE_BLK_HEADER_BYTES;
	uint64_t status = request->data_addr + request->blk->max_data_bytes;

	memset(request->header, 0, sizeof(*request->header));
	pieces[0] = (struct fe_buffer){ header, FE_BLK_HEADER_BYTES };
	for (unsigned int i = 1; i <= NR_PIECES; i++)
		pieces[i] =
			(struct fe_buffer){ request->data_addr, piece_bytes };
	pieces[NR_PIECES + 1] = (struct fe_buffer){ status, 1 };
	return fe_vring_add(request->blk->vring, &buffers, request);
}

/* One head again and again, under way or not, and an index that runs away */
static int show_a_head_again(struct harm *harm)
{
	int error = begin(harm);
	struct fe_vring *vring = ring_of(harm);
	int head;

	if (error)
		return error;
	head = add_read(harm->client.blks[0].slots, SECTOR_BYTES);
	if (head < 0)
		return head;
	for (unsigned int i = 0; i < vring->size; i++)
		vring->avail->ring[i] = htole16((uint16_t)head);
	for (uint16_t i = 0; i < vring->size; i++) {
		show(vring, i);
		rh_eventfd_signal(vring->kick_fd);
	}
	show(vring, (uint16_t)(3 * vring->size));
	return set_up_anew(harm);
}

/* The whole table is walked before it is clear that it has no end. */
static int make_a_table_without_end(struct harm *harm)
{
	int error = begin(harm);
	struct fe_vring *vring = ring_of(harm);
	struct fe_blk_request *request = harm->client.blks[0].slots;
	struct vring_desc *table;
	const unsigned int nr = NR_PIECES + 2;

	if (error)
		return error;
	table = fe_memory_pointer(&harm->client.memory, request->table_addr,
				  nr * sizeof(*table));
	for (unsigned int i = 0; i < nr; i++)
		table[i] = (struct vring_desc){
			.addr = htole64(request->data_addr),
			.len = htole32(SECTOR_BYTES),
			.flags = htole16(VRING_DESC_F_NEXT),
			.next = htole16((uint16_t)((i + 1) % nr)),
		};
	vring->desc[0] = (struct vring_desc){
		.addr = htole64(request->table_addr),
		.len = htole32(nr * (uint32_t)sizeof(*table)),
		.flags = htole16(VRING_DESC_F_INDIRECT),
	};
	vring->avail->ring[0] = 0;
	show(vring, 1);
	return set_up_anew(harm);
}

static int read_in_pieces(struct harm *harm, uint32_t piece_bytes)
{
	int error = begin(harm);
	struct fe_vring *vring = ring_of(harm);
	struct fe_blk_request *request;
	uint32_t used_bytes;
	void *token;

	if (error)
		return error;
	while ((request = fe_blk_get(&harm->client.blks[0])))
		if (add_read(request, piece_bytes) < 0)
			return -ENOSPC;
	fe_vring_submit(vring);
	error = fe_vring_wait(vring, FE_PATIENCE_MSEC);
	while (!error && fe_vring_take(vring, &token, &used_bytes) > 0) {
		if (used_bytes != NR_PIECES * piece_bytes + 1)
			error = -EIO;
		fe_blk_put(token);
	}
	return error;
}

static int read_many_small_pieces(struct harm *harm)
{
	return read_in_pieces(harm, SECTOR_BYTES);
}

static int read_all_of_it(struct harm *harm)
{
	return read_in_pieces(harm, PIECE_BYTES);
}

/* All rings stop and go on for it. */
static int show_memory_again(struct harm *harm)
{
	int error = begin(harm);

	return error ? error :
		       fe_session_set_table(&harm->client.session,
					    &harm->client.memory);
}

static int take_memory_away(struct harm *harm)
{
	int error = begin(harm);

	if (error)
		return error;
	if (ftruncate(harm->client.memory.regions[0].fd, 0) < 0)
		error = -errno;
	rh_eventfd_signal(ring_of(harm)->kick_fd);
	harm_end(harm);
	return error;
}

const struct harm_kind harm_kinds[NR_HARMS] = {
	{ "kicks without end", kick_on_and_on },
	{ "messages without end", send_on_and_on },
	{ "halves of messages", send_half_a_message },
	{ "sessions that come and go", come_and_go },
	{ "an index that is too far ahead", break_the_ring },
	{ "a head that is shown again and again", show_a_head_again },
	{ "tables without end", make_a_table_without_end },
	{ "reads in a thousand pieces", read_many_small_pieces },
	{ "reads of the whole disk", read_all_of_it },
	{ "memory that is shown again", show_memory_again },
	{ "memory that is taken away", take_memory_away },
};

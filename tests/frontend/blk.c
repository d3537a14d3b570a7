/* SPDX-License-Identifier: MIT */
/*
 * blk - virtio-blk requests from the driver's side (virtio 1.3, 5.2.6)
 *
 * A slot in guest memory, data on a page boundary:
 *
 *	... header | data .......... | status | guard ...
 *
 * What the device reads and what it writes are each one run of bytes: header
 * and data-out, data-in and status. Framing is where these runs are cut.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "tests/frontend/blk.h"
#include "tests/frontend/clock.h"
#include "tests/frontend/session.h"

#define PAGE_BYTES    4096u
#define GUARD_PATTERN 0xa5

static int init_slot(struct fe_blk *blk, unsigned int region,
		     struct fe_blk_request *slot)
{
	struct fe_memory *memory = blk->vring->memory;
	uint64_t bytes =
		PAGE_BYTES + blk->max_data_bytes + 1 + FE_BLK_GUARD_BYTES;
	uint64_t table_bytes = FE_BLK_MAX_PIECES * sizeof(struct vring_desc);
	uint64_t addr;
	int error;

	error = fe_memory_alloc(memory, region, bytes, PAGE_BYTES, &addr);
	if (!error)
		error = fe_memory_alloc(memory, region, table_bytes, 16,
					&slot->table_addr);
	if (error)
		return error;
	slot->blk = blk;
	slot->data_addr = addr + PAGE_BYTES;
	slot->data =
		(uint8_t *)fe_memory_pointer(memory, addr, bytes) + PAGE_BYTES;
	slot->header =
		(struct virtio_blk_outhdr *)(slot->data - FE_BLK_HEADER_BYTES);
	fe_blk_put(slot);
	return 0;
}

int fe_blk_init(struct fe_blk *blk, struct fe_vring *vring, unsigned int region,
		unsigned int nr_slots, uint32_t max_data_bytes)
{
	int error = 0;

	*blk = (struct fe_blk){
		.vring = vring,
		.max_data_bytes = max_data_bytes,
		.nr_slots = nr_slots,
		.timeout_msec = FE_PATIENCE_MSEC,
	};
	blk->slots = calloc(nr_slots, sizeof(*blk->slots));
	if (!blk->slots)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr_slots && !error; i++)
		error = init_slot(blk, region, &blk->slots[i]);
	return error;
}

void fe_blk_deinit(struct fe_blk *blk)
{
	free(blk->slots);
	blk->slots = NULL;
}

struct fe_blk_request *fe_blk_get(struct fe_blk *blk)
{
	struct fe_blk_request *request = blk->first_free;

	if (!request)
		return NULL;
	blk->first_free = request->next_free;
	request->type = VIRTIO_BLK_T_IN;
	request->ioprio = 0;
	request->sector = 0;
	request->data_bytes = 0;
	request->framing = (struct fe_framing){ 0 };
	request->user = NULL;
	request->done = false;
	return request;
}

void fe_blk_put(struct fe_blk_request *request)
{
	request->next_free = request->blk->first_free;
	request->blk->first_free = request;
}

bool fe_blk_type_reads(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ||
	       type == FE_BLK_T_GET_LIFETIME;
}

struct pieces {
	struct fe_buffer *buffers;
	unsigned int nr;
	bool empty;
	bool overflow;
};

static void add_piece(struct pieces *pieces, uint64_t addr, uint32_t bytes)
{
	if (pieces->nr == FE_BLK_MAX_PIECES) {
		pieces->overflow = true;
		return;
	}
	pieces->buffers[pieces->nr++] = (struct fe_buffer){ addr, bytes };
}

/* piece_bytes: 0 for one piece; join: the first one is part of the last */
static void cut_run(struct pieces *pieces, uint64_t addr, uint32_t bytes,
		    uint32_t piece_bytes, bool join)
{
	uint32_t nr;

	while (bytes) {
		nr = piece_bytes ? MIN(bytes, piece_bytes) : bytes;
		if (join)
			pieces->buffers[pieces->nr - 1].bytes += nr;
		else
			add_piece(pieces, addr, nr);
		addr += nr;
		bytes -= nr;
		join = false;
	}
}

/* Behind each piece from number begin on, one of no bytes. */
static void add_empty_pieces(struct pieces *pieces, unsigned int begin)
{
	unsigned int nr = pieces->nr - begin;
	struct fe_buffer *buffers = pieces->buffers + begin;

	if (pieces->nr + nr > FE_BLK_MAX_PIECES) {
		pieces->overflow = true;
		return;
	}
	for (unsigned int i = nr; i-- > 0;) {
		buffers[2 * i] = buffers[i];
		buffers[2 * i + 1] =
			(struct fe_buffer){ buffers[i].guest_addr, 0 };
	}
	pieces->nr += nr;
}

int fe_blk_cut(struct fe_blk_request *request, struct fe_buffer *array,
	       struct fe_buffers *ret)
{
	const struct fe_framing *framing = &request->framing;
	bool reads = fe_blk_type_reads(request->type) != framing->reverse_data;
	struct pieces pieces = { .buffers = array };
	unsigned int nr;

	*request->header = (struct virtio_blk_outhdr){
		.type = htole32(request->type),
		.ioprio = htole32(request->ioprio),
		.sector = htole64(request->sector),
	};
	request->status_byte = request->data + request->data_bytes;
	request->status_byte[0] = FE_BLK_NO_STATUS;
	memset(request->status_byte + 1, GUARD_PATTERN, FE_BLK_GUARD_BYTES);

	cut_run(&pieces, request->data_addr - FE_BLK_HEADER_BYTES,
		FE_BLK_HEADER_BYTES, framing->header_piece_bytes, false);
	if (!reads)
		cut_run(&pieces, request->data_addr, request->data_bytes,
			framing->data_piece_bytes, framing->join_header);
	if (framing->empty_pieces)
		add_empty_pieces(&pieces, 0);
	nr = pieces.nr;
	if (reads)
		cut_run(&pieces, request->data_addr, request->data_bytes,
			framing->data_piece_bytes, false);
	cut_run(&pieces, request->data_addr + request->data_bytes, 1, 0,
		framing->join_status && pieces.nr > nr);
	if (framing->empty_pieces)
		add_empty_pieces(&pieces, nr);
	if (pieces.overflow)
		return -E2BIG;
	*ret = (struct fe_buffers){
		.array = array,
		.nr_readable = nr,
		.nr_writable = pieces.nr - nr,
		.table = framing->indirect ? request->table_addr : 0,
	};
	return 0;
}

int fe_blk_add(struct fe_blk_request *request)
{
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;
	int ret;

	ret = fe_blk_cut(request, pieces, &buffers);
	if (ret)
		return ret;
	request->done = false;
	ret = fe_vring_add(request->blk->vring, &buffers, request);
	if (ret < 0)
		return ret;
	request->blk->nr_under_way++;
	return 0;
}

int fe_blk_reap(struct fe_blk *blk, struct fe_blk_request **ret)
{
	struct fe_blk_request *request;
	uint32_t used_bytes;
	void *token;
	int got = fe_vring_take(blk->vring, &token, &used_bytes);

	if (got <= 0)
		return got;
	request = token;
	request->done = true;
	request->used_bytes = used_bytes;
	request->status = request->status_byte[0];
	blk->nr_under_way--;
	*ret = request;
	return 1;
}

int fe_blk_result(const struct fe_blk_request *request)
{
	for (unsigned int i = 1; i <= FE_BLK_GUARD_BYTES; i++)
		if (request->status_byte[i] != GUARD_PATTERN)
			return -EBADMSG;
	switch (request->status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_IOERR:
		return -EIO;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EBADMSG;
	}
}

int fe_blk_wait(struct fe_blk_request *request, int timeout_msec)
{
	uint64_t deadline = fe_deadline(timeout_msec);
	struct fe_blk_request *other;
	int ret;

	while (!request->done) {
		ret = fe_blk_reap(request->blk, &other);
		if (ret == 0)
			ret = fe_vring_wait(request->blk->vring,
					    fe_remaining_msec(deadline));
		if (ret < 0)
			return ret;
	}
	return 0;
}

int fe_blk_execute(struct fe_blk_request *request)
{
	int error = fe_blk_add(request);

	if (error)
		return error;
	fe_vring_submit(request->blk->vring);
	error = fe_blk_wait(request, request->blk->timeout_msec);
	return error ? error : fe_blk_result(request);
}

struct transfer {
	uint64_t sector;
	const void *out;
	void *in;
	uint32_t bytes;
};

static int execute(struct fe_blk *blk, uint32_t type,
		   const struct transfer *transfer)
{
	struct fe_blk_request *request = fe_blk_get(blk);
	int error;

	if (!request)
		return -EBUSY;
	request->type = type;
	request->sector = transfer->sector;
	request->data_bytes = transfer->bytes;
	request->framing = blk->framing;
	if (transfer->out)
		memcpy(request->data, transfer->out, transfer->bytes);
	error = fe_blk_execute(request);
	if (!error && transfer->in)
		memcpy(transfer->in, request->data, transfer->bytes);
	/* a slot that the device still holds is not used again */
	if (request->done)
		fe_blk_put(request);
	return error;
}

int fe_blk_read(struct fe_blk *blk, uint64_t sector, void *data, uint32_t bytes)
{
	const struct transfer transfer = { .sector = sector,
					   .in = data,
					   .bytes = bytes };

	return execute(blk, VIRTIO_BLK_T_IN, &transfer);
}

int fe_blk_write(struct fe_blk *blk, uint64_t sector, const void *data,
		 uint32_t bytes)
{
	const struct transfer transfer = { .sector = sector,
					   .out = data,
					   .bytes = bytes };

	return execute(blk, VIRTIO_BLK_T_OUT, &transfer);
}

int fe_blk_flush(struct fe_blk *blk)
{
	const struct transfer none = { 0 };

	return execute(blk, VIRTIO_BLK_T_FLUSH, &none);
}

int fe_blk_get_id(struct fe_blk *blk, char id[VIRTIO_BLK_ID_BYTES])
{
	const struct transfer transfer = { .in = id,
					   .bytes = VIRTIO_BLK_ID_BYTES };

	return execute(blk, VIRTIO_BLK_T_GET_ID, &transfer);
}

static int
execute_segment(struct fe_blk *blk, uint32_t type,
		const struct virtio_blk_discard_write_zeroes *segment)
{
	const struct transfer transfer = { .out = segment,
					   .bytes = sizeof(*segment) };

	return execute(blk, type, &transfer);
}

int fe_blk_discard(struct fe_blk *blk, uint64_t sector, uint32_t nr_sectors)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(sector),
		.num_sectors = htole32(nr_sectors),
	};

	return execute_segment(blk, VIRTIO_BLK_T_DISCARD, &segment);
}

int fe_blk_write_zeroes(struct fe_blk *blk, uint64_t sector,
			uint32_t nr_sectors, bool unmap)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(sector),
		.num_sectors = htole32(nr_sectors),
		.flags =
			htole32(unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0),
	};

	return execute_segment(blk, VIRTIO_BLK_T_WRITE_ZEROES, &segment);
}

/* SPDX-License-Identifier: MIT */
/* model - what virtio-blk asks of a device, written down a second time */
#include <linux/virtio_blk.h>
#include <string.h>

#include "common/base.h"
#include "common/endian.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/model.h"

#define SECTOR	     512
#define HEADER_BYTES 16
#define RANGE_BYTES  16
#define ID_BYTES     20
#define MOST_BYTES   ((UINT64_C(2) << 30) - 4096)
#define SECURE_ERASE 14
#define BARRIER	     0x80000000u

enum reading {
	READ_ALL,
	READ_SHORT,
	READ_NOWHERE, /* a byte is not in guest memory */
};

/* bytes of the readable part, from skip on */
static enum reading read_part(const struct rh_chain *chain, size_t skip,
			      void *to, size_t bytes)
{
	uint8_t *at = to;

	for (unsigned int i = 0; bytes && i < chain->nr_readable; i++) {
		const struct iovec *iov = &chain->readable[i];
		size_t from = MIN(skip, iov->iov_len);
		size_t piece = MIN(bytes, iov->iov_len - from);

		skip -= from;
		if (piece && !iov->iov_base)
			return READ_NOWHERE;
		if (piece)
			memcpy(at, (uint8_t *)iov->iov_base + from, piece);
		at += piece;
		bytes -= piece;
	}
	return bytes ? READ_SHORT : READ_ALL;
}

static uint64_t number(const uint8_t *from, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

static bool is_within(const struct model_disk *disk, uint64_t sector,
		      uint64_t bytes)
{
	uint64_t nr_sectors = disk->size_bytes / SECTOR;

	return sector <= nr_sectors &&
	       bytes <= (nr_sectors - sector) * SECTOR &&
	       !(sector * SECTOR % disk->block_bytes) &&
	       !(bytes % disk->block_bytes);
}

static void add_op(struct model_request *request, enum blk_op op,
		   uint64_t sector, uint64_t bytes)
{
	request->ops[request->nr_ops++] = (struct model_op){
		.op = op,
		.offset_bytes = sector * SECTOR,
		.bytes = bytes,
	};
}

static uint8_t read_data(struct model_request *request,
			 const struct model_disk *disk, enum blk_op op,
			 uint64_t sector, uint64_t bytes)
{
	if (!bytes || bytes > MOST_BYTES || !is_within(disk, sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	add_op(request, op, sector, bytes);
	if (op == BLK_READ)
		request->used_bytes = (uint32_t)bytes + 1;
	return VIRTIO_BLK_S_OK;
}

struct range {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
};

static struct range range_at(const struct rh_chain *chain, unsigned int i)
{
	uint8_t raw[RANGE_BYTES];

	FUZZ_CHECK(read_part(chain, HEADER_BYTES + i * RANGE_BYTES, raw,
			     sizeof(raw)) == READ_ALL);
	return (struct range){ number(raw, 8), number(raw + 8, 4),
			       number(raw + 12, 4) };
}

static uint8_t check_ranges(const struct rh_chain *chain,
			    const struct model_disk *disk, unsigned int nr,
			    bool zeroes)
{
	bool flags_known = true;

	for (unsigned int i = 0; i < nr; i++) {
		struct range range = range_at(chain, i);

		if (range.nr_sectors > disk->max_sectors ||
		    !is_within(disk, range.sector, range.nr_sectors * SECTOR))
			return VIRTIO_BLK_S_IOERR;
		flags_known &= range.flags <= (zeroes ? 1 : 0);
	}
	return flags_known ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP;
}

static uint8_t read_ranges(struct model_request *request,
			   const struct rh_chain *chain,
			   const struct model_disk *disk, bool zeroes)
{
	uint64_t bytes = chain->readable_bytes - HEADER_BYTES;
	unsigned int nr = (unsigned int)(bytes / RANGE_BYTES);
	uint8_t status;

	if (zeroes ? !disk->can_write_zeroes : !disk->can_discard)
		return VIRTIO_BLK_S_UNSUPP;
	if (!bytes || bytes % RANGE_BYTES)
		return VIRTIO_BLK_S_IOERR;
	if (nr > MODEL_MAX_OPS)
		return VIRTIO_BLK_S_UNSUPP;
	status = check_ranges(chain, disk, nr, zeroes);
	for (unsigned int i = 0; i < nr && !status; i++) {
		struct range range = range_at(chain, i);

		if (!range.nr_sectors)
			continue;
		add_op(request, zeroes ? BLK_WRITE_ZEROES : BLK_DISCARD,
		       range.sector, range.nr_sectors * SECTOR);
		request->ops[request->nr_ops - 1].unmap =
			range.flags && disk->can_discard;
	}
	return status;
}

static bool changes(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES || type == SECURE_ERASE;
}

static uint8_t read_request(struct model_request *request,
			    const struct rh_chain *chain,
			    const struct model_disk *disk,
			    const uint8_t header[HEADER_BYTES])
{
	uint32_t type = (uint32_t)number(header, 4) & ~BARRIER;
	uint64_t sector = number(header + 8, 8);
	uint64_t in = chain->writable_bytes - 1;

	if (disk->read_only && changes(type))
		return VIRTIO_BLK_S_IOERR;
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return read_data(request, disk, BLK_READ, sector, in);
	case VIRTIO_BLK_T_OUT:
		return read_data(request, disk, BLK_WRITE, sector,
				 chain->readable_bytes - HEADER_BYTES);
	case VIRTIO_BLK_T_FLUSH:
		add_op(request, BLK_FLUSH, 0, 0);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		request->used_bytes = (uint32_t)MIN(in, (uint64_t)ID_BYTES) + 1;
		return in ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_DISCARD:
		return read_ranges(request, chain, disk, false);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return read_ranges(request, chain, disk, true);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

void model_read(const struct rh_chain *chain, const struct model_disk *disk,
		struct model_request *ret)
{
	uint8_t header[HEADER_BYTES];
	const struct iovec *last = chain->writable + chain->nr_writable - 1;
	enum reading outcome = read_part(chain, 0, header, sizeof(header));

	ret->nr_ops = 0;
	ret->used_bytes = 1;
	ret->is_rejected = !chain->nr_writable || !last->iov_base ||
			   outcome == READ_NOWHERE;
	if (ret->is_rejected)
		return;
	ret->answer = (const uint8_t *)last->iov_base + last->iov_len - 1;
	if (outcome == READ_SHORT || chain->error)
		ret->status = VIRTIO_BLK_S_IOERR;
	else
		ret->status = read_request(ret, chain, disk, header);
	if (ret->status)
		ret->used_bytes = 1;
}

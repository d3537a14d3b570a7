/* SPDX-License-Identifier: MIT */
/*
 * blk_decode - what a chain asks for, as a blk_request or as a refusal
 *
 * A request may lie in any number of buffers of any size (virtio 1.3, 2.7.4):
 * the first 16 readable bytes are its header, the last writable byte is its
 * status, and what lies between is data. The chain's own iovecs are cut to
 * the data, so nothing is copied but the header and discard's segments, and
 * those once.
 *
 * Where the specification leaves the answer open: a read or write of nothing
 * is an error, so is an ID without room; a flush is performed whatever comes
 * with it and whether or not it was negotiated; one bad segment leaves all
 * others undone; what this disk does not offer is unsupported, but on a
 * read-only disk an attempt to change it is an error first.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "server/virtio_blk_internal.h"

/* What is left of one side of a chain. */
struct buffers {
	struct iovec *iov;
	unsigned int nr;
	size_t bytes;
};

/* Each byte is read once: the barrier keeps the compiler from going back. */
static inline void copy_from_guest(void *to, const void *guest, size_t bytes)
{
	memcpy(to, guest, bytes);
	__asm__ volatile("" ::: "memory");
}

static inline void skip_front(struct buffers *buffers, size_t bytes)
{
	struct iovec *iov = buffers->iov;

	buffers->bytes -= bytes;
	if (iov->iov_len == bytes) {
		buffers->iov++;
		buffers->nr--;
		return;
	}
	iov->iov_base = (uint8_t *)iov->iov_base + bytes;
	iov->iov_len -= bytes;
}

/*
 * Take bytes off the front. Returns 0, -EINVAL if there are fewer, or -EFAULT
 * if some are not in guest memory.
 */
static out_of_line int take_front(struct buffers *buffers, void *ret,
				  size_t bytes)
{
	uint8_t *to = ret;

	while (bytes && buffers->nr) {
		const struct iovec *iov = buffers->iov;
		size_t piece_bytes = MIN(bytes, iov->iov_len);

		if (!iov->iov_base)
			return -EFAULT;
		copy_from_guest(to, iov->iov_base, piece_bytes);
		skip_front(buffers, piece_bytes);
		to += piece_bytes;
		bytes -= piece_bytes;
	}
	return bytes ? -EINVAL : 0;
}

/* All but odd drivers have it in one buffer. */
static inline int take_header(struct buffers *out,
			      struct virtio_blk_outhdr *header)
{
	if (unlikely(!out->nr || out->iov->iov_len < sizeof(*header) ||
		     !out->iov->iov_base))
		return take_front(out, header, sizeof(*header));
	copy_from_guest(header, out->iov->iov_base, sizeof(*header));
	skip_front(out, sizeof(*header));
	return 0;
}

/* Returns how many bytes there was room for. */
static size_t fill_front(struct buffers *buffers, const void *data,
			 size_t bytes)
{
	const uint8_t *from = data;
	size_t left = bytes;

	while (left && buffers->nr) {
		const struct iovec *iov = buffers->iov;
		size_t piece_bytes = MIN(left, iov->iov_len);

		memcpy(iov->iov_base, from, piece_bytes);
		skip_front(buffers, piece_bytes);
		from += piece_bytes;
		left -= piece_bytes;
	}
	return bytes - left;
}

/* Take the last byte off; NULL if there is none in guest memory. */
static inline uint8_t *take_status(struct buffers *buffers)
{
	struct iovec *last;

	if (!buffers->nr)
		return NULL;
	last = &buffers->iov[buffers->nr - 1];
	if (!last->iov_base)
		return NULL;
	buffers->bytes--;
	if (last->iov_len == 1) {
		buffers->nr--;
		return last->iov_base;
	}
	last->iov_len--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

/* Multiples of blocks inside the disk: compared first, so that no sum wraps. */
static inline int check_extent(const struct virtio_blk *blk, uint64_t sector,
			       uint64_t bytes, uint64_t *ret_offset_bytes)
{
	uint64_t size_bytes =
		atomic_load_explicit(&blk->size_bytes, memory_order_relaxed);
	uint64_t offset_bytes = sector * SECTOR_BYTES;

	if (sector > size_bytes / SECTOR_BYTES ||
	    bytes > size_bytes - offset_bytes ||
	    !is_aligned(offset_bytes | bytes, blk->block_bytes))
		return -EINVAL;
	*ret_offset_bytes = offset_bytes;
	return 0;
}

/*
 * prepare...() return 0 when slot->request is to be submitted, BLK_ANSWERED
 * when there is nothing left to do, or -errno to answer with.
 */
static inline int prepare_data(struct blk_slot *slot, enum blk_op op,
			       uint64_t sector, const struct buffers *data)
{
	struct blk_request *request = &slot->request;

	if (!data->bytes || data->bytes > BLK_MAX_DATA_BYTES)
		return -EINVAL;
	request->op = op;
	request->flags = 0;
	request->bytes = data->bytes;
	request->iov = data->iov;
	request->nr_iov = data->nr;
	if (op == BLK_READ)
		slot->written_bytes = data->bytes;
	return check_extent(slot->blk, sector, data->bytes,
			    &request->offset_bytes);
}

static int prepare_flush(struct blk_slot *slot)
{
	struct blk_request *request = &slot->request;

	request->op = BLK_FLUSH;
	request->flags = 0;
	request->offset_bytes = 0;
	request->bytes = 0;
	request->iov = NULL;
	request->nr_iov = 0;
	return 0;
}

static int prepare_get_id(struct blk_slot *slot, struct buffers *data)
{
	if (!data->bytes)
		return -EINVAL;
	slot->written_bytes =
		fill_front(data, slot->blk->serial, BLK_SERIAL_BYTES);
	return BLK_ANSWERED;
}

static void read_ranges(struct blk_slot *slot, struct buffers *data)
{
	struct virtio_blk_discard_write_zeroes segment;

	for (unsigned int i = 0; i < slot->nr_ranges; i++) {
		int error = take_front(data, &segment, sizeof(segment));

		assert(!error); /* counted before, and all of it is mapped */
		slot->ranges[i].sector = le64_get(segment.sector);
		slot->ranges[i].num_sectors = le32_get(segment.num_sectors);
		slot->ranges[i].flags = le32_get(segment.flags);
	}
}

static int check_ranges(const struct blk_slot *slot, uint32_t max_sectors,
			uint32_t allowed_flags)
{
	uint64_t offset_bytes;

	for (unsigned int i = 0; i < slot->nr_ranges; i++) {
		const struct blk_range *range = &slot->ranges[i];
		uint64_t bytes = (uint64_t)range->num_sectors * SECTOR_BYTES;

		if (range->num_sectors > max_sectors ||
		    check_extent(slot->blk, range->sector, bytes,
				 &offset_bytes))
			return -EINVAL;
	}
	for (unsigned int i = 0; i < slot->nr_ranges; i++) {
		if (slot->ranges[i].flags & ~allowed_flags)
			return -EOPNOTSUPP;
	}
	return 0;
}

/* Make the next range that is not empty the request; false: there is none. */
bool blk_decode_range(struct blk_slot *slot)
{
	struct blk_request *request = &slot->request;
	bool may_unmap = slot->blk->may_unmap;

	while (slot->next_range < slot->nr_ranges) {
		const struct blk_range *range =
			&slot->ranges[slot->next_range++];

		if (!range->num_sectors)
			continue;
		request->offset_bytes = range->sector * SECTOR_BYTES;
		request->bytes = (uint64_t)range->num_sectors * SECTOR_BYTES;
		request->flags = range->flags && may_unmap ? BLK_UNMAP : 0;
		return true;
	}
	return false;
}

/* Sizes, counts, ranges, flags, in this order; then one range at a time. */
static int prepare_ranges(struct blk_slot *slot, enum blk_op op,
			  struct buffers *data)
{
	const struct virtio_blk *blk = slot->blk;
	struct blk_request *request = &slot->request;
	bool zeroes = op == BLK_WRITE_ZEROES;
	size_t segment_bytes = sizeof(struct virtio_blk_discard_write_zeroes);
	int error;

	if (zeroes ? !blk->can_write_zeroes : !blk->can_discard)
		return -EOPNOTSUPP;
	if (!data->bytes || data->bytes % segment_bytes)
		return -EINVAL;
	if (data->bytes / segment_bytes > BLK_MAX_RANGES)
		return -EOPNOTSUPP;
	slot->nr_ranges = data->bytes / segment_bytes;
	read_ranges(slot, data);
	error = check_ranges(slot,
			     zeroes ? blk->max_write_zeroes_sectors :
				      blk->max_discard_sectors,
			     zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0);
	if (error)
		return error;
	request->op = op;
	request->iov = NULL;
	request->nr_iov = 0;
	return blk_decode_next_range(slot) ? 0 : BLK_ANSWERED;
}

/* Whatever was negotiated: a read-only disk does not change. */
static bool would_change(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

static out_of_line int prepare_other(struct blk_slot *slot, struct buffers *out,
				     struct buffers *in)
{
	if (slot->blk->read_only && would_change(slot->type))
		return -EROFS;
	switch (slot->type) {
	case VIRTIO_BLK_T_FLUSH:
		return prepare_flush(slot);
	case VIRTIO_BLK_T_GET_ID:
		return prepare_get_id(slot, in);
	case VIRTIO_BLK_T_DISCARD:
		return prepare_ranges(slot, BLK_DISCARD, out);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return prepare_ranges(slot, BLK_WRITE_ZEROES, out);
	default:
		return -EOPNOTSUPP;
	}
}

/* What nearly all requests are needs no call. */
static inline int prepare(struct blk_slot *slot, uint64_t sector,
			  struct buffers *out, struct buffers *in)
{
	bool writes = slot->type == VIRTIO_BLK_T_OUT && !slot->blk->read_only;

	if (slot->type == VIRTIO_BLK_T_IN)
		return prepare_data(slot, BLK_READ, sector, in);
	if (writes)
		return prepare_data(slot, BLK_WRITE, sector, out);
	return prepare_other(slot, out, in);
}

/*
 * A chain that the queue found bad (chain->error) is answered all the same:
 * its last writable iovec still ends with its last writable byte.
 */
int blk_decode_chain(struct blk_slot *slot)
{
	struct rh_chain *chain = slot->chain;
	struct buffers out = { chain->readable, chain->nr_readable,
			       chain->readable_bytes };
	struct buffers in = { chain->writable, chain->nr_writable,
			      chain->writable_bytes };
	struct virtio_blk_outhdr header;
	int result;

	slot->written_bytes = 0;
	slot->nr_ranges = 0;
	slot->next_range = 0;
	slot->type = BLK_NO_TYPE;
	slot->status = take_status(&in);
	if (!slot->status)
		return -EFAULT;
	result = take_header(&out, &header);
	if (result == -EFAULT)
		return -EFAULT;
	if (!result)
		result = chain->error;
	if (!result) {
		slot->type = le32_get(header.type) & ~VIRTIO_BLK_T_BARRIER;
		result = prepare(slot, le64_get(header.sector), &out, &in);
	}
	if (!result)
		return 0;
	slot->request.result = MIN(result, 0);
	return BLK_ANSWERED;
}

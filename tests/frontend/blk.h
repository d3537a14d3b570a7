/* SPDX-License-Identifier: MIT */
/*
 * blk - virtio-blk requests from the driver's side (virtio 1.3, 5.2.6)
 *
 * A struct fe_blk makes requests on one vring. It has a fixed number of
 * request slots, each with its own piece of guest memory, so nothing is
 * allocated for a request. In a slot, header, data and status byte lie next
 * to each other, the data on a page boundary; so a request can be cut into
 * descriptors, or its parts joined into one, in any way (struct fe_framing).
 * The bytes behind the status byte hold a pattern, which is checked.
 *
 * Asynchronous: get a slot, fill it in, fe_blk_add(), fe_vring_submit(), and
 * later fe_blk_reap(). Synchronous: fe_blk_read() and its friends, which need
 * that nothing else is under way.
 *
 * Functions return 0 or -errno: -EIO for VIRTIO_BLK_S_IOERR, -EOPNOTSUPP for
 * VIRTIO_BLK_S_UNSUPP, -EBADMSG when the device completed a request without a
 * valid status or wrote where it may not. Owner: that of the vring.
 */
#ifndef FRONTEND_BLK_H
#define FRONTEND_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#include "tests/frontend/vring.h"

#define FE_BLK_HEADER_BYTES   16
#define FE_BLK_GUARD_BYTES    16
#define FE_BLK_MAX_PIECES     1100
#define FE_BLK_T_GET_LIFETIME 10   /* not in older kernel headers */
#define FE_BLK_NO_STATUS      0xff /* what the status byte holds before */

/* How a request is cut into descriptors; all zero is the usual way. */
struct fe_framing {
	uint32_t header_piece_bytes; /* 0: one piece */
	uint32_t data_piece_bytes;   /* 0: one piece */
	bool join_header;  /* the header's last piece goes on into the data */
	bool join_status;  /* the status is the last data piece's last byte */
	bool empty_pieces; /* a descriptor of no bytes behind each other one */
	bool indirect;
	bool reverse_data; /* data-in readable, data-out writable: wrong */
};

struct fe_blk_request {
	struct fe_blk *blk;

	/* What is asked; set by the user between get and add */
	uint32_t type; /* VIRTIO_BLK_T_... */
	uint32_t ioprio;
	uint64_t sector;
	uint32_t data_bytes; /* at most blk->max_data_bytes */
	struct fe_framing framing;
	void *user; /* the user's */

	/* What came back */
	bool done;
	uint8_t status;
	uint32_t used_bytes;

	/* The slot; header and status are right after fe_blk_add() */
	uint64_t data_addr;
	uint64_t table_addr;
	uint8_t *data;
	struct virtio_blk_outhdr *header;
	uint8_t *status_byte;
	struct fe_blk_request *next_free;
};

struct fe_blk {
	struct fe_vring *vring; /* not owned */
	uint32_t max_data_bytes;
	unsigned int nr_slots;
	unsigned int nr_under_way;
	int timeout_msec;	   /* of the synchronous functions */
	struct fe_framing framing; /* of the synchronous functions */
	struct fe_blk_request *slots;
	struct fe_blk_request *first_free;
};

/*
 * nr_slots requests of up to max_data_bytes each, in a region of the vring's
 * memory. deinit is harmless after failure.
 */
int fe_blk_init(struct fe_blk *blk, struct fe_vring *vring, unsigned int region,
		unsigned int nr_slots, uint32_t max_data_bytes);
void fe_blk_deinit(struct fe_blk *blk);

/* A free slot, or NULL; to be given back with put when it is done with. */
struct fe_blk_request *fe_blk_get(struct fe_blk *blk);
void fe_blk_put(struct fe_blk_request *request);

/* True for a type whose data the device writes. */
bool fe_blk_type_reads(uint32_t type);

/*
 * Cut the request into pieces, whose array has room for FE_BLK_MAX_PIECES,
 * and prepare header and status. Returns 0 with *ret set, or -E2BIG.
 */
int fe_blk_cut(struct fe_blk_request *request, struct fe_buffer *pieces,
	       struct fe_buffers *ret);

/* Cut the request and put it into the ring, not published yet. */
int fe_blk_add(struct fe_blk_request *request);

/* Take a completion. Returns 1 with *ret set, 0 for none, or -EPROTO. */
int fe_blk_reap(struct fe_blk *blk, struct fe_blk_request **ret);

/* What a completed request came to: 0 or -errno as above. */
int fe_blk_result(const struct fe_blk_request *request);

/*
 * Wait until this request is done, reaping others as well.
 * Returns 0, -ETIMEDOUT, -EPIPE (error fd) or -EPROTO.
 */
int fe_blk_wait(struct fe_blk_request *request, int timeout_msec);

/* Add, submit and wait; returns what the request came to. */
int fe_blk_execute(struct fe_blk_request *request);

/* bytes: any number up to max_data_bytes, also those that are refused. */
int fe_blk_read(struct fe_blk *blk, uint64_t sector, void *data,
		uint32_t bytes);
int fe_blk_write(struct fe_blk *blk, uint64_t sector, const void *data,
		 uint32_t bytes);
int fe_blk_flush(struct fe_blk *blk);
int fe_blk_get_id(struct fe_blk *blk, char id[VIRTIO_BLK_ID_BYTES]);
int fe_blk_discard(struct fe_blk *blk, uint64_t sector, uint32_t nr_sectors);
int fe_blk_write_zeroes(struct fe_blk *blk, uint64_t sector,
			uint32_t nr_sectors, bool unmap);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ring - one request in descriptors that a test may spoil
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/e2e/ring.h"
#include "tests/frontend/clock.h"

void ring_set(struct vring_desc *desc, uint64_t addr, uint32_t len,
	      uint16_t flags, uint16_t next)
{
	*desc = (struct vring_desc){
		.addr = htole64(addr),
		.len = htole32(len),
		.flags = htole16(flags),
		.next = htole16(next),
	};
}

static void put_request(const struct ring *ring, struct vring_desc *desc)
{
	const struct fe_blk_request *request = ring->request;

	ring_set(&desc[0], request->data_addr - FE_BLK_HEADER_BYTES,
		 FE_BLK_HEADER_BYTES, VRING_DESC_F_NEXT, 1);
	ring_set(&desc[1], request->data_addr, RING_DATA_BYTES,
		 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_set(&desc[2], request->data_addr + RING_DATA_BYTES, 1,
		 VRING_DESC_F_WRITE, 0);
}

void ring_open(struct ring *ring, const struct server *server)
{
	const struct client_options options = {
		.refused_features = FE_FEATURE_PACKED,
		.nr_queues = 2,
	};
	struct fe_buffer pieces[FE_BLK_MAX_PIECES];
	struct fe_buffers buffers;

	assert_int_equal(client_open(&ring->client, server, &options), 0);
	ring->request = fe_blk_get(&ring->client.blks[0]);
	ring->request->data_bytes = RING_DATA_BYTES;
	/* for the contents of header, status and guard */
	assert_int_equal(fe_blk_cut(ring->request, pieces, &buffers), 0);
	ring->desc = ring->client.vrings[0].desc;
	ring->table_addr = ring->request->table_addr;
	ring->table =
		fe_memory_pointer(&ring->client.memory, ring->table_addr,
				  FE_BLK_MAX_PIECES * sizeof(*ring->table));
	put_request(ring, ring->desc);
}

void ring_close(struct ring *ring)
{
	client_close(&ring->client);
}

void ring_use_table(struct ring *ring)
{
	put_request(ring, ring->table);
	ring_set(&ring->desc[0], ring->table_addr, 3 * sizeof(*ring->table),
		 VRING_DESC_F_INDIRECT, 0);
}

void ring_push(struct ring *ring, uint16_t head)
{
	fe_vring_add_head(&ring->client.vrings[0], head);
	fe_vring_publish(&ring->client.vrings[0]);
	fe_vring_kick(&ring->client.vrings[0]);
}

int ring_wait(struct ring *ring)
{
	struct fe_vring *vring = &ring->client.vrings[0];
	const struct vring_used_elem *elem;
	int error = fe_vring_wait(vring, FE_PATIENCE_MSEC);

	if (error)
		return error;
	elem = &vring->used->ring[vring->next_used % vring->size];
	vring->next_used++;
	ring->request->used_bytes = le32toh(elem->len);
	ring->request->status = *ring->request->status_byte;
	*ring->request->status_byte = FE_BLK_NO_STATUS;
	return fe_blk_result(ring->request);
}

int ring_is_broken(struct client *client)
{
	struct fe_vring *vring = &client->vrings[0];
	uint32_t base;
	int64_t count = fe_eventfd_wait(vring->err_fd, FE_PATIENCE_MSEC);
	int error;

	if (count != 1)
		return count < 0 ? (int)count : -EOVERFLOW;
	/* kicking a broken ring does nothing */
	fe_vring_kick(vring);
	error = client_check_io(client, 1, 1);
	if (error)
		return error;
	if (fe_eventfd_wait(vring->err_fd, 0) != -ETIMEDOUT)
		return -EALREADY;
	error = fe_session_get_base(&client->session, 0, &base);
	if (error)
		return error;
	fe_vring_reset(vring);
	error = fe_session_start_vring(&client->session, vring, 0,
				       fe_vring_base(vring));
	return error ? error : client_check_io(client, 0, 2);
}

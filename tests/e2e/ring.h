/* SPDX-License-Identifier: MIT */
/*
 * ring - one request in descriptors that a test may spoil
 *
 * A client with two queues. On queue 0 a good read lies in descriptors 0, 1
 * and 2 (header, data, status); the test changes what it wants, and makes
 * head 0 available. What then is expected: that the ring breaks, alone, and
 * works again once it was set up anew; or that the request completes.
 */
#ifndef E2E_RING_H
#define E2E_RING_H

#include "tests/e2e/client.h"

#define RING_MEMORY_END CLIENT_MEMORY_BYTES
#define RING_DATA_BYTES 4096u

struct ring {
	struct client client;
	struct fe_blk_request *request; /* where header, data, status are */
	struct vring_desc *desc;
	uint64_t table_addr; /* room for 1100 descriptors */
	struct vring_desc *table;
};

/*
 * Open a client, prepare the read; asserts that it comes about. The ring is a
 * split one, whatever those of other clients are.
 */
void ring_open(struct ring *ring, const struct server *server);
void ring_close(struct ring *ring);

/* Descriptor i of the ring, or of the table. */
void ring_set(struct vring_desc *desc, uint64_t addr, uint32_t len,
	      uint16_t flags, uint16_t next);

/* The same read in the table, and head 0 an indirect descriptor for it. */
void ring_use_table(struct ring *ring);

/* Make a head available and kick, whatever the device says. */
void ring_push(struct ring *ring, uint16_t head);

/*
 * Wait for the used entry of head 0. Returns what the request came to, as
 * fe_blk_result(), -EPIPE if the ring was declared broken, or -ETIMEDOUT.
 */
int ring_wait(struct ring *ring);

/*
 * Returns 0 when the error fd of queue 0 was signalled once, queue 1 goes on,
 * and queue 0 works again when it is set up anew; else -errno.
 */
int ring_is_broken(struct client *client);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * rmw - which blocks are being written, so that a block can be changed in part
 *
 * Storage with 4096-byte sectors cannot write 512 bytes: the block is read,
 * changed in memory, and written whole. Whatever else is written into that
 * block in between would be overwritten with what was read before, although
 * it was already acknowledged. So nothing that writes may overlap with a
 * block under read-modify-write: neither another such change nor a plain
 * aligned write, in whichever thread. Reads need not wait: the bytes that
 * such a write did not mean to change are the same before and after it.
 *
 * The table holds the requests that write, as ranges of whole blocks. One
 * enters before its first operation and leaves after the last; if it meets
 * another one it waits, in the order of arrival, and its thread is woken when
 * its turn has come.
 *
 * Only images whose alignment exceeds a sector have a table; for all others
 * no lock is taken. Any thread. While a request is in the table its link is
 * the table's.
 */
#ifndef SERVER_DRIVERS_RMW_H
#define SERVER_DRIVERS_RMW_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request.h"

struct rmw_table;

/* block_bytes: a power of two. Returns 0 with *ret set, or -errno. */
int rmw_create(uint32_t block_bytes, struct rmw_table **ret);

/* The table is empty. NULL is accepted. */
void rmw_destroy(struct rmw_table *table);

/* True: go on. False: wait until rmw_take_granted() returns the request. */
bool rmw_enter(struct rmw_table *table, struct blk_request *request);

/*
 * Leave. wake is called for the context of each request whose turn has come,
 * with the table locked: it must not come back to it.
 */
void rmw_leave(struct rmw_table *table, struct blk_request *request,
	       void (*wake)(struct driver_context *context));

/* A request of this context whose turn has come; NULL if there is none. */
struct blk_request *rmw_take_granted(struct rmw_table *table,
				     const struct driver_context *context);

#endif

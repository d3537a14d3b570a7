/* SPDX-License-Identifier: MIT */
/*
 * fault_cache - what was written and is not on the storage yet
 *
 * A log of writes, zeroings and discards in the order in which they came, with
 * their data, in memory of a fixed size. They leave it at its front: first an
 * entry is written back, which makes it clean; then it is dropped, as soon as
 * no read is under way that began while it was not clean. Every entry has a
 * number, which is one more than that of the entry before it.
 *
 * No I/O and no lock: belongs to whoever guards it.
 */
#ifndef SERVER_DRIVERS_FAULT_CACHE_H
#define SERVER_DRIVERS_FAULT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request.h"

struct fault_entry {
	enum blk_op op;
	uint32_t flags;
	uint64_t offset_bytes;
	uint64_t bytes;
	uint64_t data_at; /* of WRITE; in all that was ever stored */
};

struct fault_cache {
	uint8_t *data; /* NULL: there is no cache */
	uint64_t data_bytes;
	uint64_t data_first; /* as data_at */
	uint64_t data_next;
	struct fault_entry *entries;
	uint64_t nr_entries;
	uint64_t first; /* number of the oldest entry */
	uint64_t clean; /* of the oldest that is not written back */
	uint64_t next;	/* of the next one */
};

/* Returns 0 or -ENOMEM. */
int fault_cache_init(struct fault_cache *cache, uint64_t bytes);
void fault_cache_deinit(struct fault_cache *cache);

/* False: it is larger than the whole cache. */
bool fault_cache_could_hold(const struct fault_cache *cache,
			    const struct blk_request *request);

/* Copies what the request writes. False: there is no room now. */
bool fault_cache_add(struct fault_cache *cache,
		     const struct blk_request *request);

/* True if an entry that is not clean has a part of this range. */
bool fault_cache_overlaps(const struct fault_cache *cache,
			  uint64_t offset_bytes, uint64_t bytes);

struct fault_entry *fault_cache_entry(const struct fault_cache *cache,
				      uint64_t number);
uint8_t *fault_cache_data(const struct fault_cache *cache,
			  const struct fault_entry *entry);

/* The oldest entry that was not clean has been written back. */
void fault_cache_cleaned(struct fault_cache *cache);

/* Drop what is clean, up to this number. */
void fault_cache_drop(struct fault_cache *cache, uint64_t number);

/* A range of the disk in pieces of memory. */
struct fault_buffers {
	uint64_t offset_bytes;
	uint64_t bytes;
	const struct iovec *iov;
	unsigned int nr_iov;
};

/* What was read, as the entries from this number on have changed it. */
void fault_cache_overlay(const struct fault_cache *cache, uint64_t number,
			 const struct fault_buffers *buffers);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * fault_cache - what was written and is not on the storage yet
 *
 * Two rings, one of entries and one of bytes. An entry's data lies in one
 * piece: what would be cut at the end of the ring begins at its start.
 *
 * Who looks for a range walks all entries: a disk that is made to fail may be
 * slow, and the oldest-first order of this walk is what makes it right.
 */
#include <errno.h>
#include <string.h>

#include "common/base.h"
#include "common/lazy.h"
#include "server/drivers/fault_cache.h"

#define SECTOR_BYTES 512

int fault_cache_init(struct fault_cache *cache, uint64_t bytes)
{
	*cache = (struct fault_cache){
		.data_bytes = bytes,
		.nr_entries = bytes / SECTOR_BYTES,
	};
	cache->data = rh_lazy_table(bytes, uint8_t);
	cache->entries = rh_lazy_table(cache->nr_entries, struct fault_entry);
	if (cache->data && cache->entries)
		return 0;
	fault_cache_deinit(cache);
	return -ENOMEM;
}

void fault_cache_deinit(struct fault_cache *cache)
{
	rh_lazy_free(cache->data, cache->data_bytes, 1);
	rh_lazy_free(cache->entries, cache->nr_entries,
		     sizeof(*cache->entries));
	cache->data = NULL;
	cache->entries = NULL;
}

struct fault_entry *fault_cache_entry(const struct fault_cache *cache,
				      uint64_t number)
{
	return &cache->entries[number % cache->nr_entries];
}

uint8_t *fault_cache_data(const struct fault_cache *cache,
			  const struct fault_entry *entry)
{
	return &cache->data[entry->data_at % cache->data_bytes];
}

static uint64_t data_bytes(const struct blk_request *request)
{
	return request->op == BLK_WRITE ? request->bytes : 0;
}

bool fault_cache_could_hold(const struct fault_cache *cache,
			    const struct blk_request *request)
{
	return data_bytes(request) <= cache->data_bytes;
}

/* Where so many bytes in one piece would begin; false: there is no room. */
static bool find_room(struct fault_cache *cache, uint64_t bytes, uint64_t *ret)
{
	uint64_t size_bytes = cache->data_bytes;
	uint64_t at;

	if (cache->first == cache->next) {
		cache->data_first = 0;
		cache->data_next = 0;
	}
	if (cache->next - cache->first == cache->nr_entries)
		return false;
	at = cache->data_next;
	if (bytes && at % size_bytes + bytes > size_bytes)
		at += size_bytes - at % size_bytes;
	*ret = at;
	return at + bytes - cache->data_first <= size_bytes;
}

static void copy_in(uint8_t *to, const struct blk_request *request)
{
	for (unsigned int i = 0; i < request->nr_iov; i++) {
		const struct iovec *iov = &request->iov[i];

		memcpy(to, iov->iov_base, iov->iov_len);
		to += iov->iov_len;
	}
}

bool fault_cache_add(struct fault_cache *cache,
		     const struct blk_request *request)
{
	uint64_t bytes = data_bytes(request);
	struct fault_entry *entry;
	uint64_t at;

	if (!find_room(cache, bytes, &at))
		return false;
	entry = fault_cache_entry(cache, cache->next++);
	*entry = (struct fault_entry){
		.op = request->op,
		.flags = request->flags & ~BLK_FUA,
		.offset_bytes = request->offset_bytes,
		.bytes = request->bytes,
		.data_at = at,
	};
	cache->data_next = at + bytes;
	if (bytes)
		copy_in(fault_cache_data(cache, entry), request);
	return true;
}

static bool has_part_of(const struct fault_entry *entry, uint64_t offset_bytes,
			uint64_t bytes)
{
	return entry->offset_bytes < offset_bytes + bytes &&
	       offset_bytes < entry->offset_bytes + entry->bytes;
}

bool fault_cache_overlaps(const struct fault_cache *cache,
			  uint64_t offset_bytes, uint64_t bytes)
{
	for (uint64_t i = cache->clean; i < cache->next; i++) {
		if (has_part_of(fault_cache_entry(cache, i), offset_bytes,
				bytes))
			return true;
	}
	return false;
}

void fault_cache_cleaned(struct fault_cache *cache)
{
	cache->clean++;
}

void fault_cache_drop(struct fault_cache *cache, uint64_t number)
{
	number = MIN(number, cache->clean);
	if (number <= cache->first)
		return;
	cache->first = number;
	if (cache->first < cache->next)
		cache->data_first =
			fault_cache_entry(cache, cache->first)->data_at;
}

/* from: NULL for zeros */
static void copy_part(const struct fault_buffers *buffers, uint64_t skip_bytes,
		      const uint8_t *from, uint64_t bytes)
{
	for (unsigned int i = 0; bytes && i < buffers->nr_iov; i++) {
		const struct iovec *iov = &buffers->iov[i];
		uint8_t *to = iov->iov_base;
		uint64_t part;

		if (skip_bytes >= iov->iov_len) {
			skip_bytes -= iov->iov_len;
			continue;
		}
		part = MIN(bytes, iov->iov_len - skip_bytes);
		if (from)
			memcpy(to + skip_bytes, from, part);
		else
			memset(to + skip_bytes, 0, part);
		from = from ? from + part : NULL;
		bytes -= part;
		skip_bytes = 0;
	}
}

static void overlay_one(const struct fault_cache *cache,
			const struct fault_entry *entry,
			const struct fault_buffers *buffers)
{
	uint64_t start = MAX(entry->offset_bytes, buffers->offset_bytes);
	uint64_t end = MIN(entry->offset_bytes + entry->bytes,
			   buffers->offset_bytes + buffers->bytes);
	const uint8_t *from = NULL;

	if (entry->op == BLK_WRITE)
		from = fault_cache_data(cache, entry) +
		       (start - entry->offset_bytes);
	copy_part(buffers, start - buffers->offset_bytes, from, end - start);
}

void fault_cache_overlay(const struct fault_cache *cache, uint64_t number,
			 const struct fault_buffers *buffers)
{
	for (uint64_t i = MAX(number, cache->first); i < cache->next; i++) {
		const struct fault_entry *entry = fault_cache_entry(cache, i);

		if (has_part_of(entry, buffers->offset_bytes, buffers->bytes))
			overlay_one(cache, entry, buffers);
	}
}

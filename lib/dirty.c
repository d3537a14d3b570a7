/* SPDX-License-Identifier: MIT */
/*
 * dirty - the migration log: one bit for each page of guest memory
 *
 * Most pages that are written are written again soon, so a bit is looked at
 * before it is set: only a change costs a locked instruction.
 */
#include "common/base.h"
#include "common/peerfd.h"
#include "lib/dirty.h"

#define PAGES_A_BYTE 8

void rh_dirty_log_init(struct rh_dirty_log *log)
{
	*log = (struct rh_dirty_log){ .event_fd = -1 };
}

void rh_dirty_log_reset(struct rh_dirty_log *log)
{
	rh_range_unmap(&log->bitmap);
	rh_peerfd_close(&log->event_fd);
}

bool rh_dirty_log_covers(uint64_t bytes, const struct rh_map *map)
{
	const struct rh_region *last;
	uint64_t last_page;

	if (!map->nr_regions)
		return true;
	last = &map->regions[map->nr_regions - 1];
	last_page = (last->guest_end - 1) / VHOST_LOG_PAGE_BYTES;
	return last_page / PAGES_A_BYTE < bytes;
}

/* Returns true if a bit was not set before. */
static bool set_bits(uint8_t *byte, uint8_t bits)
{
	if ((__atomic_load_n(byte, __ATOMIC_RELAXED) & bits) == bits)
		return false;
	__atomic_fetch_or(byte, bits, __ATOMIC_RELEASE);
	return true;
}

/* The bits of pages first to last as far as they lie in one byte. */
static uint8_t bits_in_byte(uint64_t byte, uint64_t first, uint64_t last)
{
	unsigned int bits = 0xff;

	if (byte == first / PAGES_A_BYTE)
		bits &= 0xffu << first % PAGES_A_BYTE;
	if (byte == last / PAGES_A_BYTE)
		bits &= 0xffu >> (PAGES_A_BYTE - 1 - last % PAGES_A_BYTE);
	return (uint8_t)bits;
}

void rh_dirty_log_mark(const struct rh_dirty_log *log, struct guest_addr guest,
		       uint64_t bytes, struct rh_dirty_marks *marks)
{
	uint64_t first = guest.value / VHOST_LOG_PAGE_BYTES;
	uint64_t end;
	uint64_t last;

	if (!bytes)
		return;
	if (add_overflows(guest.value, bytes - 1, &end))
		end = UINT64_MAX;
	last = end / VHOST_LOG_PAGE_BYTES;
	if (last / PAGES_A_BYTE >= log->bitmap.bytes) {
		/* What is mapped is far too small for this to wrap. */
		uint64_t nr_pages = log->bitmap.bytes * PAGES_A_BYTE;

		marks->nr_skipped += last + 1 - MAX(first, nr_pages);
		if (first >= nr_pages)
			return;
		last = nr_pages - 1;
	}
	/*
	 * The front-end clears a bit, then copies the page. If we saw the bit
	 * still set before our write to the page became visible, the page
	 * would be copied without it and never again. Pairs with the
	 * front-end's atomic exchange of a word of the bitmap.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint64_t byte = first / PAGES_A_BYTE; byte <= last / PAGES_A_BYTE;
	     byte++)
		marks->nr_set += set_bits(&log->bitmap.address[byte],
					  bits_in_byte(byte, first, last));
}

void rh_dirty_log_signal(const struct rh_dirty_log *log)
{
	if (log->event_fd >= 0)
		rh_peerfd_signal(log->event_fd);
}

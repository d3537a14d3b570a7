/* SPDX-License-Identifier: MIT */
/*
 * dirty - the migration log: one bit for each page of guest memory
 *
 * While a guest migrates, its front-end copies pages and must learn which of
 * them the back-end writes meanwhile (vhost-user, Migration). The bitmap lies
 * in a file of the front-end, which reads and clears it at the same time: a
 * bit is set with an atomic operation, behind what was written.
 *
 * A page beyond the bitmap is skipped, and the caller told how many were; no
 * number that a peer can choose leads outside it.
 *
 * The control thread exchanges the bitmap and the fd while no queue runs;
 * marking is for any owner of a queue.
 */
#ifndef LIB_DIRTY_H
#define LIB_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory.h"
#include "lib/range.h"

struct rh_dirty_log {
	struct rh_range bitmap; /* of zeroes: there is none */
	int event_fd;		/* signalled when bits were set, or -1 */
};

/* What one mark did. */
struct rh_dirty_marks {
	uint64_t nr_set;     /* bytes of the bitmap that have changed */
	uint64_t nr_skipped; /* pages that it does not reach */
};

void rh_dirty_log_init(struct rh_dirty_log *log);

/* No bitmap and no fd, as after init. */
void rh_dirty_log_reset(struct rh_dirty_log *log);

static inline bool rh_dirty_log_exists(const struct rh_dirty_log *log)
{
	return log->bitmap.bytes;
}

/* True if a bitmap of bytes has a bit for each page of map's regions. */
bool rh_dirty_log_covers(uint64_t bytes, const struct rh_map *map);

/*
 * Mark the pages of the bytes from guest on, which have been written before;
 * no bytes, no page. Adds to *marks.
 */
void rh_dirty_log_mark(const struct rh_dirty_log *log, struct guest_addr guest,
		       uint64_t bytes, struct rh_dirty_marks *marks);

/* Tell the front-end, if it wants to know, that bits were set. */
void rh_dirty_log_signal(const struct rh_dirty_log *log);

#endif

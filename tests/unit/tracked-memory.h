/* SPDX-License-Identifier: MIT */
/*
 * tracked-memory - a log for a queue, and which pages of it are marked
 *
 * For the tests of tracker. Pages are told by their guest addresses.
 */
#ifndef TESTS_UNIT_TRACKED_MEMORY_H
#define TESTS_UNIT_TRACKED_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/ring-memory.h"

#define TRACKED_PAGE	 UINT64_C(4096)
#define TRACKED_LOG_ALL	 FEATURE_BIT(VHOST_F_LOG_ALL)
#define TRACKED_PLATFORM FEATURE_BIT(VIRTIO_F_ACCESS_PLATFORM)

/* The bitmap ends where the first region of a ring_memory does. */
#define TRACKED_BYTES ((RING_GUEST_BASE + RING_MEMORY_BYTES) / TRACKED_PAGE / 8)

struct tracked_log {
	struct rh_dirty_log log;
	unsigned int nr_lines;
	char line[512];
};

static inline void tracked_remember(void *opaque, enum rh_log_level level,
				    const char *tag, const char *line)
{
	struct tracked_log *tracked = opaque;

	(void)level;
	(void)tag;
	tracked->nr_lines++;
	strncpy(tracked->line, line, sizeof(tracked->line) - 1);
}

/* queue: not started yet */
static inline void tracked_log_init(struct tracked_log *tracked,
				    struct rh_queue *queue)
{
	memset(tracked, 0, sizeof(*tracked));
	rh_dirty_log_init(&tracked->log);
	tracked->log.bitmap.address = calloc(1, TRACKED_BYTES);
	tracked->log.bitmap.bytes = TRACKED_BYTES;
	assert_non_null(tracked->log.bitmap.address);
	queue->log = &tracked->log;
	rh_log_set(tracked_remember, tracked, RH_LOG_WARNING);
}

static inline void tracked_log_deinit(struct tracked_log *tracked)
{
	rh_log_set(NULL, NULL, RH_LOG_WARNING);
	free(tracked->log.bitmap.address);
}

/* Exactly these nr pages are marked (each of them once here); clears all. */
static inline void tracked_assert(struct tracked_log *tracked,
				  const uint64_t *guest, unsigned int nr)
{
	uint8_t *bitmap = tracked->log.bitmap.address;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t page = guest[i] / TRACKED_PAGE;

		if (!(bitmap[page / 8] & 1 << page % 8))
			fail_msg("page 0x%llx is not marked",
				 (unsigned long long)guest[i]);
		bitmap[page / 8] ^= 1 << page % 8;
	}
	for (uint64_t i = 0; i < TRACKED_BYTES * 8; i++) {
		if (bitmap[i / 8] & 1 << i % 8)
			fail_msg("page 0x%llx is marked",
				 (unsigned long long)(i * TRACKED_PAGE));
	}
}

#define TRACKED_ASSERT(tracked, ...)                                           \
	tracked_assert(tracked, (const uint64_t[]){ __VA_ARGS__ },             \
		       sizeof((const uint64_t[]){ __VA_ARGS__ }) /             \
			       sizeof(uint64_t))

#define TRACKED_ASSERT_NONE(tracked) tracked_assert(tracked, NULL, 0)

#endif

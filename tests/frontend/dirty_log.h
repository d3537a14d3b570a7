/* SPDX-License-Identifier: MIT */
/*
 * dirty_log - the bitmap in which a back-end marks what it has written
 *
 * Stands for a front-end that migrates its guest: it shares a bitmap, switches
 * the marking on and off, and takes the bits out while the back-end sets them
 * (vhost-user, Migration). One bit is a page of 4096 bytes of guest memory.
 *
 * Functions return 0 or -errno, those about a session as in session.h.
 */
#ifndef FRONTEND_DIRTY_LOG_H
#define FRONTEND_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/frontend/memory.h"
#include "tests/frontend/session.h"
#include "tests/frontend/vring.h"

#define FE_LOG_PAGE_BYTES 4096

struct fe_dirty_log {
	int fd;
	uint8_t *bitmap;
	uint64_t bytes;
};

/* How many bytes it takes to have a bit for each page of memory. */
uint64_t fe_dirty_log_bytes(const struct fe_memory *memory);

/* No bit is set. deinit is harmless after failure, and twice. */
int fe_dirty_log_init(struct fe_dirty_log *log, uint64_t bytes);
void fe_dirty_log_deinit(struct fe_dirty_log *log);

/* False for a page that the bitmap does not reach. */
bool fe_dirty_log_has(const struct fe_dirty_log *log, uint64_t guest_addr);

/* How many pages are marked. */
uint64_t fe_dirty_log_count(const struct fe_dirty_log *log);

/*
 * Take a byte's bits out, as a front-end does before it copies the pages.
 * i: below log->bytes.
 */
uint8_t fe_dirty_log_take(struct fe_dirty_log *log, uint64_t i);

/* Forget all bits. */
void fe_dirty_log_clear(struct fe_dirty_log *log);

/*
 * Share bytes of fd, from offset on, as the log. An answer is due whether one
 * was asked for or not, and nobody says what is in it: as VMMs do, the first
 * two ask for none and look at none, so that only an end of the session is a
 * refusal. The third asks for an acknowledgement. fd: -1 for none.
 */
int fe_session_set_log(struct fe_session *session,
		       const struct fe_dirty_log *log);
int fe_session_set_log_range(struct fe_session *session, int fd, uint64_t bytes,
			     uint64_t offset);
int fe_session_ask_log_range(struct fe_session *session, int fd, uint64_t bytes,
			     uint64_t offset);

int fe_session_set_log_fd(struct fe_session *session, int fd);

/* Switch the marking of buffers, and that of a ring that was started. */
int fe_session_log_data(struct fe_session *session, bool on);
int fe_session_log_vring(struct fe_session *session,
			 const struct fe_vring *vring, bool on);

#endif

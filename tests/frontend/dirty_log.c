/* SPDX-License-Identifier: MIT */
/*
 * dirty_log - the bitmap in which a back-end marks what it has written
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base.h"
#include "common/fd.h"
#include "tests/frontend/dirty_log.h"

#define VRING_F_LOG 1u

uint64_t fe_dirty_log_bytes(const struct fe_memory *memory)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < memory->nr_regions; i++) {
		const struct fe_wire_region *wire = &memory->regions[i].wire;

		end = MAX(end, wire->guest_addr + wire->size_bytes);
	}
	return end ? (end - 1) / FE_LOG_PAGE_BYTES / 8 + 1 : 0;
}

int fe_dirty_log_init(struct fe_dirty_log *log, uint64_t bytes)
{
	void *bitmap;

	*log = (struct fe_dirty_log){ .fd = -1 };
	log->fd = rh_memfd_create("log", bytes);
	if (log->fd < 0)
		return log->fd;
	bitmap = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd,
		      0);
	if (bitmap == MAP_FAILED)
		return -errno;
	log->bitmap = bitmap;
	log->bytes = bytes;
	return 0;
}

void fe_dirty_log_deinit(struct fe_dirty_log *log)
{
	if (log->bitmap)
		munmap(log->bitmap, log->bytes);
	log->bitmap = NULL;
	log->bytes = 0;
	rh_fd_close(&log->fd);
}

static uint8_t load(const struct fe_dirty_log *log, uint64_t i)
{
	return __atomic_load_n(&log->bitmap[i], __ATOMIC_SEQ_CST);
}

bool fe_dirty_log_has(const struct fe_dirty_log *log, uint64_t guest_addr)
{
	uint64_t page = guest_addr / FE_LOG_PAGE_BYTES;

	return page / 8 < log->bytes && load(log, page / 8) & 1 << page % 8;
}

uint64_t fe_dirty_log_count(const struct fe_dirty_log *log)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < log->bytes; i++)
		nr += (uint64_t)__builtin_popcount(load(log, i));
	return nr;
}

uint8_t fe_dirty_log_take(struct fe_dirty_log *log, uint64_t i)
{
	if (!load(log, i))
		return 0;
	return __atomic_exchange_n(&log->bitmap[i], 0, __ATOMIC_SEQ_CST);
}

void fe_dirty_log_clear(struct fe_dirty_log *log)
{
	for (uint64_t i = 0; i < log->bytes; i++)
		fe_dirty_log_take(log, i);
}

static int send_log_range(struct fe_session *session, int fd,
			  struct fe_wire_log log, bool need_reply,
			  struct fe_message *reply)
{
	struct fe_message message;
	int error;

	fe_message_init(&message, FE_SET_LOG_BASE, sizeof(message.payload.log));
	message.payload.log = log;
	if (need_reply)
		message.flags |= FE_FLAG_NEED_REPLY;
	error = fe_message_send(session->sock, &message, &fd, fd < 0 ? 0 : 1);
	if (!error)
		error = fe_message_receive(session->sock, reply,
					   session->timeout_msec, NULL, NULL);
	if (!error && (reply->request != FE_SET_LOG_BASE ||
		       reply->flags != (FE_FLAG_VERSION | FE_FLAG_REPLY)))
		error = -EPROTO;
	return error;
}

int fe_session_set_log_range(struct fe_session *session, int fd, uint64_t bytes,
			     uint64_t offset)
{
	struct fe_message reply;

	return send_log_range(session, fd,
			      (struct fe_wire_log){ bytes, offset }, false,
			      &reply);
}

int fe_session_ask_log_range(struct fe_session *session, int fd, uint64_t bytes,
			     uint64_t offset)
{
	struct fe_message reply;
	int error = send_log_range(session, fd,
				   (struct fe_wire_log){ bytes, offset }, true,
				   &reply);

	if (error)
		return error;
	if (reply.size != sizeof(reply.payload.u64))
		return -EPROTO;
	return reply.payload.u64 ? -EREMOTEIO : 0;
}

int fe_session_set_log(struct fe_session *session,
		       const struct fe_dirty_log *log)
{
	return fe_session_set_log_range(session, log->fd, log->bytes, 0);
}

int fe_session_set_log_fd(struct fe_session *session, int fd)
{
	struct fe_message message;

	fe_message_init(&message, FE_SET_LOG_FD, 0);
	return fe_session_exchange(session, &message, &fd, 1);
}

int fe_session_log_data(struct fe_session *session, bool on)
{
	uint64_t features = session->features & ~FE_FEATURE_LOG_ALL;

	return fe_session_set(session, FE_SET_FEATURES,
			      features | (on ? FE_FEATURE_LOG_ALL : 0));
}

int fe_session_log_vring(struct fe_session *session,
			 const struct fe_vring *vring, bool on)
{
	const struct fe_memory *memory = vring->memory;
	struct fe_message message;

	fe_message_init(&message, FE_SET_VRING_ADDR,
			sizeof(message.payload.addr));
	message.payload.addr = (struct fe_vring_addr){
		.index = vring->index,
		.flags = on ? VRING_F_LOG : 0,
		.desc = fe_memory_user_addr(memory, vring->desc_addr),
		.avail = fe_memory_user_addr(memory, vring->avail_addr),
		.used = fe_memory_user_addr(memory, vring->used_addr),
		.log = on ? vring->used_addr : 0,
	};
	return fe_session_exchange(session, &message, NULL, 0);
}
